/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node that joins may reach another thing under a storage's name than the others do: somebody changed its wiring, its
 * exports or its name service while it was away. So it proves its storages to the others soon after it has come
 * together with them, one after the other. A storage that differs goes on as it is, for its guests may be running; it
 * is told in the log, in the status and by the doctor. A node that saw somebody else join asks nothing: that one does.
 */
#include "core/proof.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "cluster/membership.h"
#include "core/preflight.h"
#include "wire/json.h"

#define SETTLE_USEC (2 * USEC_PER_SEC) /* connections and storages come up meanwhile */

typedef struct Proof {
        char *storage;
        json_object *rows;
        uint64_t usec;
} Proof;

struct Proofs {
        Core *core;
        VEC(Proof) items;
        sd_event_source *timer;
        StrList todo;
        size_t n_done;
        bool is_together; /* with others, and quorate */
        bool is_running;
        struct Running *running; /* told when this ends first */
};

typedef struct Running {
        Proofs *proofs; /* NULL: the daemon ends */
        char *storage;
} Running;

static Proof *proofs_find(const Proofs *p, const char *storage)
{
        for (size_t i = 0; i < p->items.n; i++)
                if (str_eq(p->items.items[i].storage, storage))
                        return &p->items.items[i];
        return NULL;
}

void proof_set(Core *c, const char *storage, json_object *rows)
{
        Proof *known = c->proofs ? proofs_find(c->proofs, storage) : NULL;
        Proof next = { .usec = now_usec() };

        if (!c->proofs || (!known && !rows))
                return;
        if (known) {
                json_object_put(known->rows);
                known->rows = json_object_get(rows);
                known->usec = next.usec;
                return;
        }
        next.storage = strdup(storage);
        next.rows = json_object_get(rows);
        if (!next.storage || VEC_PUSH(&c->proofs->items, next) < 0) {
                free(next.storage);
                json_object_put(next.rows); /* it is only shown less */
        }
}

json_object *proof_get(const Core *c, const char *storage, uint64_t *ret_usec)
{
        const Proof *known = c->proofs ? proofs_find(c->proofs, storage) : NULL;

        if (!known || !known->rows)
                return NULL;
        *ret_usec = known->usec;
        return known->rows;
}

int proof_add_to_row(const Core *c, const char *storage, json_object *row)
{
        const char *state = NULL, *reason = NULL;
        uint64_t usec;
        json_object *rows = proof_get(c, storage, &usec);
        int r;

        for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
                json_object *one = json_object_array_get_idx(rows, i);
                const char *word = json_get_string(one, "state");
                bool is_worse =
                        !state || str_eq(word, "differs") || (str_eq(state, "same") && !str_eq(word, "offline"));

                if (str_eq(word, "offline") || !is_worse)
                        continue;
                state = str_eq(word, "unreachable") ? "unproved" : word;
                reason = json_get_string(one, "reason");
        }
        r = json_add_string(row, "identity", state);
        return r < 0 ? r : json_add_string(row, "identity_reason", reason);
}

/* --- after joining */

static void proofs_next(Proofs *p);

static void on_proved(void *userdata, json_object *rows, const struct storaged_error *err)
{
        Running *run = userdata;
        Proofs *p = run->proofs;

        if (p) {
                p->running = NULL;
                proof_set(p->core, run->storage, rows);
                if (err)
                        log_warning("%s", err->text);
        }
        free(run->storage);
        free(run);
        if (p)
                proofs_next(p);
}

static bool is_provable(const Core *c, const StorageConfig *s)
{
        return s && s->type && s->type->has_identify && !s->is_disabled && storage_config_is_enabled_on(s, c->node) &&
               preflight_is_needed(c, s);
}

static void proofs_next(Proofs *p)
{
        while (p->n_done < p->todo.n) {
                const StorageConfig *s = config_find(p->core->config, p->todo.items[p->n_done++]);
                Running *run;

                if (!is_provable(p->core, s))
                        continue;
                run = calloc(1, sizeof(*run));
                if (!run || !(run->storage = strdup(s->id))) {
                        free(run);
                        break;
                }
                run->proofs = p;
                p->running = run;
                preflight_run(p->core, s, false, on_proved, run);
                return;
        }
        p->is_running = false;
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
        Proofs *p = userdata;
        const Config *config = p->core->config;

        (void) source;
        (void) usec;
        if (!p->is_together || p->is_running)
                return 0;
        strlist_deinit(&p->todo);
        p->n_done = 0;
        for (size_t i = 0; i < config->n_storages; i++)
                if (strlist_adds(&p->todo, config->storages[i]->id) < 0)
                        break;
        p->is_running = true;
        proofs_next(p);
        return 0;
}

void proof_members_changed(Core *c)
{
        Proofs *p = c->proofs;
        size_t n = 0, n_online = 0;
        const Member *members = membership_get_members(c->members, &n);
        bool was_together = p && p->is_together;

        for (size_t i = 0; i < n; i++)
                n_online += members[i].is_online;
        if (!p)
                return;
        p->is_together = n_online > 1 && membership_is_quorate(c->members);
        if (!p->is_together || was_together)
                return;
        (void) sd_event_source_set_time_relative(p->timer, SETTLE_USEC);
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* --- birth and end */

int proofs_new(Proofs **ret, Core *c)
{
        AUTO(proofs_freep) Proofs *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->core = c;
        r = sd_event_add_time(c->event, &p->timer, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC, on_settled, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE(p);
        return 0;
}

Proofs *proofs_free(Proofs *p)
{
        if (!p)
                return NULL;
        if (p->running)
                p->running->proofs = NULL;
        (void) sd_event_source_disable_unref(p->timer);
        for (size_t i = 0; i < p->items.n; i++) {
                free(p->items.items[i].storage);
                json_object_put(p->items.items[i].rows);
        }
        VEC_DEINIT(&p->items);
        strlist_deinit(&p->todo);
        free(p);
        return NULL;
}
