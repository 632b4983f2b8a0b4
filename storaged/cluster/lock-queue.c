/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line in front of one lock. Only the first in line is after the directory (lock-dir.c), tried at once and then on
 * a timer. On a cluster file system in user space, which may keep a caller waiting while it has no quorum, the
 * directory is made, renewed and removed by a thread beside the loop (base/offload.c); elsewhere at once. A release
 * hands the directory on to the next in line without giving it up, but only a few times in a row, so that other nodes
 * get their turn. Every callback comes from the event loop, one per turn, and is the last thing done in that turn: it
 * may release, ask again or free its owner. Those that fail are moved to a list of their own first, for the same
 * reason. Invariant: a queue exists as long as somebody waits in it or holds it.
 */
#include "cluster/lock-queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/guard.h"
#include "base/log.h"
#include "cluster/membership.h"

#define RETRY_FIRST_USEC (50 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (500 * USEC_PER_MSEC)
#define RENEWALS_PER_LIFE 4u
#define HAND_OVERS_MAX 16
#define PAUSE_USEC (20 * USEC_PER_MSEC) /* for the other nodes, after that many */

ClusterLock *lock_free(ClusterLock *lock)
{
        if (!lock)
                return NULL;
        (void) sd_event_source_disable_unref(lock->deadline);
        free(lock->reason);
        free(lock);
        return NULL;
}

static LockQueue *queue_free(LockQueue *q)
{
        if (!q)
                return NULL;
        (void) sd_event_source_disable_unref(q->step);
        (void) sd_event_source_disable_unref(q->renew);
        (void) lock_dir_drop(&q->dir);
        lock_dir_deinit(&q->dir);
        free(q->name);
        free(q);
        return NULL;
}
DEFINE_CLEANUP(LockQueue *, queue_free)

void lock_queue_remove(LockQueue *q)
{
        TAILQ_REMOVE(&q->locks->queues, q, entry);
        (void) queue_free(q);
}

int lock_on_tell_failed(sd_event_source *source, void *userdata)
{
        ClusterLocks *l = userdata;
        ClusterLock *lock = TAILQ_FIRST(&l->failed);
        struct storaged_error error;
        cluster_lock_fn fn;
        void *fn_userdata;

        if (!lock)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        TAILQ_REMOVE(&l->failed, lock, entry);
        error = lock->error;
        fn = lock->fn;
        fn_userdata = lock->userdata;
        (void) lock_free(lock);
        fn(fn_userdata, NULL, &error);
        return 0;
}

void lock_fail(ClusterLock *lock)
{
        ClusterLocks *l = lock->locks;

        TAILQ_REMOVE(&lock->queue->waiting, lock, entry);
        lock->queue = NULL;
        TAILQ_INSERT_TAIL(&l->failed, lock, entry);
        (void) sd_event_source_set_enabled(l->tell_failed, SD_EVENT_ON);
}

static void queue_try_after(LockQueue *q, uint64_t usec)
{
        (void) sd_event_source_set_time(q->step, usec > 0 ? now_usec() + usec : 0);
        (void) sd_event_source_set_enabled(q->step, SD_EVENT_ONESHOT);
}

bool lock_queue_is_quorate(const LockQueue *q, struct storaged_error *err)
{
        const Membership *m = q->locks->membership;

        return q->is_local || !m || membership_check_quorum(m, err) >= 0;
}

/* The directory can't be made: nobody in line needs to wait for that. */
static void queue_fail_all(LockQueue *q, int error)
{
        while (!TAILQ_EMPTY(&q->waiting)) {
                ClusterLock *lock = TAILQ_FIRST(&q->waiting);

                if (error == -EROFS && !lock_queue_is_quorate(q, &lock->error))
                        ; /* the reason is there */
                else if (error == -EROFS)
                        (void) error_set(&lock->error, -EROFS,
                                         "no quorum: can't take cluster lock '%s', %s is read-only; "
                                         "nothing was changed",
                                         q->name, q->dir.parent);
                else
                        (void) error_set(&lock->error, error, "can't take cluster lock '%s' in %s: %s", q->name,
                                         q->dir.parent, fs_strerror(error));
                lock_fail(lock);
        }
        lock_queue_tidy(q);
}

