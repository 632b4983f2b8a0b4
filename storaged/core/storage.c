/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storages in use on this node. Each has one worker, made when first needed and made anew after it
 * died, and a queue of calls that the worker gets one by one. What the storage is like is asked by
 * `refresh`: on demand, and by a timer where nothing else would tell (a probed plugin's server dies
 * silently) or where the storage was last seen unwell and may come back.
 *
 * Invariants: a call's `done` is called exactly once; while a storage is unresponsive its calls fail at
 * once; a worker that died is replaced at once, one that keeps dying after growing pauses.
 */
#include "core/storage.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "core/ceph.h"
#include "core/storage-queue.h"
#include "wire/json.h"

#define ACTIVATE_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define STATUS_TIMEOUT_USEC (3500 * USEC_PER_MSEC)
#define PROBE_INTERVAL_USEC (1200 * USEC_PER_MSEC)
#define PAUSE_MIN_USEC (1 * USEC_PER_SEC)
#define PAUSE_MAX_USEC (30 * USEC_PER_SEC)
#define PROBED_PAUSE_MAX_USEC (3 * USEC_PER_SEC) /* a probe is cheap: notice soon that the server is back */
#define ACTIVATION_PAUSE_MAX_USEC (300 * USEC_PER_SEC)
#define CRASH_WINDOW_USEC (10 * USEC_PER_SEC)

typedef struct Waiter {
        void (*fn)(void *userdata);
        void *userdata;
} Waiter;

typedef struct StorageRuntime {
        StorageTable *table;
        char *id;
        const Type *type;
        json_object *start; /* what the worker was or will be started with; a change means a new storage */
        Worker *worker;
        Queue queue;
        bool is_calling, is_activated, is_refreshing;
        bool is_retired; /* its definition went or changed: does what it has begun, then ends */
        bool is_closing;
        bool is_repair_tried; /* since the check is raised */
        StorageStatus status;
        sd_event_source *timer;                          /* the next look at it */
        sd_event_source *burial;                         /* of a retired one */
        uint64_t pause_usec;                             /* grows while it is unwell */
        uint64_t retry_usec;                             /* no worker is started before */
        uint64_t activation_usec, activation_pause_usec; /* next try after a failed activation */
        uint64_t last_crash_usec;
        char why_gone[STORAGED_ERROR_TEXT]; /* what the last worker died of */
        VEC(Waiter) waiters;                /* of the refresh under way */
} StorageRuntime;

struct StorageTable {
        Core *core;
        VEC(StorageRuntime *) retired;
        VEC(StorageRuntime *) items;
};

static void runtime_advance(StorageRuntime *rt);
static void runtime_refresh(StorageRuntime *rt);
static void runtime_bury(StorageRuntime *rt);

const char *storage_state_to_string(enum storage_state state)
{
        static const char *const names[] = { "unknown", "active", "inactive", "unresponsive" };

        return names[state];
}

static StorageRuntime *runtime_find(StorageTable *t, const char *id)
{
        for (size_t i = 0; t && i < t->items.n; i++)
                if (str_eq(t->items.items[i]->id, id))
                        return t->items.items[i];
        return NULL;
}

/* --- what is known */

static void runtime_set_state(StorageRuntime *rt, enum storage_state state, const char *reason)
{
        StorageStatus *s = &rt->status;
        LogContext context = { .storage = rt->id };

        s->checked_usec = now_usec();
        (void) snprintf(s->reason, sizeof(s->reason), "%s", reason ? reason : "");
        if (s->state == state)
                return;
        log_full(state == STORAGE_ACTIVE ? LOG_INFO : LOG_WARNING, 0, &context, "is %s%s%s",
                 storage_state_to_string(state), s->reason[0] ? ": " : "", s->reason);
        s->state = state;
        s->since_usec = s->checked_usec;
        if (state != STORAGE_ACTIVE)
                s->total_bytes = s->avail_bytes = s->used_bytes = 0;
}

static uint64_t next_pause(uint64_t pause, uint64_t max)
{
        if (pause == 0)
                return PAUSE_MIN_USEC;
        return pause * 2 > max ? max : pause * 2;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        runtime_refresh(userdata);
        return 0;
}

static void runtime_look_again(StorageRuntime *rt, uint64_t after_usec)
{
        if (rt->is_retired || rt->is_closing)
                return;
        if (rt->timer) {
                (void) sd_event_source_set_time_relative(rt->timer, after_usec);
                (void) sd_event_source_set_enabled(rt->timer, SD_EVENT_ONESHOT);
                return;
        }
        if (sd_event_add_time_relative(rt->table->core->event, &rt->timer, CLOCK_MONOTONIC, after_usec,
                                       100 * USEC_PER_MSEC, on_timer, rt) < 0)
                rt->timer = NULL; /* the next request looks instead */
}

