/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node is the reference: this one if it has the storage, else the first that is there. It tells what it reaches and
 * leaves a mark there; then all others tell and look for the mark, at once; then the mark goes.
 *
 *   reference: write → others: look (again for some seconds while one can't be asked yet or is late) → compare
 *   → others: use, if it is new → reference: remove
 *
 * The same `kind` and `id`, and the mark where the type has marks, is the proof. Nodes that are offline prove nothing
 * and keep nobody from working; they are looked at when they join (core/proof.c).
 */
#include "core/preflight.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/membership.h"
#include "core/everywhere.h"
#include "core/identity.h"
#include "wire/json.h"

#define RETRY_USEC (500 * USEC_PER_MSEC)
#define RETRY_FOR_USEC (5 * USEC_PER_SEC)

typedef struct Preflight {
        Core *core;
        char *storage, *section; /* section: NULL for one that is in storage.cfg */
        char *type;
        char mark[33];
        char reference[256];
        StrList others;
        json_object *rows, *wanted; /* wanted: what the reference told */
        struct storaged_error verdict;
        uint64_t deadline_usec;
        sd_event_source *timer;
        const char *step; /* what `mark` is asked for now */
        bool is_used;     /* the others are to use it already */
        bool was_late;    /* one of them was, and is asked once more */
        preflight_fn fn;
        void *userdata;
} Preflight;

bool preflight_is_needed(const Core *c, const StorageConfig *s)
{
        size_t n = 0, n_nodes = 0;
        const Member *members = membership_get_members(c->members, &n);

        for (size_t i = 0; i < n; i++)
                n_nodes += storage_config_is_enabled_on(s, members[i].name);
        return s->is_shared && s->type && s->type->has_plugin && !s->broken && n_nodes > 1;
}

static Preflight *preflight_free(Preflight *p)
{
        if (!p)
                return NULL;
        (void) sd_event_source_disable_unref(p->timer);
        strlist_deinit(&p->others);
        json_object_put(p->rows);
        json_object_put(p->wanted);
        free(p->storage);
        free(p->section);
        free(p->type);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(Preflight *, preflight_free)

static void preflight_end(Preflight *p)
{
        Preflight copy = *p;

        p->rows = NULL;
        (void) preflight_free(p);
        copy.fn(copy.userdata, copy.rows, copy.verdict.code ? &copy.verdict : NULL);
        json_object_put(copy.rows);
}

static void add_row(Preflight *p, const char *node, const char *state, json_object *told, const char *reason)
{
        static const char *const keys[] = { "kind", "id", "detail" };
        AUTO_JSON *row = json_object_new_object();
        int r = row ? json_add_string(row, "node", node) : -ENOMEM;

        if (r >= 0)
                r = json_add_string(row, "state", state);
        for (size_t i = 0; told && r >= 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
                r = json_add_string(row, keys[i], json_get_string(told, keys[i]));
        if (r >= 0)
                r = json_add_string(row, "reason", reason);
        if (r >= 0)
                (void) json_object_array_add(p->rows, TAKE(row)); /* what is missing is only shown less */
}

/* --- asking */

static void ask_here(Core *c, void *here_data, reply_fn fn, void *userdata)
{
        const Preflight *p = here_data;
        IdentityCall call = { .storage = p->storage,
                              .text = p->section,
                              .mark = p->step,
                              .name = p->mark,
                              .is_used = p->is_used,
                              .is_undone = p->verdict.code != 0 };

        identity_tell(c, &call, fn, userdata);
}

static void add_form(StrBuf *b, const char *key, const char *value)
{
        strbuf_addf(b, "%s%s=", b->len > 0 ? "&" : "", key);
        everywhere_encode(b, value);
}

static int preflight_ask(Preflight *p, const char *step, const char *const *nodes, everywhere_fn fn)
{
        StrBuf form = STRBUF_INIT;
        EverywhereCall call = { .nodes = nodes,
                                .method = "POST",
                                .path = "/identity",
                                .here = ask_here,
                                .here_data = p,
                                .fn = fn,
                                .userdata = p };
        int r;

        p->step = step;
        add_form(&form, "storage", p->storage);
        add_form(&form, "mark", step);
        add_form(&form, "name", p->mark);
        if (p->section)
                add_form(&form, "config", p->section);
        if (p->is_used)
                add_form(&form, "use", "1");
        if (p->verdict.code)
                add_form(&form, "undo", "1");
        call.form = form.data;
        r = strbuf_error(&form) < 0 ? -ENOMEM : everywhere_ask(p->core, &call);
        strbuf_deinit(&form);
        return r;
}

static int ask_reference(Preflight *p, const char *step, everywhere_fn fn)
{
        const char *const nodes[] = { p->reference, NULL };

        return preflight_ask(p, step, nodes, fn);
}

/* --- comparing */

static void verdict_set(Preflight *p, int code, const char *text)
{
        if (p->verdict.code == 0)
                (void) error_set(&p->verdict, code, "%s", text);
}

static void on_removed(void *userdata, const NodeAnswer *answers, size_t n)
{
        Preflight *p = userdata;

        if (n > 0 && answers[0].err.code != 0)
                log_warning("storage '%s': the mark of the check can't be removed: %s", p->storage,
                            answers[0].err.text); /* the plugin removes old ones */
        preflight_end(p);
}

static void preflight_clean(Preflight *p)
{
        bool is_marked = p->wanted && str_eq(json_get_string(p->wanted, "mark"), "write");

        /* Also a type without marks may have to let go again of what was activated for the check. */
        if (!is_marked && p->verdict.code == 0)
                preflight_end(p);
        else if (ask_reference(p, "remove", on_removed) < 0)
                preflight_end(p);
}

static const char *told(json_object *o, const char *key)
{
        const char *s = json_get_string(o, key);

        return s ? s : "";
}

static void compare(Preflight *p, const NodeAnswer *a)
{
        bool is_marked = str_eq(json_get_string(p->wanted, "mark"), "write");
        char text[STORAGED_ERROR_TEXT];

        if (!a->data) {
                (void) snprintf(text, sizeof(text), "storage '%s': node '%s' does not reach it: %.300s", p->storage,
                                a->node, a->err.text);
                verdict_set(p, a->err.code == -EINVAL ? -EINVAL : -EHOSTUNREACH, text);
                add_row(p, a->node, "unreachable", NULL, a->err.text);
                return;
        }
        if (!str_eq(told(a->data, "kind"), told(p->wanted, "kind")) ||
            !str_eq(told(a->data, "id"), told(p->wanted, "id"))) {
                (void) snprintf(text, sizeof(text),
                                "storage '%s': node '%s' reaches another one: %s %.60s (%.60s), node '%s' has %s %.60s "
                                "(%.60s)",
                                p->storage, a->node, told(a->data, "kind"), told(a->data, "id"),
                                told(a->data, "detail"), p->reference, told(p->wanted, "kind"), told(p->wanted, "id"),
                                told(p->wanted, "detail"));
        } else if (is_marked && !str_eq(told(a->data, "mark"), "look")) {
                (void) snprintf(text, sizeof(text),
                                "storage '%s': node '%s' reaches another one: what node '%s' wrote (%.100s) is not "
                                "found there (%.100s)",
                                p->storage, a->node, p->reference, told(p->wanted, "detail"), told(a->data, "detail"));
        } else {
                add_row(p, a->node, "same", a->data, NULL);
                return;
        }
        verdict_set(p, -EEXIST, text);
        add_row(p, a->node, "differs", a->data, text);
}

static void preflight_look(Preflight *p);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        preflight_look(userdata);
        return 0;
}

static void on_used(void *userdata, const NodeAnswer *answers, size_t n)
{
        Preflight *p = userdata;

        for (size_t i = 0; i < n; i++)
                if (!answers[i].data)
                        log_debug("storage '%s': node '%s' does not use it yet: %s", p->storage, answers[i].node,
                                  answers[i].err.text); /* its status will tell; that it reaches the same is proved */
        p->is_used = false;
        preflight_clean(p);
}

/* What takes a mount is mounted before it is published, on all nodes at once: then it is active as soon as it is known.
 */
static void preflight_use(Preflight *p)
{
        const Type *type = schema_find(p->core->schema, p->type);

        p->is_used = p->section && p->verdict.code == 0 && type && type->is_probed;
        if (p->is_used && preflight_ask(p, "none", (const char *const *) p->others.items, on_used) >= 0)
                return;
        p->is_used = false;
        preflight_clean(p);
}

static bool has_code(const NodeAnswer *answers, size_t n, int code)
{
        for (size_t i = 0; i < n; i++)
                if (!answers[i].data && answers[i].err.code == code)
                        return true;
        return false;
}

/* A storaged that begins only now, or has no certificate yet, for some seconds; who is late for a storage that the
 * reference has just reached may be busy: once more. */
static bool is_to_be_asked_again(Preflight *p, const NodeAnswer *answers, size_t n)
{
        if (!p->was_late && has_code(answers, n, -ETIME)) {
                p->was_late = true;
                return true;
        }
        return now_usec() < p->deadline_usec && (has_code(answers, n, -EHOSTDOWN) || has_code(answers, n, -EAGAIN));
}

static void on_looked(void *userdata, const NodeAnswer *answers, size_t n)
{
        Preflight *p = userdata;

        if (is_to_be_asked_again(p, answers, n)) {
                p->timer = sd_event_source_disable_unref(p->timer);
                if (sd_event_add_time_relative(p->core->event, &p->timer, CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry,
                                               p) >= 0)
                        return;
        }
        for (size_t i = 0; i < n; i++)
                compare(p, &answers[i]);
        preflight_use(p);
}

static void preflight_look(Preflight *p)
{
        if (p->others.n > 0 && preflight_ask(p, "look", (const char *const *) p->others.items, on_looked) >= 0)
                return;
        if (p->others.n > 0)
                verdict_set(p, -ENOMEM, "out of memory");
        preflight_clean(p);
}

static void on_written(void *userdata, const NodeAnswer *answers, size_t n)
{
        Preflight *p = userdata;
        char text[STORAGED_ERROR_TEXT];

        if (n == 1 && answers[0].data) {
                p->wanted = json_object_get(answers[0].data);
                add_row(p, p->reference, "same", p->wanted, NULL);
                preflight_look(p);
                return;
        }
        if (n == 1 && answers[0].err.code == -EOPNOTSUPP) {
                log_warning("storage '%s': that all nodes reach the same one is not proved: %s", p->storage,
                            answers[0].err.text);
                add_row(p, p->reference, "unproved", NULL, answers[0].err.text);
        } else {
                (void) snprintf(text, sizeof(text), "storage '%s': node '%s' does not reach it: %.300s", p->storage,
                                p->reference, n == 1 ? answers[0].err.text : "");
                add_row(p, p->reference, "unreachable", NULL, n == 1 ? answers[0].err.text : NULL);
                verdict_set(p, n == 1 && answers[0].err.code == -ETIMEDOUT ? -ETIMEDOUT : -EHOSTUNREACH, text);
        }
        preflight_clean(p);
}

/* --- birth */

static void make_mark(char ret[static 33])
{
        uint8_t bytes[16];

        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes)) {
                uint64_t now = clock_usec(CLOCK_REALTIME); /* can't happen for 16 bytes; still a name of its own */

                for (size_t i = 0; i < sizeof(bytes); i++)
                        bytes[i] = (uint8_t) (now >> (i % 8 * 8));
        }
        for (size_t i = 0; i < sizeof(bytes); i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

static int choose_nodes(Preflight *p, const StorageConfig *s)
{
        size_t n = 0;
        const Member *members = membership_get_members(p->core->members, &n);
        int r = 0;

        for (size_t i = 0; i < n; i++)
                if (storage_config_is_enabled_on(s, members[i].name) && members[i].is_online &&
                    (!p->reference[0] || members[i].is_local))
                        (void) snprintf(p->reference, sizeof(p->reference), "%s", members[i].name);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (!storage_config_is_enabled_on(s, members[i].name) || str_eq(members[i].name, p->reference))
                        continue;
                if (members[i].is_online)
                        r = strlist_adds(&p->others, members[i].name);
                else
                        add_row(p, members[i].name, "offline", NULL, "it is offline: looked at when it joins");
        }
        return r;
}

void preflight_run(Core *c, const StorageConfig *s, bool is_new, preflight_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Preflight *p = calloc(1, sizeof(*p));

        if (p) {
                *p = (Preflight){ .core = c, .fn = fn, .userdata = userdata };
                p->deadline_usec = now_usec() + RETRY_FOR_USEC;
                p->storage = strdup(s->id);
                p->type = strdup(s->type_name);
                p->section = is_new ? identity_section(s) : NULL;
                p->rows = json_object_new_array();
                make_mark(p->mark);
        }
        if (!p || !p->storage || !p->type || (is_new && !p->section) || !p->rows || choose_nodes(p, s) < 0) {
                (void) preflight_free(p);
                (void) error_set(&err, -ENOMEM, "out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        if (!preflight_is_needed(c, s) || !p->reference[0])
                preflight_end(p);
        else if (ask_reference(p, "write", on_written) < 0) {
                verdict_set(p, -ENOMEM, "out of memory");
                preflight_end(p);
        }
}
