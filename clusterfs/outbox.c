/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The send queue: three lanes, a window for pieces. See the header. */
#include "clusterfs/outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fault.h"

typedef struct Letter Letter;

struct Letter {
        Letter *next;
        FrameHeader header;
        char *body;
        size_t len;
};

struct Outbox {
        outbox_send_fn send;
        void *userdata;
        Letter *first[LANES], **last[LANES];
        unsigned under_way;
        enum outbox_lane turn;
};

Outbox *outbox_new(outbox_send_fn send, void *userdata)
{
        Outbox *o = calloc(1, sizeof(*o));

        if (!o)
                return NULL;
        o->send = send;
        o->userdata = userdata;
        o->turn = LANE_LARGE;
        for (size_t i = 0; i < LANES; i++)
                o->last[i] = &o->first[i];
        return o;
}

static void pop(Outbox *o, enum outbox_lane lane)
{
        Letter *l = o->first[lane];

        o->first[lane] = l->next;
        if (!l->next)
                o->last[lane] = &o->first[lane];
        free(l->body);
        free(l);
}

void outbox_clear(Outbox *o)
{
        for (size_t i = 0; i < LANES; i++)
                while (o->first[i])
                        pop(o, (enum outbox_lane) i);
        o->under_way = 0;
}

Outbox *outbox_free(Outbox *o)
{
        if (o)
                outbox_clear(o);
        free(o);
        return NULL;
}

int outbox_add(Outbox *o, const FrameHeader *h, StrBuf *body, bool bulk)
{
        enum outbox_lane lane = bulk ? LANE_BULK : body->len > FRAME_PIECE_MAX ? LANE_LARGE : LANE_SMALL;
        Letter *l;

        if (strbuf_error(body) < 0 || body->len > FRAME_BODY_MAX) {
                int r = strbuf_error(body) < 0 ? -ENOMEM : -EMSGSIZE;

                strbuf_deinit(body);
                return r;
        }
        l = calloc(1, sizeof(*l));
        if (!l) {
                strbuf_deinit(body);
                return -ENOMEM;
        }
        l->header = *h;
        l->header.part = 0;
        l->header.total = (uint32_t) body->len;
        l->header.n_parts = body->len ? (uint32_t) ((body->len + FRAME_PIECE_MAX - 1) / FRAME_PIECE_MAX) : 1;
        l->len = body->len;
        l->body = body->data;
        *body = STRBUF_INIT;
        *o->last[lane] = l;
        o->last[lane] = &l->next;
        return 0;
}

/* One piece of the lane's first message. */
static int send_piece(Outbox *o, enum outbox_lane lane)
{
        Letter *l = o->first[lane];
        size_t offset = (size_t) l->header.part * FRAME_PIECE_MAX;
        uint8_t header[FRAME_HEADER_SIZE];
        int r;

        l->header.length = (uint32_t) (l->len - offset < FRAME_PIECE_MAX ? l->len - offset : FRAME_PIECE_MAX);
        frame_encode_header(&l->header, header);
        r = o->send(o->userdata, header, sizeof(header), l->len ? l->body + offset : NULL, l->header.length);
        if (r < 0)
                return r;
        (void) fault_point(frame_fault_name(FRAME_SENT, l->header.type));
        if (l->header.n_parts > 1)
                o->under_way++;
        if (++l->header.part == l->header.n_parts)
                pop(o, lane);
        return 0;
}

int outbox_pump(Outbox *o)
{
        int r = 0;

        while (r == 0 && o->first[LANE_SMALL])
                r = send_piece(o, LANE_SMALL);
        while (r == 0 && (o->first[LANE_LARGE] || o->first[LANE_BULK]) && o->under_way < OUTBOX_WINDOW) {
                o->turn = o->turn == LANE_LARGE ? LANE_BULK : LANE_LARGE;
                if (!o->first[o->turn])
                        o->turn = o->turn == LANE_LARGE ? LANE_BULK : LANE_LARGE;
                r = send_piece(o, o->turn);
        }
        return r;
}

void outbox_delivered(Outbox *o)
{
        if (o->under_way > 0)
                o->under_way--;
}

bool outbox_lane_is_empty(const Outbox *o, enum outbox_lane lane)
{
        return !o->first[lane];
}
