/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What clusterfs says to its peers: a header of fixed-width little-endian fields and a piece of a body. Decoders take
 * (ptr, len), trust nothing and are fuzzed.
 *
 * How versions meet (decided once, for all time):
 *  - a header may grow: `header_size` says where the piece begins; a body may grow at its end: what is behind the
 *    known fields is ignored;
 *  - `version` is what the sender encoded, `min_version` the oldest reader that can understand it; a frame whose
 *    min_version is above ours, or whose type we don't know, is passed over;
 *  - FRAME_STATE is understood by all versions: with it members agree on the version they speak (sync.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define FRAME_MAGIC UINT32_C(0x31534643) /* "CFS1" */
#define FRAME_VERSION 3u                 /* newest we speak */
#define FRAME_VERSION_MIN 1u             /* oldest we speak */
#define FRAME_HEADER_SIZE 64u
#define FRAME_PIECE_MAX (65536u + 1024u) /* a change of 64 KiB goes in one */
#define FRAME_BODY_MAX (4u << 20)
#define FRAME_PACKET_MAX (FRAME_HEADER_SIZE + 1024u + FRAME_PIECE_MAX)

/* Written on the wire: never renumbered, never reused. */
enum frame_type {
        FRAME_STATE = 1,     /* on a new configuration: what I have, what I speak */
        FRAME_CHANGE = 2,    /* one change of the tree: op.h */
        FRAME_ACK = 3,       /* I have stored everything up to this index */
        FRAME_INDEX = 4,     /* the tree at the point of sync, without contents */
        FRAME_NEED = 5,      /* a joining member: send me the contents of these */
        FRAME_DATA = 6,      /* contents for one joining member */
        FRAME_LOG = 7,       /* entry of the cluster log */
        FRAME_LOCK_ASK = 8,  /* somebody wants this lock; the first member drops it if it is expired */
        FRAME_VERIFY = 9,    /* compare checksums at this point of the order */
        FRAME_CHECKSUM = 10, /* answer to VERIFY */
        FRAME_EXCUSE = 11    /* these members don't send their STATE: go on without them */
};

enum {
        FRAME_FLAG_ACK = 1 << 0 /* CHANGE: the writer waits for a majority's FRAME_ACK */
};

typedef struct FrameHeader {
        uint16_t version, min_version, type, header_size;
        uint32_t length; /* of the piece behind the header */
        uint32_t sender; /* node id */
        uint64_t sequence;
        uint64_t term, nonce;          /* of the configuration in which it was sent; 0 for STATE and EXCUSE */
        uint32_t part, n_parts, total; /* this piece's number, how many, bytes of the whole body */
        uint32_t flags;
} FrameHeader;

enum frame_moment { FRAME_SENT, FRAME_DELIVERED };

/*
 * The fault point of who has just given one to Corosync ("clusterfs.sent.TYPE"; whether it was ordered is not known
 * yet), or is about to handle one ("clusterfs.deliver.TYPE").
 */
const char *frame_fault_name(enum frame_moment moment, uint16_t type);
/* Writes FRAME_HEADER_SIZE bytes. */
void frame_encode_header(const FrameHeader *h, uint8_t ret[static FRAME_HEADER_SIZE]);
/* The header and the piece (pointing into `packet`). -EPROTO: not a frame, or one that contradicts itself. */
int frame_decode(const void *packet, size_t len, FrameHeader *ret_header, const uint8_t **ret_piece);

/*
 * Puts pieces together, for all senders. Several messages of one sender may be under way at once: pieces of a large one
 * come between others. A member that saw not all pieces of a message does not see the message.
 */
typedef struct FrameMessage {
        FrameHeader header; /* of its last piece */
        const uint8_t *body;
        size_t len;
        uint8_t *owned; /* free() it when done; NULL if body points into the packet */
} FrameMessage;

typedef struct FrameParts FrameParts;

FrameParts *frame_parts_new(void);
FrameParts *frame_parts_free(FrameParts *p);
/* 1 with *ret filled when a message is whole; 0 when more is to come or it was passed over; -EPROTO, -ENOMEM. */
int frame_parts_feed(FrameParts *p, uint32_t nodeid, uint32_t pid, const void *packet, size_t len, FrameMessage *ret);
/* Forgets what this sender has not finished. */
void frame_parts_drop(FrameParts *p, uint32_t nodeid, uint32_t pid);
