/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcpg, libquorum and libcmap on the event loop. CPG tells the ring its configuration belongs to, and so does
 * libquorum: a quorum of another ring says nothing about this configuration, so "quorate" counts only when both
 * name the same ring. Without that a node just cut off would believe itself quorate for a moment.
 */
#include "clusterfs/corosync.h"

#include <corosync/cfg.h>
#include <corosync/cmap.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/offload.h"

#define RECONNECT_USEC (USEC_PER_SEC / 2)
#define RECONNECT_USEC_MAX (30 * USEC_PER_SEC)
#define PATIENCE_USEC (5 * USEC_PER_SEC) /* with an attempt, until it is told of */
#define END_WAIT_USEC USEC_PER_SEC

typedef struct Attempt Attempt;

struct Corosync {
        sd_event *event;
        CorosyncEvents events;
        struct cpg_name group;
        cpg_handle_t cpg;
        quorum_handle_t quorum;
        bool has_cpg, has_quorum, has_cmap, is_joined, is_lost, is_quorate;
        bool is_ring_due; /* nodes have gone: the ring and the quorum that belong to it are still to come */
        size_t n_members; /* of the group */
        struct cpg_ring_id ring;
        struct quorum_ring_id quorum_ring;
        uint32_t online[CPG_MEMBERS_MAX];
        size_t n_online;
        ClusterInfo info;
        cmap_handle_t cmap;
        sd_event_source *cpg_io, *quorum_io, *cmap_io, *timer;
        Offload *offload; /* for attempts */
        Attempt *attempt; /* that is under way: it owns its handles until it is done */
        bool told;        /* that Corosync is not there */
        uint64_t pause;   /* before the next attempt; grows while coming in does not succeed */
};

/* To connect. The thread's from its submission until it is done; then what it made is taken over. */
struct Attempt {
        OffloadJob job;
        Corosync *owner;
        struct cpg_name group;
        cmap_handle_t cmap;
        quorum_handle_t quorum;
        cpg_handle_t cpg;
        bool has_cmap, has_quorum, has_cpg;
        int cmap_fd, quorum_fd, cpg_fd;
        uint32_t nodeid;
        int r;
};

/* --- cmap ----------------------------------------------------------------------------------------------- */

static void get_string(cmap_handle_t h, const char *key, char *ret, size_t size)
{
        char *s = NULL;

        /* After a failure the pointer is not ours: libcmap has freed what it had. */
        if (cmap_get_string(h, key, &s) != CS_OK || !s)
                return;
        (void) snprintf(ret, size, "%s", s);
        free(s);
}

static void read_node(cmap_handle_t h, unsigned pos, ClusterInfo *info)
{
        ClusterNode n = { 0 };
        char key[CMAP_KEYNAME_MAXLEN + 1];

        (void) snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", pos);
        if (cmap_get_uint32(h, key, &n.nodeid) != CS_OK)
                return;
        (void) snprintf(key, sizeof(key), "nodelist.node.%u.ring0_addr", pos);
        get_string(h, key, n.ip, sizeof(n.ip));
        (void) snprintf(n.name, sizeof(n.name), "%s", n.ip);
        (void) snprintf(key, sizeof(key), "nodelist.node.%u.name", pos);
        get_string(h, key, n.name, sizeof(n.name));
        (void) VEC_PUSH(&info->nodes, n);
}

static void read_info(Corosync *c)
{
        cmap_iter_handle_t it;
        char key[CMAP_KEYNAME_MAXLEN + 1];
        size_t len;
        cmap_value_types_t type;
        unsigned pos;

        c->info.nodes.n = 0;
        get_string(c->cmap, "totem.cluster_name", c->info.name, sizeof(c->info.name));
        if (cmap_get_uint64(c->cmap, "totem.config_version", &c->info.config_version) != CS_OK)
                c->info.config_version = 0;
        if (cmap_iter_init(c->cmap, "nodelist.node.", &it) != CS_OK)
                return;
        while (cmap_iter_next(c->cmap, it, key, &len, &type) == CS_OK) {
                char rest[CMAP_KEYNAME_MAXLEN + 1];

                if (sscanf(key, "nodelist.node.%u.%255s", &pos, rest) == 2 && str_eq(rest, "nodeid"))
                        read_node(c->cmap, pos, &c->info);
        }
        (void) cmap_iter_finalize(c->cmap, it);
}

