/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks: long work as a record that outlives it. The store owns every record; whoever does the work borrows one
 * from task_new() to task_finish(). A record is its log file plus, in memory, what changes: progress, result, end.
 * Nobody polls: each wait is one timer, fired early when there are news. A task never fails because its record can't
 * be written (freeing space must be possible on a full disk): then it lives in memory only, and a line in the
 * daemon's log says so.
 */
#include "core/task.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/task-record.h"

#define WAIT_MAX_USEC (3600 * USEC_PER_SEC)
#define UPID_TRIES 4096

/* Field 22 of /proc/self/stat; counted behind the command, which may hold blanks and parentheses. */
static uint64_t own_start_ticks(void)
{
        AUTO(freep) char *text = NULL;
        char *p, *save = NULL;
        uint64_t v;

        if (fs_read_file("/proc/self/stat", 4096, &text, NULL) < 0)
                return 0;
        p = strrchr(text, ')');
        p = p ? strtok_r(p + 1, " ", &save) : NULL;
        for (int field = 3; p && field < 22; field++)
                p = strtok_r(NULL, " ", &save);
        return p && parse_u64(p, &v) == 0 ? v & 0xffffffffu : 0;
}

Task *task_record_free(Task *t)
{
        if (!t)
                return NULL;
        closep(&t->fd);
        free(t->exit_status);
        (void) json_object_put(t->result);
        free(t);
        return NULL;
}

int task_store_new(TaskStore **ret, const Paths *paths, const char *node, sd_event *event, struct storaged_error *err)
{
        AUTO(task_store_freep) TaskStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&s->waits);
        s->event = sd_event_ref(event);
        s->dir = strdup(paths->tasks);
        s->node = strdup(node);
        if (!s->dir || !s->node)
                return error_set(err, -ENOMEM, "out of memory");
        s->pstart = own_start_ticks();
        r = fs_mkdir_p(s->dir, 0755);
        if (r >= 0)
                r = task_store_load(s);
        if (r == -ENOSPC || r == -EDQUOT || r == -EROFS) {
                (void) log_error_errno(r, "can't keep task records in %s: tasks are kept in memory only", s->dir);
                r = 0;
        }
        if (r < 0)
                return error_set(err, r, "can't open the task records in %s: %s", s->dir, strerror(-r));
        *ret = TAKE(s);
        return 0;
}

static TaskWait *task_wait_free(TaskWait *w)
{
        TAILQ_REMOVE(&w->store->waits, w, entry);
        (void) sd_event_source_disable_unref(w->timer);
        free(w);
        return NULL;
}

static void task_end(Task *t, const char *exit_status)
{
        t->exit_status = strdup(exit_status);
        if (t->exit_status) {
                for (char *c = t->exit_status; (c = strpbrk(c, "\r\n"));)
                        *c = ' ';
                task_log_clean(t->exit_status);
        }
        task_log_end(t, t->exit_status ? t->exit_status : "out of memory");
        t->is_running = false;
        t->cancel = NULL;
        t->end_time = (int64_t) time(NULL);
        t->end_order = ++t->store->n_ended;
        task_news(t);
}

TaskStore *task_store_free(TaskStore *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->tasks.n; i++)
                if (s->tasks.items[i]->is_running)
                        task_end(s->tasks.items[i], TASK_INTERRUPTED);
        for (TaskWait *w; (w = TAILQ_FIRST(&s->waits));) {
                void (*fn)(void *userdata) = w->fn;
                void *userdata = w->userdata;

                (void) task_wait_free(w);
                fn(userdata);
        }
        for (size_t i = 0; i < s->tasks.n; i++)
                (void) task_record_free(s->tasks.items[i]);
        VEC_DEINIT(&s->tasks);
        (void) sd_event_unref(s->event);
        free(s->dir);
        free(s->node);
        free(s);
        return NULL;
}

Task *task_store_find(const TaskStore *s, const char *upid)
{
        for (size_t i = s->tasks.n; i > 0; i--)
                if (strcmp(s->tasks.items[i - 1]->upid, upid) == 0)
                        return s->tasks.items[i - 1];
        return NULL;
}

/* A UPID nobody has: tasks of one second differ in PSTART, because clients take everything else literally. */
static int task_name(TaskStore *s, Task *t)
{
        if (t->fields.start != s->last_start) {
                s->last_start = t->fields.start;
                s->n_in_second = 0;
        }
        for (int i = 0; i < UPID_TRIES; i++) {
                int r;

                t->fields.pstart = s->pstart + s->n_in_second++;
                r = upid_format(&t->fields, t->upid);
                if (r < 0)
                        return r;
                if (task_store_find(s, t->upid))
                        continue;
                r = task_log_create(s, t);
                if (r == -EEXIST)
                        continue;
                if (r < 0)
                        log_full(LOG_WARNING, r, &(LogContext){ .task = t->upid },
                                 "can't make a record of the task in %s, it runs without a log", s->dir);
                return 0;
        }
        return -EEXIST;
}

static int fields_set(Upid *u, const char *node, const char *type, const char *id, const char *user)
{
        if (strlen(node) >= sizeof(u->node) || strlen(type) >= sizeof(u->type) || strlen(user) >= sizeof(u->user))
                return -EINVAL;
        u->pid = (uint32_t) getpid();
        u->start = (uint32_t) time(NULL);
        (void) snprintf(u->node, sizeof(u->node), "%s", node);
        (void) snprintf(u->type, sizeof(u->type), "%s", type);
        (void) snprintf(u->id, sizeof(u->id), "%s", id);
        (void) snprintf(u->user, sizeof(u->user), "%s", user);
        return 0;
}

