/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Proxmox VE's API shows of a Ceph cluster and only reads: a row a view, each a few questions to the monitors put
 * into Proxmox VE's shape. What only the node with the daemon knows (its unit, its process) is left out: we ask the
 * cluster. A part that a version of Ceph does not tell is left out, too.
 */
#include "rbd/admin.h"

#include <errno.h>
#include <fcntl.h>

#define TREE_DEPTH 16
#define CONF_MAX (256u << 10)
#define LOG_MAX 10000u /* lines the monitors keep */

static size_t count(json_object *array)
{
        return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static json_object *element(json_object *array, size_t i)
{
        return json_object_array_get_idx(array, i);
}

static void append(json_object *array, json_object *row)
{
        if (row && json_object_array_add(array, row) < 0)
                (void) json_object_put(row);
}

/* Members under their names or others; NULL ends. */
static void copy(json_object *to, json_object *from, const char *const (*keys)[2])
{
        for (; (*keys)[0]; keys++)
                json_member(to, (*keys)[0], json_object_get(ceph_json_get(from, (*keys)[1])));
}

static json_object *text(const char *s)
{
        return s ? json_object_new_string(s) : NULL;
}

static json_object *number(uint64_t n)
{
        return json_object_new_uint64(n);
}

/* What a daemon tells of itself, by its name. */
static void add_metadata(json_object *row, json_object *all, const char *name)
{
        static const char *const keys[][2] = { { "host", "hostname" },
                                               { "ceph_version", "ceph_version" },
                                               { "ceph_version_short", "ceph_version_short" },
                                               { NULL, NULL } };

        copy(row, ceph_json_find(all, "name", name), keys);
}

/* --- daemons */

static bool has_rank(json_object *quorum, uint64_t rank)
{
        for (size_t i = 0; i < count(quorum); i++)
                if (json_object_get_uint64(element(quorum, i)) == rank)
                        return true;
        return false;
}

static int look_mon(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const char *const keys[][2] = {
                { "name", "name" }, { "addr", "addr" }, { "rank", "rank" }, { NULL, NULL }
        };
        AUTO(ceph_jsonp) json_object *status = NULL;
        AUTO(ceph_jsonp) json_object *metadata = NULL;
        json_object *mons, *rows;
        int r = ceph_mon(&a->cluster, &status, err, "quorum_status", NULL);

        if (r >= 0)
                r = ceph_mon(&a->cluster, &metadata, err, "mon metadata", NULL);
        if (r < 0)
                return r;
        mons = ceph_json_get(status, "monmap.mons");
        rows = json_object_new_array();
        for (size_t i = 0; i < count(mons); i++) {
                json_object *mon = element(mons, i), *row = json_object_new_object();
                bool is_in = has_rank(ceph_json_get(status, "quorum"), ceph_json_uint(mon, "rank"));
                const char *name = ceph_json_text(mon, "name");

                copy(row, mon, keys);
                json_member(row, "quorum", number(is_in));
                json_member(row, "state", text(is_in ? "running" : "unknown"));
                add_metadata(row, metadata, name ? name : "");
                append(rows, row);
        }
        *ret = rows;
        return 0;
}

static json_object *mgr_row(json_object *metadata, const char *name, const char *state)
{
        static const char *const keys[][2] = { { "addr", "addr" }, { NULL, NULL } };
        json_object *row = json_object_new_object();

        json_member(row, "name", text(name));
        json_member(row, "state", text(state));
        copy(row, ceph_json_find(metadata, "name", name), keys);
        add_metadata(row, metadata, name);
        return row;
}

static int look_mgr(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *map = NULL;
        AUTO(ceph_jsonp) json_object *metadata = NULL;
        json_object *standbys, *rows;
        const char *active;
        int r = ceph_mon(&a->cluster, &map, err, "mgr dump", NULL);

        if (r >= 0)
                r = ceph_mon(&a->cluster, &metadata, err, "mgr metadata", NULL);
        if (r < 0)
                return r;
        rows = json_object_new_array();
        active = ceph_json_text(map, "active_name");
        if (active && *active)
                append(rows, mgr_row(metadata, active, "active"));
        standbys = ceph_json_get(map, "standbys");
        for (size_t i = 0; i < count(standbys); i++) {
                const char *name = ceph_json_text(element(standbys, i), "name");

                if (name)
                        append(rows, mgr_row(metadata, name, "standby"));
        }
        *ret = rows;
        return 0;
}

static json_object *mds_row(json_object *info, json_object *metadata, const char *file_system)
{
        static const char *const keys[][2] = {
                { "name", "name" }, { "addr", "addr" }, { "state", "state" }, { "rank", "rank" }, { NULL, NULL }
        };
        json_object *row = json_object_new_object();
        const char *name = ceph_json_text(info, "name"), *state = ceph_json_text(info, "state");

        copy(row, info, keys);
        json_member(row, "standby_replay", json_object_new_boolean(state && strcmp(state, "up:standby-replay") == 0));
        json_member(row, "fs_name", text(file_system));
        add_metadata(row, metadata, name ? name : "");
        return row;
}

static int look_mds(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *map = NULL;
        AUTO(ceph_jsonp) json_object *metadata = NULL;
        json_object *systems, *standbys, *rows;
        int r = ceph_mon(&a->cluster, &map, err, "fs dump", NULL);

        if (r >= 0)
                r = ceph_mon(&a->cluster, &metadata, err, "mds metadata", NULL);
        if (r < 0)
                return r;
        rows = json_object_new_array();
        systems = ceph_json_get(map, "filesystems");
        for (size_t i = 0; i < count(systems); i++) {
                json_object *infos = ceph_json_get(element(systems, i), "mdsmap.info");

                if (!json_object_is_type(infos, json_type_object))
                        continue;
                json_object_object_foreach (infos, gid, info) {
                        (void) gid;
                        append(rows, mds_row(info, metadata, ceph_json_text(element(systems, i), "mdsmap.fs_name")));
                }
        }
        standbys = ceph_json_get(map, "standbys");
        for (size_t i = 0; i < count(standbys); i++)
                append(rows, mds_row(element(standbys, i), metadata, NULL));
        *ret = rows;
        return 0;
}

/* What every daemon of a kind tells of itself, under NAME@HOST; OSDs are an array. */
static int add_versions(Admin *a, json_object *to, const char *kind, bool is_all, STORAGED_ERR)
{
        static const char *const few[][2] = { { "ceph_release", "ceph_release" },
                                              { "ceph_version", "ceph_version" },
                                              { "ceph_version_short", "ceph_version_short" },
                                              { "hostname", "hostname" },
                                              { "name", "name" },
                                              { "id", "id" },
                                              { NULL, NULL } };
        AUTO(ceph_jsonp) json_object *all = NULL;
        bool is_osd = strcmp(kind, "osd") == 0;
        json_object *rows;
        char prefix[32], key[256];
        int r;

        (void) snprintf(prefix, sizeof(prefix), "%s metadata", kind);
        r = ceph_mon(&a->cluster, &all, err, prefix, NULL);
        if (r < 0)
                return r;
        rows = is_osd ? json_object_new_array() : json_object_new_object();
        for (size_t i = 0; i < count(all); i++) {
                json_object *one = element(all, i), *row = is_all ? json_object_get(one) : json_object_new_object();
                const char *name = ceph_json_text(one, "name"), *host = ceph_json_text(one, "hostname");

                if (!is_all)
                        copy(row, one, few);
                (void) snprintf(key, sizeof(key), "%s@%s", name ? name : "?", host ? host : "?");
                if (is_osd)
                        append(rows, row);
                else
                        json_member(rows, key, row);
        }
        json_member(to, kind, rows);
        return 0;
}

static int look_metadata(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const char *const kinds[] = { "mon", "mgr", "mds", "osd" };
        AUTO(ceph_jsonp) json_object *o = json_object_new_object();
        const char *scope = admin_get(a, "scope");
        int r = 0;

        for (size_t i = 0; r >= 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
                r = add_versions(a, o, kinds[i], !scope || strcmp(scope, "versions") != 0, err);
        json_member(o, "node", json_object_new_object()); /* packages on nodes are not the cluster's to tell */
        if (r >= 0)
                *ret = TAKE(o);
        return r;
}

/* --- OSDs */

typedef struct Tree {
        json_object *nodes, *osds, *perf, *metadata; /* of `osd df`, `osd dump`, `osd perf`, `osd metadata` */
} Tree;

static json_object *find_number(json_object *array, const char *key, int64_t n)
{
        for (size_t i = 0; i < count(array); i++) {
                json_object *id = ceph_json_get(element(array, i), key);

                if (id && json_object_get_int64(id) == n)
                        return element(array, i);
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

        json_member(row, "total_space", number(total));
        json_member(row, "bytes_used", number(used));
        json_member(row, "percent_used",
                    json_object_new_double(total > 0 ? 100.0 * (double) used / (double) total : 0));
        copy(row, find_number(t->osds, "osd", id), of_map);
        copy(row, find_number(t->perf, "id", id), of_perf);
        copy(row, find_number(t->metadata, "id", id), of_metadata);
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
        copy(row, node, keys);
        if (type && strcmp(type, "osd") == 0)
                add_osd(row, t, node, id);
        below = ceph_json_get(node, "children");
        json_member(row, "leaf", number(count(below) == 0));
        if (count(below) == 0)
                return row;
        children = json_object_new_array();
        for (size_t i = 0; i < count(below); i++)
                append(children, tree_row(t, json_object_get_int64(element(below, i)), depth + 1));
        json_member(row, "children", children);
        return row;
}

static bool is_child(const Tree *t, int64_t id)
{
        for (size_t i = 0; i < count(t->nodes); i++) {
                json_object *below = ceph_json_get(element(t->nodes, i), "children");

                for (size_t k = 0; k < count(below); k++)
                        if (json_object_get_int64(element(below, k)) == id)
                                return true;
        }
        return false;
}

static json_object *tree_root(const Tree *t)
{
        json_object *root = json_object_new_object(), *children = json_object_new_array();

        for (size_t i = 0; i < count(t->nodes); i++) {
                int64_t id = json_object_get_int64(ceph_json_get(element(t->nodes, i), "id"));

                if (!is_child(t, id))
                        append(children, tree_row(t, id, 0));
        }
        json_member(root, "leaf", number(0));
        json_member(root, "children", children);
        return root;
}

static int look_osd(Admin *a, json_object **ret, STORAGED_ERR)
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

        json_member(row, "device", text(device));
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
                (void) snprintf(key, sizeof(key), "%s_%s", prefix, members[i][0]);
                json_member(row, members[i][1], json_object_get(ceph_json_get(metadata, key)));
        }
        return row;
}

static int look_osd_metadata(Admin *a, json_object **ret, STORAGED_ERR)
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
        copy(osd, one, keys);
        rows = json_object_new_array();
        for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
                char key[64];

                (void) snprintf(key, sizeof(key), "%s_size", devices[i][1]);
                if (ceph_json_get(one, key))
                        append(rows, device_row(one, devices[i][0], devices[i][1]));
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

static int look_flags(Admin *a, json_object **ret, STORAGED_ERR)
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
                json_member(row, "name", text(flag_names[i][0]));
                json_member(row, "description", text(flag_names[i][1]));
                json_member(row, "value", json_object_new_boolean(is_set(map, flag_names[i][0])));
                append(rows, row);
        }
        if (one)
                return error_set_param(err, -ENOENT, "flag", "'%s' is no flag of the OSD map that is known here", one);
        *ret = rows;
        return 0;
}

