/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker for one call: started, (activated,) called, let go. Used for long work, so that a storage's
 * own worker stays free, and for plugins without a storage (scan, check_config).
 */
#include "core/storage.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define ACTIVATE_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define CANCEL_GRACE_USEC (3 * USEC_PER_SEC)

struct OneShot {
        Core *core;
        bool has_storage;
        Worker *worker;
        StorageCall call;
        char *op, *label;
        json_object *args;
        int fd;
        bool is_over;
};

static void oneshot_free(OneShot *o)
{
        (void) worker_free(o->worker);
        closep(&o->fd);
        json_object_put(o->args);
        free(o->op);
        free(o->label);
        free(o);
}

static void oneshot_end(OneShot *o, const char *body, size_t len, const struct storaged_error *err)
{
        StorageCall call = o->call;

        if (o->is_over)
                return;
        o->is_over = true;
        call.done(call.userdata, body, len, err);
        oneshot_free(o);
}

static void on_done(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        oneshot_end(userdata, body, len, err);
}

/* The running call's own completion follows and ends it; without a call nobody waits. */
static void on_gone(void *userdata, Worker *w, const struct storaged_error *why)
{
        OneShot *o = userdata;

        (void) w;
        if (o->has_storage)
                storage_clean_up(o->core, o->label);
        log_full(why->code == -ECANCELED ? LOG_DEBUG : LOG_WARNING, 0, NULL, "%s", why->text);
}

static void on_log(void *userdata, int level, const char *text)
{
        OneShot *o = userdata;
        LogContext context = { .storage = o->label };

        log_full(level, 0, &context, "%s", text);
        if (o->call.log && !o->is_over)
                o->call.log(o->call.userdata, level, text);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total)
{
        OneShot *o = userdata;

        if (o->call.progress)
                o->call.progress(o->call.userdata, done, total);
}

static int on_ask(void *userdata, json_object *ret, struct storaged_error *err)
{
        OneShot *o = userdata;

        return o->call.ask && !o->is_over ? o->call.ask(o->call.userdata, ret, err) : 0;
}

static int oneshot_call(OneShot *o, struct storaged_error *err)
{
        WorkerCall call = { .op = o->op,
                            .args = o->args,
                            .fd = o->fd,
                            .timeout_usec = o->call.timeout_usec,
                            .done = on_done,
                            .progress = on_progress,
                            .ask = on_ask,
                            .userdata = o };

        return worker_call(o->worker, &call, err);
}

static void on_activated(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        OneShot *o = userdata;

        (void) body;
        (void) len;
        if (err)
                oneshot_end(o, NULL, 0, err);
        else if (oneshot_call(o, &failure) < 0)
                oneshot_end(o, NULL, 0, &failure);
}

static int oneshot_begin(OneShot *o, struct storaged_error *err)
{
        WorkerCall activate = {
                .op = "activate", .fd = -1, .timeout_usec = ACTIVATE_TIMEOUT_USEC, .done = on_activated, .userdata = o
        };

        return o->call.needs_activation ? worker_call(o->worker, &activate, err) : oneshot_call(o, err);
}

int oneshot_run(Core *c, const Type *type, const StorageConfig *s, const StorageCall *call, OneShot **ret,
                struct storaged_error *err)
{
        json_object *start = storage_start_args(c, s);
        OneShot *o = calloc(1, sizeof(*o));
        WorkerSpec spec;
        int r = -ENOMEM;

        if (!o || !start)
                goto out;
        o->fd = call->fd >= 0 ? fcntl(call->fd, F_DUPFD_CLOEXEC, 3) : -EBADF;
        o->core = c;
        o->has_storage = s != NULL;
        o->call = *call;
        o->op = strdup(call->op);
        o->label = strdup(s ? s->id : type->name);
        o->args = json_object_get(call->args);
        if (!o->op || !o->label)
                goto out;
        spec = (WorkerSpec){ .plugin_path = type->plugin_path,
                             .label = o->label,
                             .start = start,
                             .gone = on_gone,
                             .log = on_log,
                             .userdata = o };
        r = worker_new(c->workers, &spec, &o->worker, err);
        if (r >= 0)
                r = oneshot_begin(o, err);
        if (r >= 0 && ret)
                *ret = o;
out:
        if (r == -ENOMEM)
                (void) error_set(err, r, "%s: out of memory", call->op);
        if (r < 0 && o)
                oneshot_free(o);
        json_object_put(start);
        return r;
}

void oneshot_cancel(OneShot *o)
{
        worker_cancel(o->worker, CANCEL_GRACE_USEC);
}
