/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLite behind the tree. The main thread appends items to `pending`; db_flush() makes one transaction of them. Where a
 * commit waits for the disk it is made by a thread, which raises an eventfd; where it does not (--sync normal) handing
 * it over would cost more than itself, and it is made at once. Carrying the log over into the database waits for the
 * disk always: the thread does it, on a connection of its own, when nobody waits for a commit. Contents are counted by
 * the main thread alone: items keep their references until db_finish(). The invariant: the file holds the tree as it
 * was at some index, whole.
 */
#include "clusterfs/db.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "clusterfs/db-parts.h"

#define DB_FORMAT 1

static const char schema[] =
        "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL,"
        "  idx INTEGER NOT NULL, quorate_idx INTEGER NOT NULL, is_local INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS term (term INTEGER PRIMARY KEY, nonce INTEGER NOT NULL, start INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS node (ino INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name TEXT NOT NULL,"
        "  type INTEGER NOT NULL, mtime INTEGER NOT NULL, term INTEGER NOT NULL, idx INTEGER NOT NULL,"
        "  db_writer INTEGER NOT NULL, data BLOB);"
        "CREATE TABLE IF NOT EXISTS removed (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, path TEXT NOT NULL);";

static const char *const statements[ITEM_KINDS] = {
        [ITEM_PUT] = "INSERT OR REPLACE INTO node (ino, parent, name, type, mtime, term, idx, db_writer, data)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [ITEM_MOVE] = "INSERT INTO node (ino, parent, name, type, mtime, term, idx, db_writer)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (ino) DO UPDATE SET"
                      " parent = ?2, name = ?3, data = CASE WHEN type = ?4 THEN data END, type = ?4, mtime = ?5, term "
                      "= ?6, idx = ?7, db_writer = ?8",
        [ITEM_DROP] = "DELETE FROM node WHERE ino = ?1",
        [ITEM_STATE] =
                "INSERT OR REPLACE INTO state (id, format, idx, quorate_idx, is_local) VALUES (1, 1, ?1, ?2, ?3)",
        [ITEM_TERM] = "INSERT OR REPLACE INTO term (term, nonce, start) VALUES (?1, ?2, ?3)",
        [ITEM_REMOVED] = "INSERT OR REPLACE INTO removed (idx, term, path) VALUES (?1, ?2, ?3)",
        [ITEM_CLEAR] = "DELETE FROM term",
        [ITEM_WIPE] = "DELETE FROM node",
};

static void item_deinit(Item *i)
{
        free(i->name);
        (void) content_unref(i->content);
}

static void batch_clear(Batch *b)
{
        for (size_t i = 0; i < b->items.n; i++)
                item_deinit(&b->items.items[i]);
        b->items.n = 0;
        b->error = 0;
        if (b->items.size > 1024)
                VEC_DEINIT(&b->items);
}

static void add_item(Db *db, Item *i)
{
        if (VEC_PUSH(&db->pending.items, *i) < 0) {
                db->pending.error = -ENOMEM;
                item_deinit(i);
        }
}

void db_put(Db *db, const Node *n, bool content)
{
        Item i = { .kind = content && n->content ? ITEM_PUT : ITEM_MOVE,
                   .ino = n->ino,
                   .parent = n->parent ? n->parent->ino : 0,
                   .version = n->version,
                   .mtime = n->mtime,
                   .writer = n->writer,
                   .type = n->type,
                   .name = strdup(n->name),
                   .content = content ? content_ref(n->content) : NULL };

        if (!i.name)
                db->pending.error = -ENOMEM;
        add_item(db, &i);
}

void db_drop(Db *db, const Node *n)
{
        Item i = { .kind = ITEM_DROP, .ino = n->ino };

        add_item(db, &i);
}

void db_state(Db *db, uint64_t index, const History *h)
{
        Item i = { .kind = ITEM_STATE, .index = index, .quorate_index = h->quorate_index, .is_local = h->is_local };

        add_item(db, &i);
}

void db_term(Db *db, Term t)
{
        Item i = { .kind = ITEM_TERM, .term = t };

        add_item(db, &i);
}

void db_removed(Db *db, const char *path, Version v)
{
        Item i = { .kind = ITEM_REMOVED, .version = v, .name = strdup(path) };

        if (!i.name)
                db->pending.error = -ENOMEM;
        add_item(db, &i);
}

void db_clear_history(Db *db)
{
        Item i = { .kind = ITEM_CLEAR };

        add_item(db, &i);
}

void db_wipe(Db *db)
{
        Item i = { .kind = ITEM_WIPE };

        add_item(db, &i);
}

