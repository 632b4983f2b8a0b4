/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir: a directory of this node's file system as a storage. All that is done with files is the file store's
 * (plugins/common); here is only what makes a directory a storage: it is there, it is the mount it is said to be, and
 * it is held by a descriptor, so that each operation notices when something else was mounted over the path.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <storaged/plugin.h>

#include "common/filestore.h"

typedef struct Dir {
        FileStore store;   /* first: the file store's operations are ours */
        char *mount_point; /* must be mounted; NULL: nothing has to be */
        uint64_t root_dev, root_ino;
} Dir;

static bool is_word(const char *s, const char *const *words)
{
        for (; *words; words++)
                if (strcasecmp(s, *words) == 0)
                        return true;
        return false;
}

static const char *const yes_words[] = { "1", "yes", "true", "on", NULL };
static const char *const no_words[] = { "0", "no", "false", "off", NULL };

/* is_mountpoint: no, yes (the path itself) or another path. NULL: nothing has to be mounted. */
static const char *wanted_mount(const struct storaged_config *config, const char *path)
{
        const char *v = storaged_config_get(config, "is_mountpoint");

        if (!v || !*v || is_word(v, no_words))
                return NULL;
        return is_word(v, yes_words) ? path : v;
}

/* Mounted means: a root of its own in the mount table (kernel 5.8), or another device than its parent. */
static int is_mounted(const char *path)
{
        char parent[TREE_PATH_MAX];
        struct statx x, up;
        int n;

        if (statx(AT_FDCWD, path, 0, STATX_TYPE, &x) < 0)
                return -errno;
        if (x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
                return !!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
        n = snprintf(parent, sizeof(parent), "%s/..", path);
        if (n < 0 || (size_t) n >= sizeof(parent))
                return -ENAMETOOLONG;
        if (statx(AT_FDCWD, parent, 0, STATX_TYPE, &up) < 0)
                return -errno;
        return x.stx_dev_major != up.stx_dev_major || x.stx_dev_minor != up.stx_dev_minor;
}

static int check_mounted(const Dir *d, struct storaged_error *err)
{
        int r = d->mount_point ? is_mounted(d->mount_point) : 1;

        if (r > 0)
                return 0;
        return error_set(err, r < 0 ? r : -ENODEV,
                         "dir storage \"%s\": %s is not a mount point%s%s; mount it, or set is_mountpoint to no",
                         d->store.storage, d->mount_point, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
}

/* Holds the directory that is at the path now. */
static int dir_reach(FileStore *fs, unsigned planes, struct storaged_error *err)
{
        Dir *d = (Dir *) fs;
        struct statx x;
        uint64_t dev;
        int r = check_mounted(d, err);

        (void) planes; /* one tree serves both */
        if (r < 0)
                return r;
        if (statx(AT_FDCWD, fs->path, 0, STATX_TYPE | STATX_INO, &x) < 0)
                return error_set(err, -errno, "dir storage \"%s\": cannot use the directory %s: %s", fs->storage,
                                 fs->path, strerror(errno));
        dev = makedev(x.stx_dev_major, x.stx_dev_minor);
        if (fs->control && d->root_dev == dev && d->root_ino == x.stx_ino)
                return 0;
        fs->control = fs->data = tree_free(fs->control);
        r = tree_local_new(fs->path, &fs->control);
        if (r < 0)
                return error_set(err, r, "dir storage \"%s\": cannot use %s as a directory: %s", fs->storage, fs->path,
                                 strerror(-r));
        fs->data = fs->control;
        d->root_dev = dev;
        d->root_ino = x.stx_ino;
        return 0;
}

static const FileStoreKind dir_kind = {
        .type = "dir",
        .reach = dir_reach,
};

static int dir_check_config(const struct storaged_host *host, const struct storaged_config *config,
                            struct storaged_error *err)
{
        const char *path = storaged_config_get(config, "path"), *mount;

        (void) host;
        if (path && (path[0] != '/' ||
                     path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@/+,:~ ")] ||
                     strstr(path, "/../") || (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0)))
                return error_set_param(err, -EINVAL, "path",
                                       "path \"%.128s\" must be absolute, of letters, digits and -_.@/, without \"..\"",
                                       path);
        mount = wanted_mount(config, path);
        if (mount && mount[0] != '/')
                return error_set_param(err, -EINVAL, "is_mountpoint",
                                       "is_mountpoint is yes, no or an absolute path; \"%.64s\" is none", mount);
        return filestore_check_config(config, err);
}

static void dir_stop(void *self)
{
        Dir *d = self;

        if (!d)
                return;
        filestore_deinit(&d->store);
        free(d->mount_point);
        free(d);
}
DEFINE_CLEANUP(Dir *, dir_stop)

static int dir_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                     struct storaged_error *err)
{
        AUTO(dir_stopp) Dir *d = calloc(1, sizeof(*d));
        const char *mount;
        int r;

        if (!d)
                return error_set(err, -ENOMEM, "out of memory");
        r = filestore_init(&d->store, &dir_kind, host, config, err);
        if (r < 0)
                return r;
        mount = wanted_mount(config, d->store.path);
        d->mount_point = mount ? strdup(mount) : NULL;
        if (mount && !d->mount_point)
                return error_set(err, -ENOMEM, "out of memory");
        *ret_self = TAKE(d);
        return 0;
}

static int make_base_path(const Dir *d, struct storaged_error *err)
{
        char path[TREE_PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s", d->store.path);
        for (char *p = path + 1;; p++) {
                char c = *p;

                if (c != '/' && c != '\0')
                        continue;
                *p = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return error_set(err, -errno, "dir storage \"%s\": cannot make the directory %s: %s",
                                         d->store.storage, path, strerror(errno));
                if (c == '\0')
                        return 0;
                *p = c;
        }
}

static int dir_activate_storage(void *self, struct storaged_error *err)
{
        Dir *d = self;
        struct stat st;
        int r = check_mounted(d, err);

        if (r < 0)
                return r;
        if (stat(d->store.path, &st) < 0) {
                if (errno != ENOENT || !d->store.is_creating_base)
                        return error_set(err, -errno, "dir storage \"%s\": cannot use the directory %s: %s",
                                         d->store.storage, d->store.path, strerror(errno));
                r = make_base_path(d, err);
                if (r < 0)
                        return r;
        } else if (!S_ISDIR(st.st_mode)) {
                return error_set(err, -ENOTDIR, "dir storage \"%s\": %s is not a directory", d->store.storage,
                                 d->store.path);
        }
        r = dir_reach(&d->store, FILESTORE_CONTROL, err);
        return r < 0 ? r : filestore_activate(&d->store, err);
}

/* Lets go of the directory, so that it can be unmounted. */
static int dir_deactivate_storage(void *self, struct storaged_error *err)
{
        Dir *d = self;

        (void) err;
        d->store.control = d->store.data = tree_free(d->store.control);
        return 0;
}

static int dir_probe(void *self, struct storaged_error *err)
{
        return dir_reach(self, FILESTORE_CONTROL, err);
}

/* A directory has no name of its own that two machines would agree on: the mark is the proof. */
static int dir_identify(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret,
                        struct storaged_error *err)
{
        struct storaged_identity id = { .size = ret->size, .kind = "directory" };
        Dir *d = self;
        int r = dir_reach(&d->store, FILESTORE_CONTROL, err);

        if (r >= 0)
                r = filestore_mark(&d->store, spec, &id.mark, err);
        if (r < 0)
                return r;
        (void) snprintf(id.detail, sizeof(id.detail), "%.200s, device %u:%u", d->store.path, major((dev_t) d->root_dev),
                        minor((dev_t) d->root_dev));
        *ret = id;
        return 0;
}

static const struct storaged_property dir_properties[] = {
        { .name = "path", .flags = STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED },
        { .name = "content" },
        { .name = "content-dirs" },
        { .name = "format" },
        { .name = "preallocation" },
        { .name = "snapshot-as-volume-chain", .flags = STORAGED_PROPERTY_FIXED },
        { .name = "is_mountpoint" },
        { .name = "create-base-path" },
        { .name = "create-subdirs" },
        { .name = "mkdir" },
        { .name = "nodes" },
        { .name = "disable" },
        { .name = "shared" },
        { .name = "prune-backups" },
        { .name = "max-protected-backups" },
        { .name = "bwlimit" },
        { .name = NULL },
};

static struct storaged_plugin dir_plugin = {
        .name = "dir",
        .version = "1.0",
        .summary = "A directory of the node's file system",
        .naming = STORAGED_NAMING_FILE,
        .sharing = STORAGED_SHARED_FLAG,
        .contents = STORAGED_CONTENT_ANY | STORAGED_CONTENT_NONE,
        .default_contents = STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR,
        .formats = STORAGED_FORMAT_RAW | STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK | STORAGED_FORMAT_SUBVOL,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = dir_properties,
        .features = filestore_features,
        .check_config = dir_check_config,
        .start = dir_start,
        .stop = dir_stop,
        .activate_storage = dir_activate_storage,
        .deactivate_storage = dir_deactivate_storage,
        .probe = dir_probe,
        .status = filestore_status,
        .identify = dir_identify,
        FILESTORE_OPERATIONS,
};

STORAGED_REGISTER(dir_plugin)
