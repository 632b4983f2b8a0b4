/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading storage.cfg. Whoever changes it, it is read again: a request looks at the file's times first, and a change
 * that is told is read beside the loop (core/aside.c). The last text that could be read holds until another one could;
 * before the first one nothing is known of the storages, and who asks for them is told so. What could not be read is
 * tried again each second.
 */
#include "core/config-read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/guard.h"
#include "base/log.h"
#include "cluster/membership.h"
#include "core/aside.h"
#include "core/multipath-config.h"
#include "core/storage.h"

#define CONFIG_SIZE_MAX (16u << 20)
#define REREAD_USEC USEC_PER_SEC

typedef struct Reading {
        Aside work;
        FsSeen seen;
        char *text;
        size_t len;
        int r;
        uint64_t turn; /* of Core.config_turn: has another reading come between? */
        config_read_fn fn;
        void *userdata;
} Reading;

static void reading_run(Aside *work)
{
        Reading *x = work->userdata;
        const char *path = work->core->paths.config;

        x->r = fs_look(path, &x->seen); /* before reading: a change in between is seen as one */
        if (x->r >= 0)
                x->r = fs_read_file(path, CONFIG_SIZE_MAX, &x->text, &x->len);
}

static int reading_take(Core *c, const Reading *x, struct storaged_error *err)
{
        AUTO(config_freep) Config *next = NULL;
        const char *text = x->text ? x->text : "";
        char digest[DIGEST_SHA1_HEX];
        int r;

        c->config_turn++;
        c->is_config_old = x->r < 0 && x->r != -ENOENT;
        if (c->is_config_old)
                return error_set(err, x->r, "can't read %s: %s", c->paths.config, fs_strerror(x->r));
        c->config_seen = x->seen;
        c->is_config_unknown = false;
        digest_sha1_hex(text, x->len, digest);
        if (c->config && str_eq(digest, c->config->digest))
                return 0;
        r = config_parse(c->schema, text, x->len, &next);
        if (r < 0) {
                c->is_config_old = true;
                return error_set(err, r, "can't read %s: out of memory", c->paths.config);
        }
        (void) config_free(c->config);
        c->config = TAKE(next);
        for (size_t i = 0; i < c->config->n_warnings; i++)
                log_warning("%s:%u: %s", c->paths.config, c->config->warnings[i].line, c->config->warnings[i].text);
        if (c->storages)
                storage_table_sync(c->storages);
        return 0;
}

int core_reload_config(Core *c, struct storaged_error *err)
{
        Reading x = { .work.core = c };
        int r;

        x.work.userdata = &x;
        reading_run(&x.work);
        r = reading_take(c, &x, err);
        free(x.text);
        return r;
}

static void reading_done(Aside *work)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Reading *x = work->userdata;
        Core *c = work->core;
        int r;

        /* A reading that was begun later may know more than this one. */
        if (x->turn != c->config_turn && !c->is_stopping) {
                free(x->text);
                x->text = NULL;
                x->turn = c->config_turn;
                aside_begin(c, work);
                return;
        }
        r = reading_take(c, x, &err);
        x->fn(x->userdata, r < 0 ? &err : NULL);
        free(x->text);
        free(x);
}

void config_read_begin(Core *c, config_read_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Reading *x = calloc(1, sizeof(*x));

        if (!x) {
                (void) error_set(&err, -ENOMEM, "can't read %s: out of memory", c->paths.config);
                fn(userdata, &err);
                return;
        }
        x->turn = c->config_turn;
        x->fn = fn;
        x->userdata = userdata;
        x->work = (Aside){ .run = reading_run, .done = reading_done, .userdata = x };
        aside_begin(c, &x->work);
}

void core_freshen_config(Core *c)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        FsSeen now;

        membership_refresh(c->members);
        /*
         * A cluster file system is read-only without quorum, so there is nothing to be seen; a refusal must not wait
         * for it. What comes with the quorum is told, and seen by the next request.
         */
        if (guard_covers(c->paths.config) && !c->is_config_unknown && !membership_is_quorate(c->members))
                return;
        multipath_config_freshen(c);
        /* Where the file system does not answer, what was read last goes on to hold. */
        if (fs_glance(c->paths.config, &now) < 0)
                return;
        if ((c->is_config_old || memcmp(&now, &c->config_seen, sizeof(now)) != 0) && core_reload_config(c, &err) < 0)
                log_error("%s", err.text);
}

int core_check_config(const Core *c, struct storaged_error *err)
{
        if (!c->is_config_unknown)
                return 0;
        return error_set(err, -ETIMEDOUT,
                         "the cluster file system at %s has not answered since storaged was started on node '%s': its "
                         "storages are not known yet; see systemctl status clusterfs (or pve-cluster)",
                         c->paths.cluster, c->node);
}

/* --- what could not be read */

static void on_reread_end(void *userdata, const struct storaged_error *err)
{
        Core *c = userdata;

        if (err)
                config_read_later(c);
        else if (c->is_late)
                core_catch_up(c);
}

static int on_reread(sd_event_source *source, uint64_t usec, void *userdata)
{
        Core *c = userdata;

        (void) source;
        (void) usec;
        if (c->is_config_old || c->is_late)
                config_read_begin(c, on_reread_end, c);
        return 0;
}

void config_read_later(Core *c)
{
        int r = 0;

        if (c->is_stopping)
                return;
        if (!c->reread)
                r = sd_event_add_time_relative(c->event, &c->reread, CLOCK_MONOTONIC, REREAD_USEC, 0, on_reread, c);
        if (r >= 0)
                r = sd_event_source_set_time_relative(c->reread, REREAD_USEC);
        if (r >= 0)
                (void) sd_event_source_set_enabled(c->reread, SD_EVENT_ONESHOT);
}
