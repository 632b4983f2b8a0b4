/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the local tree share. Not for others: they use tree.h. */
#include <dirent.h>

#include "common/tree.h"

/* The directory that holds the last component of `path`, which *ret_name then is; a new descriptor or -errno. */
int tree_local_open_parent(Tree *t, const char *path, const char **ret_name);

/* tree_local_openat() beneath another directory of the tree. Any thread. */
int tree_local_openat_below(Tree *t, int fd, const char *path, int flags, uint32_t mode);
/* What is there under that name, a link itself; `flags` for statx(2). Any thread. */
int tree_local_attr(int fd, const char *name, int flags, TreeAttr *ret);

/* A directory being read: the kernel's entries in a buffer, no memory of its own. Any thread, one at a time. */
typedef struct LocalDir {
        int fd; /* owned; -EBADF: none */
        size_t at, n;
        _Alignas(struct dirent64) char buf[16 * 1024];
} LocalDir;

int tree_local_dir_open(LocalDir *d, Tree *t, int below, const char *path);
void tree_local_dir_close(LocalDir *d);
/*
 * The next entry, never "." and ".."; `ret_attr` NULL: the name alone. 1; 0: there are no more; or -errno. The name
 * lives until the next call.
 */
int tree_local_dir_next(LocalDir *d, const char **ret_name, TreeAttr *ret_attr);

/* The listing operations. */
int tree_local_list(Tree *t, const char *dir, unsigned flags, TreeEntryFn fn, void *userdata);
int tree_local_list_many(Tree *t, TreeMany *many);

/* The changing half of the operations. */
int tree_local_create(Tree *t, const char *path, uint64_t bytes, uint32_t mode);
int tree_local_truncate(Tree *t, const char *path, uint64_t bytes);
int tree_local_write(Tree *t, const char *path, const void *data, size_t n, uint32_t mode);
int tree_local_link(Tree *t, const char *from, const char *to);
int tree_local_rename(Tree *t, const char *from, const char *to, unsigned flags);
int tree_local_unlink(Tree *t, const char *path);
int tree_local_mkdir(Tree *t, const char *path, uint32_t mode);
int tree_local_rmdir(Tree *t, const char *path);
int tree_local_chmod(Tree *t, const char *path, uint32_t mode);
int tree_local_allocate(Tree *t, const char *path, uint64_t offset, uint64_t bytes);
int tree_local_set_immutable(Tree *t, const char *path, bool on);
