/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The example: a storage whose volumes are files in one directory. It is the living documentation of the plugin
 * contract, built and tested like any other; docs/plugin-guide.md reads along with it. Begin at the end of this file.
 *
 * The model: the directory is all the state there is. A volume is a file that bears its volume name, so listing is
 * reading the directory, and a worker that was killed has nothing to restore. A snapshot is a file `.NAME@SNAPSHOT`;
 * no volume name begins with a dot. A protected volume is a file nobody may write.
 * The invariant: a file under a volume's name is a whole volume. New ones are made without a name (O_TMPFILE) and get
 * it when they are complete; the kernel removes what was never named. A change of name is one rename().
 */
#include "example/example.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/statvfs.h>

/* --- lifecycle */

/* Judges a configuration that may never be used: no `self`, nothing is touched. */
static int example_check_config(const struct storaged_host *host, const struct storaged_config *config, STORAGED_ERR)
{
        const char *path = storaged_config_get(config, "path");

        (void) host;
        if (!path || path[0] != '/' || path[strspn(path, "/")] == '\0')
                return error_set_param(err, -EINVAL, "path", "path must be a directory of its own, not '%s'",
                                       path ? path : "");
        return 0;
}

/* Memory only. The daemon may start a worker just to ask for a path, while the storage is away. */
static int example_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                         STORAGED_ERR)
{
        const char *path = storaged_config_get(config, "path"), *max = storaged_config_get(config, "max-volumes");
        AUTO(freep) struct example *e = calloc(1, sizeof(*e));

        if (!path)
                return error_set_param(err, -EINVAL, "path", "storage %s has no path", config->storage);
        if (!e)
                return -ENOMEM;
        e->host = host;
        e->max_volumes = max ? strtoul(max, NULL, 10) : 0; /* digits: the host has checked it by our declaration */
        e->path = strdup(path);
        if (!e->path)
                return -ENOMEM;
        *ret_self = TAKE(e);
        return 0;
}

static void example_stop(void *self)
{
        struct example *e = self;

        free(e->path);
        free(e);
}

/* --- the storage */

/* "Make it so": right after a crash, or a second time, it does what is missing and nothing else. */
static int example_activate_storage(void *self, STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        int r;

        if (mkdir(e->path, 0755) < 0 && errno != EEXIST)
                return error_errno(err, -errno, "make the storage's directory", e->path);
        r = open_dir(e, &dir, err);
        if (r < 0)
                return r;
        if (unlinkat(dir, EXAMPLE_REPLACEMENT, 0) ==
            0) /* of a rollback that was interrupted; the volume is as before it */
                e->host->log(e->host->handle, STORAGED_LOG_INFO, "removed what an interrupted rollback left in %s",
                             e->path);
        return 0;
}

/* Not being usable is an answer, not a failure. */
static int example_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        const struct example *e = self;
        struct statvfs v;

        (void) err;
        if (statvfs(e->path, &v) < 0) {
                (void) snprintf(ret->reason, sizeof(ret->reason), "%s: %s", e->path, strerror(errno));
                return 0;
        }
        ret->is_active = true;
        ret->total_bytes = (uint64_t) v.f_blocks * v.f_frsize;
        ret->avail_bytes = (uint64_t) v.f_bavail * v.f_frsize;
        ret->used_bytes = ((uint64_t) v.f_blocks - v.f_bfree) * v.f_frsize;
        return 0;
}

/* --- listing */

struct listing {
        const struct example *example;
        const struct storaged_list_filter *filter;
        storaged_volume_fn fn;
        void *userdata;
};

static int give_row(const struct storaged_volname *vol, const struct stat *st, storaged_volume_fn fn, void *userdata)
{
        struct storaged_volume row = {
                .size = sizeof(row),
                .content = STORAGED_CONTENT_IMAGES,
                .volname = vol->volname,
                .format = "raw",
                .bytes = (uint64_t) st->st_size,
                .used_bytes = (uint64_t) st->st_blocks * 512,
                .ctime = st->st_ctime,
                .vmid = vol->vmid,
                .is_protected = is_protected(st),
        };

        return fn(userdata, &row);
}

