/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Worker processes as the daemon sees them: started, called with a deadline, written off when they miss it.
 * One call at a time per worker; whoever owns the worker keeps the queue. Nothing here blocks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

typedef struct Worker Worker;
typedef struct WorkerPool WorkerPool;

typedef struct WorkerLimits {
        unsigned max_workers;
        unsigned max_abandoned;
} WorkerLimits;

int worker_pool_new(WorkerPool **ret, sd_event *event, const char *worker_path, const WorkerLimits *limits);
/* Ends all workers: EOF, then SIGKILL to those that stay. */
WorkerPool *worker_pool_free(WorkerPool *p);
DEFINE_CLEANUP(WorkerPool *, worker_pool_free)
unsigned worker_pool_count(const WorkerPool *p);
unsigned worker_pool_count_abandoned(const WorkerPool *p);
WorkerLimits worker_pool_get_limits(const WorkerPool *p);

/* Told once when the worker has ended or was written off; it takes no more calls. */
typedef void (*worker_gone_fn)(void *userdata, Worker *w, const struct storaged_error *why);
/* Result of a call: exactly one of body (JSON text, `len` bytes) and err is set. */
typedef void (*worker_done_fn)(void *userdata, const char *body, size_t len, const struct storaged_error *err);
typedef void (*worker_progress_fn)(void *userdata, uint64_t done, uint64_t total);
/*
 * The worker is about to commit: 0 if what guards the call still holds (then `ret` may get members that let the worker
 * see it, docs/protocol.md "answer"), else -errno with `err`: it commits nothing.
 */
typedef int (*worker_ask_fn)(void *userdata, json_object *ret, struct storaged_error *err);
typedef void (*worker_log_fn)(void *userdata, int level, const char *text);

/*
 * The kernel has let go of a process that did not end by itself in good order (it was killed, or died). Only from then
 * on is what it left behind known to be nobody's. The Worker and its owner may long be gone: `userdata` must outlive
 * the pool. Not called while the pool is freed.
 */
typedef void (*worker_ended_fn)(void *userdata, const char *label);

typedef struct WorkerSpec {
        const char *plugin_path;
        const char *label;  /* for log and errors: the storage's id, or the type */
        bool is_lasting;    /* a storage's own; some room is kept for tasks and checks */
        json_object *start; /* args of "start" (docs/protocol.md); borrowed */
        worker_gone_fn gone;
        worker_log_fn log;
        void *userdata;
        worker_ended_fn ended; /* or NULL */
        void *ended_userdata;
} WorkerSpec;

/* -EAGAIN with `err`: a limit is reached. */
int worker_new(WorkerPool *p, const WorkerSpec *spec, Worker **ret, struct storaged_error *err);
/* Lets it end: no more calls, EOF; its callbacks are not called again. NULL is fine. */
Worker *worker_free(Worker *w);
DEFINE_CLEANUP(Worker *, worker_free)

typedef struct WorkerCall {
        const char *op;
        json_object *args;     /* borrowed; may be NULL */
        int fd;                /* goes along; borrowed; -1: none */
        uint64_t timeout_usec; /* longest time without an answer or a sign of progress; 0: none */
        worker_done_fn done;
        worker_progress_fn progress; /* or NULL */
        worker_ask_fn ask;           /* or NULL: nothing guards it */
        void *userdata;
} WorkerCall;

/*
 * Begins a call: done is called later, exactly once (unless the worker is freed), never before this returns.
 * -EBUSY if one is running, -EMSGSIZE if the arguments are too large, -EPIPE if the worker is gone.
 */
int worker_call(Worker *w, const WorkerCall *call, struct storaged_error *err);
/* Asks the current call to stop at its next progress point; if it has not within grace_usec, the group is killed. */
void worker_cancel(Worker *w, uint64_t grace_usec);
bool worker_is_idle(const Worker *w);
/* How long the running call has been running, 0 if none. */
uint64_t worker_get_busy_usec(const Worker *w);
int worker_get_pid(const Worker *w);
