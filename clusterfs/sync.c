/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deciding whose tree it is. sync_decide() sees the states of all members of one configuration, in any order, and is a
 * function of them alone: so no member needs to be told the result. The invariant: a change that a quorate
 * configuration made is never outweighed by any number of changes made alone.
 */
#include "clusterfs/sync.h"

#include <errno.h>
#include <string.h>

#include "clusterfs/bytes.h"

/* Bytes of an entry of the index beside its name. */
#define INDEX_ENTRY_FIXED (8 + 8 + 1 + 4 + 8 + 8 + 8 + 2 + 4 + TREE_HASH_SIZE)

void member_state_encode(StrBuf *b, const MemberState *s)
{
        put_u16(b, s->wire_max);
        put_u16(b, s->wire_min);
        put_u8(b, s->is_quorate);
        put_u8(b, s->is_local);
        put_u64(b, s->last.term);
        put_u64(b, s->last.nonce);
        put_u64(b, s->last.start);
        put_u64(b, s->quorate_index);
        put_u64(b, s->index);
        put_u64(b, s->max_bytes);
        put_u64(b, s->random);
        put_u32(b, s->ring_node);
        put_u64(b, s->ring_seq);
        strbuf_add(b, s->checksum, TREE_HASH_SIZE);
}

int member_state_decode(const void *body, size_t len, MemberState *ret)
{
        Reader r = { .p = body, .left = len };
        MemberState s = { 0 };
        const uint8_t *sum;

        s.wire_max = reader_u16(&r);
        s.wire_min = reader_u16(&r);
        s.is_quorate = reader_u8(&r) != 0;
        s.is_local = reader_u8(&r) != 0;
        s.last.term = reader_u64(&r);
        s.last.nonce = reader_u64(&r);
        s.last.start = reader_u64(&r);
        s.quorate_index = reader_u64(&r);
        s.index = reader_u64(&r);
        s.max_bytes = reader_u64(&r);
        s.random = reader_u64(&r);
        s.ring_node = reader_u32(&r);
        s.ring_seq = reader_u64(&r);
        sum = reader_take(&r, TREE_HASH_SIZE);
        if (!sum || s.wire_min > s.wire_max || (s.last.term & TREE_TERM_LOCAL))
                return -EPROTO;
        memcpy(s.checksum, sum, TREE_HASH_SIZE);
        *ret = s;
        return 0;
}

/* > 0: a is right before b. */
static int compare(const MemberState *a, const MemberState *b)
{
        if (a->last.term != b->last.term)
                return a->last.term > b->last.term ? 1 : -1;
        if (a->last.term > 0) {
                if (a->quorate_index != b->quorate_index)
                        return a->quorate_index > b->quorate_index ? 1 : -1;
                if (a->is_local != b->is_local)
                        return b->is_local ? 1 : -1;
        }
        if (a->index != b->index)
                return a->index > b->index ? 1 : -1;
        return a->nodeid == b->nodeid ? 0 : a->nodeid < b->nodeid ? 1 : -1;
}

static bool same_tree(const MemberState *a, const MemberState *b)
{
        return a->last.term == b->last.term && a->last.nonce == b->last.nonce && a->quorate_index == b->quorate_index &&
               a->index == b->index && a->is_local == b->is_local &&
               memcmp(a->checksum, b->checksum, TREE_HASH_SIZE) == 0;
}

/* Those who have the tree come first, then by node id: an order that does not depend on that of `states`. */
static void sort_members(const MemberState *states, size_t n, const SyncDecision *d,
                         size_t ret[static SYNC_MEMBERS_MAX])
{
        for (size_t i = 0; i < n; i++) {
                size_t k = i;

                for (; k > 0; k--) {
                        const MemberState *before = &states[ret[k - 1]];

                        if (d->in_sync[ret[k - 1]] != d->in_sync[i] ? d->in_sync[ret[k - 1]]
                                                                    : before->nodeid < states[i].nodeid)
                                break;
                        ret[k] = ret[k - 1];
                }
                ret[k] = i;
        }
}

/* Those who have the tree decide what is spoken; of the others each is taken in whose versions still fit. */
static void decide_wire(const MemberState *states, size_t n, SyncDecision *d, const MemberState *leader)
{
        uint16_t min = leader->wire_min, max = leader->wire_max;
        size_t order[SYNC_MEMBERS_MAX];

        sort_members(states, n, d, order);
        for (size_t i = 0; i < n; i++) {
                const MemberState *s = &states[order[i]];

                if (s->wire_min > max || s->wire_max < min)
                        continue;
                min = s->wire_min > min ? s->wire_min : min;
                max = s->wire_max < max ? s->wire_max : max;
                d->admitted[order[i]] = true;
        }
        d->wire = max;
}

