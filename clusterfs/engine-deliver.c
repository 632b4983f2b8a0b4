/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes come in, from this node's users and from Corosync, and are applied. What is ordered is applied by every
 * ACTIVE member; what was sent in another term by nobody.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "clusterfs/bytes.h"

/* Gives the result, and the ticket that makes it durable. */
static int apply(Engine *e, const Op *op, Change *own)
{
        uint64_t before = e->tree->version.index, ino = 0;
        uint64_t term = e->phase == PHASE_LOCAL ? (history_last(&e->history).term | TREE_TERM_LOCAL) : e->term.term;
        int r;

        e->tree->now_usec = now_usec();
        e->current_writer = op->writer;
        r = tree_apply(e->tree, op, term, &ino);
        if (e->tree->version.index != before) {
                if (e->phase == PHASE_LOCAL)
                        e->history.is_local = true;
                else
                        e->history.quorate_index = e->tree->version.index;
                e->state_dirty = true;
        }
        if (own) {
                own->ino = ino;
                own->index = e->tree->version.index;
                own->ticket = own->index != before ? db_ticket(e->db) : 0; /* nothing to store: nothing to wait for */
                own->applied_usec = e->tree->now_usec;
        }
        return r;
}

static void finish_own(Engine *e, Change *c, int result)
{
        strbuf_deinit(&c->body);
        if (result < 0)
                change_finish(c, c->refusal ? c->refusal : result);
        else
                change_list_add(&e->applied, c);
}

static Change *take_sent(Engine *e, uint64_t sequence)
{
        for (Change **at = &e->sent.first; *at; at = &(*at)->next)
                if ((*at)->sequence == sequence)
                        return change_list_take(&e->sent, at);
        return NULL;
}

void engine_deliver_change(Engine *e, Member from, const FrameHeader *h, const uint8_t *body, size_t len)
{
        bool is_own = from.nodeid == engine_nodeid(e);
        Change *own = is_own ? take_sent(e, h->sequence) : NULL;
        Op op;
        int r = op_decode(body, len, &op);

        if (is_own && e->events.ordered)
                e->events.ordered(e->events.userdata, h->sequence);
        if (r == 0) {
                op.writer = from.nodeid;
                r = apply(e, &op, own);
        } else {
                log_error("node %u sent a change that can't be understood", from.nodeid);
        }
        if (own)
                finish_own(e, own, r);
        if (r == -ENOMEM) { /* the others have applied it: this tree is another one now */
                log_error("out of memory: taking the tree of the others anew");
                corosync_restart(e->corosync);
        }
        if (!is_own && (h->flags & FRAME_FLAG_ACK))
                e->ack_owed = true;
        else if (!is_own)
                engine_ack_later(e);
}

void engine_submit(Engine *e, const Op *op, engine_done_fn done, void *userdata)
{
        Change *c = calloc(1, sizeof(*c));
        int r = engine_can_write(e);

        if (!c) {
                if (done)
                        done(userdata, -ENOMEM, 0);
                return;
        }
        c->done = done;
        c->userdata = userdata;
        if (r < 0) {
                change_finish(c, r);
                return;
        }
        if (e->phase == PHASE_LOCAL) {
                finish_own(e, c, apply(e, op, c));
                return;
        }
        c->wire = op_version(op);
        c->is_fenced = op_is_fenced(op);
        op_encode(&c->body, op);
        if (strbuf_error(&c->body) < 0) {
                change_finish(c, -ENOMEM);
                return;
        }
        change_list_add(&e->sent, c);
        if (e->is_open && e->phase == PHASE_ACTIVE)
                engine_send_change(e, c);
}

void engine_order(Engine *e, engine_done_fn done, void *userdata)
{
        engine_submit(e, &op_of_nothing, done, userdata);
}

static void deliver_ack(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t index = reader_u64(&r);
        Peer *p = engine_find_peer(e, from);

        if (!p || r.bad)
                return;
        p->is_slow = false;
        if (index > p->acked)
                p->acked = index;
}

static void deliver_active(Engine *e, Member from, const FrameMessage *m)
{
        switch (m->header.type) {
        case FRAME_CHANGE:
                engine_deliver_change(e, from, &m->header, m->body, m->len);
                break;
        case FRAME_ACK:
                deliver_ack(e, from, m->body, m->len);
                break;
        case FRAME_LOG:
                engine_deliver_log(e, from, m->body, m->len);
                break;
        case FRAME_LOCK_ASK:
                engine_deliver_lock_ask(e, m->body, m->len);
                break;
        case FRAME_VERIFY:
                engine_deliver_verify(e);
                break;
        case FRAME_CHECKSUM:
                engine_deliver_checksum(e, from, m->body, m->len);
                break;
        case FRAME_NEED:
                if (e->donor && donor_ask(e->donor, from.nodeid, m->body, m->len) < 0)
                        log_error("can't serve node id %u with the tree", from.nodeid);
                break;
        default: /* INDEX and DATA are for others; unknown ones of later versions */
                break;
        }
}

static void deliver_receiving(Engine *e, Member from, const FrameMessage *m)
{
        switch (m->header.type) {
        case FRAME_CHANGE:
                engine_hold_change(e, from, &m->header, m->body, m->len);
                break;
        case FRAME_INDEX:
                engine_deliver_index(e, m->body, m->len);
                break;
        case FRAME_DATA:
                engine_deliver_data(e, m->body, m->len);
                break;
        case FRAME_LOG:
                engine_deliver_log(e, from, m->body, m->len);
                break;
        case FRAME_ACK:
                deliver_ack(e, from, m->body, m->len);
                break;
        default:
                break;
        }
}

void engine_on_message(void *userdata, Member from, const void *data, size_t len)
{
        Engine *e = userdata;
        FrameMessage m = { 0 };
        FrameHeader h;
        const uint8_t *piece;
        Peer *p;

        if (frame_decode(data, len, &h, &piece) < 0) {
                log_warning("node id %u sent what is no frame of clusterfs", from.nodeid);
                return;
        }
        (void) fault_point(frame_fault_name(FRAME_DELIVERED, h.type));
        if (h.n_parts > 1 && engine_find_peer(e, from) && from.nodeid == engine_nodeid(e))
                outbox_delivered(e->outbox);
        if ((h.type == FRAME_STATE || h.type == FRAME_EXCUSE) &&
            frame_parts_feed(e->parts, from.nodeid, from.pid, data, len, &m) > 0) {
                if (h.type == FRAME_STATE)
                        engine_deliver_state(e, from, m.body, m.len);
                else
                        engine_deliver_excuse(e, from, m.body, m.len);
                free(m.owned);
                return;
        }
        if (h.min_version <= e->options.wire_max && h.term == e->term.term && h.nonce == e->term.nonce &&
            (e->phase == PHASE_ACTIVE || e->phase == PHASE_RECEIVE) &&
            frame_parts_feed(e->parts, from.nodeid, from.pid, data, len, &m) > 0) {
                if (e->phase == PHASE_ACTIVE)
                        deliver_active(e, from, &m);
                else
                        deliver_receiving(e, from, &m);
        }
        p = engine_find_peer(e, from);
        if (p)
                p->last_index = e->tree->version.index;
        free(m.owned);
}

void engine_on_settled(void *userdata)
{
        engine_settle(userdata);
}
