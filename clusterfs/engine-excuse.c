/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon that is a member but does not react (stopped, hanging in the kernel) must not stop the others. While this
 * node waits for states or for the tree it looks now and then: the first of those whose state is there excuses the
 * others, by a message that all get at one place of the order. Who finds itself excused comes in anew. The invariant: a
 * term begins only with so many members that did send their state as quorum asks for.
 */
#include "clusterfs/engine-parts.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "clusterfs/bytes.h"

#define WATCH_USEC (4 * USEC_PER_SEC)

/* From now on, while something is waited for; an idle daemon has no timer. */
void engine_watch(Engine *e)
{
        bool wanted = (e->phase == PHASE_WAIT && e->is_quorate) || e->phase == PHASE_RECEIVE;

        e->progress_seen = e->progress;
        if (wanted)
                (void) sd_event_source_set_time_relative(e->watch, WATCH_USEC);
        (void) sd_event_source_set_enabled(e->watch, wanted ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static bool is_first_with_state(const Engine *e)
{
        const Peer *first = NULL;

        for (size_t i = 0; i < e->peers.n; i++) {
                const Peer *p = &e->peers.items[i];

                if (p->has_state && !p->is_excused && (!first || p->member.nodeid < first->member.nodeid))
                        first = p;
        }
        return first && first->member.nodeid == engine_nodeid(e);
}

static void send_excuse(Engine *e)
{
        StrBuf b = STRBUF_INIT;
        uint64_t random = 0;
        uint16_t n = 0;

        for (size_t i = 0; i < e->peers.n; i++) {
                const Peer *p = &e->peers.items[i];

                n += !p->has_state && !p->is_excused;
                if (p->member.nodeid == engine_nodeid(e))
                        random = p->state.random;
        }
        if (n == 0)
                return;
        put_u64(&b, random); /* of our state: says which configuration is meant */
        put_u16(&b, n);
        for (size_t i = 0; i < e->peers.n; i++) {
                const Peer *p = &e->peers.items[i];

                if (p->has_state || p->is_excused)
                        continue;
                put_u32(&b, p->member.nodeid);
                put_u32(&b, p->member.pid);
                log_warning("node id %u does not say what it has: going on without it", p->member.nodeid);
        }
        (void) engine_send(e, FRAME_EXCUSE, 0, 0, &b, false);
        engine_pump(e);
}

int engine_on_watch(sd_event_source *s, uint64_t usec, void *userdata)
{
        Engine *e = userdata;

        (void) s, (void) usec;
        if (e->phase == PHASE_RECEIVE && e->progress == e->progress_seen)
                engine_receive_failed(e, -ETIMEDOUT);
        else if (e->phase == PHASE_WAIT && is_first_with_state(e))
                send_excuse(e);
        engine_watch(e);
        return 0;
}

void engine_deliver_excuse(Engine *e, Member from, const uint8_t *body, size_t len)
{
        Reader r = { .p = body, .left = len };
        uint64_t random = reader_u64(&r);
        uint16_t n = reader_u16(&r);
        const Peer *sender = engine_find_peer(e, from);

        if (e->phase != PHASE_WAIT || !sender || !sender->has_state || sender->state.random != random)
                return;
        for (uint16_t i = 0; i < n; i++) {
                Member m = { .nodeid = reader_u32(&r), .pid = reader_u32(&r) };
                Peer *p = r.bad ? NULL : engine_find_peer(e, m);

                if (!p || p->has_state)
                        continue;
                p->is_excused = true;
                if (m.nodeid != engine_nodeid(e))
                        continue;
                log_warning("the others went on without this node: coming in anew");
                e->phase = PHASE_DOWN;
                corosync_restart(e->corosync);
                return;
        }
        engine_try_sync(e);
}
