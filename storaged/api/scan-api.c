/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /nodes/{node}/scan: looking for storage that is not defined yet. Which kinds there are and what they want to know is
 * declared by the plugins (api/declared.h).
 */
#include <errno.h>

#include "api/declared.h"
#include "api/request.h"
#include "api/route.h"
#include "core/scan.h"
#include "wire/json.h"

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

static void scan(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *kind = request_get(r, "kind");
        const Type *type = schema_find(r->core->schema, kind);
        DeclaredArgs args = { 0 };
        Params given = PARAMS_INIT;
        int n;

        if (!type || !type->scan) {
                request_fail_status(r, 404, "kind", "no plugin on node '%s' can scan for '%s'", r->core->node, kind);
                return;
        }
        given.items = r->params.items + 2; /* behind node and kind, which are of the path */
        given.n = r->params.n - 2;
        n = declared_check(type, json_get(type->scan, "params"), &given, &args, &err);
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
