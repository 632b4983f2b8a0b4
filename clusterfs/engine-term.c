/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configurations and terms: from "members came or went" to a decision that is the same on every member. See engine.c
 * for the model.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

Peer *engine_find_peer(Engine *e, Member m)
{
        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].member.nodeid == m.nodeid && e->peers.items[i].member.pid == m.pid)
                        return &e->peers.items[i];
        return NULL;
}

static void lost_quorum(Engine *e)
{
        change_list_fail(&e->sent, -EACCES);
        /* Applied here, but not known to be with the majority: if it is not, it is kept as a conflict later. */
        if (e->options.is_full)
                change_list_fail(&e->applied, -EACCES);
}

void engine_on_members(void *userdata, const Member *members, size_t n)
{
        Engine *e = userdata;

        engine_split(e, members, n);
        outbox_clear(e->outbox);
        (void) frame_parts_free(e->parts);
        e->parts = frame_parts_new();
        e->donor = donor_free(e->donor);
        e->receiver = receiver_free(e->receiver);
        engine_forget_held(e);
        e->peers.n = 0;
        for (size_t i = 0; i < n; i++)
                (void) VEC_PUSH(&e->peers, ((Peer){ .member = members[i] }));
        e->phase = n ? PHASE_WAIT : PHASE_DOWN;
        if (n == 0) {
                e->is_quorate = false;
                lost_quorum(e);
        }
        if (!e->parts)
                corosync_restart(e->corosync);
        e->is_open = false;
        log_info("configuration of %zu members", n);
        engine_watch(e);
        engine_send_state(e);
        if (e->events.membership)
                e->events.membership(e->events.userdata);
}

void engine_on_quorum(void *userdata, bool is_quorate)
{
        Engine *e = userdata;
        bool was = e->is_quorate;

        e->is_quorate = is_quorate;
        if (was != is_quorate)
                log_info("%s", is_quorate ? "quorum is there" : "quorum is lost: read-only");
        if (!is_quorate)
                lost_quorum(e);
        if (was != is_quorate)
                engine_watch(e);
        engine_send_state(e);
        if (e->events.membership)
                e->events.membership(e->events.userdata);
}

/* The leader's changes of local mode become part of the history that begins here, on all nodes alike. */
static int adopt_local(void *userdata, Node *n)
{
        Engine *e = userdata;

        if (n->version.term & TREE_TERM_LOCAL) {
                n->version.term = e->term.term;
                db_put(e->db, n, false);
        }
        return 0;
}

static int emit_index(void *userdata, StrBuf *body)
{
        return engine_send(userdata, FRAME_INDEX, 0, 0, body, true);
}

static void begin_term(Engine *e, const SyncDecision *d, size_t n_behind)
{
        if (d->leader_is_local || e->history.is_local)
                (void) tree_walk(e->tree, adopt_local, e);
        e->history.is_local = false;
        e->history.quorate_index = e->tree->version.index;
        e->tree->version.term = e->term.term;
        if (history_add(&e->history, e->term) < 0)
                log_error("out of memory: the history is incomplete");
        db_term(e->db, e->term);
        engine_forget_stored(e);
        e->state_dirty = true;
        if (d->leader == engine_nodeid(e) && n_behind > 0) {
                log_info("handing the tree to %zu members", n_behind);
                if (donor_new(e->tree, &e->history, n_behind, emit_index, e, &e->donor) < 0)
                        log_error("out of memory: can't hand the tree over");
        }
        engine_become_active(e);
}

static void begin_receive(Engine *e, const SyncDecision *d)
{
        Version v = { .term = d->term.term, .index = d->term.start };

        log_info("taking the tree of node id %u (index %llu)", d->leader, (unsigned long long) d->term.start);
        e->phase = PHASE_RECEIVE;
        /* Applied here in a configuration that is not part of the history now taken: whoever waits must not hear
         * "done". */
        change_list_fail(&e->applied, -EIO);
        if (receiver_new(e->tree, v, &e->receiver) < 0) {
                log_error("out of memory: can't take the tree of the others");
                corosync_restart(e->corosync);
        }
}

/* All states are there: the same decision on every member, at the same place of the order. */
static void sync_point(Engine *e)
{
        AUTO(freep) MemberState *states = calloc(e->peers.n, sizeof(MemberState));
        AUTO(freep) size_t *at = calloc(e->peers.n, sizeof(size_t)); /* whose state it is */
        size_t self = 0, n_behind = 0, n = 0;
        SyncDecision d;

        if (!states || !at) {
                corosync_restart(e->corosync);
                return;
        }
        for (size_t i = 0; i < e->peers.n; i++) {
                if (e->peers.items[i].is_excused)
                        continue;
                at[n] = i;
                states[n] = e->peers.items[i].state;
                if (states[n].nodeid == engine_nodeid(e))
                        self = n;
                n++;
        }
        sync_decide(states, n, &d);
        e->term = d.term;
        e->wire = d.wire;
        e->tree->max_bytes = d.max_bytes;
        e->verify_index = 0;
        for (size_t i = 0; i < n; i++) {
                e->peers.items[at[i]].is_admitted = d.admitted[i];
                e->peers.items[at[i]].acked = 0;
                n_behind += d.admitted[i] && !d.in_sync[i];
        }
        if (!d.admitted[self]) {
                e->phase = PHASE_EXCLUDED;
                change_list_fail(&e->sent, -EACCES);
                log_error("the members speak wire version %u, this node speaks %u to %u: read-only until it is updated "
                          "(or they are)",
                          d.wire, e->options.wire_min, e->options.wire_max);
                return;
        }
        if (d.in_sync[self])
                begin_term(e, &d, n_behind);
        else
                begin_receive(e, &d);
        engine_watch(e);
}

void engine_become_active(Engine *e)
{
        e->phase = PHASE_ACTIVE;
        corosync_is_well(e->corosync);
        log_info("active in term %llu from index %llu", (unsigned long long) e->term.term,
                 (unsigned long long) e->tree->version.index);
        e->active_usec = now_usec();
        if (e->options.wire_max > FRAME_VERSION) {
                StrBuf b = STRBUF_INIT;

                strbuf_adds(&b, "of a kind that no version knows yet");
                (void) engine_send(e, 999, 0, 0, &b, false);
        }
        /* Who waits for our confirmation of what we received may have asked before we could. */
        e->ack_owed = true;
        if (e->events.membership)
                e->events.membership(e->events.userdata);
}

/* Excused members don't count: the rest must be as many as quorum asks for, and quorate each. */
void engine_try_sync(Engine *e)
{
        size_t n = 0;

        for (size_t i = 0; i < e->peers.n; i++) {
                const Peer *p = &e->peers.items[i];

                if (p->is_excused)
                        continue;
                if (!p->has_state || !p->state.is_quorate)
                        return;
                n++;
        }
        if (n == e->peers.n || corosync_is_enough(e->corosync, n))
                sync_point(e);
}

void engine_deliver_state(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Peer *p = engine_find_peer(e, from);
        uint32_t ring_node;
        uint64_t ring_seq;
        MemberState s;

        if (e->phase != PHASE_WAIT || !p || p->is_excused || e->peers.n > SYNC_MEMBERS_MAX ||
            member_state_decode(body, len, &s) < 0)
                return;
        corosync_ring(e->corosync, &ring_node, &ring_seq);
        if (s.ring_node != ring_node || s.ring_seq != ring_seq)
                return;
        s.nodeid = from.nodeid;
        s.pid = from.pid;
        p->state = s;
        p->has_state = true;
        engine_try_sync(e);
}
