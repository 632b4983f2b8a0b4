/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Edits of storage.cfg, each a row of steps on the event loop:
 *
 *   lock file-storage_cfg → read the file again → check the change, make the next text
 *   → the plugin checks the configuration → (add) store secrets, activate the storage on this node
 *   → all nodes prove that they reach the same thing (core/preflight.c) → still our lock? → write → load → unlock →
 * answer
 *
 * A step that fails ends the edit: what was done before is undone, storage.cfg is as it was.
 */
#include "core/definition.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/vec.h"
#include "cluster/lock.h"
#include "core/aside.h"
#include "core/config-file.h"
#include "core/config-read.h"
#include "core/nodes.h"
#include "core/preflight.h"
#include "core/proof.h"
#include "core/secret.h"
#include "core/storage.h"
#include "wire/json.h"

#define LOCK_NAME "file-storage_cfg"
#define LOCK_WAIT_USEC (10 * USEC_PER_SEC)
#define CHECK_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define ACTIVATE_TIMEOUT_USEC (30 * USEC_PER_SEC)

enum edit_kind { EDIT_ADD, EDIT_UPDATE, EDIT_REMOVE };

typedef struct Edit {
        Core *core;
        enum edit_kind kind;
        char *id, *type, *digest;
        VEC(struct storaged_pair) pairs, secrets; /* own their strings */
        StrList remove;
        bool has_remove;
        reply_fn fn;
        void *userdata;

        ClusterLock *lock;
        Aside work;                   /* on the secrets */
        Fence fence;                  /* for that */
        void (*next)(struct Edit *e); /* after that, if it went well */
        struct storaged_error failure;
        char *text;    /* what storage.cfg becomes */
        Config *after; /* that text, parsed */
        bool has_stored_secrets, is_forced;
        json_object *proof; /* what the nodes told; NULL: they were not asked */
} Edit;

static void pairs_free(struct storaged_pair *pairs, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                free((char *) pairs[i].key);
                free((char *) pairs[i].value);
        }
        free(pairs);
}

static Edit *edit_free(Edit *e)
{
        if (!e)
                return NULL;
        e->lock = cluster_lock_release(e->lock);
        fence_deinit(&e->fence);
        (void) config_free(e->after);
        free(e->text);
        free(e->id);
        free(e->type);
        free(e->digest);
        pairs_free(e->pairs.items, e->pairs.n);
        pairs_free(e->secrets.items, e->secrets.n);
        strlist_deinit(&e->remove);
        json_object_put(e->proof);
        free(e);
        return NULL;
}
DEFINE_CLEANUP(Edit *, edit_free)

static void forget_run(Aside *work)
{
        Edit *e = work->userdata;

        secret_remove_all(&e->core->paths, e->type, e->id, &e->fence);
}

/* What is done to the secrets is done under the lock: after its loss they may be those of another edit. */
static void work_begin(Edit *e, void (*run)(Aside *work), void (*done)(Aside *work))
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (cluster_lock_prove(e->lock, &e->fence, &err) < 0) {
                log_warning("storage '%s': its secrets are left as they are: %s", e->id, err.text);
                if (e->failure.code >= 0)
                        e->failure = err;
                e->work.userdata = e;
                done(&e->work);
                return;
        }
        e->work = (Aside){ .run = run, .done = done, .userdata = e };
        aside_begin(e->core, &e->work);
}

static void on_failed(Aside *work)
{
        Edit *e = work->userdata;
        struct storaged_error err = e->failure;
        reply_fn fn = e->fn;
        void *userdata = e->userdata;

        (void) edit_free(e);
        fn(userdata, NULL, &err);
}

/* The one end of a failed edit. */
static void edit_fail(Edit *e, const struct storaged_error *err)
{
        e->failure = *err;
        if (e->has_stored_secrets && e->kind == EDIT_ADD) {
                work_begin(e, forget_run, on_failed);
                return;
        }
        e->work.userdata = e;
        on_failed(&e->work);
}

static int edit_add_pair(Edit *e, bool secret, const struct storaged_pair *pair)
{
        struct storaged_pair copy = { strdup(pair->key), strdup(pair->value) };
        int r = -ENOMEM;

        if (copy.key && copy.value)
                r = secret ? VEC_PUSH(&e->secrets, copy) : VEC_PUSH(&e->pairs, copy);
        if (r < 0) {
                free((char *) copy.key);
                free((char *) copy.value);
        }
        return r;
}

