/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the cluster. Two sources that do not come together: the list of nodes (configuration), and who
 * of them is there with the quorum (the present). Whether there is a cluster at all says corosync.conf: while it
 * exists and Corosync does not answer, this node is one that has lost its cluster, and not quorate; without it the
 * node is alone by intention.
 * Invariant: there is always a list, and this node is in it.
 */
#include "cluster/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/member-source.h"

#define ONLINE_MAX 256u

struct Membership {
        char *node;
        StrList conf;
        FsSeen seen; /* the first of them that exists; all 0: none */
        sd_event *event;
        MemberSource *source;
        MemberList list;
        uint32_t online[ONLINE_MAX];
        size_t n_online;
        bool is_cluster, has_list, has_quorum, is_quorate;
        bool is_lost_told;
        void (*fn)(void *userdata);
        void *userdata;
};

static int compare_ids(const void *a, const void *b)
{
        const Member *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

/*
 * Only the quorate side knows that a node is out: the other one may be the majority. So the time counts from when both
 * are true, and anew after each interruption.
 */
static void member_mark_gone(const Membership *m, Member *n)
{
        bool is_gone = m->is_cluster && m->has_quorum && m->is_quorate && m->has_list && !n->is_online;

        if (!is_gone)
                n->gone_usec = 0;
        else if (n->gone_usec == 0)
                n->gone_usec = now_usec();
}

static void membership_mark(Membership *m)
{
        for (size_t i = 0; i < m->list.nodes.n; i++) {
                Member *n = &m->list.nodes.items[i];

                n->is_online = n->is_local; /* who reads this talks to it */
                for (size_t k = 0; k < m->n_online; k++)
                        n->is_online |= m->online[k] == n->id;
                member_mark_gone(m, n);
        }
}

static void membership_tell(Membership *m)
{
        membership_mark(m);
        if (m->fn)
                m->fn(m->userdata);
}

/* Of a cluster nothing is known yet, or there is none: this node. */
static int membership_reset(Membership *m)
{
        Member self = { .is_online = true, .is_local = true };
        int r;

        VEC_DEINIT(&m->list.nodes);
        m->list = (MemberList){ 0 };
        (void) snprintf(self.name, sizeof(self.name), "%s", m->node);
        r = VEC_PUSH(&m->list.nodes, self);
        m->n_online = 0;
        m->has_list = m->has_quorum = m->is_quorate = m->is_lost_told = false;
        return r;
}

/* --- what the source tells */

static void on_quorum(void *userdata, bool is_quorate, const uint32_t *online, size_t n_online)
{
        Membership *m = userdata;

        if (!m->has_quorum || m->is_quorate != is_quorate)
                log_full(is_quorate ? LOG_INFO : LOG_WARNING, 0, NULL, "cluster: %zu node(s) reachable, %s", n_online,
                         is_quorate ? "quorate" : "no quorum: what is common to all nodes is read-only");
        m->has_quorum = true;
        m->is_quorate = is_quorate;
        m->is_lost_told = false;
        m->n_online = n_online < ONLINE_MAX ? n_online : ONLINE_MAX;
        (void) memcpy(m->online, online, m->n_online * sizeof(online[0]));
        membership_tell(m);
}

static void on_list(void *userdata, const MemberList *list)
{
        Membership *m = userdata;
        MemberList next = *list;
        bool is_here = false;

        memset(&next.nodes, 0, sizeof(next.nodes));
        for (size_t i = 0; i < list->nodes.n; i++) {
                is_here |= list->nodes.items[i].is_local;
                if (VEC_PUSH(&next.nodes, list->nodes.items[i]) < 0) {
                        VEC_DEINIT(&next.nodes);
                        log_error("cluster: out of memory, the list of nodes stays as it was");
                        return;
                }
        }
        if (!is_here) { /* Corosync runs, but this node is not in its list: wait until it is */
                VEC_DEINIT(&next.nodes);
                return;
        }
        qsort(next.nodes.items, next.nodes.n, sizeof(next.nodes.items[0]), compare_ids);
        for (size_t i = 0; i < next.nodes.n; i++)
                for (size_t k = 0; k < m->list.nodes.n; k++)
                        if (m->list.nodes.items[k].id == next.nodes.items[i].id)
                                next.nodes.items[i].gone_usec = m->list.nodes.items[k].gone_usec;
        VEC_DEINIT(&m->list.nodes);
        m->list = next;
        m->has_list = true;
        membership_tell(m);
}

static void on_lost(void *userdata)
{
        Membership *m = userdata;

        if (!m->is_lost_told)
                log_warning("cluster: Corosync does not answer any more, no quorum until it does");
        m->is_lost_told = true;
        m->is_quorate = false;
        m->n_online = 0;
        membership_tell(m);
}

/* --- there is a cluster, or there is none */

static int conf_look(const Membership *m, FsSeen *ret)
{
        FsSeen seen = { 0 };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < m->conf.n && seen.inode == 0; i++)
                r = fs_glance(m->conf.items[i], &seen);
        if (r >= 0)
                *ret = seen;
        return r;
}