/* --- pools, file systems, rules */

static int look_pool(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const char *const keys[][2] = { { "size", "size" },
                                               { "min_size", "min_size" },
                                               { "pg_num", "pg_num" },
                                               { "pgp_num", "pgp_num" },
                                               { "crush_rule", "crush_rule" },
                                               { "pg_autoscale_mode", "pg_autoscale_mode" },
                                               { "pg_num_min", "pg_num_min" },
                                               { "target_size", "target_size_bytes" },
                                               { "target_size_ratio", "target_size_ratio" },
                                               { "fast_read", "fast_read" },
                                               { "hashpspool", "hashpspool" },
                                               { "nodelete", "nodelete" },
                                               { "nopgchange", "nopgchange" },
                                               { "nosizechange", "nosizechange" },
                                               { "noscrub", "noscrub" },
                                               { "nodeep-scrub", "nodeep-scrub" },
                                               { "use_gmt_hitset", "use_gmt_hitset" },
                                               { "write_fadvise_dontneed", "write_fadvise_dontneed" },
                                               { NULL, NULL } };
        AUTO(pool_map_deinit) PoolMap m = { 0 };
        AUTO(ceph_jsonp) json_object *all = NULL;
        const char *name = admin_get(a, "name"), *first = NULL;
        json_object *pool, *applications, *o;
        int r = pool_map_read(a, &m, err);

        if (r < 0)
                return r;
        pool = pool_find(a, &m, name ? name : "", err);
        if (!pool)
                return -ENOENT;
        r = ceph_mon(&a->cluster, &all, err, "osd pool get", "pool", name, "var", "all", NULL);
        if (r < 0)
                return r;
        o = json_object_new_object();
        json_member(o, "id", json_object_get(ceph_json_get(pool, "pool")));
        json_member(o, "name", text(name));
        copy(o, all, keys);
        (void) pool_applications(pool, &first);
        json_member(o, "application", text(first));
        applications = json_object_new_array();
        if (first) {
                json_object_object_foreach (ceph_json_get(pool, "application_metadata"), key, value) {
                        (void) value;
                        append(applications, text(key));
                }
        }
        json_member(o, "application_list", applications);
        json_member(
                o, "statistics",
                json_object_get(ceph_json_get(ceph_json_find(ceph_json_get(m.usage, "pools"), "name", name), "stats")));
        *ret = o;
        return 0;
}