static bool type_key_is_secret(const Type *type, const char *key)
{
        const Property *p = type ? type_find_property(type, key) : NULL;

        return p && (p->flags & STORAGED_PROPERTY_SECRET);
}

static int edit_new(Core *c, enum edit_kind kind, const DefinitionChange *change, reply_fn fn, void *userdata,
                    Edit **ret)
{
        const StorageConfig *s = config_find(c->config, change->id);
        const char *type = change->type ? change->type : s ? s->type_name : "";
        AUTO(edit_freep) Edit *e = calloc(1, sizeof(*e));
        int r = 0;

        if (!e)
                return -ENOMEM;
        *e = (Edit){ .core = c, .kind = kind, .fn = fn, .userdata = userdata };
        e->is_forced = change->is_forced;
        e->id = strdup(change->id);
        e->type = strdup(type);
        e->digest = change->digest ? strdup(change->digest) : NULL;
        if (!e->id || !e->type || (change->digest && !e->digest))
                return -ENOMEM;
        for (size_t i = 0; i < change->n_pairs && r >= 0; i++)
                r = edit_add_pair(e, type_key_is_secret(schema_find(c->schema, type), change->pairs[i].key),
                                  &change->pairs[i]);
        for (size_t i = 0; change->remove && i < change->remove->n && r >= 0; i++)
                r = strlist_adds(&e->remove, change->remove->items[i]);
        if (r < 0)
                return r;
        e->has_remove = change->remove != NULL;
        *ret = TAKE(e);
        return 0;
}

/* --- the last steps */

static void store_run(Aside *work)
{
        Edit *e = work->userdata;

        for (size_t i = 0; e->failure.code == 0 && i < e->secrets.n; i++)
                if (secret_store(&e->core->paths, e->type, e->id, e->secrets.items[i].key, e->secrets.items[i].value,
                                 &e->fence, &e->failure) >= 0)
                        e->has_stored_secrets = true;
}

static void on_stored(Aside *work)
{
        Edit *e = work->userdata;
        struct storaged_error err = e->failure;

        if (err.code < 0)
                edit_fail(e, &err);
        else
                e->next(e);
}

static void edit_store_secrets(Edit *e, void (*next)(Edit *e))
{
        e->next = next;
        if (e->secrets.n > 0)
                work_begin(e, store_run, on_stored);
        else
                next(e);
}

static int error_set_lost(const Edit *e, struct storaged_error *err)
{
        return error_set(err, -ESTALE,
                         "storage '%s': the lock '%s' was lost while the change was made; nothing was written, try "
                         "again",
                         e->id, LOCK_NAME);
}

/* Before the write, which looks at the lock itself. */
static int edit_check_commit(Edit *e, struct storaged_error *err)
{
        int fault = fault_point("config.before-write");
        int r = node_check_quorum(e->core, NULL, err);

        if (r < 0)
                return r;
        if (fault < 0)
                return error_set(err, fault, "storage '%s': can't write %s: %s; it is unchanged", e->id,
                                 e->core->paths.config, strerror(-fault));
        return 0;
}

static int edit_write_failure(const Edit *e, int r, struct storaged_error *err)
{
        if (r == -ESTALE)
                return error_set_lost(e, err);
        if (r == -ETIMEDOUT)
                return error_set(err, r,
                                 "storage '%s': can't write %s: the cluster file system stopped answering meanwhile; "
                                 "look what is there when it answers again",
                                 e->id, e->core->paths.config);
        return error_set(err, r, "storage '%s': can't write %s: %s; it is unchanged", e->id, e->core->paths.config,
                         fs_strerror(r));
}

/* Nodes that could not prove anything because they are away. */
static void edit_add_warnings(const Edit *e, json_object *data)
{
        AUTO_JSON *list = json_object_new_array();

        for (size_t i = 0; list && e->proof && i < json_object_array_length(e->proof); i++) {
                json_object *row = json_object_array_get_idx(e->proof, i);
                AUTO(freep) char *text = NULL;

                if (str_eq(json_get_string(row, "state"), "same") ||
                    str_printf(&text, "node '%s' did not prove that it reaches the same: %s",
                               json_get_string(row, "node"), json_get_string(row, "reason")) < 0)
                        continue;
                log_warning("storage '%s': %s", e->id, text);
                (void) json_object_array_add(list, json_object_new_string(text));
        }
        if (list && json_object_array_length(list) > 0)
                (void) json_add(data, "warnings", TAKE(list));
}

