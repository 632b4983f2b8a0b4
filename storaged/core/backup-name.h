/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* vzdump-{qemu,lxc,openvz}-<vmid>-YYYY_MM_DD-HH_MM_SS.<ext> (pvesm.md section 1). */
#include <stdbool.h>
#include <stdint.h>

typedef struct BackupName {
        char type[8];  /* qemu, lxc, openvz, unknown */
        uint32_t vmid; /* 0: not in the name */
        int64_t ctime; /* the time is local; only if it is standard */
        bool is_standard;
} BackupName;

/* `name` without a path. Type and vmid are also taken from names that only begin in the standard way. */
void backup_name_parse(const char *name, BackupName *ret);