/* Whatever else lies in the directory is no volume and no failure. */
static int list_name(void *userdata, int dir, const char *name)
{
        const struct listing *l = userdata;
        const struct storaged_host *host = l->example->host;
        struct storaged_volname vol = { .size = sizeof(vol) };
        struct stat st;

        if (host->parse_volname(host->handle, name, &vol, NULL) < 0)
                return 0;
        if (l->filter->vmid != 0 && l->filter->vmid != vol.vmid)
                return 0;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return 0;
        return give_row(&vol, &st, l->fn, l->userdata);
}

static int example_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                        STORAGED_ERR)
{
        struct listing l = { self, filter, fn, userdata };

        return filter->contents & STORAGED_CONTENT_IMAGES ? each_name(self, list_name, &l, err) : 0;
}

static int example_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR)
{
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int fd = -EBADF;
        struct stat st;
        int r;

        r = open_dir(self, &dir, err);
        if (r >= 0)
                r = open_volume(dir, vol->name, O_RDONLY, &fd, &st, err);
        return r < 0 ? r : give_row(vol, &st, fn, userdata);
}

/* Computed only; a snapshot has a path as well. */
static int example_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR)
{
        const struct example *e = self;
        char file[NAME_MAX + 1];
        int n, r;

        if (snap) {
                r = snapshot_file(vol, snap, file, sizeof(file), err);
                if (r < 0)
                        return r;
        }
        n = snprintf(ret, ret_size, "%s/%s", e->path, snap ? file : vol->name);
        if (n < 0 || (size_t) n >= ret_size)
                return error_set(err, -ENAMETOOLONG, "the path of volume %s is too long", vol->name);
        return 0;
}

/* --- what it is, as data: from here come the checks, the help, the API schema, the form in the GUI */

static const struct storaged_property properties[] = {
        /* Known to all types: words, format and limits are the host's. */
        { .name = "path", .flags = STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED },
        { .name = "content" },
        { .name = "nodes" },
        { .name = "disable" },
        { .name = "shared" },
        /* Its own: told in full. */
        { .name = "max-volumes",
          .type = STORAGED_PROPERTY_INTEGER,
          .min = 1,
          .max = 1000000,
          .description = "Refuse to make more volumes than this." },
        { 0 },
};

static const struct storaged_feature_row features[] = {
        { .format = "raw",
          .current = STORAGED_FEATURE_SNAPSHOT | STORAGED_FEATURE_TEMPLATE | STORAGED_FEATURE_COPY |
                     STORAGED_FEATURE_SPARSEINIT | STORAGED_FEATURE_RENAME | STORAGED_FEATURE_RESIZE,
          .snap = STORAGED_FEATURE_COPY,
          .exports = "raw+size",
          .snapshot_method = "storage" },
        { .format = "raw",
          .is_base = true,
          .current = STORAGED_FEATURE_COPY | STORAGED_FEATURE_SPARSEINIT,
          .exports = "raw+size",
          .snapshot_method = "storage" },
        { 0 },
};

static struct storaged_plugin example_plugin = {
        .name = "example",
        .version = "1",
        .summary = "Example: volumes are files in one directory",
        .naming = STORAGED_NAMING_LVMTHIN, /* vm-100-disk-0, base-100-disk-0 */
        .sharing = STORAGED_SHARED_FLAG,
        .contents = STORAGED_CONTENT_IMAGES,
        .default_contents = STORAGED_CONTENT_IMAGES,
        .formats = STORAGED_FORMAT_RAW,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = features,

        .check_config = example_check_config,
        .start = example_start,
        .stop = example_stop,
        .activate_storage = example_activate_storage,
        .status = example_status,
        .list = example_list,
        .stat = example_stat,
        .alloc = example_alloc,
        .free = example_free,
        .resize = example_resize,
        .path = example_path,
        .activate_volume = example_activate_volume,
        .deactivate_volume = example_deactivate_volume,
        .holders = example_holders,
        .get_client = example_get_client,
        .fence = example_fence,
        .snapshot = example_snapshot,
        .rollback = example_rollback,
        .delete_snapshot = example_delete_snapshot,
        .list_snapshots = example_list_snapshots,
        .template = example_template,
        .rename = example_rename,
        .export_stream = example_export_stream,
        .import_stream = example_import_stream,
        .set_protected = example_set_protected,
        .actions = example_actions,
        .act = example_act,
};

STORAGED_REGISTER(example_plugin)
