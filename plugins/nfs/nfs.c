/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Storage type nfs: an export of an NFS server that all nodes mount. What a storage of files does is in
 * plugins/common; this plugin adds where the files are, on two planes:
 *
 *   control   libnfs, bounded calls to the server itself: reachability, capacity, listings, reading notes, scan.
 *             Works without a mount and never touches it, so a dead server costs seconds and never a hanging process.
 *   data      the kernel's mount, for guests, qemu-img and every change. Before it is touched the control plane is
 *             asked whether the server answers at all.
 *
 * Invariants: the mount is only ever looked at when the server answered a moment ago; what is mounted at the path is
 * this export or nothing; a failed activation leaves nothing behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#include "common/filestore.h"
#include "nfs/nfs-exports.h"
#include "nfs/nfs-link.h"
#include "nfs/nfs-mount.h"
#include "nfs/nfs-server.h"
#include "nfs/nfs-tree.h"
#include "nfs/nfs-wait.h"

typedef struct Nfs {
        FileStore fs; /* first: the file store's operations get this struct as theirs */
        Server server;
        Link link;
        char *export_path;
        char *options; /* of mount -o, or "" */
} Nfs;

/* --- planes */

/* 1 and *ret: our export is mounted; 0: nothing is. Anything else there is an error that names it. */
static int find_mount(Nfs *n, MountInfo *ret, STORAGED_ERR)
{
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        int r;

        r = mount_find(MOUNT_TABLE, n->fs.path, &m, err);
        if (r <= 0)
                return r;
        /* The kernel may show the address where the configuration has the name. */
        if (!mount_is_of(&m, &n->server, n->export_path) &&
            (server_resolve(&n->server, wait_now_ms() + WAIT_SILENCE_MS, NULL) < 0 ||
             !mount_is_of(&m, &n->server, n->export_path)))
                return error_set_param(err, -EBUSY, "path",
                                       "storage '%s': '%s' (%s) is mounted on '%s', not NFS export '%s' of "
                                       "'%s': unmount it, or choose another path",
                                       n->fs.storage, m.source, m.type, n->fs.path, n->export_path, n->server.name);
        *ret = m;
        m = (MountInfo){ 0 };
        return 1;
}

/* Why there is no mount, in words: the kernel cannot, or nobody did. */
static void tell_not_mounted(const Nfs *n, char *ret, size_t size)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        char modules[128];

        mount_modules_dir(modules, sizeof(modules));
        if (mount_check_client("/proc/filesystems", modules, n->server.version, &why) < 0)
                (void) snprintf(ret, size, "not mounted: %.200s", why.text);
        else
                (void) snprintf(ret, size, "not mounted on '%s': activate the storage", n->fs.path);
}

static int open_mount(Nfs *n, STORAGED_ERR)
{
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        char why[512];
        int r;

        r = find_mount(n, &m, err);
        if (r < 0)
                return r;
        if (r == 0) {
                filestore_release_mount(&n->fs);
                tell_not_mounted(n, why, sizeof(why));
                return error_set(err, -ENOTCONN, "storage '%s': %s", n->fs.storage, why);
        }
        return filestore_take_mount(&n->fs, m.id, err);
}

/* The sentences of the connection know server and export; here the storage's name is put before them. */
static int check_server(Nfs *n, STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = link_check(&n->link, &why);

        return r < 0 ? error_set_param(err, r, why.param, "storage '%s': %s", n->fs.storage, why.text) : 0;
}

static int mount_tree(void *userdata, Tree **ret)
{
        Nfs *n = userdata;
        int r = n->fs.data ? 0 : open_mount(n, NULL);

        if (r < 0)
                return r;
        *ret = n->fs.data;
        return 0;
}

static int nfs_reach(FileStore *fs, unsigned planes, STORAGED_ERR)
{
        Nfs *n = (Nfs *) fs;
        int r;

        r = check_server(n, err);
        if (r < 0)
                return r;
        if (!fs->control) {
                r = nfs_tree_new(&n->link, mount_tree, n, &fs->control);
                if (r < 0)
                        return error_set(err, r, "no memory");
        }
        /* The control tree changes things by way of the mount: what is wrong with it is said before anything is begun.
         */
        return planes & (FILESTORE_DATA | FILESTORE_CHANGE) ? open_mount(n, err) : 0;
}

static const FileStoreKind nfs_kind = {
        .type = "nfs",
        .is_count_per_extension = true,
        .has_no_subvol = true,
        .reach = nfs_reach,
};

