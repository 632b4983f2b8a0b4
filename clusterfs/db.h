/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The tree on this node's disk: one SQLite file, written by one thread. What the daemon has changed is collected; while
 * the thread commits one batch the next one grows (group commit). A batch that fails is told of, kept, and tried again
 * with the next: the file is behind then, never wrong.
 */
#include <stdbool.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "clusterfs/history.h"
#include "clusterfs/tree.h"

typedef struct Db Db;

/*
 * Opens or makes <dir>/clusterfs.db. `full`: a commit is on the disk when it returns; else it survives the process but
 * not a power cut. A damaged file is refused with -EUCLEAN and what to do.
 */
int db_open(const char *dir, bool full, Db **ret, struct storaged_error *err);
/* Commits what is pending (once) and ends the thread. */
Db *db_free(Db *db);
DEFINE_CLEANUP(Db *, db_free)

/* Reads everything; *ret_tree is the caller's. -EUCLEAN: rows that contradict each other. */
int db_load(Db *db, Tree **ret_tree, History *ret_history, struct storaged_error *err);
/*
 * Puts a damaged file aside as clusterfs.db.damaged-<time> and makes a new one of the rows that can still be read.
 * *ret_rows: how many. The tree then counts as older than any other node's.
 */
int db_recover(const char *dir, uint64_t *ret_rows, struct storaged_error *err);

/* All of these add to the pending batch; out of memory is remembered and fails the batch. */
void db_put(Db *db, const Node *n, bool content);
void db_drop(Db *db, const Node *n);
void db_state(Db *db, uint64_t index, const History *h);
void db_term(Db *db, Term t);
/* What was removed where, so that a removal made alone can be told from one that others made. */
void db_removed(Db *db, const char *path, Version v);
/* Forgets all terms and removals; for a tree taken from others. */
void db_clear_history(Db *db);
/* Forgets all objects, to be put anew. */
void db_wipe(Db *db);

/* Number of the batch that is pending now: what was added since is durable when it has been committed. */
uint64_t db_ticket(const Db *db);
/* Commits the pending batch, or begins to if the last one has been finished. See db_finish(). */
void db_flush(Db *db);
/* Readable when a batch has ended that was not committed at once. */
int db_fd(const Db *db);
/* 0 or the -errno with which batch *ret_ticket ended; -EAGAIN: none has. A failed batch is pending again. */
int db_finish(Db *db, uint64_t *ret_ticket);
/* The -errno of the last batch; 0: the file is up to date but for what is pending. */
int db_error(const Db *db);
size_t db_n_pending(const Db *db);
/* Forgets the pending batch, for who goes back to what the file holds. */
void db_discard(Db *db);
bool db_is_idle(const Db *db);

/* Each removal noted, oldest first. */
int db_each_removed(Db *db, int (*fn)(void *userdata, const char *path, Version v), void *userdata);
