/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a job on LUNs: a task that everybody can follow, one lock of the cluster, so that two jobs never meet on
 * a LUN, and steps, each the same action on all nodes at once. What a step means is in lun-scan.c, lun-resize.c,
 * lun-remove.c.
 */
#include "core/lun-steps.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/lock.h"
#include "core/action.h"
#include "core/lun-cluster.h"
#include "core/lun-journal.h"
#include "core/lun.h"
#include "core/task.h"
#include "wire/json.h"

#define TYPE "multipath"
#define LOCK_NAME "storaged-luns"
#define LOCK_WAIT_USEC (60 * USEC_PER_SEC)

static void drop_args(LunJob *j)
{
        for (size_t i = 0; i < LUN_ARGS_MAX; i++) {
                free(j->values[i]);
                j->values[i] = NULL;
        }
        j->n_args = 0;
}

static void job_free(LunJob *j)
{
        (void) cluster_lock_release(j->lock);
        (void) sd_event_source_disable_unref(j->delay);
        json_object_put(j->matrix);
        json_object_put(j->journal);
        strlist_deinit(&j->nodes);
        drop_args(j);
        free(j->wwid);
        free(j->target);
        free(j->lun);
        free(j->node);
        free(j->user);
        free(j);
}

void lun_job_end(LunJob *j, json_object *result, const struct storaged_error *err)
{
        if (result && j->task)
                task_set_result(j->task, result);
        if (j->task)
                task_finish(j->task, err);
        luns_touch(j->core, "all");
        job_free(j);
}

void lun_job_fail(LunJob *j, int code, const char *fmt, ...)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        va_list ap;

        va_start(ap, fmt);
        (void) storaged_error_setv(&err, code, NULL, fmt, ap);
        va_end(ap);
        lun_job_end(j, NULL, &err);
}

static void on_lock(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        LunJob *j = userdata;

        j->lock = lock;
        if (err)
                lun_job_end(j, NULL, err);
        else
                j->run(j);
}

static int copy(char **to, const char *from)
{
        if (!from)
                return 0;
        *to = strdup(from);
        return *to ? 0 : -ENOMEM;
}

static int job_new(Core *c, const LunRequest *rq, LunJob **ret)
{
        LunJob *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        j->core = c;
        j->force = rq->force;
        j->failure = (struct storaged_error) STORAGED_ERROR_INIT;
        if (copy(&j->wwid, rq->wwid) < 0 || copy(&j->target, rq->target) < 0 || copy(&j->lun, rq->lun) < 0 ||
            copy(&j->node, rq->node) < 0 || copy(&j->user, rq->user ? rq->user : "root@pam") < 0) {
                job_free(j);
                return -ENOMEM;
        }
        *ret = j;
        return 0;
}

void lun_job_begin(Core *c, const char *type, const LunRequest *rq, bool is_locked, void (*run)(LunJob *j), reply_fn fn,
                   void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *upid = NULL;
        LunJob *j = NULL;
        int r;

        if (rq->wwid && !lun_wwid_is_valid(rq->wwid))
                r = error_set_param(&err, -EINVAL, "wwid", "'%s' is no WWID", rq->wwid);
        else if (job_new(c, rq, &j) < 0)
                r = error_set(&err, -ENOMEM, "out of memory");
        else
                r = task_new(c->tasks, type, rq->wwid ? rq->wwid : "", j->user, &j->task, &err);
        if (r < 0) {
                if (j)
                        job_free(j);
                fn(userdata, NULL, &err);
                return;
        }
        j->run = run;
        upid = json_object_new_string(task_get_upid(j->task));
        fn(userdata, &(Reply){ .data = upid }, NULL);
        if (!is_locked) {
                run(j);
                return;
        }
        r = cluster_lock_acquire(c->locks, LOCK_NAME, false, type, now_usec() + LOCK_WAIT_USEC, on_lock, j, &j->lock);
        if (r < 0)
                lun_job_fail(j, r, "can't take the lock '%s': %s", LOCK_NAME, strerror(-r));
}

/* --- looking */

typedef struct Look {
        LunJob *job;
        void (*fn)(LunJob *j);
} Look;

