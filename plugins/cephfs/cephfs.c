/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Storage type cephfs: a directory of a Ceph file system. What a storage of files does is in plugins/common; this
 * plugin adds where the files are, on two planes:
 *
 *   control   libcephfs, bounded calls to the metadata servers: reachability, space, listings, names, notes, removal.
 *             Needs no mount and never touches one, so dead servers cost seconds and never a hanging process.
 *   data      the mount, by the kernel or by ceph-fuse (`fuse 1`), for what streams and programs read and write.
 *
 * Invariants: the mount is only ever touched when a server answered a moment ago; what is mounted at the path is this
 * storage's directory or nothing; a failed activation leaves nothing behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cephfs/cephfs-mount.h"
#include "cephfs/cephfs-scan.h"
#include "cephfs/cephfs-tree.h"
#include "common-ceph/ceph-degraded.h"
#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"
#include "common/filestore.h"

typedef struct CephStore {
        FileStore files; /* first: the file store's operations get this struct as theirs */
        CephFs fs;
        char *options; /* of the mount, or "" */
        bool is_fuse;
} CephStore;

/* --- planes */

/* 1: some CephFS is mounted there, 0: nothing is. Anything else there is an error that names it. */
static int find_mount(CephStore *s, int *ret_id, STORAGED_ERR)
{
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        int r = mount_find(MOUNT_TABLE, s->files.path, &m, err);

        if (r <= 0)
                return r;
        if (!cephfs_mount_is_possible(&s->fs, &m))
                return error_set_param(
                        err, -EBUSY, "path",
                        "storage '%s': '%s' (%s) is mounted on '%s', not directory '%s' of the Ceph file "
                        "system: unmount it, or choose another path",
                        s->files.storage, m.source, m.type, s->files.path, s->fs.subdir);
        *ret_id = m.id;
        return 1;
}

static int make_mount(CephStore *s, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = s->files.host->fault(s->files.host->handle, "cephfs.activate.before-mount");

        if (r < 0)
                return error_set(err, r, "storage '%s': %s", s->files.storage, strerror(-r));
        r = cephfs_mount_make(&s->fs, s->files.path, s->is_fuse, s->options, s->files.is_creating_base, &why);
        return r < 0 ? error_set_param(err, r, why.param, "storage '%s': %s", s->files.storage, why.text) : 0;
}

/* A mount whose server process died, or that the servers threw out, never comes back: it is taken away. */
static int drop_dead_mount(CephStore *s, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = cephfs_mount_check(&s->fs, s->files.path, CEPH_SHORT_MS, &why);

        if (r != -ENOTCONN)
                return r < 0 ? error_set_param(err, r, why.param, "%s", why.text) : 1;
        s->files.host->log(s->files.host->handle, STORAGED_LOG_WARNING, "%s; it is mounted anew", why.text);
        filestore_release_mount(&s->files);
        r = mount_detach(s->files.path, &why);
        return r < 0 ? error_set(err, r, "storage '%s': %s", s->files.storage, why.text) : 0;
}

/* The mount is there, alive, and ours: the data plane. */
static int open_mount(CephStore *s, STORAGED_ERR)
{
        int id = -1, r = find_mount(s, &id, err);

        if (r > 0)
                r = drop_dead_mount(s, err);
        if (r == 0 && id >= 0) { /* it was there and had died */
                r = make_mount(s, err);
                if (r >= 0)
                        r = find_mount(s, &id, err);
        }
        if (r < 0)
                return r;
        if (r == 0) {
                filestore_release_mount(&s->files);
                return error_set(err, -ENOTCONN, "storage '%s': not mounted on '%s': activate the storage",
                                 s->files.storage, s->files.path);
        }
        return filestore_take_mount(&s->files, id, err);
}

static int reach_within(CephStore *s, unsigned planes, unsigned limit_ms, STORAGED_ERR)
{
        int r = cephfs_check(&s->fs, limit_ms, err);

        if (r < 0)
                return r;
        if (!s->files.control) {
                r = cephfs_tree_new(&s->fs, &s->files.control);
                if (r < 0)
                        return error_set(err, r, "no memory");
        }
        return planes & FILESTORE_DATA ? open_mount(s, err) : 0;
}

