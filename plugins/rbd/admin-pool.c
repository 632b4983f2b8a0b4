/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pools as the cluster has them: what they are from the OSD map, what is in them from `df`. A part that a version of
 * Ceph does not give is left out, never guessed.
 */
#include "rbd/admin.h"

#include <errno.h>

#define POOL_TYPE_ERASURE 3 /* of osd_types.h; replicated is 1 */

void pool_map_deinit(PoolMap *m)
{
        (void) json_object_put(m->osd_map);
        (void) json_object_put(m->usage);
        *m = (PoolMap){ 0 };
}

int pool_map_read(Admin *a, PoolMap *ret, STORAGED_ERR)
{
        PoolMap m = { 0 };
        int r = ceph_mon(&a->cluster, &m.osd_map, err, "osd dump", NULL);

        if (r >= 0)
                r = ceph_mon(&a->cluster, &m.usage, err, "df", NULL);
        if (r >= 0 && (!json_object_is_type(ceph_json_get(m.osd_map, "pools"), json_type_array) || !m.usage))
                r = error_set(err, -EPROTO, "the monitors' answers to 'osd dump' and 'df' can't be read");
        if (r < 0) {
                pool_map_deinit(&m);
                return r;
        }
        *ret = m;
        return 0;
}

json_object *pool_find(const Admin *a, const PoolMap *m, const char *name, STORAGED_ERR)
{
        json_object *pool = ceph_json_find(ceph_json_get(m->osd_map, "pools"), "pool_name", name);

        (void) a;
        if (!pool)
                (void) error_set_param(err, -ENOENT, "pool-name", "the Ceph cluster has no pool '%s'", name);
        return pool;
}

static json_object *pool_usage(const PoolMap *m, const char *name)
{
        return ceph_json_get(ceph_json_find(ceph_json_get(m->usage, "pools"), "name", name), "stats");
}

uint64_t pool_count_objects(const PoolMap *m, const char *name)
{
        return ceph_json_uint(pool_usage(m, name), "objects");
}

size_t pool_applications(json_object *pool, const char **ret_first)
{
        json_object *all = ceph_json_get(pool, "application_metadata");
        size_t n = 0;

        if (ret_first)
                *ret_first = NULL;
        if (!json_object_is_type(all, json_type_object))
                return 0;
        json_object_object_foreach (all, key, value) {
                (void) value;
                if (n++ == 0 && ret_first)
                        *ret_first = key;
        }
        return n;
}

bool pool_is_erasure(json_object *pool)
{
        return ceph_json_uint(pool, "type") == POOL_TYPE_ERASURE;
}

/* --- the listing: Proxmox VE's names (GET /nodes/{node}/ceph/pool) */

static json_object *rule_name(json_object *rules, uint64_t id)
{
        size_t n = json_object_is_type(rules, json_type_array) ? json_object_array_length(rules) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *rule = json_object_array_get_idx(rules, i);

                if (ceph_json_uint(rule, "rule_id") == id)
                        return json_object_get(ceph_json_get(rule, "rule_name"));
        }
        return NULL;
}

static json_object *pool_row(const PoolMap *m, json_object *pool, json_object *rules)
{
        static const char *const copied[][2] = {
                { "pool", "pool" },
                { "pool_name", "pool_name" },
                { "size", "size" },
                { "min_size", "min_size" },
                { "pg_num", "pg_num" },
                { "crush_rule", "crush_rule" },
                { "quota_max_bytes", "quota_max_bytes" },
                { "quota_max_objects", "quota_max_objects" },
                { "pg_autoscale_mode", "pg_autoscale_mode" },
                { "application_metadata", "application_metadata" },
        };
        json_object *row = json_object_new_object(), *usage = pool_usage(m, ceph_json_text(pool, "pool_name"));

        for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
                json_member(row, copied[i][0], json_object_get(ceph_json_get(pool, copied[i][1])));
        json_member(row, "type", json_object_new_string(pool_is_erasure(pool) ? "erasure" : "replicated"));
        json_member(row, "crush_rule_name", rule_name(rules, ceph_json_uint(pool, "crush_rule")));
        json_member(row, "bytes_used", json_object_new_uint64(ceph_json_uint(usage, "bytes_used")));
        json_member(row, "max_avail", json_object_new_uint64(ceph_json_uint(usage, "max_avail")));
        json_member(row, "objects", json_object_new_uint64(ceph_json_uint(usage, "objects")));
        json_member(row, "percent_used", json_object_get(ceph_json_get(usage, "percent_used")));
        return row;
}

int act_pools(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        AUTO(ceph_jsonp) json_object *rules = NULL;
        json_object *pools, *rows;
        int r = pool_map_read(a, &m, err);

        if (r >= 0)
                r = ceph_mon(&a->cluster, &rules, err, "osd crush rule dump", NULL);
        if (r < 0)
                return r;
        pools = ceph_json_get(m.osd_map, "pools");
        rows = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(pools); i++)
                (void) json_object_array_add(rows, pool_row(&m, json_object_array_get_idx(pools, i), rules));
        *ret = rows;
        return 0;
}
