/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots as a chain of files (snapshot-as-volume-chain). The image is always the newest, writable file; each
 * snap-<name>-<file> below it is the state at that snapshot and the backing file of the next newer one. The order is in
 * the backing file names alone. Each change is: make a temporary, then one rename; or merge data downwards or upwards
 * with qemu-img (which leaves the other file's content as it was until it is done), then one rename or unlink. So after
 * a crash either the old chain stands, or doing it again ends it; leftovers.c undoes a snapshot cut off between its two
 * steps.
 */
#include "common/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/image-cache.h"
#include "common/layout.h"
#include "common/qemu-img.h"
#include "common/store.h"

void chain_deinit(Chain *c)
{
        free(c->links);
        c->links = NULL;
        c->n = 0;
}

static int snap_file(STORAGED_VOL, const char *snap, char ret[static TREE_NAME_MAX], struct storaged_error *err)
{
        int n = snprintf(ret, TREE_NAME_MAX, "snap-%s-%s", snap, vol->name);

        if (n < 0 || n >= TREE_NAME_MAX)
                return error_set_param(err, -ENAMETOOLONG, "snapshot",
                                       "snapshot name \"%.64s\" is too long for volume \"%s\"", snap, vol->volname);
        return 0;
}

int chain_path(FileStore *fs, STORAGED_VOL, const char *snap, char ret[static TREE_PATH_MAX],
               struct storaged_error *err)
{
        char file[TREE_NAME_MAX];
        int r = snap_file(vol, snap, file, err);

        return r < 0 ? r : layout_image_path(fs, vol->vmid, file, ret, err);
}

/* The snapshot's name in snap-<name>-<file>; false if it is no snapshot of that file. */
static bool snap_name(STORAGED_VOL, const char *file, char ret[static TREE_NAME_MAX])
{
        size_t n = strlen(file), n_vol = strlen(vol->name);

        if (strncmp(file, "snap-", 5) != 0 || n <= n_vol + 6 || n >= TREE_NAME_MAX || strchr(file, '/') ||
            strcmp(file + n - n_vol, vol->name) != 0 || file[n - n_vol - 1] != '-')
                return false;
        memcpy(ret, file + 5, n - n_vol - 6);
        ret[n - n_vol - 6] = '\0';
        return true;
}

int chain_read(FileStore *fs, STORAGED_VOL, Chain *ret, struct storaged_error *err)
{
        AUTO(chain_deinit) Chain c = { 0 };
        char rel[TREE_PATH_MAX], file[TREE_NAME_MAX];
        ImageInfo info;
        int r = layout_path(fs, vol, rel, err);

        if (r == 0)
                r = image_read(fs->control, rel, STORAGED_FORMAT_QCOW2, &info);
        if (r < 0)
                return store_fail_volume(fs, err, r, "read", vol, rel);
        c.bytes = info.bytes;
        c.n_internal = info.n_snapshots;
        c.links = calloc(CHAIN_MAX, sizeof(*c.links));
        if (!c.links)
                return -ENOMEM;
        while (c.n < CHAIN_MAX && snap_name(vol, info.backing, c.links[c.n].snap)) {
                ChainLink *link = &c.links[c.n];
                TreeAttr attr;

                (void) snprintf(file, sizeof(file), "%s", info.backing);
                memcpy(link->file, file, sizeof(file));
                r = layout_image_path(fs, vol->vmid, file, rel, err);
                if (r == 0)
                        r = fs->control->ops->stat(fs->control, rel, &attr);
                if (r == 0)
                        r = image_read(fs->control, rel, STORAGED_FORMAT_QCOW2, &info);
                if (r == -ENOENT || r == -EBADMSG) {
                        c.is_broken = true;
                        break;
                }
                if (r < 0)
                        return store_fail(fs, err, r, "read", rel);
                link->bytes = info.bytes;
                link->ctime_ns = attr.ctime_ns;
                c.n++;
        }
        *ret = c;
        c.links = NULL;
        return 0;
}

/* A new overlay on `backing` (a name in the same directory, which need not be there yet) as a temporary. */
static int make_overlay(FileStore *fs, const char *rel, const char *backing, uint64_t bytes, StoreTmp *tmp,
                        struct storaged_error *err)
{
        char path[TREE_PATH_MAX], size[24];
        int r = store_tmp_name(fs, rel, tmp->rel, err);

        if (r < 0)
                return r;
        r = store_absolute(fs, tmp->rel, path, err);
        if (r < 0)
                return r;
        (void) snprintf(size, sizeof(size), "%llu", (unsigned long long) bytes);
        tmp->tree = fs->data;
        r = qemu_img_run(fs,
                         (const char *const[]){ "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F",
                                                "qcow2", "-o", "extended_l2=on,cluster_size=128k", path, size, NULL },
                         "make the overlay of", rel, err);
        if (r < 0)
                return r;
        r = fs->data->ops->chmod(fs->data, tmp->rel, STORE_FILE_MODE);
        return r < 0 ? store_fail(fs, err, r, "set the mode of", rel) : 0;
}

static int refuse_broken(STORAGED_VOL, const Chain *c, struct storaged_error *err)
{
        if (!c->is_broken)
                return 0;
        return error_set(err, -EIO,
                         "volume \"%s\": the snapshot file %s of its chain is missing or damaged; restore it first",
                         vol->volname, c->links[c->n].file);
}

/*
 * Takes the second name away again, if it is one: after a lost reply of a server a rename may have failed here and
 * been done there, and then it is the only name of the data.
 */
static void undo_link(FileStore *fs, const char *rel, const char *snap_rel, const char *tmp_rel)
{
        const TreeOps *ops = fs->data->ops;
        TreeAttr image, snap, tmp;

        if (ops->stat(fs->data, tmp_rel, &tmp) == 0 && ops->stat(fs->data, rel, &image) == 0 &&
            ops->stat(fs->data, snap_rel, &snap) == 0 && snap.n_links >= 2 && snap.inode == image.inode &&
            tmp.inode != image.inode)
                (void) ops->unlink(fs->data, snap_rel); /* stays until the next activation otherwise */
}

int chain_snapshot(FileStore *fs, STORAGED_VOL, const Chain *c, const char *snap, struct storaged_error *err)
{
        AUTO(store_tmp_dropp) StoreTmp tmp = { 0 };
        char rel[TREE_PATH_MAX], snap_rel[TREE_PATH_MAX], file[TREE_NAME_MAX];
        int r = refuse_broken(vol, c, err);

        if (r == 0)
                r = layout_path(fs, vol, rel, err);
        if (r == 0)
                r = snap_file(vol, snap, file, err);
        if (r == 0)
                r = layout_image_path(fs, vol->vmid, file, snap_rel, err);
        if (r < 0)
                return r;
        if (c->n + 1 >= CHAIN_MAX)
                return error_set(err, -EMLINK, "volume \"%s\" has %zu snapshots, no more are possible; delete some",
                                 vol->volname, c->n);
        r = make_overlay(fs, rel, file, c->bytes, &tmp, err);
        if (r == 0)
                r = store_fault(fs, "snapshot.created", err);
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r < 0)
                return r;
        r = fs->data->ops->link(fs->data, rel, snap_rel);
        if (r < 0)
                return store_fail(fs, err, r, "make the snapshot file", snap_rel);
        r = store_fault(fs, "snapshot.linked", err);
        if (r == 0) {
                r = fs->data->ops->rename(fs->data, tmp.rel, rel, 0);
                if (r < 0)
                        (void) store_fail(fs, err, r, "put the overlay in the place of", rel);
        }
        if (r < 0) {
                undo_link(fs, rel, snap_rel, tmp.rel);
                return r;
        }
        tmp.tree = NULL;
        return store_fault(fs, "snapshot.done", err);
}