int task_new(TaskStore *s, const char *type, const char *id, const char *user, Task **ret, struct storaged_error *err)
{
        AUTO(task_record_freep) Task *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return error_set(err, -ENOMEM, "out of memory");
        t->store = s;
        t->fd = -EBADF;
        t->seq = 1;
        t->is_running = true;
        r = fields_set(&t->fields, s->node, type, id, user);
        if (r >= 0)
                r = task_name(s, t);
        if (r < 0)
                return error_set(err, r, "can't open a task of type '%s' for user '%s': %s", type, user, strerror(-r));
        /* The text may have been cut: what is shown is what the UPID says. */
        (void) upid_parse(t->upid, &t->fields);
        if (VEC_PUSH(&s->tasks, t) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        log_full(LOG_INFO, 0, &(LogContext){ .task = t->upid }, "task starts");
        *ret = TAKE(t);
        return 0;
}

const char *task_get_upid(const Task *t)
{
        return t->upid;
}

void task_news(Task *t)
{
        TaskWait *w;

        t->seq++;
        TAILQ_FOREACH(w, &t->store->waits, entry)
        if (w->task == t)
                (void) sd_event_source_set_time(w->timer, 0);
}

void task_progress(Task *t, uint64_t done, uint64_t total)
{
        if (!t->is_running || (t->has_progress && t->done == done && t->total == total))
                return;
        t->has_progress = true;
        t->done = done;
        t->total = total;
        task_news(t);
}

void task_set_result(Task *t, json_object *result)
{
        (void) json_object_put(t->result);
        t->result = json_object_get(result);
}

static void task_tell_cancel(Task *t)
{
        if (t->is_stopping && t->cancel && !t->is_cancel_told && t->is_running) {
                t->is_cancel_told = true;
                t->cancel(t->cancel_userdata); /* may end the task */
        }
}

void task_on_cancel(Task *t, void (*fn)(void *userdata), void *userdata)
{
        t->cancel = fn;
        t->cancel_userdata = userdata;
        task_tell_cancel(t);
}

static const char *exit_status_of(const struct storaged_error *err)
{
        if (!err)
                return "OK";
        if (err->code == -ECANCELED)
                return "received interrupt";
        return err->text[0] ? err->text : strerror(err->code < 0 ? -err->code : EIO);
}

void task_finish(Task *t, const struct storaged_error *err)
{
        TaskStore *s = t->store;

        if (!t->is_running)
                return;
        (void) fault_point("task.before-end");
        task_end(t, exit_status_of(err));
        log_full(err ? LOG_WARNING : LOG_INFO, 0, &(LogContext){ .task = t->upid }, "task ends: %s",
                 t->exit_status ? t->exit_status : "out of memory");
        task_store_trim(s); /* never takes the one that ended last */
}

int task_store_stop(TaskStore *s, const char *upid, struct storaged_error *err)
{
        Task *t = task_store_find(s, upid);

        if (!t)
                return error_set_param(err, -ENOENT, "upid", "no such task: '%.255s'", upid);
        if (t->is_running && !t->is_stopping) {
                t->is_stopping = true;
                task_log(t, "stop requested");
                task_tell_cancel(t);
        }
        return 0;
}

static int on_wait(sd_event_source *source, uint64_t usec, void *userdata)
{
        TaskWait *w = userdata;
        void (*fn)(void *userdata) = w->fn;
        void *fn_userdata = w->userdata;

        (void) source;
        (void) usec;
        (void) task_wait_free(w); /* first: fn may wait again, or free what it likes */
        fn(fn_userdata);
        return 0;
}

int task_store_wait(TaskStore *s, const char *upid, uint64_t seen, uint64_t timeout_usec, void (*fn)(void *userdata),
                    void *userdata, struct storaged_error *err)
{
        Task *t = task_store_find(s, upid);
        uint64_t at = 0;
        TaskWait *w;
        int r;

        if (!t)
                return error_set_param(err, -ENOENT, "upid", "no such task: '%.255s'", upid);
        if (t->is_running && t->seq <= seen)
                at = now_usec() + (timeout_usec < WAIT_MAX_USEC ? timeout_usec : WAIT_MAX_USEC);
        w = calloc(1, sizeof(*w));
        if (!w)
                return error_set(err, -ENOMEM, "out of memory");
        *w = (TaskWait){ .store = s, .task = t, .fn = fn, .userdata = userdata };
        TAILQ_INSERT_TAIL(&s->waits, w, entry);
        r = sd_event_add_time(s->event, &w->timer, CLOCK_MONOTONIC, at, USEC_PER_MSEC, on_wait, w);
        if (r < 0) {
                (void) task_wait_free(w);
                return error_set(err, r, "can't wait for the task: %s", strerror(-r));
        }
        return 0;
}

void task_store_unwait(TaskStore *s, void (*fn)(void *userdata), void *userdata)
{
        TaskWait *w, *next;

        for (w = TAILQ_FIRST(&s->waits); w; w = next) {
                next = TAILQ_NEXT(w, entry);
                if (w->fn == fn && w->userdata == userdata)
                        (void) task_wait_free(w);
        }
}
