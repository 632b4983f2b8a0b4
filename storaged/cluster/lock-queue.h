/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Those who stand in line for one lock. For lock.c only. */
#include <sys/queue.h>

#include "base/offload.h"
#include "cluster/lock-dir.h"
#include "cluster/lock.h"

typedef struct LockQueue LockQueue;
TAILQ_HEAD(LockList, ClusterLock);

struct ClusterLock {
        TAILQ_ENTRY(ClusterLock) entry;
        ClusterLocks *locks;
        LockQueue *queue; /* NULL: failed, about to be told */
        char *reason;
        uint64_t asked_usec, held_usec;
        sd_event_source *deadline;
        struct storaged_error error;
        cluster_lock_fn fn;
        void *userdata;
};

/* What is being done to the directory; meanwhile `dir` belongs to it. */
enum lock_work {
        LOCK_WORK_NONE,
        LOCK_WORK_TAKE,
        LOCK_WORK_RENEW,
        LOCK_WORK_DROP,
};

struct LockQueue {
        TAILQ_ENTRY(LockQueue) entry;
        ClusterLocks *locks;
        char *name;
        bool is_local;
        LockDir dir;
        enum lock_work work;
        OffloadJob job;
        int result;          /* of the work */
        uint64_t begun_usec; /* when it began; CLOCK_BOOTTIME, which goes on while the machine sleeps */
        bool has_dir;        /* it was taken and not given back */
        bool is_lost;        /* but somebody else removed or took it */
        FileId id;           /* of the directory: the identity of the lock */
        uint64_t alive_usec; /* last sign of life that reached the directory; CLOCK_BOOTTIME */
        ClusterLock *holder;
        struct LockList waiting;
        sd_event_source *step;  /* timer: the next try for the first in line */
        sd_event_source *renew; /* timer while the directory is held */
        uint64_t pause_usec;    /* until the next try */
        unsigned n_handed_over;
        bool is_yielding; /* gives back for the other nodes' sake */
};

struct ClusterLocks {
        char *cluster_dir, *state_dir, *node;
        sd_event *event;
        Offload *offload;
        bool may_block;      /* the directory is on a cluster file system in user space */
        OffloadJob recovery; /* what the last storaged left is given back, before anything is taken */
        int n_recovered;
        unsigned life_sec;
        const Membership *membership; /* NULL: quorum is the file system's matter */
        TAILQ_HEAD(, LockQueue) queues;
        struct LockList failed;
        sd_event_source *tell_failed;
        bool is_stopping;
};

ClusterLock *lock_free(ClusterLock *lock);
DEFINE_CLEANUP(ClusterLock *, lock_free)
/* lock->error is set: its owner is told in the next turn of the loop. */
void lock_fail(ClusterLock *lock);
/* Handler of ClusterLocks.tell_failed. */
int lock_on_tell_failed(sd_event_source *source, void *userdata);
/* Handler of ClusterLock.deadline. */
int lock_on_deadline(sd_event_source *source, uint64_t usec, void *userdata);

int lock_queue_new(ClusterLocks *l, const char *name, bool is_local, LockQueue **ret);
LockQueue *lock_queue_find(const ClusterLocks *l, const char *name, bool is_local);
/* False, with the reason in `err`, where the directory needs quorum and there is none. */
bool lock_queue_is_quorate(const LockQueue *q, struct storaged_error *err);
/* The holder gives back; the next in line is called from the loop. The queue may be gone afterwards. */
void lock_queue_release(LockQueue *q);
/* Nobody waits for it or holds it: it goes, as soon as its directory has been given back. */
void lock_queue_tidy(LockQueue *q);
/* Frees it as it is, the directory too; nothing may be under way. */
void lock_queue_remove(LockQueue *q);
/* The lock is the one that was taken, and within its life. -ESTALE, -EROFS with `err`. */
int lock_queue_check(const LockQueue *q, struct storaged_error *err);
/* The same without a look at the directory. */
int lock_queue_check_known(const LockQueue *q, struct storaged_error *err);
/* CLOCK_BOOTTIME */
uint64_t lock_queue_get_end_usec(const LockQueue *q);
/* -ESTALE */
int lock_error_lost(const char *name, bool is_alive, struct storaged_error *err);
/* Gives the directory back in the background; for the end of the daemon, when no `done` comes any more. */
void lock_queue_drop_at_end(LockQueue *q);
