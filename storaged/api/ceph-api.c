/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /nodes/{node}/ceph and /cluster/ceph: a Ceph cluster as its administrator sees it. Paths and names are Proxmox VE's
 * where it has the call (status, pool); health and repair are ours. A call is about the cluster of this node's
 * ceph.conf, or that of the storage it names.
 */
#include <errno.h>

#include "api/request.h"
#include "api/route.h"
#include "base/vec.h"
#include "core/ceph.h"
#include "wire/json.h"
#include "wire/volname.h"

enum { CEPH_STATUS, CEPH_HEALTH, CEPH_REPAIR, CEPH_POOLS, CEPH_POOL_SET, CEPH_POOL_DESTROY };

/* Parts of the path that an action knows by another name. */
static const struct storaged_pair path_params[] = {
        { "pool", "pool-name" },
        { "osdid", "name" },
        { "flag", "name" },
};

static const char *const actions[] = {
        [CEPH_STATUS] = "ceph-status", [CEPH_HEALTH] = "ceph-health",     [CEPH_REPAIR] = "ceph-repair",
        [CEPH_POOLS] = "ceph-pools",   [CEPH_POOL_SET] = "ceph-pool-set", [CEPH_POOL_DESTROY] = "ceph-pool-destroy",
};

typedef VEC(struct storaged_pair) Pairs;

/* The parameters whose row says under which name the action knows them. */
static int collect(const Request *r, Pairs *ret)
{
        int n = 0;

        for (size_t i = 0; i < r->params.n && n >= 0; i++) {
                const ParamSpec *spec =
                        r->route->params ? param_spec_find(r->route->params, r->params.items[i].name) : NULL;
                struct storaged_pair pair = { spec ? spec->arg : NULL, r->params.items[i].value };

                if (pair.key && spec->type == PARAM_BOOLEAN)
                        pair.value = params_get_bool(&r->params, spec->name, false) ? "1" : "0";
                if (pair.key)
                        n = VEC_PUSH(ret, pair);
        }
        for (size_t i = 0; i < sizeof(path_params) / sizeof(path_params[0]) && n >= 0; i++) {
                const char *value = params_get(&r->params, path_params[i].key);

                if (value)
                        n = VEC_PUSH(ret, ((struct storaged_pair){ path_params[i].value, value }));
        }
        return n;
}

static void run_ceph(Request *r)
{
        CephCall call = { .action = actions[r->route->op], .storage = request_get(r, "storage"), .user = r->user };
        Pairs pairs = { 0 };

        if (collect(r, &pairs) < 0) {
                request_fail(r, -ENOMEM, NULL);
        } else {
                call.pairs = pairs.items;
                call.n_pairs = pairs.n;
                if (r->route->op == CEPH_POOL_DESTROY)
                        ceph_pool_destroy(r->core, &call, request_get(r, "pool"), request_on_reply, r);
                else
                        ceph_run(r->core, &call, request_on_reply, r);
        }
        VEC_DEINIT(&pairs);
}

/* What is only read, in Proxmox VE's shape: the path without its parameters names the view. */
static void look(Request *r)
{
        static const struct {
                const char *path, *view;
        } views[] = {
                { "/cluster/ceph/flags/{flag}", "flags" },
                { "/nodes/{node}/ceph/pool/{pool}/status", "pool/status" },
                { "/nodes/{node}/ceph/osd/{osdid}/metadata", "osd/metadata" },
        };
        CephCall call = { .action = "ceph-look", .storage = request_get(r, "storage"), .user = r->user };
        const char *view = str_skip(r->route->path, "/nodes/{node}/ceph/");
        Pairs pairs = { 0 };
        int n = collect(r, &pairs);

        view = view ? view : str_skip(r->route->path, "/cluster/ceph/");
        for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
                if (str_eq(views[i].path, r->route->path))
                        view = views[i].view;
        for (size_t i = 0; i < pairs.n; i++)
                if (str_eq(pairs.items[i].key, "pool-name"))
                        pairs.items[i].key = "name";
        if (n >= 0)
                n = VEC_PUSH(&pairs, ((struct storaged_pair){ "view", view }));
        if (n < 0) {
                request_fail(r, -ENOMEM, NULL);
        } else {
                call.pairs = pairs.items;
                call.n_pairs = pairs.n;
                ceph_run(r->core, &call, request_on_reply, r);
        }
        VEC_DEINIT(&pairs);
}

