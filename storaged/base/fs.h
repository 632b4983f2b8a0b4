/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Files of storaged itself: read whole with a bound, replaced atomically, directories made. */
#include <stddef.h>
#include <sys/types.h>

/*
 * Reads at most `max` bytes; -EFBIG if there are more. *ret is NUL-terminated and the caller's to free;
 * ret_len may be NULL. -ENOENT and all others as open(2), read(2).
 */
int fs_read_file(const char *path, size_t max, char **ret, size_t *ret_len);
/* Temporary file beside it, fsync, rename, fsync of the directory: old or new content, never a mix. */
int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode);
/* Writes all of it, also when interrupted. */
int fs_write_all(int fd, const void *data, size_t len);
/* Makes the directory and its parents; existing ones are left as they are. */
int fs_mkdir_p(const char *path, mode_t mode);
int fs_fsync_dir_of(const char *path);
/*
 * What temporaries of fs_write_atomic() are told apart by: the node, where files are shared between nodes. Default: the
 * process id. With a name that stays the same the leftover of a killed process is found again.
 */
void fs_set_temporary_tag(const char *tag);
/* Removes what an interrupted fs_write_atomic(path) of that tag left. */
void fs_remove_temporary(const char *path);
