/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs: /nodes/{node}/luns, what one node sees, and /cluster/luns, the matrix of all nodes. */
#include <errno.h>

#include "api/request.h"
#include "api/route.h"
#include "core/lun-cluster.h"
#include "core/lun-job.h"
#include "core/lun.h"
#include "core/multipath-config.h"
#include "wire/json.h"

static unsigned query_flags(const Request *r)
{
        return params_get_bool(&r->params, "fresh", false) ? LUNS_FRESH : 0;
}

/* The rows of one transport; all rows where none is named. New reference. */
static json_object *rows_of(json_object *rows, const char *transport)
{
        AUTO_JSON *some = json_object_new_array();

        if (!transport)
                return json_object_get(rows);
        for (size_t i = 0; some && rows && i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                if (str_eq(json_get_string(row, "transport"), transport) &&
                    json_object_array_add(some, json_object_get(row)) < 0)
                        return NULL;
        }
        return TAKE(some);
}

static void on_luns(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Request *r = userdata;

        if (err)
                request_fail(r, -EIO, err);
        else if (params_get_bool(&r->params, "whole", false))
                request_reply(r, reply->data);
        else
                request_reply_take(r, rows_of(json_get(reply->data, "luns"), request_get(r, "transport")));
}

static void list_luns(Request *r)
{
        luns_query(r->core, query_flags(r), on_luns, r);
}

static void on_lun(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Request *r = userdata;
        json_object *lun = err ? NULL : luns_find_in(reply->data, request_get(r, "wwid"));

        if (err)
                request_fail(r, -EIO, err);
        else if (!lun)
                request_fail_status(r, 404, "wwid", "no LUN '%s' is seen; look for new ones with pvesm lun scan",
                                    request_get(r, "wwid"));
        else
                request_reply(r, lun);
}

static void get_lun(Request *r)
{
        luns_query(r->core, query_flags(r), on_lun, r);
}

static void on_ports(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        if (err)
                request_fail(userdata, -EIO, err);
        else
                request_reply(userdata, json_get(reply->data, "ports"));
}

static void list_ports(Request *r)
{
        luns_query(r->core, query_flags(r), on_ports, r);
}

static void on_cluster(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        AUTO_JSON *o = NULL;
        Request *r = userdata;

        if (err) {
                request_fail(r, -EIO, err);
                return;
        }
        o = json_object_new_object();
        if (json_add(o, "nodes", json_object_get(json_get(reply->data, "nodes"))) < 0 ||
            json_add(o, "luns", rows_of(json_get(reply->data, "luns"), request_get(r, "transport"))) < 0)
                request_fail(r, -ENOMEM, NULL);
        else
                request_reply(r, o);
}

static void list_cluster(Request *r)
{
        luns_cluster_query(r->core, NULL, query_flags(r), on_cluster, r);
}

static void get_cluster(Request *r)
{
        luns_cluster_query(r->core, request_get(r, "wwid"), query_flags(r), on_lun, r);
}

/* --- what is done to them */

static LunRequest job_request(const Request *r)
{
        return (LunRequest){ .wwid = request_get(r, "wwid"),
                             .target = request_get(r, "target"),
                             .lun = request_get(r, "lun"),
                             .node = request_get(r, "on"),
                             .force = params_get_bool(&r->params, "force", false),
                             .user = r->user };
}

static void scan(Request *r)
{
        LunRequest rq = job_request(r);

        if (rq.lun && !rq.target) {
                request_fail_status(r, 400, "lun", "a number is one of a target: give the target, too");
                return;
        }
        lun_scan(r->core, &rq, request_on_reply, r);
}

static void resize(Request *r)
{
        LunRequest rq = job_request(r);

        lun_resize(r->core, &rq, request_on_reply, r);
}

static void remove_lun(Request *r)
{
        LunRequest rq = job_request(r);

        lun_remove(r->core, &rq, request_on_reply, r);
}

static void get_multipath(Request *r)
{
        request_reply_take(r, multipath_config_to_json(r->core));
}

enum { ALLOW, DISALLOW };

static void allow(Request *r)
{
        multipath_config_allow(r->core, request_get(r, "wwid"), request_get(r, "alias"), r->route->op == ALLOW,
                               request_on_reply, r);
}

