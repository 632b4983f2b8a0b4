/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activating and deactivating (handing over: handover.c, taking over: takeover.c). All of it runs under the storage's
 * lock. A node enters the lease before its plugin activates and leaves it after its plugin has deactivated, so that at
 * any moment a node that may have the volume active is in the record; what a crash leaves is done again. Records are
 * read and written beside the event loop (core/aside.c): each such step names the function that follows it. A plugin
 * without activate_volume has nothing to do: the lease alone is the activation then, after a look whether the volume
 * exists. A snapshot is only read and has no lease.
 */
#include "core/activation-parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/lock.h"
#include "wire/json.h"

Activation *activation_free(Activation *a)
{
        if (!a)
                return NULL;
        free(a->volid);
        free(a->lease_path);
        free(a->ticket_path);
        json_object_put(a->given);
        fence_deinit(&a->fence);
        free(a);
        return NULL;
}

const char *activation_here(const Activation *a)
{
        return a->job->core->node;
}

uint64_t activation_wall_s(void)
{
        return clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
}

/* --- the records of a volume */

static int records_name(Core *c, const char *storage, const char *volname, bool is_shared, Activation *a,
                        struct storaged_error *err)
{
        int r = str_printf(&a->volid, "%s:%s", storage, volname);

        if (r >= 0)
                r = lease_path(&c->paths, storage, volname, !is_shared, &a->lease_path);
        if (r >= 0 && is_shared)
                r = ticket_path(&c->paths, a->volid, &a->ticket_path);
        return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int records_load(Activation *a, struct storaged_error *err)
{
        int r = lease_load(a->lease_path, a->volid, &a->lease, err);

        if (r >= 0 && a->ticket_path)
                r = ticket_load(a->ticket_path, a->volid, &a->ticket, err);
        a->before = a->lease;
        return r;
}

static int activation_new(VolumeJob *j, Activation **ret, struct storaged_error *err)
{
        const StorageConfig *s = config_find(j->core->config, j->storage);
        Activation *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return error_set(err, -ENOMEM, "out of memory");
        a->job = j;
        a->given = json_object_get(j->args);
        r = records_name(j->core, j->storage, j->volname, s && s->is_shared, a, err);
        if (r < 0) {
                (void) activation_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

/* --- beside the loop */

static void load_run(Aside *work)
{
        Activation *a = work->userdata;

        a->result = records_load(a, &a->failure);
}

/* Work that was stopped for longer than its lock lives must not write any more; the last look is the thread's. */
static int check_lock(Activation *a)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = cluster_lock_check_fence(&a->fence, &why);

        return r < 0 ? error_set(&a->failure, r, "volume '%s': %s", a->volid, why.text) : 0;
}

static void lease_run(Aside *work)
{
        Activation *a = work->userdata;

        a->result = check_lock(a);
        if (a->result >= 0)
                a->result = lease_store(a->lease_path, &a->lease, &a->fence, &a->failure);
}

static void ticket_run(Aside *work)
{
        Activation *a = work->userdata;

        a->result = check_lock(a);
        if (a->result >= 0)
                a->result = ticket_store(a->ticket_path, &a->ticket, &a->fence, &a->failure);
}

/* `next` looks at the result itself. */
static void work_done(Aside *work)
{
        Activation *a = work->userdata;

        a->next(a);
}

static void work_done_well(Aside *work)
{
        Activation *a = work->userdata;
        struct storaged_error err;

        if (a->result >= 0) {
                a->next(a);
                return;
        }
        err = a->failure; /* the job's end takes `a` with it */
        activation_fail(a, &err);
}

static void work_begin(Activation *a, void (*run)(Aside *work), void (*done)(Aside *work), activation_fn next)
{
        a->failure = (struct storaged_error) STORAGED_ERROR_INIT;
        a->next = next;
        a->work = (Aside){ .run = run, .done = done, .userdata = a };
        aside_begin(a->job->core, &a->work);
}

static void store_begin(Activation *a, void (*run)(Aside *work), void (*done)(Aside *work), activation_fn next)
{
        struct storaged_error why = STORAGED_ERROR_INIT;

        a->result = cluster_lock_prove(a->job->lock, &a->fence, &why);
        if (a->result >= 0) {
                work_begin(a, run, done, next);
                return;
        }
        a->next = next;
        a->work.userdata = a;
        (void) error_set(&a->failure, a->result, "volume '%s': %s", a->volid, why.text);
        done(&a->work);
}

void activation_store_lease(Activation *a, activation_fn next)
{
        store_begin(a, lease_run, work_done_well, next);
}

void activation_store_ticket(Activation *a, enum ticket_state state, activation_fn next)
{
        a->ticket.state = state;
        store_begin(a, ticket_run, work_done_well, next);
}

static void touch_run(Aside *work)
{
        Activation *a = work->userdata;

        ticket_touch(a->ticket_path);
}

void activation_touch_ticket(Activation *a, activation_fn next)
{
        work_begin(a, touch_run, work_done, next);
}

void activation_fail(Activation *a, const struct storaged_error *err)
{
        volume_job_end(a->job, NULL, err);
}

/* --- the plugin's part */

/* Only of a refusal is it known that nothing was activated; after a timeout or a crash it may have been. */
static bool is_refusal(int code)
{
        return code == -ENOENT || code == -EINVAL || code == -EOPNOTSUPP || code == -EBUSY || code == -EPERM ||
               code == -EACCES;
}

static void refused(Activation *a)
{
        struct storaged_error err = a->refusal;

        if (a->result < 0)
                log_error("%s", a->failure.text);
        activation_fail(a, &err);
}

/* What was entered for a plugin that refused is taken back; the refusal is the answer. */
static void undo_entry(Activation *a, const struct storaged_error *refusal)
{
        bool is_entered = lease_holds(&a->lease, activation_here(a)) &&
                          (a->is_taken_over || !lease_holds(&a->before, activation_here(a)));

        a->refusal = *refusal;
        a->result = 0;
        if (!is_entered) {
                refused(a);
                return;
        }
        if (a->is_taken_over)
                log_warning("volume '%s': its storage does not give it away yet, the lease is node '%s''s again: %s",
                            a->volid, a->before.node, refusal->text);
        a->lease = a->before;
        store_begin(a, lease_run, work_done, refused);
}

/* What an activation tells of this node is kept for the day on which another one has to fence it. True if it is news.
 */
static bool take_client(Activation *a, const char *body, size_t len)
{
        AUTO_JSON *reply = NULL;
        json_object *client;

        if (len == 0 || !lease_holds(&a->lease, activation_here(a)) || json_parse(body, len, &reply) < 0)
                return false;
        client = json_get(reply, "client");
        return json_object_is_type(client, json_type_object) &&
               lease_set_client(&a->lease, activation_here(a), json_text(client));
}

static void on_plugin(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        VolumeJob *j = userdata;
        Activation *a = j->activation;

        if (err && is_refusal(err->code))
                undo_entry(a, err);
        else if (err)
                activation_fail(a, err);
        else if (take_client(a, body, len))
                activation_store_lease(a, a->then);
        else
                a->then(a);
}

void activation_call_plugin(Activation *a, const char *mode, activation_fn then)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *args = json_object_new_object();
        VolumeJob *j = a->job;
        const StorageConfig *s = core_find_usable(j->core, j->storage, &err);
        bool is_native = s && type_has_op(s->type, mode ? SCHEMA_OP_ACTIVATE_VOLUME : SCHEMA_OP_DEACTIVATE_VOLUME);
        const char *op = !mode ? "deactivate_volume" : is_native ? "activate_volume" : "stat";
        int r = s ? 0 : err.code;

        a->then = then;
        if (s && !is_native && (!mode || !type_has_op(s->type, SCHEMA_OP_STAT))) {
                then(a);
                return;
        }
        if (r >= 0 && (json_add_string(args, "volume", j->volname) < 0 ||
                       json_add_string(args, "snapshot", json_get_string(a->given, "snapshot")) < 0 ||
                       (mode && json_add_string(args, "mode", mode) < 0)))
                r = error_set(&err, -ENOMEM, "out of memory");
        if (r >= 0) {
                json_object_put(j->args);
                j->args = TAKE(args);
                r = volume_job_submit(j, op, on_plugin, &err);
        }
        if (r < 0)
                undo_entry(a, &err);
}

void activation_finish(Activation *a)
{
        volume_job_end(a->job, NULL, NULL);
}

/* --- activate */

/* This node is in the record. */
static void entered(Activation *a)
{
        bool is_shared = lease_is_shared(&a->lease) ||
                         (a->ticket.state == TICKET_PREPARED && ticket_is_for(&a->ticket, &a->lease));

        activation_call_plugin(a, is_shared ? "shared" : "exclusive", activation_finish);
}

static int enter(Activation *a, const char *mode, struct storaged_error *err)
{
        int r;

        if (!lease_is_held(&a->lease)) {
                if (str_eq(mode, "shared"))
                        return error_set_param(err, -EINVAL, "mode",
                                               "volume '%s' can only be shared under a migration ticket: `pvesm "
                                               "migrate prepare` on the node that holds it",
                                               a->volid);
                lease_take(&a->lease, a->volid, activation_here(a), clock_usec(CLOCK_REALTIME));
                return 0;
        }
        r = ticket_admit(&a->ticket, &a->lease, activation_here(a), activation_wall_s(), err);
        if (r < 0)
                return r;
        if (str_eq(mode, "exclusive"))
                return error_set_param(err, -EBUSY, "mode",
                                       "volume '%s' is being migrated from node '%s': only shared "
                                       "until that is committed",
                                       a->volid, a->ticket.source);
        r = lease_join(&a->lease, activation_here(a));
        return r < 0 ? lease_refuse(&a->lease, err) : 0;
}

static void activate(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *mode = json_get_string(a->given, "mode");
        bool is_mine = lease_holds(&a->lease, activation_here(a)), is_forced = json_get_bool(a->given, "force", false);

        if (json_get(a->given, "snapshot") || str_eq(mode, "read-only")) {
                if (!is_mine && lease_is_held(&a->lease) && !json_get(a->given, "snapshot") &&
                    lease_refuse(&a->lease, &err) < 0)
                        activation_fail(a, &err);
                else
                        activation_call_plugin(a, "read-only", activation_finish);
        } else if (is_forced && lease_is_held(&a->lease) && (!is_mine || lease_is_shared(&a->lease))) {
                takeover_begin(a);
        } else if (is_mine) {
                entered(a);
        } else if (enter(a, mode, &err) < 0) {
                activation_fail(a, &err);
        } else {
                activation_store_lease(a, entered);
        }
}

/* --- deactivate */

static void leave_and_finish(Activation *a)
{
        if (lease_leave(&a->lease, activation_here(a)))
                activation_store_lease(a, activation_finish);
        else
                activation_finish(a);
}

static void deactivate(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (json_get(a->given, "snapshot")) {
                activation_call_plugin(a, NULL, activation_finish);
        } else if (lease_holds(&a->lease, activation_here(a)) && ticket_is_for(&a->ticket, &a->lease)) {
                (void) error_set_param(&err, -EBUSY, "volume",
                                       "volume '%s' is being migrated from node '%s' to '%s' "
                                       "(%s): commit or abort that",
                                       a->volid, a->ticket.source, a->ticket.target,
                                       ticket_state_to_string(a->ticket.state));
                activation_fail(a, &err);
        } else {
                activation_call_plugin(a, NULL, leave_and_finish);
        }
}

/* --- holders */

static int add_holder(json_object *rows, const Lease *l, const char *node)
{
        AUTO_JSON *o = json_object_new_object();
        int r = json_add_string(o, "node", node);

        if (r >= 0)
                r = json_add_string(o, "what", "lease");
        if (r >= 0)
                r = json_add_bool01(o, "exclusive", !lease_is_shared(l));
        if (r >= 0)
                r = json_add_uint(o, "since", l->since);
        return r < 0 ? r : json_object_array_add(rows, TAKE(o));
}

static void answer_holders(Activation *a, json_object *more)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *rows = json_object_new_array();
        size_t n = json_object_is_type(more, json_type_array) ? json_object_array_length(more) : 0;
        int r = rows ? 0 : -ENOMEM;

