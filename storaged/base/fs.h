/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Files of storaged itself: read whole with a bound, replaced atomically, directories made. Below the guarded directory
 * (base/guard.h) each call also fails with -ETIMEDOUT (no answer within some seconds; a change may still come about)
 * and -ENOTCONN (the file system is not mounted); fs_strerror() has words for them.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fence.h"
#include "base/str.h"

/* A file as it was seen; all 0: there is none. Another content is another FsSeen. */
typedef struct FsSeen {
        uint64_t inode, bytes, mtime_ns;
} FsSeen;

/*
 * Reads at most `max` bytes; -EFBIG if there are more. *ret is NUL-terminated and the caller's to free;
 * ret_len may be NULL. -ENOENT and all others as open(2), read(2).
 */
int fs_read_file(const char *path, size_t max, char **ret, size_t *ret_len);
/* Temporary file beside it, fsync, rename, fsync of the directory: old or new content, never a mix. */
int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode);
/*
 * The same under a lock: -ESTALE, the file is as it was, if that is another one's by then. On clusterfs a small file is
 * written by one change (fence_put()), not by a temporary.
 */
int fs_write_fenced(const char *path, const void *data, size_t len, mode_t mode, const Fence *fence);
/* Writes all of it, also when interrupted. */
int fs_write_all(int fd, const void *data, size_t len);
/* Makes the directory and its parents; existing ones are left as they are. */
int fs_mkdir_p(const char *path, mode_t mode);
/* In the cluster directory there is nothing to do: what was changed there is on the other nodes. */
int fs_fsync_dir_of(const char *path);
/*
 * What temporaries of fs_write_atomic() are told apart by: the node, where files are shared between nodes. Default: the
 * process id. With a name that stays the same the leftover of a killed process is found again.
 */
void fs_set_temporary_tag(const char *tag);
/* Removes what an interrupted fs_write_atomic(path) of that tag left. */
void fs_remove_temporary(const char *path);
/* On failure *ret is untouched; that there is no file is none. */
int fs_look(const char *path, FsSeen *ret);
/* The same for what can be done without: they wait a moment only. */
int fs_glance(const char *path, FsSeen *ret);
int fs_glance_file(const char *path, size_t max, char **ret, size_t *ret_len);
int fs_glance_exists(const char *path);
int fs_glance_dir(const char *path, StrList *ret);
int fs_exists(const char *path); /* 1, 0, -errno */
/* 0 also if there is none. */
int fs_unlink(const char *path);
int fs_unlink_fenced(const char *path, const Fence *fence);
/* All but "." and "..", in no order. -ENOENT, … */
int fs_list_dir(const char *path, StrList *ret);
/* Sets its time to now. */
int fs_touch(const char *path);
const char *fs_strerror(int r);
