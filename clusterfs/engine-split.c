/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When members go, the parts of the old configuration may each deliver a rest of it that the others never see: messages
 * of their own members. So within one term the tree of a minority may be longer than that of the majority, and its
 * index alone must not win when all meet again before anybody began a new term. Two rules, applied by each part for
 * itself:
 *
 *  - The members that stay together have delivered the same (Corosync's promise). If they are a majority of all nodes
 * they have everything that was acknowledged, and say so by a term of their own, the same on each of them. Its number
 * is odd: begun by a sync_decide() are even ones only, so that it comes before any that others begin meanwhile.
 *  - If they are not, what came after the last message of a member that went cannot have been acknowledged, for that
 *    needs its confirmation: it counts as changed alone.
 */
#include "clusterfs/engine-parts.h"

#include "base/log.h"

static bool is_among(const Member *members, size_t n, Member m)
{
        for (size_t i = 0; i < n; i++)
                if (members[i].nodeid == m.nodeid && members[i].pid == m.pid)
                        return true;
        return false;
}

/* Another number for another group, whatever the order of its members. */
static uint64_t mix(Member m)
{
        uint64_t v = ((uint64_t) m.nodeid << 32 | m.pid) * UINT64_C(0x9e3779b97f4a7c15);

        return v ^ v >> 29;
}

/* `members`: the new configuration. Only who was active has a part in what the old one did. */
void engine_split(Engine *e, const Member *members, size_t n)
{
        Term half = { .term = e->term.term + 1, .nonce = e->term.nonce, .start = e->tree->version.index };
        uint64_t agreed = e->term.start; /* all have said that they have it, or take it */
        size_t n_stay = 0;

        if (e->phase != PHASE_ACTIVE)
                return;
        for (size_t i = 0; i < e->peers.n; i++) {
                const Peer *p = &e->peers.items[i];

                if (is_among(members, n, p->member)) {
                        n_stay++;
                        half.nonce += mix(p->member);
                } else if (p->is_admitted && p->member.nodeid != engine_nodeid(e) && p->last_index > agreed) {
                        agreed = p->last_index;
                }
        }
        if (n_stay == e->peers.n)
                return;
        if (n_stay > corosync_info(e->corosync)->nodes.n / 2) {
                if (history_add(&e->history, half) < 0)
                        log_error("out of memory: the history is incomplete");
                db_term(e->db, half);
        } else if (agreed < e->tree->version.index) {
                e->history.quorate_index = agreed;
                e->history.is_local = true;
        }
        e->state_dirty = true;
}
