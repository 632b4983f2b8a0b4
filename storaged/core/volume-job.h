/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One operation on volumes under way: who asked, its task, its lock, its worker. Inside core; callers
 * outside use core/volume.h.
 */
#include "core/storage.h"
#include "core/volume.h"

typedef struct Activation Activation;
typedef struct ClusterLock ClusterLock;
typedef struct Task Task;

/* How an operation is carried out; one row an enum volume_op. */
typedef struct VolumeOp {
        const char *name;      /* the worker's word for it */
        const char *task;      /* task type, or NULL: answered directly */
        int schema_op;         /* what the plugin must have; -1: nothing */
        uint32_t timeout_s;    /* without a sign of life; 0: none */
        bool has_volume;       /* args are about one volume */
        bool is_parsed;        /* its name must parse before anything is tried */
        bool needs_activation; /* unless the type has a control plane */
        bool is_data;          /* needs activation in any case */
        bool is_pure;
        bool is_locked;     /* changes metadata: under the storage's lock */
        bool is_own_worker; /* long: not in the storage's own worker */
        bool is_writer;     /* refused while the volume is being read by long work */
        bool is_reader;     /* keeps writers away meanwhile */
        bool is_leased;     /* core/activation.c does it: the lease comes first, then the plugin */
        bool ends_volume;   /* the name is gone afterwards, and so is its lease */
        bool gives_volume;  /* result {"volume"} becomes a volume id */
        bool changes_usage;
} VolumeOp;

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
        Activation *activation; /* of operations that are is_leased */
} VolumeJob;

extern const VolumeOp volume_ops[VOLUME_OP_MAX];

/* Ends the job: answers if nobody has been answered yet, closes the task, gives the lock back, frees it. */
void volume_job_end(VolumeJob *j, json_object *result, const struct storaged_error *err);
/* Opens the task and, unless the caller waits for the result, answers with its UPID. -errno: the job must be ended. */
int volume_job_open_task(VolumeJob *j, struct storaged_error *err);
/* Asks the worker for `op` with the job's args; `done` gets the answer. */
int volume_job_submit(VolumeJob *j, const char *op, worker_done_fn done, struct storaged_error *err);
/* core/volume-copy.c: from here on the job is the copy's. */
void volume_copy_begin(VolumeJob *j);
