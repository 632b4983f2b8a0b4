/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file store itself: what it knows from its configuration, and the operations that are about the storage
 * as a whole. Volumes: rows.c (list, stat), alloc.c, remove.c, clone.c, rename.c, snapshot.c with chain.c, stream.c
 * with nbd.c, upload.c, notes.c, holders.c. The invariant of all of them: a file has its final name only when it is
 * complete; until then it is a temporary that the next activation removes (leftovers.c).
 *
 * Fault points (TYPE is the storage type, as in "dir.alloc.created"), in the order they are passed:
 *   TYPE.alloc.created      the temporary has its size          TYPE.alloc.linked       it has its name
 *   TYPE.free.before        nothing done yet                    TYPE.free.unlinked      the file is gone, not its
 * directory TYPE.resize.before      nothing done yet                    TYPE.resize.done        the file has the new
 * size TYPE.clone.created      the overlay is a temporary          TYPE.clone.linked       it has its name
 *   TYPE.template.renamed   it is base-…, not yet protected     TYPE.rename.done        it has the new name
 *   TYPE.snapshot.created   chain: overlay is a temporary       TYPE.snapshot.linked    chain: image has both names
 *   TYPE.snapshot.done      snapshot taken                      TYPE.rollback.created   chain: fresh overlay is a
 * temporary TYPE.rollback.done      rolled back                         TYPE.delete-snapshot.merged  chain: data is
 * where it belongs TYPE.delete-snapshot.done    snapshot gone                  TYPE.import.written     the temporary
 * has all data TYPE.import.linked      it has its name                     TYPE.upload.written     the temporary has
 * all data
 */
#include "common/filestore.h"

#include <errno.h>
#include <string.h>

#include "common/image-cache.h"
#include "common/layout.h"
#include "common/store.h"

/* clang-format off */
#define SNAPSHOT STORAGED_FEATURE_SNAPSHOT
#define COPY STORAGED_FEATURE_COPY
#define BASE (STORAGED_FEATURE_CLONE | COPY | STORAGED_FEATURE_SPARSEINIT)
#define DISK (STORAGED_FEATURE_TEMPLATE | COPY | STORAGED_FEATURE_SPARSEINIT | STORAGED_FEATURE_RENAME)
#define RESIZE STORAGED_FEATURE_RESIZE
/*        format   base   current                   snap             exports     with snapshots  running guest */
#define FILE_ROWS                                                                                               \
        { "qcow2", true,  BASE,                     SNAPSHOT | COPY, "raw+size", "qcow2+size",   "qemu" },      \
        { "raw",   true,  BASE,                     0,               "raw+size", "",             "storage" },   \
        { "vmdk",  true,  BASE,                     0,               "raw+size", "vmdk+size",    "storage" },   \
        { "qcow2", false, DISK | SNAPSHOT | RESIZE, SNAPSHOT | COPY, "raw+size", "qcow2+size",   "qemu" },      \
        { "raw",   false, DISK | RESIZE,            0,               "raw+size", "",             "storage" },   \
        { "vmdk",  false, DISK,                     0,               "raw+size", "vmdk+size",    "storage" },   \
        { "iso",   false, COPY | STORAGED_FEATURE_SPARSEINIT, 0,     "raw+size", "",             "storage" }
/* clang-format on */

const struct storaged_feature_row filestore_features[] = {
        FILE_ROWS,
        { "subvol", false, STORAGED_FEATURE_TEMPLATE | STORAGED_FEATURE_RENAME, 0, "tar+size", "", "storage" },
        { "subvol", true, 0, 0, "tar+size", "", "storage" },
        { NULL },
};

const struct storaged_feature_row filestore_features_no_subvol[] = {
        FILE_ROWS,
        { NULL },
};

static const char *const preallocations[] = {
        [PREALLOCATION_OFF] = "off",
        [PREALLOCATION_METADATA] = "metadata",
        [PREALLOCATION_FALLOC] = "falloc",
        [PREALLOCATION_FULL] = "full",
};

static int parse_preallocation(const char *value, uint32_t *ret, struct storaged_error *err)
{
        *ret = PREALLOCATION_METADATA;
        if (!value)
                return 0;
        for (uint32_t i = 0; i < sizeof(preallocations) / sizeof(preallocations[0]); i++)
                if (strcmp(preallocations[i], value) == 0) {
                        *ret = i;
                        return 0;
                }
        return error_set_param(err, -EINVAL, "preallocation",
                               "preallocation \"%s\" is none of off, metadata, falloc, full", value);
}

