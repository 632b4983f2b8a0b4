/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The storages in use on this node: for each a worker, a queue of calls, and what is known of its state.
 * A storage that does not answer fails its own calls at once and nobody else's.
 */
#include "core/core.h"

#include "host/worker.h"

enum storage_state {
        STORAGE_UNKNOWN, /* not asked yet */
        STORAGE_ACTIVE,
        STORAGE_INACTIVE,     /* answers, but can't be used; see reason */
        STORAGE_UNRESPONSIVE, /* does not answer */
};

typedef struct StorageStatus {
        enum storage_state state;
        uint64_t total_bytes, avail_bytes, used_bytes;
        uint64_t checked_usec;            /* CLOCK_MONOTONIC, 0: never */
        uint64_t since_usec;              /* in this state since */
        char reason[STORAGED_ERROR_TEXT]; /* of an active one: what is wrong all the same */
        char repairs[128];                /* codes of checks that can be repaired without asking */
} StorageStatus;

typedef struct StorageCall {
        const char *op;
        json_object *args;     /* borrowed */
        int fd;                /* goes along; borrowed; -1: none */
        uint64_t timeout_usec; /* without a sign of life */
        bool needs_activation;
        bool is_pure;        /* only computes: answered even while the storage hangs */
        worker_done_fn done; /* called exactly once if the submission returned 0, maybe before it returned */
        worker_progress_fn progress;
        worker_ask_fn ask; /* or NULL */
        void (*log)(void *userdata, int level,
                    const char *text); /* of a worker of its own; besides the journal; or NULL */
        void *userdata;
        bool is_one_of_many; /* of a one-shot without a storage: the worker waits some seconds for the next one */
} StorageCall;

int storage_table_new(StorageTable **ret, Core *c);
StorageTable *storage_table_free(StorageTable *t);
DEFINE_CLEANUP(StorageTable *, storage_table_free)

/* After a change of the configuration: lets go of storages that went or changed, begins to watch new ones. */
void storage_table_sync(StorageTable *t);

/* Queues a call for the storage's own worker. Fails at once while the storage is unresponsive; `done` is not called
 * then. */
int storage_submit(Core *c, const StorageConfig *s, const StorageCall *call, struct storaged_error *err);

/* Asks for the state anew (once, however many ask) and calls `fn` when the answer or its deadline is there. */
void storage_refresh(Core *c, const StorageConfig *s, void (*fn)(void *userdata), void *userdata);
/* What is known; never NULL for a usable storage. */
const StorageStatus *storage_get_status(Core *c, const StorageConfig *s);
/* A call has changed what is stored: the known figures are old. */
void storage_touch(Core *c, const char *id);
/* The kernel has let go of a worker that was killed at its work: what it left is cleaned up (by an activation). */
void storage_clean_up(Core *c, const char *id);
const char *storage_state_to_string(enum storage_state state);

/* A worker for one call: long work, or a storage that is not defined yet. */
typedef struct OneShot OneShot;

/* Without `s` only the plugin is loaded (check_config, scan). A needs_activation call is preceded by "activate". */
int oneshot_run(Core *c, const Type *type, const StorageConfig *s, const StorageCall *call, OneShot **ret,
                struct storaged_error *err);
/* The work is asked to stop, then killed; `done` is called with -ECANCELED. */
void oneshot_cancel(OneShot *o);
/* The worker that waits for another call of its kind (StorageCall.is_one_of_many) is let go. */
void oneshot_drop_spare(Core *c);

/* Arguments of a worker's "start" for this storage (NULL: plugin only); new reference or NULL. */
json_object *storage_start_args(Core *c, const StorageConfig *s);
