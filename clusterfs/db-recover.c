/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A damaged database is put aside, and what can still be read goes into a new one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "clusterfs/db-parts.h"

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
        static const char query[] = "SELECT ino, parent, name, type, mtime, term, idx, db_writer, data FROM node %s";
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
