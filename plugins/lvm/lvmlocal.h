/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is this node's own in LVM's configuration: its number at sanlock, and who cuts volumes off when leases are lost.
 */
#include <stdbool.h>

#include <storaged/error.h>

#define LVMLOCAL_FILE "/etc/lvm/lvmlocal.conf"
#define LVM_FILE "/etc/lvm/lvm.conf"

typedef struct LvmLocal {
        unsigned host_id; /* 0: none */
        bool has_kill;    /* a lvmlockctl_kill_command that is not empty */
} LvmLocal;

/* A file that is not there says nothing. -EPROTO: not in LVM's syntax. */
int lvmlocal_read(const char *path, LvmLocal *ret, struct storaged_error *err);
/*
 * Adds what is missing, and leaves what is there as it is; another number than the file has is refused (-EEXIST).
 * kill_command NULL: only the number.
 */
int lvmlocal_write(const char *path, unsigned host_id, const char *kill_command, struct storaged_error *err);
