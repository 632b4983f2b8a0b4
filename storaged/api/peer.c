/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmicrohttpd reads its sockets edge-triggered: an end that arrives together with the last bytes of half a request
 * makes no edge of its own, and the connection would stand until its timeout with its client waiting. So the end is
 * watched for here too, in the daemon's own epoll set, and acted upon once nothing is left to be read.
 */
#include "api/peer.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct Peer {
        int fd; /* borrowed */
        const char *user;
        sd_event_source *source;
        bool has_ended;
        void (*on_end)(void *userdata);
        void *userdata;
};

static int on_hangup(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Peer *p = userdata;

        (void) source;
        (void) fd;
        (void) events;
        p->has_ended = true;
        p->source = sd_event_source_disable_unref(p->source);
        p->on_end(p->userdata);
        return 0;
}

/* By the kernel's word. */
static const char *find_user(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return NULL;
        return peer.uid == 0 || peer.uid == geteuid() ? "root@pam" : NULL;
}

int peer_new(Peer **ret, sd_event *event, int fd, void (*on_end)(void *userdata), void *userdata)
{
        AUTO(peer_freep) Peer *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (Peer){ .fd = fd, .user = find_user(fd), .on_end = on_end, .userdata = userdata };
        r = sd_event_add_io(event, &p->source, fd, EPOLLRDHUP, on_hangup, p);
        if (r < 0)
                return r;
        *ret = TAKE(p);
        return 0;
}

Peer *peer_free(Peer *p)
{
        if (!p)
                return NULL;
        (void) sd_event_source_disable_unref(p->source);
        free(p);
        return NULL;
}

const char *peer_get_user(const Peer *p)
{
        return p->user;
}

bool peer_has_ended(const Peer *p)
{
        return p->has_ended;
}

bool peer_is_exhausted(const Peer *p)
{
        int unread = 0;

        return p->has_ended && ioctl(p->fd, FIONREAD, &unread) == 0 && unread == 0;
}

void peer_dismiss(Peer *p, const char *text, size_t len)
{
        if (len > 0)
                (void) send(p->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT); /* it may be gone altogether */
        (void) shutdown(p->fd, SHUT_WR);
}
