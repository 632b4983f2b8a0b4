/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a thread that ends the process: some calls of librados and librbd wait for ever, whatever timeouts are set
 * (docs/decisions/0016). A worker's main thread that is in such a call can't be brought back, and if its answer came
 * from elsewhere and the call went on, it could still change the volume after the next one has got the lock. So the
 * answer and the end of the process are one step (host->give_up). The daemon starts another worker with the next call.
 *
 * The invariant: give_up() runs with the lock held, and every way back into the plugin passes ceph_watch_end(), which
 * takes it. So either the call ends in time, or nobody but the watch speaks to the daemon any more.
 */
#include "common-ceph/ceph-watch.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>

uint64_t ceph_now_ms(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static void watch_give_up(CephWatch *w)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char reason[512] = "";

        w->reason(w->userdata, reason, sizeof(reason));
        (void) error_set(&err, -ETIMEDOUT, "storage '%s': gave up to %s after %.1f s: %s", w->storage, w->what,
                         w->limit_ms / 1000.0, reason[0] ? reason : "no answer from the Ceph cluster");
        w->host->give_up(w->host->handle, &err);
}

/* When there is something to do next: to help it along, or to give it up. */
static uint64_t next_ms(const CephWatch *w)
{
        return w->slow && !w->is_slow && w->limit_ms > CEPH_SLOW_MS ? w->due_ms - w->limit_ms + CEPH_SLOW_MS
                                                                    : w->due_ms;
}

static void *watch_main(void *userdata)
{
        CephWatch *w = userdata;

        (void) pthread_mutex_lock(&w->lock);
        while (!w->is_ending) {
                uint64_t next = next_ms(w);
                struct timespec until = { (time_t) (next / 1000), (long) (next % 1000) * 1000000 };

                if (w->due_ms == 0) {
                        (void) pthread_cond_wait(&w->changed, &w->lock);
                } else if (ceph_now_ms() < next) {
                        (void) pthread_cond_timedwait(&w->changed, &w->lock, &until);
                } else if (next < w->due_ms) {
                        w->is_slow = true;
                        w->slow(w->slow_userdata);
                } else {
                        watch_give_up(w);
                }
        }
        (void) pthread_mutex_unlock(&w->lock);
        return NULL;
}

int ceph_watch_init(CephWatch *w, const struct storaged_host *host, const char *storage, ceph_watch_reason_fn reason,
                    void *userdata)
{
        pthread_condattr_t attributes;

        *w = (CephWatch){ .host = host, .storage = storage, .reason = reason, .userdata = userdata };
        (void) pthread_condattr_init(&attributes);
        (void) pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        (void) pthread_mutex_init(&w->lock, NULL);
        (void) pthread_cond_init(&w->changed, &attributes);
        (void) pthread_condattr_destroy(&attributes);
        return 0;
}

void ceph_watch_deinit(CephWatch *w)
{
        if (w->has_thread) {
                (void) pthread_mutex_lock(&w->lock);
                w->is_ending = true;
                (void) pthread_cond_signal(&w->changed);
                (void) pthread_mutex_unlock(&w->lock);
                (void) pthread_join(w->thread, NULL);
        }
        (void) pthread_cond_destroy(&w->changed);
        (void) pthread_mutex_destroy(&w->lock);
}

/* The thread begins with the first watch; without it the daemon's own deadline is the limit. */
CephWatch *ceph_watch_set(CephWatch *w, unsigned limit_ms, const char *fmt, ...)
{
        va_list ap;

        (void) pthread_mutex_lock(&w->lock);
        va_start(ap, fmt);
        (void) vsnprintf(w->what, sizeof(w->what), fmt, ap);
        va_end(ap);
        w->limit_ms = limit_ms;
        w->due_ms = ceph_now_ms() + limit_ms;
        w->is_slow = false;
        if (!w->has_thread)
                w->has_thread = pthread_create(&w->thread, NULL, watch_main, w) == 0;
        (void) pthread_cond_signal(&w->changed);
        (void) pthread_mutex_unlock(&w->lock);
        return w;
}

void ceph_watch_again(CephWatch *w)
{
        (void) pthread_mutex_lock(&w->lock);
        if (w->due_ms > 0)
                w->due_ms = ceph_now_ms() + w->limit_ms; /* the thread looks again at the old time and waits on */
        if (w->due_ms > 0 && w->is_slow) {               /* which would be late for its help */
                w->is_slow = false;
                (void) pthread_cond_signal(&w->changed);
        }
        (void) pthread_mutex_unlock(&w->lock);
}

void ceph_watch_pause(CephWatch *w)
{
        ceph_watch_end(w);
}

void ceph_watch_resume(CephWatch *w)
{
        (void) pthread_mutex_lock(&w->lock);
        w->due_ms = ceph_now_ms() + w->limit_ms;
        w->is_slow = false;
        (void) pthread_cond_signal(&w->changed);
        (void) pthread_mutex_unlock(&w->lock);
}

void ceph_watch_end(CephWatch *w)
{
        (void) pthread_mutex_lock(&w->lock);
        w->due_ms = 0;
        (void) pthread_mutex_unlock(&w->lock);
}