const ClusterInfo *corosync_info(const Corosync *c)
{
        return &c->info;
}

static void mark_online(Corosync *c)
{
        for (size_t i = 0; i < c->info.nodes.n; i++) {
                ClusterNode *n = &c->info.nodes.items[i];

                n->is_online = false;
                for (size_t k = 0; k < c->n_online; k++)
                        n->is_online |= c->online[k] == n->nodeid;
        }
}

/* --- state ---------------------------------------------------------------------------------------------- */

bool corosync_is_joined(const Corosync *c)
{
        return c->is_joined;
}

bool corosync_quorum_is_current(const Corosync *c)
{
        return c->is_joined && !c->is_ring_due && c->ring.seq == c->quorum_ring.seq &&
               c->ring.nodeid == c->quorum_ring.nodeid;
}

bool corosync_is_enough(const Corosync *c, size_t n_members)
{
        size_t majority = c->info.nodes.n / 2 + 1;

        return n_members >= (majority < c->n_online ? majority : c->n_online);
}

bool corosync_is_quorate(const Corosync *c)
{
        return corosync_quorum_is_current(c) && c->is_quorate && corosync_is_enough(c, c->n_members);
}

/* While the quorum of the present ring is still to come nothing is taken back. */
static void tell_quorum(Corosync *c)
{
        c->events.quorum(c->events.userdata, corosync_quorum_is_current(c) ? corosync_is_quorate(c) : c->is_quorate);
}

void corosync_ring(const Corosync *c, uint32_t *ret_node, uint64_t *ret_seq)
{
        *ret_node = c->ring.nodeid;
        *ret_seq = c->ring.seq;
}

static void on_ring(cpg_handle_t h, struct cpg_ring_id ring, uint32_t n, const uint32_t *members)
{
        void *context = NULL;
        Corosync *c;

        (void) n;
        (void) members;
        if (cpg_context_get(h, &context) != CS_OK)
                return;
        c = context;
        c->ring = ring;
        c->is_ring_due = false;
        /* The first one comes behind the first configuration: only now the quorum belongs to it. */
        if (c->is_joined)
                tell_quorum(c);
}

static void on_members(cpg_handle_t h, const struct cpg_name *group, const struct cpg_address *list, size_t n,
                       const struct cpg_address *left, size_t n_left, const struct cpg_address *joined, size_t n_joined)
{
        Member members[CPG_MEMBERS_MAX];
        void *context = NULL;
        Corosync *c;

        (void) group, (void) joined, (void) n_joined;
        if (cpg_context_get(h, &context) != CS_OK)
                return;
        c = context;
        for (size_t i = 0; i < n && i < CPG_MEMBERS_MAX; i++)
                members[i] = (Member){ .nodeid = list[i].nodeid, .pid = list[i].pid };
        for (size_t i = 0; i < n_left; i++)
                c->is_ring_due = c->is_ring_due || left[i].reason == CPG_REASON_NODEDOWN;
        c->is_joined = true;
        c->n_members = n;
        c->events.members(c->events.userdata, members, n);
        tell_quorum(c);
}

static void on_message(cpg_handle_t h, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *data,
                       size_t len)
{
        void *context = NULL;
        Corosync *c;

        (void) group;
        if (cpg_context_get(h, &context) != CS_OK)
                return;
        c = context;
        c->events.message(c->events.userdata, (Member){ nodeid, pid }, data, len);
}

