/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What concerns all nodes: their storages, which thing each of them reaches, the doctor. */
#include "api/request.h"
#include "api/route.h"
#include "core/conflicts.h"
#include "core/doctor.h"
#include "core/identity.h"
#include "core/overview.h"

static void list_storages(Request *r)
{
        overview_query(r->core, request_on_reply, r);
}

static void list_conflicts(Request *r)
{
        request_reply_take(r, conflicts_to_json(&r->core->paths));
}

static void tell_identity(Request *r)
{
        IdentityCall call = { .storage = request_get(r, "storage"),
                              .text = request_get(r, "config"),
                              .mark = request_get(r, "mark") ? request_get(r, "mark") : "none",
                              .name = request_get(r, "name"),
                              .is_used = params_get_bool(&r->params, "use", false),
                              .is_undone = params_get_bool(&r->params, "undo", false) };

        identity_tell(r->core, &call, request_on_reply, r);
}

static void examine_node(Request *r)
{
        doctor_run(r->core, request_on_reply, r);
}

static void examine_cluster(Request *r)
{
        doctor_run_all(r->core, request_on_reply, r);
}

static void tell_clock(Request *r)
{
        request_reply_take(r, doctor_clock_to_json());
}

/* The body has gone where it was to go. */
static void stream_end(Request *r)
{
        request_reply(r, NULL);
}

static const char *const marks[] = { "none", "write", "look", "remove", NULL };

static const ParamSpec identity_params[] = {
        { .name = "storage", .flags = PARAM_REQUIRED, .max_length = 255, .description = "Storage id." },
        { .name = "config",
          .flags = PARAM_MULTILINE,
          .max_length = 65536,
          .description = "A section of storage.cfg that defines it; without: the cluster's." },
        { .name = "mark",
          .type = PARAM_ENUM,
          .values = marks,
          .description = "Leave a mark in it, look for one, or take it away again." },
        { .name = "name", .max_length = 32, .description = "The mark's, 32 hexadecimal digits." },
        { .name = "use",
          .type = PARAM_BOOLEAN,
          .description = "It is about to be added: activate it on this node already, if that takes a mount." },
        { .name = "undo",
          .type = PARAM_BOOLEAN,
          .description = "With mark remove: a storage that was not accepted is let go of on this node." },
        { 0 },
};

const Route cluster_routes[] = {
        { "GET", "/cluster/storages", .permission = "/storage: Datastore.Audit",
          .description = "The storages of all nodes, as each node sees them, and how old that is.",
          .handler = list_storages },
        { "GET", "/cluster/conflicts", .permission = "/: Sys.Audit",
          .description =
                  "What this node's cluster file system has set aside, because the majority's history is another one.",
          .handler = list_conflicts },
        { "GET", "/cluster/doctor", .permission = "/: Sys.Audit",
          .description = "What is wrong on any node, and what comparing the nodes shows.", .handler = examine_cluster },
        { "GET", "/nodes/{node}/doctor", .permission = "/nodes/{node}: Sys.Audit",
          .description = "What is wrong on this node, and what to do.", .handler = examine_node },
        { "GET", "/nodes/{node}/clock", .permission = "/nodes/{node}: Sys.Audit",
          .description = "Its time and version, for comparing nodes.", .handler = tell_clock },
        { "POST", "/nodes/{node}/stream/{token}", .flags = ROUTE_SINK, .permission = "nodes of the cluster",
          .description = "Bytes of an export or import whose other end is here.", .handler = stream_end },
        { "POST", "/nodes/{node}/identity", identity_params, .permission = "/storage: Datastore.Allocate",
          .description = "Which thing a storage reaches from this node.", .handler = tell_identity },
        { 0 },
};
