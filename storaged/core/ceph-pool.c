/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new pool with a storage on it: the pool and its Ceph user (an action, which takes back what it made if it fails),
 * then the definition; if that is refused, pool and user go again. All in one task with one log. The note that the
 * action makes of what it begins lives until the definition is there: if we are killed before, the next create of that
 * name takes pool and user back, as it does where the action was killed.
 */
#include "core/ceph.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "core/action.h"
#include "core/ceph-pairs.h"
#include "core/definition.h"
#include "core/secret.h"
#include "core/task.h"
#include "wire/json.h"

typedef struct PoolJob {
        Core *core;
        Task *task;
        CephPairs pairs; /* of the connection, and of the creation */
        char *pool, *data_pool, *storage, *content, *keyring;
        struct storaged_error failure;
} PoolJob;

static void job_free(PoolJob *j)
{
        ceph_pairs_deinit(&j->pairs);
        free(j->pool);
        free(j->data_pool);
        free(j->storage);
        free(j->content);
        free(j->keyring);
        free(j);
}

static void job_end(PoolJob *j, const struct storaged_error *err)
{
        task_finish(j->task, err);
        job_free(j);
}

static void on_log(void *userdata, int level, const char *text)
{
        PoolJob *j = userdata;

        if (level <= STORAGED_LOG_INFO)
                task_log(j->task, "%s", text);
}

static const char *job_get(const PoolJob *j, const char *key)
{
        for (size_t i = 0; i < j->pairs.pairs.n; i++)
                if (str_eq(j->pairs.pairs.items[i].key, key))
                        return j->pairs.pairs.items[i].value;
        return NULL;
}

/* The connection and what else the action declares; all other pairs are not its. */
static void job_run(PoolJob *j, const char *action, const char *pool, reply_fn fn)
{
        static const char *const connection[] = { "monhost", "username", "keyring" };
        struct storaged_pair pairs[8];
        size_t n = 0;

        if (str_eq(action, "ceph-pool-create")) {
                action_run(j->core,
                           &(ActionCall){ .type = "rbd",
                                          .action = action,
                                          .args = j->pairs.pairs.items,
                                          .n_args = j->pairs.pairs.n,
                                          .is_direct = true,
                                          .log = on_log },
                           fn, j);
                return;
        }
        for (size_t i = 0; i < 3; i++)
                if (job_get(j, connection[i]))
                        pairs[n++] = (struct storaged_pair){ connection[i], job_get(j, connection[i]) };
        pairs[n++] = (struct storaged_pair){ "pool-name", pool };
        if (job_get(j, "client") && str_eq(pool, j->pool))
                pairs[n++] = (struct storaged_pair){ "client", job_get(j, "client") };
        action_run(
                j->core,
                &(ActionCall){
                        .type = "rbd", .action = action, .args = pairs, .n_args = n, .is_direct = true, .log = on_log },
                fn, j);
}

/* The action's (plugins/rbd/admin-pool-intent.c). */
static void forget_note(Core *c, const char *pool)
{
        AUTO(freep) char *path = NULL;

        if (str_printf(&path, "%s/ceph/%s.creating", c->paths.priv, pool) >= 0)
                (void) unlink(path);
}

/* --- taking back */

static void on_data_pool_removed(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        PoolJob *j = userdata;

        (void) reply;
        if (err)
                task_log(j->task, "pool %s could not be taken back: %s", j->data_pool, err->text);
        job_end(j, &j->failure);
}

static void on_pool_removed(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        PoolJob *j = userdata;

        (void) reply;
        if (err)
                task_log(j->task, "pool %s could not be taken back: %s", j->pool, err->text);
        else
                forget_note(j->core, j->pool);
        if (j->data_pool)
                job_run(j, "ceph-pool-destroy", j->data_pool, on_data_pool_removed);
        else
                job_end(j, &j->failure);
}

static void take_back(PoolJob *j, const struct storaged_error *err)
{
        j->failure = *err;
        task_log(j->task, "the storage was refused, so pool %s goes again: %s", j->pool, err->text);
        if (j->keyring)
                (void) unlink(j->keyring);
        job_run(j, "ceph-pool-destroy", j->pool, on_pool_removed);
}

/* --- making */

static void on_defined(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        PoolJob *j = userdata;

        (void) reply;
        if (err) {
                take_back(j, err);
                return;
        }
        (void) fault_point("ceph.pool.defined");
        forget_note(j->core, j->pool);
        task_log(j->task, "storage %s is defined on pool %s", j->storage, j->pool);
        job_end(j, NULL);
}