/* --- the directory */

static void work_run(OffloadJob *job)
{
        LockQueue *q = job->userdata;

        if (q->work == LOCK_WORK_TAKE)
                q->result = lock_dir_take(&q->dir);
        else if (q->work == LOCK_WORK_RENEW)
                q->result = lock_dir_renew(&q->dir);
        else
                q->result = lock_dir_drop(&q->dir);
}

static void queue_begin(LockQueue *q, enum lock_work work)
{
        ClusterLocks *l = q->locks;

        q->work = work;
        q->begun_usec = clock_usec(CLOCK_BOOTTIME);
        l->may_block = l->may_block || guard_covers(q->dir.path) || lock_dir_is_fuse(&q->dir);
        if (l->may_block && offload_submit(l->offload, &q->job) >= 0)
                return;
        work_run(&q->job);
        q->job.done(&q->job);
}

static void renew_after(LockQueue *q, uint64_t usec)
{
        (void) sd_event_source_set_time(q->renew, now_usec() + usec);
        (void) sd_event_source_set_enabled(q->renew, SD_EVENT_ONESHOT);
}

static uint64_t renew_usec(const LockQueue *q)
{
        return q->locks->life_sec * USEC_PER_SEC / RENEWALS_PER_LIFE;
}

uint64_t lock_queue_get_end_usec(const LockQueue *q)
{
        return q->alive_usec + q->locks->life_sec * USEC_PER_SEC;
}

/* After its life others may have taken it: it is neither renewed nor removed any more, whatever is there. */
static bool is_alive(const LockQueue *q)
{
        return clock_usec(CLOCK_BOOTTIME) < lock_queue_get_end_usec(q);
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
        LockQueue *q = userdata;

        (void) source;
        (void) usec;
        if (q->work != LOCK_WORK_NONE || !q->has_dir || q->is_lost)
                return 0;
        if (!is_alive(q)) {
                q->is_lost = true;
                log_warning("cluster lock '%s' is lost: this daemon gave no sign of life for %u s", q->name,
                            q->locks->life_sec);
                return 0;
        }
        queue_begin(q, LOCK_WORK_RENEW);
        return 0;
}

static void on_renewed(LockQueue *q, int r)
{
        if (r >= 0)
                q->alive_usec = q->begun_usec;
        else if (r == -ESTALE)
                log_warning("cluster lock '%s' is lost: somebody removed or took %s", q->name, q->dir.path);
        else
                log_full(LOG_WARNING, r, NULL, "can't renew cluster lock '%s'", q->name);
        q->is_lost = r == -ESTALE;
        if (!q->is_lost)
                renew_after(q, renew_usec(q));
}

/* Returns a failure that all in line have to be told. */
static int on_taken(LockQueue *q, int r)
{
        if (r == LOCK_DIR_E_BUSY) {
                queue_try_after(q, q->pause_usec);
                q->pause_usec = q->pause_usec * 3 / 2 > RETRY_MAX_USEC ? RETRY_MAX_USEC : q->pause_usec * 3 / 2;
                return 0;
        }
        if (r < 0)
                return r;
        q->has_dir = true;
        q->is_lost = false;
        q->id = q->dir.id;
        q->alive_usec = q->begun_usec;
        q->n_handed_over = 0;
        q->pause_usec = RETRY_FIRST_USEC;
        renew_after(q, renew_usec(q));
        queue_try_after(q, 0);
        return fault_point("lock.acquired");
}

static void on_dropped(LockQueue *q)
{
        q->has_dir = q->is_lost = false;
        q->n_handed_over = 0;
        (void) sd_event_source_set_enabled(q->renew, SD_EVENT_OFF);
        queue_try_after(q, !q->is_yielding ? 0 : q->dir.is_shared ? PAUSE_USEC : USEC_PER_MSEC);
        q->is_yielding = false;
}