/* Index of the snapshot in the chain, or -ENOENT. */
static int find_link(STORAGED_VOL, const Chain *c, const char *snap, size_t *ret, struct storaged_error *err)
{
        for (size_t i = 0; i < c->n; i++)
                if (strcmp(c->links[i].snap, snap) == 0) {
                        *ret = i;
                        return 0;
                }
        return error_set_param(err, -ENOENT, "snapshot", "volume \"%s\" has no snapshot \"%s\"", vol->volname, snap);
}

int chain_rollback(FileStore *fs, STORAGED_VOL, const Chain *c, const char *snap, struct storaged_error *err)
{
        AUTO(store_tmp_dropp) StoreTmp tmp = { 0 };
        char rel[TREE_PATH_MAX], blockers[256] = "";
        size_t at = 0, used = 0;
        int r = refuse_broken(vol, c, err);

        if (r == 0)
                r = find_link(vol, c, snap, &at, err);
        if (r == 0)
                r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < at && used < sizeof(blockers); i++)
                used += (size_t) snprintf(blockers + used, sizeof(blockers) - used, "%s%s", i ? ", " : "",
                                          c->links[i].snap);
        if (at > 0)
                return error_set(err, -EBUSY,
                                 "volume \"%s\": rollback to \"%s\" is possible only when it is the newest snapshot; "
                                 "delete first: %s",
                                 vol->volname, snap, blockers);
        r = make_overlay(fs, rel, c->links[0].file, c->links[0].bytes, &tmp, err);
        if (r == 0)
                r = store_fault(fs, "rollback.created", err);
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r < 0)
                return r;
        r = fs->data->ops->rename(fs->data, tmp.rel, rel, 0);
        if (r < 0)
                return store_fail(fs, err, r, "put the fresh overlay in the place of", rel);
        tmp.tree = NULL;
        return store_fault(fs, "rollback.done", err);
}

