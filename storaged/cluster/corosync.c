/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libquorum and libcmap on the event loop. Once connected, libquorum is a descriptor that speaks when something has
 * happened, and reading what it says never waits. To connect, and to ask cmap anything, is a question with an answer,
 * and a Corosync that is stopped or swamped gives none; so these are done by a thread of a few milliseconds, a look,
 * which puts its finding into a pipe. At most one look is under way. One that hangs is left to itself: it owns what it
 * works on, and the daemon goes on with what it knew.
 * Invariant: only the look touches the libraries' handles while it runs and they are its own.
 */
#include <corosync/cmap.h>
#include <corosync/corotypes.h>
#include <corosync/quorum.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cluster/member-source.h"

#define RECONNECT_USEC (USEC_PER_SEC / 2)
#define LOOK_STACK (256u << 10)
#define MEMBERS_MAX 256u

typedef struct Look {
        int pipe; /* owned: where the finding goes */
        bool wants_quorum;
        bool has_quorum; /* the handle below is connected and tracks */
        quorum_handle_t quorum;
        bool has_list;
        MemberList list;
} Look;

struct MemberSource {
        MemberEvents events;
        sd_event *event;
        int pipe[2];
        sd_event_source *pipe_io, *quorum_io, *timer;
        bool is_looking, look_again;
        bool has_quorum;
        quorum_handle_t quorum;
};

static Look *look_free(Look *k)
{
        if (!k)
                return NULL;
        if (k->has_quorum)
                (void) quorum_finalize(k->quorum);
        VEC_DEINIT(&k->list.nodes);
        closep(&k->pipe);
        free(k);
        return NULL;
}
DEFINE_CLEANUP(Look *, look_free)

/* --- in the thread */

static bool get_string(cmap_handle_t h, const char *key, char *ret, size_t size)
{
        char *s = NULL;

        if (cmap_get_string(h, key, &s) != CS_OK) /* a failure in the middle leaves `s` freed, not NULL */
                return false;
        (void) snprintf(ret, size, "%s", s);
        free(s);
        return true;
}

/* corosync.conf may name a node's address by a name. */
static void resolve(char *ip, size_t size)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        struct addrinfo *found = NULL;
        char numeric[64];

        if (getaddrinfo(ip, NULL, &hints, &found) != 0)
                return;
        if (getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof(numeric), NULL, 0, NI_NUMERICHOST) == 0)
                (void) snprintf(ip, size, "%s", numeric);
        freeaddrinfo(found);
}

static void read_node(cmap_handle_t h, unsigned pos, MemberList *list)
{
        char key[CMAP_KEYNAME_MAXLEN + 1];
        Member n = { 0 };

        (void) snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", pos);
        if (cmap_get_uint32(h, key, &n.id) != CS_OK)
                return;
        (void) snprintf(key, sizeof(key), "nodelist.node.%u.ring0_addr", pos);
        (void) get_string(h, key, n.ip, sizeof(n.ip));
        (void) snprintf(key, sizeof(key), "nodelist.node.%u.name", pos);
        if (!get_string(h, key, n.name, sizeof(n.name)))
                (void) snprintf(n.name, sizeof(n.name), "%s", n.ip);
        resolve(n.ip, sizeof(n.ip));
        n.is_local = n.id == list->local_id;
        (void) VEC_PUSH(&list->nodes, n); /* a node that can't be kept is missing in the list until the next look */
}

static bool read_list(MemberList *list)
{
        char key[CMAP_KEYNAME_MAXLEN + 1];
        cmap_iter_handle_t it;
        cmap_value_types_t type;
        cmap_handle_t h;
        size_t len;

        if (cmap_initialize(&h) != CS_OK)
                return false;
        (void) get_string(h, "totem.cluster_name", list->name, sizeof(list->name));
        if (cmap_get_uint64(h, "totem.config_version", &list->version) != CS_OK)
                list->version = 0;
        if (cmap_get_uint32(h, "runtime.votequorum.this_node_id", &list->local_id) != CS_OK)
                list->local_id = 0;
        if (cmap_iter_init(h, "nodelist.node.", &it) == CS_OK) {
                while (cmap_iter_next(h, it, key, &len, &type) == CS_OK) {
                        unsigned pos;
                        int end = 0;

                        if (sscanf(key, "nodelist.node.%u.nodeid%n", &pos, &end) == 1 && end > 0 && !key[end])
                                read_node(h, pos, list);
                }
                (void) cmap_iter_finalize(h, it);
        }
        (void) cmap_finalize(h);
        return list->local_id != 0;
}

static void on_quorum(quorum_handle_t h, uint32_t is_quorate, struct quorum_ring_id ring, uint32_t n,
                      const uint32_t *members);

static void on_nodelist(quorum_handle_t h, struct quorum_ring_id ring, uint32_t n, const uint32_t *members,
                        uint32_t n_joined, const uint32_t *joined, uint32_t n_left, const uint32_t *left)
{
        (void) h, (void) ring, (void) n, (void) members, (void) n_joined, (void) joined, (void) n_left, (void) left;
}

static void look_connect(Look *k)
{
        quorum_model_v1_data_t model = { 0 };
        uint32_t type = QUORUM_FREE;

        model.model = QUORUM_MODEL_V1;
        model.quorum_notify_fn = on_quorum;
        model.nodelist_notify_fn = on_nodelist;
        if (quorum_model_initialize(&k->quorum, QUORUM_MODEL_V1, (quorum_model_data_t *) &model, &type, NULL) != CS_OK)
                return;
        k->has_quorum = true;
        if (type == QUORUM_SET && quorum_trackstart(k->quorum, CS_TRACK_CURRENT | CS_TRACK_CHANGES) == CS_OK)
                return;
        (void) quorum_finalize(k->quorum);
        k->has_quorum = false;
}

