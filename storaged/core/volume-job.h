/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One operation on volumes under way: who asked, its task, its lock, its worker. Inside core; callers
 * outside use core/volume.h.
 */
#include "core/storage.h"
#include "core/volume-op.h"

typedef struct Activation Activation;
typedef struct ClusterLock ClusterLock;
typedef struct Task Task;

typedef struct VolumeJob {
        Core *core;
        const VolumeOp *op;
        char *storage, *volname, *user; /* volname "" where there is none */
        json_object *args;
        bool is_sync;
        reply_fn fn; /* NULL once answered */
        void *userdata;
        Task *task;
        ClusterLock *lock;
        OneShot *oneshot;
        sd_event_source *delay; /* until then the caller waits for the end, after it gets the UPID */
        VolumeUse *use;
        int stream_fd;          /* the worker's end of a stream that goes to or comes from another node; -EBADF */
        Activation *activation; /* of operations with OP_LEASED; of others while their lease is looked at or left */
        char *body;             /* the worker's answer, while the lease of a volume that is gone is removed */
} VolumeJob;

/* Ends the job: answers if nobody has been answered yet, closes the task, gives the lock back, frees it. */
void volume_job_end(VolumeJob *j, json_object *result, const struct storaged_error *err);
/* What its worker tells and asks, with the job as userdata. */
void volume_job_on_progress(void *userdata, uint64_t done, uint64_t total);
int volume_job_on_ask(void *userdata, json_object *ret, struct storaged_error *err);
/* Opens the task and, unless the caller waits for the result, answers with its UPID. -errno: the job must be ended. */
int volume_job_open_task(VolumeJob *j, struct storaged_error *err);
/* Asks the worker for `op` with the job's args; `done` gets the answer. */
int volume_job_submit(VolumeJob *j, const char *op, worker_done_fn done, struct storaged_error *err);
/* core/volume-copy.c: from here on the job is the copy's. */
void volume_copy_begin(VolumeJob *j);
