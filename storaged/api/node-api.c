/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /nodes: the nodes, and the state of its storages. */
#include "api/request.h"
#include "api/route.h"
#include "core/nodes.h"
#include "core/status.h"
#include "core/volume.h"
#include "wire/json.h"
#include "wire/volname.h"

static void list_nodes(Request *r)
{
        request_reply_take(r, nodes_to_json(r->core));
}

static void get_node(Request *r)
{
        static const char *const names[] = { "actions", "ceph", "config",  "info",  "luns",    "multipath",
                                             "ports",   "scan", "storage", "tasks", "workers", NULL };

        request_reply_index(r, "name", names);
}

static void get_workers(Request *r)
{
        request_reply_take(r, core_workers_to_json(r->core));
}

static void get_storage_index(Request *r)
{
        static const char *const names[] = { "activate",     "clone",   "content",  "deactivate", "export",
                                             "health",       "holders", "import",   "info",       "path",
                                             "prunebackups", "rename",  "repair",   "resize",     "rollback",
                                             "snapshot",     "status",  "template", "upload",     NULL };
        const char *id = request_get(r, "storage");

        if (config_find(r->core->config, id))
                request_reply_index(r, "subdir", names);
        else
                request_fail_status(r, 404, "storage", "storage '%s' does not exist", id);
}

static uint32_t content_mask(const char *list)
{
        AUTO(strlist_deinit) StrList words = STRLIST_INIT;
        uint32_t mask = 0;

        if (list && strlist_split(&words, list, ",; ") >= 0)
                for (size_t i = 0; i < words.n; i++)
                        mask |= content_from_string(words.items[i]);
        return mask;
}

static void list_status(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *target = request_get(r, "target");
        StatusFilter filter = {
                .contents = content_mask(request_get(r, "content")),
                .storage = request_get(r, "storage"),
                .only_enabled = params_get_bool(&r->params, "enabled", false),
                .with_formats = params_get_bool(&r->params, "format", false),
                .target = target,
        };

        if (target && str_eq(target, "localhost"))
                filter.target = r->core->node;
        else if (target && node_locate(r->core, "target", target, &err) < 0) {
                request_fail(r, -EINVAL, &err);
                return;
        }
        status_query(r->core, &filter, request_on_reply, r);
}

static void on_one_status(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Request *r = userdata;
        json_object *rows = reply ? reply->data : NULL;

        if (err || !reply)
                request_fail(r, -EIO, err);
        else if (!json_object_is_type(rows, json_type_array) || json_object_array_length(rows) < 1)
                request_fail_status(r, 404, "storage", "storage '%s' does not exist", request_get(r, "storage"));
        else
                request_reply(r, json_object_array_get_idx(rows, 0));
}

static void get_status(Request *r)
{
        StatusFilter filter = { .storage = request_get(r, "storage") };

        status_query(r->core, &filter, on_one_status, r);
}

static void get_info(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *info = NULL;
        int n = volume_info(r->core, request_get(r, "volume"), &info, &err);

        if (n < 0)
                request_fail(r, n, &err);
        else
                request_reply_take(r, info);
}

static const char *const content_values[] = { "images",   "rootdir", "iso",  "vztmpl", "backup",
                                              "snippets", "import",  "none", NULL };

static const ParamSpec status_params[] = {
        { .name = "content",
          .type = PARAM_ENUM,
          .flags = PARAM_LIST,
          .values = content_values,
          .description = "Only storages for one of these." },
        { .name = "enabled", .type = PARAM_BOOLEAN, .description = "Only those that are not disabled." },
        { .name = "format", .type = PARAM_BOOLEAN, .description = "With the image formats each supports." },
        { .name = "storage", .max_length = 255, .description = "Only this one." },
        { .name = "target", .max_length = 63, .description = "Only shared ones that this node has too." },
        { 0 },
};

static const ParamSpec info_params[] = {
        { .name = "volume", .flags = PARAM_REQUIRED, .description = "Volume id." },
        { 0 },
};

#define AUDIT "/storage/{storage}: Datastore.Audit or Datastore.AllocateSpace"

static void get_locks(Request *r)
{
        request_reply_take(r, core_locks_to_json(r->core));
}

const Route node_routes[] = {
        { "GET", "/nodes", .permission = "any user",
          .description = "The nodes of the cluster, and whether they can be reached.", .handler = list_nodes },
        { "GET", "/nodes/{node}", .permission = "any user", .description = "What is below.", .handler = get_node },
        { "GET", "/nodes/{node}/info", info_params, .permission = "any user",
          .description = "What a volume id means, without touching the storage.", .handler = get_info },
        { "GET", "/nodes/{node}/locks", .permission = "/nodes/{node}: Sys.Audit",
          .description = "Cluster locks this node holds or waits for.", .handler = get_locks },
        { "GET", "/nodes/{node}/workers", .permission = "/nodes/{node}: Sys.Audit",
          .description =
                  "How many worker processes run, how many hang in the kernel and were abandoned, and the limits.",
          .handler = get_workers },
        { "GET", "/nodes/{node}/storage", status_params, .permission = "any user, result filtered",
          .description = "State and space of the node's storages.", .handler = list_status },
        { "GET", "/nodes/{node}/storage/{storage}", .permission = AUDIT, .description = "What is below.",
          .handler = get_storage_index },
        { "GET", "/nodes/{node}/storage/{storage}/status", .permission = AUDIT,
          .description = "State and space of one storage.", .handler = get_status },
        { 0 },
};