/* Whatever was done: who came, left or failed meanwhile is seen to here. */
static void work_done(OffloadJob *job)
{
        LockQueue *q = job->userdata;
        enum lock_work work = q->work;
        int r = 0;

        q->work = LOCK_WORK_NONE;
        if (work == LOCK_WORK_TAKE)
                r = on_taken(q, q->result);
        else if (work == LOCK_WORK_RENEW)
                on_renewed(q, q->result);
        else
                on_dropped(q);
        if (r < 0)
                queue_fail_all(q, r);
        else if (!q->holder && TAILQ_EMPTY(&q->waiting))
                lock_queue_tidy(q);
        else if (!q->holder && work == LOCK_WORK_RENEW)
                queue_try_after(q, 0);
}

static void queue_give_back(LockQueue *q)
{
        bool keeps = fault_point("lock.before-release") < 0; /* as if it could not be removed */

        if (keeps || q->is_lost || !is_alive(q))
                lock_dir_forget(&q->dir);
        queue_begin(q, LOCK_WORK_DROP);
}

void lock_queue_tidy(LockQueue *q)
{
        if (q->holder || !TAILQ_EMPTY(&q->waiting) || q->work != LOCK_WORK_NONE)
                return;
        if (q->has_dir)
                queue_give_back(q);
        else
                lock_queue_remove(q);
}

void lock_queue_drop_at_end(LockQueue *q)
{
        if (q->work == LOCK_WORK_NONE && q->has_dir && q->locks->may_block)
                queue_give_back(q);
}

/* Whether the directory is there and still the one we made: 1, 0; -ETIMEDOUT: that can't be seen now. Costs a glance.
 */
static int queue_look(const LockQueue *q)
{
        FileId now;
        int r;

        if (!q->has_dir || q->is_lost || !is_alive(q))
                return 0;
        r = fileid_glance(q->dir.path, &now);
        return r == -ETIMEDOUT ? r : r >= 0 && fileid_equal(&now, &q->id);
}

int lock_queue_check(const LockQueue *q, struct storaged_error *err)
{
        int r = lock_queue_check_known(q, err);

        /* Who asks here for another process is not the last to look: what can't be seen now is seen by that. */
        return r < 0 || q->is_local || queue_look(q) != 0 ? r : lock_error_lost(q->name, is_alive(q), err);
}

int lock_queue_check_known(const LockQueue *q, struct storaged_error *err)
{
        if (!lock_queue_is_quorate(q, err))
                return -EROFS;
        if (q->is_local || (q->has_dir && !q->is_lost && is_alive(q)))
                return 0;
        return lock_error_lost(q->name, is_alive(q), err);
}

int lock_error_lost(const char *name, bool is_alive, struct storaged_error *err)
{
        return error_set(err, -ESTALE,
                         "cluster lock '%s' was lost while this was under way (%s): nothing was changed by this step; "
                         "see what is there and try again",
                         name,
                         is_alive ? "somebody removed or took it" : "this node gave no sign of life for too long");
}

/* --- the line */

static int on_step(sd_event_source *source, uint64_t usec, void *userdata)
{
        LockQueue *q = userdata;
        ClusterLock *lock = TAILQ_FIRST(&q->waiting);
        int r;

        (void) source;
        (void) usec;
        if (q->holder || !lock || q->work != LOCK_WORK_NONE)
                return 0;
        if (!lock_queue_is_quorate(q, NULL)) {
                queue_fail_all(q, -EROFS);
                return 0;
        }
        r = q->is_local ? 1 : queue_look(q);
        if (r < 0) {
                queue_try_after(q, RETRY_FIRST_USEC);
                return 0;
        }
        if (r == 0) {
                if (q->has_dir)
                        lock_dir_forget(&q->dir); /* it was taken from us */
                q->has_dir = false;
                queue_begin(q, LOCK_WORK_TAKE);
                return 0;
        }
        TAILQ_REMOVE(&q->waiting, lock, entry);
        q->holder = lock;
        lock->deadline = sd_event_source_disable_unref(lock->deadline);
        lock->held_usec = now_usec();
        lock->fn(lock->userdata, lock, NULL);
        return 0;
}