static void on_quorum(quorum_handle_t h, uint32_t quorate, struct quorum_ring_id ring, uint32_t n, const uint32_t *list)
{
        const void *context = NULL;
        Corosync *c;

        if (quorum_context_get(h, &context) != CS_OK)
                return;
        c = (Corosync *) context;
        c->is_quorate = quorate != 0;
        c->quorum_ring = ring;
        c->n_online = n < CPG_MEMBERS_MAX ? n : CPG_MEMBERS_MAX;
        memcpy(c->online, list, c->n_online * sizeof(*list));
        read_info(c);
        mark_online(c);
        tell_quorum(c);
}

static void on_nodelist(quorum_handle_t h, struct quorum_ring_id ring, uint32_t n, const uint32_t *list,
                        uint32_t n_joined, const uint32_t *joined, uint32_t n_left, const uint32_t *left)
{
        (void) h, (void) ring, (void) n, (void) list, (void) n_joined, (void) joined, (void) n_left, (void) left;
}

/* --- connection ----------------------------------------------------------------------------------------- */

static void disconnect(Corosync *c)
{
        c->cpg_io = sd_event_source_disable_unref(c->cpg_io);
        c->quorum_io = sd_event_source_disable_unref(c->quorum_io);
        c->cmap_io = sd_event_source_disable_unref(c->cmap_io);
        if (c->has_cmap)
                (void) cmap_finalize(c->cmap);
        if (c->has_cpg)
                (void) cpg_finalize(c->cpg);
        if (c->has_quorum)
                (void) quorum_finalize(c->quorum);
        c->has_cpg = c->has_quorum = c->has_cmap = c->is_joined = c->is_lost = c->is_quorate = c->is_ring_due = false;
        c->n_online = c->n_members = 0;
        memset(&c->ring, 0, sizeof(c->ring));
        memset(&c->quorum_ring, 0, sizeof(c->quorum_ring));
        mark_online(c);
}

static void arm_timer(Corosync *c)
{
        (void) sd_event_source_set_time_relative(c->timer, c->pause ? c->pause : RECONNECT_USEC);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void connection_lost(Corosync *c, int code)
{
        log_warning("connection to Corosync is lost (error %d): read-only until it is back", code);
        disconnect(c);
        c->events.members(c->events.userdata, NULL, 0);
        c->events.settled(c->events.userdata);
        arm_timer(c);
}

void corosync_restart(Corosync *c)
{
        c->is_lost = true;
        c->pause = c->pause ? c->pause * 2 : RECONNECT_USEC;
        if (c->pause > RECONNECT_USEC_MAX)
                c->pause = RECONNECT_USEC_MAX;
}

void corosync_is_well(Corosync *c)
{
        c->pause = 0;
}

static int on_cpg_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Corosync *c = userdata;
        cs_error_t r = cpg_dispatch(c->cpg, CS_DISPATCH_ALL);

        (void) s, (void) fd, (void) revents;
        if (c->is_lost || (r != CS_OK && r != CS_ERR_TRY_AGAIN))
                connection_lost(c, (int) r);
        else
                c->events.settled(c->events.userdata);
        return 0;
}

static int on_quorum_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Corosync *c = userdata;
        cs_error_t r = quorum_dispatch(c->quorum, CS_DISPATCH_ALL);

        (void) s, (void) fd, (void) revents;
        if (r != CS_OK && r != CS_ERR_TRY_AGAIN)
                connection_lost(c, (int) r);
        else
                c->events.settled(c->events.userdata);
        return 0;
}

static int on_cmap_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Corosync *c = userdata;
        cs_error_t r = cmap_dispatch(c->cmap, CS_DISPATCH_ALL);

        (void) s, (void) fd, (void) revents;
        if (r != CS_OK && r != CS_ERR_TRY_AGAIN)
                connection_lost(c, (int) r);
        return 0;
}

