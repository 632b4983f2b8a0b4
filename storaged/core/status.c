/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Status of the storages of this node. What is known is refreshed first where its storage answers within
 * a grace of milliseconds; past the grace the last known state is given, with its age. So the answer is
 * fresh where it can be and never late (docs/decisions/0002).
 */
#include "core/status.h"

#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "core/proof.h"
#include "core/storage.h"
#include "wire/json.h"
#include "wire/volname.h"

#define FRESH_USEC (200 * USEC_PER_MSEC)        /* younger figures are not asked for again */
#define GRACE_KNOWN_USEC (8 * USEC_PER_MSEC)    /* for storages of which something is known */
#define GRACE_UNKNOWN_USEC (45 * USEC_PER_MSEC) /* for those never heard of */

typedef struct StatusQuery {
        Core *core;
        StatusFilter filter;
        char *storage, *target;
        reply_fn fn;
        void *userdata;
        sd_event_source *timer;
        unsigned n_pending; /* refreshes that will still call back */
        bool is_answered;
} StatusQuery;

static void query_unref(StatusQuery *q)
{
        if (!q->is_answered || q->n_pending > 0)
                return;
        (void) sd_event_source_disable_unref(q->timer);
        free(q->storage);
        free(q->target);
        free(q);
}

static bool storage_is_wanted(const StatusQuery *q, const StorageConfig *s)
{
        if (q->storage && !str_eq(q->storage, s->id))
                return false;
        if (q->filter.contents && !(q->filter.contents & s->contents))
                return false;
        if (q->filter.only_enabled && s->is_disabled)
                return false;
        if (q->target && !str_eq(q->target, q->core->node) &&
            (!s->is_shared || !storage_config_is_enabled_on(s, q->target)))
                return false;
        return true;
}

static bool storage_is_asked(const Core *c, const StorageConfig *s)
{
        return s->type && s->type->has_plugin && !s->broken && storage_config_is_enabled_on(s, c->node);
}

static char *contents_text(uint32_t contents)
{
        StrList words = STRLIST_INIT;
        char *text;
        int r = 0;

        for (uint32_t bit = 1; bit <= STORAGED_CONTENT_NONE && r >= 0; bit <<= 1)
                if (contents & bit)
                        r = strlist_adds(&words, content_to_string(bit));
        strlist_sort(&words);
        text = r < 0 ? NULL : strlist_join(&words, ",");
        strlist_deinit(&words);
        return text;
}

static int add_formats(json_object *row, const StorageConfig *s)
{
        json_object *formats = json_object_new_object(), *supported = json_object_new_array();
        uint32_t dflt = s->type->default_format;
        const char *configured = storage_config_get(s, "format");
        int r = 0;

        for (uint32_t bit = 1; bit <= STORAGED_FORMAT_SUBVOL; bit <<= 1)
                if (s->type->formats & bit)
                        (void) json_object_array_add(supported, json_object_new_string(format_to_string(bit)));
        r = json_add(formats, "supported", supported);
        if (r >= 0)
                r = json_add_string(formats, "default", configured ? configured : format_to_string(dflt));
        if (r < 0) {
                json_object_put(formats);
                return r;
        }
        return json_add(row, "formats", formats);
}

/* Reasons are whole sentences that name the storage; beside its name that is once too often. */
static const char *reason_without_name(const char *reason, const char *id)
{
        AUTO(freep) char *prefix = NULL;
        const char *rest = NULL;

        if (reason && str_printf(&prefix, "storage '%s': ", id) >= 0)
                rest = str_skip(reason, prefix);
        return rest ? rest : reason;
}

/* The state's word and why; figures only for an active one. */
static int add_state(json_object *row, Core *c, const StorageConfig *s)
{
        const StorageStatus *known = storage_get_status(c, s);
        bool asked = storage_is_asked(c, s), active = asked && known->state == STORAGE_ACTIVE;
        const char *word = storage_state_to_string(known->state), *reason = known->reason;
        char unsupported[STORAGED_ERROR_TEXT];
        int r;

        if (!s->type || !s->type->has_plugin) {
                (void) snprintf(unsupported, sizeof(unsupported), "no plugin for type '%s' is installed", s->type_name);
                word = "unsupported";
                reason = unsupported;
        } else if (s->broken) {
                word = "broken";
                reason = s->broken;
        }
        if (!storage_config_is_enabled_on(s, c->node)) {
                word = "disabled";
                reason = NULL;
        }
        if (active && *known->reason)
                word = "degraded";
        r = json_add_int(row, "active", active);
        if (r >= 0)
                r = json_add_string(row, "state", word);
        if (r >= 0 && reason && *reason)
                r = json_add_string(row, "reason", reason_without_name(reason, s->id));
        if (r >= 0)
                r = json_add_uint(row, "total", active ? known->total_bytes : 0);
        if (r >= 0)
                r = json_add_uint(row, "used", active ? known->used_bytes : 0);
        if (r >= 0)
                r = json_add_uint(row, "avail", active ? known->avail_bytes : 0);
        if (r >= 0 && active && known->total_bytes > 0)
                r = json_add(row, "used_fraction",
                             json_object_new_double((double) known->used_bytes / (double) known->total_bytes));
        if (r >= 0)
                r = proof_add_to_row(c, s->id, row);
        if (r >= 0 && asked && known->checked_usec)
                r = json_add(row, "age",
                             json_object_new_double((double) (now_usec() - known->checked_usec) / USEC_PER_SEC));
        return r;
}

