/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Donor and receiver of a tree. Contents are immutable and counted, so the donor's snapshot costs an array of
 * references, and data is encoded only when the send queue is empty: memory stays bounded by one DATA message. The
 * receiver checks every content against the hash in the index before it takes it.
 */
#include "clusterfs/resync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "clusterfs/bytes.h"
#include "clusterfs/sync.h"

#define INDEX_BODY_MAX (512u << 10)
#define DATA_BODY_MAX (256u << 10)

typedef struct Held {
        uint64_t ino;
        Content *content;
} Held;

typedef struct Asked {
        uint32_t nodeid;
        VEC(uint64_t) inos;
        size_t sent;
        bool is_done;
} Asked;

struct Donor {
        VEC(Held) held; /* by ino */
        VEC(Asked) asked;
        size_t n_receivers;
};

struct Receiver {
        const Tree *old;
        Tree *tree;
        History history;
        VEC(IndexEntry) missing; /* names unused */
        bool has_index;
};

/* --- donor ---------------------------------------------------------------------------------------------- */

typedef struct IndexWalk {
        Donor *donor;
        StrBuf body;
        int (*emit)(void *userdata, StrBuf *body);
        void *userdata;
} IndexWalk;

static int index_add(void *userdata, Node *n)
{
        IndexWalk *w = userdata;
        int r = 0;

        if (n->content) {
                r = VEC_PUSH(&w->donor->held, ((Held){ n->ino, n->content }));
                if (r < 0)
                        return r;
                (void) content_ref(n->content);
        }
        index_encode_entry(&w->body, n);
        if (w->body.len > INDEX_BODY_MAX) {
                index_encode_end(&w->body);
                r = w->emit(w->userdata, &w->body);
                index_encode_header(&w->body, &(IndexHeader){ 0 });
        }
        return r;
}

static int compare_held(const void *a, const void *b)
{
        const Held *x = a, *y = b;

        return (x->ino > y->ino) - (x->ino < y->ino);
}

int donor_new(const Tree *t, const History *h, size_t n_receivers, int (*emit)(void *userdata, StrBuf *body),
              void *userdata, Donor **ret)
{
        AUTO(donor_freep) Donor *d = calloc(1, sizeof(*d));
        IndexWalk w = { .donor = d, .emit = emit, .userdata = userdata };
        StrBuf last = STRBUF_INIT;
        int r;

        if (!d)
                return -ENOMEM;
        d->n_receivers = n_receivers;
        index_encode_header(&w.body, &(IndexHeader){ .is_first = true, .history = *h });
        r = tree_walk(t, index_add, &w);
        index_encode_end(&w.body);
        if (r == 0)
                r = emit(userdata, &w.body);
        strbuf_deinit(&w.body);
        if (r < 0)
                return r;
        index_encode_header(&last, &(IndexHeader){ .is_last = true });
        index_encode_end(&last);
        r = emit(userdata, &last);
        strbuf_deinit(&last);
        if (r < 0)
                return r;
        if (d->held.n)
                qsort(d->held.items, d->held.n, sizeof(Held), compare_held);
        *ret = TAKE(d);
        return 0;
}

Donor *donor_free(Donor *d)
{
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->held.n; i++)
                (void) content_unref(d->held.items[i].content);
        for (size_t i = 0; i < d->asked.n; i++)
                VEC_DEINIT(&d->asked.items[i].inos);
        VEC_DEINIT(&d->held);
        VEC_DEINIT(&d->asked);
        free(d);
        return NULL;
}

int donor_ask(Donor *d, uint32_t nodeid, const void *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        Asked a = { .nodeid = nodeid };
        uint32_t n = reader_u32(&r);
        int ret = 0;

        if (r.bad || n > r.left / 8)
                return -EPROTO;
        for (uint32_t i = 0; ret == 0 && i < n; i++)
                ret = VEC_PUSH(&a.inos, reader_u64(&r));
        if (ret == 0)
                ret = VEC_PUSH(&d->asked, a);
        if (ret < 0)
                VEC_DEINIT(&a.inos);
        return ret;
}

static void encode_asked(Donor *d, Asked *a, StrBuf *b)
{
        put_u32(b, a->nodeid);
        while (a->sent < a->inos.n && b->len < DATA_BODY_MAX) {
                Held key = { .ino = a->inos.items[a->sent++] };
                const Held *h = d->held.n ? bsearch(&key, d->held.items, d->held.n, sizeof(Held), compare_held) : NULL;

                if (!h)
                        continue;
                put_u8(b, 1);
                put_u64(b, h->ino);
                put_u32(b, (uint32_t) h->content->size);
                strbuf_add(b, h->content->data, h->content->size);
        }
        a->is_done = a->sent == a->inos.n;
        put_u8(b, a->is_done ? 2 : 0);
}

