/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The replicated state machine: takes changes from this node's users, has them ordered, applies those of all members,
 * stores them, and answers. Knows neither FUSE nor what the files mean.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "clusterfs/clusterlog.h"
#include "clusterfs/corosync.h"
#include "clusterfs/db.h"
#include "clusterfs/op.h"
#include "clusterfs/tree.h"

typedef struct EngineOptions {
        const char *state_dir; /* <dir>/clusterfs.db, <dir>/conflicts/ */
        const char *node;      /* our name */
        bool is_local;         /* no Corosync: one node, quorate */
        bool is_full;          /* acknowledged = on the disk here, and applied by a majority */
        uint64_t max_bytes;
        uint64_t lock_usec;   /* age at which a lock may be dropped */
        uint64_t verify_usec; /* how often the first member has all compare their trees */
        uint16_t wire_max, wire_min;
} EngineOptions;

#define ENGINE_VERIFY_USEC (3600 * UINT64_C(1000000))
#define ENGINE_LOCK_USEC (120 * UINT64_C(1000000))

typedef struct EngineEvents {
        /* What is seen at `path` has changed; NULL: anything may have (a tree was taken from others). By `writer`. */
        void (*changed)(void *userdata, const char *path, uint64_t version, uint32_t writer);
        /* All that was ordered before this node's change number `sequence` has been applied; that change is next. */
        void (*ordered)(void *userdata, uint64_t sequence);
        /* Membership or quorum. */
        void (*membership)(void *userdata);
        void *userdata;
} EngineEvents;

typedef struct Engine Engine;

/* `result`: 0 or -errno; `ino`: the object created or changed. */
typedef void (*engine_done_fn)(void *userdata, int result, uint64_t ino);

int engine_new(sd_event *event, const EngineOptions *options, const EngineEvents *events, Engine **ret,
               struct storaged_error *err);
/* Commits what is pending; what is not yet answered is answered with -EIO. */
Engine *engine_free(Engine *e);
DEFINE_CLEANUP(Engine *, engine_free)

/* Nobody waits for an answer, and all is stored. */
bool engine_is_idle(const Engine *e);
/* Valid until the event loop runs again. */
const Tree *engine_tree(const Engine *e);
/* 0: changes may be made; -EACCES: no quorum; or why the database can't take any. */
int engine_can_write(const Engine *e);
bool engine_is_quorate(const Engine *e);
bool engine_is_local(const Engine *e);
/*
 * `op` is copied. `done` is called once, perhaps before this returns; NULL: nobody waits. -ENOENT: also if a member
 * does not understand the change (see engine_wire()); of a fenced one -ENOTTY, and -ETIMEDOUT if it is not known
 * whether it was made, because this node took the tree of others meanwhile.
 */
void engine_submit(Engine *e, const Op *op, engine_done_fn done, void *userdata);
/*
 * A change that changes nothing: `done` is called with -ENOENT when everything that anybody was told of before this
 * call has been applied here; any other error: it could not be ordered.
 */
void engine_order(Engine *e, engine_done_fn done, void *userdata);
/* The version of frame.h that all members understand. */
uint16_t engine_wire(const Engine *e);
/* The number of the last change that was sent; what is sent from now on has a higher one. */
uint64_t engine_sequence(const Engine *e);
/* Sends, stores and answers what has been collected: to be called after a batch of requests. */
void engine_settle(Engine *e);
/* Somebody would have this lock: -EACCES while it is not expired by our clock. */
int engine_ask_lock(Engine *e, uint64_t ino);
/* An entry of the cluster log, here and on all members. */
void engine_log(Engine *e, int priority, const char *tag, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void engine_log_entry(Engine *e, const LogEntry *entry);
const ClusterLog *engine_clusterlog(const Engine *e);
/* NULL in local mode. */
const ClusterInfo *engine_info(const Engine *e);
uint32_t engine_nodeid(const Engine *e);
/* One line for .debug and the service manager. */
void engine_describe(const Engine *e, StrBuf *b);
