/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The name of a task as Proxmox VE's clients know it: UPID:node:PID:PSTART:START:type:id:user: */
#include <stddef.h>
#include <stdint.h>

#define UPID_MAX 256 /* with the NUL: it is a file name too */

typedef struct Upid {
        char node[64];
        uint32_t pid;
        uint64_t pstart; /* start of the process in clock ticks since boot, made unique; at most 36 bits */
        uint32_t start;  /* seconds since the epoch */
        char type[64];
        char id[UPID_MAX]; /* plain; in the text colons, blanks, slashes and the like are \xHH */
        char user[64];
} Upid;

/* An id that is too long is cut (as it can then be parsed back). -EINVAL: node, type or user is not a word. */
int upid_format(const Upid *u, char ret[static UPID_MAX]);
int upid_parse(const char *text, Upid *ret);
