/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree out of the database: rows that contradict each other are refused, never guessed at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "clusterfs/db-parts.h"

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
static int load_pass(Db *db, Tree *t, bool is_first, size_t *ret_inserted, size_t *ret_left, char **ret_why)
{
        sqlite3_stmt *s = NULL;
        size_t inserted = 0, left = 0;
        int code, r = 0;

        code = sqlite3_prepare_v2(
                db->sql, "SELECT ino, parent, name, type, mtime, term, idx, db_writer, data FROM node ORDER BY ino", -1,
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
                if (tree_find(t, n.ino) && (n.ino != TREE_ROOT_INO || !is_first))
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

        for (bool is_first = true; r == 0 && left > 0 && inserted > 0; is_first = false)
                r = load_pass(db, t, is_first, &inserted, &left, ret_why);
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
                return db_refuse_damaged(sqlite3_db_filename(db->sql, NULL), why ? why : strerror(-r), err);
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
