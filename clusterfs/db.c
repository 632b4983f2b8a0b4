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

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/str.h"
#include "base/vec.h"

#define DB_FORMAT 1
#define CHECKPOINT_PAGES 2000
#define CHECKPOINT_PAGES_FORCED 8000
#define CHECKPOINT_IDLE_NSEC (100 * 1000000)

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

typedef struct Batch {
        VEC(Item) items;
        int error; /* -ENOMEM while it was collected */
} Batch;

struct Db {
        sqlite3 *sql;
        sqlite3 *checkpoint_sql; /* the thread's */
        bool is_full;
        sqlite3_stmt *stmt[ITEM_KINDS];
        pthread_t thread;
        bool has_thread;
        pthread_mutex_t mutex; /* guards running, is_done, result, stop, wal_pages */
        pthread_cond_t cond;
        Batch pending, running;
        bool is_busy, is_done, stop; /* busy: a batch is running, or has ended and was not finished */
        int result, error, wal_pages;
        uint64_t ticket; /* of `pending` */
        int fd;
};

static const char schema[] =
        "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL,"
        "  idx INTEGER NOT NULL, quorate_idx INTEGER NOT NULL, is_local INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS term (term INTEGER PRIMARY KEY, nonce INTEGER NOT NULL, start INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS node (ino INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name TEXT NOT NULL,"
        "  type INTEGER NOT NULL, mtime INTEGER NOT NULL, term INTEGER NOT NULL, idx INTEGER NOT NULL,"
        "  writer INTEGER NOT NULL, data BLOB);"
        "CREATE TABLE IF NOT EXISTS removed (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, path TEXT NOT NULL);";

/* The newest removals are enough: they are asked for when a node comes back. */
static const char prune[] =
        "DELETE FROM removed WHERE idx <= (SELECT idx FROM removed ORDER BY idx DESC LIMIT 1 OFFSET 4096)";

