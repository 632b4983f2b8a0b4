/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Storage type rbd: images in a pool of a Ceph cluster, by librados and librbd; no program of Ceph's is run.
 *
 * The pool is all the state there is: a volume is an image of its name, made and renamed in one step. The control plane
 * and the data plane are the same cluster, so the storage is probed: its status asks the monitors for the space and an
 * OSD for an object, each with a limit. Everything that can hang runs under a watch (common-ceph/ceph-watch.h).
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "common-ceph/ceph-fence.h"
#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"
#include "rbd/admin.h"
#include "rbd/krbd.h"
#include "rbd/status-health.h"
#include "rbd/store.h"

/* --- lifecycle */

/* What Ceph or QEMU's URI would read as the end of a name. */
static int check_name(const char *key, const char *value, STORAGED_ERR)
{
        if (value && (!*value || strlen(value) > 128 || strpbrk(value, "/@%")))
                return error_set_param(err, -EINVAL, key, "%s '%s' can't be: 1 to 128 characters without / @ %%", key,
                                       value);
        return 0;
}

static int rbdstore_check_config(const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR)
{
        static const char *const names[] = { "pool", "data-pool", "namespace", "username" };
        const char *monhost = storaged_config_get(config, "monhost");
        CephMonitors monitors;
        int r = 0;

        (void) host;
        for (size_t i = 0; r >= 0 && i < sizeof(names) / sizeof(names[0]); i++)
                r = check_name(names[i], storaged_config_get(config, names[i]), err);
        if (r < 0 || !monhost)
                return r;
        ceph_monitors_parse(monhost, &monitors);
        return monitors.n + monitors.n_names > 0
                       ? 0
                       : error_set_param(err, -EINVAL, "monhost", "monhost '%s' names no monitor", monhost);
}

static void rbdstore_stop(void *self)
{
        RbdStore *s = self;

        if (s->io)
                rados_ioctx_destroy(s->io);
        ceph_cluster_deinit(&s->cluster);
        free(s->pool);
        free(s->namespace);
        free(s->data_pool);
        free(s);
}

static int rbdstore_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                          STORAGED_ERR)
{
        const char *pool = storaged_config_get(config, "pool"), *namespace = storaged_config_get(config, "namespace");
        const char *data_pool = storaged_config_get(config, "data-pool");
        AUTO(freep) RbdStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "no memory");
        r = ceph_cluster_init(&s->cluster, host, config, err);
        if (r < 0)
                return r;
        s->pool = strdup(pool ? pool : "rbd");
        s->namespace = namespace && *namespace ? strdup(namespace) : NULL;
        s->data_pool = data_pool && *data_pool ? strdup(data_pool) : NULL;
        s->is_krbd = storaged_config_get_bool(config, "krbd");
        if (!s->pool || (namespace && *namespace && !s->namespace) || (data_pool && *data_pool && !s->data_pool)) {
                rbdstore_stop(TAKE(s));
                return error_set(err, -ENOMEM, "no memory");
        }
        *ret_self = TAKE(s);
        return 0;
}

/* --- the storage */

/* Any object will do: whether it exists or not, an OSD has to answer. */
static int ask_osd(RbdStore *s, STORAGED_ERR)
{
        uint64_t size;
        time_t mtime;
        int r = rados_stat(s->io, "rbd_directory", &size, &mtime);

        return r < 0 && r != -ENOENT ? ceph_fail(&s->cluster, r, err, "read pool '%s'", s->pool) : 0;
}

static int find_space(RbdStore *s, struct storaged_status *ret, STORAGED_ERR)
{
        const char *pool = s->data_pool ? s->data_pool : s->pool;
        AUTO(ceph_jsonp) json_object *df = NULL;
        AUTO(ceph_jsonp) json_object *pools = NULL;
        json_object *found;
        int r = ceph_mon(&s->cluster, &df, err, "df", NULL);

        if (r < 0)
                return r;
        found = ceph_json_find(ceph_json_get(df, "pools"), "name", pool);
        if (!found) /* the manager tells of a new pool a little later */
                r = ceph_mon(&s->cluster, &pools, err, "osd lspools", NULL);
        if (!found && r >= 0 && !ceph_json_find(pools, "poolname", pool))
                return error_set_param(err, -ENOENT, s->data_pool ? "data-pool" : "pool",
                                       "storage '%s': the Ceph cluster has no pool '%s'", s->cluster.storage, pool);
        if (r < 0)
                return r;
        ret->used_bytes = ceph_json_uint(found, "stats.stored");
        ret->avail_bytes = ceph_json_uint(found, "stats.max_avail");
        ret->total_bytes = ret->used_bytes + ret->avail_bytes;
        return 0;
}

/*
 * A monitor that lost its quorum goes on answering those who are connected to it, from what it knew last; whoever asks
 * another one is not answered at all. The same cluster must not look well from one node and dead from the next.
 */
