/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Templates and linked clones. A template is an image called base-…, read-only and, where the file system can,
 * immutable. A linked clone is a qcow2 overlay whose backing file is ../<basevmid>/base-…, a relative path: the storage
 * may be mounted elsewhere and it still fits. Nothing else records the relation.
 */
#include <errno.h>
#include <string.h>

#include "common/chain.h"
#include "common/holders.h"
#include "common/image-cache.h"
#include "common/layout.h"
#include "common/newfile.h"
#include "common/qemu-img.h"

static int make_clone(FileStore *fs, STORAGED_VOL, NewFile *f, struct storaged_error *err)
{
        char path[TREE_PATH_MAX], backing[IMAGE_BACKING_MAX];
        int n = snprintf(backing, sizeof(backing), "../%u/%s", vol->vmid, vol->name);
        int r = store_absolute(fs, f->tmp.rel, path, err);

        if (n < 0 || (size_t) n >= sizeof(backing))
                return error_set(err, -ENAMETOOLONG, "volume \"%s\": its name is too long for a backing file",
                                 vol->volname);
        if (r == 0)
                r = qemu_img_run(fs,
                                 (const char *const[]){ "qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F",
                                                        vol->format, "-o", "extended_l2=on,cluster_size=128k", path,
                                                        NULL },
                                 "make the linked clone", f->rel, err);
        if (r < 0)
                return r;
        r = fs->data->ops->chmod(fs->data, f->tmp.rel, STORE_FILE_MODE);
        return r < 0 ? store_fail(fs, err, r, "set the mode of", f->rel) : 0;
}

int filestore_clone(void *self, STORAGED_VOL, const char *snap, uint32_t vmid,
                    char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        FileStore *fs = self;
        AUTO(newfile_dropp) NewFile f = NEWFILE_INIT;
        char rel[TREE_PATH_MAX];
        TreeAttr attr;
        int r;

        if (snap)
                return error_set_param(err, -EOPNOTSUPP, "snapshot",
                                       "volume \"%s\": a %s storage clones templates, not their snapshots",
                                       vol->volname, fs->kind->type);
        if (!vol->is_base || !layout_is_image(vol) || layout_format(vol->format) == STORAGED_FORMAT_SUBVOL)
                return error_set(
                        err, -EOPNOTSUPP,
                        "volume \"%s\": linked clones are made of templates (base-…) that are raw, qcow2 or vmdk",
                        vol->volname);
        r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);
        if (r == 0)
                r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = fs->data->ops->stat(fs->data, rel, &attr);
        if (r == 0 && attr.type != TREE_FILE)
                r = -ELOOP;
        if (r < 0)
                return store_fail_volume(fs, err, r, "clone", vol, rel);
        r = newfile_name(fs, vmid, STORAGED_FORMAT_QCOW2, "vm", NULL, &f, err);
        if (r == 0)
                r = newfile_prepare(fs, fs->data, &f, err);
        if (r == 0)
                r = make_clone(fs, vol, &f, err);
        if (r == 0)
                r = store_fault(fs, "clone.created", err);
        if (r == 0)
                r = newfile_publish(fs, &f, "vm", err);
        if (r == 0)
                r = store_fault(fs, "clone.linked", err);
        return r < 0 ? r : layout_volname(vol->vmid, vol->name, vmid, f.file, ret_volname, err);
}

/* vm-x, subvol-x -> base-x */
static int base_file(STORAGED_VOL, char ret[static TREE_NAME_MAX], struct storaged_error *err)
{
        static const char *const prefixes[] = { "vm-", "subvol-" };

        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
                size_t n = strlen(prefixes[i]);
                int k;

                if (strncmp(vol->name, prefixes[i], n) != 0)
                        continue;
                k = snprintf(ret, TREE_NAME_MAX, "base-%s", vol->name + n);
                return k < 0 || k >= TREE_NAME_MAX
                               ? error_set(err, -ENAMETOOLONG, "the name of \"%s\" is too long", vol->volname)
                               : 0;
        }
        return error_set(err, -EINVAL,
                         "volume \"%s\": only volumes called vm-… or subvol-… become templates; rename it first",
                         vol->volname);
}