static const char *const transports[] = { "fc", "iscsi", "sas", "sata", "nvme", "virtio", "scsi", "usb", NULL };

#define P_FRESH                                                                  \
        {                                                                        \
                .name = "fresh", .type = PARAM_BOOLEAN,                          \
                .description = "Look at the disks now, at what is on them, too." \
        }

static const ParamSpec list_params[] = {
        P_FRESH,
        { .name = "transport",
          .type = PARAM_ENUM,
          .values = transports,
          .description = "Only LUNs that come this way." },
        { .name = "whole", .type = PARAM_BOOLEAN, .description = "With the ports, and what multipathd says." },
        { 0 },
};

static const ParamSpec cluster_params[] = {
        P_FRESH,
        { .name = "transport",
          .type = PARAM_ENUM,
          .values = transports,
          .description = "Only LUNs that come this way." },
        { 0 },
};

static const ParamSpec one_params[] = { P_FRESH, { 0 } };

static const ParamSpec scan_params[] = {
        { .name = "target", .max_length = 255, .description = "WWPN or IQN of the only target to look at." },
        { .name = "lun",
          .type = PARAM_INTEGER,
          .min = 0,
          .max = 65535,
          .description = "The only number to look at, of that target." },
        { .name = "on", .max_length = 63, .description = "Only this node looks." },
        { 0 },
};

static const ParamSpec allow_params[] = {
        { .name = "alias",
          .type = PARAM_NAME,
          .max_length = 63,
          .description = "What its map is called on all nodes." },
        { 0 },
};

static const ParamSpec no_params[] = { { 0 } };

static const ParamSpec remove_params[] = {
        { .name = "force",
          .type = PARAM_BOOLEAN,
          .description = "Also a physical volume of a group, and a map whose last writes are lost." },
        { 0 },
};

#define MODIFY_ALL "/: Sys.Modify"
#define AUDIT "/nodes/{node}: Sys.Audit"
#define AUDIT_ALL "/: Sys.Audit"

const Route lun_routes[] = {
        { "GET", "/nodes/{node}/luns", list_params, .permission = AUDIT,
          .description = "The node's LUNs by WWID, with their paths and what is on them.", .handler = list_luns },
        { "GET", "/nodes/{node}/luns/{wwid}", one_params, .permission = AUDIT, .description = "One of them.",
          .handler = get_lun },
        { "GET", "/nodes/{node}/ports", one_params, .permission = AUDIT,
          .description = "The node's FC ports with the remote ports they see, and its iSCSI sessions.",
          .handler = list_ports },
        { "GET", "/nodes/{node}/multipath", .permission = AUDIT,
          .description =
                  "How the cluster's multipath configuration was applied here, and where the node's own differs.",
          .handler = get_multipath },
        { "PUT", "/cluster/multipath/{wwid}", allow_params, .op = ALLOW, .permission = MODIFY_ALL,
          .description = "All nodes may assemble this LUN.", .handler = allow },
        { "DELETE", "/cluster/multipath/{wwid}", no_params, .op = DISALLOW, .permission = MODIFY_ALL,
          .description = "They may not any more; its map stays until it is removed.", .handler = allow },
        { "GET", "/cluster/luns", cluster_params, .permission = AUDIT_ALL,
          .description = "Which node sees which LUN, over how many paths, and where they disagree.",
          .handler = list_cluster },
        { "GET", "/cluster/luns/{wwid}", one_params, .permission = AUDIT_ALL, .description = "One of them.",
          .handler = get_cluster },
        { "POST", "/cluster/luns", scan_params, .permission = MODIFY_ALL,
          .description = "Looks for new LUNs on all nodes; a UPID.", .handler = scan },
        { "PUT", "/cluster/luns/{wwid}", no_params, .permission = MODIFY_ALL,
          .description = "Takes over the size that the array gave it, on all nodes; a UPID.", .handler = resize },
        { "DELETE", "/cluster/luns/{wwid}", remove_params, .permission = MODIFY_ALL,
          .description = "Takes it away from all nodes, and after it was unmapped proves that it is gone; a UPID.",
          .handler = remove_lun },
        { 0 },
};
