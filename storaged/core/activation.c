/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activating and handing over. All of it runs under the storage's lock. A node enters the lease before its plugin
 * activates and leaves it after its plugin has deactivated, so that at any moment a node that may have the volume
 * active is in the record; what a crash leaves is done again. A plugin without activate_volume has nothing to do: the
 * lease alone is the activation then, after a look whether the volume exists. A snapshot is only read and has no lease.
 */
#include "core/activation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cluster/lock.h"
#include "core/guests.h"
#include "wire/json.h"

struct Activation {
        VolumeJob *job;
        char *volid, *lease_path, *ticket_path; /* ticket_path NULL: the storage is not shared */
        Lease lease, before;                    /* `before`: what the record was when we came */
        Ticket ticket;
        json_object *given;                 /* what the caller asked; the job's args are the plugin's meanwhile */
        enum ticket_state decision;         /* of commit and abort */
        bool is_renewed;                    /* prepare: the ticket was there */
        void (*then)(struct Activation *a); /* after the plugin's call went well */
};

static void advance(Activation *a);

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

static const char *here(const Activation *a)
{
        return a->job->core->node;
}

static uint64_t wall_s(void)
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
        if (cluster_lock_is_held(a->job->lock))
                return 0;
        return error_set(err, -EAGAIN, "volume '%s': the lock of storage '%s' was lost meanwhile: try again", a->volid,
                         a->job->storage);
}

static int store_lease(Activation *a, struct storaged_error *err)
{
        int r = check_lock(a, err);

        return r < 0 ? r : lease_store(a->lease_path, &a->lease, err);
}

static int store_ticket(Activation *a, enum ticket_state state, struct storaged_error *err)
{
        int r = check_lock(a, err);

        a->ticket.state = state;
        return r < 0 ? r : ticket_store(a->ticket_path, &a->ticket, err);
}

static void fail(Activation *a, const struct storaged_error *err)
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

        if (lease_holds(&a->lease, here(a)) && !lease_holds(&a->before, here(a)) && lease_leave(&a->lease, here(a)))
                r = store_lease(a, &err);
        if (r < 0)
                log_error("%s", err.text);
}

static void on_plugin(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        VolumeJob *j = userdata;
        Activation *a = j->activation;

        (void) body;
        (void) len;
        if (!err) {
                a->then(a);
                return;
        }
        if (is_refusal(err->code))
                undo_entry(a);
        fail(a, err);
}

/* mode NULL: deactivate. `then` follows, or the job ends. */
static void call_plugin(Activation *a, const char *mode, void (*then)(Activation *))
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
                fail(a, &err);
        }
}

static void finish(Activation *a)
{
        volume_job_end(a->job, NULL, NULL);
}

/* --- activate */

static int check_gone(const Activation *a, const StrList *dead, struct storaged_error *err)
{
        Core *c = a->job->core;

        for (size_t i = 0; i < dead->n; i++)
                if (c->is_node_gone && c->is_node_gone(c, dead->items[i]) == 0)
                        return error_set_param(err, -EBUSY, "dead-node",
                                               "node '%s' is a member of the cluster: it is "
                                               "not gone",
                                               dead->items[i]);
        return 0;
}

static int take_over(Activation *a, struct storaged_error *err)
{
        AUTO(strlist_deinit) StrList dead = STRLIST_INIT;
        const char *names = json_get_string(a->given, "dead_nodes");
        int r = names ? strlist_split(&dead, names, ",; ") : 0;

        if (r < 0)
                return error_set(err, r, "out of memory");
        if (dead.n == 0)
                return error_set_param(err, -EINVAL, "dead-node",
                                       "--force needs --dead-node: the holder, once it is "
                                       "certain that it is gone and can't write any more");
        r = check_gone(a, &dead, err);
        if (r >= 0)
                r = lease_take_over(&a->lease, here(a), &dead, clock_usec(CLOCK_REALTIME), err);
        if (r < 0)
                return r;
        log_warning("volume '%s': taken over from node '%s'%s%s by '%s' on the word of %s that %s is gone", a->volid,
                    a->before.node, lease_is_shared(&a->before) ? " and " : "", a->before.partner, here(a),
                    a->job->user, names);
        r = store_lease(a, err);
        if (r >= 0 && a->ticket.state != TICKET_NONE)
                r = store_ticket(a, TICKET_NONE, err); /* of the lease before; means nothing any more */
        return r;
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
                lease_take(&a->lease, a->volid, here(a), clock_usec(CLOCK_REALTIME));
                return store_lease(a, err);
        }
        r = ticket_admit(&a->ticket, &a->lease, here(a), wall_s(), err);
        if (r < 0)
                return r;
        if (str_eq(mode, "exclusive"))
                return error_set_param(err, -EBUSY, "mode",
                                       "volume '%s' is being migrated from node '%s': only shared "
                                       "until that is committed",
                                       a->volid, a->ticket.source);
        r = lease_join(&a->lease, here(a));
        return r < 0 ? lease_refuse(&a->lease, err) : store_lease(a, err);
}