size_t db_n_pending(const Db *db)
{
        return db->pending.items.n;
}

uint64_t db_ticket(const Db *db)
{
        return db->ticket;
}

int db_fd(const Db *db)
{
        return db->fd;
}

int db_error(const Db *db)
{
        return db->error;
}

void db_discard(Db *db)
{
        if (!db->is_busy)
                batch_clear(&db->pending);
}

bool db_is_idle(const Db *db)
{
        return !db->is_busy && db->pending.items.n == 0;
}

void db_flush(Db *db)
{
        Batch spare;

        if (db->is_busy || db->pending.items.n == 0)
                return;
        (void) pthread_mutex_lock(&db->mutex);
        spare = db->running;
        db->running = db->pending;
        db->pending = spare;
        db->ticket++;
        db->is_busy = true;
        db->by_thread = db->is_full || db->is_ending_log || db->wal_pages >= LOG_LIMIT_PAGES;
        db->is_done = !db->by_thread; /* before the mutex is given up: the thread has no business with it */
        if (db->by_thread)
                (void) pthread_cond_signal(&db->cond);
        (void) pthread_mutex_unlock(&db->mutex);
        if (!db->by_thread)
                db->result = db_batch_write(db, &db->running);
}

/* What failed goes before what came since. */
static void batch_requeue(Db *db)
{
        Batch merged = db->running;

        for (size_t i = 0; i < db->pending.items.n; i++)
                if (VEC_PUSH(&merged.items, db->pending.items.items[i]) < 0) {
                        merged.error = -ENOMEM;
                        item_deinit(&db->pending.items.items[i]);
                }
        VEC_DEINIT(&db->pending.items);
        db->running = (Batch){ 0 };
        db->pending = merged;
}

int db_finish(Db *db, uint64_t *ret_ticket)
{
        eventfd_t v;
        bool done;
        int r;

        (void) pthread_mutex_lock(&db->mutex);
        done = db->is_busy && db->is_done;
        r = db->result;
        (void) pthread_mutex_unlock(&db->mutex);
        if (!done)
                return -EAGAIN;
        if (db->by_thread)
                (void) eventfd_read(db->fd, &v);
        *ret_ticket = db->ticket - 1;
        db->is_busy = false;
        db->error = r;
        if (r < 0)
                batch_requeue(db);
        else
                batch_clear(&db->running);
        return r;
}

/* --- opening ------------------------------------------------------------------------------------------- */

int db_refuse_damaged(const char *path, const char *why, struct storaged_error *err)
{
        return error_set(
                err, -EUCLEAN,
                "database %s is damaged: %s. In a cluster run `clusterfs --recover` once: it puts the file aside "
                "and takes the tree from the other nodes; on a single node it keeps what can still be read; "
                "or put a backup of the file in its place",
                path, why);
}

