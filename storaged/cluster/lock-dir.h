/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One lock directory in the cluster file system: taken, renewed, recognised, given back. For lock.c. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/fileid.h"

#define LOCK_LIFE_SEC 120 /* without a sign of life a lock may be taken over */

typedef struct LockDir {
        char *parent, *path; /* priv/lock, priv/lock/<name> */
        char *note;          /* <state>/locks/<name> */
        bool is_shared;      /* other nodes may be after it (FUSE: pmxcfs); a plain directory is this node's */
        bool is_held;
        unsigned life_sec; /* LOCK_LIFE_SEC; of a plain directory only: a cluster file system has its own */
        int fd;            /* O_PATH, pins the inode while it is held */
        int note_fd;       /* open before the lock is taken, empty until then */
        FileId id;
} LockDir;

#define LOCK_DIR_INIT                                                      \
        (LockDir)                                                          \
        {                                                                  \
                .life_sec = LOCK_LIFE_SEC, .fd = -EBADF, .note_fd = -EBADF \
        }

enum {
        LOCK_DIR_E_BUSY = 1, /* somebody else has it */
};

int lock_dir_init(LockDir *d, const char *cluster_dir, const char *state_dir, const char *name);
void lock_dir_deinit(LockDir *d);
/* 0, LOCK_DIR_E_BUSY, or a negative errno (-EROFS: no quorum). Drops one whose holder is dead on the way. */
int lock_dir_take(LockDir *d);
/* The directory is the one we made. */
bool lock_dir_is_ours(const LockDir *d);
/* A sign of life. -ESTALE: not ours any more. */
int lock_dir_renew(LockDir *d);
/* Removes it if it is ours. */
int lock_dir_drop(LockDir *d);
/* Only forgets it: it is not ours any more, or may not be by the time we had removed it. */
void lock_dir_forget(LockDir *d);
bool lock_dir_is_fuse(const LockDir *d);
/* Seconds since the holder's last sign of life, -1 if there is no directory. */
int64_t lock_dir_get_age(const LockDir *d);
/* Drops the locks that a killed daemon with this state_dir has left. Their number, or a negative errno. */
int lock_dir_recover(const char *cluster_dir, const char *state_dir);
