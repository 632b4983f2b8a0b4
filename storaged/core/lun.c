/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory as the daemon knows it. Nothing happens until somebody asks for LUNs; from then on the kernel's device
 * events are heard, and one worker stays that keeps what does not change of a disk. An event only makes what is known
 * old: the next who asks has it made anew, once for all who wait. So an idle daemon does nothing, a path that went down
 * is in the very next answer, and a thousand events in a row cost one look. A look that does not come back is given up
 * with its worker; those who wait get what is known, with the reason.
 */
#include "core/lun.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "core/lun-mark.h"
#include "core/storage.h"
#include "host/uevents.h"
#include "host/worker.h"
#include "wire/json.h"

#define PLUGIN "multipath"
#define LOOK_TIMEOUT_USEC (25 * USEC_PER_SEC)
#define KNOWN_FOR_USEC \
        (2 * USEC_PER_SEC) /* multipathd's checkers have states that no event tells: then a look is due */
#define USABLE_FOR_USEC (60 * USEC_PER_SEC)  /* until it is over, what is known is told, if no event says otherwise */
#define AFTERMATH_USEC (500 * USEC_PER_MSEC) /* multipathd hears of an event when we do, and needs a moment */
#define CHANGED_MAX 4096u                    /* bytes of names; more is "all" */

typedef struct Waiter {
        reply_fn fn;
        void *userdata;
        uint64_t look; /* the look that is good enough */
} Waiter;

struct Luns {
        Core *core;
        Uevents *uevents;
        Worker *worker;
        json_object *known;              /* NULL: never looked */
        uint64_t known_usec, event_usec; /* when it was made; when the last event came */
        uint64_t n_begun, n_done;        /* looks */
        bool is_looking, is_old;
        StrBuf changed; /* names for the next look */
        VEC(Waiter) waiters;
};

/* --- the worker */

static void look_begin(Luns *l);

static void luns_answer(Luns *l, const Waiter *w, const struct storaged_error *err)
{
        Reply reply = { .data = l->known };

        if (l->known) {
                json_object_object_del(l->known, "stale");
                if (err)
                        (void) json_add_string(l->known, "stale", err->text);
                (void) json_add_uint(l->known, "age", (now_usec() - l->known_usec) / USEC_PER_MSEC);
                (void) lun_mark_all(l->core, json_get(l->known, "luns"));
                w->fn(w->userdata, &reply, NULL);
        } else {
                w->fn(w->userdata, NULL, err);
        }
}

/* All whose look is over; those who ask for more meanwhile go to the end of the queue. */
static void luns_answer_waiters(Luns *l, const struct storaged_error *err)
{
        for (size_t i = 0; i < l->waiters.n;) {
                Waiter w = l->waiters.items[i];

                if (w.look > l->n_done) {
                        i++;
                        continue;
                }
                VEC_REMOVE(&l->waiters, i);
                luns_answer(l, &w, err);
        }
}

static void look_end(Luns *l, const struct storaged_error *err)
{
        l->is_looking = false;
        l->n_done = l->n_begun;
        if (err)
                l->is_old = true;
        luns_answer_waiters(l, err);
        if (l->waiters.n > 0 && !l->is_looking)
                look_begin(l);
}

static void on_looked(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        json_object *known = NULL;
        Luns *l = userdata;

        if (!err &&
            (json_parse(body, len, &known) < 0 || !json_object_is_type(json_get(known, "luns"), json_type_array))) {
                (void) error_set(&why, -EPROTO, "the inventory of LUNs can't be read");
                json_object_put(known);
                err = &why;
        } else if (!err) {
                json_object_put(l->known);
                l->known = known;
                l->known_usec = now_usec();
        }
        look_end(l, err);
}

/* The call's own end, if there was one, has told those who wait. */
static void on_gone(void *userdata, Worker *w, const struct storaged_error *why)
{
        Luns *l = userdata;

        log_warning("%s", why->text);
        if (l->worker == w)
                l->worker = NULL;
        (void) worker_free(w);
}

static void on_log(void *userdata, int level, const char *text)
{
        (void) userdata;
        log_full(level, 0, NULL, "%s", text);
}

static int worker_start(Luns *l, struct storaged_error *err)
{
        const Type *type = schema_find(l->core->schema, PLUGIN);
        WorkerSpec spec = { .label = "luns", .is_lasting = true, .gone = on_gone, .log = on_log, .userdata = l };
        AUTO_JSON *start = NULL;

        if (l->worker)
                return 0;
        if (!type || !type->has_plugin)
                return error_set(err, -EOPNOTSUPP, "no plugin for type '%s' is installed on node '%s'", PLUGIN,
                                 l->core->node);
        start = storage_start_args(l->core, NULL);
        if (!start)
                return error_set(err, -ENOMEM, "out of memory");
        spec.plugin_path = type->plugin_path;
        spec.start = start;
        return worker_new(l->core->workers, &spec, &l->worker, err);
}

