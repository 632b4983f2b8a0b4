/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of actions, and what they share: a connection with the key the caller named (else the administrator's of
 * this node), one document as the answer.
 */
#include "rbd/admin.h"
#include "rbd/store.h"

#include <errno.h>
#include <stdarg.h>

#define TEXT(name_, text_)                                                                                   \
        {                                                                                                    \
                .name = (name_), .type = STORAGED_PROPERTY_STRING, .max_length = 255, .description = (text_) \
        }
#define NUMBER(name_, min_, max_, text_)                                                          \
        {                                                                                         \
                .name = (name_), .type = STORAGED_PROPERTY_INTEGER, .min = (min_), .max = (max_), \
                .description = (text_)                                                            \
        }
#define FLAG(name_, text_)                                                                 \
        {                                                                                  \
                .name = (name_), .type = STORAGED_PROPERTY_BOOLEAN, .description = (text_) \
        }
#define POOL(text_)                                                                                         \
        {                                                                                                   \
                .name = "pool-name", .type = STORAGED_PROPERTY_STRING, .flags = STORAGED_PROPERTY_REQUIRED, \
                .max_length = 128, .description = (text_)                                                   \
        }
/* Which cluster, as whom. */
#define CONNECTION                                                                                          \
        TEXT("monhost", "Monitors of an external cluster; without: the cluster of this node's ceph.conf."), \
                TEXT("username", "Ceph user, without client.; default admin."),                             \
        {                                                                                                   \
                .name = "keyring", .type = STORAGED_PROPERTY_STRING, .max_length = 4096,                    \
                .description = "File with the user's key; without: as ceph.conf says."                      \
        }

static const struct storaged_property connection_params[] = { CONNECTION, { 0 } };

static const char *const applications[] = { "rbd", "cephfs", "rgw", NULL };
static const char *const pool_types[] = { "replicated", "erasure", NULL };

static const struct storaged_property health_params[] = {
        CONNECTION,
        TEXT("storages", "Storages of this cluster as ID=POOL pairs, separated by spaces."),
        { 0 },
};

static const struct storaged_property repair_params[] = {
        CONNECTION,
        TEXT("pool-name", "Only this pool."),
        TEXT("check", "Only this check."),
        FLAG("dry-run", "Say what would be done, change nothing."),
        { .name = "application",
          .type = STORAGED_PROPERTY_ENUM,
          .values = applications,
          .description = "What the pool is for, where that can't be told from what is in it." },
        { .name = "storages",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 65536,
          .description = "Storages of this cluster as ID=POOL pairs, separated by spaces." },
        { 0 },
};

static const struct storaged_property create_params[] = {
        CONNECTION,
        POOL("Name of the new pool."),
        { .name = "application",
          .type = STORAGED_PROPERTY_ENUM,
          .values = applications,
          .description = "What it is for; default rbd." },
        { .name = "pool-type",
          .type = STORAGED_PROPERTY_ENUM,
          .values = pool_types,
          .description = "How data is kept; erasure: in a second pool, NAME-data, beside a replicated one." },
        NUMBER("size", 1, 10, "Copies of each object."),
        NUMBER("min-size", 1, 10, "Copies that must be writable."),
        NUMBER("pg-num", 1, 65536, "Placement groups."),
        NUMBER("ec-k", 2, 32, "Erasure coding: data chunks."),
        NUMBER("ec-m", 1, 32, "Erasure coding: coding chunks."),
        TEXT("failure-domain", "Erasure coding: what chunks are spread over; default host."),
        TEXT("client", "Makes a user of this name (without client.) that may use the pool's images, and nothing else."),
        { .name = "client-keyring",
          .type = STORAGED_PROPERTY_STRING,
          .max_length = 4096,
          .description = "File below the cluster's priv/ that gets the user's key." },
        FLAG("keep-note",
             "The caller has more to make, and removes the note of what is being made (priv/ceph/POOL.creating)."),
        { 0 },
};

static const struct storaged_property set_params[] = {
        CONNECTION,
        POOL("Name of the pool."),
        NUMBER("size", 1, 10, "Copies of each object."),
        NUMBER("min-size", 1, 10, "Copies that must be writable."),
        NUMBER("pg-num", 1, 65536, "Placement groups."),
        NUMBER("quota-bytes", 0, INT64_MAX, "Most bytes; 0: no limit."),
        NUMBER("quota-objects", 0, INT64_MAX, "Most objects; 0: no limit."),
        { .name = "application",
          .type = STORAGED_PROPERTY_ENUM,
          .values = applications,
          .description = "For a pool that has none yet." },
        { 0 },
};

static const struct storaged_property destroy_params[] = {
        CONNECTION,
        POOL("Name of the pool."),
        TEXT("client", "Removes this user, too."),
        TEXT("storages", "Storages that use it: then it is refused."),
        FLAG("dry-run", "Only say whether it could be removed."),
        { 0 },
};

static const struct storaged_property look_params[] = {
        CONNECTION,
        { .name = "view",
          .type = STORAGED_PROPERTY_STRING,
          .flags = STORAGED_PROPERTY_REQUIRED,
          .max_length = 64,
          .description = "What to show: a path of Proxmox VE's below ceph/." },
        TEXT("name", "Of the pool, OSD, flag or daemon."),
        TEXT("scope", "metadata: versions, or all."),
        TEXT("service", "cmd-safety: osd, mon, mds."),
        TEXT("action", "cmd-safety: stop, destroy."),
        NUMBER("start", 0, INT32_MAX, "log: first line, from 0."),
        NUMBER("limit", 0, INT32_MAX, "log: how many lines."),
        { 0 },
};

