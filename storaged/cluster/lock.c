/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cluster locks as the rest of the daemon asks for them. A name is one queue (lock-queue.c), and where all nodes see
 * the storage, one directory in the cluster file system (lock-dir.c). What is held is noted on this machine, so that
 * the next daemon gives back what a killed one held.
 */
#include "cluster/lock.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/lock-queue.h"
#include "cluster/membership.h"
#include "wire/json.h"

#define NAME_MAX_BYTES 200
#define END_WAIT_USEC (3 * USEC_PER_SEC)

static void recovery_run(OffloadJob *job)
{
        ClusterLocks *l = job->userdata;

        l->n_recovered = guard_check_mounted(); /* else their notes are kept for the next one */
        if (l->n_recovered >= 0)
                l->n_recovered = lock_dir_recover(l->cluster_dir, l->state_dir);
}

static void recovery_done(OffloadJob *job)
{
        ClusterLocks *l = job->userdata;

        if (l->n_recovered < 0)
                log_error("can't give back what the notes in %s/locks tell of: %s", l->state_dir,
                          strerror(-l->n_recovered));
        else if (l->n_recovered > 0)
                log_warning("gave back %d cluster lock(s) that the last storaged held when it was killed",
                            l->n_recovered);
}

int cluster_locks_new(ClusterLocks **ret, const char *cluster_dir, const char *state_dir, const char *node,
                      sd_event *event, struct storaged_error *err)
{
        AUTO(cluster_locks_freep) ClusterLocks *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&l->queues);
        TAILQ_INIT(&l->failed);
        l->event = sd_event_ref(event);
        l->cluster_dir = strdup(cluster_dir);
        l->state_dir = strdup(state_dir);
        l->node = strdup(node);
        l->life_sec = LOCK_LIFE_SEC;
        if (!l->cluster_dir || !l->state_dir || !l->node)
                return error_set(err, -ENOMEM, "out of memory");
        r = sd_event_add_defer(event, &l->tell_failed, lock_on_tell_failed, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->tell_failed, SD_EVENT_OFF);
        if (r >= 0)
                r = offload_new(&l->offload, event);
        if (r < 0)
                return error_set(err, r, "can't set up the cluster locks: %s", strerror(-r));
        l->recovery = (OffloadJob){ .run = recovery_run, .done = recovery_done, .userdata = l };
        l->may_block = guard_covers(cluster_dir);
        if (!l->may_block || offload_submit(l->offload, &l->recovery) < 0) {
                recovery_run(&l->recovery);
                if (l->n_recovered < 0)
                        return error_set(err, l->n_recovered, "can't read the notes of held locks in %s/locks: %s",
                                         state_dir, strerror(-l->n_recovered));
                recovery_done(&l->recovery);
        }
        *ret = TAKE(l);
        return 0;
}

void cluster_locks_set_membership(ClusterLocks *l, const Membership *m)
{
        l->membership = m;
}

void cluster_locks_set_life(ClusterLocks *l, unsigned seconds)
{
        l->life_sec = seconds;
}

void cluster_locks_stop(ClusterLocks *l)
{
        LockQueue *q, *next;

        if (!l || l->is_stopping)
                return;
        l->is_stopping = true;
        for (q = TAILQ_FIRST(&l->queues); q; q = next) {
                ClusterLock *lock;

                next = TAILQ_NEXT(q, entry);
                while ((lock = TAILQ_FIRST(&q->waiting))) {
                        (void) error_set(&lock->error, -ECANCELED,
                                         "storaged stops while this waits for lock '%s'; nothing was changed", q->name);
                        lock_fail(lock);
                }
                lock_queue_tidy(q);
        }
        while (!TAILQ_EMPTY(&l->failed))
                (void) lock_on_tell_failed(l->tell_failed, l);
}

ClusterLocks *cluster_locks_free(ClusterLocks *l)
{
        LockQueue *q, *next;
        ClusterLock *lock;

        if (!l)
                return NULL;
        while ((lock = TAILQ_FIRST(&l->failed))) {
                TAILQ_REMOVE(&l->failed, lock, entry);
                (void) lock_free(lock);
        }
        for (q = TAILQ_FIRST(&l->queues); q; q = next) {
                next = TAILQ_NEXT(q, entry);
                while ((lock = TAILQ_FIRST(&q->waiting))) {
                        TAILQ_REMOVE(&q->waiting, lock, entry);
                        (void) lock_free(lock);
                }
                q->holder = lock_free(q->holder);
                lock_queue_drop_at_end(q);
        }
        /* What hangs in the kernel is left to the end of the process; its notes tell the next daemon. */
        if (offload_end(l->offload, END_WAIT_USEC)) {
                log_warning("the cluster file system does not answer: locks held there live until they expire");
                return NULL;
        }
        while ((q = TAILQ_FIRST(&l->queues)))
                lock_queue_remove(q);
        (void) sd_event_source_disable_unref(l->tell_failed);
        (void) sd_event_unref(l->event);
        free(l->cluster_dir);
        free(l->state_dir);
        free(l->node);
        free(l);
        return NULL;
}

static bool name_is_valid(const char *name)
{
        if (!*name || *name == '.' || strlen(name) > NAME_MAX_BYTES)
                return false;
        for (const char *c = name; *c; c++)
                if (!isalnum((unsigned char) *c) && !strchr("_.-", *c))
                        return false;
        return true;
}

