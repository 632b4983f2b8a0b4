/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard of the cluster directory. Model: a lane is a thread and at most one job. A caller waits for its job until
 * the bound is over; then the job is left to the thread, and until the thread is back all others find the lane taken
 * and give up at once. So a file system that stops answering costs the event loop one bound, not one for each call. Two
 * lanes, because without a quorum writes may hang while reads are answered.
 * The guarded directory is one that a file system in user space was seen on. When that is gone, the bare directory
 * below it must not be taken for the cluster's: the thread looks at what is mounted before each job.
 * One guard a process, as there is one cluster directory; the daemon sets it, workers never do.
 */
#include "base/guard.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/clock.h"

#define STACK_BYTES (256u << 10)

typedef struct Lane {
        pthread_mutex_t mutex;
        pthread_cond_t work, done;
        GuardJob *job; /* what the thread is at; NULL: free */
        bool is_taken; /* by the thread */
        uint64_t begun_usec;
        pthread_t thread;
        bool has_thread, is_ending;
} Lane;

static struct Guard {
        char *dir;
        size_t len;
        Lane lanes[N_GUARD_LANES];
} guard;

int guard_check_mounted(void)
{
        struct statfs st;

        if (!guard.dir)
                return 0;
        if (statfs(guard.dir, &st) < 0)
                return -errno;
        return (unsigned long) st.f_type == FUSE_SUPER_MAGIC ? 0 : -ENOTCONN;
}

static void *lane_main(void *userdata)
{
        Lane *l = userdata;

        (void) pthread_mutex_lock(&l->mutex);
        for (;;) {
                GuardJob *job;

                while ((!l->job || l->is_taken) && !l->is_ending)
                        (void) pthread_cond_wait(&l->work, &l->mutex);
                if (l->is_ending)
                        break;
                l->is_taken = true;
                job = l->job;
                (void) pthread_mutex_unlock(&l->mutex);
                job->r = guard_check_mounted();
                if (job->r >= 0 && !job->is_left)
                        job->run(job);
                (void) pthread_mutex_lock(&l->mutex);
                job->is_done = true;
                if (job->is_left) {
                        job->free(job);
                        l->job = NULL;
                        l->is_taken = false;
                }
                (void) pthread_cond_broadcast(&l->done);
        }
        (void) pthread_mutex_unlock(&l->mutex);
        return NULL;
}

static int lane_start(Lane *l)
{
        sigset_t all, before;
        pthread_attr_t attr;
        int r;

        (void) pthread_attr_init(&attr);
        (void) pthread_attr_setstacksize(&attr, STACK_BYTES);
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
        r = pthread_create(&l->thread, &attr, lane_main, l);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void) pthread_attr_destroy(&attr);
        l->has_thread = r == 0;
        return -r;
}

int guard_set(const char *dir)
{
        pthread_condattr_t attr;
        char *copy;

        if (guard.dir)
                return 0;
        copy = strdup(dir);
        if (!copy)
                return -ENOMEM;
        (void) pthread_condattr_init(&attr);
        (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        for (size_t i = 0; i < N_GUARD_LANES; i++) {
                (void) pthread_mutex_init(&guard.lanes[i].mutex, NULL);
                (void) pthread_cond_init(&guard.lanes[i].work, NULL);
                (void) pthread_cond_init(&guard.lanes[i].done, &attr);
        }
        (void) pthread_condattr_destroy(&attr);
        guard.len = strlen(copy);
        guard.dir = copy;
        return 0;
}

/* True: it has ended. */
static bool lane_end(Lane *l)
{
        bool is_idle;

        (void) pthread_mutex_lock(&l->mutex);
        is_idle = !l->job;
        l->is_ending = true;
        (void) pthread_cond_signal(&l->work);
        (void) pthread_mutex_unlock(&l->mutex);
        if (!l->has_thread)
                return true;
        if (is_idle)
                (void) pthread_join(l->thread, NULL);
        else
                (void) pthread_detach(l->thread);
        return is_idle;
}

void guard_end(void)
{
        bool are_ended = true;

        if (!guard.dir)
                return;
        for (size_t i = 0; i < N_GUARD_LANES; i++)
                are_ended &= lane_end(&guard.lanes[i]);
        if (!are_ended)
                return;
        for (size_t i = 0; i < N_GUARD_LANES; i++) {
                (void) pthread_mutex_destroy(&guard.lanes[i].mutex);
                (void) pthread_cond_destroy(&guard.lanes[i].work);
                (void) pthread_cond_destroy(&guard.lanes[i].done);
        }
        free(guard.dir);
        guard = (struct Guard){ 0 };
}

bool guard_covers(const char *path)
{
        return guard.dir && strncmp(path, guard.dir, guard.len) == 0 &&
               (path[guard.len] == '/' || path[guard.len] == '\0');
}

/* With the lane's mutex. False: the time is over. */
static bool lane_wait(Lane *l, uint64_t until_usec)
{
        struct timespec ts = { .tv_sec = (time_t) (until_usec / USEC_PER_SEC),
                               .tv_nsec = (long) (until_usec % USEC_PER_SEC) * 1000 };

        return pthread_cond_timedwait(&l->done, &l->mutex, &ts) != ETIMEDOUT;
}

int guard_run(enum guard_lane lane, GuardJob *job, uint64_t bound_usec)
{
        Lane *l = &guard.lanes[lane];
        int r = 0;

        (void) pthread_mutex_lock(&l->mutex);
        if (!l->has_thread)
                r = lane_start(l);
        while (r >= 0 && l->job)
                if (!lane_wait(l, l->begun_usec + bound_usec) && l->job)
                        r = -ETIMEDOUT;
        if (r >= 0) {
                job->is_done = false;
                l->job = job;
                l->begun_usec = clock_usec(CLOCK_MONOTONIC);
                (void) pthread_cond_signal(&l->work);
                while (!job->is_done && lane_wait(l, l->begun_usec + bound_usec))
                        ;
                if (job->is_done) {
                        l->job = NULL;
                        l->is_taken = false;
                } else {
                        job->is_left = true;
                        r = -ETIMEDOUT;
                        job = NULL; /* the thread's */
                }
        }
        (void) pthread_mutex_unlock(&l->mutex);
        if (r < 0 && job)
                job->free(job);
        return r;
}

uint64_t guard_get_silence_usec(void)
{
        uint64_t longest = 0, now = clock_usec(CLOCK_MONOTONIC);

        for (size_t i = 0; guard.dir && i < N_GUARD_LANES; i++) {
                Lane *l = &guard.lanes[i];

                (void) pthread_mutex_lock(&l->mutex);
                if (l->job && now - l->begun_usec > longest)
                        longest = now - l->begun_usec;
                (void) pthread_mutex_unlock(&l->mutex);
        }
        return longest;
}
