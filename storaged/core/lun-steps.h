/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One job on LUNs: what lun-scan.c, lun-resize.c and lun-remove.c share. Inside core. */
#include "core/lun-job.h"

typedef struct ClusterLock ClusterLock;
typedef struct Task Task;

#define LUN_ARGS_MAX 3u

struct LunJob {
        Core *core;
        Task *task;
        ClusterLock *lock;
        ClusterLock *pv_lock; /* resize: of the storage on the volume group */
        char *wwid, *target, *lun, *node, *user;
        bool force;
        void (*run)(LunJob *j); /* when the lock is there */
        json_object *matrix;    /* of luns_cluster_query(); or NULL */
        json_object *journal;   /* or NULL */
        StrList nodes;          /* who takes part */
        uint64_t bytes;         /* resize */
        unsigned tries;
        sd_event_source *delay;
        struct storaged_error failure; /* what a way back ends with */
        /* the step under way */
        const char *action;
        struct storaged_pair args[LUN_ARGS_MAX];
        size_t n_args;
        char *values[LUN_ARGS_MAX];
        everywhere_fn on_step;
};

/* The row and its LUN on a node; borrowed; NULL. */
json_object *lun_job_row(const LunJob *j);
/* Opens the task, answers with its UPID, takes the lock if there is to be one, and calls run. */
void lun_job_begin(Core *c, const char *type, const LunRequest *rq, bool is_locked, void (*run)(LunJob *j), reply_fn fn,
                   void *userdata);
/* Everything is over: the task ends, the lock goes. result: borrowed, or NULL. */
void lun_job_end(LunJob *j, json_object *result, const struct storaged_error *err);
void lun_job_fail(LunJob *j, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Asks all nodes for the LUN anew, then calls fn with j->matrix set; a failure ends the job. */
void lun_job_look(LunJob *j, void (*fn)(LunJob *j));
/* Argument of the next step; copied. */
void lun_job_arg(LunJob *j, const char *key, const char *value);
/* The action on j->nodes (none: all members), with the arguments given; they are dropped. */
void lun_job_step(LunJob *j, const char *action, everywhere_fn fn);
/* The first failure among the answers, its sentence logged; NULL: none. */
const NodeAnswer *lun_job_find_failure(LunJob *j, const NodeAnswer *answers, size_t n);
/* fn after a pause. */
void lun_job_later(LunJob *j, uint64_t usec, void (*fn)(LunJob *j));