/* A look is over: arrange the next one, tell those who wait. */
static void refresh_end(StorageRuntime *rt)
{
        VEC(Waiter) waiters = { 0 };

        rt->is_refreshing = false;
        if (rt->status.state == STORAGE_ACTIVE) {
                rt->pause_usec = 0;
                if (rt->type->is_probed)
                        runtime_look_again(rt, PROBE_INTERVAL_USEC);
        } else {
                rt->pause_usec =
                        next_pause(rt->pause_usec, rt->type->is_probed ? PROBED_PAUSE_MAX_USEC : PAUSE_MAX_USEC);
                runtime_look_again(rt, rt->pause_usec);
        }
        waiters.items = TAKE(rt->waiters.items);
        waiters.n = rt->waiters.n;
        rt->waiters.n = rt->waiters.size = 0;
        for (size_t i = 0; i < waiters.n; i++)
                waiters.items[i].fn(waiters.items[i].userdata);
        VEC_DEINIT(&waiters);
}

/* --- the worker */

static void on_log(void *userdata, int level, const char *text)
{
        StorageRuntime *rt = userdata;
        LogContext context = { .storage = rt->id, .plugin = rt->type->name };

        log_full(level, 0, &context, "%s", text);
}

static void on_gone(void *userdata, Worker *w, const struct storaged_error *why)
{
        StorageRuntime *rt = userdata;
        LogContext context = { .storage = rt->id };
        uint64_t now = now_usec();

        log_full(LOG_WARNING, 0, &context, "%s", why->text);
        (void) snprintf(rt->why_gone, sizeof(rt->why_gone), "%s", why->text);
        (void) worker_free(w);
        rt->worker = NULL;
        rt->is_calling = rt->is_activated = false;
        if (why->code == -ETIMEDOUT) {
                runtime_set_state(rt, STORAGE_UNRESPONSIVE, why->text);
                rt->pause_usec = next_pause(rt->pause_usec, PAUSE_MAX_USEC);
                rt->retry_usec = now + rt->pause_usec;
                runtime_look_again(rt, rt->pause_usec);
        } else if (rt->last_crash_usec && now - rt->last_crash_usec < CRASH_WINDOW_USEC) {
                rt->pause_usec = next_pause(rt->pause_usec, PAUSE_MAX_USEC);
                rt->retry_usec = now + rt->pause_usec;
        }
        if (why->code != -ETIMEDOUT)
                rt->last_crash_usec = now;
}

static int runtime_start_worker(StorageRuntime *rt, struct storaged_error *err)
{
        uint64_t now = now_usec();
        WorkerSpec spec = { .plugin_path = rt->type->plugin_path,
                            .label = rt->id,
                            .is_lasting = true,
                            .start = rt->start,
                            .gone = on_gone,
                            .log = on_log,
                            .userdata = rt };

        if (rt->worker)
                return 0;
        if (now < rt->retry_usec)
                return error_set(err, -EAGAIN,
                                 "storage '%s': its worker died repeatedly; it is started again in %.1f s; last: %s",
                                 rt->id, (double) (rt->retry_usec - now) / USEC_PER_SEC, rt->why_gone);
        return worker_new(rt->table->core->workers, &spec, &rt->worker, err);
}

static void on_call_done(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        StorageRuntime *rt = userdata;
        Queued *q = queue_pop(&rt->queue);

        rt->is_calling = false;
        if (q)
                queued_finish(q, body, len, err);
        if (err && rt->status.state == STORAGE_UNRESPONSIVE)
                queue_fail(&rt->queue, err);
        runtime_advance(rt);
}

static void on_call_progress(void *userdata, uint64_t done, uint64_t total)
{
        StorageRuntime *rt = userdata;

        if (rt->queue.head && rt->queue.head->call.progress)
                rt->queue.head->call.progress(rt->queue.head->call.userdata, done, total);
}

static int on_call_ask(void *userdata, json_object *ret, struct storaged_error *err)
{
        StorageRuntime *rt = userdata;

        return rt->queue.head && rt->queue.head->call.ask
                       ? rt->queue.head->call.ask(rt->queue.head->call.userdata, ret, err)
                       : 0;
}

