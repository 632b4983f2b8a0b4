/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of clusterfs: encoding, strict decoding, and the reassembly of messages out of pieces. A sender is known by
 * node and process, so that a restarted peer never completes a message of its predecessor. The invariant: memory held
 * for a sender is bounded (PARTIAL_PER_SENDER messages of FRAME_BODY_MAX), whatever it sends.
 */
#include "clusterfs/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <storaged/cleanup.h>

#include "base/vec.h"
#include "clusterfs/bytes.h"

#define PARTIAL_PER_SENDER 16

typedef struct Partial {
        uint32_t nodeid, pid, next_part;
        uint64_t sequence;
        uint16_t type;
        uint8_t *data;
        size_t len, total;
} Partial;

struct FrameParts {
        VEC(Partial) partials;
};

#define MOMENTS(type)                                                                                \
        {                                                                                            \
                [FRAME_SENT] = "clusterfs.sent." type, [FRAME_DELIVERED] = "clusterfs.deliver." type \
        }

const char *frame_fault_name(enum frame_moment moment, uint16_t type)
{
        static const char *const names[][2] = { [0] = MOMENTS("unknown"),
                                                [FRAME_STATE] = MOMENTS("state"),
                                                [FRAME_CHANGE] = MOMENTS("change"),
                                                [FRAME_ACK] = MOMENTS("ack"),
                                                [FRAME_INDEX] = MOMENTS("index"),
                                                [FRAME_NEED] = MOMENTS("need"),
                                                [FRAME_DATA] = MOMENTS("data"),
                                                [FRAME_LOG] = MOMENTS("log"),
                                                [FRAME_LOCK_ASK] = MOMENTS("lock-ask"),
                                                [FRAME_VERIFY] = MOMENTS("verify"),
                                                [FRAME_CHECKSUM] = MOMENTS("checksum"),
                                                [FRAME_EXCUSE] = MOMENTS("excuse") };

        return names[type < sizeof(names) / sizeof(names[0]) ? type : 0][moment];
}

void frame_encode_header(const FrameHeader *h, uint8_t ret[static FRAME_HEADER_SIZE])
{
        struct {
                uint32_t magic;
                uint16_t version, min_version, type, header_size;
                uint32_t length, sender, flags;
                uint64_t sequence, term, nonce;
                uint32_t part, n_parts, total, reserved;
        } __attribute__((packed)) wire = {
                .magic = htole32(FRAME_MAGIC),
                .version = htole16(h->version),
                .min_version = htole16(h->min_version),
                .type = htole16(h->type),
                .header_size = htole16(FRAME_HEADER_SIZE),
                .length = htole32(h->length),
                .sender = htole32(h->sender),
                .flags = htole32(h->flags),
                .sequence = htole64(h->sequence),
                .term = htole64(h->term),
                .nonce = htole64(h->nonce),
                .part = htole32(h->part),
                .n_parts = htole32(h->n_parts),
                .total = htole32(h->total),
        };

        _Static_assert(sizeof(wire) == FRAME_HEADER_SIZE, "the header is on the wire");
        memcpy(ret, &wire, sizeof(wire));
}

/* The pieces of one message are all full but the last. */
static bool header_is_sane(const FrameHeader *h, size_t left)
{
        if (h->length > FRAME_PIECE_MAX || h->length != left || h->total > FRAME_BODY_MAX)
                return false;
        if (h->n_parts == 0 || h->part >= h->n_parts || h->min_version > h->version)
                return false;
        if (h->part + 1 < h->n_parts)
                return h->length == FRAME_PIECE_MAX;
        return h->total == (uint64_t) (h->n_parts - 1) * FRAME_PIECE_MAX + h->length;
}

