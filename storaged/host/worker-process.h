/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What worker.c (one worker, its calls) and worker-process.c (its process, the pool) share. Not for others. */
#include <signal.h>

#include "host/worker.h"

#define END_GRACE_USEC (1 * USEC_PER_SEC) /* for a process that was asked to end */

typedef struct Process {
        WorkerPool *pool;
        struct Process *next;
        Worker *worker; /* NULL once its owner has let go */
        pid_t pid;
        char *label;
        worker_ended_fn ended;
        void *ended_userdata;
        sd_event_source *child, *kill_timer;
        bool is_killed, is_abandoned;
} Process;

struct WorkerPool {
        sd_event *event;
        char *worker_path;
        WorkerLimits limits;
        Process *processes;
        unsigned n_processes, n_abandoned;
};

/* The pool has it from then on; `owner` is told when it ends, unless it has let go (p->worker = NULL). */
int process_start(WorkerPool *pool, const WorkerSpec *spec, int socket, Worker *owner, Process **ret);
/* As if it had never been started; it has done nothing yet. */
Process *process_abort(Process *p);
/* It is to have ended after that time, or is killed. */
void process_arm(Process *p, uint64_t after_usec);
void process_kill(Process *p);

int worker_pool_check_limits(const WorkerPool *p, const WorkerSpec *spec, struct storaged_error *err);

/* Takes what the worker has sent; its owner may let go of it in that. */
void worker_drain(Worker *w);
/* Its process has ended and is no more. */
void worker_on_exit(Worker *w, const siginfo_t *si);
