/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /nodes/{node}/actions: what plugins can do on a node beside volumes, as they declare it. Nodes ask each other for
 * steps of what takes several of them by the same paths; an administrator has words of `pvesm` for them.
 */
#include <errno.h>

#include "api/declared.h"
#include "api/request.h"
#include "api/route.h"
#include "core/action.h"
#include "wire/json.h"

enum { ACTION_READ, ACTION_CHANGE };

static void list_actions(Request *r)
{
        AUTO_JSON *rows = json_object_new_array();
        size_t n = 0;
        const Type *const *types = schema_get_types(r->core->schema, &n);

        for (size_t i = 0; rows && i < n; i++)
                for (size_t k = 0; types[i]->actions && k < json_object_array_length(types[i]->actions); k++) {
                        json_object *declared = json_object_array_get_idx(types[i]->actions, k), *row = NULL;

                        if (json_object_deep_copy(declared, &row, NULL) < 0 ||
                            json_add_string(row, "type", types[i]->name) < 0 || json_object_array_add(rows, row) < 0) {
                                request_fail(r, -ENOMEM, NULL);
                                return;
                        }
                }
        request_reply_take(r, TAKE(rows));
}

/* The parameters behind those of the path, without the one that names the storage. */
static int take_args(Request *r, const Type *type, json_object *action, DeclaredArgs *ret, struct storaged_error *err)
{
        Param items[PARAMS_MAX];
        Params given = { .items = items };

        for (size_t i = 3; i < r->params.n && given.n < PARAMS_MAX; i++)
                if (!str_eq(r->params.items[i].name, "storage") || !json_get_bool(action, "storage", false))
                        items[given.n++] = r->params.items[i];
        return declared_check(type, json_get(action, "params"), &given, ret, err);
}

static void run_action(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *name = request_get(r, "action"), *type_name = request_get(r, "type");
        const Type *type = schema_find(r->core->schema, type_name);
        json_object *action = type ? type_find_action(type, name) : NULL;
        DeclaredArgs args = { 0 };
        ActionCall call = { .type = type_name, .action = name, .user = r->user };

        if (!action) {
                request_fail_status(r, 404, "action", "node '%s': type '%s' has no action '%s'", r->core->node,
                                    type_name, name);
                return;
        }
        if (json_get_bool(action, "read", false) != (r->route->op == ACTION_READ)) {
                request_fail_status(r, 405, "action", "action '%s' of type '%s' is asked for with %s", name, type_name,
                                    r->route->op == ACTION_READ ? "POST" : "GET");
                return;
        }
        if (take_args(r, type, action, &args, &err) < 0) {
                request_fail(r, err.code ? err.code : -ENOMEM, &err);
        } else {
                call.storage = json_get_bool(action, "storage", false) ? request_get(r, "storage") : NULL;
                call.args = args.items;
                call.n_args = args.n;
                action_run(r->core, &call, request_on_reply, r);
        }
        VEC_DEINIT(&args);
}

#define ALLOCATE "/storage: Datastore.Allocate"

const Route action_routes[] = {
        { "GET", "/nodes/{node}/actions", .permission = ALLOCATE, .description = "What plugins can do on this node.",
          .handler = list_actions },
        { "GET", "/nodes/{node}/actions/{type}/{action}", .flags = ROUTE_ANY_PROPERTY, .op = ACTION_READ,
          .permission = ALLOCATE, .description = "Asks a plugin; `storage` and parameters as the action declares.",
          .handler = run_action },
        { "POST", "/nodes/{node}/actions/{type}/{action}", .flags = ROUTE_ANY_PROPERTY, .op = ACTION_CHANGE,
          .permission = ALLOCATE, .description = "Has a plugin do it; a UPID where it is long.",
          .handler = run_action },
        { 0 },
};