static void activate(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *mode = json_get_string(a->given, "mode");
        bool is_mine = lease_holds(&a->lease, here(a));
        int r = 0;

        if (json_get(a->given, "snapshot") || str_eq(mode, "read-only")) {
                if (!is_mine && lease_is_held(&a->lease) && !json_get(a->given, "snapshot"))
                        r = lease_refuse(&a->lease, &err);
                if (r >= 0)
                        call_plugin(a, "read-only", finish);
        } else {
                bool is_forced = json_get_bool(a->given, "force", false), is_shared;

                if (is_forced && lease_is_held(&a->lease) && (!is_mine || lease_is_shared(&a->lease)))
                        r = take_over(a, &err);
                else if (!is_mine)
                        r = enter(a, mode, &err);
                is_shared = lease_is_shared(&a->lease) ||
                            (a->ticket.state == TICKET_PREPARED && ticket_is_for(&a->ticket, &a->lease));
                if (r >= 0)
                        call_plugin(a, is_shared ? "shared" : "exclusive", finish);
        }
        if (r < 0)
                fail(a, &err);
}

/* --- deactivate */

static void leave_and_finish(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (lease_leave(&a->lease, here(a)) && store_lease(a, &err) < 0)
                fail(a, &err);
        else
                finish(a);
}

static void deactivate(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (json_get(a->given, "snapshot")) {
                call_plugin(a, NULL, finish);
        } else if (lease_holds(&a->lease, here(a)) && ticket_is_for(&a->ticket, &a->lease)) {
                (void) error_set_param(&err, -EBUSY, "volume",
                                       "volume '%s' is being migrated from node '%s' to '%s' "
                                       "(%s): commit or abort that",
                                       a->volid, a->ticket.source, a->ticket.target,
                                       ticket_state_to_string(a->ticket.state));
                fail(a, &err);
        } else {
                call_plugin(a, NULL, leave_and_finish);
        }
}

/* --- hand over */

static int handover_row(const Activation *a, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        const char *state = a->ticket.state != TICKET_NONE     ? ticket_state_to_string(a->ticket.state)
                            : a->decision == TICKET_COMMITTING ? "committed"
                                                               : "aborted";
        int r = json_add_string(o, "volume", a->volid);

        if (r >= 0)
                r = json_add_string(o, "state", state);
        if (r >= 0 && a->ticket.source[0])
                r = json_add_string(o, "source", a->ticket.source);
        if (r >= 0 && a->ticket.target[0])
                r = json_add_string(o, "target", a->ticket.target);
        if (r >= 0 && a->ticket.state == TICKET_PREPARED)
                r = json_add_uint(o, "expires", a->ticket.expires);
        if (r >= 0 && a->is_renewed)
                r = json_add_bool01(o, "renewed", true);
        if (r >= 0 && lease_is_held(&a->lease))
                r = json_add_string(o, "node", a->lease.node);
        if (r >= 0 && lease_is_shared(&a->lease))
                r = json_add_string(o, "partner", a->lease.partner);
        if (r < 0)
                return r;
        *ret = TAKE(o);
        return 0;
}

static void finish_row(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *row = NULL;
        int r = handover_row(a, &row);

        if (r < 0)
                (void) error_set(&err, r, "out of memory");
        volume_job_end(a->job, row, r < 0 ? &err : NULL);
}

static void left(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("ticket.left");

        if (r < 0)
                (void) error_set(&err, r, "volume '%s': can't leave its lease: %s", a->volid, strerror(-r));
        else if (lease_leave(&a->lease, here(a)))
                r = store_lease(a, &err);
        if (r >= 0)
                ticket_touch(a->ticket_path);
        if (r < 0)
                fail(a, &err);
        else
                advance(a);
}

static void settled(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("ticket.settled");

        if (r < 0)
                (void) error_set(&err, r, "volume '%s': can't end its migration: %s", a->volid, strerror(-r));
        /* Aborted before the target joined: the hand-over before this one is not the last any more. */
        if (r >= 0 && a->ticket.state == TICKET_ABORTING && a->lease.from[0]) {
                a->lease.from[0] = '\0';
                r = store_lease(a, &err);
        }
        if (r >= 0)
                r = store_ticket(a, TICKET_NONE, &err);
        if (r < 0)
                fail(a, &err);
        else
                advance(a);
}

