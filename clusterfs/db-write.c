/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a batch to a transaction, and the thread that commits and carries the log over. See db.c for who does what.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/fault.h"
#include "clusterfs/db-parts.h"

#define CHECKPOINT_PAGES 2000
#define CHECKPOINT_PAGES_FORCED 8000
#define RESTART_PAGES 32000 /* 125 MiB */
#define CHECKPOINT_IDLE_NSEC (100 * 1000000)

/* The newest removals are enough: they are asked for when a node comes back. */
static const char prune[] =
        "DELETE FROM removed WHERE idx <= (SELECT idx FROM removed ORDER BY idx DESC LIMIT 1 OFFSET 4096)";

int db_errno(int code)
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
        return r == SQLITE_DONE ? 0 : db_errno(r);
}

static int run(sqlite3_stmt *s)
{
        (void) sqlite3_step(s);
        return sqlite3_reset(s);
}

int db_batch_write(Db *db, const Batch *b)
{
        int r = b->error, code;

        if (r < 0)
                return r;
        r = fault_point("clusterfs.db.begin");
        if (r < 0)
                return r;
        code = run(db->begin);
        if (code != SQLITE_OK)
                return db_errno(code);
        for (size_t i = 0; r == 0 && i < b->items.n; i++)
                r = item_write(db, &b->items.items[i]);
        if (r == 0)
                r = fault_point("clusterfs.db.commit");
        if (r == 0) {
                code = run(db->commit);
                r = code == SQLITE_OK ? 0 : db_errno(code);
        }
        if (r < 0)
                (void) sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

/* Pages in the log that were not in it when it was carried over last; the log begins anew once all of it was. */
static int pages_to_carry(const Db *db)
{
        return db->wal_pages >= db->wal_carried ? db->wal_pages - db->wal_carried : db->wal_pages;
}

int db_on_wal(void *userdata, sqlite3 *sql, const char *name, int pages)
{
        Db *db = userdata;
        bool was_enough;

        (void) sql, (void) name;
        (void) pthread_mutex_lock(&db->mutex);
        was_enough = pages_to_carry(db) >= CHECKPOINT_PAGES;
        if (pages < db->wal_pages)
                db->wal_carried = 0;
        db->wal_pages = pages;
        if (!was_enough && pages_to_carry(db) >= CHECKPOINT_PAGES)
                (void) pthread_cond_signal(&db->cond);
        (void) pthread_mutex_unlock(&db->mutex);
        return SQLITE_OK;
}

static void set_ending(Db *db, bool on)
{
        (void) pthread_mutex_lock(&db->mutex);
        db->is_ending_log = on;
        (void) pthread_mutex_unlock(&db->mutex);
}

/*
 * The log begins anew only if a commit finds all of it carried over, which never happens while commits go on during
 * each checkpoint. One that has grown very long is therefore ended: what is left of it after a first pass, while
 * commits come to this thread and wait (SQLite waits for one that has begun).
 */
static void checkpoint(Db *db, int pages)
{
        int frames = pages;

        (void) sqlite3_wal_checkpoint_v2(db->checkpoint_sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, &frames);
        if (pages >= RESTART_PAGES) {
                set_ending(db, true);
                (void) sqlite3_wal_checkpoint_v2(db->checkpoint_sql, NULL, SQLITE_CHECKPOINT_RESTART, NULL, &frames);
                set_ending(db, false);
        }
        (void) pthread_mutex_lock(&db->mutex);
        db->wal_carried = frames > 0 ? frames : pages;
        (void) pthread_mutex_unlock(&db->mutex);
}

/*
 * The log is carried over into the database when nobody has committed for a moment, or when it has grown too long. With
 * the mutex held, which is given up meanwhile.
 */
static void wait_for_work(Db *db)
{
        struct timespec ts;
        int pages = db->wal_pages;

        if (pages_to_carry(db) < CHECKPOINT_PAGES) {
                (void) pthread_cond_wait(&db->cond, &db->mutex);
                return;
        }
        if (pages_to_carry(db) < CHECKPOINT_PAGES_FORCED) {
                (void) clock_gettime(CLOCK_MONOTONIC, &ts);
                ts.tv_nsec += CHECKPOINT_IDLE_NSEC;
                ts.tv_sec += ts.tv_nsec / 1000000000;
                ts.tv_nsec %= 1000000000;
                if (pthread_cond_clockwait(&db->cond, &db->mutex, CLOCK_MONOTONIC, &ts) != ETIMEDOUT ||
                    db->wal_pages != pages)
                        return;
        }
        (void) pthread_mutex_unlock(&db->mutex);
        checkpoint(db, pages);
        (void) pthread_mutex_lock(&db->mutex);
}

void *db_writer(void *userdata)
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
                r = db_batch_write(db, &db->running);
                (void) pthread_mutex_lock(&db->mutex);
                db->result = r;
                db->is_done = true;
                (void) eventfd_write(db->fd, 1);
        }
        (void) pthread_mutex_unlock(&db->mutex);
        return NULL;
}
