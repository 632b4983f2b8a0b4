/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pool without an application is for. The witnesses are: file systems that list it, definitions of storages that
 * name it, and the names of its objects, which every application of Ceph forms in its own way. Sure is only what no
 * witness contradicts; where one does, or nobody knows, the administrator has to say (never a guess: a pool tagged
 * wrongly is lost to its application's clients, safety-and-peers.md 2.5).
 */
#include "rbd/admin.h"

#include <ctype.h>
#include <errno.h>

#define SAMPLE_MAX 20000u /* objects looked at; 0.1 to 0.5 s */

/* --- names of objects */

/* Beginnings of names; longer ones first where one begins another. */
static const struct {
        const char *prefix, *application;
} prefixes[] = {
        { "rbd_data.", "rbd" },
        { "rbd_header.", "rbd" },
        { "rbd_object_map.", "rbd" },
        { "rbd_id.", "rbd" },
        { "rbd_directory", "rbd" },
        { "rbd_info", "rbd" },
        { "rbd_children", "rbd" },
        { "rbd_trash", "rbd" },
        { "rbd_namespace", "rbd" },
        { "rbd_mirror", "rbd" },
        { "rbd_task", "rbd" },
        { "rbd_support", "rbd" },
        { "rbd_config", "rbd" },
        { "rbd_storaged_", "rbd" }, /* receive.c */
        { "rbd_group", "rbd" },
        { "rbd_pool_", "rbd" },
        { "rb.0.", "rbd" },
        { "journal_data.", "rbd" },
        { "journal.", "rbd" },
        { "mds0_", "cephfs" },
        { "mds_snaptable", "cephfs" },
        { ".dir.", "rgw" },
        { "default.realm", "rgw" },
        { "default.zone", "rgw" },
        { "zone_info.", "rgw" },
        { "zone_names.", "rgw" },
        { "zonegroup", "rgw" },
        { "region_info.", "rgw" },
        { "region_map", "rgw" },
        { "realms", "rgw" },
        { "periods.", "rgw" },
        { "period_config.", "rgw" },
        { "notify.", "rgw" },
        { "gc.", "rgw" },
        { "lc.", "rgw" },
        { "reshard.", "rgw" },
        { "obj_delete_at_hint.", "rgw" },
        { "data_log.", "rgw" },
        { "meta.log.", "rgw" },
        { "bucket.instance:", "rgw" },
        { ".bucket.meta.", "rgw" },
        { "data_loggenerations_metadata", "rgw" },
};

/* <inode in hex>.<8 hex digits>: a file's piece, a directory's fragment, the journal of an MDS. */
static bool is_cephfs_object(const char *name)
{
        size_t n = strspn(name, "0123456789abcdef");

        return n >= 1 && n <= 16 && name[n] == '.' && strspn(name + n + 1, "0123456789abcdef") == 8 &&
               (name[n + 9] == '\0' || strcmp(name + n + 9, "_head") == 0 || strcmp(name + n + 9, ".inode") == 0);
}

const char *object_application(const char *name)
{
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
                if (strncmp(name, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
                        return prefixes[i].application;
        return is_cephfs_object(name) ? "cephfs" : NULL;
}

/* --- the witnesses */

static void count_object(PoolEvidence *e, const char *name)
{
        const char *application = object_application(name);

        e->n_seen++;
        if (!application) {
                if (e->n_other++ == 0)
                        (void) snprintf(e->other_example, sizeof(e->other_example), "%s", name);
        } else if (strcmp(application, "rbd") == 0) {
                e->n_rbd++;
        } else if (strcmp(application, "cephfs") == 0) {
                e->n_cephfs++;
        } else {
                e->n_rgw++;
        }
}

static int look_at_objects(Admin *a, const char *pool, PoolEvidence *e, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        rados_list_ctx_t list;
        const char *name = NULL;
        int r = ceph_cluster_open_pool(&a->cluster, pool, LIBRADOS_ALL_NSPACES, &io, err);

        if (r < 0)
                return r;
        r = rados_nobjects_list_open(io, &list);
        if (r < 0)
                return ceph_fail(&a->cluster, r, err, "list the objects of pool '%s'", pool);
        while (e->n_seen < SAMPLE_MAX && (r = rados_nobjects_list_next(list, &name, NULL, NULL)) >= 0) {
                count_object(e, name);
                ceph_watch_again(&a->cluster.watch);
        }
        e->is_sampled = r >= 0 && rados_nobjects_list_next(list, &name, NULL, NULL) >= 0;
        rados_nobjects_list_close(list);
        return r == -ENOENT || r >= 0 ? 0 : ceph_fail(&a->cluster, r, err, "list the objects of pool '%s'", pool);
}

static bool fs_lists_pool(json_object *fs, const char *pool)
{
        json_object *data = ceph_json_get(fs, "data_pools");
        const char *metadata = ceph_json_text(fs, "metadata_pool");
        size_t n = json_object_is_type(data, json_type_array) ? json_object_array_length(data) : 0;

        if (metadata && strcmp(metadata, pool) == 0)
                return true;
        for (size_t i = 0; i < n; i++)
                if (strcmp(json_object_get_string(json_object_array_get_idx(data, i)), pool) == 0)
                        return true;
        return false;
}

static int look_at_file_systems(Admin *a, const char *pool, PoolEvidence *e, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *all = NULL;
        int r = ceph_mon(&a->cluster, &all, err, "fs ls", NULL);
        size_t n = json_object_is_type(all, json_type_array) ? json_object_array_length(all) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *fs = json_object_array_get_idx(all, i);

                if (fs_lists_pool(fs, pool) && ceph_json_text(fs, "name"))
                        (void) snprintf(e->file_system, sizeof(e->file_system), "%s", ceph_json_text(fs, "name"));
        }
        return r;
}

/* --- the verdict */

static void sure(PoolEvidence *e, const char *application, const char *why)
{
        e->application = application;
        (void) snprintf(e->because, sizeof(e->because), "%s", why);
}

void pool_evidence_judge(PoolEvidence *e)
{
        unsigned kinds = (e->n_rbd > 0) + (e->n_cephfs > 0) + (e->n_rgw > 0);
        char why[sizeof(e->because)];

        e->application = NULL;
        if (kinds > 1 || (e->storages[0] && (e->n_cephfs > 0 || e->n_rgw > 0)) ||
            (e->file_system[0] && (e->n_rbd > 0 || e->n_rgw > 0 || e->storages[0]))) {
                sure(e, NULL, "mixed evidence: the witnesses name different applications");
        } else if (e->file_system[0]) {
                (void) snprintf(why, sizeof(why), "the file system '%s' lists this pool as its own", e->file_system);
                sure(e, "cephfs", why);
        } else if (e->storages[0]) {
                (void) snprintf(why, sizeof(why),
                                "the definition of storage %s names it, and no object speaks for another "
                                "application",
                                e->storages);
                sure(e, "rbd", why);
        } else if (e->n_rbd > 0 && e->n_other == 0) {
                sure(e, "rbd",
                     e->is_sampled ? "every object looked at is one of RBD images"
                                   : "every object is one of RBD images");
        } else if (e->n_rbd > 0) {
                (void) snprintf(why, sizeof(why), "mixed evidence: objects of RBD images, and others, as '%s'",
                                e->other_example);
                sure(e, NULL, why);
        } else if (e->n_rgw > 0) {
                sure(e, NULL,
                     "its objects look like those of an object gateway, which tags its pools itself: only its "
                     "administrator can say whether the gateway still uses it");
        } else if (e->n_cephfs > 0) {
                sure(e, NULL,
                     "its objects look like those of a file system, but no file system lists this pool: it may be "
                     "what is left of one");
        } else if (e->n_other > 0) {
                (void) snprintf(why, sizeof(why),
                                "no known application forms names like '%s', and no storage's definition "
                                "names the pool",
                                e->other_example);
                sure(e, NULL, why);
        } else {
                sure(e, NULL, "it holds nothing that could tell, and no storage's definition names it");
        }
}

int pool_evidence(Admin *a, const char *pool, uint64_t n_objects, const char *storages, PoolEvidence *ret, STORAGED_ERR)
{
        PoolEvidence e = { .n_objects = n_objects };
        int r;

        CEPH_WATCH(&a->cluster.watch, 30000, "look at the objects of pool '%s'", pool);
        (void) snprintf(e.storages, sizeof(e.storages), "%s", storages ? storages : "");
        r = look_at_file_systems(a, pool, &e, err);
        if (r >= 0)
                r = look_at_objects(a, pool, &e, err);
        if (r < 0)
                return r;
        pool_evidence_judge(&e);
        *ret = e;
        return 0;
}

json_object *pool_evidence_to_json(const PoolEvidence *e)
{
        json_object *o = json_object_new_object();

        json_member(o, "objects", json_object_new_uint64(e->n_objects));
        json_member(o, "looked-at", json_object_new_uint64(e->n_seen));
        json_member(o, "rbd", json_object_new_uint64(e->n_rbd));
        json_member(o, "cephfs", json_object_new_uint64(e->n_cephfs));
        json_member(o, "rgw", json_object_new_uint64(e->n_rgw));
        json_member(o, "other", json_object_new_uint64(e->n_other));
        json_member(o, "other-example", e->n_other ? json_object_new_string(e->other_example) : NULL);
        json_member(o, "file-system", e->file_system[0] ? json_object_new_string(e->file_system) : NULL);
        json_member(o, "storages", e->storages[0] ? json_object_new_string(e->storages) : NULL);
        json_member(o, "application", e->application ? json_object_new_string(e->application) : NULL);
        json_member(o, "because", json_object_new_string(e->because));
        return o;
}
