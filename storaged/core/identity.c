/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The question comes for storages that are in use here and for those that somebody is about to add. The first are asked
 * by their own worker, the others by a worker of one call, from the definition that came along. A mark is written
 * where data is written, so that needs the storage activated; to look for one does not.
 */
#include "core/identity.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/storage.h"
#include "wire/json.h"

#define TIMEOUT_USEC (8 * USEC_PER_SEC)

typedef struct Tell {
        Core *core;
        Config *parsed; /* of the call's text; NULL: the storage is the cluster's */
        char *id;
        bool is_undone;
        reply_fn fn;
        void *userdata;
} Tell;

static Tell *tell_free(Tell *t)
{
        if (!t)
                return NULL;
        (void) config_free(t->parsed);
        free(t->id);
        free(t);
        return NULL;
}
DEFINE_CLEANUP(Tell *, tell_free)

static void on_let_go(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        (void) userdata;
        (void) body;
        (void) len;
        if (err && err->code != -EOPNOTSUPP)
                log_warning("%s", err->text); /* a mount that stays: the next try finds it */
}

static void tell_undo(Tell *t)
{
        const StorageConfig *s = t->parsed ? config_find(t->parsed, t->id) : NULL;
        StorageCall call = { .op = "deactivate", .fd = -1, .timeout_usec = TIMEOUT_USEC, .done = on_let_go };
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (t->is_undone && s && s->type->is_probed && !config_find(t->core->config, t->id) &&
            oneshot_run(t->core, s->type, s, &call, NULL, &err) < 0)
                log_warning("%s", err.text);
}

static void on_told(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Reply reply = { .raw = body, .raw_len = len };
        Tell *t = userdata;
        reply_fn fn = t->fn;
        void *fn_data = t->userdata;

        tell_undo(t);
        (void) tell_free(t);
        fn(fn_data, err ? NULL : &reply, err);
}

static const StorageConfig *tell_find(Tell *t, const char *text, struct storaged_error *err)
{
        const StorageConfig *s;

        if (!text)
                return core_find_usable(t->core, t->id, err);
        if (config_parse(t->core->schema, text, strlen(text), &t->parsed) < 0) {
                (void) error_set(err, -ENOMEM, "out of memory");
                return NULL;
        }
        s = config_find(t->parsed, t->id);
        if (!s || s->line == 0)
                (void) error_set_param(err, -EINVAL, "config", "there is no storage '%s' in it", t->id);
        else if (!s->type || !s->type->has_plugin)
                (void) error_set(err, -EOPNOTSUPP, "storage '%s': no plugin for type '%s' is installed on node '%s'",
                                 t->id, s->type_name, t->core->node);
        else if (s->broken)
                (void) error_set(err, -EINVAL, "storage '%s' can't be used: %s", t->id, s->broken);
        else
                return s;
        return NULL;
}

static json_object *make_args(const IdentityCall *call)
{
        AUTO_JSON *args = json_object_new_object();

        if (!args || json_add_string(args, "mark", call->mark) < 0 || json_add_string(args, "name", call->name) < 0)
                return NULL;
        return TAKE(args);
}

static int tell_begin(Tell *t, const IdentityCall *call, struct storaged_error *err)
{
        const StorageConfig *s = tell_find(t, call->text, err);
        AUTO_JSON *args = make_args(call);
        StorageCall request = { .op = "identify",
                                .args = args,
                                .fd = -1,
                                .timeout_usec = TIMEOUT_USEC,
                                .needs_activation = str_eq(call->mark, "write"),
                                .done = on_told,
                                .userdata = t };

        if (!s)
                return err->code;
        request.needs_activation |= call->is_used && s->type->is_probed;
        if (!args)
                return error_set(err, -ENOMEM, "out of memory");
        if (!s->type->has_identify)
                return error_set(err, -EOPNOTSUPP, "storages of type '%s' can't tell which thing they reach",
                                 s->type_name);
        return t->parsed ? oneshot_run(t->core, s->type, s, &request, NULL, err)
                         : storage_submit(t->core, s, &request, err);
}

void identity_tell(Core *c, const IdentityCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(tell_freep) Tell *t = calloc(1, sizeof(*t));
        int r;

        if (t) {
                *t = (Tell){ .core = c, .is_undone = call->is_undone, .fn = fn, .userdata = userdata };
                t->id = strdup(call->storage);
        }
        r = t && t->id ? tell_begin(t, call, &err) : error_set(&err, -ENOMEM, "out of memory");
        if (r < 0)
                fn(userdata, NULL, &err);
        else
                (void) TAKE(t);
}

char *identity_section(const StorageConfig *s)
{
        StrBuf b = STRBUF_INIT;
        char *text;

        strbuf_addf(&b, "%s: %s\n", s->type_name, s->id);
        for (size_t i = 0; i < s->n_pairs; i++)
                if (!s->pairs[i].is_default)
                        strbuf_addf(&b, "\t%s %s\n", s->pairs[i].key, s->pairs[i].value);
        text = strbuf_take(&b);
        strbuf_deinit(&b);
        return text;
}