int donor_next(Donor *d, StrBuf *ret)
{
        for (size_t i = 0; i < d->asked.n; i++)
                if (!d->asked.items[i].is_done) {
                        encode_asked(d, &d->asked.items[i], ret);
                        return strbuf_error(ret) < 0 ? -ENOMEM : 1;
                }
        return 0;
}

bool donor_is_done(const Donor *d)
{
        size_t n = 0;

        for (size_t i = 0; i < d->asked.n; i++)
                n += d->asked.items[i].is_done;
        return n >= d->n_receivers;
}

/* --- receiver ------------------------------------------------------------------------------------------- */

int receiver_new(const Tree *old, Version version, Receiver **ret)
{
        AUTO(receiver_freep) Receiver *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->old = old;
        r->tree = tree_new();
        if (!r->tree)
                return -ENOMEM;
        r->tree->version = version;
        r->tree->generation = old->generation + 1;
        r->tree->now_usec = old->now_usec;
        *ret = TAKE(r);
        return 0;
}

Receiver *receiver_free(Receiver *r)
{
        if (!r)
                return NULL;
        (void) tree_free(r->tree);
        history_deinit(&r->history);
        VEC_DEINIT(&r->missing);
        free(r);
        return NULL;
}

static int take_entry(void *userdata, const IndexEntry *e)
{
        Receiver *r = userdata;
        const Node *own = tree_find(r->old, e->spec.ino);
        AUTO(content_unrefp) Content *c = NULL;
        NodeSpec spec = e->spec;
        Node *n = NULL;
        int ret;

        if (spec.type == NODE_FILE && own && own->content && own->content->size == e->size &&
            memcmp(content_hash(own->content), e->hash, TREE_HASH_SIZE) == 0) {
                c = content_ref(own->content);
        } else if (spec.type == NODE_FILE) {
                c = content_new(0);
                if (!c || VEC_PUSH(&r->missing, *e) < 0)
                        return -ENOMEM;
        }
        spec.content = c;
        ret = tree_insert(r->tree, &spec, &n);
        if (ret < 0)
                return ret;
        /* The same object as before: open handles and what the kernel knows of it stay good. */
        if (own && own->type == n->type && str_eq(own->name, n->name))
                n->generation = own->generation;
        if (own && own->version.term == n->version.term && own->version.index == n->version.index)
                n->seen_usec = own->seen_usec;
        return 0;
}

int receiver_index(Receiver *r, const void *body, size_t len)
{
        IndexHeader h = { 0 };
        int ret;

        if (r->has_index)
                return -EPROTO;
        ret = index_decode(body, len, &h, take_entry, r);
        if (ret < 0)
                return ret;
        if (h.is_first)
                ret = history_copy(&r->history, &h.history);
        history_deinit(&h.history);
        if (ret < 0)
                return ret;
        r->has_index = h.is_last;
        return h.is_last ? 1 : 0;
}

void receiver_need(const Receiver *r, StrBuf *b)
{
        put_u32(b, (uint32_t) r->missing.n);
        for (size_t i = 0; i < r->missing.n; i++)
                put_u64(b, r->missing.items[i].spec.ino);
}

static int take_content(Receiver *r, uint64_t ino, const uint8_t *data, size_t len)
{
        AUTO(content_unrefp) Content *c = content_new(len);
        Node *n = tree_find(r->tree, ino);

        if (!c)
                return -ENOMEM;
        memcpy(c->data, data, len);
        for (size_t i = 0; n && i < r->missing.n; i++) {
                const IndexEntry *e = &r->missing.items[i];

                if (e->spec.ino != ino)
                        continue;
                if (e->size != len || memcmp(content_hash(c), e->hash, TREE_HASH_SIZE) != 0)
                        return -EPROTO;
                r->tree->bytes += len;
                (void) content_unref(n->content);
                n->content = content_ref(c);
                /* Data comes in the order it was asked for, so this is nearly always the first one. */
                VEC_REMOVE(&r->missing, i);
                return 0;
        }
        return 0;
}

int receiver_data(Receiver *r, uint32_t self, const void *body, size_t len)
{
        Reader in = { .p = body, .left = len };
        uint8_t kind;

        if (!r->has_index || reader_u32(&in) != self)
                return in.bad ? -EPROTO : 0;
        while ((kind = reader_u8(&in)) == 1) {
                uint64_t ino = reader_u64(&in);
                uint32_t n = reader_u32(&in);
                const uint8_t *data = reader_take(&in, n);
                int ret = data && n <= OP_FILE_MAX ? take_content(r, ino, data, n) : -EPROTO;

                if (ret < 0)
                        return ret;
        }
        if (in.bad || kind > 2)
                return -EPROTO;
        if (kind != 2)
                return 0;
        return r->missing.n == 0 ? 1 : -EPROTO;
}

Tree *receiver_take(Receiver *r, History *ret_history)
{
        history_deinit(ret_history);
        *ret_history = r->history;
        r->history = (History){ 0 };
        return TAKE(r->tree);
}