static int add_row(json_object *rows, const StatusQuery *q, const StorageConfig *s)
{
        AUTO_JSON *row = json_object_new_object();
        AUTO(freep) char *contents = contents_text(s->contents);
        int r;

        if (!row || !contents)
                return -ENOMEM;
        r = json_add_string(row, "storage", s->id);
        if (r >= 0)
                r = json_add_string(row, "type", s->type_name);
        if (r >= 0)
                r = json_add_string(row, "content", contents);
        if (r >= 0)
                r = json_add_int(row, "enabled",
                                 storage_config_is_enabled_on(s, q->core->node)); /* as Proxmox VE: on this node */
        if (r >= 0)
                r = json_add_int(row, "shared", s->is_shared);
        if (r >= 0)
                r = add_state(row, q->core, s);
        if (r >= 0 && q->filter.with_formats && s->type)
                r = add_formats(row, s);
        return r < 0 ? r : (json_object_array_add(rows, TAKE(row)) < 0 ? -ENOMEM : 0);
}

static int compare_rows(const void *a, const void *b)
{
        return strcmp(json_get_string(*(json_object *const *) a, "storage"),
                      json_get_string(*(json_object *const *) b, "storage"));
}

static void query_answer(StatusQuery *q)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *rows = json_object_new_array();
        Reply reply = { .data = rows };
        int r = rows ? 0 : -ENOMEM;

        q->is_answered = true;
        for (size_t i = 0; i < q->core->config->n_storages && r >= 0; i++)
                if (storage_is_wanted(q, q->core->config->storages[i]))
                        r = add_row(rows, q, q->core->config->storages[i]);
        if (r < 0) {
                (void) error_set(&err, r, "status: out of memory");
                q->fn(q->userdata, NULL, &err);
                return;
        }
        json_object_array_sort(rows, compare_rows);
        q->fn(q->userdata, &reply, NULL);
}

static void on_refreshed(void *userdata)
{
        StatusQuery *q = userdata;

        q->n_pending--;
        if (!q->is_answered && q->n_pending == 0)
                query_answer(q);
        query_unref(q);
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        StatusQuery *q = userdata;

        (void) source;
        (void) usec;
        if (!q->is_answered)
                query_answer(q);
        query_unref(q);
        return 0;
}

static bool query_refresh(StatusQuery *q)
{
        bool any_unknown = false;
        uint64_t now = now_usec();

        for (size_t i = 0; i < q->core->config->n_storages; i++) {
                const StorageConfig *s = q->core->config->storages[i];
                const StorageStatus *known;

                if (!storage_is_wanted(q, s) || !storage_is_asked(q->core, s))
                        continue;
                known = storage_get_status(q->core, s);
                /* An unresponsive one has a timer of its own; a fresh one needs nothing. */
                if (known->state == STORAGE_UNRESPONSIVE ||
                    (known->checked_usec && now - known->checked_usec < FRESH_USEC))
                        continue;
                any_unknown |= known->state == STORAGE_UNKNOWN;
                q->n_pending++;
                storage_refresh(q->core, s, on_refreshed, q);
        }
        return any_unknown;
}

void status_query(Core *c, const StatusFilter *filter, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        StatusQuery *q = calloc(1, sizeof(*q));
        bool any_unknown;

        if (!q) {
                (void) error_set(&err, -ENOMEM, "status: out of memory");
                fn(userdata, NULL, &err);
                return;
        }
        *q = (StatusQuery){ .core = c, .filter = *filter, .fn = fn, .userdata = userdata };
        q->storage = filter->storage ? strdup(filter->storage) : NULL;
        q->target = filter->target ? strdup(filter->target) : NULL;
        if (q->storage && !config_find(c->config, q->storage)) {
                (void) error_set_param(&err, -ENOENT, "storage", "storage '%s' does not exist", q->storage);
                q->is_answered = true;
                fn(userdata, NULL, &err);
                query_unref(q);
                return;
        }
        q->n_pending = 1; /* ourselves, until all are asked */
        any_unknown = query_refresh(q);
        q->n_pending--;
        if (q->n_pending == 0) {
                query_answer(q);
                query_unref(q);
                return;
        }
        if (sd_event_add_time_relative(c->event, &q->timer, CLOCK_MONOTONIC,
                                       any_unknown ? GRACE_UNKNOWN_USEC : GRACE_KNOWN_USEC, 1, on_grace_over, q) < 0) {
                query_answer(q);
                query_unref(q);
        }
}
