/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tickets. The lease says who may have the volume active, the ticket where that is going. A ticket is decided once,
 * prepared → committing or prepared → aborting, under the storage's lock; from there each node reads from the two
 * records alone what its next step is, does it, and does it again if it was killed in between. Whoever is not to stay
 * leaves the lease first; only then does the other one become exclusive, and only then is the ticket removed.
 * docs/decisions/0012-leases-and-tickets.md has the table.
 */
#include "core/ticket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/fs.h"
#include "wire/json.h"

#define TICKETS_MAX 65536

static const char *const state_names[] = { "none", "prepared", "committing", "aborting" };

const char *ticket_state_to_string(enum ticket_state state)
{
        return state_names[state];
}

/* --- decisions */

bool ticket_is_for(const Ticket *t, const Lease *l)
{
        return t->state != TICKET_NONE && lease_is_held(l) && t->generation == l->generation &&
               (strcmp(l->node, t->source) == 0 || strcmp(l->node, t->target) == 0);
}

enum ticket_step ticket_next(const Ticket *t, const Lease *l, const char *node, const char *guest_node, uint64_t now_s)
{
        const char *leaver = t->state == TICKET_COMMITTING ? t->source : t->target;

        if (t->state == TICKET_NONE)
                return TICKET_WAIT;
        if (!ticket_is_for(t, l))
                return TICKET_DROP;
        if (t->state == TICKET_PREPARED) {
                if (now_s < t->expires || !lease_holds(l, node))
                        return TICKET_WAIT;
                return lease_is_shared(l) && str_eq(guest_node, t->target) ? TICKET_COMMIT : TICKET_ABORT;
        }
        if (lease_is_shared(l))
                return strcmp(node, leaver) == 0 ? TICKET_LEAVE : TICKET_WAIT;
        return strcmp(node, l->node) == 0 ? TICKET_SETTLE : TICKET_WAIT;
}

static int refuse_other(const Ticket *t, struct storaged_error *err)
{
        return error_set_param(err, -EBUSY, "volume", "volume '%s': its migration from node '%s' to '%s' is %s",
                               t->volume, t->source, t->target, ticket_state_to_string(t->state));
}

int ticket_prepare(Ticket *t, const Lease *l, const char *node, const char *target, uint64_t now_s, uint64_t life_s,
                   struct storaged_error *err)
{
        bool is_old = ticket_is_for(t, l);

        if (strcmp(node, target) == 0)
                return error_set_param(err, -EINVAL, "target", "the target '%s' is the node it is on", target);
        if (!lease_is_held(l))
                return error_set_param(err, -EINVAL, "volume", "volume '%s' is not active here: activate it first",
                                       l->volume);
        if (strcmp(l->node, node) != 0)
                return lease_refuse(l, err);
        if (is_old && (t->state != TICKET_PREPARED || strcmp(t->target, target) != 0))
                return refuse_other(t, err);
        if (!is_old) {
                *t = (Ticket){ .state = TICKET_PREPARED, .created = now_s, .generation = l->generation };
                (void) snprintf(t->volume, sizeof(t->volume), "%s", l->volume);
                (void) snprintf(t->source, sizeof(t->source), "%s", node);
                (void) snprintf(t->target, sizeof(t->target), "%s", target);
        }
        t->expires = now_s + life_s;
        return 0;
}

int ticket_admit(const Ticket *t, const Lease *l, const char *node, uint64_t now_s, struct storaged_error *err)
{
        if (!ticket_is_for(t, l) || strcmp(t->target, node) != 0)
                return lease_refuse(l, err);
        if (t->state != TICKET_PREPARED)
                return refuse_other(t, err);
        if (now_s >= t->expires)
                return error_set_param(err, -EBUSY, "volume",
                                       "volume '%s': its migration ticket has expired; prepare it again on node '%s'",
                                       t->volume, t->source);
        return 0;
}

int ticket_decide(Ticket *t, const Lease *l, enum ticket_state decision, const char *target, struct storaged_error *err)
{
        if (!ticket_is_for(t, l))
                return error_set_param(err, -ENOENT, "volume", "no migration of volume '%s' is prepared", l->volume);
        if (target && strcmp(target, t->target) != 0)
                return refuse_other(t, err);
        if (t->state == decision)
                return 0;
        if (t->state != TICKET_PREPARED)
                return refuse_other(t, err);
        if (decision == TICKET_COMMITTING && !lease_is_shared(l))
                return error_set_param(
                        err, -EBUSY, "volume",
                        "volume '%s' was never activated on the target '%s': activate it there, or abort", t->volume,
                        t->target);
        t->state = decision;
        return 0;
}

int ticket_check_done(const Lease *l, enum ticket_state decision, const char *target, struct storaged_error *err)
{
        bool is_at_target = lease_is_held(l) && (target ? strcmp(l->node, target) == 0 : l->from[0] != '\0');

        if (decision == TICKET_ABORTING && is_at_target)
                return error_set_param(err, -EBUSY, "target", "volume '%s' has been handed over to node '%s' already",
                                       l->volume, l->node);
        if (decision == TICKET_ABORTING || is_at_target)
                return 0;
        return error_set_param(err, -ENOENT, "volume", "no migration of volume '%s' is prepared", l->volume);
}

