/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest in one boot sector: counts, and writes each number to block (number % 64) of its disk, the number in all
 * 128 words of the block. So what is on the disk tells which numbers were written, whether one was lost or torn, and whether two
 * such guests wrote at once. An error of the disk shows as an E on the serial line. It writes as fast as it can; with a
 * byte other than 0 at 509 it sleeps until the next tick of the clock (18 a second) between two numbers, as a machine with
 * few processors wants it.
 *
 * as --32 -o counter.o counter.S && ld -m elf_i386 --oformat binary -Ttext 0x7c00 -o counter.img counter.o
 */
        .code16
        .intel_syntax noprefix
        .global _start
_start:
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        cld
        sti
        jmp     first
next:
        cmp     byte ptr [pace], 0
        je      first
        hlt
first:
        inc     dword ptr [counter]
        mov     eax, dword ptr [counter]
        mov     di, 0x8000
        mov     cx, 128
        rep     stosd
        and     eax, 63
        mov     dword ptr [block], eax
again:
        mov     ax, 0x4300
        mov     dl, 0x80
        mov     si, offset packet
        int     0x13
        jnc     next
        mov     dx, 0x3f8
        mov     al, 'E'
        out     dx, al
        jmp     again
counter:
        .long   0
packet:
        .byte   16, 0
        .word   1
        .word   0x8000, 0
block:
        .quad   0
        .org    509
pace:
        .byte   0
        .word   0xaa55