static int cephstore_reach(FileStore *files, unsigned planes, STORAGED_ERR)
{
        return reach_within((CephStore *) files, planes, CEPH_SHORT_MS, err);
}

static const FileStoreKind cephfs_kind = {
        .type = "cephfs",
        .has_no_subvol = true,
        .reach = cephstore_reach,
};

/* --- lifecycle */

static int cephstore_check_config(const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR)
{
        const char *monhost = storaged_config_get(config, "monhost"), *user = storaged_config_get(config, "username");
        const char *subdir = storaged_config_get(config, "subdir");
        CephMonitors monitors = { 0 };

        (void) host;
        if (monhost) {
                ceph_monitors_parse(monhost, &monitors);
                if (monitors.n + monitors.n_names == 0)
                        return error_set_param(err, -EINVAL, "monhost", "monhost '%s' names no monitor", monhost);
        }
        if (user && (!*user || strlen(user) > 128 || strpbrk(user, ",/@ ")))
                return error_set_param(err, -EINVAL, "username",
                                       "username '%s' can't be: 1 to 128 characters without , / @", user);
        if (subdir && strpbrk(subdir, ",\\\n"))
                return error_set_param(err, -EINVAL, "subdir",
                                       "subdir '%s' can't hold a comma, backslash or line break", subdir);
        if (subdir && (strstr(subdir, "/../") || strncmp(subdir, "../", 3) == 0 || strcmp(subdir, "..") == 0 ||
                       (strlen(subdir) > 2 && strcmp(subdir + strlen(subdir) - 3, "/..") == 0)))
                return error_set_param(err, -EINVAL, "subdir", "subdir '%s' leads out of the file system", subdir);
        return filestore_check_config(config, err);
}

static void cephstore_stop(void *self)
{
        CephStore *s = self;

        if (!s)
                return;
        filestore_deinit(&s->files); /* its trees use the session, so it goes first */
        cephfs_deinit(&s->fs);
        free(s->options);
        free(s);
}

static void stopp(CephStore **s)
{
        cephstore_stop(*s);
}

static int cephstore_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                           STORAGED_ERR)
{
        const char *options = storaged_config_get(config, "options");
        AUTO(stopp) CephStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "no memory");
        s->fs.slot = -EBADF;
        r = cephstore_check_config(host, config, err);
        if (r < 0)
                return r;
        s->options = strdup(options ? options : "");
        s->is_fuse = storaged_config_get_bool(config, "fuse");
        if (!s->options)
                return error_set(err, -ENOMEM, "no memory");
        r = cephfs_init(&s->fs, host, config, err);
        if (r >= 0)
                r = filestore_init(&s->files, &cephfs_kind, host, config, err);
        if (r < 0)
                return r;
        *ret_self = TAKE(s);
        return 0;
}

/* --- the storage */

static int cephstore_activate_storage(void *self, STORAGED_ERR)
{
        CephStore *s = self;
        int id = -1, r;

        /* First the servers, bounded: a mount of dead ones blocks. */
        r = reach_within(s, FILESTORE_CONTROL, CEPH_SHORT_MS, err);
        if (r >= 0)
                r = find_mount(s, &id, err);
        if (r > 0)
                r = drop_dead_mount(s, err);
        if (r == 0)
                r = make_mount(s, err);
        if (r < 0)
                return r;
        r = cephstore_reach(&s->files, FILESTORE_CONTROL | FILESTORE_DATA, err);
        return r < 0 ? r : filestore_activate(&s->files, err);
}

static int cephstore_deactivate_storage(void *self, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        CephStore *s = self;
        int id = -1, r;

        filestore_release_mount(&s->files);
        r = find_mount(s, &id, err);
        if (r <= 0)
                return r;
        r = cephfs_check(&s->fs, CEPH_SHORT_MS, &why);
        if (r == -ETIMEDOUT)
                return error_set(err, r, "storage '%s' stays mounted on '%s', because unmounting would hang: %s",
                                 s->files.storage, s->files.path, why.text);
        if (r >= 0 && cephfs_mount_check(&s->fs, s->files.path, CEPH_SHORT_MS, &why) == -ENOTCONN)
                r = mount_detach(s->files.path, &why);
        else
                r = mount_end(s->files.path, &why);
        return r < 0 ? error_set(err, r, "storage '%s': %s", s->files.storage, why.text) : 0;
}