/* What was written is known here too. */
static void on_known(void *userdata, const struct storaged_error *err)
{
        AUTO_JSON *data = NULL;
        Edit *e = userdata;
        reply_fn fn = e->fn;
        void *fn_userdata = e->userdata;
        Reply reply = { 0 };

        log_info("storage '%s' was %s", e->id,
                 e->kind == EDIT_ADD      ? "added"
                 : e->kind == EDIT_UPDATE ? "changed"
                                          : "removed");
        if (err) {
                log_error("%s", err->text);
                config_read_later(e->core);
        }
        if (e->kind != EDIT_REMOVE) {
                reply.data = data = json_object_new_object();
                (void) json_add_string(data, "storage", e->id);
                (void) json_add_string(data, "type", e->type);
                edit_add_warnings(e, data);
        }
        proof_set(e->core, e->id, e->kind == EDIT_REMOVE ? NULL : e->proof);
        (void) edit_free(e);
        fn(fn_userdata, &reply, NULL);
}

static void on_forgotten(Aside *work)
{
        Edit *e = work->userdata;

        config_read_begin(e->core, on_known, e);
}

static void on_written(void *userdata, int r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Edit *e = userdata;

        if (r < 0) {
                (void) edit_write_failure(e, r, &err);
                edit_fail(e, &err);
                return;
        }
        (void) fault_point("config.after-write");
        if (e->kind == EDIT_REMOVE)
                work_begin(e, forget_run, on_forgotten);
        else
                config_read_begin(e->core, on_known, e);
}

static void edit_write(Edit *e)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (edit_check_commit(e, &err) < 0)
                edit_fail(e, &err);
        else
                config_file_write(e->core, e->text, e->lock, on_written, e);
}

static void edit_commit(Edit *e)
{
        if (e->kind == EDIT_ADD)
                edit_write(e);
        else
                edit_store_secrets(e, edit_write);
}

/* --- the other nodes' word */

static void on_proved(void *userdata, json_object *rows, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        Edit *e = userdata;

        e->proof = json_object_get(rows);
        if (!err) {
                edit_commit(e);
                return;
        }
        (void) error_set(&failure, err->code, "%.400s; nothing was changed, --force accepts it unproved", err->text);
        edit_fail(e, &failure);
}

/* Words about what is kept there and how; all others may lead to another thing, or to another node. */
static bool edit_may_lead_elsewhere(const Edit *e)
{
        static const char *const harmless[] = {
                "content", "content-dirs",  "prune-backups", "max-protected-backups", "bwlimit",
                "format",  "preallocation", "saferemove",    "saferemove_throughput", "snapshot-as-volume-chain",
                NULL
        };
        StrList words = STRLIST_INIT;
        bool is_harmless = true;

        for (size_t i = 0; harmless[i]; i++)
                (void) strlist_adds(&words, harmless[i]); /* one that is missing only costs a check */
        for (size_t i = 0; i < e->pairs.n; i++)
                is_harmless &= strlist_has(&words, e->pairs.items[i].key);
        for (size_t i = 0; i < e->remove.n; i++)
                is_harmless &= strlist_has(&words, e->remove.items[i]);
        strlist_deinit(&words);
        return !is_harmless || e->secrets.n > 0;
}

static void edit_prove(Edit *e)
{
        const StorageConfig *s = config_find(e->after, e->id);

        if (!s || s->is_disabled || e->is_forced || (e->kind == EDIT_UPDATE && !edit_may_lead_elsewhere(e)) ||
            !preflight_is_needed(e->core, s))
                edit_commit(e);
        else
                preflight_run(e->core, s, true, on_proved, e);
}

/* --- the plugin's word */

static void on_activated(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Edit *e = userdata;

        (void) body;
        (void) len;
        if (err)
                edit_fail(e, err);
        else
                edit_prove(e);
}

static void edit_use(Edit *e)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const StorageConfig *s = config_find(e->after, e->id);
        StorageCall call = {
                .op = "activate", .fd = -1, .timeout_usec = ACTIVATE_TIMEOUT_USEC, .done = on_activated, .userdata = e
        };

        if (oneshot_run(e->core, s->type, s, &call, NULL, &err) < 0)
                edit_fail(e, &err);
}

static void edit_activate(Edit *e)
{
        /* As Proxmox VE: what is disabled or for other nodes is taken unseen. */
        if (e->kind != EDIT_ADD || !storage_config_is_enabled_on(config_find(e->after, e->id), e->core->node))
                edit_prove(e);
        else
                edit_store_secrets(e, edit_use);
}