static void *look_run(void *userdata)
{
        Look *k = userdata;

        if (k->wants_quorum)
                look_connect(k);
        if (!k->wants_quorum || k->has_quorum)
                k->has_list = read_list(&k->list);
        /* A pointer is less than PIPE_BUF: whole or not at all. Where nobody reads any more, it is ours to free. */
        if (write(k->pipe, &k, sizeof(k)) != (ssize_t) sizeof(k))
                (void) look_free(k);
        return NULL;
}

/* --- on the event loop */

static int source_look(MemberSource *s)
{
        AUTO(look_freep) Look *k = NULL;
        pthread_attr_t attr;
        pthread_t thread;
        int r;

        if (s->is_looking) {
                s->look_again = true;
                return 0;
        }
        k = calloc(1, sizeof(*k));
        if (!k)
                return -ENOMEM;
        k->wants_quorum = !s->has_quorum;
        k->pipe = fcntl(s->pipe[1], F_DUPFD_CLOEXEC, 3);
        if (k->pipe < 0)
                return -errno;
        r = pthread_attr_init(&attr);
        if (r != 0)
                return -r;
        (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        (void) pthread_attr_setstacksize(&attr, LOOK_STACK);
        r = pthread_create(&thread, &attr, look_run, k);
        (void) pthread_attr_destroy(&attr);
        if (r != 0)
                return -r;
        (void) TAKE(k);
        s->is_looking = true;
        s->look_again = false;
        return 0;
}

static void source_look_later(MemberSource *s)
{
        (void) sd_event_source_set_time(s->timer, now_usec() + RECONNECT_USEC);
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void source_look_now(MemberSource *s)
{
        if (source_look(s) < 0)
                source_look_later(s);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        source_look_now(userdata);
        return 0;
}

static void source_disconnect(MemberSource *s)
{
        s->quorum_io = sd_event_source_disable_unref(s->quorum_io);
        if (s->has_quorum)
                (void) quorum_finalize(s->quorum);
        s->has_quorum = false;
}

static void on_quorum(quorum_handle_t h, uint32_t is_quorate, struct quorum_ring_id ring, uint32_t n,
                      const uint32_t *members)
{
        const void *context = NULL;
        MemberSource *s;

        (void) ring;
        if (quorum_context_get(h, &context) != CS_OK || !context)
                return;
        s = (MemberSource *) context;
        s->events.quorum(s->events.userdata, is_quorate != 0, members, n < MEMBERS_MAX ? n : MEMBERS_MAX);
        source_look_now(s);
}

static void source_dispatch(MemberSource *s)
{
        cs_error_t r = quorum_dispatch(s->quorum, CS_DISPATCH_ALL);

        if (r == CS_OK || r == CS_ERR_TRY_AGAIN)
                return;
        source_disconnect(s);
        source_look_later(s);
        s->events.lost(s->events.userdata);
}

static int on_quorum_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void) source;
        (void) fd;
        (void) events;
        source_dispatch(userdata);
        return 0;
}

static int source_adopt(MemberSource *s, Look *k)
{
        int fd = -1;

        if (quorum_context_set(k->quorum, s) != CS_OK || quorum_fd_get(k->quorum, &fd) != CS_OK ||
            sd_event_add_io(s->event, &s->quorum_io, fd, EPOLLIN, on_quorum_io, s) < 0)
                return -EIO;
        s->quorum = k->quorum;
        s->has_quorum = true;
        k->has_quorum = false;
        return 0;
}

static int on_finding(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        AUTO(look_freep) Look *k = NULL;
        MemberSource *s = userdata;
        bool is_new = false;

        (void) source;
        (void) events;
        if (read(fd, &k, sizeof(k)) != (ssize_t) sizeof(k)) {
                k = NULL;
                return 0;
        }
        s->is_looking = false;
        if (k->has_quorum && !s->has_quorum)
                is_new = source_adopt(s, k) == 0;
        if (k->has_list)
                s->events.list(s->events.userdata, &k->list);
        if (is_new)
                source_dispatch(s); /* what it said before we listened */
        if (!s->has_quorum || !k->has_list)
                source_look_later(s);
        else if (s->look_again)
                source_look_now(s);
        return 0;
}

void member_source_reread(MemberSource *s)
{
        source_look_now(s);
}

int member_source_new(MemberSource **ret, const MemberEvents *events, sd_event *event)
{
        AUTO(member_source_freep) MemberSource *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (MemberSource){ .events = *events, .event = sd_event_ref(event), .pipe = { -EBADF, -EBADF } };
        if (pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(event, &s->pipe_io, s->pipe[0], EPOLLIN, on_finding, s);
        if (r >= 0)
                r = sd_event_add_time(event, &s->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, s);
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

MemberSource *member_source_free(MemberSource *s)
{
        if (!s)
                return NULL;
        source_disconnect(s);
        (void) sd_event_source_disable_unref(s->pipe_io);
        (void) sd_event_source_disable_unref(s->timer);
        /* A finding that is in the pipe already is lost with the process, or with the node's leaving of a cluster. */
        closep(&s->pipe[0]);
        closep(&s->pipe[1]);
        (void) sd_event_unref(s->event);
        free(s);
        return NULL;
}
