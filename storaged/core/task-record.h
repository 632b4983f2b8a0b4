/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What task.c, task-log.c and task-list.c share; for them only. */
#include <sys/queue.h>

#include "base/str.h"
#include "base/vec.h"
#include "core/task.h"
#include "core/upid.h"

#define TASK_LOG_MAX (4u << 20) /* bytes of a log; then a note and the end line */
#define TASK_LINE_MAX 4096
#define TASK_INTERRUPTED "interrupted: storaged was stopped while the task ran"

struct Task {
        TaskStore *store;
        char upid[UPID_MAX];
        Upid fields;
        int fd; /* of the log while it runs; -EBADF: none */
        size_t log_size;
        bool is_log_cut; /* limit or full disk: no more lines */
        bool is_running, is_stopping, is_cancel_told;
        char *exit_status; /* "OK" or the reason, once it is over */
        int64_t end_time;
        uint64_t end_order; /* by which the oldest finished ones go */
        uint64_t seq;
        bool has_progress;
        uint64_t done, total;
        json_object *result;
        void (*cancel)(void *userdata);
        void *cancel_userdata;
};

/* One who waits for news: its timer fires at the timeout, or at once when there are news. */
typedef struct TaskWait {
        TAILQ_ENTRY(TaskWait) entry;
        TaskStore *store;
        Task *task; /* only compared: it may be gone */
        sd_event_source *timer;
        void (*fn)(void *userdata);
        void *userdata;
} TaskWait;

struct TaskStore {
        sd_event *event;
        char *dir; /* <lib>/tasks */
        char *node;
        uint64_t pstart;
        uint32_t last_start;  /* second of the last new task… */
        uint64_t n_in_second; /* …and how many began in it */
        uint64_t n_ended;
        VEC(Task *) tasks; /* by start, oldest first */
        TAILQ_HEAD(, TaskWait) waits;
};

Task *task_record_free(Task *t);
DEFINE_CLEANUP(Task *, task_record_free)
Task *task_store_find(const TaskStore *s, const char *upid);

/* Where a record's log is. Caller frees. */
int task_log_path(const TaskStore *s, const Upid *u, const char *upid, char **ret);
/* Makes the file; -EEXIST if that UPID is taken. */
int task_log_create(const TaskStore *s, Task *t);
/* Appends a text, one line of the log per line of it; a full disk or the limit cuts the log, never the task. */
void task_log_append(Task *t, const char *text);
/* Writes the last line and closes; makes room in the file itself if the disk is full. */
void task_log_end(Task *t, const char *exit_status);
/* The end a log's last line tells: 1 with *ret (caller frees), 0 if there is none. */
int task_log_read_end(int fd, char **ret);
/* Bytes that are not UTF-8, and control characters, become '?'. In place. */
void task_log_clean(char *line);

/* Reads all records of the directory, closes those without an end, forgets the oldest. */
int task_store_load(TaskStore *s);
/* Forgets the finished ones beyond TASK_KEEP, those that ended first. */
void task_store_trim(TaskStore *s);
/* Something happened: seq grows, those who wait are called from the loop. */
void task_news(Task *t);