static int look_fs(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *all = NULL;
        int r = ceph_mon(&a->cluster, &all, err, "fs ls", NULL);

        if (r < 0)
                return r;
        for (size_t i = 0; i < count(all); i++) {
                json_object *pools = ceph_json_get(element(all, i), "data_pools");

                if (count(pools) > 0)
                        json_member(element(all, i), "data_pool", json_object_get(element(pools, 0)));
        }
        *ret = all ? TAKE(all) : json_object_new_array();
        return 0;
}

static int look_rules(Admin *a, json_object **ret, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *names = NULL;
        int r = ceph_mon(&a->cluster, &names, err, "osd crush rule ls", NULL);

        if (r < 0)
                return r;
        *ret = json_object_new_array();
        for (size_t i = 0; i < count(names); i++) {
                json_object *row = json_object_new_object();

                json_member(row, "name", json_object_get(element(names, i)));
                append(*ret, row);
        }
        return 0;
}

/* --- configuration, log, safety */

static int look_config(Admin *a, json_object **ret, STORAGED_ERR)
{
        return ceph_mon(&a->cluster, ret, err, "config dump", NULL);
}

/* The file that describes this node's own cluster; one elsewhere has none here. */
static int look_conf(Admin *a, json_object **ret, STORAGED_ERR)
{
        const char *path = a->cluster.conf;
        AUTO(closep) int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        AUTO(freep) char *buf = malloc(CONF_MAX);
        size_t n = 0;
        ssize_t k = 0;

        if (!path || fd < 0)
                return error_set(err, -ENOENT, "there is no ceph.conf of this cluster here%s%s", path ? ": " : "",
                                 path ? path : "");
        while (buf && n < CONF_MAX && (k = read(fd, buf + n, CONF_MAX - n)) > 0)
                n += (size_t) k;
        if (!buf || k < 0 || n == CONF_MAX)
                return error_set(err, buf && k >= 0 ? -EFBIG : -EIO, "can't read %s", path);
        *ret = json_object_new_string_len(buf, (int) n);
        return 0;
}

