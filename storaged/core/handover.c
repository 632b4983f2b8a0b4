/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A volume goes from one node to another under a ticket: prepare, commit, abort, and recovery, which does whatever the
 * two records ask of this node. Runs under the storage's lock. Each step is one write or one call of the plugin and can
 * be done again; which one comes next is ticket_next()'s to say, so that a crash needs no memory.
 */
#include "core/activation-parts.h"

#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "core/guests.h"
#include "wire/json.h"

static void advance(Activation *a);

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

/* The lease has changed, and it may be the other node's turn. */
static void tell_others(Activation *a)
{
        activation_touch_ticket(a, advance);
}

static void left(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("ticket.left");

        if (r < 0) {
                (void) error_set(&err, r, "volume '%s': can't leave its lease: %s", a->volid, strerror(-r));
                activation_fail(a, &err);
        } else if (lease_leave(&a->lease, activation_here(a))) {
                activation_store_lease(a, tell_others);
        } else {
                tell_others(a);
        }
}

static void end_ticket(Activation *a)
{
        activation_store_ticket(a, TICKET_NONE, advance);
}

static void settled(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("ticket.settled");

        if (r < 0) {
                (void) error_set(&err, r, "volume '%s': can't end its migration: %s", a->volid, strerror(-r));
                activation_fail(a, &err);
        } else if (a->ticket.state == TICKET_ABORTING && a->lease.from[0]) {
                /* Aborted before the target joined: the hand-over before this one is not the last any more. */
                a->lease.from[0] = '\0';
                activation_store_lease(a, end_ticket);
        } else {
                end_ticket(a);
        }
}

/* Where the guest is whose ticket has expired: 0; -ENOENT: nobody knows; else it can't be seen now. */
static int find_guest(Core *c, const char *storage, const char *volname, const Ticket *t,
                      char ret_node[static GUEST_NODE_MAX])
{
        const StorageConfig *s = config_find(c->config, storage);
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct storaged_volname v;

        if (t->state != TICKET_PREPARED || !s || !s->type || volname_parse(s->type->naming, volname, &v, &err) < 0 ||
            v.vmid == 0)
                return -ENOENT;
        return guests_find_node(&c->paths, GUESTS_GLANCE, v.vmid, t->source, ret_node, NULL);
}

enum ticket_step handover_next_step(Core *c, const char *storage, const char *volname, const Lease *l, const Ticket *t)
{
        char node[GUEST_NODE_MAX];
        uint64_t now_s = activation_wall_s();
        int r = now_s < t->expires ? -ENOENT : find_guest(c, storage, volname, t, node);

        if (r < 0 && r != -ENOENT)
                return TICKET_WAIT; /* not to be decided by what a file system that stands still does not say */
        return ticket_next(t, l, c->node, r < 0 ? NULL : node, now_s);
}

/* What the records ask of this node, until it is the other one's turn. */
static void advance(Activation *a)
{
        const VolumeJob *j = a->job;
        enum ticket_step step = handover_next_step(j->core, j->storage, j->volname, &a->lease, &a->ticket);

        switch (step) {
        case TICKET_WAIT:
                finish_row(a);
                break;
        case TICKET_LEAVE:
                activation_call_plugin(a, NULL, left);
                break;
        case TICKET_SETTLE:
                activation_call_plugin(a, "exclusive", settled);
                break;
        case TICKET_COMMIT:
        case TICKET_ABORT:
                log_warning("volume '%s': its migration from node '%s' to '%s' was never decided and has expired: %s",
                            a->volid, a->ticket.source, a->ticket.target,
                            step == TICKET_COMMIT ? "the guest is on the target, it is committed" : "it is aborted");
                activation_store_ticket(a, step == TICKET_COMMIT ? TICKET_COMMITTING : TICKET_ABORTING, advance);
                break;
        case TICKET_DROP:
                log_warning("volume '%s': a migration ticket from node '%s' to '%s' stood for a lease that is gone and "
                            "is removed",
                            a->volid, a->ticket.source, a->ticket.target);
                end_ticket(a);
                break;
        }
}

/* Only now may the target come: the plugin here has made room for it. */
static void opened(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = fault_point("ticket.opened");

        if (r < 0) {
                (void) error_set(&err, r, "volume '%s': can't write its ticket: %s", a->volid, strerror(-r));
                activation_fail(a, &err);
        } else {
                activation_store_ticket(a, TICKET_PREPARED, finish_row);
        }
}

static void prepare(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *target = json_get_string(a->given, "target");

        a->is_renewed = ticket_is_for(&a->ticket, &a->lease);
        if (!target)
                (void) error_set_param(&err, -EINVAL, "target", "to which node?");
        else if (ticket_prepare(&a->ticket, &a->lease, activation_here(a), target, activation_wall_s(),
                                json_get_uint(a->given, "life", TICKET_LIFE_S), &err) >= 0) {
                activation_call_plugin(a, "shared", opened);
                return;
        }
        activation_fail(a, &err);
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
        if (r < 0)
                activation_fail(a, &err);
        else if (a->ticket.state != was)
                activation_store_ticket(a, a->ticket.state, advance);
        else
                advance(a);
}

void handover_begin(Activation *a)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *step = json_get_string(a->given, "step");

        a->decision = str_eq(step, "commit") ? TICKET_COMMITTING : TICKET_ABORTING;
        if (!a->ticket_path) {
                (void) error_set_param(&err, -EINVAL, "volume",
                                       "storage '%s' is not shared: there is nothing to hand "
                                       "over",
                                       a->job->storage);
                activation_fail(a, &err);
        } else if (str_eq(step, "prepare")) {
                prepare(a);
        } else if (str_eq(step, "recover")) {
                advance(a);
        } else {
                decide(a);
        }
}
