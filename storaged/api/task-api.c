/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /nodes/{node}/tasks: long work, seen and stopped. */
#include <errno.h>

#include "api/request.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/parse.h"
#include "core/task.h"

static uint64_t get_uint(const Request *r, const char *name, uint64_t dflt)
{
        return (uint64_t) params_get_int(&r->params, name, (int64_t) dflt);
}

static void list_tasks(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        TaskFilter filter = {
                .type = request_get(r, "typefilter"),
                .user = request_get(r, "userfilter"),
                .source = request_get(r, "source") ? request_get(r, "source") : "archive",
                .vmid = (uint32_t) get_uint(r, "vmid", 0),
                .only_errors = params_get_bool(&r->params, "errors", false),
                .since = get_uint(r, "since", 0),
                .until = get_uint(r, "until", 0),
                .start = get_uint(r, "start", 0),
                .limit = get_uint(r, "limit", 50),
        };
        json_object *rows = NULL;
        uint64_t total = 0;
        int n = task_store_list(r->core->tasks, &filter, &rows, &total, &err);

        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply_list(r, rows, total);
}

static void get_task(Request *r)
{
        static const char *const names[] = { "log", "status", NULL };
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *status = NULL;
        int n = task_store_status(r->core->tasks, request_get(r, "upid"), &status, &err);

        (void) json_object_put(status);
        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply_index(r, "name", names);
}

/* Also the completion of a wait: news, the end, or the time is over. */
static void reply_status(void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Request *r = userdata;
        json_object *status = NULL;
        int n = task_store_status(r->core->tasks, request_get(r, "upid"), &status, &err);

        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply_take(r, status);
}

static void get_status(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        uint64_t wait = get_uint(r, "wait", 0);
        int n;

        if (wait == 0) {
                reply_status(r);
                return;
        }
        n = task_store_wait(r->core->tasks, request_get(r, "upid"), get_uint(r, "seen", 0), wait * USEC_PER_SEC,
                            reply_status, r, &err);
        if (n < 0)
                request_fail(r, n, &err);
}

static void get_log(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *lines = NULL;
        uint64_t total = 0;
        int n = task_store_log(r->core->tasks, request_get(r, "upid"), get_uint(r, "start", 0),
                               get_uint(r, "limit", 50), &lines, &total, &err);

        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply_list(r, lines, total);
}

static void stop_task(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int n = task_store_stop(r->core->tasks, request_get(r, "upid"), &err);

        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply(r, NULL);
}

static const char *const sources[] = { "archive", "active", "all", NULL };

#define NUMBER(key, what)                                                                           \
        {                                                                                           \
                .name = key, .type = PARAM_INTEGER, .min = 0, .max = INT64_MAX, .description = what \
        }

static const ParamSpec list_params[] = {
        NUMBER("start", "Leave out so many."),
        NUMBER("limit", "Give at most so many; 0: all. 50 if not given."),
        { .name = "errors", .type = PARAM_BOOLEAN, .description = "Only those that failed." },
        { .name = "vmid", .type = PARAM_VMID, .description = "Only those about this guest." },
        { .name = "typefilter", .max_length = 63, .description = "Only those of this type." },
        { .name = "userfilter", .max_length = 255, .description = "Only those of this user." },
        { .name = "source",
          .type = PARAM_ENUM,
          .values = sources,
          .description = "Running, finished (archive, the default), or all." },
        NUMBER("since", "Started at or after this Unix time."),
        NUMBER("until", "Started at or before this Unix time."),
        { 0 },
};
static const ParamSpec status_params[] = {
        { .name = "wait",
          .type = PARAM_INTEGER,
          .min = 0,
          .max = 30,
          .description = "Wait so many seconds for news behind `seen`." },
        NUMBER("seen", "`seq` of the status seen last."),
        { 0 },
};
static const ParamSpec log_params[] = {
        NUMBER("start", "Leave out so many lines."),
        NUMBER("limit", "Give at most so many lines; 0: all. 50 if not given."),
        { 0 },
};

#define BASE "/nodes/{node}/tasks"
#define OWN "own tasks, or /nodes/{node}: Sys.Audit"

const Route task_routes[] = {
        { "GET", BASE, list_params, .permission = OWN, .description = "Tasks, newest first.", .handler = list_tasks },
        { "GET", BASE "/{upid}", .permission = OWN, .description = "What is below.", .handler = get_task },
        { "DELETE", BASE "/{upid}", .permission = "own tasks, or /nodes/{node}: Sys.Modify",
          .description = "Stops a task.", .handler = stop_task },
        { "GET", BASE "/{upid}/status", status_params, .permission = OWN, .description = "How a task is.",
          .handler = get_status },
        { "GET", BASE "/{upid}/log", log_params, .permission = OWN, .description = "Lines of a task's log.",
          .handler = get_log },
        { 0 },
};