static void membership_join(Membership *m)
{
        MemberEvents events = { .quorum = on_quorum, .list = on_list, .lost = on_lost, .userdata = m };
        int r = member_source_new(&m->source, &events, m->event);

        if (r == -EOPNOTSUPP)
                log_warning("cluster: a cluster is configured and this storaged was built without Corosync: it knows "
                            "no other nodes");
        else if (r < 0)
                log_full(LOG_ERR, r, NULL, "cluster: can't follow Corosync");
        m->is_cluster = r != -EOPNOTSUPP;
}

void membership_refresh(Membership *m)
{
        FsSeen now;
        bool is_there;

        if (conf_look(m, &now) < 0)
                return; /* a cluster file system that does not answer says nothing about the cluster */
        is_there = now.inode != 0;
        if (memcmp(&now, &m->seen, sizeof(now)) == 0)
                return;
        m->seen = now;
        if (is_there && m->source) {
                member_source_reread(m->source);
                return;
        }
        m->source = member_source_free(m->source);
        m->is_cluster = false;
        if (membership_reset(m) < 0)
                log_error("cluster: out of memory");
        if (is_there)
                membership_join(m);
        membership_tell(m);
}

/* --- questions */

bool membership_is_settled(const Membership *m)
{
        return !m->is_cluster || (m->has_quorum && m->has_list);
}

bool membership_is_cluster(const Membership *m)
{
        return m->is_cluster;
}

bool membership_is_quorate(const Membership *m)
{
        return !m->is_cluster || m->is_quorate;
}

int membership_check_quorum(const Membership *m, struct storaged_error *err)
{
        size_t n_online = 0;

        if (membership_is_quorate(m))
                return 0;
        for (size_t i = 0; i < m->list.nodes.n; i++)
                n_online += m->list.nodes.items[i].is_online;
        if (!m->has_quorum || m->n_online == 0)
                return error_set(err, -EROFS,
                                 "no quorum: Corosync does not answer on node '%s'; nothing was changed, see "
                                 "systemctl status corosync",
                                 m->node);
        return error_set(err, -EROFS,
                         "no quorum: node '%s' reaches %zu of %zu nodes of the cluster, itself included; nothing was "
                         "changed, it works again when the majority is back",
                         m->node, n_online, m->list.nodes.n);
}

const Member *membership_get_members(const Membership *m, size_t *ret_n)
{
        *ret_n = m->list.nodes.n;
        return m->list.nodes.items;
}

const Member *membership_find(const Membership *m, const char *name)
{
        for (size_t i = 0; i < m->list.nodes.n; i++)
                if (str_eq(m->list.nodes.items[i].name, name))
                        return &m->list.nodes.items[i];
        return NULL;
}

const char *membership_get_name(const Membership *m)
{
        return m->is_cluster ? m->list.name : NULL;
}

uint64_t membership_get_version(const Membership *m)
{
        return m->list.version;
}

/* --- birth and end */

void membership_watch(Membership *m, void (*fn)(void *userdata), void *userdata)
{
        m->fn = fn;
        m->userdata = userdata;
}

int membership_new(Membership **ret, const char *node, const char *const *conf, sd_event *event)
{
        AUTO(membership_freep) Membership *m = calloc(1, sizeof(*m));
        int r = 0;

        if (!m)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->node = strdup(node);
        if (!m->node)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && conf[i]; i++)
                r = strlist_adds(&m->conf, conf[i]);
        if (r >= 0)
                r = membership_reset(m);
        if (r < 0)
                return r;
        membership_refresh(m);
        *ret = TAKE(m);
        return 0;
}

Membership *membership_free(Membership *m)
{
        if (!m)
                return NULL;
        (void) member_source_free(m->source);
        VEC_DEINIT(&m->list.nodes);
        strlist_deinit(&m->conf);
        free(m->node);
        (void) sd_event_unref(m->event);
        free(m);
        return NULL;
}
