/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Proxmox VE's API shows of a Ceph cluster and only reads: a row a view, each a few questions to the monitors put
 * into Proxmox VE's shape. What only the node with the daemon knows (its unit, its process) is left out: we ask the
 * cluster. A part that a version of Ceph does not tell is left out, too.
 */
#include "rbd/admin-look.h"

#include <errno.h>
#include <fcntl.h>

#define CONF_MAX (256u << 10)
#define LOG_MAX 10000u /* lines the monitors keep */

/* What a daemon tells of itself, by its name. */
static void add_metadata(json_object *row, json_object *all, const char *name)
{
        static const char *const keys[][2] = { { "host", "hostname" },
                                               { "ceph_version", "ceph_version" },
                                               { "ceph_version_short", "ceph_version_short" },
                                               { NULL, NULL } };

        look_copy(row, ceph_json_find(all, "name", name), keys);
}

/* --- daemons */

static bool has_rank(json_object *quorum, uint64_t rank)
{
        for (size_t i = 0; i < look_count(quorum); i++)
                if (json_object_get_uint64(look_element(quorum, i)) == rank)
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
        for (size_t i = 0; i < look_count(mons); i++) {
                json_object *mon = look_element(mons, i), *row = json_object_new_object();
                bool is_in = has_rank(ceph_json_get(status, "quorum"), ceph_json_uint(mon, "rank"));
                const char *name = ceph_json_text(mon, "name");

                look_copy(row, mon, keys);
                json_member(row, "quorum", look_number(is_in));
                json_member(row, "state", look_text(is_in ? "running" : "unknown"));
                add_metadata(row, metadata, name ? name : "");
                look_append(rows, row);
        }
        *ret = rows;
        return 0;
}

static json_object *mgr_row(json_object *metadata, const char *name, const char *state)
{
        static const char *const keys[][2] = { { "addr", "addr" }, { NULL, NULL } };
        json_object *row = json_object_new_object();

        json_member(row, "name", look_text(name));
        json_member(row, "state", look_text(state));
        look_copy(row, ceph_json_find(metadata, "name", name), keys);
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
                look_append(rows, mgr_row(metadata, active, "active"));
        standbys = ceph_json_get(map, "standbys");
        for (size_t i = 0; i < look_count(standbys); i++) {
                const char *name = ceph_json_text(look_element(standbys, i), "name");

                if (name)
                        look_append(rows, mgr_row(metadata, name, "standby"));
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

        look_copy(row, info, keys);
        json_member(row, "standby_replay", json_object_new_boolean(state && strcmp(state, "up:standby-replay") == 0));
        json_member(row, "fs_name", look_text(file_system));
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
        for (size_t i = 0; i < look_count(systems); i++) {
                json_object *infos = ceph_json_get(look_element(systems, i), "mdsmap.info");

                if (!json_object_is_type(infos, json_type_object))
                        continue;
                json_object_object_foreach (infos, gid, info) {
                        (void) gid;
                        look_append(rows, mds_row(info, metadata,
                                                  ceph_json_text(look_element(systems, i), "mdsmap.fs_name")));
                }
        }
        standbys = ceph_json_get(map, "standbys");
        for (size_t i = 0; i < look_count(standbys); i++)
                look_append(rows, mds_row(look_element(standbys, i), metadata, NULL));
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
        for (size_t i = 0; i < look_count(all); i++) {
                json_object *one = look_element(all, i),
                            *row = is_all ? json_object_get(one) : json_object_new_object();
                const char *name = ceph_json_text(one, "name"), *host = ceph_json_text(one, "hostname");

                if (!is_all)
                        look_copy(row, one, few);
                (void) snprintf(key, sizeof(key), "%s@%s", name ? name : "?", host ? host : "?");
                if (is_osd)
                        look_append(rows, row);
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
        json_member(o, "name", look_text(name));
        look_copy(o, all, keys);
        (void) pool_applications(pool, &first);
        json_member(o, "application", look_text(first));
        applications = json_object_new_array();
        if (first) {
                json_object_object_foreach (ceph_json_get(pool, "application_metadata"), key, value) {
                        (void) value;
                        look_append(applications, look_text(key));
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
        for (size_t i = 0; i < look_count(all); i++) {
                json_object *pools = ceph_json_get(look_element(all, i), "data_pools");

                if (look_count(pools) > 0)
                        json_member(look_element(all, i), "data_pool", json_object_get(look_element(pools, 0)));
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
        for (size_t i = 0; i < look_count(names); i++) {
                json_object *row = json_object_new_object();

                json_member(row, "name", json_object_get(look_element(names, i)));
                look_append(*ret, row);
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
        json_member(row, "n", look_number(n));
        json_member(row, "t", look_text(line));
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

        json_member(command, "prefix", look_text("log last"));
        json_member(command, "num", look_number(LOG_MAX));
        json_member(command, "level", look_text("debug"));
        json_member(command, "channel", look_text("cluster"));
        r = ceph_mon_object(&a->cluster, command, &lines, err);
        if (r < 0)
                return r;
        *ret = json_object_new_array();
        for (size_t i = start; i < look_count(lines) && i - start < limit; i++)
                look_append(*ret, log_line(look_element(lines, i), i + 1));
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
        json_member(command, "prefix", look_text(questions[i].prefix));
        if (questions[i].is_list) {
                ids = json_object_new_array();
                look_append(ids, look_text(id));
        } else {
                ids = look_text(id);
        }
        json_member(command, questions[i].key, ids);
        r = ceph_mon_object(&a->cluster, command, NULL, &why);
        if (r < 0 && r != -EBUSY && r != -EAGAIN)
                return error_set_param(err, r, why.param, "%s", why.text);
        *ret = json_object_new_object();
        json_member(*ret, "safe", look_number(r >= 0));
        json_member(*ret, "status", look_text(r >= 0 ? "" : why.text));
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
