/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The data plane: the mount of a Ceph file system, by the kernel's client or by ceph-fuse. */
#include "cephfs/cephfs-link.h"
#include "common/mountpoint.h"

/* Whether that is a mount of CephFS at all, and not one that says by its source that it is another; what it really is,
 * cephfs_mount_check() finds out. Pure. */
bool cephfs_mount_is_possible(const CephFs *f, const MountInfo *m);
/*
 * Touches the mount at `path`, so a server has to have answered just now (and if the mount's client hangs all the same,
 * a watch ends it after `limit_ms`): 0 if it is this storage's directory.
 * -ENOTCONN: its ceph-fuse has died, or the servers have thrown it out. -EBUSY: it is another one, with its sentence.
 */
int cephfs_mount_check(CephFs *f, const char *path, unsigned limit_ms, STORAGED_ERR);
/* Mounts; a session has to be there. `options` is what the user wants besides, or "". */
int cephfs_mount_make(CephFs *f, const char *path, bool is_fuse, const char *options, bool may_create, STORAGED_ERR);
