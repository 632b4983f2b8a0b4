/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All nodes are asked at once. Whoever has not answered after GRACE_USEC does not hold up the others: of that node is
 * shown what it said last and how old that is; its answer is kept for the next time. An offline node is not asked. A
 * node is asked once, however many want to know. Invariant: a query is answered exactly once, at the latest after the
 * grace.
 */
#include "core/overview.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/vec.h"
#include "cluster/membership.h"
#include "core/everywhere.h"
#include "core/status.h"
#include "wire/json.h"

#define GRACE_USEC (700 * USEC_PER_MSEC)

/* A node and what it said. Never freed while the daemon runs: they are few. */
typedef struct Seen {
        Overview *overview; /* NULL: the daemon ends, only the answer is missing */
        char node[256];
        json_object *rows;
        uint64_t usec;             /* when they came */
        struct storaged_error err; /* why there are no newer ones; code 0: there are */
        bool is_asked;             /* an answer is under way */
} Seen;

typedef struct Query {
        Overview *overview;
        reply_fn fn;
        void *userdata;
        sd_event_source *timer;
} Query;

struct Overview {
        Core *core;
        VEC(Seen *) seen;
        VEC(Query *) queries;
};

static Seen *overview_see(Overview *o, const char *node)
{
        Seen *s;

        for (size_t i = 0; i < o->seen.n; i++)
                if (str_eq(o->seen.items[i]->node, node))
                        return o->seen.items[i];
        s = calloc(1, sizeof(*s));
        if (!s || VEC_PUSH(&o->seen, s) < 0) {
                free(s);
                return NULL;
        }
        s->overview = o;
        (void) snprintf(s->node, sizeof(s->node), "%s", node);
        return s;
}

/* --- the answer */

static int add_age(json_object *row, json_object *said, uint64_t more_usec)
{
        json_object *age = json_get(said, "age");

        if (!age)
                return 0;
        return json_add(row, "age",
                        json_object_new_double(json_object_get_double(age) + (double) more_usec / USEC_PER_SEC));
}

static int add_said(json_object *rows, const Seen *s, json_object *said)
{
        AUTO_JSON *row = json_object_new_object();
        int r = row ? json_add_string(row, "node", s->node) : -ENOMEM;

        json_object_object_foreach (said, key, value) {
                if (r >= 0 && !str_eq(key, "age"))
                        r = json_add(row, key, json_object_get(value));
        }
        if (r >= 0)
                r = add_age(row, said, now_usec() - s->usec);
        if (r >= 0 && s->err.code)
                r = json_add_string(row, "node_reason", s->err.text);
        return r < 0 ? r : json_object_array_add(rows, TAKE(row)) < 0 ? -ENOMEM : 0;
}

/* Of a node that never said anything: what it would have. */
static int add_unknown(json_object *rows, const Core *c, const char *node, const char *reason)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->config->n_storages; i++) {
                const StorageConfig *s = c->config->storages[i];
                AUTO_JSON *row = json_object_new_object();

                if (!storage_config_is_enabled_on(s, node))
                        continue;
                r = row ? json_add_string(row, "node", node) : -ENOMEM;
                if (r >= 0)
                        r = json_add_string(row, "storage", s->id);
                if (r >= 0)
                        r = json_add_string(row, "type", s->type_name);
                if (r >= 0)
                        r = json_add_int(row, "shared", s->is_shared);
                if (r >= 0)
                        r = json_add_int(row, "active", 0);
                if (r >= 0)
                        r = json_add_string(row, "state", "unknown");
                if (r >= 0)
                        r = json_add_string(row, "node_reason", reason);
                if (r >= 0)
                        r = json_object_array_add(rows, TAKE(row)) < 0 ? -ENOMEM : 0;
        }
        return r;
}

static int add_node(json_object *rows, Overview *o, const Member *m)
{
        Seen *s = overview_see(o, m->name);
        int r = 0;

        if (!s)
                return -ENOMEM;
        if (!m->is_online)
                (void) error_set(&s->err, -EHOSTDOWN, "node '%s' is offline", m->name);
        else if (s->is_asked)
                (void) error_set(&s->err, -ETIMEDOUT, "node '%s' has not answered yet", m->name);
        if (!s->rows)
                return add_unknown(rows, o->core, m->name, s->err.code ? s->err.text : "it was not asked yet");
        for (size_t i = 0; r >= 0 && i < json_object_array_length(s->rows); i++)
                r = add_said(rows, s, json_object_array_get_idx(s->rows, i));
        return r;
}