/* Absent means yes, unless the older word for both says no. */
static bool is_creating(const struct storaged_config *config, const char *key)
{
        const char *v = storaged_config_get(config, key), *mkdir = storaged_config_get(config, "mkdir");

        if (v && strcmp(v, "1") != 0)
                return false;
        return !mkdir || strcmp(mkdir, "1") == 0;
}

int filestore_init(FileStore *fs, const FileStoreKind *kind, const struct storaged_host *host,
                   const struct storaged_config *config, struct storaged_error *err)
{
        const char *path = storaged_config_get(config, "path");
        size_t n = path ? strlen(path) : 0;
        int r;

        fs->kind = kind;
        fs->host = host;
        if (n == 0 || path[0] != '/' || n >= TREE_PATH_MAX)
                return error_set_param(err, -EINVAL, "path", "path must be absolute and shorter than %d bytes",
                                       TREE_PATH_MAX);
        while (n > 1 && path[n - 1] == '/')
                n--;
        fs->path = strndup(path, n);
        fs->storage = strdup(config->storage);
        fs->cache = image_cache_new();
        if (!fs->path || !fs->storage || !fs->cache)
                return error_set(err, -ENOMEM, "out of memory");
        r = layout_init(fs, config, err);
        if (r < 0)
                return r;
        r = parse_preallocation(storaged_config_get(config, "preallocation"), &fs->preallocation, err);
        if (r < 0)
                return r;
        fs->contents = layout_parse_contents(storaged_config_get(config, "content"));
        fs->has_chain = storaged_config_get_bool(config, "snapshot-as-volume-chain");
        fs->is_creating_subdirs = is_creating(config, "create-subdirs");
        fs->is_creating_base = is_creating(config, "create-base-path");
        r = store_tmp_init(fs);
        return r < 0 ? error_set(err, r, "cannot read /proc/self/stat: %s", strerror(-r)) : 0;
}

void filestore_deinit(FileStore *fs)
{
        if (fs->data != fs->control)
                fs->data = tree_free(fs->data);
        fs->control = tree_free(fs->control);
        fs->data = NULL;
        fs->cache = image_cache_free(fs->cache);
        for (size_t i = 0; i < sizeof(fs->dirs) / sizeof(fs->dirs[0]); i++) {
                free(fs->dirs[i]);
                fs->dirs[i] = NULL;
        }
        free(fs->path);
        free(fs->storage);
        fs->path = fs->storage = NULL;
}

void filestore_release_mount(FileStore *fs)
{
        fs->data = tree_free(fs->data);
}

int filestore_take_mount(FileStore *fs, int id, struct storaged_error *err)
{
        int r;

        if (fs->data && fs->mount_id == id)
                return 0;
        filestore_release_mount(fs);
        r = tree_local_new(fs->path, &fs->data);
        if (r < 0)
                return error_set(err, r, "storage '%s': cannot open the mount '%s': %s", fs->storage, fs->path,
                                 strerror(-r));
        fs->mount_id = id;
        return 0;
}

int filestore_check_config(const struct storaged_config *config, struct storaged_error *err)
{
        char *dirs[LAYOUT_N_CONTENTS] = { NULL };
        uint32_t preallocation;
        int r = layout_parse_dirs(storaged_config_get(config, "content-dirs"), dirs, err);

        for (int i = 0; i < LAYOUT_N_CONTENTS; i++)
                free(dirs[i]);
        if (r < 0)
                return r;
        return parse_preallocation(storaged_config_get(config, "preallocation"), &preallocation, err);
}

/* The contents whose directories matter: containers' volumes lie in the images directory as well. */
static bool is_dir_used(const FileStore *fs, int i)
{
        return fs->contents & layout_contents[i].content;
}

static int check_unique_dirs(FileStore *fs, struct storaged_error *err)
{
        TreeAttr attrs[LAYOUT_N_CONTENTS];
        bool is_there[LAYOUT_N_CONTENTS];

        for (int i = 0; i < LAYOUT_N_CONTENTS; i++) {
                is_there[i] = is_dir_used(fs, i) && fs->control->ops->stat(fs->control, fs->dirs[i], &attrs[i]) == 0;
                for (int k = 0; k < i; k++) {
                        bool same = is_dir_used(fs, i) && is_dir_used(fs, k) && strcmp(fs->dirs[i], fs->dirs[k]) == 0;

                        if (!same && !(is_there[i] && is_there[k] && attrs[i].inode == attrs[k].inode))
                                continue;
                        return error_set_param(err, -EINVAL, "content-dirs",
                                               "%s storage \"%s\": contents %s and %s share the directory %s/%s; give "
                                               "each its own with content-dirs",
                                               fs->kind->type, fs->storage, layout_contents[k].name,
                                               layout_contents[i].name, fs->path, fs->dirs[i]);
                }
        }
        return 0;
}

