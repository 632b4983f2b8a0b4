/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin's own operations, each in a worker of its own that ends with it. Whoever asks knows what the words mean;
 * here they only travel. Every call is answered exactly once, also one that could not begin.
 */
#include "core/command.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/json.h"

typedef struct Running {
        reply_fn fn;
        worker_progress_fn progress;
        void *userdata;
} Running;

static void on_done(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Reply reply = { .raw = body, .raw_len = len };
        Running *r = userdata;

        r->fn(r->userdata, err ? NULL : &reply, err);
        free(r);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total)
{
        Running *r = userdata;

        if (r->progress)
                r->progress(r->userdata, done, total);
}

static int command_args(const CommandCall *call, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        int r = o ? json_add_string(o, "command", call->name) : -ENOMEM;

        if (r >= 0 && call->args)
                r = json_add(o, "args", json_object_get(call->args));
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

static int command_begin(Core *c, const CommandCall *call, Running *running, OneShot **ret, struct storaged_error *err)
{
        const Type *type = schema_find(c->schema, call->type);
        AUTO_JSON *args = NULL;
        StorageCall storage_call = { .op = "command",
                                     .fd = -1,
                                     .timeout_usec = call->timeout_usec,
                                     .done = on_done,
                                     .progress = on_progress,
                                     .userdata = running };

        if (!type || !type->has_plugin)
                return error_set(err, -EOPNOTSUPP, "%s: no plugin for type '%s' is installed on node '%s'", call->name,
                                 call->type, c->node);
        if (command_args(call, &args) < 0)
                return error_set(err, -ENOMEM, "%s: out of memory", call->name);
        storage_call.args = args;
        return oneshot_run(c, type, NULL, &storage_call, ret, err);
}

void command_run(Core *c, const CommandCall *call, OneShot **ret)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Running *running = calloc(1, sizeof(*running));

        if (running) {
                *running = (Running){ call->fn, call->progress, call->userdata };
                if (command_begin(c, call, running, ret, &err) >= 0)
                        return;
        } else {
                (void) error_set(&err, -ENOMEM, "%s: out of memory", call->name);
        }
        free(running);
        call->fn(call->userdata, NULL, &err);
}
