/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of qcow2 images, in one of two ways: inside the image (qemu-img snapshot), or as a chain of files
 * (chain.c). An image that has snapshots stays with the way they were made; a new one goes by the storage's
 * snapshot-as-volume-chain. What there is, is read from the image's own table: no process is started for it.
 */
#include <errno.h>
#include <string.h>

#include "common/chain.h"
#include "common/holders.h"
#include "common/image-cache.h"
#include "common/layout.h"
#include "common/qemu-img.h"
#include "common/store.h"

#define SNAP_NAME_MAX 128

/* Goes into file names and arguments: a letter or digit first, then also - and _. */
static int check_name(const char *snap, struct storaged_error *err)
{
        size_t n = strspn(snap, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

        if (n == 0 || snap[n] || n > SNAP_NAME_MAX || snap[0] == '-' || snap[0] == '_')
                return error_set_param(err, -EINVAL, "snapshot",
                                       "\"%.64s\" is no name for a snapshot: letters, digits, - and _, at most %d, a "
                                       "letter or digit first",
                                       snap, SNAP_NAME_MAX);
        return 0;
}

/* What all four operations begin with. */
static int begin(FileStore *fs, STORAGED_VOL, const char *snap, unsigned planes, Chain *ret, struct storaged_error *err)
{
        int r;

        if (!layout_is_image(vol) || strcmp(vol->format, "qcow2") != 0)
                return error_set(err, -EOPNOTSUPP,
                                 "volume \"%s\": %s volumes on a %s storage have no snapshots; qcow2 images have",
                                 vol->volname, vol->format, fs->kind->type);
        r = snap ? check_name(snap, err) : 0;
        if (r == 0)
                r = store_reach(fs, planes, err);
        return r < 0 ? r : chain_read(fs, vol, ret, err);
}

static bool is_chain(const FileStore *fs, const Chain *c)
{
        return c->n > 0 || c->is_broken || (fs->has_chain && c->n_internal == 0);
}

typedef struct Search {
        const char *name;
        bool is_found;
} Search;

static int match_name(void *userdata, const ImageSnapshot *s)
{
        Search *search = userdata;

        search->is_found |= strcmp(s->name, search->name) == 0;
        return 0;
}

typedef struct Reader {
        Tree *tree;
        TreeFile *file;
} Reader;

static ssize_t read_at(void *userdata, void *buf, size_t n, uint64_t offset)
{
        Reader *rd = userdata;

        return rd->tree->ops->pread(rd->tree, rd->file, buf, n, offset);
}

static int each_internal(FileStore *fs, STORAGED_VOL, ImageSnapshotFn fn, void *userdata, struct storaged_error *err)
{
        Reader rd = { .tree = fs->control };
        char rel[TREE_PATH_MAX];
        int r = layout_path(fs, vol, rel, err);

        if (r < 0)
                return r;
        r = rd.tree->ops->open(rd.tree, rel, &rd.file);
        if (r == 0) {
                r = image_qcow2_snapshots(read_at, &rd, fn, userdata);
                rd.tree->ops->close(rd.tree, rd.file);
        }
        if (r == -EBADMSG)
                return error_set(err, -EIO, "volume \"%s\": its table of snapshots is damaged; see qemu-img check",
                                 vol->volname);
        return r < 0 ? store_fail(fs, err, r, "read", rel) : r;
}

/* Runs qemu-img snapshot -c, -a or -d; `wanted`: whether the snapshot has to be there before. */
static int run_internal(FileStore *fs, STORAGED_VOL, const char *flag, const char *snap, bool wanted,
                        struct storaged_error *err)
{
        Search search = { .name = snap };
        char rel[TREE_PATH_MAX], path[TREE_PATH_MAX];
        int r = each_internal(fs, vol, match_name, &search, err);

        if (r < 0)
                return r;
        if (search.is_found != wanted)
                return error_set_param(err, wanted ? -ENOENT : -EEXIST, "snapshot",
                                       "volume \"%s\" has %s snapshot \"%s\"", vol->volname,
                                       wanted ? "no" : "already a", snap);
        r = layout_path(fs, vol, rel, err);
        if (r == 0)
                r = store_absolute(fs, rel, path, err);
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r < 0)
                return r;
        return qemu_img_run(fs, (const char *const[]){ "qemu-img", "snapshot", "-q", flag, snap, path, NULL },
                            "work on the snapshots of", rel, err);
}