/* "k=2,m=1,failure-domain=host" of Proxmox VE, into the action's parameters. The words are cut in `text`. */
static int collect_erasure(Pairs *pairs, char *text, struct storaged_error *err)
{
        static const struct storaged_pair known[] = { { "k", "ec-k" },
                                                      { "m", "ec-m" },
                                                      { "failure-domain", "failure-domain" } };
        char *save = NULL;

        for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
                char *value = strchr(word, '=');
                struct storaged_pair pair = { 0 };

                if (value)
                        *value++ = '\0';
                for (size_t i = 0; value && i < 3; i++)
                        if (str_eq(known[i].key, word))
                                pair = (struct storaged_pair){ known[i].value, value };
                if (!pair.key || (word[1] == '\0' && strspn(value, "0123456789") != strlen(value)) || !*pair.value ||
                    strlen(value) > 64)
                        return error_set_param(err, -EINVAL, "erasure-coding",
                                               "'%.64s' is not understood: k=N,m=N, and failure-domain=TYPE if need be",
                                               word);
                if (VEC_PUSH(pairs, pair) < 0)
                        return -ENOMEM;
        }
        return VEC_PUSH(pairs, ((struct storaged_pair){ "pool-type", "erasure" }));
}

static void create_pool(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *name = request_get(r, "name"), *erasure = request_get(r, "erasure-coding");
        bool add = params_get_bool(&r->params, "add_storages", false);
        CephPoolCreate create = {
                .pool = name,
                .add_storage = request_get(r, "add-storage") ? request_get(r, "add-storage")
                               : add                         ? name
                                                             : NULL,
                .content = request_get(r, "content"),
                .is_erasure = erasure != NULL,
        };
        AUTO(freep) char *words = erasure ? strdup(erasure) : NULL;
        Pairs pairs = { 0 };
        int n = erasure && !words ? -ENOMEM : collect(r, &pairs);

        if (n >= 0 && words)
                n = collect_erasure(&pairs, words, &err);
        if (n >= 0 && create.add_storage && !storage_id_is_valid(create.add_storage, strlen(create.add_storage)))
                n = error_set_param(&err, -EINVAL, "add-storage", "'%s' is no id of a storage", create.add_storage);
        if (n < 0) {
                request_fail(r, n, &err);
        } else {
                create.call = (CephCall){ .action = "ceph-pool-create",
                                          .storage = request_get(r, "storage"),
                                          .pairs = pairs.items,
                                          .n_pairs = pairs.n,
                                          .user = r->user };
                ceph_pool_create(r->core, &create, request_on_reply, r);
        }
        VEC_DEINIT(&pairs);
}