static const char *const statements[ITEM_KINDS] = {
        [ITEM_PUT] = "INSERT OR REPLACE INTO node (ino, parent, name, type, mtime, term, idx, writer, data)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [ITEM_MOVE] = "INSERT INTO node (ino, parent, name, type, mtime, term, idx, writer)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (ino) DO UPDATE SET"
                      " parent = ?2, name = ?3, mtime = ?5, term = ?6, idx = ?7, writer = ?8",
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

static int errno_of_sqlite(int code)
{
        switch (code & 0xff) {
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_READONLY:
                return -EROFS;
        default:
                return -EIO;
        }
}

/* --- the writer thread ---------------------------------------------------------------------------------- */

static void bind_node(sqlite3_stmt *s, const Item *i)
{
        (void) sqlite3_bind_int64(s, 1, (sqlite3_int64) i->ino);
        if (i->kind == ITEM_DROP)
                return;
        (void) sqlite3_bind_int64(s, 2, (sqlite3_int64) i->parent);
        (void) sqlite3_bind_text(s, 3, i->name, -1, SQLITE_STATIC);
        (void) sqlite3_bind_int64(s, 4, i->type);
        (void) sqlite3_bind_int64(s, 5, i->mtime);
        (void) sqlite3_bind_int64(s, 6, (sqlite3_int64) i->version.term);
        (void) sqlite3_bind_int64(s, 7, (sqlite3_int64) i->version.index);
        (void) sqlite3_bind_int64(s, 8, i->writer);
        if (i->kind == ITEM_PUT && i->content)
                (void) sqlite3_bind_blob64(s, 9, i->content->data, i->content->size, SQLITE_STATIC);
}

static int item_write(Db *db, const Item *i)
{
        sqlite3_stmt *s = db->stmt[i->kind];
        int r;

        switch (i->kind) {
        case ITEM_PUT:
        case ITEM_MOVE:
        case ITEM_DROP:
                bind_node(s, i);
                break;
        case ITEM_STATE:
                (void) sqlite3_bind_int64(s, 1, (sqlite3_int64) i->index);
                (void) sqlite3_bind_int64(s, 2, (sqlite3_int64) i->quorate_index);
                (void) sqlite3_bind_int64(s, 3, i->is_local);
                break;
        case ITEM_TERM:
                (void) sqlite3_bind_int64(s, 1, (sqlite3_int64) i->term.term);
                (void) sqlite3_bind_int64(s, 2, (sqlite3_int64) i->term.nonce);
                (void) sqlite3_bind_int64(s, 3, (sqlite3_int64) i->term.start);
                break;
        case ITEM_REMOVED:
                (void) sqlite3_bind_int64(s, 1, (sqlite3_int64) i->version.index);
                (void) sqlite3_bind_int64(s, 2, (sqlite3_int64) i->version.term);
                (void) sqlite3_bind_text(s, 3, i->name, -1, SQLITE_STATIC);
                break;
        default:
                break;
        }
        r = sqlite3_step(s);
        (void) sqlite3_reset(s);
        (void) sqlite3_clear_bindings(s);
        if (r == SQLITE_DONE && i->kind == ITEM_REMOVED && i->version.index % 512 == 0)
                (void) sqlite3_exec(db->sql, prune, NULL, NULL, NULL); /* fails as the commit will, if it does */
        if (r == SQLITE_DONE && i->kind == ITEM_CLEAR)
                r = sqlite3_exec(db->sql, "DELETE FROM removed", NULL, NULL, NULL) == SQLITE_OK ? SQLITE_DONE
                                                                                                : SQLITE_IOERR;
        return r == SQLITE_DONE ? 0 : errno_of_sqlite(r);
}

static int batch_write(Db *db, const Batch *b)
{
        int r = b->error, code;

        if (r < 0)
                return r;
        r = fault_point("clusterfs.db.begin");
        if (r < 0)
                return r;
        code = sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (code != SQLITE_OK)
                return errno_of_sqlite(code);
        for (size_t i = 0; r == 0 && i < b->items.n; i++)
                r = item_write(db, &b->items.items[i]);
        if (r == 0)
                r = fault_point("clusterfs.db.commit");
        if (r == 0) {
                code = sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
                r = code == SQLITE_OK ? 0 : errno_of_sqlite(code);
        }
        if (r < 0)
                (void) sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

static int on_wal(void *userdata, sqlite3 *sql, const char *name, int pages)
{
        Db *db = userdata;

        (void) sql, (void) name;
        (void) pthread_mutex_lock(&db->mutex);
        if (db->wal_pages < CHECKPOINT_PAGES && pages >= CHECKPOINT_PAGES)
                (void) pthread_cond_signal(&db->cond);
        db->wal_pages = pages;
        (void) pthread_mutex_unlock(&db->mutex);
        return SQLITE_OK;
}

/*
 * The log is carried over into the database when nobody has committed for a moment, or when it has grown too long. With
 * the mutex held, which is given up meanwhile.
 */
static void wait_for_work(Db *db)
{
        struct timespec ts;
        int pages = db->wal_pages;

        if (pages < CHECKPOINT_PAGES) {
                (void) pthread_cond_wait(&db->cond, &db->mutex);
                return;
        }
        if (pages < CHECKPOINT_PAGES_FORCED) {
                (void) clock_gettime(CLOCK_MONOTONIC, &ts);
                ts.tv_nsec += CHECKPOINT_IDLE_NSEC;
                ts.tv_sec += ts.tv_nsec / 1000000000;
                ts.tv_nsec %= 1000000000;
                if (pthread_cond_clockwait(&db->cond, &db->mutex, CLOCK_MONOTONIC, &ts) != ETIMEDOUT ||
                    db->wal_pages != pages)
                        return;
        }
        db->wal_pages = 0;
        (void) pthread_mutex_unlock(&db->mutex);
        (void) sqlite3_wal_checkpoint_v2(db->checkpoint_sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        (void) pthread_mutex_lock(&db->mutex);
}

static void *writer(void *userdata)
{
        Db *db = userdata;

        (void) pthread_mutex_lock(&db->mutex);
        for (;;) {
                int r;

                while (!db->stop && (!db->is_busy || db->is_done))
                        wait_for_work(db);
                if (db->stop && (!db->is_busy || db->is_done))
                        break;
                (void) pthread_mutex_unlock(&db->mutex);
                r = batch_write(db, &db->running);
                (void) pthread_mutex_lock(&db->mutex);
                db->result = r;
                db->is_done = true;
                (void) eventfd_write(db->fd, 1);
        }
        (void) pthread_mutex_unlock(&db->mutex);
        return NULL;
}

/* --- the main thread's side ----------------------------------------------------------------------------- */

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
        db->is_done = !db->is_full; /* before the mutex is given up: the thread has no business with it */
        if (db->is_full)
                (void) pthread_cond_signal(&db->cond);
        (void) pthread_mutex_unlock(&db->mutex);
        if (!db->is_full)
                db->result = batch_write(db, &db->running);
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
        if (db->is_full)
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

/* --- opening -------------------------------------------------------------------------------------------- */

static int refuse_damaged(const char *path, const char *why, struct storaged_error *err)
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
                return refuse_damaged(path, sqlite3_errmsg(db->sql), err);
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
        return code == SQLITE_OK ? 0 : refuse_damaged(path, why ? why : "check failed", err);
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
                return refuse_damaged(path, sqlite3_errmsg(db->sql), err);
        if (code != SQLITE_OK)
                return error_set(err, errno_of_sqlite(code), "can't use database %s: %s", path,
                                 sqlite3_errmsg(db->sql));
        r = quick_check(db, path, err);
        if (r == 0)
                r = check_format(db, path, err);
        for (size_t i = 0; r == 0 && i < ITEM_KINDS; i++) {
                code = sqlite3_prepare_v3(db->sql, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL);
                if (code != SQLITE_OK)
                        r = refuse_damaged(path, sqlite3_errmsg(db->sql), err);
        }
        return r;
}

static int db_connect(const char *path, bool full, Db **ret, struct storaged_error *err)
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
        if (sqlite3_open(path, &db->checkpoint_sql) != SQLITE_OK)
                return error_set(err, -EIO, "can't open database %s: %s", path, sqlite3_errmsg(db->checkpoint_sql));
        (void) sqlite3_wal_hook(db->sql, on_wal, db);
        r = -pthread_create(&db->thread, NULL, writer, db);
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
                        (void) batch_write(db, &db->pending);
        }
        batch_clear(&db->pending);
        batch_clear(&db->running);
        VEC_DEINIT(&db->pending.items);
        VEC_DEINIT(&db->running.items);
        for (size_t i = 0; i < ITEM_KINDS; i++)
                (void) sqlite3_finalize(db->stmt[i]);
        (void) sqlite3_close(db->checkpoint_sql);
        (void) sqlite3_close(db->sql);
        if (db->fd >= 0)
                (void) close(db->fd);
        (void) pthread_mutex_destroy(&db->mutex);
        (void) pthread_cond_destroy(&db->cond);
        free(db);
        return NULL;
}