/* --- lifecycle */

static int nfs_check_config(const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR)
{
        const char *export_path = storaged_config_get(config, "export");
        AUTO(server_deinit) Server s = { 0 };
        int r;

        r = server_init(&s, host, storaged_config_get(config, "server"), storaged_config_get(config, "options"), err);
        if (r < 0)
                return r;
        if (!export_path || export_path[0] != '/')
                return error_set_param(err, -EINVAL, "export",
                                       "export '%s' is no absolute path: `pvesm scan nfs %s` lists what "
                                       "the server has",
                                       export_path ? export_path : "", s.name);
        return filestore_check_config(config, err);
}

static void nfs_stop(void *self)
{
        Nfs *n = self;

        if (!n)
                return;
        filestore_deinit(&n->fs); /* its trees use the connection, so it goes first */
        link_deinit(&n->link);
        server_deinit(&n->server);
        free(n->export_path);
        free(n->options);
        free(n);
}

static void stopp(Nfs **n)
{
        nfs_stop(*n);
}

static int nfs_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                     STORAGED_ERR)
{
        AUTO(stopp) Nfs *n = calloc(1, sizeof(*n));
        const char *options = storaged_config_get(config, "options"),
                   *export_path = storaged_config_get(config, "export");
        int r;

        if (!n)
                return error_set(err, -ENOMEM, "no memory");
        r = nfs_check_config(host, config, err);
        if (r < 0)
                return r;
        r = server_init(&n->server, host, storaged_config_get(config, "server"), options, err);
        if (r < 0)
                return r;
        n->export_path = strdup(export_path);
        n->options = strdup(options ? options : "");
        if (!n->export_path || !n->options)
                return error_set(err, -ENOMEM, "no memory");
        n->link = LINK_INIT(&n->server, n->export_path);
        r = filestore_init(&n->fs, &nfs_kind, host, config, err);
        if (r < 0)
                return r;
        *ret_self = TAKE(n);
        return 0;
}

/* --- the storage */

static int mount_export(Nfs *n, STORAGED_ERR)
{
        AUTO(freep) char *source = server_source(&n->server, n->export_path);
        struct storaged_error why = STORAGED_ERROR_INIT;
        char modules[128];
        int r;

        if (!source)
                return error_set(err, -ENOMEM, "no memory");
        mount_modules_dir(modules, sizeof(modules));
        r = mount_check_client("/proc/filesystems", modules, n->server.version, &why);
        if (r < 0)
                return error_set(err, r, "%s; storage '%s' was not mounted", why.text, n->fs.storage);
        r = n->fs.host->fault(n->fs.host->handle, "nfs.activate.before-mount");
        if (r < 0)
                return error_set(err, r, "storage '%s': %s", n->fs.storage, strerror(-r));
        r = nfs_mount_make(n->fs.path, source, n->options, n->fs.is_creating_base, &why);
        return r < 0 ? error_set_param(err, r, why.param, "storage '%s': %s", n->fs.storage, why.text) : 0;
}

static int nfs_activate_storage(void *self, STORAGED_ERR)
{
        Nfs *n = self;
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        int r;

        /* First the server and the export, bounded: mount(2) of a dead server blocks for minutes. */
        r = check_server(n, err);
        if (r < 0)
                return r;
        r = find_mount(n, &m, err);
        if (r < 0)
                return r;
        if (r == 0) {
                r = mount_export(n, err);
                if (r < 0)
                        return r;
        }
        r = nfs_reach(&n->fs, FILESTORE_CONTROL | FILESTORE_DATA, err);
        return r < 0 ? r : filestore_activate(&n->fs, err);
}

static int nfs_deactivate_storage(void *self, STORAGED_ERR)
{
        Nfs *n = self;
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r;

        filestore_release_mount(&n->fs);
        r = find_mount(n, &m, err);
        if (r <= 0)
                return r;
        r = link_check(&n->link, &why);
        if (r == -ETIMEDOUT || r == -ECONNREFUSED || r == -EHOSTUNREACH)
                return error_set(err, r, "storage '%s' stays mounted on '%s', because unmounting would hang: %s",
                                 n->fs.storage, n->fs.path, why.text);
        r = mount_end(n->fs.path, &why);
        return r < 0 ? error_set(err, r, "storage '%s': %s", n->fs.storage, why.text) : 0;
}