static void error_set_timeout(const LockQueue *q, ClusterLock *lock)
{
        unsigned long long waited = (now_usec() - lock->asked_usec) / USEC_PER_SEC;
        bool is_hanging = q->work != LOCK_WORK_NONE &&
                          (clock_usec(CLOCK_BOOTTIME) - q->begun_usec) * 2 > now_usec() - lock->asked_usec;
        int64_t age = q->is_local || q->work != LOCK_WORK_NONE ? -1 : lock_dir_get_age(&q->dir);

        if (q->holder)
                (void) error_set(&lock->error, -ETIMEDOUT,
                                 "lock '%s' was not free within %llu s: held on this node for %llu s%s%s; try again "
                                 "when that is done",
                                 q->name, waited,
                                 (unsigned long long) (now_usec() - q->holder->held_usec) / USEC_PER_SEC,
                                 q->holder->reason ? " for: " : "", q->holder->reason ? q->holder->reason : "");
        else if (is_hanging)
                (void) error_set(&lock->error, -ETIMEDOUT,
                                 "lock '%s' was not taken within %llu s: the cluster file system does not answer (%s); "
                                 "try again when it does",
                                 q->name, waited, q->dir.parent);
        else if (age >= 0)
                (void) error_set(&lock->error, -ETIMEDOUT,
                                 "lock '%s' was not free within %llu s: held by another node or program (%s, last sign "
                                 "of life %lld s ago); "
                                 "try again, a dead holder's lock ends %d s after its last sign of life",
                                 q->name, waited, q->dir.path, (long long) age, (int) q->locks->life_sec);
        else
                (void) error_set(&lock->error, -ETIMEDOUT, "lock '%s' was not free within %llu s; try again", q->name,
                                 waited);
}

int lock_on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        ClusterLock *lock = userdata;
        LockQueue *q = lock->queue;

        (void) source;
        (void) usec;
        if (!q || q->holder == lock)
                return 0;
        error_set_timeout(q, lock);
        lock_fail(lock);
        lock_queue_tidy(q);
        return 0;
}

int lock_queue_new(ClusterLocks *l, const char *name, bool is_local, LockQueue **ret)
{
        AUTO(queue_freep) LockQueue *q = calloc(1, sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        q->locks = l;
        q->is_local = is_local;
        q->pause_usec = RETRY_FIRST_USEC;
        TAILQ_INIT(&q->waiting);
        q->job = (OffloadJob){ .run = work_run, .done = work_done, .userdata = q };
        q->dir = LOCK_DIR_INIT;
        r = lock_dir_init(&q->dir, l->cluster_dir, l->state_dir, name);
        if (r < 0)
                return r;
        q->dir.life_sec = l->life_sec;
        q->name = strdup(name);
        if (!q->name)
                return -ENOMEM;
        r = sd_event_add_time(l->event, &q->step, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_step, q);
        if (r >= 0)
                r = sd_event_add_time(l->event, &q->renew, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_SEC, on_renew, q);
        if (r >= 0)
                r = sd_event_source_set_enabled(q->renew, SD_EVENT_OFF);
        if (r < 0)
                return r;
        TAILQ_INSERT_TAIL(&l->queues, q, entry);
        *ret = TAKE(q);
        return 0;
}

LockQueue *lock_queue_find(const ClusterLocks *l, const char *name, bool is_local)
{
        LockQueue *q;

        TAILQ_FOREACH(q, &l->queues, entry)
        if (q->is_local == is_local && strcmp(q->name, name) == 0)
                break;
        return q;
}

void lock_queue_release(LockQueue *q)
{
        bool keeps = q->is_local || (q->n_handed_over < HAND_OVERS_MAX && queue_look(q) > 0);

        q->holder = NULL;
        if (TAILQ_EMPTY(&q->waiting)) {
                lock_queue_tidy(q);
        } else if (keeps || q->work != LOCK_WORK_NONE) {
                q->n_handed_over++;
                queue_try_after(q, 0);
        } else {
                q->is_yielding = true;
                queue_give_back(q);
        }
}
