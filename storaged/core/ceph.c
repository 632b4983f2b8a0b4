/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls to a Ceph cluster: the connection first, from a storage's definition where one is named; then what the caller
 * said, which wins; then which storages are on which pool, for that is in storage.cfg alone.
 */
#include "core/ceph.h"

#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/vec.h"
#include "core/action.h"
#include "core/ceph-pairs.h"
#include "core/secret.h"
#include "wire/json.h"

void ceph_pairs_deinit(CephPairs *p)
{
        for (size_t i = 0; i < p->pairs.n; i++) {
                free((char *) p->pairs.items[i].key);
                free((char *) p->pairs.items[i].value);
        }
        VEC_DEINIT(&p->pairs);
}

int ceph_pairs_add(CephPairs *p, const char *key, const char *value)
{
        struct storaged_pair pair = { 0 };

        for (size_t i = 0; i < p->pairs.n; i++)
                if (str_eq(p->pairs.items[i].key, key))
                        return 0; /* what came first counts */
        pair.key = strdup(key);
        pair.value = strdup(value);
        if (pair.key && pair.value && VEC_PUSH(&p->pairs, pair) >= 0)
                return 0;
        free((char *) pair.key);
        free((char *) pair.value);
        return -ENOMEM;
}

static int add_connection(Core *c, CephPairs *p, const StorageConfig *s)
{
        static const char *const keys[] = { "monhost", "username" };
        AUTO(freep) char *keyring = NULL;
        int r = 0;

        for (size_t i = 0; i < 2 && r >= 0; i++)
                if (storage_config_get(s, keys[i]))
                        r = ceph_pairs_add(p, keys[i], storage_config_get(s, keys[i]));
        if (r >= 0)
                r = secret_path(&c->paths, s->type_name, s->id, "keyring", &keyring);
        return r >= 0 ? ceph_pairs_add(p, "keyring", keyring) : r;
}

/* A cluster is told by its monitors' addresses, or by there being none: the one of this node's ceph.conf. */
static bool is_same_cluster(const StorageConfig *s, const CephPairs *p)
{
        const char *theirs = storage_config_get(s, "monhost"), *ours = NULL;

        for (size_t i = 0; i < p->pairs.n; i++)
                if (str_eq(p->pairs.items[i].key, "monhost"))
                        ours = p->pairs.items[i].value;
        return !ours || !theirs || str_eq(ours, theirs);
}

int ceph_pairs_storages(Core *c, const CephPairs *p, const char *pool, StrBuf *ret)
{
        static const char *const keys[] = { "pool", "data-pool" };

        for (size_t i = 0; i < c->config->n_storages; i++) {
                const StorageConfig *s = c->config->storages[i];

                if (!str_eq(s->type_name, "rbd") || !is_same_cluster(s, p))
                        continue;
                for (size_t k = 0; k < 2; k++) {
                        const char *name = storage_config_get(s, keys[k]);

                        if (!name && k == 0)
                                name = "rbd"; /* the type's default */
                        if (name && pool && str_eq(name, pool))
                                strbuf_addf(ret, "%s%s", ret->len ? ", " : "", s->id);
                        else if (name && !pool)
                                strbuf_addf(ret, "%s%s=%s", ret->len ? " " : "", s->id, name);
                }
        }
        return strbuf_error(ret);
}

int ceph_pairs_fill(Core *c, CephPairs *p, const CephCall *call, struct storaged_error *err)
{
        const StorageConfig *s = call->storage ? config_find(c->config, call->storage) : NULL;
        int r = 0;

        if (call->storage && (!s || !(str_eq(s->type_name, "rbd") || str_eq(s->type_name, "cephfs"))))
                return error_set_param(err, s ? -EINVAL : -ENOENT, "storage",
                                       s ? "storage '%s' is of no type of Ceph" : "storage '%s' does not exist",
                                       call->storage);
        for (size_t i = 0; i < call->n_pairs && r >= 0; i++)
                r = ceph_pairs_add(p, call->pairs[i].key, call->pairs[i].value);
        if (r >= 0 && s)
                r = add_connection(c, p, s);
        return r < 0 ? error_set(err, r, "%s: out of memory", call->action) : 0;
}

/* Those that show or repair are told which storages are on which pool. */
static int add_storages(Core *c, CephPairs *p)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        int r = ceph_pairs_storages(c, p, NULL, &b);

        return r >= 0 && b.len > 0 ? ceph_pairs_add(p, "storages", b.data) : r;
}

void ceph_run(Core *c, const CephCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(ceph_pairs_deinit) CephPairs p = { 0 };
        int r = ceph_pairs_fill(c, &p, call, &err);

        if (r >= 0 && (str_eq(call->action, "ceph-health") || str_eq(call->action, "ceph-repair")) &&
            add_storages(c, &p) < 0)
                r = error_set(&err, -ENOMEM, "%s: out of memory", call->action);
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
