/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which volume group a physical volume belongs to, read from the disk without LVM. Foreign bytes, fuzzed. */
#include <stddef.h>
#include <stdint.h>

#define LVM_NAME_MAX 128

typedef struct LvmLabel {
        char pv_uuid[40];      /* with its dashes */
        char vg[LVM_NAME_MAX]; /* "": in no volume group */
        char vg_uuid[40];
        char lock_type[16]; /* "", "dlm", "sanlock", … */
} LvmLabel;

/* Reads `len` bytes at `offset`: how many came, or -errno. */
typedef int (*lvm_read_fn)(void *userdata, uint64_t offset, uint8_t *ret, size_t len);

/* -ENODATA: no physical volume; -EINVAL: one whose metadata can't be read (pv_uuid is set in *ret then). */
int lvm_label_read(lvm_read_fn fn, void *userdata, LvmLabel *ret);
