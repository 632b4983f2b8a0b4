/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The inside of the database, for the files db*.c alone. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "clusterfs/db.h"

enum item_kind {
        ITEM_PUT,
        ITEM_MOVE,
        ITEM_DROP,
        ITEM_STATE,
        ITEM_TERM,
        ITEM_REMOVED,
        ITEM_CLEAR,
        ITEM_WIPE,
        ITEM_KINDS
};

typedef struct Item {
        enum item_kind kind;
        uint64_t ino, parent;
        Version version;
        int64_t mtime;
        uint32_t writer;
        uint8_t type;
        char *name; /* or the path of a removal */
        Content *content;
        uint64_t index, quorate_index;
        bool is_local;
        Term term;
} Item;

#define LOG_LIMIT_PAGES 60000 /* 234 MiB: commits wait for the thread, which ends the log first */

typedef struct Batch {
        VEC(Item) items;
        int error; /* -ENOMEM while it was collected */
} Batch;

struct Db {
        sqlite3 *sql;
        sqlite3 *checkpoint_sql; /* the thread's */
        bool is_full;
        sqlite3_stmt *begin, *commit, *stmt[ITEM_KINDS];
        pthread_t thread;
        bool has_thread;
        pthread_mutex_t mutex; /* guards running, is_done, result, stop, is_ending_log, wal_* */
        pthread_cond_t cond;
        Batch pending, running;
        bool is_busy, is_done, stop;   /* busy: a batch is running, or has ended and was not finished */
        bool by_thread, is_ending_log; /* who commits the running batch; the next one is the thread's */
        int result, error;
        int wal_pages, wal_carried; /* in the log; of them in the database already, when it was looked at last */
        uint64_t ticket;            /* of `pending` */
        int fd;
};

/* db.c */
int db_refuse_damaged(const char *path, const char *why, struct storaged_error *err);
int db_connect(const char *path, bool full, Db **ret, struct storaged_error *err);

/* db-write.c */
int db_errno(int code);
int db_batch_write(Db *db, const Batch *b);
int db_on_wal(void *userdata, sqlite3 *sql, const char *name, int pages);
void *db_writer(void *userdata);
