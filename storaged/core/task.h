/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Long work as a record: UPID, log, progress, cancel, end. A record is a file <lib>/tasks/<last hex digit of the
 * start time>/<UPID>; its last line tells the end ("TASK OK", "TASK ERROR: …"). A record without one
 * belongs to a daemon that is gone: it is closed as interrupted when the store is opened, never shown as running.
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

#include "base/paths.h"

typedef struct Task Task;
typedef struct TaskStore TaskStore;

#define TASK_KEEP 1000 /* finished records kept; older ones are removed */

int task_store_new(TaskStore **ret, const Paths *paths, const char *node, sd_event *event, struct storaged_error *err);
/* Running tasks are closed as interrupted; those who wait are called, and may still ask for the status. */
TaskStore *task_store_free(TaskStore *s);
DEFINE_CLEANUP(TaskStore *, task_store_free)

/* Opens a record. type and id are words (imgdel, imgcopy, …; id: storage or volume, may be ""); user root@pam. */
int task_new(TaskStore *s, const char *type, const char *id, const char *user, Task **ret, struct storaged_error *err);
const char *task_get_upid(const Task *t);
void task_log(Task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void task_progress(Task *t, uint64_t done, uint64_t total);
/* The result of the work (a JSON value, or NULL), shown by status as "result"; before task_finish. */
void task_set_result(Task *t, json_object *result);
/* Called at most once when somebody stops the task; the work must then end it with task_finish(). */
void task_on_cancel(Task *t, void (*fn)(void *userdata), void *userdata);
/* Ends the record: err NULL = OK, -ECANCELED = "unexpected status"/aborted as Proxmox VE says it. `t` is the store's
 * afterwards. */
void task_finish(Task *t, const struct storaged_error *err);

/* For the API; -ENOENT (param "upid") if there is no such task. All give new references. */
typedef struct TaskFilter {
        const char *type, *user, *source; /* source: "active", "archive", "all" */
        uint32_t vmid;
        bool only_errors;
        uint64_t since, until; /* seconds, 0: any */
        uint64_t start, limit;
} TaskFilter;
int task_store_list(TaskStore *s, const TaskFilter *f, json_object **ret, uint64_t *ret_total,
                    struct storaged_error *err);
int task_store_status(TaskStore *s, const char *upid, json_object **ret, struct storaged_error *err);
/* [{"n": 1, "t": "text"}, …] */
int task_store_log(TaskStore *s, const char *upid, uint64_t start, uint64_t limit, json_object **ret,
                   uint64_t *ret_total, struct storaged_error *err);
int task_store_stop(TaskStore *s, const char *upid, struct storaged_error *err);
/*
 * Calls fn once from the event loop (never before this returns) when the task has news (log, progress, end) behind
 * `seen`, or after timeout_usec, or at once if it is over.
 */
int task_store_wait(TaskStore *s, const char *upid, uint64_t seen, uint64_t timeout_usec, void (*fn)(void *userdata),
                    void *userdata, struct storaged_error *err);
/* Forgets the waits with that fn and userdata: for one whose client has gone. */
void task_store_unwait(TaskStore *s, void (*fn)(void *userdata), void *userdata);