void sync_decide(const MemberState *states, size_t n, SyncDecision *ret)
{
        const MemberState *best = &states[0];
        SyncDecision d = { .max_bytes = UINT64_MAX };
        uint64_t term = 0;

        for (size_t i = 0; i < n; i++) {
                if (compare(&states[i], best) > 0)
                        best = &states[i];
                if (states[i].last.term > term)
                        term = states[i].last.term;
                if (states[i].max_bytes < d.max_bytes)
                        d.max_bytes = states[i].max_bytes;
                d.term.nonce ^= states[i].random;
        }
        for (size_t i = 0; i < n; i++)
                d.in_sync[i] = same_tree(&states[i], best);
        d.leader = best->nodeid;
        d.leader_is_local = best->is_local;
        d.term.term = (term | 1) + 1; /* odd ones are for engine_split() */
        d.term.start = best->index;
        decide_wire(states, n, &d, best);
        *ret = d;
}

void index_encode_header(StrBuf *b, const IndexHeader *h)
{
        put_u8(b, h->is_first);
        put_u8(b, h->is_last);
        put_u64(b, h->history.quorate_index);
        put_u32(b, (uint32_t) h->history.terms.n);
        for (size_t i = 0; i < h->history.terms.n; i++) {
                put_u64(b, h->history.terms.items[i].term);
                put_u64(b, h->history.terms.items[i].nonce);
                put_u64(b, h->history.terms.items[i].start);
        }
}

void index_encode_entry(StrBuf *b, const Node *n)
{
        static const uint8_t none[TREE_HASH_SIZE];
        size_t len = strlen(n->name);

        put_u16(b, (uint16_t) (INDEX_ENTRY_FIXED + len));
        put_u64(b, n->ino);
        put_u64(b, n->parent ? n->parent->ino : 0);
        put_u8(b, n->type);
        put_u32(b, n->writer);
        put_u64(b, (uint64_t) n->mtime);
        put_u64(b, n->version.term);
        put_u64(b, n->version.index);
        put_text(b, n->name, len);
        put_u32(b, n->content ? (uint32_t) n->content->size : 0);
        strbuf_add(b, n->content ? content_hash(n->content) : none, TREE_HASH_SIZE);
}

void index_encode_end(StrBuf *b)
{
        put_u16(b, 0);
}

static int decode_header(Reader *r, IndexHeader *ret)
{
        IndexHeader h = { 0 };
        uint32_t n;

        h.is_first = reader_u8(r) != 0;
        h.is_last = reader_u8(r) != 0;
        h.history.quorate_index = reader_u64(r);
        n = reader_u32(r);
        if (r->bad || n > HISTORY_TERMS_MAX)
                return -EPROTO;
        for (uint32_t i = 0; i < n; i++) {
                Term t;

                t.term = reader_u64(r);
                t.nonce = reader_u64(r);
                t.start = reader_u64(r);
                if (r->bad || VEC_PUSH(&h.history.terms, t) < 0) {
                        history_deinit(&h.history);
                        return r->bad ? -EPROTO : -ENOMEM;
                }
        }
        *ret = h;
        return 0;
}

static int decode_entry(Reader *r, IndexEntry *ret)
{
        IndexEntry e = { 0 };
        const uint8_t *hash;

        e.spec.ino = reader_u64(r);
        e.spec.parent = reader_u64(r);
        e.spec.type = reader_u8(r);
        e.spec.writer = reader_u32(r);
        e.spec.mtime = (int64_t) reader_u64(r);
        e.spec.version.term = reader_u64(r);
        e.spec.version.index = reader_u64(r);
        e.spec.name = reader_text(r, OP_NAME_MAX, &e.spec.name_len);
        e.size = reader_u32(r);
        hash = reader_take(r, TREE_HASH_SIZE);
        if (!hash || e.size > OP_FILE_MAX || (e.spec.type != NODE_DIR && e.spec.type != NODE_FILE && e.spec.ino != 1))
                return -EPROTO;
        if (e.spec.ino != TREE_ROOT_INO && !op_name_is_valid(e.spec.name, e.spec.name_len))
                return -EPROTO;
        memcpy(e.hash, hash, TREE_HASH_SIZE);
        *ret = e;
        return 0;
}

int index_decode(const void *body, size_t len, IndexHeader *ret_header, int (*fn)(void *userdata, const IndexEntry *e),
                 void *userdata)
{
        Reader r = { .p = body, .left = len };
        IndexHeader h = { 0 };
        int ret = decode_header(&r, &h);

        if (ret < 0)
                return ret;
        while (ret >= 0) {
                size_t n = reader_u16(&r);
                Reader entry = { .p = reader_take(&r, n), .left = n };
                IndexEntry e;

                if (r.bad || n == 0) {
                        ret = r.bad ? -EPROTO : 0;
                        break;
                }
                ret = decode_entry(&entry, &e);
                if (ret == 0)
                        ret = fn(userdata, &e);
        }
        if (ret < 0) {
                history_deinit(&h.history);
                return ret;
        }
        *ret_header = h;
        return 0;
}
