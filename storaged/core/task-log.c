/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log file of a task: text lines, the last of which tells the end. Lines are written as they come, one write
 * each, and never flushed: a killed daemon loses none, a power cut may, and then the record is closed as interrupted.
 * A line of the work can't pass for the end line, and the end line gets onto a full disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "core/task-record.h"
#include "wire/json.h"

#define RESERVED_BYTES 4096 /* kept for the end line */
#define END_ROOM 2048       /* of which this is left when the log is cut to make room for it */

int task_log_path(const TaskStore *s, const Upid *u, const char *upid, char **ret)
{
        return str_printf(ret, "%s/%X/%s", s->dir, u->start & 0xfu, upid);
}

int task_log_create(const TaskStore *s, Task *t)
{
        AUTO(freep) char *path = NULL, *dir = NULL;
        int r = task_log_path(s, &t->fields, t->upid, &path);

        if (r >= 0)
                r = str_printf(&dir, "%s/%X", s->dir, t->fields.start & 0xfu);
        if (r >= 0)
                r = fs_mkdir_p(dir, 0755);
        if (r < 0)
                return r;
        t->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (t->fd < 0)
                return -errno;
        /* So that the end can be told on a disk that has become full; where that can't be had, it is tried without. */
        (void) fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, RESERVED_BYTES);
        return 0;
}

void task_log_clean(char *line)
{
        while (*line) {
                size_t n = 1, max = strnlen(line, 4);

                while (n <= max && !json_is_utf8(line, n))
                        n++;
                if (n > max || ((unsigned char) *line < 0x20 && *line != '\t') || *line == 0x7f) {
                        *line = '?';
                        n = 1;
                }
                line += n;
        }
}

static void log_cut(Task *t, int error)
{
        LogContext context = { .task = t->upid };

        t->is_log_cut = true;
        log_full(LOG_WARNING, error, &context, "the log of the task is cut here, the task goes on");
}

static int line_write(Task *t, const char *line)
{
        AUTO(freep) char *text = NULL;
        /* Only the end line begins so. */
        int r = str_printf(&text, "%s%s\n", str_skip(line, "TASK ") ? " " : "", line);

        if (r < 0)
                return r;
        r = fs_write_all(t->fd, text, strlen(text));
        if (r >= 0)
                t->log_size += strlen(text);
        return r;
}

void task_log_append(Task *t, const char *text)
{
        AUTO(freep) char *copy = strndup(text, TASK_LINE_MAX);
        char *save = NULL;

        if (!copy || t->fd < 0)
                return;
        for (char *line = strtok_r(copy, "\r\n", &save); line && !t->is_log_cut; line = strtok_r(NULL, "\r\n", &save)) {
                int r;

                task_log_clean(line);
                if (t->log_size + strlen(line) + 2 > TASK_LOG_MAX) {
                        (void) line_write(t, "(the log has reached its limit of 4 MiB and is cut here)");
                        log_cut(t, 0);
                        return;
                }
                r = line_write(t, line);
                if (r < 0)
                        log_cut(t, r);
        }
}

/* A line cut short by a full disk ends here, so that the next one starts in column 0. */
static bool ends_in_line(int fd)
{
        struct stat st;
        char c;

        return fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &c, 1, st.st_size - 1) == 1 && c != '\n';
}

static int end_write(int fd, const char *exit_status)
{
        const char *kind = strcmp(exit_status, "OK") == 0 ? "" : "ERROR: ";
        AUTO(freep) char *end = NULL;
        int r = str_printf(&end, "%sTASK %s%.1000s\n", ends_in_line(fd) ? "\n" : "", kind, exit_status);

        return r < 0 ? r : fs_write_all(fd, end, strlen(end));
}

void task_log_end(Task *t, const char *exit_status)
{
        AUTO(closep) int fd = TAKE_FD(t->fd);
        AUTO(freep) char *path = NULL;
        int r;

        if (fd < 0)
                return;
        r = end_write(fd, exit_status);
        /* What was reserved at the start holds the end if the log is shorter than that. */
        if (r < 0 && ftruncate(fd, t->log_size < END_ROOM ? (off_t) t->log_size : END_ROOM) == 0)
                r = end_write(fd, exit_status);
        if (r < 0)
                log_full(LOG_WARNING, r, &(LogContext){ .task = t->upid },
                         "can't write the end of the task into its record");
        /* Without an end it would be shown as interrupted after a restart; no record is better than a wrong one. */
        if (r < 0 && strcmp(exit_status, TASK_INTERRUPTED) != 0 &&
            task_log_path(t->store, &t->fields, t->upid, &path) == 0)
                (void) unlink(path);
}

int task_log_read_end(int fd, char **ret)
{
        char buf[TASK_LINE_MAX + 1];
        struct stat st;
        const char *line, *end;
        ssize_t n;
        off_t from;

        if (fstat(fd, &st) < 0)
                return 0;
        from = st.st_size > TASK_LINE_MAX ? st.st_size - TASK_LINE_MAX : 0;
        n = pread(fd, buf, TASK_LINE_MAX, from);
        if (n < 1 || buf[n - 1] != '\n')
                return 0;
        buf[n - 1] = '\0';
        line = memrchr(buf, '\n', (size_t) n);
        line = line ? line + 1 : buf;
        if (strcmp(line, "TASK OK") == 0)
                end = "OK";
        else
                end = str_skip(line, "TASK ERROR: ");
        if (!end)
                return 0;
        *ret = strdup(end);
        if (!*ret)
                return -ENOMEM;
        task_log_clean(*ret);
        return 1;
}

void task_log(Task *t, const char *fmt, ...)
{
        char text[TASK_LINE_MAX];
        va_list ap;

        if (!t->is_running)
                return;
        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        task_log_append(t, text);
        task_news(t);
}
