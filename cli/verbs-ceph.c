/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ceph clusters: pools, file systems, what only images of RBD have. */
#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"

/* Which Ceph cluster, as whom. */
#define P_CEPH                                                                                                   \
        { .name = "storage", .complete = "storage", .text = "The cluster of this storage; else of ceph.conf." }, \
                { .name = "monhost", .text = "Monitors of the cluster that is meant." },                         \
                { .name = "username", .text = "Ceph user without client.; default admin." },                     \
        {                                                                                                        \
                .name = "keyring", .complete = "file", .text = "File with that user's key, on the node."         \
        }

#define P_POOL                                                    \
        {                                                         \
                .name = "pool", .flags = POS, .text = "The pool." \
        }

#define P_APPLICATION(text_)                                                                                       \
        {                                                                                                          \
                .name = "application", .hint = "cephfs | rbd | rgw", .complete = "cephfs rbd rgw", .text = (text_) \
        }

#define P_POOL_SIZES                                                                                    \
        { .name = "size", .type = PARAM_INTEGER, .text = "Copies of each object." },                    \
                { .name = "min_size", .type = PARAM_INTEGER, .text = "Copies that must be writable." }, \
        {                                                                                               \
                .name = "pg_num", .type = PARAM_INTEGER, .text = "Placement groups."                    \
        }

static const Param ceph_params[] = { P_CEPH, P_NODE_END };

static const Param ceph_repair_params[] = {
        { .name = "name", .flags = POS | PARAM_OPTIONAL, .hint = "<pool>", .text = "Only this pool." },
        P_CEPH,
        { .name = "check", .text = "Only this check, by its code." },
        { .name = "dry-run", .type = PARAM_BOOLEAN, .text = "Only say what would be done." },
        P_APPLICATION("What the pool is for, where that can't be told from it."),
        P_NODE_END,
};

static const Param pool_create_params[] = {
        { .name = "name", .flags = POS, .text = "The new pool's name." },
        P_CEPH,
        P_APPLICATION("What it is for; default rbd."),
        P_POOL_SIZES,
        { .name = "erasure-coding",
          .hint = "k=N,m=N[,failure-domain=TYPE]",
          .text = "Data in an erasure coded pool NAME-data beside it." },
        { .name = "add_storages", .type = PARAM_BOOLEAN, .text = "Define a storage of the pool's name on it." },
        { .name = "add-storage", .text = "Define a storage of this id on it, with a Ceph user of its own." },
        { .name = "content", .type = PARAM_LIST, .complete = "images rootdir", .text = "What that storage may hold." },
        { .name = "client", .text = "Make this Ceph user for the pool." },
        P_NODE_END,
};

static const Param pool_set_params[] = {
        P_POOL,
        P_CEPH,
        P_POOL_SIZES,
        { .name = "quota-bytes", .type = PARAM_INTEGER, .text = "Most bytes; 0: no limit." },
        { .name = "quota-objects", .type = PARAM_INTEGER, .text = "Most objects; 0: no limit." },
        P_APPLICATION("For a pool that has none yet."),
        P_NODE_END,
};

static const Param pool_destroy_params[] = {
        P_POOL,
        P_CEPH,
        { .name = "client", .text = "Remove this Ceph user, too." },
        { .name = "dry-run", .type = PARAM_BOOLEAN, .text = "Only say whether it could be removed." },
        P_NODE_END,
};

static const Param flatten_params[] = {
        P_STORAGE,
        { .name = "volume", .flags = POS, .text = "Name of the volume, without the storage's." },
        P_NODE_END,
};

static const Param cephfs_params[] = {
        { .name = "monhost", .text = "Monitors of the cluster that is meant; default: this node's ceph.conf." },
        { .name = "username", .text = "User of that cluster, without \"client.\"; default admin." },
        { .name = "keyring", .text = "File with that user's key, on the node." },
        P_NODE_END,
};

const Verb ceph_verbs[] = {
        { .name = "scan cephfs",
          .text = "File systems of a Ceph cluster.",
          .params = cephfs_params,
          .method = "GET",
          .path = NODE "/scan/cephfs",
          .show = show_scan },
        { .name = "ceph health",
          .text = "Checks that the Ceph cluster raises: what they mean for the storages here, and what to do.",
          .params = ceph_params,
          .method = "GET",
          .path = NODE "/ceph/health",
          .show = show_ceph_health },
        { .name = "ceph status",
          .text = "State of the Ceph cluster, as it tells it.",
          .params = ceph_params,
          .method = "GET",
          .path = NODE "/ceph/status",
          .show = show_object },
        { .name = "ceph repair",
          .text = "Repairs what the checks are about, where that is safe; the proof is the cluster's health.",
          .params = ceph_repair_params,
          .method = "POST",
          .path = NODE "/ceph/repair",
          .run = run_task },
        { .name = "ceph pool list",
          .text = "Pools of the Ceph cluster.",
          .params = ceph_params,
          .method = "GET",
          .path = NODE "/ceph/pool",
          .show = show_ceph_pools },
        { .name = "ceph pool create",
          .text = "Makes a pool, ready for use, and if wished a Ceph user and a storage: all of it or nothing.",
          .params = pool_create_params,
          .method = "POST",
          .path = NODE "/ceph/pool",
          .run = run_task },
        { .name = "ceph pool set",
          .text = "Changes a pool.",
          .params = pool_set_params,
          .method = "PUT",
          .path = NODE "/ceph/pool/{pool}" },
        { .name = "ceph pool destroy",
          .text = "Removes a pool. Refused while a storage, image or other application uses it.",
          .params = pool_destroy_params,
          .method = "DELETE",
          .path = NODE "/ceph/pool/{pool}",
          .run = run_task },
        { .name = "rbd flatten",
          .text = "Gives a linked clone all its data, so that it needs its template no more.",
          .params = flatten_params,
          .method = "POST",
          .path = NODE "/actions/rbd/flatten",
          .run = run_task },
        { 0 },
};