/* --- loading -------------------------------------------------------------------------------------------- */

static int row_content(sqlite3_stmt *s, Content **ret)
{
        const void *blob = sqlite3_column_blob(s, 8);
        int n = sqlite3_column_bytes(s, 8);
        Content *c;

        if (n < 0 || (unsigned) n > OP_FILE_MAX)
                return -EINVAL;
        c = content_new((size_t) n);
        if (!c)
                return -ENOMEM;
        if (n)
                memcpy(c->data, blob, (size_t) n);
        *ret = c;
        return 0;
}

/* The next pass takes children of what this pass put in. *ret_left: rows still without a parent. */
static int load_pass(Db *db, Tree *t, size_t *ret_inserted, size_t *ret_left, char **ret_why)
{
        sqlite3_stmt *s = NULL;
        size_t inserted = 0, left = 0;
        int code, r = 0;

        code = sqlite3_prepare_v2(
                db->sql, "SELECT ino, parent, name, type, mtime, term, idx, writer, data FROM node ORDER BY ino", -1,
                &s, NULL);
        while (code == SQLITE_OK && r == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
                AUTO(content_unrefp) Content *c = NULL;
                NodeSpec n = { .ino = (uint64_t) sqlite3_column_int64(s, 0),
                               .parent = (uint64_t) sqlite3_column_int64(s, 1),
                               .name = (const char *) sqlite3_column_text(s, 2),
                               .name_len = (size_t) sqlite3_column_bytes(s, 2),
                               .type = (uint8_t) sqlite3_column_int(s, 3),
                               .mtime = sqlite3_column_int64(s, 4),
                               .version = { (uint64_t) sqlite3_column_int64(s, 5),
                                            (uint64_t) sqlite3_column_int64(s, 6) },
                               .writer = (uint32_t) sqlite3_column_int64(s, 7) };

                code = SQLITE_OK;
                if (tree_find(t, n.ino) && n.ino != TREE_ROOT_INO)
                        continue;
                if (n.type == NODE_FILE)
                        r = row_content(s, &c);
                n.content = c;
                if (r == 0)
                        r = tree_insert(t, &n, NULL);
                if (r == -ENOENT) {
                        left++;
                        r = 0;
                } else if (r < 0) {
                        (void) str_printf(ret_why, "row %llu, `%s` in %llu: %s", (unsigned long long) n.ino, n.name,
                                          (unsigned long long) n.parent,
                                          r == -EEXIST ? "name or VMID is there twice" : strerror(-r));
                } else {
                        inserted++;
                }
        }
        if (r == 0 && code != SQLITE_DONE) {
                *ret_why = strdup(sqlite3_errmsg(db->sql));
                r = -EUCLEAN;
        }
        (void) sqlite3_finalize(s);
        if (r < 0)
                return r;
        *ret_inserted = inserted;
        *ret_left = left;
        return 0;
}

