/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Bounded calls on a directory whose file system may not answer: the cluster file system, which is another process.
 * They are made by a thread for reading and one for writing; the caller waits, but not for ever.
 */
#include <stdbool.h>
#include <stdint.h>

enum guard_lane { GUARD_READ, GUARD_WRITE, N_GUARD_LANES };

#define GUARD_GLANCE_USEC UINT64_C(40000) /* for what can be done without */
#define GUARD_READ_USEC UINT64_C(2000000)
#define GUARD_WRITE_USEC UINT64_C(5000000) /* to the disks of a majority */

typedef struct GuardJob {
        void (*run)(struct GuardJob *job);  /* in the thread; touches only what the job alone owns */
        void (*free)(struct GuardJob *job); /* of one that nobody waits for any more */
        int r;                              /* the result; -ENOTCONN without a run: nothing is mounted there */
        _Atomic bool is_left;               /* the caller has gone: what can be left undone is */
        bool is_done;
} GuardJob;

/* From now on a file system is expected to be mounted at `dir`, and calls below it are bounded. Once; at start or
 * later. */
int guard_set(const char *dir);
/* The process ends: nothing is guarded any more. A thread that hangs is left to the kernel, with what it has. */
void guard_end(void);
/* Whether calls on this path are to go through guard_run(). */
bool guard_covers(const char *path);
/*
 * 0: the job was run, job->r tells, it is the caller's. Else -ETIMEDOUT or another -errno: the job belongs to the
 * guard. The bound counts from the beginning of the call that is in the way, so that many callers lose no more time
 * than one.
 */
int guard_run(enum guard_lane lane, GuardJob *job, uint64_t bound_usec);
/* For how long a call has been without an answer; 0: none has. */
uint64_t guard_get_silence_usec(void);
/* For threads: 0, or -ENOTCONN if the file system is not mounted where it was. May block. */
int guard_check_mounted(void);
