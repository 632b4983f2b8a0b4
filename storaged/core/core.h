/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The daemon's state on one thread: paths, schema, configuration, storages in use, tasks, locks.
 * Requests come in as calls with a completion; nothing here blocks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

#include "base/fs.h"
#include "base/paths.h"
#include "core/config.h"
#include "core/schema.h"

typedef struct Asides Asides;
typedef struct ClusterLocks ClusterLocks;
typedef struct Links Links;
typedef struct Luns Luns;
typedef struct MultipathConfig MultipathConfig;
typedef struct Membership Membership;
typedef struct Recovery Recovery;
typedef struct Offload Offload;
typedef struct Overview Overview;
typedef struct Proofs Proofs;
typedef struct StorageTable StorageTable;
typedef struct Streams Streams;
typedef struct TaskStore TaskStore;
typedef struct VolumeUse VolumeUse;
typedef struct Watch Watch;
typedef struct WorkerPool WorkerPool;

#define GONE_AFTER_S 150u /* docs/decisions/0012-leases-and-tickets.md says why */

typedef struct CoreOptions {
        const char *root;        /* NULL: the real system */
        const char *node;        /* NULL: this host's name up to the first dot */
        const char *plugin_dir;  /* where the *.so are */
        const char *worker_path; /* the storaged-worker program */
        const char *listen;      /* address for other nodes; NULL: this node's own, if there are others */
        unsigned port;           /* for other nodes; 0: the default */
        unsigned max_workers;    /* processes at one time, tasks included */
        unsigned max_abandoned;  /* workers hanging in the kernel that are put up with */
        unsigned lock_life_s;    /* of cluster locks in a plain directory; 0: the default */
        unsigned gone_after_s;   /* out of the cluster for so long, a node is fenced; 0: the default */
        bool is_passive;         /* reads only: no storages, tasks or locks, nothing is made; beside a running daemon */
} CoreOptions;

typedef struct Core {
        Paths paths;
        char *node;
        sd_event *event;
        Schema *schema;
        Config *config;         /* the current snapshot; replaced as a whole */
        FsSeen config_seen;     /* the file as it was read */
        uint64_t config_turn;   /* of readings */
        bool is_config_old;     /* the last reading failed */
        bool is_config_unknown; /* it could not be read since the start */
        bool is_late;           /* the cluster file system did not answer at the start, nor since */
        WorkerPool *workers;
        struct OneShot *spare;      /* core/oneshot.c */
        StorageTable *storages;     /* core/storage.h */
        TaskStore *tasks;           /* core/task.h */
        Membership *members;        /* cluster/membership.h */
        ClusterLocks *locks;        /* cluster/lock.h */
        Asides *asides;             /* core/aside.h; NULL until the first */
        Offload *writes;            /* core/config-file.h; NULL until the first */
        struct Writing *writing;    /* that is under way: one, under its lock */
        Watch *watch;               /* cluster/watch.h: what other nodes change */
        Links *links;               /* core/links.h; NULL: passive */
        MultipathConfig *multipath; /* core/multipath-config.h; NULL: passive */
        Luns *luns;                 /* core/lun.h; NULL: passive */
        Streams *streams;           /* core/stream.h */
        Proofs *proofs;             /* core/proof.h */
        Overview *overview;         /* core/overview.h */
        VolumeUse *uses;            /* core/volume-use.h */
        Recovery *recovery;         /* core/migrate.h */
        unsigned gone_after_s;      /* CoreOptions */
        uint32_t *containers;       /* vmids, as the cluster directory had them last */
        size_t n_containers;
        sd_event_source *config_watch, *reread;
        bool is_stopping;    /* nothing new is begun */
        bool is_passive;     /* storages, tasks and locks are NULL */
        int root_lock;       /* two daemons on one root would undo each other's work */
        uint64_t start_usec; /* CLOCK_REALTIME */
} Core;

/*
 * The answer to a call: `data` is borrowed (may be NULL: JSON null); `raw` is JSON text ready to be sent
 * instead of `data`, also borrowed. On failure both are absent and `err` is set.
 */
typedef struct Reply {
        json_object *data;
        const char *raw;
        size_t raw_len;
} Reply;

typedef void (*reply_fn)(void *userdata, const Reply *reply, const struct storaged_error *err);

int core_new(Core **ret, const CoreOptions *options, sd_event *event, struct storaged_error *err);
Core *core_free(Core *c);
DEFINE_CLEANUP(Core *, core_free)

/* Reads storage.cfg again if its text has changed; storages that went or changed are told. */
int core_reload_config(Core *c, struct storaged_error *err);
/* The same, but looks at the file's times first: cheap enough for every request, so that none sees an old file. */
void core_freshen_config(Core *c);
/* 0; -ETIMEDOUT with `err`: storage.cfg could not be read yet, so nothing is known of the storages. */
int core_check_config(const Core *c, struct storaged_error *err);
/* The cluster file system answers, for the first time since the start. */
void core_catch_up(Core *c);
/* The storage of that id, usable on this node, with a plugin; else NULL and a clear `err`. */
const StorageConfig *core_find_usable(Core *c, const char *id, struct storaged_error *err);
/* The cluster locks this daemon holds or waits for: array of {name, node, reason, held_for, waiting}. New reference. */
json_object *core_locks_to_json(Core *c);
/* {"running", "abandoned", "max_workers", "max_abandoned"}; new reference, NULL if out of memory. */
json_object *core_workers_to_json(const Core *c);
/* What is not known yet, for the start of the daemon: states of usable storages, the cluster. */
unsigned core_count_unknown(const Core *c);