/* Read-only, and immutable where that exists: a template that changed would break all its clones. */
static int protect(FileStore *fs, const char *rel, struct storaged_error *err)
{
        Tree *t = fs->data ? fs->data : fs->control;
        TreeAttr attr;
        int r = t->ops->stat(t, rel, &attr);

        if (r == 0 && attr.type != TREE_FILE)
                return 0; /* a directory's modes are the container's own */
        if (r == 0)
                r = t->ops->chmod(t, rel, 0444);
        if (r < 0)
                return store_fail(fs, err, r, "protect", rel);
        if (t->ops->set_immutable)
                (void) t->ops->set_immutable(t, rel, true); /* tmpfs, NFS and others cannot */
        return 0;
}

static int refuse_snapshots(FileStore *fs, STORAGED_VOL, struct storaged_error *err)
{
        AUTO(chain_deinit) Chain c = { 0 };
        int r;

        if (strcmp(vol->format, "qcow2") != 0)
                return 0;
        r = chain_read(fs, vol, &c, err);
        if (r < 0)
                return r;
        if (c.n > 0 || c.is_broken || c.n_internal > 0)
                return error_set(err, -EBUSY, "volume \"%s\" has snapshots; delete them before it becomes a template",
                                 vol->volname);
        return 0;
}

/* A link may lead anywhere; a template's protection would go there. */
static int refuse_irregular(FileStore *fs, STORAGED_VOL, const char *rel, struct storaged_error *err)
{
        TreeAttr attr;
        int r = fs->control->ops->stat(fs->control, rel, &attr);

        if (r < 0)
                return store_fail_volume(fs, err, r, "look at", vol, rel);
        if (attr.type != TREE_FILE && !(attr.type == TREE_DIR && strcmp(vol->format, "subvol") == 0))
                return error_set(err, -EINVAL, "volume \"%s\" of storage \"%s\" is no regular file", vol->volname,
                                 fs->storage);
        return 0;
}

int filestore_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX],
                       struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX], base_rel[TREE_PATH_MAX], file[TREE_NAME_MAX];
        TreeAttr attr;
        int r;

        if (!layout_is_image(vol) || vol->is_base)
                return error_set(err, vol->is_base ? -EEXIST : -EOPNOTSUPP, "volume \"%s\" %s", vol->volname,
                                 vol->is_base ? "is a template already"
                                              : "is no guest image and cannot become a template");
        r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_DATA, err);
        if (r == 0)
                r = layout_path(fs, vol, rel, err);
        if (r == 0)
                r = base_file(vol, file, err);
        if (r == 0)
                r = layout_image_path(fs, vol->vmid, file, base_rel, err);
        if (r < 0)
                return r;
        if (fs->control->ops->stat(fs->control, rel, &attr) == -ENOENT &&
            fs->control->ops->stat(fs->control, base_rel, &attr) == 0)
                r = 0; /* renamed before a crash: only the protection may be missing */
        else {
                r = refuse_irregular(fs, vol, rel, err);
                if (r == 0)
                        r = refuse_snapshots(fs, vol, err);
                if (r == 0)
                        r = holders_refuse_busy(fs, vol, rel, err);
                if (r == 0)
                        r = store_may_commit(fs, err);
                if (r < 0)
                        return r;
                r = fs->control->ops->rename(fs->control, rel, base_rel, TREE_NO_REPLACE);
                if (r < 0)
                        return store_fail(fs, err, r, "rename to a template", rel);
        }
        r = store_fault(fs, "template.renamed", err);
        if (r == 0)
                r = protect(fs, base_rel, err);
        return r < 0 ? r : layout_volname(vol->basevmid, vol->basename, vol->vmid, file, ret_volname, err);
}
