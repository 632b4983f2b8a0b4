/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks that are dropped when their owner has not renewed them. Ages are counted by each node's own clock; the member
 * with the lowest id decides, so that one clock counts.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>

#include "base/clock.h"
#include "clusterfs/bytes.h"

static bool lock_is_expired(const Engine *e, const Node *n)
{
        return now_usec() - n->seen_usec > e->options.lock_usec;
}

static void drop_lock(Engine *e, const Node *n)
{
        Op op = { .type = OP_LOCK_DROP,
                  .ino = n->ino,
                  .term = n->version.term,
                  .index = n->version.index,
                  .writer = engine_nodeid(e),
                  .mtime = (int64_t) clock_usec(CLOCK_REALTIME) * 1000 };

        engine_submit(e, &op, NULL, NULL);
}

int engine_ask_lock(Engine *e, uint64_t ino)
{
        const Node *n = tree_find(e->tree, ino);
        StrBuf b = STRBUF_INIT;
        bool expired;

        if (!n || !node_is_lock(n))
                return -ENOENT;
        expired = lock_is_expired(e, n);
        if (engine_can_write(e) < 0)
                return -EACCES;
        if (e->phase == PHASE_LOCAL) {
                if (expired)
                        drop_lock(e, n);
                return expired ? 0 : -EACCES;
        }
        put_u64(&b, n->ino);
        put_u64(&b, n->version.term);
        put_u64(&b, n->version.index);
        if (e->phase != PHASE_ACTIVE || engine_send(e, FRAME_LOCK_ASK, 0, 0, &b, false) < 0)
                strbuf_deinit(&b);
        return expired ? 0 : -EACCES;
}

/* One clock decides: that of the member with the lowest node id. */
void engine_deliver_lock_ask(Engine *e, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t ino = reader_u64(&r), term = reader_u64(&r), index = reader_u64(&r);
        const Node *n = tree_find(e->tree, ino);

        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid < engine_nodeid(e))
                        return;
        if (r.bad || !n || !node_is_lock(n) || n->version.term != term || n->version.index != index)
                return;
        if (lock_is_expired(e, n))
                drop_lock(e, n);
}