        if (r >= 0 && lease_is_held(&a->lease))
                r = add_holder(rows, &a->lease, a->lease.node);
        if (r >= 0 && lease_is_shared(&a->lease))
                r = add_holder(rows, &a->lease, a->lease.partner);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = json_object_array_add(rows, json_object_get(json_object_array_get_idx(more, i)));
        if (r < 0)
                (void) error_set(&err, -ENOMEM, "out of memory");
        volume_job_end(a->job, rows, r < 0 ? &err : NULL);
}

static void on_holders(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        VolumeJob *j = userdata;
        AUTO_JSON *rows = NULL;

        if (err) {
                activation_fail(j->activation, err);
        } else if (json_parse(body, len, &rows) < 0) {
                (void) error_set(&failure, -EPROTO, "storage '%s': its worker's answer to 'holders' can't be read",
                                 j->storage);
                activation_fail(j->activation, &failure);
        } else {
                answer_holders(j->activation, rows);
        }
}

static void holders(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const StorageConfig *s = core_find_usable(a->job->core, a->job->storage, &err);

        if (s && !type_has_op(s->type, SCHEMA_OP_HOLDERS))
                answer_holders(a, NULL);
        else if (!s || volume_job_submit(a->job, "holders", on_holders, &err) < 0)
                activation_fail(a, &err);
}