static json_object *log_line(json_object *entry, uint64_t n)
{
        const char *stamp = ceph_json_text(entry, "stamp"), *name = ceph_json_text(entry, "name");
        const char *level = ceph_json_text(entry, "priority"), *message = ceph_json_text(entry, "message");
        json_object *row = json_object_new_object();
        char line[2048];

        (void) snprintf(line, sizeof(line), "%s %s %s %s", stamp ? stamp : "", name ? name : "", level ? level : "",
                        message ? message : "");
        json_member(row, "n", number(n));
        json_member(row, "t", text(line));
        return row;
}

/* The cluster's log as the monitors keep it: oldest first, numbered from 1. */
static int look_log(Admin *a, json_object **ret, STORAGED_ERR)
{
        const char *start_text = admin_get(a, "start"), *limit_text = admin_get(a, "limit");
        uint64_t start = start_text ? strtoull(start_text, NULL, 10) : 0;
        uint64_t limit = limit_text ? strtoull(limit_text, NULL, 10) : 50;
        AUTO(ceph_jsonp) json_object *command = json_object_new_object();
        AUTO(ceph_jsonp) json_object *lines = NULL;
        int r;

        json_member(command, "prefix", text("log last"));
        json_member(command, "num", number(LOG_MAX));
        json_member(command, "level", text("debug"));
        json_member(command, "channel", text("cluster"));
        r = ceph_mon_object(&a->cluster, command, &lines, err);
        if (r < 0)
                return r;
        *ret = json_object_new_array();
        for (size_t i = start; i < count(lines) && i - start < limit; i++)
                append(*ret, log_line(element(lines, i), i + 1));
        return 0;
}

