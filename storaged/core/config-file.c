/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing storage.cfg. On a cluster file system it takes some rounds through all nodes and waits for disks, so a thread
 * does it (base/offload.c) and requests are answered meanwhile. Who waits for too long is told so; what the thread then
 * still has in hand does not take the file's place any more.
 */
#include "core/config-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs-parts.h"
#include "base/guard.h"
#include "base/offload.h"

#define CONFIG_MODE 0640
#define PATIENCE_USEC (10 * USEC_PER_SEC)
#define END_WAIT_USEC USEC_PER_SEC

typedef struct Writing {
        OffloadJob job;
        Core *core;
        char *path, *text;
        Fence fence;
        int r;
        _Atomic bool is_left;
        sd_event_source *timer;
        config_written_fn fn; /* NULL once told */
        void *userdata;
} Writing;

static Writing *writing_free(Writing *w)
{
        if (!w)
                return NULL;
        (void) sd_event_source_disable_unref(w->timer);
        fence_deinit(&w->fence);
        free(w->path);
        free(w->text);
        free(w);
        return NULL;
}
DEFINE_CLEANUP(Writing *, writing_free)

static void tell(Writing *w, int r)
{
        config_written_fn fn = w->fn;

        if (w->core->writing == w)
                w->core->writing = NULL;
        w->fn = NULL;
        w->timer = sd_event_source_disable_unref(w->timer);
        if (fn)
                fn(w->userdata, r);
}

static void writing_run(OffloadJob *job)
{
        Writing *w = job->userdata;

        w->r = guard_check_mounted();
        if (w->r >= 0)
                w->r = cluster_lock_check_fence(&w->fence, NULL);
        if (w->r >= 0)
                w->r = fs_plain_write(w->path, w->text, strlen(w->text), CONFIG_MODE, &w->fence, &w->is_left);
}

static void writing_done(OffloadJob *job)
{
        Writing *w = job->userdata;

        tell(w, w->r);
        (void) writing_free(w);
}

static int on_impatient(sd_event_source *source, uint64_t usec, void *userdata)
{
        Writing *w = userdata;

        (void) source, (void) usec;
        w->is_left = true; /* the thread's from here on; it is freed when that comes back */
        tell(w, -ETIMEDOUT);
        return 0;
}

static int writing_begin(Core *c, const char *text, const ClusterLock *lock, config_written_fn fn, void *userdata)
{
        AUTO(writing_freep) Writing *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (Writing){ .job = { .run = writing_run, .done = writing_done, .userdata = w },
                        .core = c,
                        .fn = fn,
                        .userdata = userdata };
        w->path = strdup(c->paths.config);
        w->text = strdup(text);
        if (!w->path || !w->text)
                return -ENOMEM;
        r = cluster_lock_prove(lock, &w->fence, NULL);
        if (r >= 0)
                r = sd_event_add_time_relative(c->event, &w->timer, CLOCK_MONOTONIC, PATIENCE_USEC, 0, on_impatient, w);
        if (r >= 0 && !c->writes)
                r = offload_new(&c->writes, c->event);
        if (r >= 0)
                r = offload_submit(c->writes, &w->job);
        if (r >= 0)
                c->writing = TAKE(w);
        return r;
}

void config_file_write(Core *c, const char *text, const ClusterLock *lock, config_written_fn fn, void *userdata)
{
        AUTO(fence_deinit) Fence fence = { 0 };
        int r;

        if (guard_covers(c->paths.config)) {
                r = writing_begin(c, text, lock, fn, userdata);
                if (r >= 0)
                        return;
        } else {
                r = cluster_lock_check(lock, NULL);
                if (r >= 0)
                        r = cluster_lock_prove(lock, &fence, NULL);
                if (r >= 0)
                        r = fs_write_fenced(c->paths.config, text, strlen(text), CONFIG_MODE, &fence);
        }
        fn(userdata, r);
}

void config_file_end(Core *c)
{
        Writing *w = c->writing;
        bool hangs;

        if (w)
                w->is_left = true;
        hangs = offload_end(c->writes, END_WAIT_USEC);
        c->writes = NULL;
        if (!w)
                return;
        tell(w, hangs ? -ETIMEDOUT : w->r);
        if (!hangs)
                (void) writing_free(w);
}