/* --- records */

int ticket_path(const Paths *p, const char *volume, char **ret)
{
        AUTO(freep) char *name = NULL;
        int r = record_name(volume, &name);

        return r < 0 ? r : str_printf(ret, "%s/storaged/tickets/%s", p->priv, name);
}

static int state_from_string(const char *s, enum ticket_state *ret)
{
        for (unsigned i = TICKET_PREPARED; i <= TICKET_ABORTING; i++)
                if (str_eq(s, state_names[i])) {
                        *ret = (enum ticket_state) i;
                        return 0;
                }
        return -EBADMSG;
}

static int ticket_from_json(json_object *o, const char *volume, Ticket *ret)
{
        Ticket t = TICKET_INIT;
        int r = record_get_text(o, "volume", true, t.volume, sizeof(t.volume));

        if (r >= 0)
                r = record_get_text(o, "source", true, t.source, sizeof(t.source));
        if (r >= 0)
                r = record_get_text(o, "target", true, t.target, sizeof(t.target));
        if (r >= 0)
                r = state_from_string(json_get_string(o, "state"), &t.state);
        if (r < 0)
                return r;
        t.created = json_get_uint(o, "created", 0);
        t.expires = json_get_uint(o, "expires", 0);
        t.generation = json_get_uint(o, "generation", 0);
        if ((volume && strcmp(t.volume, volume) != 0) || strcmp(t.source, t.target) == 0 || t.generation == 0)
                return -EBADMSG;
        *ret = t;
        return 0;
}

int ticket_load(const char *path, const char *volume, Ticket *ret, struct storaged_error *err)
{
        AUTO_JSON *o = NULL;
        int r = record_read(path, &o);

        if (r == -ENOENT) {
                *ret = TICKET_INIT;
                (void) snprintf(ret->volume, sizeof(ret->volume), "%s", volume);
                return 0;
        }
        if (r >= 0)
                r = ticket_from_json(o, volume, ret);
        if (r == -EBADMSG)
                return error_set(err, r,
                                 "the migration ticket of volume '%s' can't be read: see on which node its guest "
                                 "runs, then remove %s",
                                 volume, path);
        return r < 0 ? error_set(err, r, "can't read the ticket of volume '%s', %s: %s", volume, path, fs_strerror(r))
                     : 0;
}

static int ticket_write(const char *path, const Ticket *t, const Fence *fence)
{
        AUTO_JSON *o = json_object_new_object();
        int r = fault_point("ticket.before-write");

        if (r >= 0)
                r = json_add_string(o, "volume", t->volume);
        if (r >= 0)
                r = json_add_string(o, "source", t->source);
        if (r >= 0)
                r = json_add_string(o, "target", t->target);
        if (r >= 0)
                r = json_add_uint(o, "created", t->created);
        if (r >= 0)
                r = json_add_uint(o, "expires", t->expires);
        if (r >= 0)
                r = json_add_string(o, "state", ticket_state_to_string(t->state));
        if (r >= 0)
                r = json_add_uint(o, "generation", t->generation);
        if (r >= 0)
                r = record_write(path, o, fence);
        return r < 0 ? r : fault_point("ticket.after-write");
}

static int ticket_remove(const char *path, const Fence *fence)
{
        int r = fault_point("ticket.before-remove");

        if (r < 0)
                return r;
        r = fs_unlink_fenced(path, fence);
        if (r >= 0)
                r = fault_point("ticket.after-remove");
        if (r >= 0)
                r = fs_fsync_dir_of(path);
        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

int ticket_store(const char *path, const Ticket *t, const Fence *fence, struct storaged_error *err)
{
        int r = t->state != TICKET_NONE ? ticket_write(path, t, fence) : ticket_remove(path, fence);

        return r < 0 ? error_set(err, r, "can't write the ticket of volume '%s', %s: %s", t->volume, path,
                                 fs_strerror(r))
                     : 0;
}

void ticket_touch(const char *path)
{
        (void) fs_touch(path); /* the other node looks by itself, a second later */
}

/* Only what is named as its own record says: an interrupted write's rest is none. */
static int list_one(const char *dir, const char *name, StrList *ret)
{
        AUTO(freep) char *path = NULL, *expected = NULL;
        AUTO_JSON *o = NULL;
        Ticket t = TICKET_INIT;
        int r = str_printf(&path, "%s/%s", dir, name);

        if (r < 0)
                return r;
        if (record_read(path, &o) < 0 || ticket_from_json(o, NULL, &t) < 0)
                return 0;
        r = record_name(t.volume, &expected);
        if (r < 0)
                return r;
        return strcmp(expected, name) == 0 ? strlist_adds(ret, t.volume) : 0;
}

int ticket_list(const Paths *p, StrList *ret)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO(freep) char *dir = NULL;
        int r = str_printf(&dir, "%s/storaged/tickets", p->priv);

        if (r >= 0)
                r = fs_list_dir(dir, &names);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        for (size_t i = 0; r >= 0 && i < names.n; i++)
                if (names.items[i][0] != '.')
                        r = ret->n >= TICKETS_MAX ? -E2BIG : list_one(dir, names.items[i], ret);
        if (r < 0)
                return r;
        strlist_sort(ret);
        return 0;
}