static void on_matrix(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Look look = *(Look *) userdata;

        free(userdata);
        if (err) {
                lun_job_end(look.job, NULL, err);
                return;
        }
        json_object_put(look.job->matrix);
        look.job->matrix = json_object_get(reply->data);
        look.fn(look.job);
}

void lun_job_look(LunJob *j, void (*fn)(LunJob *j))
{
        Look *look = calloc(1, sizeof(*look));

        if (!look) {
                lun_job_fail(j, -ENOMEM, "out of memory");
                return;
        }
        *look = (Look){ j, fn };
        luns_cluster_query(j->core, j->wwid, LUNS_FRESH, on_matrix, look);
}

json_object *lun_job_row(const LunJob *j)
{
        return luns_find_in(j->matrix, j->wwid);
}

/* --- steps */

void lun_job_arg(LunJob *j, const char *key, const char *value)
{
        if (!value || j->n_args >= LUN_ARGS_MAX)
                return;
        j->values[j->n_args] = strdup(value);
        j->args[j->n_args] = (struct storaged_pair){ key, j->values[j->n_args] };
        j->n_args += j->values[j->n_args] != NULL;
}

static void step_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        const LunJob *j = here_data;
        ActionCall call = { .type = TYPE,
                            .action = j->action,
                            .args = j->args,
                            .n_args = j->n_args,
                            .user = j->user,
                            .is_direct = true };

        action_run(c, &call, fn, userdata);
}

static void on_step_done(void *userdata, const NodeAnswer *answers, size_t n)
{
        LunJob *j = userdata;

        drop_args(j);
        j->on_step(j, answers, n);
}

void lun_job_step(LunJob *j, const char *action, everywhere_fn fn)
{
        AUTO(strbuf_deinit) StrBuf form = STRBUF_INIT;
        AUTO(freep) char *path = NULL;
        EverywhereCall call = { .nodes = j->nodes.n > 0 ? (const char *const *) j->nodes.items : NULL,
                                .method = "POST",
                                .user = j->user,
                                .here = step_here,
                                .here_data = j,
                                .fn = on_step_done,
                                .userdata = j };

        for (size_t i = 0; i < j->n_args; i++) {
                strbuf_addf(&form, "%s%s=", i > 0 ? "&" : "", j->args[i].key);
                everywhere_encode(&form, j->args[i].value);
        }
        strbuf_adds(&form, "");
        j->action = action;
        j->on_step = fn;
        if (strbuf_error(&form) < 0 || str_printf(&path, "/actions/" TYPE "/%s", action) < 0) {
                lun_job_fail(j, -ENOMEM, "out of memory");
                return;
        }
        call.path = path;
        call.form = form.data ? form.data : "";
        if (everywhere_ask(j->core, &call) < 0)
                lun_job_fail(j, -ENOMEM, "out of memory");
}

const NodeAnswer *lun_job_find_failure(LunJob *j, const NodeAnswer *answers, size_t n)
{
        const NodeAnswer *first = NULL;

        for (size_t i = 0; i < n; i++)
                if (!answers[i].data) {
                        task_log(j->task, "%s", answers[i].err.text);
                        first = first ? first : &answers[i];
                }
        return first;
}

/* --- waiting */

typedef struct Later {
        LunJob *job;
        void (*fn)(LunJob *j);
} Later;

static int on_later(sd_event_source *source, uint64_t usec, void *userdata)
{
        Later later = *(Later *) userdata;

        (void) source;
        (void) usec;
        free(userdata);
        later.job->delay = sd_event_source_disable_unref(later.job->delay);
        later.fn(later.job);
        return 0;
}

void lun_job_later(LunJob *j, uint64_t usec, void (*fn)(LunJob *j))
{
        Later *later = calloc(1, sizeof(*later));

        if (later)
                *later = (Later){ j, fn };
        if (!later ||
            sd_event_add_time_relative(j->core->event, &j->delay, CLOCK_MONOTONIC, usec, 0, on_later, later) < 0) {
                free(later);
                lun_job_fail(j, -ENOMEM, "out of memory");
        }
}
