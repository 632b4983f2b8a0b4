/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /cluster/vgs: volume groups, as all nodes see them and change them together. */
#include <errno.h>

#include "api/request.h"
#include "api/route.h"
#include "core/vg.h"

static void run_vg(Request *r)
{
        VgCall call = {
                .work = (enum vg_work) r->route->op,
                .vg = request_get(r, "vgname"),
                .wwid = request_get(r, "wwid"),
                .locking = request_get(r, "locking"),
                .wipe = request_get(r, "wipe-signature"),
                .n_paths = (uint32_t) params_get_int(&r->params, "paths", 0),
                .user = r->user,
        };

        if (params_get_bool(&r->params, "force", false) != (call.wipe != NULL))
                request_fail_status(
                        r, 400, call.wipe ? "force" : "wipe-signature",
                        "--force and --wipe-signature TYPE go together: what is on the LUN has to be named to be lost");
        else
                vg_call(r->core, &call, request_on_reply, r);
}

static void get_vg(Request *r)
{
        vg_query(r->core, request_get(r, "vgname"), request_on_reply, r);
}

static const char *const lockings[] = { "sanlock", "dlm", "none", NULL };

#define P_VG                                                                                      \
        {                                                                                         \
                .name = "vgname", .type = PARAM_NAME, .max_length = 127, .flags = PARAM_REQUIRED, \
                .description = "The volume group."                                                \
        }
#define P_WWID                                                                                        \
        {                                                                                             \
                .name = "wwid", .max_length = 128, .flags = PARAM_REQUIRED, .description = "The LUN." \
        }
#define P_LOCKING                                                                   \
        {                                                                           \
                .name = "locking", .type = PARAM_ENUM, .values = lockings,          \
                .description = "The lock manager; what the nodes run if not given." \
        }
#define P_WIPE                                                                            \
        { .name = "force",                                                                \
          .type = PARAM_BOOLEAN,                                                          \
          .description = "With wipe-signature: what is on the LUN may be lost." },        \
        {                                                                                 \
                .name = "wipe-signature", .max_length = 64,                               \
                .description = "The signature that is found on the LUN and may be wiped." \
        }
#define P_PATHS                                                                                       \
        {                                                                                             \
                .name = "paths", .type = PARAM_INTEGER, .min = 1, .max = 1024,                        \
                .description = "Paths each node must have; as many as the best of them if not given." \
        }

static const ParamSpec create_params[] = { P_VG, P_WWID, P_LOCKING, P_WIPE, P_PATHS, { 0 } };
static const ParamSpec extend_params[] = { P_WWID, P_WIPE, P_PATHS, { 0 } };
static const ParamSpec reduce_params[] = { P_WWID, { 0 } };
static const ParamSpec convert_params[] = { P_LOCKING, { 0 } };

#define ALLOCATE "/: Sys.Modify"

const Route vg_routes[] = {
        { "POST", "/cluster/vgs", create_params, .op = VG_CREATE, .permission = ALLOCATE,
          .description = "Makes a volume group on a LUN that all nodes see; a task.", .handler = run_vg },
        { "GET", "/cluster/vgs/{vgname}", .permission = "/: Sys.Audit",
          .description = "A volume group, and what is active of it on which node.", .handler = get_vg },
        { "DELETE", "/cluster/vgs/{vgname}", .op = VG_DESTROY, .permission = ALLOCATE,
          .description = "Removes a volume group without volumes; a task.", .handler = run_vg },
        { "POST", "/cluster/vgs/{vgname}/extend", extend_params, .op = VG_EXTEND, .permission = ALLOCATE,
          .description = "Adds a LUN to it; a task.", .handler = run_vg },
        { "POST", "/cluster/vgs/{vgname}/reduce", reduce_params, .op = VG_REDUCE, .permission = ALLOCATE,
          .description = "Takes a LUN out of it; a task.", .handler = run_vg },
        { "POST", "/cluster/vgs/{vgname}/convert", convert_params, .op = VG_CONVERT, .permission = ALLOCATE,
          .description = "Changes its lock type, with nothing of it active anywhere; a task.", .handler = run_vg },
        { "POST", "/cluster/vgs/{vgname}/start", NULL, .op = VG_START, .permission = ALLOCATE,
          .description = "Starts its locks on all nodes, one after the other; a task.", .handler = run_vg },
        { 0 },
};
