/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doctor of the whole cluster: every node examines itself, all at once; what only comparing shows is found here.
 * Three parts run beside each other and put their rows into one list: the nodes' own, their clocks and versions, and
 * for each shared storage the proof that all reach the same thing.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cluster/membership.h"
#include "core/doctor.h"
#include "core/everywhere.h"
#include "core/preflight.h"
#include "core/proof.h"
#include "wire/json.h"

#define CLOCK_WARNING_SEC 1.0
#define CLOCK_ERROR_SEC 10.0

typedef struct Rounds {
        Core *core;
        json_object *rows;
        unsigned n_held;
        reply_fn fn;
        void *userdata;
} Rounds;

/* One question of the rounds, to one node or about one storage. */
typedef struct Visit {
        Rounds *rounds;
        char object[256];
        uint64_t begun_usec; /* CLOCK_REALTIME */
} Visit;

static Visit *visit_new(Rounds *r, const char *object)
{
        Visit *v = calloc(1, sizeof(*v));

        if (!v)
                return NULL;
        v->rounds = r;
        v->begun_usec = clock_usec(CLOCK_REALTIME);
        (void) snprintf(v->object, sizeof(v->object), "%s", object);
        r->n_held++;
        return v;
}

static void rounds_release(Rounds *r)
{
        Reply reply = { .data = r->rows };

        if (--r->n_held > 0)
                return;
        r->fn(r->userdata, &reply, NULL);
        json_object_put(r->rows);
        free(r);
}

static void visit_end(Visit *v)
{
        Rounds *r = v->rounds;

        free(v);
        rounds_release(r);
}

static void add_row(Rounds *r, const char *node, const char *check, const char *severity, const char *code,
                    const char *object, const char *summary, const char *action)
{
        const char *const pairs[][2] = { { "node", node },    { "check", check },   { "severity", severity },
                                         { "code", code },    { "object", object }, { "summary", summary },
                                         { "action", action } };
        AUTO_JSON *row = json_object_new_object();

        for (size_t i = 0; row && i < sizeof(pairs) / sizeof(pairs[0]); i++)
                if (json_add_string(row, pairs[i][0], pairs[i][1]) < 0)
                        return; /* out of memory: the next allocation tells the caller */
        if (row)
                (void) json_object_array_add(r->rows, TAKE(row));
}

/* --- the nodes' own */

static void ask_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        (void) here_data;
        doctor_run(c, fn, userdata);
}

static void on_node(void *userdata, const NodeAnswer *answers, size_t n)
{
        Visit *v = userdata;
        const NodeAnswer *a = n > 0 ? &answers[0] : NULL;

        if (a && a->data && json_object_is_type(a->data, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(a->data); i++)
                        (void) json_object_array_add(v->rounds->rows,
                                                     json_object_get(json_object_array_get_idx(a->data, i)));
        } else {
                add_row(v->rounds, v->object, "node", "error", "NODE_UNREACHABLE", NULL,
                        a ? a->err.text : "it did not answer", "look whether storaged runs there, and at its log");
        }
        visit_end(v);
}

/* --- clocks and versions */

static void clock_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        AUTO_JSON *clock = doctor_clock_to_json();
        Reply reply = { .data = clock };

        (void) c;
        (void) here_data;
        fn(userdata, &reply, NULL);
}

