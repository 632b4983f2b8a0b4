/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * How members that meet come to one tree: what each says of itself (FRAME_STATE), who is right (sync_decide(), the same
 * answer everywhere), and the tree as it is handed over (FRAME_INDEX). Pure functions.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "base/vec.h"
#include "clusterfs/history.h"
#include "clusterfs/tree.h"

#define SYNC_MEMBERS_MAX 128u

typedef struct MemberState {
        uint32_t nodeid, pid; /* of the frame, not in the body */
        uint16_t wire_max, wire_min;
        bool is_quorate, is_local;
        Term last;              /* of its history */
        uint64_t quorate_index; /* compared first among equal terms */
        uint64_t index;         /* including what was changed in local mode */
        uint64_t max_bytes;
        uint64_t random;
        uint32_t ring_node;
        uint64_t ring_seq;
        uint8_t checksum[TREE_HASH_SIZE];
} MemberState;

void member_state_encode(StrBuf *b, const MemberState *s);
/* -EPROTO. Fields behind the known ones are passed over. */
int member_state_decode(const void *body, size_t len, MemberState *ret);

typedef struct SyncDecision {
        uint32_t leader;                 /* node id: its tree is taken; it hands it to those who lack it */
        Term term;                       /* the new one; `start` is the leader's index */
        uint16_t wire;                   /* version that all who take part speak */
        uint64_t max_bytes;              /* the smallest limit */
        bool leader_is_local;            /* the leader's own changes of local mode are in that tree */
        bool in_sync[SYNC_MEMBERS_MAX];  /* has that tree already */
        bool admitted[SYNC_MEMBERS_MAX]; /* speaks the version; others stay out, read-only */
} SyncDecision;

/*
 * The newest quorate history wins: higher term, then higher index in it. Only between equals: a tree without changes of
 * local mode before one with; before there is any history the larger tree; then the lower node id.
 */
void sync_decide(const MemberState *states, size_t n, SyncDecision *ret);

/* One object of the tree that is handed over. */
typedef struct IndexEntry {
        NodeSpec spec; /* name points into the message; no content */
        uint32_t size;
        uint8_t hash[TREE_HASH_SIZE];
} IndexEntry;

typedef struct IndexHeader {
        bool is_first, is_last;
        History history; /* in the first; owned */
} IndexHeader;

void index_encode_header(StrBuf *b, const IndexHeader *h);
/* Each entry has its length in front, so that it may grow; a length of 0 ends them. */
void index_encode_entry(StrBuf *b, const Node *n);
void index_encode_end(StrBuf *b);
/* Calls `fn` for each entry; ret_header is the caller's to history_deinit(). -EPROTO, -ENOMEM or what fn returned. */
int index_decode(const void *body, size_t len, IndexHeader *ret_header, int (*fn)(void *userdata, const IndexEntry *e),
                 void *userdata);