/* The oldest: what the next newer file changed goes into it, then it takes that file's place. */
static int merge_oldest(FileStore *fs, const char *snap_rel, const char *child_rel, struct storaged_error *err)
{
        char base[TREE_PATH_MAX], child[TREE_PATH_MAX];
        int r = store_absolute(fs, snap_rel, base, err);

        if (r == 0)
                r = store_absolute(fs, child_rel, child, err);
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r == 0)
                r = qemu_img_run(fs,
                                 (const char *const[]){ "qemu-img", "commit", "-p", "-d", "-f", "qcow2", "-b", base,
                                                        child, NULL },
                                 "merge into its snapshot", child_rel, err);
        if (r == 0)
                r = store_fault(fs, "delete-snapshot.merged", err);
        if (r == 0) /* merging may have taken long */
                r = store_may_commit(fs, err);
        if (r < 0)
                return r;
        r = fs->data->ops->rename(fs->data, snap_rel, child_rel, 0);
        return r < 0 ? store_fail(fs, err, r, "replace", child_rel) : 0;
}

/* Another: what only it has goes into the next newer file, which then hangs on the next older one. */
static int merge_upwards(FileStore *fs, const char *snap_rel, const char *child_rel, const char *parent,
                         struct storaged_error *err)
{
        AUTO(store_tmp_dropp) StoreTmp intent = { 0 };
        char child[TREE_PATH_MAX];
        int r = store_absolute(fs, child_rel, child, err);

        /* A second name that says "this file is to go": after a crash chain_finish_deletion() sees whether it may. */
        if (r == 0)
                r = store_tmp_name(fs, snap_rel, intent.rel, err);
        if (r == 0) {
                r = fs->data->ops->link(fs->data, snap_rel, intent.rel);
                if (r < 0)
                        return store_fail(fs, err, r, "mark for deletion", snap_rel);
                intent.tree = fs->data;
        }
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r == 0)
                r = qemu_img_run(fs,
                                 (const char *const[]){ "qemu-img", "rebase", "-p", "-f", "qcow2", "-b", parent, "-F",
                                                        "qcow2", child, NULL },
                                 "rebase", child_rel, err);
        if (r == 0)
                r = store_fault(fs, "delete-snapshot.merged", err);
        if (r == 0) /* merging may have taken long */
                r = store_may_commit(fs, err);
        if (r < 0)
                return r;
        r = fs->data->ops->unlink(fs->data, snap_rel);
        return r < 0 && r != -ENOENT ? store_fail(fs, err, r, "remove", snap_rel) : 0;
}

typedef struct Use {
        FileStore *fs;
        uint32_t vmid;
        const char *file; /* looked for as a backing file */
        bool is_used;
} Use;

static int check_use(void *userdata, const char *name, const TreeAttr *attr)
{
        Use *u = userdata;
        char rel[TREE_PATH_MAX];
        ImageInfo info;

        if (attr->type != TREE_FILE || layout_image_path(u->fs, u->vmid, name, rel, NULL) < 0 ||
            image_read(u->fs->control, rel, STORAGED_FORMAT_QCOW2, &info) < 0 || strcmp(info.backing, u->file) != 0)
                return 0;
        u->is_used = true;
        return 1;
}

