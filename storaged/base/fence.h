/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Changes that are good only while a directory is still the one that it was: the cluster lock they are made under.
 * Where the file system orders the changes of all nodes and knows the call below (clusterfs), it decides, in the one
 * order that it gives to this change and to the lock's end; elsewhere the directory is looked at just before the
 * change.
 */
#include <stddef.h>
#include <stdint.h>

#include <sys/ioctl.h>

#include "base/fileid.h"

typedef struct Fence {
        char *path; /* of the directory; NULL: there is none to be looked at */
        FileId id;
        uint64_t ends_usec; /* of its life; CLOCK_BOOTTIME */
} Fence;

/* FENCE_NONE: what is changed under no lock. */
#define FENCE_NONE ((const Fence *) NULL)
#define FENCE_NAME_MAX 255

/*
 * What is asked of the file system, on the open directory that holds both names: replace `to` by `from`; without
 * `from`, remove `to`. ESTALE: the lock is another directory by then, or none; nothing was changed. ENOTTY: not known
 * here, or not to all nodes; nothing was changed.
 */
typedef struct FenceCall {
        uint64_t lock; /* st_ino of its directory */
        char from[FENCE_NAME_MAX + 1], to[FENCE_NAME_MAX + 1];
} FenceCall;

#define FENCE_IOCTL _IOW(0xcf, 1, FenceCall)

/* The same with what is to be in the file: made, or with its old content replaced, as one change. */
#define FENCE_DATA_MAX 8192u
typedef struct FencePut {
        uint64_t lock;
        char name[FENCE_NAME_MAX + 1];
        uint32_t len;
        uint8_t data[FENCE_DATA_MAX];
} FencePut;

#define FENCE_PUT_IOCTL _IOW(0xcf, 2, FencePut)

/* 0 while it is the same directory, within its life; else -ESTALE. May block. FENCE_NONE: 0. */
int fence_check(const Fence *f);
/* rename(2) and unlink(2) of files under it; both names in one directory. -ESTALE: nothing was changed. May block. */
int fence_rename(const Fence *f, const char *from, const char *to);
int fence_unlink(const Fence *f, const char *path);
/*
 * The file is made or its content replaced, in one go for whoever reads it on whichever node. -ESTALE as above;
 * -ENOTTY: not by one call here (no lock, no such file system, more than FENCE_DATA_MAX); nothing was changed. May
 * block.
 */
int fence_put(const Fence *f, const char *path, const void *data, size_t len);
/* -ENOMEM */
int fence_copy(const Fence *f, Fence *ret);
void fence_deinit(Fence *f);