static void get_index(Request *r)
{
        static const struct {
                const char *path, *names[16];
        } all[] = {
                { "/nodes/{node}/ceph",
                  { "cfg", "cmd-safety", "fs", "health", "log", "mds", "mgr", "mon", "osd", "pool", "repair", "rules",
                    "status" } },
                { "/nodes/{node}/ceph/cfg", { "db", "raw" } },
                { "/nodes/{node}/ceph/osd/{osdid}", { "metadata" } },
                { "/nodes/{node}/ceph/pool/{pool}", { "status" } },
                { "/cluster/ceph", { "flags", "metadata", "status" } },
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                if (str_eq(all[i].path, r->route->path))
                        request_reply_index(r, "name", all[i].names);
}

/* --- parameters; `arg` is the action's name for it */

#define TEXT(name_, arg_, text_)                                                          \
        {                                                                                 \
                .name = (name_), .arg = (arg_), .max_length = 255, .description = (text_) \
        }
#define NUMBER(name_, arg_, min_, max_, text_)                                                       \
        {                                                                                            \
                .name = (name_), .type = PARAM_INTEGER, .arg = (arg_), .min = (min_), .max = (max_), \
                .description = (text_)                                                               \
        }
#define CONNECTION                                                                                            \
        TEXT("storage", NULL, "A storage on the cluster that is meant; without: this node's ceph.conf."),     \
                TEXT("monhost", "monhost", "Monitors of the cluster that is meant."),                         \
                TEXT("username", "username", "Ceph user without client., default admin."),                    \
        {                                                                                                     \
                .name = "keyring", .arg = "keyring", .description = "File with that user's key, on the node." \
        }

static const char *const application_values[] = { "rbd", "cephfs", "rgw", NULL };

#define APPLICATION(text_)                                                                                     \
        {                                                                                                      \
                .name = "application", .type = PARAM_ENUM, .values = application_values, .arg = "application", \
                .description = (text_)                                                                         \
        }

static const ParamSpec connection_params[] = { CONNECTION, { 0 } };

static const char *const scopes[] = { "all", "versions", NULL };
static const char *const services[] = { "osd", "mon", "mds", NULL };
static const char *const safety_actions[] = { "stop", "destroy", NULL };

static const ParamSpec metadata_params[] = {
        CONNECTION,
        { .name = "scope",
          .type = PARAM_ENUM,
          .values = scopes,
          .arg = "scope",
          .description = "How much; default all." },
        { 0 },
};

static const ParamSpec log_params[] = {
        CONNECTION,
        NUMBER("start", "start", 0, INT32_MAX, "First line, from 0."),
        NUMBER("limit", "limit", 0, INT32_MAX, "How many lines; default 50."),
        { 0 },
};

static const ParamSpec safety_params[] = {
        CONNECTION,
        { .name = "service",
          .type = PARAM_ENUM,
          .flags = PARAM_REQUIRED,
          .values = services,
          .arg = "service",
          .description = "Kind of the daemon." },
        { .name = "id",
          .flags = PARAM_REQUIRED,
          .max_length = 128,
          .arg = "name",
          .description = "Its name or number." },
        { .name = "action",
          .type = PARAM_ENUM,
          .flags = PARAM_REQUIRED,
          .values = safety_actions,
          .arg = "action",
          .description = "What is to be done with it." },
        { 0 },
};

static const ParamSpec repair_params[] = {
        CONNECTION,
        TEXT("name", "pool-name", "Only this pool."),
        TEXT("check", "check", "Only this check, by its code."),
        { .name = "dry-run",
          .type = PARAM_BOOLEAN,
          .arg = "dry-run",
          .description = "Say what would be done; change nothing." },
        APPLICATION("What the pool is for, where that can't be told from it."),
        { 0 },
};

static const ParamSpec create_params[] = {
        CONNECTION,
        { .name = "name",
          .flags = PARAM_REQUIRED,
          .max_length = 128,
          .arg = "pool-name",
          .description = "Name of the new pool." },
        APPLICATION("What it is for; default rbd."),
        NUMBER("size", "size", 1, 10, "Copies of each object."),
        NUMBER("min_size", "min-size", 1, 10, "Copies that must be writable."),
        NUMBER("pg_num", "pg-num", 1, 65536, "Placement groups."),
        { .name = "erasure-coding",
          .max_length = 255,
          .description = "k=N,m=N[,failure-domain=TYPE]: data in an erasure coded pool NAME-data beside it." },
        { .name = "add_storages", .type = PARAM_BOOLEAN, .description = "Defines a storage of the pool's name on it." },
        TEXT("add-storage", NULL, "Defines a storage of this id on it, with a Ceph user of its own."),
        { .name = "content", .flags = PARAM_LIST, .description = "What that storage may hold." },
        TEXT("client", "client", "Makes this Ceph user for the pool."),
        { 0 },
};

static const ParamSpec set_params[] = {
        CONNECTION,
        NUMBER("size", "size", 1, 10, "Copies of each object."),
        NUMBER("min_size", "min-size", 1, 10, "Copies that must be writable."),
        NUMBER("pg_num", "pg-num", 1, 65536, "Placement groups."),
        NUMBER("quota-bytes", "quota-bytes", 0, INT64_MAX, "Most bytes; 0: no limit."),
        NUMBER("quota-objects", "quota-objects", 0, INT64_MAX, "Most objects; 0: no limit."),
        APPLICATION("For a pool that has none yet."),
        { 0 },
};

static const ParamSpec destroy_params[] = {
        CONNECTION,
        TEXT("client", "client", "Removes this Ceph user, too."),
        { .name = "dry-run",
          .type = PARAM_BOOLEAN,
          .arg = "dry-run",
          .description = "Only say whether it could be removed." },
        { 0 },
};

#define AUDIT "/: Sys.Audit"
#define MODIFY "/: Sys.Modify"

#define LOOK(path_, params_, text_)                                                                 \
        {                                                                                           \
                "GET", path_, params_, .permission = AUDIT, .description = (text_), .handler = look \
        }
#define INDEX(path_)                                                                                     \
        {                                                                                                \
                "GET", path_, .permission = AUDIT, .description = "What is below.", .handler = get_index \
        }

const Route ceph_routes[] = {
        INDEX("/cluster/ceph"),
        LOOK("/cluster/ceph/flags", connection_params, "Flags of the OSD map, set or not."),
        LOOK("/cluster/ceph/flags/{flag}", connection_params, "Whether one flag is set."),
        LOOK("/cluster/ceph/metadata", metadata_params, "What the daemons tell of themselves."),
        INDEX("/nodes/{node}/ceph/cfg"),
        LOOK("/nodes/{node}/ceph/cfg/db", connection_params, "The monitors' configuration database."),
        LOOK("/nodes/{node}/ceph/cfg/raw", connection_params, "The text of this node's ceph.conf."),
        LOOK("/nodes/{node}/ceph/cmd-safety", safety_params, "Whether Ceph could spare a daemon."),
        LOOK("/nodes/{node}/ceph/fs", connection_params, "File systems and their pools."),
        LOOK("/nodes/{node}/ceph/log", log_params, "The cluster's log, as the monitors keep it."),
        LOOK("/nodes/{node}/ceph/mds", connection_params, "Metadata servers."),
        LOOK("/nodes/{node}/ceph/mgr", connection_params, "Managers."),
        LOOK("/nodes/{node}/ceph/mon", connection_params, "Monitors."),
        LOOK("/nodes/{node}/ceph/osd", connection_params, "OSDs in their tree, with usage, and the map's flags."),
        INDEX("/nodes/{node}/ceph/osd/{osdid}"),
        LOOK("/nodes/{node}/ceph/osd/{osdid}/metadata", connection_params, "What an OSD tells of itself."),
        INDEX("/nodes/{node}/ceph/pool/{pool}"),
        LOOK("/nodes/{node}/ceph/pool/{pool}/status", connection_params, "A pool's settings and usage."),
        LOOK("/nodes/{node}/ceph/rules", connection_params, "Placement rules."),
        { "GET", "/cluster/ceph/status", connection_params, .op = CEPH_STATUS, .permission = AUDIT,
          .description = "State of the Ceph cluster, as it tells it.", .handler = run_ceph },
        INDEX("/nodes/{node}/ceph"),
        { "GET", "/nodes/{node}/ceph/status", connection_params, .op = CEPH_STATUS, .permission = AUDIT,
          .description = "State of the Ceph cluster, as it tells it.", .handler = run_ceph },
        { "GET", "/nodes/{node}/ceph/health", connection_params, .op = CEPH_HEALTH, .permission = AUDIT,
          .description = "Checks that are raised: what they mean for the storages here, and what can be done.",
          .handler = run_ceph },
        { "POST", "/nodes/{node}/ceph/repair", repair_params, .op = CEPH_REPAIR, .permission = MODIFY,
          .description = "Repairs what checks are about, where that is safe; a task.", .handler = run_ceph },
        { "GET", "/nodes/{node}/ceph/pool", connection_params, .op = CEPH_POOLS, .permission = AUDIT,
          .description = "Pools.", .handler = run_ceph },
        { "POST", "/nodes/{node}/ceph/pool", create_params, .permission = MODIFY,
          .description = "Makes a pool, ready for use, and if wished a user and a storage; a task.",
          .handler = create_pool },
        { "PUT", "/nodes/{node}/ceph/pool/{pool}", set_params, .op = CEPH_POOL_SET, .permission = MODIFY,
          .description = "Changes a pool.", .handler = run_ceph },
        { "DELETE", "/nodes/{node}/ceph/pool/{pool}", destroy_params, .op = CEPH_POOL_DESTROY, .permission = MODIFY,
          .description = "Removes a pool that no storage, image or other application uses; a task.",
          .handler = run_ceph },
        { 0 },
};