int filestore_activate(FileStore *fs, struct storaged_error *err)
{
        TreeAttr attr;
        int r = fs->control->ops->stat(fs->control, "", &attr);

        if (r < 0)
                return store_fail(fs, err, r, "look at", "");
        if (attr.type != TREE_DIR)
                return store_fail(fs, err, -ENOTDIR, "use", "");
        r = check_unique_dirs(fs, err);
        if (r < 0)
                return r;
        for (int i = 0; fs->is_creating_subdirs && i < LAYOUT_N_CONTENTS; i++) {
                if (!is_dir_used(fs, i))
                        continue;
                r = tree_mkdir_p(fs->control, fs->dirs[i], STORE_DIR_MODE);
                if (r == -EROFS)
                        continue; /* a read-only storage can still be read */
                if (r < 0)
                        return store_fail(fs, err, r, "make the directory", fs->dirs[i]);
        }
        r = check_unique_dirs(fs, err); /* links between them show only now */
        if (r < 0)
                return r;
        store_remove_old_marks(fs);
        return store_remove_leftovers(fs, err);
}

int filestore_status(void *self, struct storaged_status *ret, struct storaged_error *err)
{
        FileStore *fs = self;
        TreeSpace space;
        int r = store_reach(fs, FILESTORE_CONTROL, err);

        if (r < 0)
                return r;
        r = fs->control->ops->space(fs->control, &space);
        if (r < 0)
                return store_fail(fs, err, r, "ask for the free space of", "");
        ret->is_active = true;
        ret->total_bytes = space.total_bytes;
        ret->avail_bytes = space.avail_bytes;
        ret->used_bytes = space.used_bytes;
        ret->reason[0] = '\0';
        return 0;
}

int store_may_commit(FileStore *fs, struct storaged_error *err)
{
        const struct storaged_host *host = fs->host;

        if (host->size < offsetof(struct storaged_host, may_commit) + sizeof(host->may_commit) || !host->may_commit)
                return 0; /* a host from before there was this question */
        return host->may_commit(host->handle, err);
}

int store_fault(FileStore *fs, const char *point, struct storaged_error *err)
{
        char name[96];
        int r;

        (void) snprintf(name, sizeof(name), "%s.%s", fs->kind->type, point);
        r = fs->host->fault(fs->host->handle, name);
        return r < 0 ? error_set(err, r, "fault point %s: %s", name, strerror(-r)) : 0;
}

int store_fail(FileStore *fs, struct storaged_error *err, int r, const char *action, const char *rel)
{
        TreeSpace space;

        if (r == -ENOSPC && fs->control && fs->control->ops->space(fs->control, &space) == 0)
                return error_set(err, r,
                                 "%s storage \"%s\": cannot %s %s%s%s: no space left; with what was begun, %llu of "
                                 "%llu bytes are free",
                                 fs->kind->type, fs->storage, action, fs->path, *rel ? "/" : "", rel,
                                 (unsigned long long) space.avail_bytes, (unsigned long long) space.total_bytes);
        return error_set(err, r, "%s storage \"%s\": cannot %s %s%s%s: %s", fs->kind->type, fs->storage, action,
                         fs->path, *rel ? "/" : "", rel, strerror(-r));
}

int store_fail_volume(FileStore *fs, struct storaged_error *err, int r, const char *action, STORAGED_VOL,
                      const char *rel)
{
        if (r != -ENOENT)
                return store_fail(fs, err, r, action, rel);
        return error_set(err, r, "%s storage \"%s\" has no volume \"%s\"", fs->kind->type, fs->storage, vol->volname);
}

int store_absolute(const FileStore *fs, const char *rel, char ret[static TREE_PATH_MAX], struct storaged_error *err)
{
        int n = snprintf(ret, TREE_PATH_MAX, "%s/%s", fs->path[1] ? fs->path : "", rel);

        return n < 0 || n >= TREE_PATH_MAX ? error_set(err, -ENAMETOOLONG, "path of %s is too long", rel) : 0;
}