/* The activation before the first call that needs it; its failure is that call's failure. */
static void on_activated(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        StorageRuntime *rt = userdata;
        Queued *q;

        (void) body;
        (void) len;
        rt->is_calling = false;
        rt->is_activated = !err;
        if (!err) {
                rt->activation_pause_usec = rt->activation_usec = 0;
                runtime_advance(rt);
                return;
        }
        rt->activation_pause_usec = next_pause(rt->activation_pause_usec, ACTIVATION_PAUSE_MAX_USEC);
        rt->activation_usec = now_usec() + rt->activation_pause_usec;
        if (rt->status.state != STORAGE_UNRESPONSIVE || err->code != -ETIMEDOUT)
                runtime_set_state(rt, err->code == -ETIMEDOUT ? STORAGE_UNRESPONSIVE : STORAGE_INACTIVE, err->text);
        q = queue_pop(&rt->queue);
        if (q)
                queued_finish(q, NULL, 0, err);
        if (!rt->is_refreshing)
                runtime_look_again(rt, PAUSE_MIN_USEC);
        runtime_advance(rt);
}

/* Hands the head of the queue to the worker, if both are there and the worker is free. */
static void runtime_advance(StorageRuntime *rt)
{
        while (rt->queue.head && !rt->is_calling) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                Queued *q = rt->queue.head;
                bool activate = q->call.needs_activation && !rt->is_activated;
                WorkerCall call = { .op = q->op,
                                    .args = q->args,
                                    .fd = q->fd,
                                    .timeout_usec = q->call.timeout_usec,
                                    .done = on_call_done,
                                    .progress = on_call_progress,
                                    .ask = on_call_ask,
                                    .userdata = rt };

                if (activate)
                        call = (WorkerCall){ .op = "activate",
                                             .fd = -1,
                                             .timeout_usec = ACTIVATE_TIMEOUT_USEC,
                                             .done = on_activated,
                                             .userdata = rt };
                if (runtime_start_worker(rt, &err) >= 0 && worker_call(rt->worker, &call, &err) >= 0) {
                        rt->is_calling = true;
                        return;
                }
                queued_finish(queue_pop(&rt->queue), NULL, 0, &err);
        }
        if (rt->is_retired && !rt->queue.head)
                runtime_bury(rt);
}

/* --- looking at it */

static int status_decode(const char *body, size_t len, StorageStatus *ret, bool *ret_active, char *ret_reason,
                         size_t size)
{
        AUTO_JSON *o = NULL;
        const char *text;
        int r = json_parse(body, len, &o);

        if (r < 0)
                return r;
        ret->total_bytes = json_get_uint(o, "total", 0);
        ret->avail_bytes = json_get_uint(o, "avail", 0);
        ret->used_bytes = json_get_uint(o, "used", 0);
        text = json_get_string(o, "reason");
        (void) snprintf(ret_reason, size, "%s", text ? text : "");
        text = json_get_string(o, "repairs");
        (void) snprintf(ret->repairs, sizeof(ret->repairs), "%s", text ? text : "");
        *ret_active = json_get_int(o, "active", 0) != 0;
        return 0;
}

static bool runtime_submit_refresh(StorageRuntime *rt, bool needs_activation);

/* Once for each time that the check appears: what could not be repaired is the administrator's. */
static void runtime_repair(StorageRuntime *rt)
{
        bool is_raised = rt->status.repairs[0] != '\0';
        const StorageConfig *s = config_find(rt->table->core->config, rt->id);

        if (is_raised && !rt->is_repair_tried && s)
                ceph_auto_repair(rt->table->core, s, rt->status.repairs);
        rt->is_repair_tried = is_raised;
}

static void on_status(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        StorageRuntime *rt = userdata;
        char reason[STORAGED_ERROR_TEXT];
        bool active;

        if (rt->is_retired || (err && rt->is_closing)) {
                /* says nothing about the storage */
        } else if (err) {
                bool silent = err->code == -ETIMEDOUT || err->code == -EHOSTUNREACH || err->code == -ECONNREFUSED ||
                              err->code == -ENETUNREACH || err->code == -EHOSTDOWN;

                runtime_set_state(rt, silent ? STORAGE_UNRESPONSIVE : STORAGE_INACTIVE, err->text);
        } else if (status_decode(body, len, &rt->status, &active, reason, sizeof(reason)) < 0) {
                runtime_set_state(rt, STORAGE_INACTIVE, "its worker sent a status that can't be read");
        } else if (active) {
                runtime_set_state(rt, STORAGE_ACTIVE, reason);
                runtime_repair(rt);
        } else {
                /* Reachable but not in use here: make it so, unless that has just failed. */
                if (rt->type->is_probed && !rt->is_activated && now_usec() >= rt->activation_usec &&
                    runtime_submit_refresh(rt, true))
                        return;
                if (rt->activation_pause_usec == 0 || rt->status.state != STORAGE_INACTIVE)
                        runtime_set_state(rt, STORAGE_INACTIVE, reason);
                rt->status.checked_usec = now_usec();
                rt->is_activated = false;
        }
        refresh_end(rt);
}