/* --- the door */

static void loaded(Activation *a)
{
        const VolumeOp *op = a->job->op;

        if (op == &volume_ops[VOLUME_ACTIVATE])
                activate(a);
        else if (op == &volume_ops[VOLUME_DEACTIVATE])
                deactivate(a);
        else if (op == &volume_ops[VOLUME_HOLDERS])
                holders(a);
        else
                handover_begin(a);
}

void activation_begin(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (activation_new(j, &j->activation, &err) < 0)
                volume_job_end(j, NULL, &err);
        else
                work_begin(j->activation, load_run, work_done_well, loaded);
}

/* The activation was one of a moment; the job goes on. */
static void look_over(Activation *a)
{
        void (*seen)(VolumeJob * j) = a->seen;
        VolumeJob *j = a->job;

        j->activation = activation_free(a);
        seen(j);
}

static void check_writer(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = 0;

        if (lease_is_held(&a->lease) && !lease_holds(&a->lease, activation_here(a)))
                r = lease_refuse(&a->lease, &err);
        else if (ticket_is_for(&a->ticket, &a->lease))
                r = error_set_param(&err, -EBUSY, "volume", "volume '%s' is being migrated from node '%s' to '%s'",
                                    a->volid, a->ticket.source, a->ticket.target);
        if (r < 0)
                activation_fail(a, &err);
        else
                look_over(a);
}

