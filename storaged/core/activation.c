/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activating and deactivating (handing over: handover.c, taking over: takeover.c). All of it runs under the storage's
 * lock. A node enters the lease before its plugin activates and leaves it after its plugin has deactivated, so that at
 * any moment a node that may have the volume active is in the record; what a crash leaves is done again. A plugin
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

static int records_load(Core *c, const char *storage, const char *volname, bool is_shared, Activation *a,
                        struct storaged_error *err)
{
        int r = str_printf(&a->volid, "%s:%s", storage, volname);

        if (r >= 0)
                r = lease_path(&c->paths, storage, volname, !is_shared, &a->lease_path);
        if (r >= 0 && is_shared)
                r = ticket_path(&c->paths, a->volid, &a->ticket_path);
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = lease_load(a->lease_path, a->volid, &a->lease, err);
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
        r = records_load(j->core, j->storage, j->volname, s && s->is_shared, a, err);
        if (r < 0) {
                (void) activation_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

/* Work that was stopped for longer than its lock lives must not write any more. */
static int check_lock(const Activation *a, struct storaged_error *err)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = cluster_lock_check(a->job->lock, &why);

        return r < 0 ? error_set(err, r, "volume '%s': %s", a->volid, why.text) : 0;
}

int activation_store_lease(Activation *a, struct storaged_error *err)
{
        int r = check_lock(a, err);

        return r < 0 ? r : lease_store(a->lease_path, &a->lease, err);
}

int activation_store_ticket(Activation *a, enum ticket_state state, struct storaged_error *err)
{
        int r = check_lock(a, err);

        a->ticket.state = state;
        return r < 0 ? r : ticket_store(a->ticket_path, &a->ticket, err);
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

static void undo_entry(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = 0;

        if (lease_holds(&a->lease, activation_here(a)) &&
            (a->is_taken_over || !lease_holds(&a->before, activation_here(a)))) {
                a->lease = a->before;
                r = activation_store_lease(a, &err);
        }
        if (r < 0)
                log_error("%s", err.text);
}

/* What an activation tells of this node is kept for the day on which another one has to fence it. */
static int record_client(Activation *a, const char *body, size_t len, struct storaged_error *err)
{
        AUTO_JSON *reply = NULL;
        json_object *client;

        if (len == 0 || !lease_holds(&a->lease, activation_here(a)) || json_parse(body, len, &reply) < 0)
                return 0;
        client = json_get(reply, "client");
        if (!json_object_is_type(client, json_type_object) ||
            !lease_set_client(&a->lease, activation_here(a), json_text(client)))
                return 0;
        return activation_store_lease(a, err);
}

static void on_plugin(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        VolumeJob *j = userdata;
        Activation *a = j->activation;

        if (err && is_refusal(err->code))
                undo_entry(a);
        if (!err && record_client(a, body, len, &failure) < 0)
                err = &failure;
        if (err)
                activation_fail(a, err);
        else
                a->then(a);
}

void activation_call_plugin(Activation *a, const char *mode, void (*then)(Activation *))
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
        if (r < 0) {
                undo_entry(a);
                activation_fail(a, &err);
        }
}

void activation_finish(Activation *a)
{
        volume_job_end(a->job, NULL, NULL);
}

/* --- activate */

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
                return activation_store_lease(a, err);
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
        return r < 0 ? lease_refuse(&a->lease, err) : activation_store_lease(a, err);
}

static void activate(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *mode = json_get_string(a->given, "mode");
        bool is_mine = lease_holds(&a->lease, activation_here(a));
        int r = 0;

        if (json_get(a->given, "snapshot") || str_eq(mode, "read-only")) {
                if (!is_mine && lease_is_held(&a->lease) && !json_get(a->given, "snapshot"))
                        r = lease_refuse(&a->lease, &err);
                if (r >= 0)
                        activation_call_plugin(a, "read-only", activation_finish);
        } else {
                bool is_forced = json_get_bool(a->given, "force", false), is_shared;

                if (is_forced && lease_is_held(&a->lease) && (!is_mine || lease_is_shared(&a->lease))) {
                        takeover_begin(a);
                        return;
                }
                if (!is_mine)
                        r = enter(a, mode, &err);
                is_shared = lease_is_shared(&a->lease) ||
                            (a->ticket.state == TICKET_PREPARED && ticket_is_for(&a->ticket, &a->lease));
                if (r >= 0)
                        activation_call_plugin(a, is_shared ? "shared" : "exclusive", activation_finish);
        }
        if (r < 0)
                activation_fail(a, &err);
}

/* --- deactivate */

static void leave_and_finish(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (lease_leave(&a->lease, activation_here(a)) && activation_store_lease(a, &err) < 0)
                activation_fail(a, &err);
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

void activation_begin(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (activation_new(j, &j->activation, &err) < 0)
                volume_job_end(j, NULL, &err);
        else if (j->op == &volume_ops[VOLUME_ACTIVATE])
                activate(j->activation);
        else if (j->op == &volume_ops[VOLUME_DEACTIVATE])
                deactivate(j->activation);
        else if (j->op == &volume_ops[VOLUME_HOLDERS])
                holders(j->activation);
        else
                handover_begin(j->activation);
}

int activation_check_writer(VolumeJob *j, struct storaged_error *err)
{
        Activation *a = NULL;
        int r = activation_new(j, &a, err);

        if (r < 0)
                return r;
        if (lease_is_held(&a->lease) && !lease_holds(&a->lease, j->core->node))
                r = lease_refuse(&a->lease, err);
        else if (ticket_is_for(&a->ticket, &a->lease))
                r = error_set_param(err, -EBUSY, "volume", "volume '%s' is being migrated from node '%s' to '%s'",
                                    a->volid, a->ticket.source, a->ticket.target);
        (void) activation_free(a);
        return r;
}

void activation_forget(VolumeJob *j)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Activation *a = NULL;
        int r = activation_new(j, &a, &err);

        if (r >= 0 && lease_leave(&a->lease, j->core->node))
                r = activation_store_lease(a, &err);
        if (r < 0)
                log_warning("%s", err.text);
        (void) activation_free(a);
}

enum ticket_step activation_look(Core *c, const char *volid)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Activation *a = calloc(1, sizeof(*a));
        char storage[STORAGE_ID_MAX];
        const char *volname = NULL;
        enum ticket_step step = TICKET_WAIT;

        if (a && volid_split(volid, storage, &volname, &err) >= 0 &&
            records_load(c, storage, volname, true, a, &err) >= 0)
                step = handover_next_step(c, storage, volname, a);
        (void) activation_free(a);
        return step;
}
