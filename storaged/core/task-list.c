/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks as the API shows them: lists, status, log lines, with the members of Proxmox VE's. Reads what the store has in
 * memory; only the log comes from its file, whose size is bounded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "core/task-record.h"
#include "wire/json.h"

/* The id of a task on guest N is N, or a volume whose name holds -N-. */
static bool is_about_guest(const char *id, uint32_t vmid)
{
        char plain[16], inside[16];

        (void) snprintf(plain, sizeof(plain), "%u", vmid);
        (void) snprintf(inside, sizeof(inside), "-%u-", vmid);
        return strcmp(id, plain) == 0 || strstr(id, inside);
}

static bool filter_matches(const TaskFilter *f, const Task *t)
{
        if (str_eq(f->source, "active") && !t->is_running)
                return false;
        if (str_eq(f->source, "archive") && t->is_running)
                return false;
        if (f->type && strcmp(f->type, t->fields.type) != 0)
                return false;
        if (f->user && !strcasestr(t->fields.user, f->user))
                return false;
        if (f->vmid && !is_about_guest(t->fields.id, f->vmid))
                return false;
        if (f->only_errors && (t->is_running || str_eq(t->exit_status, "OK")))
                return false;
        return (!f->since || t->fields.start >= f->since) && (!f->until || t->fields.start <= f->until);
}

static int fields_add(json_object *o, const Task *t)
{
        AUTO(freep) char *id = strdup(t->fields.id);
        int r = id ? 0 : -ENOMEM;

        if (r >= 0) {
                task_log_clean(id); /* the id may hold any byte */
                r = json_add_string(o, "upid", t->upid);
        }
        if (r >= 0)
                r = json_add_string(o, "node", t->fields.node);
        if (r >= 0)
                r = json_add_uint(o, "pid", t->fields.pid);
        if (r >= 0)
                r = json_add_uint(o, "pstart", t->fields.pstart);
        if (r >= 0)
                r = json_add_uint(o, "starttime", t->fields.start);
        if (r >= 0)
                r = json_add_string(o, "type", t->fields.type);
        if (r >= 0)
                r = json_add_string(o, "id", id);
        if (r >= 0)
                r = json_add_string(o, "user", t->fields.user);
        return r;
}

static int row_add(json_object *rows, const Task *t)
{
        AUTO_JSON *row = json_object_new_object();
        int r = row ? fields_add(row, t) : -ENOMEM;

        if (r >= 0 && !t->is_running)
                r = json_add_int(row, "endtime", t->end_time);
        if (r >= 0)
                r = json_add_string(row, "status", t->is_running ? "RUNNING" : t->exit_status);
        if (r < 0)
                return r;
        if (json_object_array_add(rows, row) < 0)
                return -ENOMEM;
        (void) TAKE(row);
        return 0;
}

int task_store_list(TaskStore *s, const TaskFilter *f, json_object **ret, uint64_t *ret_total,
                    struct storaged_error *err)
{
        AUTO_JSON *rows = json_object_new_array();
        uint64_t total = 0;

        if (!rows)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = s->tasks.n; i > 0; i--) {
                const Task *t = s->tasks.items[i - 1];
                uint64_t at = total;

                if (!filter_matches(f, t))
                        continue;
                total++;
                if (at < f->start || (f->limit > 0 && at - f->start >= f->limit))
                        continue;
                if (row_add(rows, t) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
        }
        *ret = TAKE(rows);
        *ret_total = total;
        return 0;
}

static int progress_add(json_object *o, const Task *t)
{
        AUTO_JSON *p = json_object_new_object();
        int r = p ? json_add_uint(p, "done", t->done) : -ENOMEM;

        if (r >= 0)
                r = json_add_uint(p, "total", t->total);
        return r < 0 ? r : json_add(o, "progress", TAKE(p));
}

int task_store_status(TaskStore *s, const char *upid, json_object **ret, struct storaged_error *err)
{
        const Task *t = task_store_find(s, upid);
        AUTO_JSON *o = json_object_new_object();
        int r;

        if (!t)
                return error_set_param(err, -ENOENT, "upid", "no such task: '%.255s'", upid);
        r = o ? fields_add(o, t) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(o, "status", t->is_running ? "running" : "stopped");
        if (r >= 0 && !t->is_running)
                r = json_add_string(o, "exitstatus", t->exit_status);
        if (r >= 0 && t->has_progress)
                r = progress_add(o, t);
        if (r >= 0 && t->result)
                r = json_add(o, "result", json_object_get(t->result));
        if (r >= 0)
                r = json_add_uint(o, "seq", t->seq);
        if (r < 0)
                return error_set(err, r, "out of memory");
        *ret = TAKE(o);
        return 0;
}

static int line_add(json_object *rows, uint64_t n, const char *text)
{
        AUTO_JSON *row = json_object_new_object();
        int r = row ? json_add_uint(row, "n", n) : -ENOMEM;

        if (r >= 0)
                r = json_add_string(row, "t", text);
        if (r < 0)
                return r;
        if (json_object_array_add(rows, row) < 0)
                return -ENOMEM;
        (void) TAKE(row);
        return 0;
}

int task_store_log(TaskStore *s, const char *upid, uint64_t start, uint64_t limit, json_object **ret,
                   uint64_t *ret_total, struct storaged_error *err)
{
        const Task *t = task_store_find(s, upid);
        AUTO_JSON *rows = json_object_new_array();
        AUTO(freep) char *path = NULL, *text = NULL;
        uint64_t n = 0;
        size_t len = 0;
        int r;

        if (!t)
                return error_set_param(err, -ENOENT, "upid", "no such task: '%.255s'", upid);
        r = rows ? task_log_path(s, &t->fields, t->upid, &path) : -ENOMEM;
        if (r >= 0)
                r = fs_read_file(path, TASK_LOG_MAX + 65536, &text, &len);
        if (r == -ENOENT)
                r = 0; /* kept in memory only */
        if (r < 0)
                return error_set(err, r, "can't read the log of task %s: %s", upid, strerror(-r));
        for (char *line = text, *end; line && line < text + len; line = end + 1) {
                end = memchr(line, '\n', (size_t) (text + len - line));
                if (!end)
                        end = text + len;
                *end = '\0';
                n++;
                if (n <= start || (limit > 0 && n - start > limit))
                        continue;
                task_log_clean(line);
                if (line_add(rows, n, line) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
        }
        *ret = TAKE(rows);
        *ret_total = n;
        return 0;
}
