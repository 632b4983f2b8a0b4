/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A Ceph file system by libcephfs, without a mount: one session with its metadata servers, bounded by a watch. */
#include <cephfs/libcephfs.h>

#include "cephfs/cephfs-nudge.h"
#include "common-ceph/ceph-cluster.h"

typedef struct CephFs {
        CephCluster cluster;
        struct ceph_mount_info *session; /* its root is `subdir`; NULL: there is none */
        char *name;                      /* of the file system; NULL: the cluster's first */
        char *subdir;                    /* "/" or "/a/b" */
        CephNudge nudge;                 /* for what takes the servers long */
        int slot;                        /* descriptor of the lock that makes the session's name ours; -EBADF */
} CephFs;

/* Memory only: the cluster's properties, fs-name, subdir. */
int cephfs_init(CephFs *f, const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR);
/* Ends the session too, so that nobody has to wait for what it holds. */
void cephfs_deinit(CephFs *f);

/*
 * There is a session, and a metadata server has answered just now. -ETIMEDOUT: silence, with the reason; -ENOENT: no
 * such file system or subdir; -EPERM. Sets a watch of its own.
 */
int cephfs_check(CephFs *f, unsigned limit_ms, STORAGED_ERR);
/* The session goes away; the next check makes a new one. */
void cephfs_disconnect(CephFs *f);

/* What a library's negative errno means: ceph_fail() in this file system's words. */
int cephfs_fail(CephFs *f, int code, STORAGED_ERR, const char *what);