static void on_clock(void *userdata, const NodeAnswer *answers, size_t n)
{
        uint64_t now = clock_usec(CLOCK_REALTIME);
        Visit *v = userdata;
        const NodeAnswer *a = n > 0 ? &answers[0] : NULL;
        const char *version = a ? json_get_string(a->data, "version") : NULL;
        json_object *time = a ? json_get(a->data, "time") : NULL;
        /* It looked at its clock somewhere between our question and its answer. */
        double ours = ((double) now + (double) v->begun_usec) / 2 / USEC_PER_SEC,
               unsure = (double) (now - v->begun_usec) / 2 / USEC_PER_SEC, off;
        char text[256];

        if (time) {
                off = json_object_get_double(time) - ours;
                (void) snprintf(text, sizeof(text), "its clock is %.2f s %s that of '%s' (to within %.2f s)", fabs(off),
                                off < 0 ? "behind" : "ahead of", v->rounds->core->node, unsure);
                off = fabs(off) - unsure;
                add_row(v->rounds, v->object, "clock",
                        off > CLOCK_ERROR_SEC     ? "error"
                        : off > CLOCK_WARNING_SEC ? "warning"
                                                  : "ok",
                        off > CLOCK_WARNING_SEC ? "CLOCK_DIFFERS" : "CLOCK", NULL, text,
                        off > CLOCK_WARNING_SEC ? "let all nodes follow the same time servers (chronyc sources)"
                                                : NULL);
        }
        if (version && !str_eq(version, STORAGED_VERSION)) {
                (void) snprintf(text, sizeof(text), "storaged %.64s, on '%.100s' it is " STORAGED_VERSION, version,
                                v->rounds->core->node);
                add_row(v->rounds, v->object, "version", "warning", "VERSION_DIFFERS", NULL, text,
                        "finish the upgrade: the same version on all nodes");
        } else if (version) {
                add_row(v->rounds, v->object, "version", "ok", "VERSION", NULL, "storaged " STORAGED_VERSION, NULL);
        }
        visit_end(v);
}

static void ask_node(Rounds *r, const char *node, const char *path,
                     void (*here)(Core *c, void *here_data, reply_fn fn, void *userdata), everywhere_fn fn)
{
        const char *const nodes[] = { node, NULL };
        Visit *v = visit_new(r, node);
        EverywhereCall call = { .nodes = nodes, .method = "GET", .path = path, .here = here, .fn = fn, .userdata = v };

        if (v && everywhere_ask(r->core, &call) < 0)
                visit_end(v);
}

/* --- what storages reach */

static void on_proved(void *userdata, json_object *rows, const struct storaged_error *err)
{
        Visit *v = userdata;
        size_t n = rows ? json_object_array_length(rows) : 0;

        proof_set(v->rounds->core, v->object, rows);
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i);
                const char *state = json_get_string(row, "state"), *reason = json_get_string(row, "reason"),
                           *detail = json_get_string(row, "detail"), *id = json_get_string(row, "id");
                bool is_same = str_eq(state, "same"), is_away = str_eq(state, "offline") || str_eq(state, "unproved");
                char text[STORAGED_ERROR_TEXT];

                (void) snprintf(text, sizeof(text), "%.300s", reason ? reason : "the same on all nodes");
                if (is_same)
                        (void) snprintf(text, sizeof(text), "reaches %.200s%s%.200s", id ? id : "",
                                        id && *id ? " at " : "", detail ? detail : "");
                add_row(v->rounds, json_get_string(row, "node"), "identity",
                        is_same   ? "ok"
                        : is_away ? "info"
                                  : "error",
                        is_same   ? "IDENTITY"
                        : is_away ? "IDENTITY_UNPROVED"
                                  : "IDENTITY_DIFFERS",
                        v->object, text,
                        is_same || is_away ? NULL : "compare what the nodes have: wiring, exports, names, monitors");
        }
        if (err && n == 0)
                add_row(v->rounds, v->rounds->core->node, "identity", "warning", "CHECK_FAILED", v->object, err->text,
                        NULL);
        visit_end(v);
}

static void visit_storages(Rounds *r)
{
        const Config *config = r->core->config;

        /* A mark is written: that is a change of what is common. */
        for (size_t i = 0; membership_is_quorate(r->core->members) && i < config->n_storages; i++) {
                const StorageConfig *s = config->storages[i];
                Visit *v;

                if (s->is_disabled || !preflight_is_needed(r->core, s))
                        continue;
                v = visit_new(r, s->id);
                if (v)
                        preflight_run(r->core, s, false, on_proved, v);
        }
}

void doctor_run_all(Core *c, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Rounds *r = calloc(1, sizeof(*r));
        size_t n = 0;
        const Member *members = membership_get_members(c->members, &n);

        if (r)
                *r = (Rounds){
                        .core = c, .rows = json_object_new_array(), .n_held = 1, .fn = fn, .userdata = userdata
                };
        if (!r || !r->rows) {
                free(r);
                (void) error_set(&err, -ENOMEM, "doctor: out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                if (!members[i].is_online)
                        continue;
                ask_node(r, members[i].name, "/doctor", ask_here, on_node);
                if (n > 1)
                        ask_node(r, members[i].name, "/clock", clock_here, on_clock);
        }
        visit_storages(r);
        rounds_release(r);
}
