/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A netlink socket that hears the kernel itself, not udev: udev waits for devices and may hang with one, and whoever
 * waits for udev hangs, too. What does not come from the kernel is not believed. A burst that overflows the socket is
 * told as "anything may have happened", never passed over.
 */
#include "host/uevents.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <string.h>
#include <sys/socket.h>

#define GROUP_KERNEL 1u
#define MESSAGE_MAX 8192u
#define BUFFER_BYTES (8 << 20)
#define AT_ONCE 64u

struct Uevents {
        int fd;
        sd_event_source *source;
        uevent_fn fn;
        void *userdata;
};

/* 1: one was read; 0: there is none. */
static int take_one(Uevents *u)
{
        static char buf[MESSAGE_MAX];
        struct sockaddr_nl from = { 0 };
        struct iovec iov = { buf, sizeof(buf) };
        struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n = recvmsg(u->fd, &m, MSG_DONTWAIT);
        Uevent e;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0) { /* ENOBUFS */
                u->fn(u->userdata, NULL);
                return 1;
        }
        if (from.nl_pid == 0 && uevent_parse(buf, (size_t) n, &e) == 0)
                u->fn(u->userdata, &e);
        return 1;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void) source;
        (void) fd;
        (void) events;
        for (unsigned i = 0; i < AT_ONCE && take_one(userdata) > 0; i++)
                ;
        return 0;
}

int uevents_new(Uevents **ret, sd_event *event, uevent_fn fn, void *userdata, struct storaged_error *err)
{
        struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL };
        AUTO(uevents_freep) Uevents *u = calloc(1, sizeof(*u));
        int size = BUFFER_BYTES, r;

        if (!u)
                return error_set(err, -ENOMEM, "out of memory");
        u->fn = fn;
        u->userdata = userdata;
        u->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
        if (u->fd < 0)
                return error_set(err, -errno, "can't listen to the kernel's device events: %m");
        if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
                (void) setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        if (bind(u->fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return error_set(err, -errno, "can't listen to the kernel's device events: %m");
        r = sd_event_add_io(event, &u->source, u->fd, EPOLLIN, on_readable, u);
        if (r < 0)
                return error_set(err, r, "can't watch the kernel's device events: %s", strerror(-r));
        *ret = TAKE(u);
        return 0;
}

Uevents *uevents_free(Uevents *u)
{
        if (!u)
                return NULL;
        (void) sd_event_source_disable_unref(u->source);
        closep(&u->fd);
        free(u);
        return NULL;
}