/* Corosync has read a changed configuration. */
static void on_config(cmap_handle_t h, cmap_track_handle_t track, int32_t event, const char *key,
                      struct cmap_notify_value new, struct cmap_notify_value old, void *userdata)
{
        Corosync *c = userdata;

        (void) h, (void) track, (void) event, (void) key, (void) new, (void) old;
        read_info(c);
        mark_online(c);
        tell_quorum(c);
}

/* In the thread. What has been made is in the attempt, whatever came of it. */
static int connect_cmap(Attempt *a)
{
        cmap_track_handle_t track;

        if (cmap_initialize(&a->cmap) != CS_OK)
                return -ENOTCONN;
        a->has_cmap = true;
        if (cmap_track_add(a->cmap, "totem.config_version", CMAP_TRACK_ADD | CMAP_TRACK_MODIFY, on_config, a->owner,
                           &track) != CS_OK ||
            cmap_fd_get(a->cmap, &a->cmap_fd) != CS_OK)
                return -ENOTCONN;
        return 0;
}

static int connect_quorum(Attempt *a)
{
        quorum_model_v1_data_t model = { .model = QUORUM_MODEL_V1,
                                         .quorum_notify_fn = on_quorum,
                                         .nodelist_notify_fn = on_nodelist };
        uint32_t type = 0;

        if (quorum_model_initialize(&a->quorum, QUORUM_MODEL_V1, (quorum_model_data_t *) &model, &type, a->owner) !=
            CS_OK)
                return -ENOTCONN;
        a->has_quorum = true;
        if (type != QUORUM_SET)
                return -ENOPROTOOPT;
        if (quorum_trackstart(a->quorum, CS_TRACK_CURRENT | CS_TRACK_CHANGES) != CS_OK ||
            quorum_fd_get(a->quorum, &a->quorum_fd) != CS_OK)
                return -ENOTCONN;
        return 0;
}

static int connect_cpg(Attempt *a)
{
        cpg_model_v1_data_t model = { .model = CPG_MODEL_V1,
                                      .cpg_deliver_fn = on_message,
                                      .cpg_confchg_fn = on_members,
                                      .cpg_totem_confchg_fn = on_ring,
                                      .flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF };

        if (cpg_model_initialize(&a->cpg, CPG_MODEL_V1, (cpg_model_data_t *) &model, a->owner) != CS_OK)
                return -ENOTCONN;
        a->has_cpg = true;
        if (cpg_local_get(a->cpg, &a->nodeid) != CS_OK || cpg_fd_get(a->cpg, &a->cpg_fd) != CS_OK)
                return -ENOTCONN;
        return cpg_join(a->cpg, &a->group) == CS_OK ? 0 : -EAGAIN;
}

static void attempt_run(OffloadJob *job)
{
        Attempt *a = job->userdata;

        a->r = connect_cmap(a);
        if (a->r == 0)
                a->r = connect_quorum(a);
        if (a->r == 0)
                a->r = connect_cpg(a);
}

static int adopt(Corosync *c, const Attempt *a)
{
        int r;

        c->cmap = a->cmap;
        c->quorum = a->quorum;
        c->cpg = a->cpg;
        c->has_cmap = a->has_cmap;
        c->has_quorum = a->has_quorum;
        c->has_cpg = a->has_cpg;
        if (a->r < 0)
                return a->r;
        c->info.nodeid = a->nodeid;
        r = sd_event_add_io(c->event, &c->cmap_io, a->cmap_fd, EPOLLIN, on_cmap_io, c);
        if (r >= 0)
                r = sd_event_add_io(c->event, &c->quorum_io, a->quorum_fd, EPOLLIN, on_quorum_io, c);
        if (r >= 0)
                r = sd_event_add_io(c->event, &c->cpg_io, a->cpg_fd, EPOLLIN, on_cpg_io, c);
        return r;
}