static const struct storaged_property flatten_params[] = {
        { .name = "volume",
          .type = STORAGED_PROPERTY_STRING,
          .flags = STORAGED_PROPERTY_REQUIRED,
          .description = "Name of the volume, without the storage's." },
        { 0 },
};

const struct storaged_action rbd_actions[] = {
        { "ceph-status", "State of the Ceph cluster, as the cluster tells it", STORAGED_ACTION_READ,
          connection_params },
        { "ceph-health", "Checks that the Ceph cluster raises, explained", STORAGED_ACTION_READ, health_params },
        { "ceph-look", "A part of the Ceph cluster's state, as Proxmox VE shows it", STORAGED_ACTION_READ,
          look_params },
        { "ceph-repair", "Repair what a check is about, where that is safe", STORAGED_ACTION_TASK, repair_params },
        { "ceph-pools", "Pools of the Ceph cluster", STORAGED_ACTION_READ, connection_params },
        { "ceph-pool-create", "Make a pool, ready for use", STORAGED_ACTION_TASK, create_params },
        { "ceph-pool-set", "Change a pool", 0, set_params },
        { "ceph-pool-destroy", "Remove a pool that nobody uses", STORAGED_ACTION_TASK, destroy_params },
        { "flatten", "Give a linked clone all its data, so that it needs its template no more",
          STORAGED_ACTION_STORAGE | STORAGED_ACTION_TASK, flatten_params },
        { 0 },
};

static const struct {
        const char *name;
        int (*run)(Admin *a, json_object **ret, STORAGED_ERR);
        unsigned limit_ms; /* 0: none; each step of a long one is bounded by itself */
} runs[] = {
        { "ceph-status", act_status, CEPH_SHORT_MS },
        { "ceph-health", act_health, 20000 },
        { "ceph-look", act_look, 20000 },
        { "ceph-repair", act_repair, 0 },
        { "ceph-pools", act_pools, CEPH_SHORT_MS },
        { "ceph-pool-create", act_pool_create, 0 },
        { "ceph-pool-set", act_pool_set, 20000 },
        { "ceph-pool-destroy", act_pool_destroy, 0 },
};

/* --- what the files share */

const char *admin_get(const Admin *a, const char *key)
{
        const char *v = storaged_config_get(a->args, key);

        return v && *v ? v : NULL;
}

void json_append(json_object *array, const char *fmt, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        (void) json_object_array_add(array, json_object_new_string(text));
}

void json_member(json_object *o, const char *key, json_object *value)
{
        if (value && json_object_object_add(o, key, value) < 0)
                (void) json_object_put(value);
}

/* --- one action */

static void admin_deinit(Admin *a)
{
        ceph_cluster_deinit(&a->cluster);
}

/* Whoever asks is an administrator: the words for a storage's user would send them the wrong way. */
static int denied(const Admin *a, STORAGED_ERR)
{
        return error_set(err, -EACCES,
                         "permission denied: client.%s is no administrator of this Ceph cluster: name one with "
                         "--username and --keyring (caps mon 'allow *', osd 'allow *', mgr 'allow *')",
                         a->cluster.user);
}

static int run(Admin *a, size_t i, json_object **ret, STORAGED_ERR)
{
        int r;

        {
                CEPH_WATCH(&a->cluster.watch, CEPH_SHORT_MS, "connect to the Ceph cluster");
                r = ceph_cluster_connect(&a->cluster, err);
        }
        if (r >= 0 && runs[i].limit_ms > 0) {
                CEPH_WATCH(&a->cluster.watch, runs[i].limit_ms, "%s", runs[i].name);
                r = runs[i].run(a, ret, err);
        } else if (r >= 0) {
                r = runs[i].run(a, ret, err);
        }
        return r == -EACCES || (r == -EPERM && strstr(err->text, "permission denied")) ? denied(a, err) : r;
}

int rbd_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
            storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        const struct storaged_config config = {
                .size = sizeof(config), .storage = "ceph", .n_pairs = args->n_pairs, .pairs = args->pairs
        };
        AUTO(admin_deinit) Admin a = { .args = args };
        AUTO(ceph_jsonp) json_object *answer = NULL;
        size_t length = 0, i = 0;
        const char *text;
        int r;

        if (self && strcmp(action, "flatten") == 0)
                return rbdstore_flatten(self, args, fn, userdata, err);
        while (i < sizeof(runs) / sizeof(runs[0]) && strcmp(runs[i].name, action) != 0)
                i++;
        if (i == sizeof(runs) / sizeof(runs[0]))
                return error_set(err, -EOPNOTSUPP, "type rbd has no action '%s'", action);
        r = ceph_cluster_init(&a.cluster, host, &config, err);
        if (r < 0)
                return r;
        r = run(&a, i, &answer, err);
        if (r < 0 || !answer)
                return r;
        text = json_object_to_json_string_length(answer, JSON_C_TO_STRING_PLAIN, &length);
        return text ? fn(userdata, text, length) : error_set(err, -ENOMEM, "%s: no memory", action);
}