/* Puts a status call at the head of the queue: what is known should not wait behind what is asked. */
static bool runtime_submit_refresh(StorageRuntime *rt, bool needs_activation)
{
        StorageCall call = { .op = "status",
                             .fd = -1,
                             .timeout_usec = STATUS_TIMEOUT_USEC,
                             .needs_activation = needs_activation,
                             .done = on_status,
                             .userdata = rt };
        Queued *q = queued_new(&call);

        if (!q)
                return false;
        queue_push_front(&rt->queue, q, rt->is_calling);
        runtime_advance(rt);
        return true;
}

static void runtime_refresh(StorageRuntime *rt)
{
        if (rt->is_refreshing)
                return;
        rt->is_refreshing = true;
        if (!runtime_submit_refresh(rt, !rt->type->is_probed))
                refresh_end(rt);
}

void storage_refresh(Core *c, const StorageConfig *s, void (*fn)(void *userdata), void *userdata)
{
        StorageRuntime *rt = runtime_find(c->storages, s->id);
        Waiter w = { fn, userdata };

        if (!rt || VEC_PUSH(&rt->waiters, w) < 0) {
                fn(userdata);
                return;
        }
        runtime_refresh(rt);
}

const StorageStatus *storage_get_status(Core *c, const StorageConfig *s)
{
        static const StorageStatus nothing = { 0 };
        StorageRuntime *rt = runtime_find(c->storages, s->id);

        return rt ? &rt->status : &nothing;
}

void storage_touch(Core *c, const char *id)
{
        StorageRuntime *rt = runtime_find(c->storages, id);

        if (rt && rt->status.state == STORAGE_ACTIVE)
                rt->status.checked_usec = 0;
}

static void on_cleaned_up(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        (void) userdata;
        (void) body;
        (void) len;
        if (err && err->code != -ECANCELED)
                log_warning("%s", err->text); /* it is done again with the next activation */
}

void storage_clean_up(Core *c, const char *id)
{
        StorageCall call = { .op = "activate", .fd = -1, .timeout_usec = ACTIVATE_TIMEOUT_USEC, .done = on_cleaned_up };
        StorageRuntime *rt = runtime_find(c->storages, id);
        Queued *q = !rt || rt->status.state == STORAGE_UNRESPONSIVE ? NULL : queued_new(&call);

        if (!q)
                return;
        queue_push(&rt->queue, q);
        runtime_advance(rt);
}

int storage_submit(Core *c, const StorageConfig *s, const StorageCall *call, struct storaged_error *err)
{
        StorageRuntime *rt = runtime_find(c->storages, s->id);
        Queued *q;

        if (!rt)
                return error_set(err, -ENOENT, "storage '%s' is not in use on node '%s'", s->id, c->node);
        if (call->is_pure && (rt->is_calling || rt->status.state == STORAGE_UNRESPONSIVE))
                return oneshot_run(c, s->type, s, call, NULL, err);
        if (rt->status.state == STORAGE_UNRESPONSIVE)
                return error_set(err, -ETIMEDOUT, "storage '%s' is unresponsive for %.0f s: %s", s->id,
                                 (double) (now_usec() - rt->status.since_usec) / USEC_PER_SEC, rt->status.reason);
        q = queued_new(call);
        if (!q)
                return error_set(err, -ENOMEM, "storage '%s': out of memory", s->id);
        if (s->type->is_probed && q->call.needs_activation && !rt->is_activated)
                rt->activation_usec = 0; /* asked for by a person: try now */
        queue_push(&rt->queue, q);
        runtime_advance(rt);
        return 0;
}

/* --- the table */

static void runtime_free(StorageRuntime *rt, const char *why)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) error_set(&err, -ECANCELED, "storage '%s': %s", rt->id, why);
        rt->is_closing = true;
        rt->is_calling = true; /* nothing is begun any more */
        rt->worker = worker_free(rt->worker);
        rt->timer = sd_event_source_disable_unref(rt->timer);
        rt->burial = sd_event_source_disable_unref(rt->burial);
        queue_fail(&rt->queue, &err); /* a refresh under way is in it, and tells its waiters */
        VEC_DEINIT(&rt->waiters);
        json_object_put(rt->start);
        free(rt->id);
        free(rt);
}

