/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `pvesm scan cephfs`: asks the monitors, which tell of the file systems that the user may see. */
#include "cephfs/cephfs-scan.h"

#include "common-ceph/ceph-cluster.h"
#include "common-ceph/ceph-mon.h"

static int give_row(json_object *fs, storaged_scan_fn fn, void *userdata)
{
        json_object *data = ceph_json_get(fs, "data_pools");
        const char *name = ceph_json_text(fs, "name"), *metadata = ceph_json_text(fs, "metadata_pool");
        struct storaged_pair pairs[] = { { "name", name },
                                         { "metadata-pool", metadata ? metadata : "" },
                                         { "data-pools", NULL } };
        char pools[512] = "";
        size_t used = 0;

        if (!name)
                return 0;
        for (size_t i = 0;
             json_object_is_type(data, json_type_array) && i < json_object_array_length(data) && used < sizeof(pools);
             i++)
                used += (size_t) snprintf(pools + used, sizeof(pools) - used, "%s%s", i ? "," : "",
                                          json_object_get_string(json_object_array_get_idx(data, i)));
        pairs[2].value = pools;
        return fn(userdata, pairs, sizeof(pairs) / sizeof(pairs[0]));
}

static int ask(CephCluster *c, json_object **ret, STORAGED_ERR)
{
        int r;

        CEPH_WATCH(&c->watch, CEPH_SHORT_MS, "list file systems");
        r = ceph_cluster_connect(c, err);
        return r < 0 ? r : ceph_mon(c, ret, err, "fs ls", NULL);
}

int cephfs_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn,
                void *userdata, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *all = NULL;
        CephCluster c;
        int r = ceph_cluster_init(&c, host, args, err);

        if (r < 0)
                return r;
        r = ask(&c, &all, err);
        ceph_cluster_deinit(&c);
        for (size_t i = 0; r >= 0 && json_object_is_type(all, json_type_array) && i < json_object_array_length(all);
             i++)
                r = give_row(json_object_array_get_idx(all, i), fn, userdata);
        return r;
}

static const struct storaged_property params[] = {
        { .name = "monhost",
          .type = STORAGED_PROPERTY_STRING,
          .description = "Monitors; default: this node's ceph.conf." },
        { .name = "username",
          .type = STORAGED_PROPERTY_STRING,
          .description = "User, without \"client.\"; default admin." },
        { .name = "keyring",
          .type = STORAGED_PROPERTY_STRING,
          .description = "File with that user's key, on the node." },
        { 0 },
};

static const char *const columns[] = { "name", "metadata-pool", "data-pools", NULL };

const struct storaged_scan cephfs_scan_schema = { .params = params, .columns = columns, .key_padding = 1 };
