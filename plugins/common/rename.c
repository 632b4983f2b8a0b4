/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A volume gets another owner or name. One rename that never replaces does it; backing paths of linked clones
 * stay right because all guests' directories are on one level. What others refer to by name (bases in use, chains) is
 * refused.
 */
#include <errno.h>
#include <string.h>

#include "common/chain.h"
#include "common/holders.h"
#include "common/layout.h"
#include "common/listing.h"
#include "common/newfile.h"

static int refuse_referenced(FileStore *fs, STORAGED_VOL, const char *rel, struct storaged_error *err)
{
        AUTO(chain_deinit) Chain c = { 0 };
        char clone[STORAGED_VOLNAME_MAX] = "";
        int r = 0;

        if (vol->is_base)
                r = listing_find_clone(fs, vol->vmid, vol->name, clone, err);
        if (r < 0)
                return r;
        if (clone[0])
                return error_set(err, -EBUSY,
                                 "volume \"%s\" is the base of the linked clone \"%s\" and cannot be renamed",
                                 vol->volname, clone);
        if (strcmp(vol->format, "qcow2") == 0) {
                r = chain_read(fs, vol, &c, err);
                if (r < 0)
                        return r;
                if (c.n > 0 || c.is_broken)
                        return error_set(
                                err, -EBUSY,
                                "volume \"%s\" has a chain of snapshot files; delete the snapshots before renaming",
                                vol->volname);
        }
        return strcmp(vol->format, "subvol") == 0 ? 0 : holders_refuse_busy(fs, vol, rel, err);
}

/* The prefix a picked name gets. */
static const char *prefix_of(STORAGED_VOL)
{
        if (vol->is_base)
                return "base";
        return strcmp(vol->format, "subvol") == 0 ? "subvol" : "vm";
}

static int move(FileStore *fs, const char *rel, NewFile *f, STORAGED_VOL, struct storaged_error *err)
{
        Tree *attrs = fs->data ? fs->data : fs->control; /* the immutable flag is the local kernel's */
        char dir[TREE_PATH_MAX];
        int r = layout_image_path(fs, f->vmid, NULL, dir, err);

        if (r < 0)
                return r;
        r = tree_mkdir_p(fs->control, dir, STORE_DIR_MODE);
        if (r < 0)
                return store_fail(fs, err, r, "make the directory", dir);
        if (vol->is_base && attrs->ops->set_immutable)
                (void) attrs->ops->set_immutable(attrs, rel,
                                                 false); /* where there is no such flag the rename shows it */
        /* publish moves it as if it were our temporary; on failure it must stay where it is */
        (void) snprintf(f->tmp.rel, sizeof(f->tmp.rel), "%s", rel);
        f->tmp.tree = fs->control;
        r = newfile_publish(fs, f, prefix_of(vol), err);
        f->tmp.tree = NULL;
        if (vol->is_base && attrs->ops->set_immutable)
                (void) attrs->ops->set_immutable(attrs, r < 0 ? rel : f->rel, true);
        return r;
}

int filestore_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                     char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        FileStore *fs = self;
        NewFile f = NEWFILE_INIT; /* never dropped: its "temporary" is the volume */
        char rel[TREE_PATH_MAX], old_dir[TREE_PATH_MAX];
        TreeAttr attr;
        int r;

        if (!layout_is_image(vol))
                return error_set(err, -EOPNOTSUPP, "volume \"%s\" is no guest image and cannot be renamed",
                                 vol->volname);
        r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_CHANGE, err);
        if (r == 0)
                r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = fs->control->ops->stat(fs->control, rel, &attr);
        if (r == 0 && attr.type == TREE_LINK)
                r = -ELOOP;
        if (r < 0)
                return store_fail_volume(fs, err, r, "rename", vol, rel);
        if (name && vol->is_base != (strncmp(name, "base-", 5) == 0))
                return error_set_param(err, -EINVAL, "filename",
                                       "\"%.64s\": the name of a template, and only that, begins with base-", name);
        r = refuse_referenced(fs, vol, rel, err);
        if (r == 0)
                r = newfile_name(fs, vmid ? vmid : vol->vmid, layout_format(vol->format), prefix_of(vol), name, &f,
                                 err);
        if (r == 0)
                r = move(fs, rel, &f, vol, err);
        if (r == 0)
                r = store_fault(fs, "rename.done", err);
        if (r < 0)
                return r;
        if (f.vmid != vol->vmid && layout_image_path(fs, vol->vmid, NULL, old_dir, NULL) == 0)
                (void) fs->control->ops->rmdir(fs->control, old_dir); /* stays if the guest has other volumes */
        return layout_volname(vol->basevmid, vol->basename, f.vmid, f.file, ret_volname, err);
}