static int load_nodes(Db *db, Tree *t, char **ret_why)
{
        size_t inserted = 1, left = 1;
        int r = 0;

        while (r == 0 && left > 0 && inserted > 0)
                r = load_pass(db, t, &inserted, &left, ret_why);
        if (r == 0 && left > 0) {
                (void) str_printf(ret_why, "%zu rows have no directory", left);
                r = -EUCLEAN;
        }
        return r;
}

static int load_history(Db *db, Tree *t, History *h)
{
        sqlite3_stmt *s = NULL;
        int r = 0, code;

        code = sqlite3_prepare_v2(db->sql, "SELECT idx, quorate_idx, is_local FROM state", -1, &s, NULL);
        if (code == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
                t->version.index = (uint64_t) sqlite3_column_int64(s, 0);
                h->quorate_index = (uint64_t) sqlite3_column_int64(s, 1);
                h->is_local = sqlite3_column_int(s, 2) != 0;
        }
        (void) sqlite3_finalize(s);
        s = NULL;
        if (code == SQLITE_OK)
                code = sqlite3_prepare_v2(db->sql, "SELECT term, nonce, start FROM term ORDER BY term", -1, &s, NULL);
        while (code == SQLITE_OK && r == 0 && sqlite3_step(s) == SQLITE_ROW)
                r = history_add(h, (Term){ (uint64_t) sqlite3_column_int64(s, 0), (uint64_t) sqlite3_column_int64(s, 1),
                                           (uint64_t) sqlite3_column_int64(s, 2) });
        (void) sqlite3_finalize(s);
        return code == SQLITE_OK ? r : -EUCLEAN;
}

int db_load(Db *db, Tree **ret_tree, History *ret_history, struct storaged_error *err)
{
        AUTO(tree_freep) Tree *t = tree_new();
        AUTO(freep) char *why = NULL;
        History h = { 0 };
        int r;

        if (!t)
                return -ENOMEM;
        r = load_nodes(db, t, &why);
        if (r == 0)
                r = load_history(db, t, &h);
        if (r < 0) {
                history_deinit(&h);
                return refuse_damaged(sqlite3_db_filename(db->sql, NULL), why ? why : strerror(-r), err);
        }
        t->version.term = history_last(&h).term | (h.is_local ? TREE_TERM_LOCAL : 0);
        history_deinit(ret_history);
        *ret_history = h;
        *ret_tree = TAKE(t);
        return 0;
}