static int ask_quorum(RbdStore *s, STORAGED_ERR)
{
        AUTO(ceph_jsonp) json_object *status = NULL;
        json_object *names;
        int r = ceph_mon(&s->cluster, &status, err, "quorum_status", NULL);

        names = ceph_json_get(status, "quorum_names");
        if (r < 0 || !json_object_is_type(names, json_type_array) || json_object_array_length(names) > 0)
                return r;
        return error_set(err, -ETIMEDOUT,
                         "storage '%s': look at pool '%s': no quorum: a monitor answers, but too few are there",
                         s->cluster.storage, s->pool);
}

static int look(RbdStore *s, struct storaged_status *ret, STORAGED_ERR)
{
        int r = store_open(s, err);

        if (r >= 0)
                r = ask_quorum(s, err);
        if (r >= 0)
                r = find_space(s, ret, err);
        return r < 0 ? r : ask_osd(s, err);
}

/* A client that was fenced comes again as another one; a node that was fenced only after it has booted. */
static int come_back(RbdStore *s, STORAGED_ERR)
{
        struct storaged_error unused = STORAGED_ERROR_INIT;

        s->cluster.is_stale = true;
        return store_open(s, &unused) < 0 ? 0 : ceph_unfence_self(&s->cluster, err);
}

/*
 * A connection that was made before its monitor fell silent takes seconds to find another; a new one finds it at once.
 * So a silence is asked about a second time, over a new connection, while there is time for it.
 */
static int look_twice(RbdStore *s, struct storaged_status *ret, STORAGED_ERR)
{
        bool was_connected = s->cluster.rados != NULL;
        uint64_t begin = ceph_now_ms();
        int r = look(s, ret, err);

        if (r == -ESHUTDOWN && come_back(s, err) < 0)
                return -ESHUTDOWN;
        if (r == -ESHUTDOWN || (r == -ETIMEDOUT && was_connected && ceph_now_ms() - begin < CEPH_STATUS_MS / 2)) {
                s->cluster.is_stale = true;
                r = look(s, ret, err);
        }
        return r;
}

static int rbdstore_activate_storage(void *self, STORAGED_ERR)
{
        RbdStore *s = self;
        struct storaged_status unused = { .size = sizeof(unused) };
        int r;

        STORE_WATCH(s, "reach pool '%s'", s->pool);
        r = look_twice(s, &unused, err);
        if (r >= 0)
                r = trash_clean(s, err);
        return r < 0 ? r : import_clean(s, err);
}

static int rbdstore_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        RbdStore *s = self;
        struct storaged_status found = { .size = ret->size };
        int r;

        CEPH_WATCH(&s->cluster.watch, CEPH_STATUS_MS, "look at pool '%s'", s->pool);
        r = look_twice(s, &found, err);
        if (r < 0)
                return r;
        found.is_active = true;
        status_add_health(s, &found);
        *ret = found;
        return 0;
}

/* By the cluster's and the pool's own numbers: names and monitors may be other ones on another node. */
static int rbdstore_identify(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret,
                             STORAGED_ERR)
{
        RbdStore *s = self;
        struct storaged_identity id = { .size = ret->size, .kind = "ceph-pool" };
        char fsid[40] = "", hosts[128] = "";
        int r;

        (void) spec;
        STORE_WATCH(s, "identify pool '%s'", s->pool);
        r = store_open(s, err);
        if (r < 0)
                return r;
        r = rados_cluster_fsid(s->cluster.rados, fsid, sizeof(fsid));
        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "ask the cluster for its id");
        (void) rados_conf_get(s->cluster.rados, "mon_host", hosts, sizeof(hosts)); /* for people, as much as fits */
        (void) snprintf(id.id, sizeof(id.id), "%s/%lld%s%s", fsid, (long long) rados_ioctx_get_id(s->io),
                        s->namespace ? "/" : "", s->namespace ? s->namespace : "");
        (void) snprintf(id.detail, sizeof(id.detail), "pool '%.100s', monitors %.120s", s->pool, hosts);
        *ret = id;
        return 0;
}

static int rbdstore_probe(void *self, STORAGED_ERR)
{
        struct storaged_status unused = { .size = sizeof(unused) };

        return rbdstore_status(self, &unused, err);
}

/* --- paths */

/* QEMU's URI ends a word at : and takes the next character as it is after \. */
static size_t add_escaped(char *to, size_t at, size_t size, const char *s)
{
        for (; *s; s++) {
                if (strchr(":@\\", *s) && at + 1 < size)
                        to[at++] = '\\';
                if (at + 1 < size)
                        to[at++] = *s;
        }
        to[at < size ? at : size - 1] = '\0';
        return at;
}

static size_t add_pair(char *to, size_t at, size_t size, const char *key, const char *value)
{
        for (; *key && at + 1 < size; key++)
                to[at++] = *key;
        return add_escaped(to, at, size, value);
}