static int nfs_probe(void *self, STORAGED_ERR)
{
        Nfs *n = self;

        filestore_release_mount(&n->fs);
        return check_server(n, err);
}

static int nfs_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        Nfs *n = self;
        AUTO(mount_info_deinit) MountInfo m = { 0 };
        struct storaged_error why = STORAGED_ERROR_INIT;
        struct storaged_status s = { .size = sizeof(s) };
        TreeSpace space = { 0 };
        int r;

        r = nfs_reach(&n->fs, FILESTORE_CONTROL, err);
        if (r < 0)
                return r;
        r = n->fs.control->ops->space(n->fs.control, &space);
        if (r < 0)
                return error_set(err, r, "storage '%s': NFS server '%s' does not tell the space of export '%s': %s",
                                 n->fs.storage, n->server.name, n->export_path, strerror(-r));
        s.total_bytes = space.total_bytes;
        s.avail_bytes = space.avail_bytes;
        s.used_bytes = space.used_bytes;
        r = find_mount(n, &m, &why);
        s.is_active = r == 1;
        if (r == 0)
                tell_not_mounted(n, s.reason, sizeof(s.reason));
        else if (r < 0)
                (void) snprintf(s.reason, sizeof(s.reason), "%.*s", (int) sizeof(s.reason) - 1, why.text);
        s.size = ret->size;
        *ret = s;
        return 0;
}

/*
 * The export's root as the server numbers it: two servers of one name differ there or by the mark. Looking goes over
 * libnfs, so a node that has never mounted the export can look.
 */
static int nfs_identify(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret,
                        STORAGED_ERR)
{
        struct storaged_identity id = { .size = ret->size, .kind = "nfs-export" };
        bool is_change = spec->mark == STORAGED_MARK_WRITE || spec->mark == STORAGED_MARK_REMOVE;
        char root[] = "/";
        LinkStat st = { .path = root };
        Nfs *n = self;
        int r = nfs_reach(&n->fs, FILESTORE_CONTROL | (is_change ? FILESTORE_DATA : 0), err);

        if (r < 0)
                return r;
        r = link_stat_many(&n->link, &st, 1);
        if (r >= 0)
                r = st.status;
        if (r < 0)
                return error_set(err, r, "storage '%s': NFS server '%s' does not tell the root of export '%s': %s",
                                 n->fs.storage, n->server.name, n->export_path, strerror(-r));
        r = filestore_mark(&n->fs, spec, &id.mark, err);
        if (r < 0)
                return r;
        (void) snprintf(id.id, sizeof(id.id), "%.200s fileid %llu", n->export_path, (unsigned long long) st.st.nfs_ino);
        (void) snprintf(id.detail, sizeof(id.detail), "%.80s:%.80s at %.46s, NFSv%u", n->server.name, n->export_path,
                        n->link.addr, n->link.version);
        *ret = id;
        return 0;
}

/* --- scan */

typedef struct ScanRows {
        storaged_scan_fn fn;
        void *userdata;
} ScanRows;

static int give_row(void *userdata, const char *path, const char *clients)
{
        const ScanRows *rows = userdata;
        const struct storaged_pair pairs[] = { { "path", path }, { "options", clients } };

        return rows->fn(rows->userdata, pairs, 2);
}

/* A directory of an NFSv4 server's root is what can be mounted there; who may, only mounting would tell. */
static int give_directory(void *userdata, const char *name, const TreeAttr *attr)
{
        char path[TREE_NAME_MAX + 1];

        if (attr->type != TREE_DIR)
                return 0;
        (void) snprintf(path, sizeof(path), "/%s", name);
        return give_row(userdata, path, "");
}

static int scan_v4_root(Server *s, ScanRows *rows, STORAGED_ERR)
{
        AUTO(link_deinit) Link link = LINK_INIT(s, "/");
        AUTO(tree_freep) Tree *tree = NULL;
        int r;

        s->version = 4;
        r = link_open(&link, err);
        if (r < 0)
                return r;
        r = nfs_tree_new(&link, NULL, NULL, &tree);
        if (r < 0)
                return error_set(err, r, "no memory");
        r = tree->ops->list(tree, "", 0, give_directory, rows);
        return r < 0 ? error_set(err, r, "NFS server '%s' does not list its NFSv4 root: %s", s->name, strerror(-r)) : r;
}

