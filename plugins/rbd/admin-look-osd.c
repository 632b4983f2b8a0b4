/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OSDs: their tree with usage and latencies, what one tells of itself, and the flags of their map. */
#include "rbd/admin-look.h"

#include <errno.h>

#define TREE_DEPTH 16

/* --- OSDs */

typedef struct Tree {
        json_object *nodes, *osds, *perf, *metadata; /* of `osd df`, `osd dump`, `osd perf`, `osd metadata` */
} Tree;

static json_object *find_number(json_object *array, const char *key, int64_t n)
{
        for (size_t i = 0; i < look_count(array); i++) {
                json_object *id = ceph_json_get(look_element(array, i), key);

                if (id && json_object_get_int64(id) == n)
                        return look_element(array, i);
        }
        return NULL;
}

static void add_osd(json_object *row, const Tree *t, json_object *node, int64_t id)
{
        static const char *const of_map[][2] = { { "in", "in" }, { NULL, NULL } };
        static const char *const of_perf[][2] = { { "commit_latency_ms", "perf_stats.commit_latency_ms" },
                                                  { "apply_latency_ms", "perf_stats.apply_latency_ms" },
                                                  { NULL, NULL } };
        static const char *const of_metadata[][2] = { { "host", "hostname" },
                                                      { "osdtype", "osd_objectstore" },
                                                      { "blfsdev", "bluestore_bdev_dev_node" },
                                                      { "ceph_version", "ceph_version" },
                                                      { "ceph_version_short", "ceph_version_short" },
                                                      { NULL, NULL } };
        uint64_t total = ceph_json_uint(node, "kb") * 1024, used = ceph_json_uint(node, "kb_used") * 1024;

        json_member(row, "total_space", look_number(total));
        json_member(row, "bytes_used", look_number(used));
        json_member(row, "percent_used",
                    json_object_new_double(total > 0 ? 100.0 * (double) used / (double) total : 0));
        look_copy(row, find_number(t->osds, "osd", id), of_map);
        look_copy(row, find_number(t->perf, "id", id), of_perf);
        look_copy(row, find_number(t->metadata, "id", id), of_metadata);
}

static json_object *tree_row(const Tree *t, int64_t id, unsigned depth)
{
        static const char *const keys[][2] = { { "id", "id" },
                                               { "name", "name" },
                                               { "type", "type" },
                                               { "status", "status" },
                                               { "crush_weight", "crush_weight" },
                                               { "reweight", "reweight" },
                                               { "device_class", "device_class" },
                                               { "pgs", "pgs" },
                                               { NULL, NULL } };
        json_object *node = find_number(t->nodes, "id", id), *row, *below, *children;
        const char *type = ceph_json_text(node, "type");

        if (!node || depth > TREE_DEPTH)
                return NULL;
        row = json_object_new_object();
        look_copy(row, node, keys);
        if (type && strcmp(type, "osd") == 0)
                add_osd(row, t, node, id);
        below = ceph_json_get(node, "children");
        json_member(row, "leaf", look_number(look_count(below) == 0));
        if (look_count(below) == 0)
                return row;
        children = json_object_new_array();
        for (size_t i = 0; i < look_count(below); i++)
                look_append(children, tree_row(t, json_object_get_int64(look_element(below, i)), depth + 1));
        json_member(row, "children", children);
        return row;
}

static bool is_child(const Tree *t, int64_t id)
{
        for (size_t i = 0; i < look_count(t->nodes); i++) {
                json_object *below = ceph_json_get(look_element(t->nodes, i), "children");

                for (size_t k = 0; k < look_count(below); k++)
                        if (json_object_get_int64(look_element(below, k)) == id)
                                return true;
        }
        return false;
}

static json_object *tree_root(const Tree *t)
{
        json_object *root = json_object_new_object(), *children = json_object_new_array();

        for (size_t i = 0; i < look_count(t->nodes); i++) {
                int64_t id = json_object_get_int64(ceph_json_get(look_element(t->nodes, i), "id"));

                if (!is_child(t, id))
                        look_append(children, tree_row(t, id, 0));
        }
        json_member(root, "leaf", look_number(0));
        json_member(root, "children", children);
        return root;
}

int look_osd(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *df = NULL;
        AUTO(ceph_jsonp) json_object *map = NULL;
        AUTO(ceph_jsonp) json_object *perf = NULL;
        AUTO(ceph_jsonp) json_object *metadata = NULL;
        Tree t;
        int r = ceph_mon(&a->cluster, &df, err, "osd df", "output_method", "tree", NULL);

        if (r >= 0)
                r = ceph_mon(&a->cluster, &map, err, "osd dump", NULL);
        if (r >= 0)
                r = ceph_mon(&a->cluster, &perf, err, "osd perf", NULL);
        if (r >= 0)
                r = ceph_mon(&a->cluster, &metadata, err, "osd metadata", NULL);
        if (r < 0)
                return r;
        t = (Tree){ ceph_json_get(df, "nodes"), ceph_json_get(map, "osds"),
                    ceph_json_get(perf, "osdstats.osd_perf_infos"), metadata };
        *ret = json_object_new_object();
        json_member(*ret, "root", tree_root(&t));
        json_member(*ret, "flags", json_object_get(ceph_json_get(map, "flags")));
        return 0;
}

