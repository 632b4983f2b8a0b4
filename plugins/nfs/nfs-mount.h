/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The kernel's mount of an export. */
#include <stdint.h>

#include "common/mountpoint.h"
#include "nfs/nfs-server.h"

/* Whether that is the NFS mount of this export, by the server's name or by one of its known addresses. */
bool mount_is_of(const MountInfo *m, const Server *s, const char *export_path);
/*
 * 0 if this kernel can mount NFS of that version (0: any): it says so in `filesystems`, or a module for it is
 * installed in `modules_dir`, which mount(2) loads by itself. -EOPNOTSUPP with the reason if not.
 */
int mount_check_client(const char *filesystems, const char *modules_dir, uint32_t version, STORAGED_ERR);
/* Mounts by mount.nfs; otherwise as mount_make(). */
int nfs_mount_make(const char *path, const char *source, const char *options, bool may_create, STORAGED_ERR);
