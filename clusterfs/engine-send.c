/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the engine says to its peers: frames, changes, its state, and the pump that keeps the send queue moving. */
#include "clusterfs/engine-parts.h"

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "clusterfs/bytes.h"

#define RETRY_SEND_USEC (2 * USEC_PER_MSEC)

int engine_send_now(void *userdata, const void *header, size_t header_len, const void *data, size_t len)
{
        Engine *e = userdata;

        return corosync_send(e->corosync, header, header_len, data, len);
}

int engine_send(Engine *e, uint16_t type, uint32_t flags, uint64_t sequence, StrBuf *body, bool bulk)
{
        FrameHeader h = { .version = e->wire,
                          .min_version = e->options.wire_min,
                          .type = type,
                          .flags = flags,
                          .sender = engine_nodeid(e),
                          .sequence = sequence ? sequence : ++e->sequence };

        if (type == FRAME_STATE || type == FRAME_EXCUSE) { /* for all versions: nothing has been agreed upon yet */
                h.version = e->options.wire_max;
                h.min_version = 1;
        } else {
                h.term = e->term.term;
                h.nonce = e->term.nonce;
                /* A body may grow at its end: a peer of a later version says something more there. */
                if (e->wire > FRAME_VERSION && body->len < FRAME_PIECE_MAX - 8)
                        put_u64(body, UINT64_C(0x6f6d657468696e67));
        }
        return outbox_add(e->outbox, &h, body, bulk);
}

static void make_void(Change *c, int refusal)
{
        c->refusal = refusal;
        strbuf_deinit(&c->body);
        op_encode(&c->body, &op_of_nothing);
        c->wire = op_version(&op_of_nothing);
}

void engine_send_change(Engine *e, Change *c)
{
        StrBuf copy = STRBUF_INIT;

        /* Somebody of this term would not understand it. */
        if (c->wire > e->wire)
                make_void(c, c->is_fenced ? -ENOTTY : -ENOENT);
        c->sequence = ++e->sequence;
        strbuf_add(&copy, c->body.data, c->body.len);
        if (engine_send(e, FRAME_CHANGE, e->options.is_full ? FRAME_FLAG_ACK : 0, c->sequence, &copy, false) < 0)
                log_error("out of memory: a change waits for the next configuration");
}

void engine_send_state(Engine *e)
{
        MemberState s = { .wire_max = e->options.wire_max,
                          .wire_min = e->options.wire_min,
                          .is_quorate = corosync_is_quorate(e->corosync),
                          .is_local = e->history.is_local,
                          .last = history_last(&e->history),
                          .quorate_index = e->history.quorate_index,
                          .index = e->tree->version.index,
                          .max_bytes = e->options.max_bytes };
        StrBuf b = STRBUF_INIT;

        if (e->phase != PHASE_WAIT || !corosync_quorum_is_current(e->corosync))
                return;
        corosync_ring(e->corosync, &s.ring_node, &s.ring_seq);
        if (getrandom(&s.random, sizeof(s.random), 0) < 0 || tree_checksum(e->tree, s.checksum) < 0)
                return;
        member_state_encode(&b, &s);
        (void) engine_send(e, FRAME_STATE, 0, 0, &b, false);
}

void engine_pump(Engine *e)
{
        int r;

        if (!e->outbox || !corosync_is_joined(e->corosync))
                return;
        while (e->donor && outbox_lane_is_empty(e->outbox, LANE_BULK)) {
                StrBuf b = STRBUF_INIT;

                r = donor_next(e->donor, &b);
                if (r > 0)
                        r = engine_send(e, FRAME_DATA, 0, 0, &b, true) < 0 ? -ENOMEM : 1;
                strbuf_deinit(&b);
                if (r <= 0)
                        break;
        }
        if (e->donor && donor_is_done(e->donor))
                e->donor = donor_free(e->donor);
        r = outbox_pump(e->outbox);
        if (r == -EAGAIN)
                engine_arm_retry(e, RETRY_SEND_USEC);
}