typedef struct Twin {
        uint64_t inode;
        char name[TREE_NAME_MAX];
} Twin;

static int find_twin(void *userdata, const char *name, const TreeAttr *attr)
{
        Twin *twin = userdata;

        if (attr->inode != twin->inode || !layout_is_snapshot_file(name) || strlen(name) >= sizeof(twin->name))
                return 0;
        (void) snprintf(twin->name, sizeof(twin->name), "%s", name);
        return 1;
}

void chain_finish_deletion(FileStore *fs, const char *intent_rel)
{
        const char *slash = strrchr(intent_rel, '/');
        char dir[TREE_PATH_MAX], rel[TREE_PATH_MAX + TREE_NAME_MAX];
        Twin twin = { 0 };
        Use use = { .fs = fs, .file = twin.name };
        TreeAttr attr;

        if (!slash || fs->control->ops->stat(fs->control, intent_rel, &attr) < 0 || attr.type != TREE_FILE ||
            attr.n_links != 2)
                return;
        twin.inode = attr.inode;
        (void) snprintf(dir, sizeof(dir), "%.*s", (int) (slash - intent_rel), intent_rel);
        slash = strrchr(dir, '/');
        if (sscanf(slash ? slash + 1 : dir, "%" SCNu32, &use.vmid) != 1 ||
            fs->control->ops->list(fs->control, dir, 0, find_twin, &twin) != 1 ||
            fs->control->ops->list(fs->control, dir, 0, check_use, &use) != 0 || use.is_used)
                return; /* still needed, or not known: it stays, and stays listed */
        (void) snprintf(rel, sizeof(rel), "%s/%s", dir, twin.name);
        if (fs->control->ops->unlink(fs->control, rel) == 0)
                fs->host->log(fs->host->handle, STORAGED_LOG_INFO,
                              "storage %s: finished the deletion of the snapshot %s", fs->storage, rel);
}

/* A deletion that was cut off after its merge left the file; nothing hangs on it any more. */
static int remove_orphan(FileStore *fs, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        char file[TREE_NAME_MAX], rel[TREE_PATH_MAX], dir[TREE_PATH_MAX];
        Use use = { .fs = fs, .vmid = vol->vmid, .file = file };
        TreeAttr attr;
        int r = snap_file(vol, snap, file, err);

        if (r == 0)
                r = layout_image_path(fs, vol->vmid, file, rel, err);
        if (r == 0)
                r = layout_image_path(fs, vol->vmid, NULL, dir, err);
        if (r < 0)
                return r;
        if (fs->control->ops->stat(fs->control, rel, &attr) < 0)
                return error_set_param(err, -ENOENT, "snapshot", "volume \"%s\" has no snapshot \"%s\"", vol->volname,
                                       snap);
        r = fs->control->ops->list(fs->control, dir, 0, check_use, &use);
        if (r < 0)
                return store_fail(fs, err, r, "list", dir);
        if (use.is_used)
                return error_set_param(err, -ENOENT, "snapshot",
                                       "volume \"%s\" has no snapshot \"%s\": %s belongs to another volume",
                                       vol->volname, snap, file);
        r = fs->data->ops->unlink(fs->data, rel);
        return r < 0 ? store_fail(fs, err, r, "remove", rel) : 0;
}

int chain_delete(FileStore *fs, STORAGED_VOL, const Chain *c, const char *snap, struct storaged_error *err)
{
        char rel[TREE_PATH_MAX], child_rel[TREE_PATH_MAX];
        size_t at = 0;
        int r = refuse_broken(vol, c, err);

        if (r < 0)
                return r;
        if (find_link(vol, c, snap, &at, NULL) < 0)
                return remove_orphan(fs, vol, snap, err);
        r = layout_image_path(fs, vol->vmid, c->links[at].file, rel, err);
        if (r == 0)
                r = at == 0 ? layout_path(fs, vol, child_rel, err)
                            : layout_image_path(fs, vol->vmid, c->links[at - 1].file, child_rel, err);
        if (r < 0)
                return r;
        if (at + 1 == c->n)
                r = merge_oldest(fs, rel, child_rel, err);
        else
                r = merge_upwards(fs, rel, child_rel, c->links[at + 1].file, err);
        return r < 0 ? r : store_fault(fs, "delete-snapshot.done", err);
}
