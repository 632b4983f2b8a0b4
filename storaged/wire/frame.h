/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Frames between storaged and a worker, on a SOCK_SEQPACKET socketpair: one header and a piece of a body
 * per packet; a body longer than FRAME_PIECE_MAX comes in pieces, all but the last with FRAME_MORE.
 * Both ends are on one machine: host byte order. Decoders take (ptr, len) and trust nothing; fuzzed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define FRAME_MAGIC 0x5357u /* "SW" */
#define FRAME_VERSION 1u
#define FRAME_PIECE_MAX 65536u
#define FRAME_BODY_MAX (256u << 20)

enum frame_type {
        FRAME_CALL = 1,     /* daemon → worker: {"op", "args", "deadline_ms"}; may carry one descriptor */
        FRAME_REPLY = 2,    /* worker → daemon: the result, any JSON value */
        FRAME_ERROR = 3,    /* worker → daemon: {"code": -errno, "param", "text"[, "ends": true]} */
        FRAME_PROGRESS = 4, /* worker → daemon: {"done", "total"} */
        FRAME_LOG = 5,      /* worker → daemon: {"level", "text"} */
        FRAME_READY = 6,    /* worker → daemon once it has loaded and started its plugin: {"pid"} */
        FRAME_CANCEL = 7,   /* daemon → worker: stop the current call at its next progress point */
        FRAME_ASK = 8,      /* worker → daemon, just before it changes something: does the call's lock still hold? */
        FRAME_ANSWER = 9,   /* daemon → worker: {} or {"lock", "id"}: yes; {"code": -errno, "text"}: no */
        FRAME_TYPE_MAX,
};

enum { FRAME_MORE = 1 << 0 };

typedef struct FrameHeader {
        uint16_t magic, version;
        uint8_t type, flags;
        uint16_t reserved;
        uint32_t call;   /* number of the call it belongs to, 0: none */
        uint32_t length; /* of the piece behind the header */
} FrameHeader;

_Static_assert(sizeof(FrameHeader) == 16, "the header is on the wire");

/* A whole message. */
typedef struct Frame {
        uint8_t type;
        uint32_t call;
        StrBuf body;
        int fd; /* received descriptor or -EBADF; owned */
} Frame;

#define FRAME_INIT           \
        (Frame)              \
        {                    \
                .fd = -EBADF \
        }

void frame_deinit(Frame *f);

/* One packet. Gives the header and the piece (pointing into `packet`); -EPROTO for anything else. */
int frame_decode(const void *packet, size_t len, FrameHeader *ret_header, const char **ret_piece);

/*
 * Puts packets together: feed every packet; 1 with *ret filled (the caller's to deinit) when a message is whole,
 * 0 when more is to come, -EPROTO when the peer is broken, -EFBIG, -ENOMEM.
 */
typedef struct FrameAssembler {
        Frame partial;
        bool has_partial;
} FrameAssembler;

#define FRAME_ASSEMBLER_INIT          \
        (FrameAssembler)              \
        {                             \
                .partial = FRAME_INIT \
        }

void frame_assembler_deinit(FrameAssembler *a);
int frame_assembler_feed(FrameAssembler *a, const void *packet, size_t len, int fd, Frame *ret);

/* Sends a message in as many packets as it takes; blocks on a blocking socket; -EAGAIN never on those. fd -1: none. */
int frame_send(int socket, uint8_t type, uint32_t call, const void *body, size_t len, int fd);
/* Receives one packet into `buf` (size ≥ FRAME_PIECE_MAX + header); number of bytes, 0 at end, -errno. *ret_fd or
 * -EBADF. */
int frame_recv_packet(int socket, void *buf, size_t size, int *ret_fd);
