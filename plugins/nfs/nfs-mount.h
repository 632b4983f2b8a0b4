/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The kernel's mount of an export: finding, making and ending it, without ever touching what is mounted. */
#include <stdint.h>

#include "nfs/nfs-server.h"

#define MOUNT_TABLE "/proc/self/mountinfo"

typedef struct MountInfo {
        int id;                      /* the kernel's; changes with each mount */
        char *type;                  /* nfs, nfs4, ext4, … */
        char *source;                /* server:/export */
        char addr[INET6_ADDRSTRLEN]; /* addr= of an NFS mount, or "" */
} MountInfo;

void mount_info_deinit(MountInfo *m);
/* 1 and *ret filled if something is mounted exactly at `path`, 0 if not; reads the table of mounts, nothing else. */
int mount_find(const char *table, const char *path, MountInfo *ret, STORAGED_ERR);
/* Whether that is the NFS mount of this export, by the server's name or by one of its known addresses. */
bool mount_is_of(const MountInfo *m, const Server *s, const char *export_path);
/*
 * 0 if this kernel can mount NFS of that version (0: any): it says so in `filesystems`, or a module for it is
 * installed in `modules_dir`, which mount(2) loads by itself. -EOPNOTSUPP with the reason if not.
 */
int mount_check_client(const char *filesystems, const char *modules_dir, uint32_t version, STORAGED_ERR);
/* /lib/modules/<this kernel's release> */
void mount_modules_dir(char *ret, size_t size);
/*
 * Mounts; `path` is made if it is absent and `may_create`, and what was made is removed again if the mount
 * fails. -EEXIST: something is mounted there already.
 */
int mount_make(const char *path, const char *source, const char *options, bool may_create, STORAGED_ERR);
/* -EBUSY if it is in use. Never lazily, never by force. */
int mount_end(const char *path, STORAGED_ERR);
