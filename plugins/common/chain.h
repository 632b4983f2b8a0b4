/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Snapshots as a chain of files: snap-<name>-<file> is the state at the snapshot, the image an overlay on it. */
#include "common/filestore.h"
#include "common/image.h"

#define CHAIN_MAX 256

typedef struct ChainLink {
        char file[TREE_NAME_MAX]; /* snap-… */
        char snap[TREE_NAME_MAX]; /* its snapshot's name */
        uint64_t bytes;           /* virtual size */
        int64_t ctime_ns;
} ChainLink;

typedef struct Chain {
        uint64_t bytes;   /* of the image itself */
        ChainLink *links; /* newest first */
        size_t n;
        uint32_t n_internal; /* snapshots inside the image */
        bool is_broken;      /* a file of the chain is missing or unreadable */
} Chain;

void chain_deinit(Chain *c);
/* Walks from the image down. -ENOENT: no image. */
int chain_read(FileStore *fs, STORAGED_VOL, Chain *ret, struct storaged_error *err);
/* Path of the file of a snapshot; computed only. */
int chain_path(FileStore *fs, STORAGED_VOL, const char *snap, char ret[static TREE_PATH_MAX],
               struct storaged_error *err);

int chain_snapshot(FileStore *fs, STORAGED_VOL, const Chain *c, const char *snap, struct storaged_error *err);
int chain_rollback(FileStore *fs, STORAGED_VOL, const Chain *c, const char *snap, struct storaged_error *err);
/* A leftover that is the second name of a snapshot file: removes that file if nothing hangs on it any more. */
void chain_finish_deletion(FileStore *fs, const char *intent_rel);
int chain_delete(FileStore *fs, STORAGED_VOL, const Chain *c, const char *snap, struct storaged_error *err);
