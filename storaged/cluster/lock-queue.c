/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line in front of one lock. Only the first in line is after the directory (lock-dir.c), tried at once and then on
 * a timer. A release hands the directory on to the next in line without giving it up, but only a few times in a row,
 * so that other nodes get their turn.
 * Every callback comes from the event loop, one per turn, and is the last thing done in that turn: it may release,
 * ask again or free its owner. Those that fail are moved to a list of their own first, for the same reason.
 * Invariant: a queue exists as long as somebody waits in it or holds it.
 */
#include "cluster/lock-queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cluster/membership.h"

#define RETRY_FIRST_USEC (50 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (500 * USEC_PER_MSEC)
#define RENEW_USEC (30 * USEC_PER_SEC)
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
                                         q->dir.parent, strerror(-error));
                lock_fail(lock);
        }
        lock_queue_remove(q);
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
        LockQueue *q = userdata;
        int r = lock_dir_renew(&q->dir);

        (void) usec;
        if (r == -ESTALE)
                log_warning("cluster lock '%s' is lost: somebody removed or took %s", q->name, q->dir.path);
        else if (r < 0)
                log_full(LOG_WARNING, r, NULL, "can't renew cluster lock '%s'", q->name);
        (void) sd_event_source_set_time(source, now_usec() + RENEW_USEC);
        return sd_event_source_set_enabled(source, r == -ESTALE ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Gets the directory for the first in line: 0, LOCK_DIR_E_BUSY or a negative errno. */
static int queue_take_dir(LockQueue *q)
{
        int r;

        if (!lock_queue_is_quorate(q, NULL))
                return -EROFS;
        if (q->is_local || lock_dir_is_ours(&q->dir))
                return 0;              /* handed over */
        (void) lock_dir_drop(&q->dir); /* only forgets: it was taken from us */
        q->n_handed_over = 0;
        r = lock_dir_take(&q->dir);
        if (r != 0)
                return r;
        r = fault_point("lock.acquired");
        if (r < 0) {
                (void) lock_dir_drop(&q->dir);
                return r;
        }
        (void) sd_event_source_set_time(q->renew, now_usec() + RENEW_USEC);
        return sd_event_source_set_enabled(q->renew, SD_EVENT_ONESHOT);
}

static int on_step(sd_event_source *source, uint64_t usec, void *userdata)
{
        LockQueue *q = userdata;
        ClusterLock *lock = TAILQ_FIRST(&q->waiting);
        int r;

        (void) source;
        (void) usec;
        if (q->holder || !lock)
                return 0;
        r = queue_take_dir(q);
        if (r == LOCK_DIR_E_BUSY) {
                queue_try_after(q, q->pause_usec);
                q->pause_usec = q->pause_usec * 3 / 2 > RETRY_MAX_USEC ? RETRY_MAX_USEC : q->pause_usec * 3 / 2;
                return 0;
        }
        if (r < 0) {
                queue_fail_all(q, r);
                return 0;
        }
        q->pause_usec = RETRY_FIRST_USEC;
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
        int64_t age = q->is_local ? -1 : lock_dir_get_age(&q->dir);

        if (q->holder)
                (void) error_set(&lock->error, -ETIMEDOUT,
                                 "lock '%s' was not free within %llu s: held on this node for %llu s%s%s; try again "
                                 "when that is done",
                                 q->name, waited,
                                 (unsigned long long) (now_usec() - q->holder->held_usec) / USEC_PER_SEC,
                                 q->holder->reason ? " for: " : "", q->holder->reason ? q->holder->reason : "");
        else if (age >= 0)
                (void) error_set(&lock->error, -ETIMEDOUT,
                                 "lock '%s' was not free within %llu s: held by another node or program (%s, last sign "
                                 "of life %lld s ago); "
                                 "try again, a dead holder's lock ends %d s after its last sign of life",
                                 q->name, waited, q->dir.path, (long long) age, LOCK_LIFE_SEC);
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
        if (!q->holder && TAILQ_EMPTY(&q->waiting))
                lock_queue_remove(q);
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
        q->dir = LOCK_DIR_INIT;
        r = lock_dir_init(&q->dir, l->cluster_dir, l->state_dir, name);
        if (r < 0)
                return r;
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
        bool hand_over = q->is_local || (q->n_handed_over < HAND_OVERS_MAX && lock_dir_is_ours(&q->dir));

        q->holder = NULL;
        if (TAILQ_EMPTY(&q->waiting)) {
                if (fault_point("lock.before-release") < 0)
                        q->dir.is_held = false; /* as if it could not be removed */
                lock_queue_remove(q);
                return;
        }
        if (hand_over) {
                q->n_handed_over++;
                queue_try_after(q, 0);
                return;
        }
        (void) fault_point("lock.before-release");
        (void) lock_dir_drop(&q->dir);
        (void) sd_event_source_set_enabled(q->renew, SD_EVENT_OFF);
        q->n_handed_over = 0;
        queue_try_after(q, q->dir.is_shared ? PAUSE_USEC : USEC_PER_MSEC);
}
