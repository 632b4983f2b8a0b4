/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An action goes: is it declared, is its storage usable → task → worker → answer. Which worker: a short one about a
 * storage takes its turn in the storage's own; what is long, or about no storage, has one for itself.
 */
#include "core/action.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/storage.h"
#include "core/task.h"
#include "wire/json.h"

#define TIMEOUT_USEC (30 * USEC_PER_SEC)
#define SLOW_TIMEOUT_USEC \
        (300 * USEC_PER_SEC) /* STORAGED_ACTION_SLOW: sanlock with long timeouts needs more than a minute */

typedef struct ActionJob {
        Core *core;
        reply_fn fn; /* NULL once answered */
        void *userdata;
        void (*log)(void *userdata, int level, const char *text);
        char *storage; /* or NULL */
        bool changes;
        Task *task;
        OneShot *oneshot;
} ActionJob;

static void job_answer(ActionJob *j, const Reply *reply, const struct storaged_error *err)
{
        reply_fn fn = j->fn;

        j->fn = NULL;
        if (fn)
                fn(j->userdata, err ? NULL : reply, err);
}

static void job_free(ActionJob *j)
{
        free(j->storage);
        free(j);
}

static void on_done(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        ActionJob *j = userdata;
        Reply reply = { .raw = body, .raw_len = len };
        AUTO_JSON *result = NULL;

        if (j->storage && j->changes)
                storage_touch(j->core, j->storage);
        if (j->task) {
                if (!err && json_parse(body, len, &result) >= 0)
                        task_set_result(j->task, result);
                task_finish(j->task, err);
        }
        job_answer(j, &reply, err);
        job_free(j);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total)
{
        ActionJob *j = userdata;

        if (j->task)
                task_progress(j->task, done, total);
}

static void on_log(void *userdata, int level, const char *text)
{
        ActionJob *j = userdata;

        if (j->task && level <= STORAGED_LOG_INFO)
                task_log(j->task, "%s", text);
        if (j->log)
                j->log(j->userdata, level, text);
}

static void on_cancel(void *userdata)
{
        ActionJob *j = userdata;

        if (j->oneshot)
                oneshot_cancel(j->oneshot);
}

static int worker_args(const ActionCall *call, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        json_object *params = json_object_new_object();
        int r = o && params ? 0 : -ENOMEM;

        for (size_t i = 0; i < call->n_args && r >= 0; i++)
                r = json_add_string(params, call->args[i].key, call->args[i].value);
        if (r < 0)
                json_object_put(params);
        else
                r = json_add(o, "params", params);
        if (r >= 0)
                r = json_add_string(o, "action", call->action);
        if (r < 0)
                return r;
        *ret = TAKE(o);
        return 0;
}

static int open_task(ActionJob *j, const ActionCall *call, struct storaged_error *err)
{
        AUTO_JSON *upid = NULL;
        int r = task_new(j->core->tasks, call->action, call->storage ? call->storage : call->type,
                         call->user ? call->user : "root@pam", &j->task, err);

        if (r < 0)
                return r;
        task_on_cancel(j->task, on_cancel, j);
        upid = json_object_new_string(task_get_upid(j->task));
        job_answer(j, &(Reply){ .data = upid }, NULL);
        return 0;
}

/* 0: on_done() follows. */
static int job_start(ActionJob *j, const ActionCall *call, struct storaged_error *err)
{
        const Type *type = schema_find(j->core->schema, call->type);
        json_object *action = type ? type_find_action(type, call->action) : NULL;
        bool has_storage = json_get_bool(action, "storage", false), is_long = json_get_bool(action, "task", false);
        StorageCall worker = { .op = "act", .fd = -1, .done = on_done, .progress = on_progress, .log = on_log };
        const StorageConfig *s = NULL;
        AUTO_JSON *args = NULL;
        int r;

        if (!action || !type_has_op(type, SCHEMA_OP_ACT))
                return error_set(err, -EOPNOTSUPP, "node '%s': type '%s' has no action '%s'", j->core->node, call->type,
                                 call->action);
        if (has_storage) {
                s = core_find_usable(j->core, call->storage ? call->storage : "", err);
                if (!s)
                        return err->code;
                if (s->type != type)
                        return error_set_param(err, -EINVAL, "storage", "storage '%s' is of type '%s', not '%s'", s->id,
                                               s->type_name, call->type);
        }
        j->storage = s ? strdup(s->id) : NULL;
        j->changes = !json_get_bool(action, "read", false);
        r = s && !j->storage ? -ENOMEM : worker_args(call, &args);
        if (r < 0)
                return error_set(err, r, "%s: out of memory", call->action);
        if (is_long && !call->is_direct && open_task(j, call, err) < 0)
                return err->code;
        worker.args = args;
        worker.is_one_of_many = !s && !is_long && json_get_bool(action, "series", false);
        worker.userdata = j;
        worker.timeout_usec = is_long                                ? 0
                              : call->timeout_usec                   ? call->timeout_usec
                              : json_get_bool(action, "slow", false) ? SLOW_TIMEOUT_USEC
                                                                     : TIMEOUT_USEC;
        return s && !is_long ? storage_submit(j->core, s, &worker, err)
                             : oneshot_run(j->core, type, s, &worker, &j->oneshot, err);
}

void action_run(Core *c, const ActionCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ActionJob *j = calloc(1, sizeof(*j));

        if (!j) {
                (void) error_set(&err, -ENOMEM, "%s: out of memory", call->action);
                fn(userdata, NULL, &err);
                return;
        }
        *j = (ActionJob){ .core = c, .fn = fn, .userdata = userdata, .log = call->log };
        if (job_start(j, call, &err) >= 0)
                return;
        if (j->task)
                task_finish(j->task, &err);
        job_answer(j, NULL, &err);
        job_free(j);
}