static const char *find_guest(Core *c, const char *storage, const char *volname, const Ticket *t,
                              char node[static GUEST_NODE_MAX])
{
        const StorageConfig *s = config_find(c->config, storage);
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct storaged_volname v;

        if (t->state != TICKET_PREPARED || !s || !s->type || volname_parse(s->type->naming, volname, &v, &err) < 0 ||
            v.vmid == 0 || guests_find_node(&c->paths, v.vmid, t->source, node) < 0)
                return NULL;
        return node;
}

static enum ticket_step next_step(Core *c, const char *storage, const char *volname, const Activation *a)
{
        char node[GUEST_NODE_MAX];
        uint64_t now_s = wall_s();
        const char *guest = now_s < a->ticket.expires ? NULL : find_guest(c, storage, volname, &a->ticket, node);

        return ticket_next(&a->ticket, &a->lease, c->node, guest, now_s);
}

/* What the records ask of this node, until it is the other one's turn. */
static void advance(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = 0;

        for (;;) {
                enum ticket_step step = next_step(a->job->core, a->job->storage, a->job->volname, a);

                switch (step) {
                case TICKET_WAIT:
                        finish_row(a);
                        return;
                case TICKET_LEAVE:
                        call_plugin(a, NULL, left);
                        return;
                case TICKET_SETTLE:
                        call_plugin(a, "exclusive", settled);
                        return;
                case TICKET_COMMIT:
                case TICKET_ABORT:
                        log_warning("volume '%s': its migration from node '%s' to '%s' was never decided and has "
                                    "expired: %s",
                                    a->volid, a->ticket.source, a->ticket.target,
                                    step == TICKET_COMMIT ? "the guest is on the target, it is committed"
                                                          : "it is aborted");
                        r = store_ticket(a, step == TICKET_COMMIT ? TICKET_COMMITTING : TICKET_ABORTING, &err);
                        break;
                case TICKET_DROP:
                        log_warning("volume '%s': a migration ticket from node '%s' to '%s' stood for a lease that is "
                                    "gone and is removed",
                                    a->volid, a->ticket.source, a->ticket.target);
                        r = store_ticket(a, TICKET_NONE, &err);
                        break;
                }
                if (r < 0) {
                        fail(a, &err);
                        return;
                }
        }
}

/* Only now may the target come: the plugin here has made room for it. */
static void opened(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("ticket.opened");

        if (r < 0)
                (void) error_set(&err, r, "volume '%s': can't write its ticket: %s", a->volid, strerror(-r));
        else
                r = store_ticket(a, TICKET_PREPARED, &err);
        if (r < 0)
                fail(a, &err);
        else
                finish_row(a);
}

static void prepare(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *target = json_get_string(a->given, "target");

        a->is_renewed = ticket_is_for(&a->ticket, &a->lease);
        if (!target)
                (void) error_set_param(&err, -EINVAL, "target", "to which node?");
        else if (ticket_prepare(&a->ticket, &a->lease, here(a), target, wall_s(),
                                json_get_uint(a->given, "life", TICKET_LIFE_S), &err) >= 0) {
                call_plugin(a, "shared", opened);
                return;
        }
        fail(a, &err);
}

static void decide(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *target = json_get_string(a->given, "target");
        enum ticket_state was = a->ticket.state;
        int r;

        if (!ticket_is_for(&a->ticket, &a->lease))
                r = ticket_check_done(&a->lease, a->decision, target, &err);
        else
                r = ticket_decide(&a->ticket, &a->lease, a->decision, target, &err);
        if (r >= 0 && a->ticket.state != was)
                r = store_ticket(a, a->ticket.state, &err);
        if (r < 0)
                fail(a, &err);
        else
                advance(a);
}

static void hand_over(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *step = json_get_string(a->given, "step");

        a->decision = str_eq(step, "commit") ? TICKET_COMMITTING : TICKET_ABORTING;
        if (!a->ticket_path) {
                (void) error_set_param(&err, -EINVAL, "volume",
                                       "storage '%s' is not shared: there is nothing to hand "
                                       "over",
                                       a->job->storage);
                fail(a, &err);
        } else if (str_eq(step, "prepare")) {
                prepare(a);
        } else if (str_eq(step, "recover")) {
                advance(a);
        } else {
                decide(a);
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
                fail(j->activation, err);
        } else if (json_parse(body, len, &rows) < 0) {
                (void) error_set(&failure, -EPROTO, "storage '%s': its worker's answer to 'holders' can't be read",
                                 j->storage);
                fail(j->activation, &failure);
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
                fail(a, &err);
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
                hand_over(j->activation);
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
                r = store_lease(a, &err);
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
                step = next_step(c, storage, volname, a);
        (void) activation_free(a);
        return step;
}