static int on_burial(sd_event_source *source, void *userdata)
{
        StorageRuntime *rt = userdata;
        StorageTable *t = rt->table;

        (void) source;
        for (size_t i = 0; i < t->retired.n; i++)
                if (t->retired.items[i] == rt) {
                        VEC_REMOVE(&t->retired, i);
                        break;
                }
        runtime_free(rt, "its definition has changed");
        return 0;
}

/* Deferred: the last call's completion is still on the stack. */
static void runtime_bury(StorageRuntime *rt)
{
        if (!rt->burial && sd_event_add_defer(rt->table->core->event, &rt->burial, on_burial, rt) < 0)
                rt->burial = NULL; /* it stays, idle, until the daemon ends */
}

static bool storage_is_usable(Core *c, const StorageConfig *s)
{
        return s->type && s->type->has_plugin && !s->broken && storage_config_is_enabled_on(s, c->node);
}

static void on_let_go(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        (void) userdata;
        (void) body;
        (void) len;
        if (err && err->code != -EOPNOTSUPP && err->code != -ECANCELED)
                log_warning("%s", err->text); /* still in use: its mount stays until nobody uses it */
}

/* Removed, disabled or not for this node any more, whoever changed that: a network storage lets go of its mount. */
static void runtime_let_go(StorageRuntime *rt)
{
        const StorageConfig *s = config_find(rt->table->core->config, rt->id);
        StorageCall call = { .op = "deactivate", .fd = -1, .timeout_usec = ACTIVATE_TIMEOUT_USEC, .done = on_let_go };
        Queued *q;

        if (!rt->type->is_probed || (s && storage_is_usable(rt->table->core, s)))
                return;
        q = queued_new(&call);
        if (q)
                queue_push(&rt->queue, q);
}

/* What is running or waiting was asked of the old definition and is finished with it. */
static void runtime_retire(StorageRuntime *rt)
{
        runtime_let_go(rt);
        if (!rt->queue.head || VEC_PUSH(&rt->table->retired, rt) < 0) {
                runtime_free(rt, "its definition has changed");
                return;
        }
        rt->is_retired = true;
        rt->timer = sd_event_source_disable_unref(rt->timer);
        runtime_advance(rt);
}

static int runtime_new(StorageTable *t, const StorageConfig *s, json_object *start)
{
        StorageRuntime *rt = calloc(1, sizeof(*rt));

        if (!rt)
                return -ENOMEM;
        rt->table = t;
        rt->type = s->type;
        rt->id = strdup(s->id);
        queue_init(&rt->queue);
        if (!rt->id || VEC_PUSH(&t->items, rt) < 0) {
                free(rt->id);
                free(rt);
                return -ENOMEM;
        }
        rt->start = json_object_get(start);
        runtime_refresh(rt);
        return 0;
}

static bool runtime_is_current(StorageTable *t, const StorageRuntime *rt)
{
        const StorageConfig *s = config_find(t->core->config, rt->id);
        AUTO_JSON *start = NULL;

        if (!s || !storage_is_usable(t->core, s) || s->type != rt->type)
                return false;
        start = storage_start_args(t->core, s);
        return start && json_object_equal(start, rt->start);
}

int storage_table_new(StorageTable **ret, Core *c)
{
        StorageTable *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->core = c;
        *ret = t;
        return 0;
}

StorageTable *storage_table_free(StorageTable *t)
{
        if (!t)
                return NULL;
        /* Out of the table first: whoever is told of the end may ask for the storage again. */
        while (t->items.n > 0)
                runtime_free(t->items.items[--t->items.n], "storaged stops");
        while (t->retired.n > 0)
                runtime_free(t->retired.items[--t->retired.n], "storaged stops");
        VEC_DEINIT(&t->items);
        VEC_DEINIT(&t->retired);
        free(t);
        return NULL;
}

void storage_table_sync(StorageTable *t)
{
        for (size_t i = t->items.n; i-- > 0;) {
                StorageRuntime *rt = t->items.items[i];

                if (runtime_is_current(t, rt))
                        continue;
                VEC_REMOVE(&t->items, i);
                runtime_retire(rt);
        }
        for (size_t i = 0; i < t->core->config->n_storages; i++) {
                const StorageConfig *s = t->core->config->storages[i];
                AUTO_JSON *start = NULL;

                if (!storage_is_usable(t->core, s) || runtime_find(t, s->id))
                        continue;
                start = storage_start_args(t->core, s);
                if (!start || runtime_new(t, s, start) < 0)
                        log_error("storage '%s': out of memory", s->id);
        }
}
