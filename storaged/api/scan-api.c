/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /nodes/{node}/scan: looking for storage that is not defined yet. Which kinds there are and what they want to know is
 * declared by the plugins, so the table of parameters is made from the declaration at each request and then
 * checked as any other.
 */
#include <errno.h>

#include "api/request.h"
#include "api/route.h"
#include "base/vec.h"
#include "core/scan.h"
#include "wire/json.h"

#define SCAN_PARAMS_MAX 32u

static void list_kinds(Request *r)
{
        AUTO(strlist_deinit) StrList kinds = STRLIST_INIT;
        static const char *const none[] = { NULL };
        size_t n = 0;
        const Type *const *types = schema_get_types(r->core->schema, &n);

        for (size_t i = 0; i < n; i++)
                if (types[i]->scan && strlist_adds(&kinds, types[i]->name) < 0) {
                        request_fail(r, -ENOMEM, NULL);
                        return;
                }
        request_reply_index(r, "method", kinds.n > 0 ? (const char *const *) kinds.items : none);
}

/* A declared parameter as a row; the words of an enum stay with core's own check of the property. */
static ParamSpec declared_param(json_object *declared)
{
        const char *type = json_get_string(declared, "type");
        ParamSpec spec = {
                .name = json_get_string(declared, "name"),
                .flags = json_get_bool(declared, "required", false) ? PARAM_REQUIRED : 0,
                .min = json_get_int(declared, "min", 0),
                .max = json_get_int(declared, "max", 0),
                .max_length = (uint32_t) json_get_uint(declared, "max-length", 0),
                .description = json_get_string(declared, "description"),
        };

        if (str_eq(type, "integer"))
                spec.type = PARAM_INTEGER;
        else if (str_eq(type, "boolean"))
                spec.type = PARAM_BOOLEAN;
        return spec;
}

/* Against the declaration, and where the type has a property of that name, also as that. */
static int check_scan(const Type *type, const Params *given, struct storaged_error *err)
{
        json_object *declared = json_get(type->scan, "params");
        ParamSpec specs[SCAN_PARAMS_MAX + 1] = { 0 };
        int n;

        for (size_t i = 0, k = 0; declared && i < json_object_array_length(declared) && k < SCAN_PARAMS_MAX; i++) {
                specs[k] = declared_param(json_object_array_get_idx(declared, i));
                k += specs[k].name != NULL;
        }
        n = params_check(given, specs, false, err);
        for (size_t i = 0; n >= 0 && i < given->n; i++) {
                const Property *p = type_find_property(type, given->items[i].name);

                n = p ? property_check(p, given->items[i].value, err) : 0;
        }
        return n;
}

static void scan(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *kind = request_get(r, "kind");
        const Type *type = schema_find(r->core->schema, kind);
        VEC(struct storaged_pair) args = { 0 };
        Params given = PARAMS_INIT;
        int n;

        if (!type || !type->scan) {
                request_fail_status(r, 404, "kind", "no plugin on node '%s' can scan for '%s'", r->core->node, kind);
                return;
        }
        given.items = r->params.items + 2; /* behind node and kind, which are of the path */
        given.n = r->params.n - 2;
        n = check_scan(type, &given, &err);
        for (size_t i = 0; n >= 0 && i < given.n; i++) {
                struct storaged_pair pair = { given.items[i].name, given.items[i].value };

                n = VEC_PUSH(&args, pair);
        }
        if (n >= 0)
                scan_run(r->core, kind, args.items, args.n, request_on_reply, r);
        else
                request_fail(r, n, &err);
        VEC_DEINIT(&args);
}

#define ALLOCATE "/storage: Datastore.Allocate"

const Route scan_routes[] = {
        { "GET", "/nodes/{node}/scan", .permission = "any user",
          .description = "Kinds of storage that can be looked for.", .handler = list_kinds },
        { "GET", "/nodes/{node}/scan/{kind}", .flags = ROUTE_ANY_PROPERTY, .permission = ALLOCATE,
          .description = "Looks for storage; parameters as the plugin of that kind declares.", .handler = scan },
        { 0 },
};