int frame_decode(const void *packet, size_t len, FrameHeader *ret_header, const uint8_t **ret_piece)
{
        Reader r = { .p = packet, .left = len };
        FrameHeader h = { 0 };

        if (reader_u32(&r) != FRAME_MAGIC)
                return -EPROTO;
        h.version = reader_u16(&r);
        h.min_version = reader_u16(&r);
        h.type = reader_u16(&r);
        h.header_size = reader_u16(&r);
        h.length = reader_u32(&r);
        h.sender = reader_u32(&r);
        h.flags = reader_u32(&r);
        h.sequence = reader_u64(&r);
        h.term = reader_u64(&r);
        h.nonce = reader_u64(&r);
        h.part = reader_u32(&r);
        h.n_parts = reader_u32(&r);
        h.total = reader_u32(&r);
        if (r.bad || h.header_size < FRAME_HEADER_SIZE || h.header_size > len)
                return -EPROTO;
        if (!header_is_sane(&h, len - h.header_size))
                return -EPROTO;
        *ret_header = h;
        *ret_piece = (const uint8_t *) packet + h.header_size;
        return 0;
}

FrameParts *frame_parts_new(void)
{
        return calloc(1, sizeof(FrameParts));
}

FrameParts *frame_parts_free(FrameParts *p)
{
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->partials.n; i++)
                free(p->partials.items[i].data);
        VEC_DEINIT(&p->partials);
        free(p);
        return NULL;
}

static void partial_remove(FrameParts *p, size_t i)
{
        free(p->partials.items[i].data);
        VEC_REMOVE(&p->partials, i);
}

void frame_parts_drop(FrameParts *p, uint32_t nodeid, uint32_t pid)
{
        for (size_t i = p->partials.n; i-- > 0;)
                if (p->partials.items[i].nodeid == nodeid && p->partials.items[i].pid == pid)
                        partial_remove(p, i);
}

static int partial_begin(FrameParts *p, uint32_t nodeid, uint32_t pid, const FrameHeader *h, const uint8_t *piece)
{
        Partial new = { .nodeid = nodeid,
                        .pid = pid,
                        .next_part = 1,
                        .sequence = h->sequence,
                        .type = h->type,
                        .len = h->length,
                        .total = h->total };
        size_t n = 0;

        for (size_t i = 0; i < p->partials.n; i++)
                n += p->partials.items[i].nodeid == nodeid && p->partials.items[i].pid == pid;
        if (n >= PARTIAL_PER_SENDER || h->total <= h->length)
                return -EPROTO;
        new.data = malloc(h->total);
        if (!new.data)
                return -ENOMEM;
        memcpy(new.data, piece, h->length);
        if (VEC_PUSH(&p->partials, new) < 0) {
                free(new.data);
                return -ENOMEM;
        }
        return 0;
}

static int partial_continue(FrameParts *p, size_t i, const FrameHeader *h, const uint8_t *piece, FrameMessage *ret)
{
        Partial *m = &p->partials.items[i];

        if (h->part != m->next_part || h->type != m->type || h->length > m->total - m->len ||
            (h->part + 1 == h->n_parts && h->total != m->total)) {
                partial_remove(p, i);
                return -EPROTO;
        }
        memcpy(m->data + m->len, piece, h->length);
        m->len += h->length;
        m->next_part++;
        if (h->part + 1 < h->n_parts)
                return 0;
        if (m->len != m->total) {
                partial_remove(p, i);
                return -EPROTO;
        }
        *ret = (FrameMessage){ .header = *h, .body = m->data, .len = m->len, .owned = TAKE(m->data) };
        partial_remove(p, i);
        return 1;
}

int frame_parts_feed(FrameParts *p, uint32_t nodeid, uint32_t pid, const void *packet, size_t len, FrameMessage *ret)
{
        const uint8_t *piece = NULL;
        FrameHeader h;
        int r;

        r = frame_decode(packet, len, &h, &piece);
        if (r < 0)
                return r;
        if (h.n_parts == 1) {
                *ret = (FrameMessage){ .header = h, .body = piece, .len = h.length };
                return 1;
        }
        for (size_t i = 0; i < p->partials.n; i++) {
                const Partial *m = &p->partials.items[i];

                if (m->nodeid == nodeid && m->pid == pid && m->sequence == h.sequence)
                        return partial_continue(p, i, &h, piece, ret);
        }
        return h.part == 0 ? partial_begin(p, nodeid, pid, &h, piece) : 0;
}
