/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Cluster-wide locks as Proxmox VE's tools take them: mkdir priv/lock/<name>, 120 s life, utime(0,0) asks for the
 * removal of an expired one (reference: pmxcfs.md "Locks"). Inside this daemon waiters stand in a fair queue, so one
 * directory is made per holder. Knows nodes and names, not storages.
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

#include "base/fence.h"

typedef struct ClusterLocks ClusterLocks;
typedef struct ClusterLock ClusterLock;
typedef struct Membership Membership;

/*
 * cluster_dir: the cluster file system; state_dir: where locks held by this daemon are noted, so that those of a
 * killed one are found and dropped at the next start (by inode and change time, never another's).
 */
int cluster_locks_new(ClusterLocks **ret, const char *cluster_dir, const char *state_dir, const char *node,
                      sd_event *event, struct storaged_error *err);
/* The daemon ends: all who wait are told -ECANCELED now, nobody gets a lock any more. Before anything they use is
 * freed. */
void cluster_locks_stop(ClusterLocks *l);
/* Gives back all that is held and drops the waiters without a call; handles are gone with it. */
ClusterLocks *cluster_locks_free(ClusterLocks *l);
DEFINE_CLEANUP(ClusterLocks *, cluster_locks_free)
/* From now on locks of the cluster are refused at once while `m` is not quorate; NULL: only the file system decides. */
void cluster_locks_set_membership(ClusterLocks *l, const Membership *m);

/* How long a lock on a plain directory lives without a sign of life; the same on all nodes. Default: 120 s. */
void cluster_locks_set_life(ClusterLocks *l, unsigned seconds);

/* Called once: with the lock held (lock != NULL), or with err: -ETIMEDOUT past the deadline, -EROFS/-EACCES without
 * quorum. */
typedef void (*cluster_lock_fn)(void *userdata, ClusterLock *lock, const struct storaged_error *err);

/*
 * Asks for the lock. fn is called from the event loop, never before this returns; a negative return (-EINVAL: bad name,
 * -ENOMEM, -ECANCELED: it ends) means that it is not called at all. *ret_waiting is the handle, until it is released or
 * fn got an err: then it is gone. is_local: only a queue in this daemon, no directory (storage of one node). reason:
 * shown to those who wait. deadline_usec: CLOCK_MONOTONIC.
 */
int cluster_lock_acquire(ClusterLocks *l, const char *name, bool is_local, const char *reason, uint64_t deadline_usec,
                         cluster_lock_fn fn, void *userdata, ClusterLock **ret_waiting);
/* Gives it back (or leaves the queue); NULL is fine. */
ClusterLock *cluster_lock_release(ClusterLock *lock);
/*
 * 0 while it is still ours: the directory is the one that was made, its life is not over, and there is quorum; -ESTALE,
 * -EROFS. Ask before a commit.
 */
int cluster_lock_check(const ClusterLock *lock, struct storaged_error *err);
bool cluster_lock_is_held(const ClusterLock *lock);
/*
 * The same in two parts, for work beside the loop: what is known here (-ESTALE, -EROFS), which gives what a thread
 * needs for its own look and for the commit itself (base/fence.h). NULL is no lock: nothing to look at.
 */
int cluster_lock_prove(const ClusterLock *lock, Fence *ret, struct storaged_error *err);
int cluster_lock_check_fence(const Fence *f, struct storaged_error *err);
/* Adds {"lock": its directory, "id": that directory's identity}: by that another process can see the same. */
int cluster_lock_identify(const ClusterLock *lock, json_object *o);
/*
 * [{name, local?, node?, reason?, held_for?, age?, waiting}]; without node: held elsewhere; age: seconds since the
 * holder's last sign of life. New reference, NULL: out of memory.
 */
json_object *cluster_locks_to_json(const ClusterLocks *l);
