/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /cluster/migrate: hands volumes over to another node. Each node asks its own storaged; the tickets are the cluster's.
 */
#include <errno.h>

#include "api/request.h"
#include "api/route.h"
#include "core/migrate.h"

static const char *const ops[] = { "prepare", "commit", "abort", NULL };

static void migrate(Request *r)
{
        const char *op = request_get(r, "op"), *volume = request_get(r, "volume"), *target = request_get(r, "target");
        MigrateCall call = {
                .volume = volume,
                .vmid = (uint32_t) params_get_int(&r->params, "vmid", 0),
                .target = target,
                .life_s = (uint64_t) params_get_int(&r->params, "timeout", 0),
                .user = r->user,
        };

        while (!str_eq(ops[call.op], op)) /* has passed the check */
                call.op++;
        if (!volume == !call.vmid)
                request_fail_status(r, 400, "volume", "either a volume or a guest's vmid is needed");
        else if (call.op == MIGRATE_PREPARE && !target)
                request_fail_status(r, 400, "target", "to which node?");
        else
                migrate_call(r->core, &call, request_on_reply, r);
}

static const ParamSpec migrate_params[] = {
        { .name = "op",
          .type = PARAM_ENUM,
          .flags = PARAM_REQUIRED,
          .values = ops,
          .description = "prepare on the source; commit or abort on both sides." },
        { .name = "volume", .description = "Volume id." },
        { .name = "vmid", .type = PARAM_VMID, .description = "Instead of a volume: all disks of this guest." },
        { .name = "target",
          .type = PARAM_NAME,
          .max_length = 63,
          .description = "Node that gets it; for commit and abort only a check." },
        { .name = "timeout",
          .type = PARAM_INTEGER,
          .min = 10,
          .max = 604800,
          .description = "Seconds after which what was prepared and not decided is undone; 3600 if not given." },
        { 0 },
};

const Route migrate_routes[] = {
        { "POST", "/cluster/migrate", migrate_params, .permission = "/storage/{storage}: Datastore.Allocate",
          .description = "Hands volumes over to another node: see decision 0012.", .handler = migrate },
        { "POST", "/nodes/{node}/migrate", migrate_params, .permission = "/storage/{storage}: Datastore.Allocate",
          .description = "The same, asked of that node: whoever takes a guest in lets the source prepare.",
          .handler = migrate },
        { 0 },
};
