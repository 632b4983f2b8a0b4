/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watch on the cluster directory. Three states: SUBSCRIBED to clusterfs, POLLING the .version of another FUSE file
 * system (pmxcfs), or QUIET on a plain directory, where inotify tells all there is. A lost subscription is tried again
 * with growing pauses, and what may have been missed is told as "anything". .version is read beside the loop
 * (base/offload.c), with patience: on a busy machine an answer takes longer than the loop could wait. The invariant: on
 * a plain directory there is no timer, so that an idle daemon stays silent.
 */
#include "cluster/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/mounts.h"
#include "base/offload.h"
#include "base/str.h"

#define POLL_USEC (500 * USEC_PER_MSEC) /* a change must be acted upon within a second */
/* .version is asked anew each time, but names and files may come out of the kernel's caches, for a second (FUSE's
 * default) or until they are invalidated: what was seen at once may be the old one. So a change is told again. */
#define N_TOLD_AGAIN 2
#define RETRY_USEC (USEC_PER_SEC / 4)
#define END_WAIT_USEC USEC_PER_SEC
#define RETRY_USEC_MAX (10 * USEC_PER_SEC)
#define PACKET_MAX 8192
#define VERSION_MAX (1u << 20)

struct Watch {
        sd_event *event;
        char *cluster, *socket, *version;
        watch_fn fn;
        void *userdata;
        int fd; /* of the subscription, or -EBADF */
        sd_event_source *io, *timer;
        uint64_t pause;
        bool was_subscribed;
        unsigned n_again;             /* polls that tell in any case */
        char digest[DIGEST_SHA1_HEX]; /* of .version as it was seen last */
        Offload *offload;             /* NULL until the first poll */
        OffloadJob poll;
        bool is_polling;
        int result;                /* of the poll */
        char now[DIGEST_SHA1_HEX]; /* what it saw */
};

static void arm(Watch *w, uint64_t usec)
{
        (void) sd_event_source_set_time_relative(w->timer, usec);
        (void) sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void unsubscribe(Watch *w)
{
        w->io = sd_event_source_disable_unref(w->io);
        if (w->fd >= 0)
                (void) close(w->fd);
        w->fd = -EBADF;
}

static void take_packet(Watch *w, const char *text)
{
        json_object *o = json_tokener_parse(text), *path = NULL;
        const char *s = NULL;

        if (json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, "path", &path) &&
            json_object_is_type(path, json_type_string))
                s = json_object_get_string(path);
        w->fn(w->userdata, s && s[0] ? s : NULL);
        (void) json_object_put(o);
}

static int on_packet(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Watch *w = userdata;
        char text[PACKET_MAX + 1];
        ssize_t n = recv(fd, text, PACKET_MAX, MSG_DONTWAIT);

        (void) source, (void) revents;
        if (n > 0) {
                text[n] = '\0';
                take_packet(w, text);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                unsubscribe(w);
                w->pause = RETRY_USEC;
                arm(w, w->pause);
        }
        return 0;
}

static int subscribe(Watch *w)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AUTO(closep) int fd = -EBADF;
        int r;

        if (strlen(w->socket) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->socket);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = sd_event_add_io(w->event, &w->io, fd, EPOLLIN, on_packet, w);
        if (r < 0)
                return r;
        w->fd = TAKE_FD(fd);
        w->pause = 0;
        w->was_subscribed = true;
        return 0;
}

/* In the thread, or at the start. */
static void poll_run(OffloadJob *job)
{
        AUTO(freep) char *text = NULL;
        Watch *w = job->userdata;
        size_t len = 0;

        w->result = fs_read_file(w->version, VERSION_MAX, &text, &len);
        if (w->result >= 0)
                digest_sha1_hex(text, len, w->now);
}

/* True: it differs from what was seen last. */
static bool poll_take(Watch *w)
{
        if (w->result < 0 || str_eq(w->now, w->digest))
                return false;
        memcpy(w->digest, w->now, sizeof(w->digest));
        return true;
}

static void poll_done(OffloadJob *job)
{
        Watch *w = job->userdata;
        bool has_changed = poll_take(w);

        w->is_polling = false;
        if (has_changed || w->n_again > 0)
                w->fn(w->userdata, NULL);
        w->n_again = has_changed ? N_TOLD_AGAIN : w->n_again > 0 ? w->n_again - 1 : 0;
        arm(w, POLL_USEC);
}

static void poll_begin(Watch *w)
{
        w->is_polling = true;
        if ((!w->offload && offload_new(&w->offload, w->event) < 0) || offload_submit(w->offload, &w->poll) < 0) {
                w->is_polling = false;
                arm(w, POLL_USEC);
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Watch *w = userdata;

        (void) source, (void) usec;
        if (w->is_polling)
                return 0;
        if (subscribe(w) == 0) {
                w->fn(w->userdata, NULL); /* what came meanwhile was told to nobody */
        } else if (w->was_subscribed) {
                w->pause = w->pause * 2 < RETRY_USEC_MAX ? w->pause * 2 : RETRY_USEC_MAX;
                arm(w, w->pause);
        } else {
                poll_begin(w);
        }
        return 0;
}

int watch_new(Watch **ret, const char *cluster, const char *socket, sd_event *event, watch_fn fn, void *userdata)
{
        AUTO(watch_freep) Watch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->fd = -EBADF;
        w->event = sd_event_ref(event);
        w->fn = fn;
        w->userdata = userdata;
        w->poll = (OffloadJob){ .run = poll_run, .done = poll_done, .userdata = w };
        w->cluster = strdup(cluster);
        w->socket = strdup(socket);
        r = str_printf(&w->version, "%s/.version", cluster);
        if (r < 0 || !w->cluster || !w->socket)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &w->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC, on_timer, w);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        if (subscribe(w) < 0 && mounts_is_fuse(cluster) > 0) {
                poll_run(&w->poll);
                w->n_again = N_TOLD_AGAIN; /* whatever was read before may be older */
                (void) poll_take(w);
                arm(w, POLL_USEC);
        }
        *ret = TAKE(w);
        return 0;
}

bool watch_is_told(const Watch *w)
{
        return w && w->was_subscribed;
}

Watch *watch_free(Watch *w)
{
        if (!w)
                return NULL;
        unsubscribe(w);
        w->timer = sd_event_source_disable_unref(w->timer);
        if (offload_end(w->offload, END_WAIT_USEC))
                return NULL; /* the thread's, which hangs */
        (void) sd_event_unref(w->event);
        free(w->cluster);
        free(w->socket);
        free(w->version);
        free(w);
        return NULL;
}