int cluster_lock_acquire(ClusterLocks *l, const char *name, bool is_local, const char *reason, uint64_t deadline_usec,
                         cluster_lock_fn fn, void *userdata, ClusterLock **ret_waiting)
{
        AUTO(lock_freep) ClusterLock *lock = calloc(1, sizeof(*lock));
        LockQueue *q = lock_queue_find(l, name, is_local);
        int r;

        if (!name_is_valid(name))
                return -EINVAL;
        if (l->is_stopping)
                return -ECANCELED;
        if (!lock)
                return -ENOMEM;
        *lock = (ClusterLock){
                .locks = l, .asked_usec = now_usec(), .error = STORAGED_ERROR_INIT, .fn = fn, .userdata = userdata
        };
        lock->reason = reason ? strdup(reason) : NULL;
        if (reason && !lock->reason)
                return -ENOMEM;
        r = sd_event_add_time(l->event, &lock->deadline, CLOCK_MONOTONIC, deadline_usec, USEC_PER_MSEC,
                              lock_on_deadline, lock);
        /* One that is free is had even when the deadline is now. */
        if (r >= 0)
                r = sd_event_source_set_priority(lock->deadline, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0 && !q)
                r = lock_queue_new(l, name, is_local, &q);
        if (r < 0)
                return r;
        lock->queue = q;
        TAILQ_INSERT_TAIL(&q->waiting, lock, entry);
        if (ret_waiting)
                *ret_waiting = lock;
        (void) TAKE(lock);
        return 0;
}

ClusterLock *cluster_lock_release(ClusterLock *lock)
{
        LockQueue *q;

        if (!lock)
                return NULL;
        q = lock->queue;
        if (!q) {
                TAILQ_REMOVE(&lock->locks->failed, lock, entry);
        } else if (q->holder == lock) {
                lock_queue_release(q);
        } else {
                TAILQ_REMOVE(&q->waiting, lock, entry);
                lock_queue_tidy(q);
        }
        return lock_free(lock);
}

int cluster_lock_check(const ClusterLock *lock, struct storaged_error *err)
{
        const LockQueue *q = lock->queue;

        if (!q || q->holder != lock)
                return error_set(err, -ESTALE, "the lock is not held any more");
        return lock_queue_check(q, err);
}

bool cluster_lock_is_held(const ClusterLock *lock)
{
        return cluster_lock_check(lock, NULL) >= 0;
}

int cluster_lock_prove(const ClusterLock *lock, Fence *ret, struct storaged_error *err)
{
        const LockQueue *q = lock ? lock->queue : NULL;
        Fence p = { 0 };
        int r;

        if (lock && (!q || q->holder != lock))
                return error_set(err, -ESTALE, "the lock is not held any more");
        r = q ? lock_queue_check_known(q, err) : 0;
        if (r < 0)
                return r;
        if (q && !q->is_local) {
                p = (Fence){ strdup(q->dir.path), q->id, lock_queue_get_end_usec(q) };
                if (!p.path)
                        return error_set(err, -ENOMEM, "out of memory");
        }
        fence_deinit(ret);
        *ret = p;
        return 0;
}

int cluster_lock_check_fence(const Fence *f, struct storaged_error *err)
{
        bool is_alive = !f->path || clock_usec(CLOCK_BOOTTIME) < f->ends_usec;
        FileId now;

        if (!f->path || (is_alive && fileid_get(f->path, &now) >= 0 && fileid_equal(&now, &f->id)))
                return 0;
        return lock_error_lost(strrchr(f->path, '/') + 1, is_alive, err);
}

int cluster_lock_identify(const ClusterLock *lock, json_object *o)
{
        const LockQueue *q = lock->queue;
        char id[FILEID_TEXT_MAX];
        int r;

        if (!q || q->is_local)
                return 0;
        fileid_print(&q->id, id);
        r = json_add_string(o, "lock", q->dir.path);
        return r < 0 ? r : json_add_string(o, "id", id);
}

/* {name, local?, node?, reason?, held_for?, age?, waiting} */
static int queue_to_json(const ClusterLocks *l, const LockQueue *q, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        const ClusterLock *lock;
        uint64_t n_waiting = 0;
        int r = o ? json_add_string(o, "name", q->name) : -ENOMEM;

        TAILQ_FOREACH(lock, &q->waiting, entry)
        n_waiting++;
        if (r >= 0 && q->is_local)
                r = json_add_bool01(o, "local", true);
        if (r >= 0 && !q->is_local && q->work == LOCK_WORK_NONE && lock_dir_get_age(&q->dir) >= 0)
                r = json_add_uint(o, "age", (uint64_t) lock_dir_get_age(&q->dir));
        if (r >= 0 && q->holder) {
                r = json_add_string(o, "node", l->node);
                if (r >= 0)
                        r = json_add_string(o, "reason", q->holder->reason);
                if (r >= 0)
                        r = json_add_uint(o, "held_for", (now_usec() - q->holder->held_usec) / USEC_PER_SEC);
        }
        if (r >= 0)
                r = json_add_uint(o, "waiting", n_waiting);
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

json_object *cluster_locks_to_json(const ClusterLocks *l)
{
        AUTO_JSON *rows = json_object_new_array();
        const LockQueue *q;

        if (!rows)
                return NULL;
        TAILQ_FOREACH(q, &l->queues, entry)
        {
                AUTO_JSON *o = NULL;

                if (queue_to_json(l, q, &o) < 0 || json_object_array_add(rows, o) < 0)
                        return NULL;
                (void) TAKE(o);
        }
        return TAKE(rows);
}
