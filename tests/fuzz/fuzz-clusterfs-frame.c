/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a broken peer of clusterfs may send. The input is a row of packets, each with a 16-bit length in front; the
 * first byte of a packet's body chooses nothing: every whole message is given to every decoder, and changes are
 * applied.
 */
#include <stdint.h>
#include <stdlib.h>

#include "clusterfs/clusterlog.h"
#include "clusterfs/frame.h"
#include "clusterfs/op.h"
#include "clusterfs/resync.h"
#include "clusterfs/sync.h"
#include "clusterfs/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int drop(void *userdata, StrBuf *body)
{
        (void) userdata;
        strbuf_deinit(body);
        return 0;
}

static void decode_all(Tree *t, Donor *donor, Receiver *receiver, const uint8_t *body, size_t len)
{
        LogEntry entry;
        MemberState state;
        StrBuf b = STRBUF_INIT;
        uint64_t ino;
        Op op;

        if (op_decode(body, len, &op) == 0) {
                (void) tree_apply(t, &op, 1, &ino);
                if (t->bytes > t->max_bytes)
                        abort();
        }
        (void) member_state_decode(body, len, &state);
        (void) clusterlog_decode(body, len, &entry);
        if (receiver_index(receiver, body, len) > 0)
                receiver_need(receiver, &b);
        (void) receiver_data(receiver, 1, body, len);
        (void) donor_ask(donor, 1, body, len);
        strbuf_deinit(&b);
        if (donor_next(donor, &b) < 0)
                abort();
        strbuf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        FrameParts *parts = frame_parts_new();
        Tree *t = tree_new(), *old = tree_new();
        History h = { 0 };
        Receiver *receiver = NULL;
        Donor *donor = NULL;

        t->max_bytes = 1 << 21;
        if (donor_new(t, &h, 1, drop, NULL, &donor) < 0 || receiver_new(old, (Version){ 1, 1 }, &receiver) < 0)
                abort();
        decode_all(t, donor, receiver, data, size); /* as a body by itself, too */
        while (size >= 2) {
                size_t n = (size_t) data[0] | (size_t) data[1] << 8;
                FrameMessage m = { 0 };

                data += 2;
                size -= 2;
                n = n < size ? n : size;
                if (frame_parts_feed(parts, 1, 1, data, n, &m) > 0) {
                        if (m.len > FRAME_BODY_MAX)
                                abort();
                        decode_all(t, donor, receiver, m.body, m.len);
                        free(m.owned);
                }
                data += n;
                size -= n;
        }
        donor = donor_free(donor);
        receiver = receiver_free(receiver);
        t = tree_free(t);
        old = tree_free(old);
        parts = frame_parts_free(parts);
        return 0;
}
