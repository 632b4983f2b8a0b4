/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What trees that a library serves (libnfs, libcephfs) have in common. Not for others: they use tree.h. */
#include "common/tree.h"

/* From the mode and the times that stat(2) has. */
uint32_t remote_type(uint64_t mode);
int64_t remote_ns(uint64_t sec, uint64_t nsec);

/* The way to a name, found free of links a moment ago. The owner sets the first two members. */
typedef struct RemoteWay {
        int (*lstat)(void *userdata, const char *abs, TreeAttr *ret);
        void *userdata;
        char good_dir[TREE_PATH_MAX]; /* no link on the way to it and none itself, as of good_ms */
        uint64_t good_ms;
} RemoteWay;

/*
 * The absolute form of a path ("a/b" -> "/a/b", "" -> "/") each of whose directories is one and no link; with
 * `is_last_too` its last part as well. -ELOOP: a link; -EXDEV: ".."; -ENOTDIR, -ENOENT, -EINVAL, -ENAMETOOLONG.
 */
int remote_way(RemoteWay *w, const char *path, bool is_last_too, char ret[static TREE_PATH_MAX]);
/* After a change that may have put something else there. */
void remote_way_forget(RemoteWay *w);

/* Entries of a directory, all taken before any is given on. */
typedef struct RemoteEntry {
        char *name;
        TreeAttr attr;
} RemoteEntry;

typedef struct RemoteList {
        RemoteEntry *items;
        size_t n, n_alloc;
} RemoteList;

/* A copy; what is no name of a single entry is left out. -ENOMEM, also where there is no end to them. */
int remote_list_add(RemoteList *l, const char *name, const TreeAttr *attr);
void remote_list_deinit(RemoteList *l);
