/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread beside the loop, for system calls on a file system that may not answer (the cluster file system without
 * quorum). All that both sides touch is the two lists, under one mutex; an eventfd wakes the loop. The thread blocks
 * all signals: they are the loop's. A thread that hangs can't be ended, so at the end of the daemon it is left behind.
 */
#include "base/offload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

STAILQ_HEAD(JobList, OffloadJob);

struct Offload {
        pthread_mutex_t mutex; /* of what follows up to `idle` */
        pthread_cond_t work, idle;
        struct JobList waiting, finished;
        bool is_busy, is_ending, has_ended;

        pthread_t thread;
        bool has_thread;
        int fd; /* eventfd: something is finished */
        sd_event_source *source;
};

static void *thread_main(void *userdata)
{
        Offload *o = userdata;
        OffloadJob *job;

        (void) pthread_mutex_lock(&o->mutex);
        for (;;) {
                while (!(job = STAILQ_FIRST(&o->waiting)) && !o->is_ending)
                        (void) pthread_cond_wait(&o->work, &o->mutex);
                if (!job)
                        break;
                STAILQ_REMOVE_HEAD(&o->waiting, entry);
                o->is_busy = true;
                (void) pthread_mutex_unlock(&o->mutex);
                job->run(job);
                (void) pthread_mutex_lock(&o->mutex);
                o->is_busy = false;
                STAILQ_INSERT_TAIL(&o->finished, job, entry);
                (void) eventfd_write(o->fd, 1);
        }
        o->has_ended = true;
        (void) pthread_cond_signal(&o->idle);
        (void) pthread_mutex_unlock(&o->mutex);
        return NULL;
}

static OffloadJob *take_finished(Offload *o)
{
        OffloadJob *job;

        (void) pthread_mutex_lock(&o->mutex);
        job = STAILQ_FIRST(&o->finished);
        if (job)
                STAILQ_REMOVE_HEAD(&o->finished, entry);
        (void) pthread_mutex_unlock(&o->mutex);
        return job;
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Offload *o = userdata;
        OffloadJob *job;
        eventfd_t n;

        (void) source;
        (void) events;
        (void) eventfd_read(fd, &n);
        while ((job = take_finished(o)))
                job->done(job);
        return 0;
}

static int thread_start(Offload *o)
{
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&o->thread, NULL, thread_main, o);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        o->has_thread = r == 0;
        return -r;
}

int offload_submit(Offload *o, OffloadJob *job)
{
        int r = o->has_thread ? 0 : thread_start(o);

        if (r < 0)
                return r;
        (void) pthread_mutex_lock(&o->mutex);
        STAILQ_INSERT_TAIL(&o->waiting, job, entry);
        (void) pthread_cond_signal(&o->work);
        (void) pthread_mutex_unlock(&o->mutex);
        return 0;
}

int offload_new(Offload **ret, sd_event *event)
{
        Offload *o = calloc(1, sizeof(*o));
        pthread_condattr_t attr;
        int r;

        if (!o)
                return -ENOMEM;
        STAILQ_INIT(&o->waiting);
        STAILQ_INIT(&o->finished);
        (void) pthread_mutex_init(&o->mutex, NULL);
        (void) pthread_cond_init(&o->work, NULL);
        (void) pthread_condattr_init(&attr);
        (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void) pthread_cond_init(&o->idle, &attr);
        (void) pthread_condattr_destroy(&attr);
        o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = o->fd < 0 ? -errno : sd_event_add_io(event, &o->source, o->fd, EPOLLIN, on_finished, o);
        if (r < 0) {
                (void) offload_end(o, 0);
                return r;
        }
        *ret = o;
        return 0;
}

/* True if the thread is gone. */
static bool wait_ended(Offload *o, uint64_t wait_usec)
{
        uint64_t until = clock_usec(CLOCK_MONOTONIC) + wait_usec;
        struct timespec ts = { .tv_sec = (time_t) (until / USEC_PER_SEC),
                               .tv_nsec = (long) (until % USEC_PER_SEC) * 1000 };
        int r = 0;

        (void) pthread_mutex_lock(&o->mutex);
        o->is_ending = true;
        (void) pthread_cond_signal(&o->work);
        while (!o->has_ended && r == 0)
                r = pthread_cond_timedwait(&o->idle, &o->mutex, &ts);
        r = o->has_ended;
        (void) pthread_mutex_unlock(&o->mutex);
        return r;
}

bool offload_end(Offload *o, uint64_t wait_usec)
{
        if (!o)
                return false;
        o->source = sd_event_source_disable_unref(o->source);
        if (o->has_thread && !wait_ended(o, wait_usec)) {
                (void) pthread_detach(o->thread);
                return true;
        }
        if (o->has_thread)
                (void) pthread_join(o->thread, NULL);
        (void) pthread_cond_destroy(&o->idle);
        (void) pthread_cond_destroy(&o->work);
        (void) pthread_mutex_destroy(&o->mutex);
        closep(&o->fd);
        free(o);
        return false;
}
