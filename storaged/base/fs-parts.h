/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The system calls behind fs.h: made where they are called, or by the guard's threads (fs-guarded.c). */
#include <stdbool.h>

#include "base/fs.h"

int fs_plain_read(const char *path, size_t max, char **ret, size_t *ret_len);
/*
 * is_left: of the cluster directory, NULL elsewhere; once it is true the file is no longer replaced: -ECANCELED. Each
 * change there is a message to all nodes: a temporary made with O_TRUNC, not O_EXCL, becomes real with its content, and
 * what was renamed is on the other nodes.
 */
int fs_plain_write(const char *path, const void *data, size_t len, mode_t mode, const Fence *fence,
                   const _Atomic bool *is_left);
int fs_plain_mkdir_p(const char *path, mode_t mode);
int fs_plain_fsync_dir_of(const char *path);
int fs_plain_list_dir(const char *path, StrList *ret);