static int scan_port(const struct storaged_config *args, const char *key, uint16_t *ret, STORAGED_ERR)
{
        const char *value = storaged_config_get(args, key);
        long n = value ? strtol(value, NULL, 10) : 0;

        if (n < 0 || n > 65535)
                return error_set_param(err, -EINVAL, key, "%s %s is no port: give a number from 1 to 65535", key,
                                       value);
        *ret = (uint16_t) n;
        return 0;
}

static int nfs_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn,
                    void *userdata, STORAGED_ERR)
{
        AUTO(server_deinit) Server s = { 0 };
        struct storaged_error second = STORAGED_ERROR_INIT;
        ScanRows rows = { .fn = fn, .userdata = userdata };
        int r, k;

        r = server_init(&s, host, storaged_config_get(args, "server"), NULL, err);
        if (r == 0)
                r = scan_port(args, "port", &s.port, err);
        if (r == 0)
                r = scan_port(args, "mountport", &s.mount_port, err);
        if (r < 0)
                return r;
        r = exports_list(&s, wait_now_ms() + WAIT_SILENCE_MS, give_row, &rows, err);
        if (r != -ECONNREFUSED && r != -EPROTONOSUPPORT)
                return r;
        /* No portmapper or no MOUNT: a server of NFSv4 alone shows its exports as directories. */
        k = scan_v4_root(&s, &rows, &second);
        if (k == -ETIMEDOUT)
                return error_set_param(err, k, second.param, "%s", second.text);
        return k == -ECONNREFUSED ? r : k;
}

static const struct storaged_property scan_params[] = {
        { .name = "server",
          .type = STORAGED_PROPERTY_STRING,
          .flags = STORAGED_PROPERTY_REQUIRED,
          .format = "storage-server",
          .description = "Name or address of the NFS server." },
        { .name = "port",
          .type = STORAGED_PROPERTY_INTEGER,
          .min = 1,
          .max = 65535,
          .description = "Port of NFS, for servers where it is not 2049." },
        { .name = "mountport",
          .type = STORAGED_PROPERTY_INTEGER,
          .min = 1,
          .max = 65535,
          .description = "Port of the MOUNT service, for servers without a portmapper." },
        { 0 },
};

static const char *const scan_columns[] = { "path", "options", NULL };

static const struct storaged_scan scan_schema = { .params = scan_params, .columns = scan_columns, .key_padding = 1 };

/* --- what it is */

#define FIXED STORAGED_PROPERTY_FIXED
#define REQUIRED STORAGED_PROPERTY_REQUIRED

static const struct storaged_property properties[] = {
        { .name = "export", .flags = FIXED | REQUIRED },
        { .name = "path", .flags = FIXED | REQUIRED },
        { .name = "server", .flags = FIXED | REQUIRED },
        { .name = "snapshot-as-volume-chain", .flags = FIXED },
        { .name = "bwlimit" },
        { .name = "content" },
        { .name = "content-dirs" },
        { .name = "create-base-path" },
        { .name = "create-subdirs" },
        { .name = "disable" },
        { .name = "format" },
        { .name = "max-protected-backups" },
        { .name = "mkdir" },
        { .name = "nodes" },
        { .name = "options" },
        { .name = "preallocation" },
        { .name = "prune-backups" },
        { 0 },
};

static struct storaged_plugin nfs_plugin = {
        .name = "nfs",
        .version = "1.0",
        .summary = "Exports of an NFS server",
        .flags = STORAGED_PLUGIN_PROBED,
        .naming = STORAGED_NAMING_FILE,
        .sharing = STORAGED_SHARED_ALWAYS,
        .contents = STORAGED_CONTENT_BACKUP | STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_IMPORT | STORAGED_CONTENT_ISO |
                    STORAGED_CONTENT_ROOTDIR | STORAGED_CONTENT_SNIPPETS | STORAGED_CONTENT_VZTMPL,
        .default_contents = STORAGED_CONTENT_IMAGES,
        .formats = STORAGED_FORMAT_RAW | STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = filestore_features_no_subvol,
        .scan_schema = &scan_schema,

        .check_config = nfs_check_config,
        .scan = nfs_scan,
        .start = nfs_start,
        .stop = nfs_stop,
        .activate_storage = nfs_activate_storage,
        .deactivate_storage = nfs_deactivate_storage,
        .probe = nfs_probe,
        .status = nfs_status,
        .identify = nfs_identify,
        FILESTORE_OPERATIONS,
};

STORAGED_REGISTER(nfs_plugin)
