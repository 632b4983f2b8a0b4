/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the file store share: fault points, error sentences, temporaries. Not for plugins. */
#include "common/filestore.h"

#define STORE_FILE_MODE 0640u
#define STORE_DIR_MODE 0755u

enum FileStorePreallocation {
        PREALLOCATION_OFF = 0,
        PREALLOCATION_METADATA,
        PREALLOCATION_FALLOC,
        PREALLOCATION_FULL,
};

static inline int store_reach(FileStore *fs, unsigned planes, struct storaged_error *err)
{
        return fs->kind->reach(fs, planes, err);
}

/* The fault point TYPE.point. */
int store_fault(FileStore *fs, const char *point, struct storaged_error *err);
/*
 * To be called between the last look and the step that makes a change seen: -ESTALE if the storage's lock was lost.
 */
int store_may_commit(FileStore *fs, struct storaged_error *err);
/* The sentence for a failed file operation: `dir storage "local": cannot <action> /path/rel: <reason>`; returns r. */
int store_fail(FileStore *fs, struct storaged_error *err, int r, const char *action, const char *rel);
/* The same of a volume's own file: that it is not there is said of the volume. */
int store_fail_volume(FileStore *fs, struct storaged_error *err, int r, const char *action, STORAGED_VOL,
                      const char *rel);
/* FS path of the local data plane. -ENAMETOOLONG. */
int store_absolute(const FileStore *fs, const char *rel, char ret[static TREE_PATH_MAX], struct storaged_error *err);

/*
 * Temporaries (leftovers.c): `.storaged-<node>~<pid>-<start time>-<n>-<name>` beside the file they become, so that
 * after a crash it is known whose they were and whether that process still lives. The node is ended by `~`, which no
 * node name has. Never listed.
 */
int store_tmp_init(FileStore *fs);
/* A new temporary name in the directory of `rel`. */
int store_tmp_name(FileStore *fs, const char *rel, char ret[static TREE_PATH_MAX], struct storaged_error *err);
/* Removes the leftovers of dead processes of this node and undoes half-made chain snapshots. */
int store_remove_leftovers(FileStore *fs, struct storaged_error *err);
/* Calls fn for each temporary that no living process of this node owns; is_ours: of this node. */
typedef int (*LeftoverFn)(void *userdata, const char *rel, bool is_ours);
int store_each_leftover(FileStore *fs, LeftoverFn fn, void *userdata);

/* Removes a temporary when its scope ends, unless it was taken (tree = NULL). */
typedef struct StoreTmp {
        Tree *tree;
        char rel[TREE_PATH_MAX];
} StoreTmp;

static inline void store_tmp_dropp(StoreTmp *tmp)
{
        /* ignored: what stays is a leftover that the next activation removes */
        if (tmp->tree && tmp->tree->ops->unlink(tmp->tree, tmp->rel) == -EISDIR)
                (void) tree_remove_all(tmp->tree, tmp->rel, 64);
}

/* Marks of checks that were killed, a day old or older (mark.c). */
void store_remove_old_marks(FileStore *fs);
