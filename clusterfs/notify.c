/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notification socket. Nothing a subscriber does makes the daemon wait: what can't be sent at once ends it. */
#include "clusterfs/notify.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/vec.h"

#define SUBSCRIBERS_MAX 64
#define PACKET_MAX 8192

typedef struct Subscriber {
        Notify *owner;
        int fd;
        sd_event_source *io;
} Subscriber;

struct Notify {
        sd_event *event;
        int fd;
        char *path;
        sd_event_source *io;
        VEC(Subscriber *) subscribers;
        void (*log)(void *userdata, const LogEntry *e);
        void *userdata;
};

static void subscriber_remove(Notify *n, size_t i)
{
        Subscriber *s = n->subscribers.items[i];

        (void) sd_event_source_disable_unref(s->io);
        (void) close(s->fd);
        free(s);
        VEC_REMOVE(&n->subscribers, i);
}

static void copy_string(json_object *o, const char *key, char *to, size_t size)
{
        json_object *v = NULL;

        if (json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string))
                (void) snprintf(to, size, "%s", json_object_get_string(v));
}

static void take_request(Notify *n, const char *text)
{
        json_object *o = json_tokener_parse(text), *entry = NULL, *v = NULL;
        LogEntry e = { .priority = LOG_INFO, .tag = "clusterfs", .user = "root@pam" };

        if (json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, "log", &entry) &&
            json_object_is_type(entry, json_type_object)) {
                copy_string(entry, "message", e.message, sizeof(e.message));
                copy_string(entry, "tag", e.tag, sizeof(e.tag));
                copy_string(entry, "user", e.user, sizeof(e.user));
                if (json_object_object_get_ex(entry, "priority", &v))
                        e.priority = (uint8_t) (json_object_get_int(v) & 7);
                n->log(n->userdata, &e);
        }
        (void) json_object_put(o);
}

static int on_subscriber(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Subscriber *sub = userdata;
        Notify *n = sub->owner;
        char text[PACKET_MAX + 1];
        ssize_t len = recv(fd, text, PACKET_MAX, MSG_DONTWAIT);

        (void) s, (void) revents;
        if (len > 0) {
                text[len] = '\0';
                take_request(n, text);
                return 0;
        }
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        for (size_t i = 0; i < n->subscribers.n; i++)
                if (n->subscribers.items[i] == sub) {
                        subscriber_remove(n, i);
                        break;
                }
        return 0;
}

static int on_connection(sd_event_source *s, int listen_fd, uint32_t revents, void *userdata)
{
        Notify *n = userdata;
        AUTO(closep) int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        AUTO(freep) Subscriber *sub = NULL;
        int size = 1 << 20;

        (void) s, (void) revents;
        if (fd < 0 || n->subscribers.n >= SUBSCRIBERS_MAX)
                return 0;
        sub = calloc(1, sizeof(*sub));
        if (!sub)
                return 0;
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        sub->owner = n;
        sub->fd = fd;
        if (sd_event_add_io(n->event, &sub->io, fd, EPOLLIN, on_subscriber, sub) < 0)
                return 0;
        if (VEC_PUSH(&n->subscribers, sub) < 0) {
                (void) sd_event_source_disable_unref(sub->io);
                return 0;
        }
        sub = NULL;
        fd = -EBADF;
        return 0;
}

void notify_changed(Notify *n, const char *path, uint64_t version)
{
        json_object *o;
        const char *text;

        if (!n || n->subscribers.n == 0)
                return;
        o = json_object_new_object();
        (void) json_object_object_add(o, "path", json_object_new_string(path ? path : ""));
        (void) json_object_object_add(o, "version", json_object_new_uint64(version));
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        for (size_t i = n->subscribers.n; i-- > 0;)
                if (send(n->subscribers.items[i]->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                        log_info("a subscriber of change notifications is too slow or gone: disconnected");
                        subscriber_remove(n, i);
                }
        (void) json_object_put(o);
}

static int open_socket(const char *path, struct storaged_error *err)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AUTO(closep) int fd = -EBADF;
        mode_t mask;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_set(err, -ENAMETOOLONG,
                                 "path of the socket %s is longer than %zu bytes: use a shorter --run", path,
                                 sizeof(address.sun_path) - 1);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_set(err, -errno, "can't make a socket: %s", strerror(errno));
        (void) unlink(path); /* of a predecessor; the lock on the state directory says that there is no other daemon */
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *) &address, sizeof(address));
        (void) umask(mask);
        if (r < 0 || listen(fd, 16) < 0)
                return error_set(err, -errno, "can't listen on %s: %s", path, strerror(errno));
        return TAKE_FD(fd);
}

int notify_new(sd_event *event, const char *path, void (*log)(void *userdata, const LogEntry *e), void *userdata,
               Notify **ret, struct storaged_error *err)
{
        AUTO(notify_freep) Notify *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->event = sd_event_ref(event);
        n->log = log;
        n->userdata = userdata;
        n->fd = open_socket(path, err);
        if (n->fd < 0)
                return n->fd;
        n->path = strdup(path);
        if (!n->path)
                return -ENOMEM;
        r = sd_event_add_io(event, &n->io, n->fd, EPOLLIN, on_connection, n);
        if (r < 0)
                return r;
        *ret = TAKE(n);
        return 0;
}

Notify *notify_free(Notify *n)
{
        if (!n)
                return NULL;
        while (n->subscribers.n)
                subscriber_remove(n, n->subscribers.n - 1);
        VEC_DEINIT(&n->subscribers);
        n->io = sd_event_source_disable_unref(n->io);
        if (n->fd >= 0)
                (void) close(n->fd);
        if (n->path)
                (void) unlink(n->path);
        free(n->path);
        (void) sd_event_unref(n->event);
        free(n);
        return NULL;
}
