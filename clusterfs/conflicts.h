/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a node had changed alone and would lose by taking the others' tree: kept as plain files under
 * <state>/conflicts/<time>/, with a list REPORT of what is there and what had been removed.
 */
#include <stddef.h>

#include "clusterfs/db.h"
#include "clusterfs/history.h"
#include "clusterfs/tree.h"

typedef struct Conflicts {
        char *dir;        /* where they are, or NULL: none */
        size_t n_changed; /* files and directories kept */
        size_t n_removed; /* removals undone */
} Conflicts;

void conflicts_deinit(Conflicts *c);
/*
 * Compares and writes; on the disk when it returns. Only what differs from the new tree counts: a change that the
 * others made too is none. `db`: removals noted; may be NULL.
 */
int conflicts_save(const char *state_dir, Db *db, const Tree *own, const History *own_history, const Tree *other,
                   const History *other_history, Conflicts *ret);
