/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping what loses. An object was changed alone if the version of its last change is not in the other history; it is
 * kept unless the other tree holds the same at its path. The directory is made with the first conflict.
 */
#include "clusterfs/conflicts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"

typedef struct Saver {
        const char *state_dir;
        const Tree *other;
        const History *own_history, *other_history;
        StrBuf report;
        Conflicts result;
} Saver;

void conflicts_deinit(Conflicts *c)
{
        free(c->dir);
        *c = (Conflicts){ 0 };
}

/* Two within one second get -2, -3 … */
static int make_dir(Saver *s)
{
        char stamp[32];
        time_t now = time(NULL);
        struct tm tm;

        if (s->result.dir)
                return 0;
        (void) gmtime_r(&now, &tm);
        (void) strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
        for (unsigned i = 1; i < 1000; i++) {
                AUTO(freep) char *dir = NULL;
                struct stat st;
                int r = i == 1 ? str_printf(&dir, "%s/conflicts/%s", s->state_dir, stamp)
                               : str_printf(&dir, "%s/conflicts/%s-%u", s->state_dir, stamp, i);

                if (r < 0)
                        return r;
                if (stat(dir, &st) == 0)
                        continue;
                r = fs_mkdir_p(dir, 0700);
                if (r == 0)
                        s->result.dir = TAKE(dir);
                return r;
        }
        return -EEXIST;
}

static bool is_same(const Node *a, const Node *b)
{
        if (!b || a->type != b->type)
                return false;
        return a->type == NODE_DIR || (a->content->size == b->content->size &&
                                       memcmp(a->content->data, b->content->data, a->content->size) == 0);
}

static int keep(Saver *s, const Node *n, const char *path)
{
        AUTO(freep) char *target = NULL;
        char *slash;
        int r = make_dir(s);

        if (r == 0)
                r = str_printf(&target, "%s/tree/%s", s->result.dir, path);
        if (r < 0)
                return r;
        if (n->type == NODE_DIR)
                return fs_mkdir_p(target, 0700);
        slash = strrchr(target, '/');
        *slash = '\0';
        r = fs_mkdir_p(target, 0700);
        *slash = '/';
        return r < 0 ? r : fs_write_atomic(target, n->content->data, n->content->size, 0600);
}

static int check_node(void *userdata, Node *n)
{
        Saver *s = userdata;
        AUTO(freep) char *path = NULL;
        const Node *other;
        int r;

        if (!n->parent || node_is_lock(n) || history_has(s->other_history, s->own_history, n->version))
                return 0;
        path = node_path(n);
        if (!path)
                return -ENOMEM;
        other = tree_resolve(s->other, path);
        if (is_same(n, other))
                return 0;
        r = keep(s, n, path);
        if (r < 0)
                return r;
        strbuf_addf(&s->report, "%s %s\n", other ? "changed" : "added", path);
        s->result.n_changed++;
        return 0;
}

typedef struct RemovedCheck {
        Saver *saver;
        const Tree *own;
} RemovedCheck;

static int check_removed(void *userdata, const char *path, Version v)
{
        RemovedCheck *c = userdata;
        const Node *other = tree_resolve(c->saver->other, path);

        if (history_has(c->saver->other_history, c->saver->own_history, v) || tree_resolve(c->own, path))
                return 0;
        if (!other || node_is_lock(other))
                return 0;
        strbuf_addf(&c->saver->report, "removed %s\n", path);
        c->saver->result.n_removed++;
        return 0;
}

int conflicts_save(const char *state_dir, Db *db, const Tree *own, const History *own_history, const Tree *other,
                   const History *other_history, Conflicts *ret)
{
        Saver s = {
                .state_dir = state_dir, .other = other, .own_history = own_history, .other_history = other_history
        };
        RemovedCheck removed = { .saver = &s, .own = own };
        AUTO(freep) char *report = NULL;
        int r = tree_walk(own, check_node, &s);

        if (r == 0 && db)
                r = db_each_removed(db, check_removed, &removed);
        if (r == 0 && s.report.len) {
                r = make_dir(&s);
                if (r == 0)
                        r = str_printf(&report, "%s/REPORT", s.result.dir);
                if (r == 0)
                        r = fs_write_atomic(report, s.report.data, s.report.len, 0600);
        }
        strbuf_deinit(&s.report);
        if (r < 0) {
                conflicts_deinit(&s.result);
                return r;
        }
        *ret = s.result;
        return 0;
}