static int look_args(Luns *l, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        json_object *params = json_object_new_object();
        int r = o && params ? 0 : -ENOMEM;

        if (r >= 0 && l->changed.len > 0)
                r = json_add_string(params, "changed", l->changed.data);
        if (r >= 0)
                r = json_add_string(o, "action", "inventory");
        if (r < 0)
                json_object_put(params);
        else
                r = json_add(o, "params", params);
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

static void look_begin(Luns *l)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        WorkerCall call = {
                .op = "act", .fd = -1, .timeout_usec = LOOK_TIMEOUT_USEC, .done = on_looked, .userdata = l
        };
        AUTO_JSON *args = NULL;
        int r = worker_start(l, &err);

        l->is_looking = true;
        l->is_old = now_usec() < l->event_usec + AFTERMATH_USEC;
        l->n_begun++;
        if (r >= 0 && look_args(l, &args) < 0)
                r = error_set(&err, -ENOMEM, "out of memory");
        call.args = args;
        if (r >= 0)
                r = worker_call(l->worker, &call, &err);
        if (r < 0)
                look_end(l, &err);
        else
                strbuf_deinit(&l->changed);
}

/* --- the kernel's news */

static void add_changed(Luns *l, const char *name)
{
        if (l->changed.len > CHANGED_MAX || str_eq(name, "all")) {
                strbuf_deinit(&l->changed);
                strbuf_adds(&l->changed, "all");
        } else if (!l->changed.data || !strstr(l->changed.data, name)) {
                strbuf_addf(&l->changed, "%s%s", l->changed.len > 0 ? " " : "", name);
        }
}

/* A path that goes down or comes back changes nothing on the LUN. */
static void on_path_event(const Uevent *e)
{
        bool is_down = !str_eq(e->dm_action, "PATH_REINSTATED");

        log_full(is_down ? LOG_WARNING : LOG_INFO, 0, NULL, "LUN %s: path %s %s, %s left", e->dm_name, e->dm_path,
                 is_down ? "went down" : "came back", e->dm_valid_paths);
}

static void set_old(Luns *l)
{
        l->is_old = true;
        l->event_usec = now_usec();
}

static bool is_disk(const char *name)
{
        return str_skip(name, "sd") || str_skip(name, "dm-") || str_skip(name, "nvme");
}

static void on_uevent(void *userdata, const Uevent *e)
{
        static const char *const subsystems[] = { "scsi",          "scsi_device",      "fc_host", "fc_remote_ports",
                                                  "iscsi_session", "iscsi_connection", "nvme" };
        Luns *l = userdata;

        if (!e) {
                add_changed(l, "all");
                set_old(l);
                return;
        }
        if (str_eq(e->subsystem, "block") && is_disk(e->name)) {
                if (str_skip(e->dm_action, "PATH_"))
                        on_path_event(e);
                else if (!str_eq(e->action, "remove"))
                        add_changed(l, e->name);
                set_old(l);
        }
        for (size_t i = 0; i < sizeof(subsystems) / sizeof(subsystems[0]); i++)
                if (str_eq(e->subsystem, subsystems[i]))
                        set_old(l);
        if (*e->attention) {
                log_info("%s: unit attention: %s", e->devpath, e->attention);
                add_changed(l, "all");
        }
}

/* --- for others */

static int luns_listen(Luns *l, struct storaged_error *err)
{
        return l->uevents ? 0 : uevents_new(&l->uevents, l->core->event, on_uevent, l, err);
}

void luns_query(Core *c, unsigned flags, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Luns *l = c->luns;
        Waiter w = { fn, userdata, 0 };

        if (!l) {
                (void) error_set(&err, -EOPNOTSUPP, "LUNs are known to a running storaged only");
                fn(userdata, NULL, &err);
                return;
        }
        if (luns_listen(l, &err) < 0) {
                log_warning("%s", err.text);
                l->is_old = true; /* nobody tells what changes */
        }
        if (flags & LUNS_FRESH)
                add_changed(l, "all");
        if (l->known && !l->is_old && !(flags & LUNS_FRESH) && now_usec() - l->known_usec < USABLE_FOR_USEC) {
                if (!l->is_looking && now_usec() - l->known_usec >= KNOWN_FOR_USEC)
                        look_begin(l);
                luns_answer(l, &w, NULL);
                return;
        }
        w.look = l->n_begun + 1; /* one that begins now or later */
        if (VEC_PUSH(&l->waiters, w) < 0) {
                (void) error_set(&err, -ENOMEM, "out of memory");
                fn(userdata, NULL, &err);
        } else if (!l->is_looking) {
                look_begin(l);
        }
}

json_object *luns_find_in(json_object *inventory, const char *wwid)
{
        json_object *luns = json_get(inventory, "luns");

        for (size_t i = 0; luns && i < json_object_array_length(luns); i++)
                if (str_eq(json_get_string(json_object_array_get_idx(luns, i), "wwid"), wwid))
                        return json_object_array_get_idx(luns, i);
        return NULL;
}

json_object *luns_find(const Core *c, const char *wwid)
{
        return c->luns ? luns_find_in(c->luns->known, wwid) : NULL;
}

void luns_touch(Core *c, const char *names)
{
        if (!c->luns)
                return;
        c->luns->is_old = true;
        add_changed(c->luns, names);
}

int luns_new(Luns **ret, Core *c)
{
        Luns *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->core = c;
        *ret = l;
        return 0;
}

Luns *luns_free(Luns *l)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (!l)
                return NULL;
        (void) error_set(&err, -ECANCELED, "storaged ends");
        for (size_t i = 0; i < l->waiters.n; i++)
                l->waiters.items[i].fn(l->waiters.items[i].userdata, NULL, &err);
        VEC_DEINIT(&l->waiters);
        (void) uevents_free(l->uevents);
        (void) worker_free(l->worker);
        json_object_put(l->known);
        strbuf_deinit(&l->changed);
        free(l);
        return NULL;
}
