/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A directory tree, whoever serves it: the local kernel (tree-local.c) or a library that speaks to a server
 * (the nfs plugin). Paths are relative to the root, "" is the root itself, no leading slash; `..` and symbolic
 * links never lead anywhere: an implementation refuses them (-ELOOP, -EXDEV) or does not follow them.
 * Every function returns 0 (or a count) or a negative errno. One thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <storaged/cleanup.h>

#define TREE_PATH_MAX 4096
#define TREE_NAME_MAX 256 /* with the NUL */

enum TreeType {
        TREE_FILE = 1,
        TREE_DIR,
        TREE_LINK,
        TREE_OTHER,
};

typedef struct TreeAttr {
        uint32_t type; /* enum TreeType */
        uint32_t mode; /* permission bits */
        uint32_t n_links;
        uint64_t inode;
        uint64_t bytes;             /* length */
        uint64_t used_bytes;        /* allocated */
        int64_t mtime_ns, ctime_ns; /* nanoseconds since the epoch */
} TreeAttr;

typedef struct TreeSpace {
        uint64_t total_bytes, avail_bytes, used_bytes; /* used = total - free, avail = what we may still write */
} TreeSpace;

typedef struct Tree Tree;
typedef struct TreeFile TreeFile; /* opened for reading */

/*
 * One entry of a directory, never "." and "..", in no order. `attr` is NULL if only names were asked.
 * Symbolic links come as TREE_LINK. Non-zero stops the listing and is returned.
 */
typedef int (*TreeEntryFn)(void *userdata, const char *name, const TreeAttr *attr);

/* The same for one of many directories: that with the given index. */
typedef int (*TreeManyFn)(void *userdata, size_t index, const char *name, const TreeAttr *attr);

/* Many directories of one directory, to be listed at once. */
typedef struct TreeMany {
        const char *dir;          /* the one that they are in */
        const char *const *names; /* of them, each one component; given out in this order */
        size_t n;
        TreeManyFn fn;
        void *userdata;
        size_t n_listed; /* set: directories done with; where it failed, names[n_listed] is the one */
} TreeMany;

enum TreeListFlags {
        TREE_NAMES_ONLY = 1 << 0,
};

enum TreeRenameFlags {
        TREE_NO_REPLACE = 1 << 0, /* -EEXIST if `to` is there, atomically (link + unlink where rename cannot) */
};

typedef struct TreeOps {
        void (*free)(Tree *t);
        int (*list)(Tree *t, const char *dir, unsigned flags, TreeEntryFn fn, void *userdata); /* -ENOENT, -ENOTDIR */
        int (*stat)(Tree *t, const char *path, TreeAttr *ret);                                 /* of a link: itself */
        int (*open)(Tree *t, const char *path, TreeFile **ret); /* regular files only; -ELOOP for a link */
        ssize_t (*pread)(Tree *t, TreeFile *f, void *buf, size_t n, uint64_t offset); /* short only at the end */
        void (*close)(Tree *t, TreeFile *f);
        int (*create)(Tree *t, const char *path, uint64_t bytes, uint32_t mode); /* sparse; -EEXIST */
        int (*truncate)(Tree *t, const char *path, uint64_t bytes);
        int (*write)(Tree *t, const char *path, const void *data, size_t n, uint32_t mode); /* new file; -EEXIST */
        int (*link)(Tree *t, const char *from, const char *to);                             /* -EEXIST */
        int (*rename)(Tree *t, const char *from, const char *to, unsigned flags);
        int (*unlink)(Tree *t, const char *path);
        int (*mkdir)(Tree *t, const char *path, uint32_t mode); /* -EEXIST */
        int (*rmdir)(Tree *t, const char *path);                /* -ENOTEMPTY */
        int (*chmod)(Tree *t, const char *path, uint32_t mode);
        int (*space)(Tree *t, TreeSpace *ret);
        int (*list_many)(Tree *t, TreeMany *many); /* NULL: one after the other; call tree_list_many() */
        /* May be NULL, then the caller does without. */
        int (*allocate)(Tree *t, const char *path, uint64_t offset, uint64_t bytes); /* reserves blocks */
        int (*set_immutable)(Tree *t, const char *path, bool on);
} TreeOps;

struct Tree {
        const TreeOps *ops;
};

static inline Tree *tree_free(Tree *t)
{
        if (t)
                t->ops->free(t);
        return NULL;
}
DEFINE_CLEANUP(Tree *, tree_free)

/* --- what every tree can do with the above (tree.c) */

/*
 * The entries of many directories, those of one together, in the order of the directories; `fn` runs on the calling
 * thread. What is not there or no directory (a link) is passed over: -ENOENT, -ENOTDIR, -ELOOP, -EXDEV. Any other
 * failure ends it, as a non-zero return of `fn` does, and is returned.
 */
int tree_list_many(Tree *t, TreeMany *many);
/* True for the failures that tree_list_many() passes over. */
bool tree_is_no_directory(int r);
/* At most `max` bytes of a file, NUL-terminated; more are cut. *ret is the caller's. */
int tree_read_file(Tree *t, const char *path, size_t max, char **ret, size_t *ret_n);
/* Old or new content, never a mix: written beside it under the name `tmp` (same directory) and renamed. */
int tree_write_file(Tree *t, const char *path, const char *tmp, const void *data, size_t n, uint32_t mode);
/* Makes the directory and its parents below the root; an existing one is fine, something else there: -ENOTDIR. */
int tree_mkdir_p(Tree *t, const char *path, uint32_t mode);
/* The directory with all that is in it; never follows a link; at most `depth` levels (-ELOOP beyond). */
int tree_remove_all(Tree *t, const char *path, unsigned depth);

/* --- the local kernel (tree-local.c) */

/* Beneath this directory. -ENOENT, -ENOTDIR. */
int tree_local_new(const char *root, Tree **ret);
/* The descriptor of the root, borrowed. */
int tree_local_root_fd(Tree *t);
/* openat2(2) beneath the root, without following any link; a new descriptor or -errno. */
int tree_local_openat(Tree *t, const char *path, int flags, uint32_t mode);