static int refuse_busy(FileStore *fs, STORAGED_VOL, struct storaged_error *err)
{
        char rel[TREE_PATH_MAX];
        int r = layout_path(fs, vol, rel, err);

        return r < 0 ? r : holders_refuse_busy(fs, vol, rel, err);
}

int filestore_snapshot(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(chain_deinit) Chain c = { 0 };
        int r = begin(fs, vol, snap, FILESTORE_CONTROL | FILESTORE_DATA, &c, err);

        if (r == 0)
                r = refuse_busy(fs, vol, err);
        if (r < 0)
                return r;
        if (vol->is_base)
                return error_set(err, -EOPNOTSUPP, "volume \"%s\" is a template, no snapshots can be taken of it",
                                 vol->volname);
        for (size_t i = 0; i < c.n; i++)
                if (strcmp(c.links[i].snap, snap) == 0)
                        return error_set_param(err, -EEXIST, "snapshot", "volume \"%s\" has already a snapshot \"%s\"",
                                               vol->volname, snap);
        if (is_chain(fs, &c))
                return chain_snapshot(fs, vol, &c, snap, err);
        r = run_internal(fs, vol, "-c", snap, false, err);
        return r < 0 ? r : store_fault(fs, "snapshot.done", err);
}

int filestore_rollback(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(chain_deinit) Chain c = { 0 };
        int r = begin(fs, vol, snap, FILESTORE_CONTROL | FILESTORE_DATA, &c, err);

        if (r == 0)
                r = refuse_busy(fs, vol, err);
        if (r < 0)
                return r;
        if (is_chain(fs, &c))
                return chain_rollback(fs, vol, &c, snap, err);
        r = run_internal(fs, vol, "-a", snap, true, err);
        return r < 0 ? r : store_fault(fs, "rollback.done", err);
}

int filestore_delete_snapshot(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(chain_deinit) Chain c = { 0 };
        int r = begin(fs, vol, snap, FILESTORE_CONTROL | FILESTORE_DATA, &c, err);

        if (r == 0)
                r = refuse_busy(fs, vol, err);
        if (r < 0)
                return r;
        if (is_chain(fs, &c))
                return chain_delete(fs, vol, &c, snap, err);
        r = run_internal(fs, vol, "-d", snap, true, err);
        return r < 0 ? r : store_fault(fs, "delete-snapshot.done", err);
}

typedef struct Giving {
        storaged_snapshot_fn fn;
        void *userdata;
        char parent[IMAGE_SNAPSHOT_NAME_MAX]; /* name of the one before */
} Giving;

/* Internal snapshots stand in the order they were taken; each is based on the one before. */
static int give_internal(void *userdata, const ImageSnapshot *s)
{
        Giving *g = userdata;
        struct storaged_snapshot row = {
                .size = sizeof(row),
                .name = s->name,
                .parent = g->parent[0] ? g->parent : NULL,
                .ctime = s->ctime,
                .vm_state_bytes = s->vm_state_bytes,
        };
        int r = g->fn(g->userdata, &row);

        (void) snprintf(g->parent, sizeof(g->parent), "%s", s->name);
        return r;
}

int filestore_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata,
                             struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(chain_deinit) Chain c = { 0 };
        Giving giving = { .fn = fn, .userdata = userdata };
        int r = begin(fs, vol, NULL, FILESTORE_CONTROL, &c, err);

        if (r < 0)
                return r;
        for (size_t i = c.n; r == 0 && i > 0; i--)
                r = fn(userdata, &(struct storaged_snapshot){
                                         .size = sizeof(struct storaged_snapshot),
                                         .name = c.links[i - 1].snap,
                                         .parent = i < c.n ? c.links[i].snap : NULL,
                                         .ctime = c.links[i - 1].ctime_ns / 1000000000,
                                 });
        if (r != 0 || c.n > 0)
                return r;
        return each_internal(fs, vol, give_internal, &giving, err);
}