static int look_safety(Admin *a, json_object **ret, STORAGED_ERR)
{
        static const struct {
                const char *service, *action, *prefix, *key;
                bool is_list;
        } questions[] = {
                { "osd", "stop", "osd ok-to-stop", "ids", true },
                { "osd", "destroy", "osd safe-to-destroy", "ids", true },
                { "mon", "stop", "mon ok-to-stop", "ids", true },
                { "mon", "destroy", "mon ok-to-rm", "id", false },
                { "mds", "stop", "mds ok-to-stop", "ids", true },
        };
        const char *service = admin_get(a, "service"), *action = admin_get(a, "action"), *id = admin_get(a, "name");
        struct storaged_error why = STORAGED_ERROR_INIT;
        AUTO(ceph_jsonp) json_object *command = NULL;
        json_object *ids;
        size_t i = 0, n = sizeof(questions) / sizeof(questions[0]);
        int r;

        while (i < n && (!service || !action || strcmp(questions[i].service, service) != 0 ||
                         strcmp(questions[i].action, action) != 0))
                i++;
        if (i == n || !id)
                return error_set_param(err, -EINVAL, "action", "Ceph does not tell whether '%s' of a %s is safe",
                                       action ? action : "", service ? service : "daemon");
        command = json_object_new_object();
        json_member(command, "prefix", text(questions[i].prefix));
        if (questions[i].is_list) {
                ids = json_object_new_array();
                append(ids, text(id));
        } else {
                ids = text(id);
        }
        json_member(command, questions[i].key, ids);
        r = ceph_mon_object(&a->cluster, command, NULL, &why);
        if (r < 0 && r != -EBUSY && r != -EAGAIN)
                return error_set_param(err, r, why.param, "%s", why.text);
        *ret = json_object_new_object();
        json_member(*ret, "safe", number(r >= 0));
        json_member(*ret, "status", text(r >= 0 ? "" : why.text));
        return 0;
}

/* --- the table */

static const struct {
        const char *name;
        int (*look)(Admin *a, json_object **ret, STORAGED_ERR);
} views[] = {
        { "cfg/db", look_config },
        { "cfg/raw", look_conf },
        { "cmd-safety", look_safety },
        { "flags", look_flags },
        { "fs", look_fs },
        { "log", look_log },
        { "mds", look_mds },
        { "metadata", look_metadata },
        { "mgr", look_mgr },
        { "mon", look_mon },
        { "osd", look_osd },
        { "osd/metadata", look_osd_metadata },
        { "pool/status", look_pool },
        { "rules", look_rules },
};

int act_look(Admin *a, json_object **ret, STORAGED_ERR)
{
        const char *name = admin_get(a, "view");

        for (size_t i = 0; name && i < sizeof(views) / sizeof(views[0]); i++)
                if (strcmp(views[i].name, name) == 0)
                        return views[i].look(a, ret, err);
        return error_set_param(err, -EINVAL, "view", "there is no view '%s'", name ? name : "");
}