int db_each_removed(Db *db, int (*fn)(void *userdata, const char *path, Version v), void *userdata)
{
        sqlite3_stmt *s = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(db->sql, "SELECT path, term, idx FROM removed ORDER BY idx", -1, &s, NULL) != SQLITE_OK)
                return -EIO;
        while (r >= 0 && sqlite3_step(s) == SQLITE_ROW)
                r = fn(userdata, (const char *) sqlite3_column_text(s, 0),
                       (Version){ (uint64_t) sqlite3_column_int64(s, 1), (uint64_t) sqlite3_column_int64(s, 2) });
        (void) sqlite3_finalize(s);
        return r;
}

/* --- recovery ------------------------------------------------------------------------------------------- */

static int put_aside(const char *path, char **ret_aside, struct storaged_error *err)
{
        static const char *const suffixes[] = { "", "-wal", "-shm" };
        AUTO(freep) char *aside = NULL;
        char stamp[32];
        time_t now = time(NULL);
        struct tm tm;

        (void) gmtime_r(&now, &tm);
        (void) strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
        if (str_printf(&aside, "%s.damaged-%s", path, stamp) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
                AUTO(freep) char *from = NULL;
                AUTO(freep) char *to = NULL;

                if (str_printf(&from, "%s%s", path, suffixes[i]) < 0 || str_printf(&to, "%s%s", aside, suffixes[i]) < 0)
                        return -ENOMEM;
                if (rename(from, to) < 0 && errno != ENOENT)
                        return error_set(err, -errno, "can't put %s aside as %s: %s", from, to, strerror(errno));
        }
        *ret_aside = TAKE(aside);
        return 0;
}

/* Row by row, so that one unreadable page costs its own rows only. */
static uint64_t salvage(Db *db, const char *aside)
{
        static const char query[] = "SELECT ino, parent, name, type, mtime, term, idx, writer, data FROM node %s";
        static const char *const orders[] = { "ORDER BY ino", "ORDER BY ino DESC" };
        sqlite3 *old = NULL;
        uint64_t rows = 0;

        (void) sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL);
        if (sqlite3_open_v2(aside, &old, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
                (void) sqlite3_close(old);
                old = NULL;
        }
        for (size_t k = 0; old && k < 2; k++) { /* from both ends up to the damage */
                AUTO(freep) char *text = NULL;
                sqlite3_stmt *s = NULL;

                if (str_printf(&text, query, orders[k]) < 0 || sqlite3_prepare_v2(old, text, -1, &s, NULL) != SQLITE_OK)
                        break;
                while (sqlite3_step(s) == SQLITE_ROW) {
                        for (int c = 0; c < 9; c++)
                                (void) sqlite3_bind_value(db->stmt[ITEM_PUT], c + 1, sqlite3_column_value(s, c));
                        rows += sqlite3_step(db->stmt[ITEM_PUT]) == SQLITE_DONE;
                        (void) sqlite3_reset(db->stmt[ITEM_PUT]);
                }
                if (sqlite3_finalize(s) == SQLITE_OK)
                        break;
        }
        (void) sqlite3_close(old);
        (void) sqlite3_exec(
                db->sql,
                "DELETE FROM node WHERE name = '' AND ino <> 1;"
                "WITH RECURSIVE ok (ino) AS (SELECT 1 UNION SELECT n.ino FROM node n JOIN ok ON n.parent = ok.ino)"
                " DELETE FROM node WHERE ino NOT IN (SELECT ino FROM ok);"
                "DELETE FROM node WHERE ino NOT IN (SELECT max(ino) FROM node GROUP BY parent, name);"
                "INSERT OR REPLACE INTO state (id, format, idx, quorate_idx, is_local)"
                " VALUES (1, 1, (SELECT ifnull(max(max(ino), max(idx)), 1) FROM node), 0, 0);"
                "COMMIT",
                NULL, NULL, NULL);
        return rows;
}

int db_recover(const char *dir, uint64_t *ret_rows, struct storaged_error *err)
{
        AUTO(db_freep) Db *db = NULL;
        AUTO(freep) char *path = NULL;
        AUTO(freep) char *aside = NULL;
        int r;

        if (str_printf(&path, "%s/clusterfs.db", dir) < 0)
                return -ENOMEM;
        r = put_aside(path, &aside, err);
        if (r == 0)
                r = db_connect(path, true, &db, err);
        if (r < 0)
                return r;
        *ret_rows = salvage(db, aside);
        return 0;
}