static void attempt_done(OffloadJob *job)
{
        Attempt *a = job->userdata;
        Corosync *c = a->owner;
        int r = adopt(c, a);

        c->attempt = NULL;
        free(a);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r >= 0) {
                c->told = false;
                return;
        }
        if (!c->told && r == -ENOPROTOOPT)
                log_error("Corosync has no quorum provider: set quorum.provider to corosync_votequorum in "
                          "corosync.conf; read-only until then");
        else if (!c->told)
                log_warning("Corosync does not answer: read-only until it does");
        c->told = true;
        disconnect(c);
        arm_timer(c);
}

/* To connect may hang with a Corosync that stands still: a thread does it, and reads are answered meanwhile. */
static int attempt_begin(Corosync *c)
{
        Attempt *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->owner = c;
        a->group = c->group;
        a->job.run = attempt_run;
        a->job.done = attempt_done;
        a->job.userdata = a;
        r = offload_submit(c->offload, &a->job);
        if (r < 0) {
                free(a);
                return r;
        }
        c->attempt = a;
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Corosync *c = userdata;

        (void) usec;
        if (c->attempt) {
                log_warning("Corosync takes connections and says nothing (is it stopped?): read-only until it does");
                c->told = true;
                return 0; /* the attempt ends when Corosync goes on or dies */
        }
        if (attempt_begin(c) < 0) {
                arm_timer(c);
                return 0;
        }
        (void) sd_event_source_set_time_relative(s, PATIENCE_USEC);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}

int corosync_new(sd_event *event, const char *group, const CorosyncEvents *events, Corosync **ret)
{
        AUTO(corosync_freep) Corosync *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->event = sd_event_ref(event);
        c->events = *events;
        c->group.length = (uint32_t) snprintf(c->group.value, sizeof(c->group.value), "%s", group);
        r = offload_new(&c->offload, event);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, c);
        if (r < 0)
                return r;
        *ret = TAKE(c);
        return 0;
}

Corosync *corosync_free(Corosync *c)
{
        if (!c)
                return NULL;
        if (c->is_joined)
                (void) cpg_leave(c->cpg, &c->group);
        disconnect(c);
        if (offload_end(c->offload, END_WAIT_USEC)) {
                c->timer = sd_event_source_disable_unref(c->timer);
                return NULL; /* a thread hangs in it until the process ends */
        }
        if (c->attempt) { /* done, and nobody has taken it over */
                (void) adopt(c, c->attempt);
                free(c->attempt);
                disconnect(c);
        }
        c->timer = sd_event_source_disable_unref(c->timer);
        VEC_DEINIT(&c->info.nodes);
        (void) sd_event_unref(c->event);
        free(c);
        return NULL;
}

int corosync_send(Corosync *c, const void *header, size_t header_len, const void *data, size_t len)
{
        struct iovec iov[2] = { { (void *) header, header_len }, { (void *) data, len } };
        cs_error_t r;

        if (!c->is_joined)
                return -ENOTCONN;
        r = cpg_mcast_joined(c->cpg, CPG_TYPE_AGREED, iov, len ? 2 : 1);
        if (r == CS_OK)
                return 0;
        return r == CS_ERR_TRY_AGAIN ? -EAGAIN : -ENOTCONN;
}

static void *reload_thread(void *unused)
{
        corosync_cfg_handle_t h;

        (void) unused;
        if (corosync_cfg_initialize(&h, NULL) != CS_OK)
                return NULL;
        (void) corosync_cfg_reload_config(h);
        (void) corosync_cfg_finalize(h);
        return NULL;
}

void corosync_reload(void)
{
        pthread_attr_t attr;
        pthread_t t;

        (void) pthread_attr_init(&attr);
        (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&t, &attr, reload_thread, NULL) != 0)
                log_warning("can't start a thread to reload Corosync's configuration: run corosync-cfgtool -R");
        (void) pthread_attr_destroy(&attr);
}
