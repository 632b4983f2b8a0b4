/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker for one call: started, (activated,) called, let go. Used for long work, so that a storage's
 * own worker stays free, and for plugins without a storage (scan, check_config). What is done to volume groups and LUNs
 * is many such calls in a row, and to start a worker takes longer than most of them: the last one is kept for a while.
 */
#include "core/storage.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "wire/json.h"

#define ACTIVATE_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define CANCEL_GRACE_USEC (3 * USEC_PER_SEC)
#define SPARE_USEC (60 * USEC_PER_SEC)

struct OneShot {
        Core *core;
        bool has_storage;
        Worker *worker;
        StorageCall call;
        char *op, *label;
        json_object *args;
        int fd;
        bool is_over;
        bool is_gone;           /* its worker has ended */
        sd_event_source *spare; /* it waits for the next call, until then */
};

static void oneshot_free(OneShot *o)
{
        (void) sd_event_source_disable_unref(o->spare);
        (void) worker_free(o->worker);
        closep(&o->fd);
        json_object_put(o->args);
        free(o->op);
        free(o->label);
        free(o);
}

/* --- the spare one */

void oneshot_drop_spare(Core *c)
{
        if (c->spare)
                oneshot_free(c->spare);
        c->spare = NULL;
}

static int on_spare_time_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        OneShot *o = userdata;

        (void) source;
        (void) usec;
        oneshot_drop_spare(o->core);
        return 0;
}

static bool oneshot_keep(OneShot *o)
{
        Core *c = o->core;

        if (!o->call.is_one_of_many || o->has_storage || o->is_gone || c->is_stopping || c->spare ||
            sd_event_add_time_relative(c->event, &o->spare, CLOCK_MONOTONIC, SPARE_USEC, 0, on_spare_time_over, o) < 0)
                return false;
        c->spare = o;
        return true;
}

/* The spare one, if it is of that type; it is the caller's then. */
static OneShot *take_spare(Core *c, const char *type)
{
        OneShot *o = c->spare;

        if (!o || o->is_gone || !str_eq(o->label, type) || !worker_is_idle(o->worker))
                return NULL;
        c->spare = NULL;
        o->spare = sd_event_source_disable_unref(o->spare);
        json_object_put(o->args);
        o->args = NULL;
        free(o->op);
        o->op = NULL;
        closep(&o->fd);
        o->fd = -EBADF;
        o->is_over = false;
        return o;
}

/* --- the call */

static void oneshot_end(OneShot *o, const char *body, size_t len, const struct storaged_error *err)
{
        StorageCall call = o->call;
        bool is_kept;

        if (o->is_over)
                return;
        o->is_over = true;
        is_kept = !err && oneshot_keep(o);
        call.done(call.userdata, body, len, err); /* whoever is told may take the spare one at once */
        if (!is_kept)
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
        o->is_gone = true;
        log_full(why->code == -ECANCELED ? LOG_DEBUG : LOG_WARNING, 0, NULL, "%s", why->text);
}

static void on_ended(void *userdata, const char *label)
{
        storage_clean_up(userdata, label);
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

static int oneshot_start(OneShot *o, const Type *type, const StorageConfig *s, struct storaged_error *err)
{
        AUTO_JSON *start = storage_start_args(o->core, s);
        WorkerSpec spec = { .plugin_path = type->plugin_path,
                            .label = o->label,
                            .start = start,
                            .gone = on_gone,
                            .log = on_log,
                            .userdata = o,
                            .ended = o->has_storage ? on_ended : NULL,
                            .ended_userdata = o->core };

        return start ? worker_new(o->core->workers, &spec, &o->worker, err) : -ENOMEM;
}

int oneshot_run(Core *c, const Type *type, const StorageConfig *s, const StorageCall *call, OneShot **ret,
                struct storaged_error *err)
{
        OneShot *o = call->is_one_of_many && !s ? take_spare(c, type->name) : NULL;
        int r = -ENOMEM;

        if (!o)
                o = calloc(1, sizeof(*o));
        if (!o)
                goto out;
        o->fd = call->fd >= 0 ? fcntl(call->fd, F_DUPFD_CLOEXEC, 3) : -EBADF;
        o->core = c;
        o->has_storage = s != NULL;
        o->call = *call;
        o->op = strdup(call->op);
        o->label = o->label ? o->label : strdup(s ? s->id : type->name);
        o->args = json_object_get(call->args);
        if (!o->op || !o->label)
                goto out;
        r = o->worker ? 0 : oneshot_start(o, type, s, err);
        if (r >= 0)
                r = oneshot_begin(o, err);
        if (r >= 0 && ret)
                *ret = o;
out:
        if (r == -ENOMEM)
                (void) error_set(err, r, "%s: out of memory", call->op);
        if (r < 0 && o)
                oneshot_free(o);
        return r;
}

void oneshot_cancel(OneShot *o)
{
        worker_cancel(o->worker, CANCEL_GRACE_USEC);
}