#define POOLS_MAX 16u

/* The pools of this file system, metadata first, ends with NULL; the names are of *ret_all, which is the caller's. */
static int find_pools(CephStore *s, json_object **ret_all, const char *ret[static POOLS_MAX], STORAGED_ERR)
{
        json_object *own, *data;
        size_t n = 0;
        int r;

        CEPH_WATCH(&s->fs.cluster.watch, CEPH_STATUS_MS, "list file systems");
        r = ceph_mon(&s->fs.cluster, ret_all, err, "fs ls", NULL);
        if (r < 0)
                return r;
        own = s->fs.name ? ceph_json_find(*ret_all, "name", s->fs.name) : json_object_array_get_idx(*ret_all, 0);
        data = ceph_json_get(own, "data_pools");
        ret[n++] = ceph_json_text(own, "metadata_pool");
        for (size_t i = 0; ret[0] && json_object_is_type(data, json_type_array) && i < json_object_array_length(data) &&
                           n < POOLS_MAX - 1;
             i++)
                ret[n++] = json_object_get_string(json_object_array_get_idx(data, i));
        ret[ret[0] ? n : 0] = NULL;
        return 0;
}

/* The metadata servers do without the OSDs of the data for long: an object, there or not, makes one answer. */
static int ask_osd(CephStore *s, const char *pool, STORAGED_ERR)
{
        CephCluster *c = &s->fs.cluster;
        void (*look)(CephCluster *, char *, size_t) = c->look;
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        uint64_t size;
        time_t mtime;
        int r;

        CEPH_WATCH(&c->watch, CEPH_STATUS_MS, "read pool '%.100s'", pool);
        c->look = NULL; /* silence is the OSDs' here */
        r = ceph_cluster_open_pool(c, pool, NULL, &io, err);
        if (r >= 0) {
                r = rados_stat(io, "storaged", &size, &mtime);
                if (r == -ENOENT || r == -EPERM || r == -EACCES) /* caps for a part of the pool only: it has answered */
                        r = 0;
                else if (r < 0)
                        r = ceph_fail(c, r, err, "read pool '%s'", pool);
        }
        c->look = look;
        return r;
}

static int cephstore_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        struct storaged_status status = { .size = ret->size };
        AUTO(ceph_jsonp) json_object *all = NULL;
        const char *pools[POOLS_MAX] = { NULL };
        TreeSpace space = { 0 };
        CephStore *s = self;
        int id = -1, r;

        r = reach_within(s, FILESTORE_CONTROL, CEPH_STATUS_MS, err);
        if (r >= 0)
                r = find_pools(s, &all, pools, err);
        if (r >= 0 && pools[0] && pools[1])
                r = ask_osd(s, pools[1], err);
        if (r < 0)
                return r;
        r = s->files.control->ops->space(s->files.control, &space);
        if (r < 0)
                return cephfs_fail(&s->fs, r, err, "ask for the space of the file system");
        status.total_bytes = space.total_bytes;
        status.avail_bytes = space.avail_bytes;
        status.used_bytes = space.used_bytes;
        r = find_mount(s, &id, &why);
        if (r == 1)
                r = cephfs_mount_check(&s->fs, s->files.path, CEPH_STATUS_MS, &why) < 0 ? -ENOTCONN : 1;
        status.is_active = r == 1;
        if (r == 0)
                (void) snprintf(status.reason, sizeof(status.reason), "not mounted on '%.200s': activate the storage",
                                s->files.path);
        else if (r < 0)
                (void) snprintf(status.reason, sizeof(status.reason), "%.*s", (int) sizeof(status.reason) - 1,
                                why.text);
        else {
                CEPH_WATCH(&s->fs.cluster.watch, CEPH_STATUS_MS, "ask for the cluster's health");
                ceph_add_degraded(&s->fs.cluster, pools, true, &status, NULL);
        }
        *ret = status;
        return 0;
}

