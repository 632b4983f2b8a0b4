/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Now and then the members compare checksums of their trees at one point of the order; who differs comes in anew. */
#include "clusterfs/engine-parts.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "clusterfs/bytes.h"

void engine_deliver_verify(Engine *e)
{
        StrBuf b = STRBUF_INIT;

        if (tree_checksum(e->tree, e->verify_sum) < 0)
                return;
        e->verify_index = e->tree->version.index;
        put_u64(&b, e->verify_index);
        strbuf_add(&b, e->verify_sum, TREE_HASH_SIZE);
        (void) engine_send(e, FRAME_CHECKSUM, 0, 0, &b, false);
}

/* The sum of the first member counts: who differs comes in anew and takes the tree of the others. */
void engine_deliver_checksum(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t index = reader_u64(&r);
        const uint8_t *sum = reader_take(&r, TREE_HASH_SIZE);

        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid < from.nodeid)
                        return;
        if (e->verify_index == 0) /* this node was receiving the tree when the others compared */
                return;
        if (!sum || (index == e->verify_index && memcmp(sum, e->verify_sum, TREE_HASH_SIZE) == 0))
                return;
        engine_log(e, LOG_ERR, "clusterfs",
                   "tree of node %s differs from that of node id %u at index %llu: taking it anew", e->node,
                   from.nodeid, (unsigned long long) index);
        corosync_restart(e->corosync);
}

int engine_on_verify(sd_event_source *s, uint64_t usec, void *userdata)
{
        Engine *e = userdata;
        StrBuf b = STRBUF_INIT;
        bool first = e->phase == PHASE_ACTIVE;

        (void) usec;
        for (size_t i = 0; i < e->peers.n; i++)
                if (e->peers.items[i].is_admitted && e->peers.items[i].member.nodeid < engine_nodeid(e))
                        first = false;
        if (first) {
                put_u64(&b, e->tree->version.index);
                (void) engine_send(e, FRAME_VERIFY, 0, 0, &b, false);
                engine_pump(e);
        }
        (void) sd_event_source_set_time_relative(s, e->options.verify_usec);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}
