/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks of the whole cluster: each node tells what it holds and who waits there, and what is one lock becomes one row.
 * A lock directory that no node answers for is another program's, or of a node that can't be asked.
 */
#include "core/locks-view.h"

#include <errno.h>
#include <stdlib.h>

#include "cluster/lock.h"
#include "core/everywhere.h"
#include "wire/json.h"

typedef struct Query {
        reply_fn fn;
        void *userdata;
} Query;

static void here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        AUTO_JSON *rows = core_locks_to_json(c);
        struct storaged_error err = STORAGED_ERROR_INIT;
        Reply reply = { .data = rows };

        (void) here_data;
        if (!rows)
                (void) error_set(&err, -ENOMEM, "out of memory");
        fn(userdata, rows ? &reply : NULL, rows ? NULL : &err);
}

/* The row of the same lock. Those of storages that are one node's alone are never the same. */
static json_object *find_row(json_object *rows, json_object *like)
{
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                if (str_eq(json_get_string(row, "name"), json_get_string(like, "name")) &&
                    !json_get_bool(row, "local", false) && !json_get_bool(like, "local", false))
                        return row;
        }
        return NULL;
}

static int merge_row(json_object *rows, json_object *more)
{
        json_object *row = find_row(rows, more), *holder;
        uint64_t n_waiting;
        int r = 0;

        if (!row)
                return json_object_array_add(rows, json_object_get(more));
        n_waiting = json_get_uint(row, "waiting", 0) + json_get_uint(more, "waiting", 0);
        holder = json_get_string(more, "node") ? more : NULL;
        if (holder) {
                r = json_add_string(row, "node", json_get_string(holder, "node"));
                if (r >= 0)
                        r = json_add_string(row, "reason", json_get_string(holder, "reason"));
                if (r >= 0)
                        r = json_add_uint(row, "held_for", json_get_uint(holder, "held_for", 0));
        }
        return r < 0 ? r : json_add_uint(row, "waiting", n_waiting);
}

static void on_answers(void *userdata, const NodeAnswer *answers, size_t n)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *rows = json_object_new_array();
        Reply reply = { .data = rows };
        Query *q = userdata;
        int r = rows ? 0 : -ENOMEM;

        for (size_t i = 0; i < n && r >= 0; i++) /* one that does not answer holds nothing that we could show */
                for (size_t k = 0; json_object_is_type(answers[i].data, json_type_array) &&
                                   k < json_object_array_length(answers[i].data) && r >= 0;
                     k++)
                        r = merge_row(rows, json_object_array_get_idx(answers[i].data, k));
        if (r < 0)
                (void) error_set(&err, -ENOMEM, "out of memory");
        q->fn(q->userdata, r < 0 ? NULL : &reply, r < 0 ? &err : NULL);
        free(q);
}

void locks_query(Core *c, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Query *q = calloc(1, sizeof(*q));
        EverywhereCall call = { .method = "GET", .path = "/locks", .here = here, .fn = on_answers, .userdata = q };

        if (q)
                *q = (Query){ fn, userdata };
        if (q && everywhere_ask(c, &call) >= 0)
                return;
        free(q);
        (void) error_set(&err, -ENOMEM, "out of memory");
        fn(userdata, NULL, &err);
}