static int cephstore_probe(void *self, STORAGED_ERR)
{
        CephStore *s = self;

        filestore_release_mount(&s->files);
        return cephfs_check(&s->fs, CEPH_STATUS_MS, err);
}

/* The cluster's own number, the file system's, and that of the directory in it. */
static int cephstore_identify(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret,
                              STORAGED_ERR)
{
        bool is_change = spec->mark == STORAGED_MARK_WRITE || spec->mark == STORAGED_MARK_REMOVE;
        struct storaged_identity id = { .size = ret->size, .kind = "ceph-fs" };
        char fsid[40] = "", hosts[128] = "";
        struct ceph_statx root;
        CephStore *s = self;
        int r = cephstore_reach(&s->files, FILESTORE_CONTROL | (is_change ? FILESTORE_DATA : 0), err);

        if (r < 0)
                return r;
        {
                CEPH_WATCH(&s->fs.cluster.watch, CEPH_SHORT_MS, "identify the file system");
                r = rados_cluster_fsid(s->fs.cluster.rados, fsid, sizeof(fsid));
                if (r >= 0)
                        r = ceph_statx(s->fs.session, "/", &root, CEPH_STATX_INO, AT_SYMLINK_NOFOLLOW);
                if (r < 0)
                        return cephfs_fail(&s->fs, r, err, "identify the file system");
                (void) rados_conf_get(s->fs.cluster.rados, "mon_host", hosts, sizeof(hosts)); /* for people */
        }
        r = filestore_mark(&s->files, spec, &id.mark, err);
        if (r < 0)
                return r;
        (void) snprintf(id.id, sizeof(id.id), "%s/%lld/%llu", fsid, (long long) ceph_get_fs_cid(s->fs.session),
                        (unsigned long long) root.stx_ino);
        (void) snprintf(id.detail, sizeof(id.detail), "directory '%.80s', monitors %.120s", s->fs.subdir, hosts);
        *ret = id;
        return 0;
}

/* --- what it is */

static const struct storaged_property properties[] = {
        { .name = "path", .flags = STORAGED_PROPERTY_FIXED | STORAGED_PROPERTY_REQUIRED },
        { .name = "bwlimit" },
        { .name = "content" },
        { .name = "content-dirs" },
        { .name = "create-base-path" },
        { .name = "create-subdirs" },
        { .name = "disable" },
        { .name = "format" },
        { .name = "fs-name" },
        { .name = "fuse" },
        { .name = "keyring", .flags = STORAGED_PROPERTY_SECRET },
        { .name = "max-protected-backups" },
        { .name = "mkdir" },
        { .name = "monhost" },
        { .name = "nodes" },
        { .name = "options" },
        { .name = "prune-backups" },
        { .name = "subdir" },
        { .name = "username" },
        { 0 },
};

static struct storaged_plugin cephfs_plugin = {
        .name = "cephfs",
        .version = "1.0",
        .summary = "A directory of a Ceph file system",
        .flags = STORAGED_PLUGIN_PROBED,
        .naming = STORAGED_NAMING_FILE,
        .sharing = STORAGED_SHARED_ALWAYS,
        .contents = STORAGED_CONTENT_BACKUP | STORAGED_CONTENT_IMPORT | STORAGED_CONTENT_ISO |
                    STORAGED_CONTENT_SNIPPETS | STORAGED_CONTENT_VZTMPL,
        .default_contents = STORAGED_CONTENT_BACKUP,
        .formats = STORAGED_FORMAT_RAW,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = filestore_features_no_subvol,
        .scan_schema = &cephfs_scan_schema,

        .check_config = cephstore_check_config,
        .scan = cephfs_scan,
        .start = cephstore_start,
        .stop = cephstore_stop,
        .activate_storage = cephstore_activate_storage,
        .deactivate_storage = cephstore_deactivate_storage,
        .probe = cephstore_probe,
        .status = cephstore_status,
        .identify = cephstore_identify,
        FILESTORE_OPERATIONS,
};

STORAGED_REGISTER(cephfs_plugin)