static void on_checked(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Edit *e = userdata;

        (void) body;
        (void) len;
        if (err)
                edit_fail(e, err);
        else
                edit_activate(e);
}

static void edit_check(Edit *e)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const StorageConfig *s = config_find(e->after, e->id);
        StorageCall call = {
                .op = "check_config", .fd = -1, .timeout_usec = CHECK_TIMEOUT_USEC, .done = on_checked, .userdata = e
        };
        AUTO_JSON *args = NULL;

        if (e->kind == EDIT_REMOVE || !s || !s->type || !s->type->has_check_config) {
                if (e->kind == EDIT_REMOVE || !s || !s->type || !s->type->has_plugin)
                        edit_commit(e);
                else
                        edit_activate(e);
                return;
        }
        args = storage_start_args(e->core, s);
        call.args = args;
        if (!args)
                (void) error_set(&err, -ENOMEM, "storage '%s': out of memory", e->id);
        if (!args || oneshot_run(e->core, s->type, NULL, &call, NULL, &err) < 0)
                edit_fail(e, &err);
}

/* --- the first steps */

static int edit_make_text(Edit *e, struct storaged_error *err)
{
        Core *c = e->core;

        if (e->digest && !str_eq(e->digest, c->config->digest))
                return error_set_param(err, -EINVAL, "digest",
                                       "detected modified configuration - file changed by other user? Try again.");
        switch (e->kind) {
        case EDIT_ADD:
                return config_add(c->config, c->schema, e->type, e->id, e->pairs.items, e->pairs.n, &e->text, err);
        case EDIT_UPDATE:
                return config_update(c->config, c->schema, e->id, e->pairs.items, e->pairs.n,
                                     e->has_remove ? &e->remove : NULL, &e->text, err);
        case EDIT_REMOVE:
                return config_remove(c->config, e->id, &e->text, err);
        }
        return -EINVAL;
}

static void on_read(void *userdata, const struct storaged_error *read_err)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Edit *e = userdata;
        int r;

        if (read_err) {
                edit_fail(e, read_err);
                return;
        }
        r = edit_make_text(e, &err);
        if (r >= 0) {
                r = config_parse(e->core->schema, e->text, strlen(e->text), &e->after);
                if (r < 0)
                        (void) error_set(&err, r, "storage '%s': out of memory", e->id);
        }
        if (r < 0)
                edit_fail(e, &err);
        else
                edit_check(e);
}

static void on_locked(void *userdata, ClusterLock *lock, const struct storaged_error *err)
{
        Edit *e = userdata;

        e->lock = lock;
        if (lock)
                config_read_begin(e->core, on_read, e);
        else
                edit_fail(e, err);
}

static void edit_begin(Core *c, enum edit_kind kind, const DefinitionChange *change, reply_fn fn, void *userdata)
{
        static const char *const reasons[] = { "add", "set", "remove" };
        struct storaged_error err = STORAGED_ERROR_INIT;
        Edit *e = NULL;
        int r;

        if (node_check_quorum(c, NULL, &err) < 0) {
                fn(userdata, NULL, &err);
                return;
        }
        r = edit_new(c, kind, change, fn, userdata, &e);
        if (r < 0) {
                (void) error_set(&err, r, "storage '%s': out of memory", change->id);
                fn(userdata, NULL, &err);
                return;
        }
        r = cluster_lock_acquire(c->locks, LOCK_NAME, false, reasons[kind], now_usec() + LOCK_WAIT_USEC, on_locked, e,
                                 NULL);
        if (r < 0) {
                (void) error_set(&err, r, "storage '%s': can't ask for the lock '%s': %s", change->id, LOCK_NAME,
                                 strerror(-r));
                edit_fail(e, &err);
        }
}

void definition_add(Core *c, const DefinitionChange *change, reply_fn fn, void *userdata)
{
        edit_begin(c, EDIT_ADD, change, fn, userdata);
}

void definition_update(Core *c, const DefinitionChange *change, reply_fn fn, void *userdata)
{
        edit_begin(c, EDIT_UPDATE, change, fn, userdata);
}

void definition_remove(Core *c, const char *id, reply_fn fn, void *userdata)
{
        DefinitionChange change = { .id = id };

        edit_begin(c, EDIT_REMOVE, &change, fn, userdata);
}