static void query_end(Query *q)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *rows = json_object_new_array();
        Overview *o = q->overview;
        size_t n = 0;
        const Member *members = membership_get_members(o->core->members, &n);
        int r = rows ? 0 : -ENOMEM;
        Reply reply = { .data = rows };
        Query copy = *q;

        for (size_t i = 0; i < o->queries.n; i++)
                if (o->queries.items[i] == q) {
                        VEC_REMOVE(&o->queries, i);
                        break;
                }
        (void) sd_event_source_disable_unref(q->timer);
        free(q);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_node(rows, o, &members[i]);
        if (r < 0)
                (void) error_set(&err, r, "status of the cluster: out of memory");
        copy.fn(copy.userdata, r < 0 ? NULL : &reply, r < 0 ? &err : NULL);
}

static bool overview_is_waiting(const Overview *o)
{
        for (size_t i = 0; i < o->seen.n; i++)
                if (o->seen.items[i]->is_asked)
                        return true;
        return false;
}

/* --- asking */

static void ask_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        const StatusFilter all = { 0 };

        (void) here_data;
        status_query(c, &all, fn, userdata);
}

static void on_answer(void *userdata, const NodeAnswer *answers, size_t n)
{
        const NodeAnswer *a = n > 0 ? &answers[0] : NULL;
        Seen *s = userdata;
        Overview *o = s->overview;

        if (!o) {
                free(s);
                return;
        }
        s->is_asked = false;
        if (a && a->data && json_object_is_type(a->data, json_type_array)) {
                json_object_put(s->rows);
                s->rows = json_object_get(a->data);
                s->usec = now_usec();
                s->err = (struct storaged_error) STORAGED_ERROR_INIT;
        } else if (a && a->err.code) {
                s->err = a->err;
        }
        while (!overview_is_waiting(o) && o->queries.n > 0 && o->queries.items[0]->timer)
                query_end(o->queries.items[0]);
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        query_end(userdata);
        return 0;
}

static void overview_ask(Overview *o)
{
        size_t n = 0;
        const Member *members = membership_get_members(o->core->members, &n);

        for (size_t i = 0; i < n; i++) {
                Seen *s = overview_see(o, members[i].name);
                const char *const nodes[] = { members[i].name, NULL };
                EverywhereCall call = { .nodes = nodes,
                                        .method = "GET",
                                        .path = "/storage",
                                        .here = ask_here,
                                        .fn = on_answer,
                                        .userdata = s };

                if (!s || s->is_asked || !members[i].is_online)
                        continue;
                s->is_asked = true;
                if (everywhere_ask(o->core, &call) < 0)
                        s->is_asked = false;
        }
}

void overview_query(Core *c, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Query *q = calloc(1, sizeof(*q));
        Overview *o = c->overview;

        if (!q || VEC_PUSH(&o->queries, q) < 0) {
                free(q);
                (void) error_set(&err, -ENOMEM, "status of the cluster: out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        *q = (Query){ .overview = o, .fn = fn, .userdata = userdata };
        overview_ask(o); /* without a timer it is not answered in here */
        if (!overview_is_waiting(o) ||
            sd_event_add_time_relative(c->event, &q->timer, CLOCK_MONOTONIC, GRACE_USEC, 1000, on_grace_over, q) < 0)
                query_end(q);
}

/* --- birth and end */

int overview_new(Overview **ret, Core *c)
{
        Overview *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->core = c;
        *ret = o;
        return 0;
}

Overview *overview_free(Overview *o)
{
        if (!o)
                return NULL;
        while (o->queries.n > 0)
                query_end(o->queries.items[0]);
        for (size_t i = 0; i < o->seen.n; i++) {
                Seen *s = o->seen.items[i];

                json_object_put(s->rows);
                s->overview = NULL;
                if (!s->is_asked)
                        free(s);
        }
        VEC_DEINIT(&o->seen);
        VEC_DEINIT(&o->queries);
        free(o);
        return NULL;
}