static int check_format(Db *db, const char *path, struct storaged_error *err)
{
        sqlite3_stmt *s = NULL;
        int format = DB_FORMAT, code;

        code = sqlite3_prepare_v2(db->sql, "SELECT format FROM state", -1, &s, NULL);
        if (code == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
                format = sqlite3_column_int(s, 0);
        (void) sqlite3_finalize(s);
        if (code != SQLITE_OK)
                return db_refuse_damaged(path, sqlite3_errmsg(db->sql), err);
        if (format != DB_FORMAT)
                return error_set(
                        err, -EPROTONOSUPPORT,
                        "database %s has format %d, this clusterfs knows %d: install the version that wrote it", path,
                        format, DB_FORMAT);
        return 0;
}

static int quick_check(Db *db, const char *path, struct storaged_error *err)
{
        sqlite3_stmt *s = NULL;
        AUTO(freep) char *why = NULL;
        int code;

        code = sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &s, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_step(s);
        if (code != SQLITE_ROW)
                why = strdup(sqlite3_errmsg(db->sql));
        else if (!str_eq((const char *) sqlite3_column_text(s, 0), "ok"))
                why = strdup((const char *) sqlite3_column_text(s, 0));
        else
                code = SQLITE_OK;
        (void) sqlite3_finalize(s);
        return code == SQLITE_OK ? 0 : db_refuse_damaged(path, why ? why : "check failed", err);
}

static int prepare(Db *db, const char *path, const char *text, sqlite3_stmt **ret, struct storaged_error *err)
{
        int code = sqlite3_prepare_v3(db->sql, text, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

        return code == SQLITE_OK ? 0 : db_refuse_damaged(path, sqlite3_errmsg(db->sql), err);
}

static int db_setup(Db *db, const char *path, bool full, struct storaged_error *err)
{
        AUTO(freep) char *pragmas = NULL;
        int r, code;

        r = str_printf(&pragmas,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s; PRAGMA cache_size = -512;"
                       "PRAGMA temp_store = MEMORY",
                       full ? "FULL" : "NORMAL");
        if (r < 0)
                return r;
        (void) sqlite3_busy_timeout(db->sql, 5000);
        code = sqlite3_exec(db->sql, pragmas, NULL, NULL, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_exec(db->sql, schema, NULL, NULL, NULL);
        if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
                return db_refuse_damaged(path, sqlite3_errmsg(db->sql), err);
        if (code != SQLITE_OK)
                return error_set(err, db_errno(code), "can't use database %s: %s", path, sqlite3_errmsg(db->sql));
        r = quick_check(db, path, err);
        if (r == 0)
                r = check_format(db, path, err);
        for (size_t i = 0; r == 0 && i < ITEM_KINDS; i++)
                r = prepare(db, path, statements[i], &db->stmt[i], err);
        if (r == 0)
                r = prepare(db, path, "BEGIN IMMEDIATE", &db->begin, err);
        if (r == 0)
                r = prepare(db, path, "COMMIT", &db->commit, err);
        return r;
}

int db_connect(const char *path, bool full, Db **ret, struct storaged_error *err)
{
        AUTO(db_freep) Db *db = calloc(1, sizeof(*db));
        mode_t mask;
        int code, r;

        if (!db)
                return -ENOMEM;
        db->ticket = 1;
        (void) pthread_mutex_init(&db->mutex, NULL);
        (void) pthread_cond_init(&db->cond, NULL);
        db->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (db->fd < 0)
                return error_set(err, -errno, "can't make an eventfd: %s", strerror(errno));
        mask = umask(0077);
        code = sqlite3_open(path, &db->sql);
        r = code == SQLITE_OK ? db_setup(db, path, full, err)
                              : error_set(err, -EIO, "can't open database %s: %s", path, sqlite3_errmsg(db->sql));
        (void) umask(mask);
        if (r < 0)
                return r;
        *ret = TAKE(db);
        return 0;
}

int db_open(const char *dir, bool full, Db **ret, struct storaged_error *err)
{
        AUTO(db_freep) Db *db = NULL;
        AUTO(freep) char *path = NULL;
        int r;

        r = str_printf(&path, "%s/clusterfs.db", dir);
        if (r == 0)
                r = db_connect(path, full, &db, err);
        if (r < 0)
                return r;
        db->is_full = full;
        /* A connection that has read nothing knows of no log: it would carry over nothing, and say so to nobody. */
        if (sqlite3_open(path, &db->checkpoint_sql) != SQLITE_OK ||
            sqlite3_exec(db->checkpoint_sql, "SELECT format FROM state", NULL, NULL, NULL) != SQLITE_OK)
                return error_set(err, -EIO, "can't open database %s: %s", path, sqlite3_errmsg(db->checkpoint_sql));
        (void) sqlite3_busy_timeout(db->checkpoint_sql, 5000);
        (void) sqlite3_wal_hook(db->sql, db_on_wal, db);
        r = -pthread_create(&db->thread, NULL, db_writer, db);
        if (r < 0)
                return error_set(err, r, "can't start the database thread: %s", strerror(-r));
        db->has_thread = true;
        *ret = TAKE(db);
        return 0;
}

Db *db_free(Db *db)
{
        if (!db)
                return NULL;
        if (db->has_thread) {
                (void) pthread_mutex_lock(&db->mutex);
                db->stop = true;
                (void) pthread_cond_signal(&db->cond);
                (void) pthread_mutex_unlock(&db->mutex);
                (void) pthread_join(db->thread, NULL);
                /* What came since the last flush; there is nobody left to tell of a failure. */
                if (db->pending.items.n)
                        (void) db_batch_write(db, &db->pending);
        }
        batch_clear(&db->pending);
        batch_clear(&db->running);
        VEC_DEINIT(&db->pending.items);
        VEC_DEINIT(&db->running.items);
        for (size_t i = 0; i < ITEM_KINDS; i++)
                (void) sqlite3_finalize(db->stmt[i]);
        (void) sqlite3_finalize(db->begin);
        (void) sqlite3_finalize(db->commit);
        (void) sqlite3_close(db->checkpoint_sql);
        (void) sqlite3_close(db->sql);
        if (db->fd >= 0)
                (void) close(db->fd);
        (void) pthread_mutex_destroy(&db->mutex);
        (void) pthread_cond_destroy(&db->cond);
        free(db);
        return NULL;
}