static void on_made(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        PoolJob *j = userdata;
        struct storaged_pair pairs[6];
        DefinitionChange change = { .id = j->storage, .type = "rbd", .pairs = pairs };

        (void) reply;
        if (err || !j->storage) {
                job_end(j, err);
                return;
        }
        (void) fault_point("ceph.pool.made");
        pairs[change.n_pairs++] = (struct storaged_pair){ "pool", j->pool };
        pairs[change.n_pairs++] = (struct storaged_pair){ "username", job_get(j, "client") };
        if (j->data_pool)
                pairs[change.n_pairs++] = (struct storaged_pair){ "data-pool", j->data_pool };
        if (job_get(j, "monhost"))
                pairs[change.n_pairs++] = (struct storaged_pair){ "monhost", job_get(j, "monhost") };
        if (j->content)
                pairs[change.n_pairs++] = (struct storaged_pair){ "content", j->content };
        definition_add(j->core, &change, on_defined, j);
}

/* The storage's own user, so that its key opens this pool and nothing else. */
static int prepare_storage(PoolJob *j, const CephPoolCreate *create, struct storaged_error *err)
{
        int r;

        if (!create->add_storage)
                return 0;
        if (config_find(j->core->config, create->add_storage))
                return error_set_param(err, -EEXIST, "add-storage", "storage '%s' exists already", create->add_storage);
        r = secret_prepare_file(&j->core->paths, "rbd", create->add_storage, "keyring", &j->keyring);
        if (r >= 0)
                r = ceph_pairs_add(&j->pairs, "client", create->add_storage);
        if (r >= 0)
                r = ceph_pairs_add(&j->pairs, "client-keyring", j->keyring);
        if (r >= 0)
                r = ceph_pairs_add(&j->pairs, "keep-note", "1");
        j->storage = strdup(create->add_storage);
        j->content = create->content ? strdup(create->content) : NULL;
        if (r >= 0 && (!j->storage || (create->content && !j->content)))
                r = -ENOMEM;
        return r < 0 ? error_set_param(err, r, "add-storage", "storage '%s': %s", create->add_storage, strerror(-r))
                     : 0;
}

static int job_new(Core *c, const CephPoolCreate *create, PoolJob **ret, struct storaged_error *err)
{
        AUTO(strbuf_deinit) StrBuf users = STRBUF_INIT;
        PoolJob *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return error_set(err, -ENOMEM, "out of memory");
        j->core = c;
        j->pool = strdup(create->pool);
        r = j->pool ? ceph_pairs_fill(c, &j->pairs, &create->call, err) : -ENOMEM;
        if (r >= 0)
                r = ceph_pairs_storages(c, &j->pairs, create->pool, &users);
        if (r >= 0 && users.len > 0) /* killed after the definition: it is whole, and nothing is to be taken back */
                forget_note(c, create->pool);
        if (r >= 0 && create->is_erasure)
                r = str_printf(&j->data_pool, "%s-data", create->pool);
        if (r >= 0)
                r = prepare_storage(j, create, err);
        if (r >= 0)
                r = task_new(c->tasks, "cephcreatepool", create->pool,
                             create->call.user ? create->call.user : "root@pam", &j->task, err);
        if (r < 0) {
                job_free(j);
                return err->code ? err->code : error_set(err, r, "out of memory");
        }
        *ret = j;
        return 0;
}

void ceph_pool_create(Core *c, const CephPoolCreate *create, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *upid = NULL;
        PoolJob *j = NULL;

        if (job_new(c, create, &j, &err) < 0) {
                fn(userdata, NULL, &err);
                return;
        }
        upid = json_object_new_string(task_get_upid(j->task));
        fn(userdata, &(Reply){ .data = upid }, NULL);
        job_run(j, "ceph-pool-create", j->pool, on_made);
}

void ceph_pool_destroy(Core *c, const CephCall *call, const char *pool, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(ceph_pairs_deinit) CephPairs p = { 0 };
        AUTO(strbuf_deinit) StrBuf users = STRBUF_INIT;
        int r = ceph_pairs_fill(c, &p, call, &err);

        if (r >= 0 && ceph_pairs_storages(c, &p, pool, &users) < 0)
                r = error_set(&err, -ENOMEM, "%s: out of memory", call->action);
        if (r >= 0 && users.len > 0)
                r = error_set_param(&err, -EBUSY, "name", "pool '%s' is used by storage %s: remove that first", pool,
                                    users.data);
        if (r < 0) {
                fn(userdata, NULL, &err);
                return;
        }
        action_run(c,
                   &(ActionCall){ .type = "rbd",
                                  .action = call->action,
                                  .args = p.pairs.items,
                                  .n_args = p.pairs.n,
                                  .user = call->user },
                   fn, userdata);
}