static json_object *device_row(json_object *metadata, const char *device, const char *prefix)
{
        static const char *const members[][2] = { { "dev_node", "dev_node" },
                                                  { "devices", "physical_device" },
                                                  { "size", "size" },
                                                  { "support_discard", "support_discard" },
                                                  { "type", "type" } };
        json_object *row = json_object_new_object();
        char key[64];

        json_member(row, "device", look_text(device));
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
                (void) snprintf(key, sizeof(key), "%s_%s", prefix, members[i][0]);
                json_member(row, members[i][1], json_object_get(ceph_json_get(metadata, key)));
        }
        return row;
}

int look_osd_metadata(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const char *const keys[][2] = { { "id", "id" },
                                               { "hostname", "hostname" },
                                               { "back_addr", "back_addr" },
                                               { "front_addr", "front_addr" },
                                               { "hb_back_addr", "hb_back_addr" },
                                               { "hb_front_addr", "hb_front_addr" },
                                               { "osd_data", "osd_data" },
                                               { "osd_objectstore", "osd_objectstore" },
                                               { "version", "ceph_version" },
                                               { NULL, NULL } };
        static const char *const devices[][2] = { { "block", "bluestore_bdev" },
                                                  { "db", "bluefs_db" },
                                                  { "wal", "bluefs_wal" } };
        AUTO(ceph_jsonp) json_object *all = NULL;
        const char *id = admin_get(a, "name");
        json_object *one, *osd, *rows;
        int r = ceph_mon(&a->cluster, &all, err, "osd metadata", NULL);

        if (r < 0)
                return r;
        one = id && strspn(id, "0123456789") == strlen(id) ? find_number(all, "id", strtol(id, NULL, 10)) : NULL;
        if (!one)
                return error_set_param(err, -ENOENT, "osdid", "the Ceph cluster knows no OSD '%s'", id ? id : "");
        osd = json_object_new_object();
        look_copy(osd, one, keys);
        rows = json_object_new_array();
        for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
                char key[64];

                (void) snprintf(key, sizeof(key), "%s_size", devices[i][1]);
                if (ceph_json_get(one, key))
                        look_append(rows, device_row(one, devices[i][0], devices[i][1]));
        }
        *ret = json_object_new_object();
        json_member(*ret, "osd", osd);
        json_member(*ret, "devices", rows);
        return 0;
}

/* --- flags of the OSD map: those that Proxmox VE knows */

static const char *const flag_names[][2] = {
        { "nobackfill", "Backfilling of PGs is suspended." },
        { "nodeep-scrub", "Deep scrubbing is disabled." },
        { "nodown", "OSD failure reports are ignored, so that the monitors mark no OSD down." },
        { "noin", "OSDs that were marked out are not marked in when they start." },
        { "noout", "OSDs are not marked out after the configured interval." },
        { "norebalance", "Rebalancing of PGs is suspended." },
        { "norecover", "Recovery of PGs is suspended." },
        { "noscrub", "Scrubbing is disabled." },
        { "notieragent", "Cache tiering activity is suspended." },
        { "noup", "OSDs are not allowed to start." },
        { "pause", "Reads and writes are paused." },
};

static bool is_set(json_object *map, const char *flag)
{
        const char *flags = ceph_json_text(map, "flags");
        size_t n = strlen(flag);

        if (strcmp(flag, "pause") == 0)
                return is_set(map, "pauserd") && is_set(map, "pausewr");
        for (const char *s = flags; s && *s; s += strcspn(s, ","), s += *s == ',')
                if (strcspn(s, ",") == n && memcmp(s, flag, n) == 0)
                        return true;
        return false;
}

int look_flags(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *map = NULL;
        const char *one = admin_get(a, "name");
        json_object *rows;
        int r = ceph_mon(&a->cluster, &map, err, "osd dump", NULL);

        if (r < 0)
                return r;
        rows = one ? NULL : json_object_new_array();
        for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
                json_object *row;

                if (one && strcmp(one, flag_names[i][0]) == 0) {
                        *ret = json_object_new_boolean(is_set(map, one));
                        return 0;
                }
                if (one)
                        continue;
                row = json_object_new_object();
                json_member(row, "name", look_text(flag_names[i][0]));
                json_member(row, "description", look_text(flag_names[i][1]));
                json_member(row, "value", json_object_new_boolean(is_set(map, flag_names[i][0])));
                look_append(rows, row);
        }
        if (one)
                return error_set_param(err, -ENOENT, "flag", "'%s' is no flag of the OSD map that is known here", one);
        *ret = rows;
        return 0;
}
