/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of an export or import between two nodes take one connection of their own (POST /nodes/{node}/stream), from
 * the node that has them to the one that wants them; the request for the work itself goes its usual way and gives a
 * task. Sockets set the pace: the client's, the connection's, the worker's; in between at most one piece is held.
 *
 *   export on n2 for a client on n1:  n1 offers the client's socket, n2's worker writes, n2 sends to n1
 *   import on n2 from a client on n1: n2 offers its worker's socket, n1 sends what the client gives to n2
 *
 * Whether a stream was whole is the worker's to say: it knows the size, so one that ends early makes no volume.
 */
#include "core/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "core/links.h"

#define OFFER_USEC (60 * USEC_PER_SEC)
#define OFFERS_MAX 64u

typedef struct Offer {
        Streams *streams;
        char token[STREAM_TOKEN_SIZE];
        int fd;
        sd_event_source *timer;
} Offer;

struct Streams {
        Core *core;
        VEC(Offer *) offers;
};

void stream_make_token(char ret[static STREAM_TOKEN_SIZE])
{
        uint8_t bytes[16] = { 0 };

        while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
                ; /* only interrupted: so few come at once */
        for (size_t i = 0; i < sizeof(bytes); i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

int stream_connect(const char *path, int *ret, struct storaged_error *err)
{
        AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        if (fd < 0)
                return error_set(err, -errno, "can't make a socket: %m");
        if (strlen(path) >= sizeof(a.sun_path))
                return error_set(err, -ENAMETOOLONG, "the path of a socket may only have %zu bytes",
                                 sizeof(a.sun_path) - 1);
        (void) memcpy(a.sun_path, path, strlen(path) + 1);
        if (connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                return error_set(err, -EINVAL, "can't connect to %s: %m", path);
        *ret = TAKE_FD(fd);
        return 0;
}

int stream_pair(int *ret_worker, int *ret_ours)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        if (fcntl(fds[1], F_SETFL, O_NONBLOCK) < 0) {
                int r = -errno;

                closep(&fds[0]);
                closep(&fds[1]);
                return r;
        }
        *ret_worker = fds[0];
        *ret_ours = fds[1];
        return 0;
}

/* --- offers */

static void offer_free(Offer *o)
{
        (void) sd_event_source_disable_unref(o->timer);
        closep(&o->fd);
        free(o);
}

int stream_claim(Core *c, const char *token)
{
        Streams *s = c->streams;

        for (size_t i = 0; s && token && i < s->offers.n; i++) {
                Offer *o = s->offers.items[i];
                int fd = o->fd;

                if (!str_eq(o->token, token))
                        continue;
                o->fd = -EBADF;
                VEC_REMOVE(&s->offers, i);
                offer_free(o);
                return fd;
        }
        return -ENOENT;
}

static int on_unclaimed(sd_event_source *source, uint64_t usec, void *userdata)
{
        Offer *o = userdata;
        int fd = stream_claim(o->streams->core, o->token);

        (void) source;
        (void) usec;
        closep(&fd); /* the worker or client at its other end sees the end */
        return 0;
}

int stream_offer(Core *c, const char *token, int fd)
{
        Streams *s = c->streams;
        Offer *o = calloc(1, sizeof(*o));
        int r = -ENOMEM;

        if (!o)
                return r;
        *o = (Offer){ .streams = s, .fd = -EBADF };
        (void) snprintf(o->token, sizeof(o->token), "%s", token);
        r = s->offers.n >= OFFERS_MAX ? -EAGAIN
                                      : sd_event_add_time_relative(c->event, &o->timer, CLOCK_MONOTONIC, OFFER_USEC,
                                                                   USEC_PER_SEC, on_unclaimed, o);
        if (r >= 0)
                r = VEC_PUSH(&s->offers, o);
        if (r < 0) {
                offer_free(o);
                return r;
        }
        o->fd = fd;
        return 0;
}

/* --- sending */

static void on_sent(void *userdata, int status, const char *body, size_t len, const struct storaged_error *err)
{
        (void) userdata;
        (void) body;
        (void) len;
        /* Whoever waits for the work is told by its task; this tells why. */
        if (err)
                log_warning("a stream ended: %s", err->text);
        else if (status != 200)
                log_warning("a stream was refused by the other node: %d", status);
}

int stream_send(Core *c, const char *node, const char *token, int fd, struct storaged_error *err)
{
        AUTO(freep) char *target = NULL;
        LinkCall call = { .node = node,
                          .method = "POST",
                          .user = "root@pam",
                          .content_type = "application/octet-stream",
                          .has_body_fd = true,
                          .body_fd = fd };

        if (str_printf(&target, "/api2/json/nodes/%s/stream/%s", node, token) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        call.target = target;
        return links_pass_on(c->links, &call, on_sent, NULL, err);
}

/* --- birth and end */

int streams_new(Streams **ret, Core *c)
{
        Streams *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->core = c;
        *ret = s;
        return 0;
}

Streams *streams_free(Streams *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->offers.n; i++)
                offer_free(s->offers.items[i]);
        VEC_DEINIT(&s->offers);
        free(s);
        return NULL;
}
