/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which task records there are: those on disk when the store is opened, and the bound on their number.
 * A file of the directory is a record if its name is a UPID in the right subdirectory; anything else is left alone.
 * Only the newest are opened, and of each only its tail is read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "core/task-record.h"

#define FILES_MAX 100000 /* looked at in one go; more are left for the next start */

static inline void closedirp(DIR **d)
{
        if (*d)
                (void) closedir(*d);
}

static int record_new(TaskStore *s, const char *name, const Upid *fields)
{
        AUTO(task_record_freep) Task *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->store = s;
        t->fd = -EBADF;
        t->seq = 1;
        t->fields = *fields;
        (void) snprintf(t->upid, sizeof(t->upid), "%s", name);
        if (VEC_PUSH(&s->tasks, t) < 0)
                return -ENOMEM;
        (void) TAKE(t);
        return 0;
}

static int load_dir(TaskStore *s, unsigned digit)
{
        AUTO(freep) char *path = NULL;
        AUTO(closedirp) DIR *d = NULL;
        struct dirent *e;
        int r = str_printf(&path, "%s/%X", s->dir, digit);

        if (r < 0)
                return r;
        d = opendir(path);
        if (!d)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        while (s->tasks.n < FILES_MAX && (e = readdir(d))) {
                Upid u;

                if (upid_parse(e->d_name, &u) < 0 || (u.start & 0xfu) != digit)
                        continue;
                r = record_new(s, e->d_name, &u);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int by_start(const void *a, const void *b)
{
        const Task *x = *(Task *const *) a, *y = *(Task *const *) b;

        if (x->fields.start != y->fields.start)
                return x->fields.start < y->fields.start ? -1 : 1;
        if (x->fields.pstart != y->fields.pstart)
                return x->fields.pstart < y->fields.pstart ? -1 : 1;
        return strcmp(x->upid, y->upid);
}

static void record_remove(TaskStore *s, size_t index)
{
        Task *t = s->tasks.items[index];
        AUTO(freep) char *path = NULL;

        VEC_REMOVE(&s->tasks, index);
        if (task_log_path(s, &t->fields, t->upid, &path) == 0)
                (void) unlink(path); /* one that stays is met again at the next start */
        (void) task_record_free(t);
}

/* A record that can't be read is kept and says so. */
static int record_read_end(TaskStore *s, Task *t)
{
        AUTO(freep) char *path = NULL;
        struct stat st;
        int r = task_log_path(s, &t->fields, t->upid, &path);

        if (r < 0)
                return r;
        t->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (t->fd < 0 || fstat(t->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                closep(&t->fd);
                t->fd = -EBADF;
                t->end_time = t->fields.start;
                t->exit_status = strdup("the record can't be read");
                return t->exit_status ? 0 : -ENOMEM;
        }
        t->log_size = (size_t) st.st_size;
        t->end_time = (int64_t) st.st_mtime;
        r = task_log_read_end(t->fd, &t->exit_status);
        if (r > 0) {
                closep(&t->fd);
                t->fd = -EBADF;
                return 0;
        }
        if (r < 0)
                return r;
        t->exit_status = strdup(TASK_INTERRUPTED);
        if (!t->exit_status)
                return -ENOMEM;
        log_full(LOG_WARNING, 0, &(LogContext){ .task = t->upid },
                 "task was interrupted by the end of the last storaged");
        task_log_end(t, TASK_INTERRUPTED);
        return 0;
}

static int by_end(const void *a, const void *b)
{
        const Task *x = *(Task *const *) a, *y = *(Task *const *) b;

        return x->end_time != y->end_time ? (x->end_time < y->end_time ? -1 : 1) : by_start(a, b);
}

int task_store_load(TaskStore *s)
{
        AUTO(freep) Task **ended = NULL;
        int r = 0;

        for (unsigned digit = 0; digit < 16 && r >= 0; digit++)
                r = load_dir(s, digit);
        if (r < 0)
                return r;
        if (s->tasks.n == 0)
                return 0;
        qsort(s->tasks.items, s->tasks.n, sizeof(Task *), by_start);
        for (size_t n = s->tasks.n > TASK_KEEP ? s->tasks.n - TASK_KEEP : 0; n > 0; n--)
                record_remove(s, n - 1);
        for (size_t i = 0; i < s->tasks.n && r >= 0; i++)
                r = record_read_end(s, s->tasks.items[i]);
        ended = calloc(s->tasks.n, sizeof(Task *));
        if (r < 0 || !ended)
                return r < 0 ? r : -ENOMEM;
        memcpy(ended, s->tasks.items, s->tasks.n * sizeof(Task *));
        qsort(ended, s->tasks.n, sizeof(Task *), by_end);
        for (size_t i = 0; i < s->tasks.n; i++)
                ended[i]->end_order = ++s->n_ended;
        return 0;
}

void task_store_trim(TaskStore *s)
{
        for (;;) {
                size_t n_finished = 0, oldest = 0;

                for (size_t i = 0; i < s->tasks.n; i++) {
                        const Task *t = s->tasks.items[i];

                        if (t->is_running)
                                continue;
                        if (n_finished++ == 0 || t->end_order < s->tasks.items[oldest]->end_order)
                                oldest = i;
                }
                if (n_finished <= TASK_KEEP)
                        return;
                record_remove(s, oldest);
        }
}
