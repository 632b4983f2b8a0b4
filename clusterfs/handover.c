/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Corosync's configuration out of the tree. See the header. */
#include "clusterfs/handover.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/parse.h"

uint64_t handover_config_version(const char *text, size_t len)
{
        static const char key[] = "config_version";
        const char *end = text + len;

        for (const char *p = text; p < end;) {
                const char *eol = memchr(p, '\n', (size_t) (end - p));
                const char *stop = eol ? eol : end;

                while (p < stop && isblank((unsigned char) *p))
                        p++;
                if ((size_t) (stop - p) > sizeof(key) && memcmp(p, key, sizeof(key) - 1) == 0) {
                        AUTO(freep) char *value = NULL;
                        uint64_t v;

                        p += sizeof(key) - 1;
                        while (p < stop && (isblank((unsigned char) *p) || *p == ':'))
                                p++;
                        while (stop > p && isspace((unsigned char) stop[-1]))
                                stop--;
                        value = strndup(p, (size_t) (stop - p));
                        return value && parse_u64(value, &v) == 0 ? v : 0;
                }
                p = eol ? eol + 1 : end;
        }
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        (void) s, (void) usec, (void) userdata;
        corosync_reload();
        return 0;
}

int handover_init(Handover *h, sd_event *event, const char *path)
{
        int r;

        *h = (Handover){ .path = path };
        r = sd_event_add_time_relative(event, &h->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, h);
        return r < 0 ? r : sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
}

void handover_deinit(Handover *h)
{
        h->timer = sd_event_source_disable_unref(h->timer);
}

void handover_check(Handover *h, const Tree *t, bool is_writer)
{
        const Node *n = tree_resolve(t, "corosync.conf");
        AUTO(freep) char *own = NULL;
        uint64_t own_version = 0, version;
        size_t len = 0;
        int r;

        if (!n || !n->content || n->content->size == 0)
                return;
        version = handover_config_version((const char *) n->content->data, n->content->size);
        r = fs_read_file(h->path, OP_FILE_MAX, &own, &len);
        if (r == 0) {
                own_version = handover_config_version(own, len);
                if (len == n->content->size && memcmp(own, n->content->data, len) == 0)
                        return;
        }
        if (version < own_version) {
                log_warning("corosync.conf of the tree has config_version %llu, lower than %llu of %s: not taken",
                            (unsigned long long) version, (unsigned long long) own_version, h->path);
                return;
        }
        r = fs_write_atomic(h->path, n->content->data, n->content->size, 0644);
        if (r < 0) {
                log_error("can't write %s: %s", h->path, strerror(-r));
                return;
        }
        log_info("%s is now that of the tree, config_version %llu", h->path, (unsigned long long) version);
        if (is_writer) {
                (void) sd_event_source_set_time_relative(h->timer, USEC_PER_SEC);
                (void) sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
        }
}