/* Computed only. The entries of mon_host are separated by ; because a comma ends an option of QEMU. */
static int uri(RbdStore *s, const char *name, const char *snap, char *ret, size_t size, STORAGED_ERR)
{
        const CephCluster *c = &s->cluster;
        size_t n = add_pair(ret, 0, size, "rbd:", s->pool);
        char hosts[1024];

        if (s->namespace)
                n = add_pair(ret, n, size, "/", s->namespace);
        n = add_pair(ret, n, size, "/", name);
        if (snap)
                n = add_pair(ret, n, size, "@", snap);
        if (c->conf)
                n = add_pair(ret, n, size, ":conf=", c->conf);
        if (c->monhost) {
                (void) snprintf(hosts, sizeof(hosts), "%s", c->monhost);
                for (char *p = hosts; *p; p++)
                        *p = *p == ',' ? ';' : *p;
                n = add_pair(ret, n, size, ":mon_host=", hosts);
                n = add_pair(ret, n, size, ":auth_supported=", c->keyring ? "cephx" : "none");
        }
        n = add_pair(ret, n, size, ":id=", c->user);
        if (c->keyring)
                n = add_pair(ret, n, size, ":keyring=", c->keyring);
        return n + 1 < size ? 0 : error_set(err, -ENAMETOOLONG, "the path of volume %s is too long", name);
}

static int rbdstore_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR)
{
        RbdStore *s = self;
        int r;

        if (!s->is_krbd)
                return uri(s, vol->name, snap, ret, ret_size, err);
        STORE_WATCH(s, "ask for the cluster's id");
        r = ceph_cluster_connect(&s->cluster, err);
        return r < 0 ? r : krbd_path(s, vol->name, snap, ret, ret_size, err);
}

/* --- what it is */

static const struct storaged_property properties[] = {
        { .name = "auto-repair",
          .type = STORAGED_PROPERTY_BOOLEAN,
          .dflt = "0",
          .description = "Repair what a health check of Ceph is about without asking, where that is safe "
                         "(POOL_APP_NOT_ENABLED); needs a Ceph user that may." },
        { .name = "bwlimit" },
        { .name = "content" },
        { .name = "data-pool", .flags = STORAGED_PROPERTY_FIXED },
        { .name = "disable" },
        { .name = "keyring", .flags = STORAGED_PROPERTY_SECRET },
        { .name = "krbd" },
        { .name = "monhost" },
        { .name = "namespace" },
        { .name = "nodes" },
        { .name = "pool" },
        { .name = "username" },
        { 0 },
};

static const struct storaged_feature_row features[] = {
        { .format = "raw",
          .current = STORAGED_FEATURE_SNAPSHOT | STORAGED_FEATURE_TEMPLATE | STORAGED_FEATURE_COPY |
                     STORAGED_FEATURE_SPARSEINIT | STORAGED_FEATURE_RENAME | STORAGED_FEATURE_RESIZE,
          .snap = STORAGED_FEATURE_SNAPSHOT | STORAGED_FEATURE_CLONE | STORAGED_FEATURE_COPY,
          .exports = "raw+size",
          .exports_with_snapshots = "rbd+size",
          .snapshot_method = "qemu" },
        { .format = "raw",
          .is_base = true,
          .current = STORAGED_FEATURE_CLONE | STORAGED_FEATURE_COPY | STORAGED_FEATURE_SPARSEINIT,
          .snap = STORAGED_FEATURE_SNAPSHOT | STORAGED_FEATURE_CLONE | STORAGED_FEATURE_COPY,
          .exports = "raw+size",
          .exports_with_snapshots = "rbd+size",
          .snapshot_method = "qemu" },
        { 0 },
};

static struct storaged_plugin rbd_plugin = {
        .name = "rbd",
        .version = "1.0",
        .summary = "Images of a Ceph pool",
        .flags = STORAGED_PLUGIN_PROBED,
        .naming = STORAGED_NAMING_RBD,
        .sharing = STORAGED_SHARED_ALWAYS,
        .contents = STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR,
        .default_contents = STORAGED_CONTENT_IMAGES,
        .formats = STORAGED_FORMAT_RAW,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = features,

        .check_config = rbdstore_check_config,
        .start = rbdstore_start,
        .stop = rbdstore_stop,
        .activate_storage = rbdstore_activate_storage,
        .probe = rbdstore_probe,
        .status = rbdstore_status,
        .list = rbdstore_list,
        .stat = rbdstore_stat,
        .alloc = rbdstore_alloc,
        .free = rbdstore_free,
        .resize = rbdstore_resize,
        .path = rbdstore_path,
        .activate_volume = rbdstore_activate_volume,
        .deactivate_volume = rbdstore_deactivate_volume,
        .holders = rbdstore_holders,
        .get_client = rbdstore_get_client,
        .fence = rbdstore_fence,
        .export_difference = rbdstore_export_difference,
        .identify = rbdstore_identify,
        .snapshot = rbdstore_snapshot,
        .rollback = rbdstore_rollback,
        .delete_snapshot = rbdstore_delete_snapshot,
        .list_snapshots = rbdstore_list_snapshots,
        .clone = rbdstore_clone,
        .template = rbdstore_template,
        .rename = rbdstore_rename,
        .actions = rbd_actions,
        .act = rbd_act,
        .export_stream = rbdstore_export_stream,
        .import_stream = rbdstore_import_stream,
};

STORAGED_REGISTER(rbd_plugin)
