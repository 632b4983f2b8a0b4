/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What an administrator does with a Ceph cluster: health, repair, pools. The work is done by actions of the type rbd;
 * here they get what only the daemon knows: how a defined storage reaches its cluster, and which storages use which
 * pool.
 */
#include "core/core.h"

typedef struct CephCall {
        const char *action;  /* "ceph-health", … */
        const char *storage; /* the cluster and user of this storage; NULL: those of this node's ceph.conf, or as
                                `pairs` say */
        const struct storaged_pair *pairs; /* further parameters of the action */
        size_t n_pairs;
        const char *user; /* of the task */
} CephCall;

/* Everything is copied. Reply as action_run() gives it. */
void ceph_run(Core *c, const CephCall *call, reply_fn fn, void *userdata);

typedef struct CephPoolCreate {
        CephCall call;           /* pairs of "ceph-pool-create" */
        const char *pool;        /* its name, also among the pairs */
        const char *add_storage; /* id of a storage to define on it, or NULL */
        const char *content;     /* of that storage, or NULL */
        bool is_erasure;
} CephPoolCreate;

/*
 * A storage's status names checks that can be repaired: does so, as a task, if its definition has auto-repair and this
 * node is the first of those that have the storage. One node is enough, and the next one looks again when this one is
 * gone.
 */
void ceph_auto_repair(Core *c, const StorageConfig *s, const char *codes);

/* Makes the pool and, if asked for, a storage on it with a Ceph user of its own: both or neither. Reply: a UPID. */
void ceph_pool_create(Core *c, const CephPoolCreate *create, reply_fn fn, void *userdata);
/* Refuses while a storage's definition names the pool. Reply: a UPID. */
void ceph_pool_destroy(Core *c, const CephCall *call, const char *pool, reply_fn fn, void *userdata);
