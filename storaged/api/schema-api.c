/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the API says about itself: version, schema (routes and storage types), what is below a path. */
#include "api/request.h"
#include "api/route.h"
#include "core/locks-view.h"
#include "core/nodes.h"
#include "wire/json.h"

#define RELEASE "0.1"
#define REPOID "storaged"
#define APIVER 15 /* of the words of Proxmox VE's storage API that we speak (pvesm.md) */
#define APIAGE 6

static void get_root(Request *r)
{
        static const char *const names[] = { "cluster", "nodes", "schema", "storage", "version", NULL };

        request_reply_index(r, "subdir", names);
}

static void get_cluster(Request *r)
{
        static const char *const names[] = { "locks", "migrate", "status", NULL };

        request_reply_index(r, "name", names);
}

static void get_version(Request *r)
{
        AUTO_JSON *o = json_object_new_object();

        if (!o || json_add_string(o, "version", STORAGED_VERSION) < 0 || json_add_string(o, "release", RELEASE) < 0 ||
            json_add_string(o, "repoid", REPOID) < 0 || json_add_int(o, "apiver", APIVER) < 0 ||
            json_add_int(o, "apiage", APIAGE) < 0) {
                request_fail(r, -ENOMEM, NULL);
                return;
        }
        request_reply(r, o);
}

static void get_schema(Request *r)
{
        AUTO_JSON *o = schema_to_json(r->core->schema); /* {"types": […]} */
        AUTO_JSON *routes = json_object_new_array();
        RouteIterator i = ROUTE_ITERATOR_INIT;
        const Route *route;
        int n = o && routes ? 0 : -ENOMEM;

        while (n >= 0 && (route = route_next(&i))) {
                json_object *row = route_to_json(route);

                n = row && json_object_array_add(routes, row) >= 0 ? 0 : -ENOMEM;
        }
        if (n >= 0)
                n = json_add(o, "routes", TAKE(routes));
        if (n >= 0)
                request_reply(r, o);
        else
                request_fail(r, n, NULL);
}

static void get_locks(Request *r)
{
        locks_query(r->core, request_on_reply, r);
}

static void get_cluster_status(Request *r)
{
        request_reply_take(r, nodes_to_status_json(r->core));
}

const Route schema_routes[] = {
        { "GET", "/", .permission = "any user", .description = "What is below.", .handler = get_root },
        { "GET", "/version", .permission = "any user", .description = "Version of storaged and of the API's words.",
          .handler = get_version },
        { "GET", "/schema", .permission = "any user",
          .description = "All routes with their parameters, and all storage types with their properties.",
          .handler = get_schema },
        { "GET", "/cluster", .permission = "any user", .description = "What is below.", .handler = get_cluster },
        { "GET", "/cluster/locks", .permission = "/: Sys.Audit",
          .description = "Cluster locks: who holds them, what for, since when, and how many wait.",
          .handler = get_locks },
        { "GET", "/cluster/status", .permission = "/: Sys.Audit",
          .description = "The cluster and its quorum; its nodes, and whether they can be reached.",
          .handler = get_cluster_status },
        { 0 },
};