void activation_check_writer(VolumeJob *j, void (*then)(VolumeJob *j))
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (activation_new(j, &j->activation, &err) < 0) {
                volume_job_end(j, NULL, &err);
                return;
        }
        j->activation->seen = then;
        work_begin(j->activation, load_run, work_done_well, check_writer);
}

static void forgotten(Activation *a)
{
        if (a->result < 0)
                log_warning("%s", a->failure.text);
        look_over(a);
}

static void forget(Activation *a)
{
        if (a->result >= 0 && lease_leave(&a->lease, activation_here(a)))
                store_begin(a, lease_run, work_done, forgotten);
        else
                forgotten(a);
}

void activation_forget(VolumeJob *j, void (*then)(VolumeJob *j))
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (activation_new(j, &j->activation, &err) < 0) {
                log_warning("%s", err.text);
                then(j);
                return;
        }
        j->activation->seen = then;
        work_begin(j->activation, load_run, work_done, forget);
}

int volume_records_load(const Paths *p, const char *volid, VolumeRecords *ret, struct storaged_error *err)
{
        AUTO(freep) char *lease = NULL, *ticket = NULL;
        char storage[STORAGE_ID_MAX];
        const char *volname = NULL;
        int r = strlen(volid) < sizeof(ret->volid) ? volid_split(volid, storage, &volname, err) : -ENAMETOOLONG;

        if (r >= 0)
                r = lease_path(p, storage, volname, false, &lease);
        if (r >= 0)
                r = ticket_path(p, volid, &ticket);
        if (r >= 0)
                r = lease_load(lease, volid, &ret->lease, err);
        if (r >= 0)
                r = ticket_load(ticket, volid, &ret->ticket, err);
        if (r >= 0)
                (void) snprintf(ret->volid, sizeof(ret->volid), "%s", volid);
        return r;
}

enum ticket_step activation_look(Core *c, const VolumeRecords *records)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char storage[STORAGE_ID_MAX];
        const char *volname = NULL;

        if (volid_split(records->volid, storage, &volname, &err) < 0)
                return TICKET_WAIT;
        return handover_next_step(c, storage, volname, &records->lease, &records->ticket);
}
