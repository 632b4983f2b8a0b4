/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Has the metadata servers write their journals out, which they put off for up to five seconds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <cephfs/libcephfs.h>

typedef struct CephNudge {
        pthread_mutex_t lock;
        rados_t rados;      /* borrowed; NULL: there is no session to nudge for */
        const char *subdir; /* borrowed */
        struct ceph_mount_info *session;
        pthread_t thread;
        bool has_thread;
        atomic_bool is_done;
} CephNudge;

#define CEPH_NUDGE_INIT                           \
        {                                         \
                .lock = PTHREAD_MUTEX_INITIALIZER \
        }

/* From now on it may be asked for; `rados` and `subdir` stay until cephfs_nudge_end(). */
void cephfs_nudge_begin(CephNudge *n, rados_t rados, const char *subdir);
/* Asks, from whatever thread, and returns at once; nothing happens while the last one is still under way. */
void cephfs_nudge_ask(CephNudge *n);
/* No more of it. Waits for the one under way, without a limit of its own: call it under a watch. */
void cephfs_nudge_end(CephNudge *n);
