/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes removed. What others need (linked clones their base), what is protected and what is in use stays and says so.
 * A chain goes from its oldest file to the image: whatever interrupts it, a second try finds the rest.
 */
#include <errno.h>
#include <string.h>

#include "common/chain.h"
#include "common/holders.h"
#include "common/layout.h"
#include "common/listing.h"
#include "common/notes.h"
#include "common/store.h"

#define SUBVOL_DEPTH_MAX 1024

/* unlink, also of a template that the file system keeps from being changed. */
static int unlink_file(FileStore *fs, const char *rel)
{
        Tree *t = fs->control;
        int r = t->ops->unlink(t, rel);

        if (r != -EPERM && r != -EACCES)
                return r;
        t = fs->data ? fs->data : fs->control;
        if (!t->ops->set_immutable || t->ops->set_immutable(t, rel, false) < 0)
                return r;
        return fs->control->ops->unlink(fs->control, rel);
}

static int remove_subvol(FileStore *fs, const char *rel, struct storaged_error *err)
{
        char tmp[TREE_PATH_MAX];
        int r = store_tmp_name(fs, rel, tmp, err);

        if (r < 0)
                return r;
        /* gone at once under its name; what is left of it after a crash is a leftover */
        r = fs->control->ops->rename(fs->control, rel, tmp, 0);
        if (r == 0)
                r = tree_remove_all(fs->control, tmp, SUBVOL_DEPTH_MAX);
        return r < 0 ? store_fail(fs, err, r, "remove", rel) : 0;
}

static int remove_chain(FileStore *fs, STORAGED_VOL, struct storaged_error *err)
{
        AUTO(chain_deinit) Chain c = { 0 };
        int r = chain_read(fs, vol, &c, NULL);

        if (r == -EBADMSG)
                return 0; /* a broken image has no chain we could know */
        for (size_t i = c.n; r == 0 && i > 0; i--) {
                char rel[TREE_PATH_MAX];

                r = layout_image_path(fs, vol->vmid, c.links[i - 1].file, rel, err);
                if (r == 0)
                        r = unlink_file(fs, rel);
                if (r < 0)
                        return store_fail(fs, err, r, "remove", rel);
        }
        return r < 0 ? error_set(err, r, "volume \"%s\": its chain of snapshots cannot be read: %s", vol->volname,
                                 strerror(-r))
                     : 0;
}

static int refuse_used_base(FileStore *fs, STORAGED_VOL, struct storaged_error *err)
{
        char clone[STORAGED_VOLNAME_MAX];
        int r;

        if (!vol->is_base)
                return 0;
        r = listing_find_clone(fs, vol->vmid, vol->name, clone, err);
        if (r < 0)
                return r;
        return clone[0] ? error_set(err, -EBUSY,
                                    "volume \"%s\" is the base of the linked clone \"%s\"; remove or copy that first",
                                    vol->volname, clone)
                        : 0;
}

static int remove_image(FileStore *fs, STORAGED_VOL, const char *rel, const TreeAttr *attr, struct storaged_error *err)
{
        char dir[TREE_PATH_MAX];
        int r = refuse_used_base(fs, vol, err);

        if (r < 0)
                return r;
        if (attr->type == TREE_FILE) {
                r = holders_refuse_busy(fs, vol, rel, err);
                if (r == 0 && strcmp(vol->format, "qcow2") == 0)
                        r = remove_chain(fs, vol, err);
                if (r < 0)
                        return r;
        }
        if (attr->type == TREE_DIR) {
                r = remove_subvol(fs, rel, err);
                if (r < 0)
                        return r;
        } else {
                r = unlink_file(fs, rel);
                if (r < 0)
                        return store_fail(fs, err, r, "remove", rel);
        }
        r = store_fault(fs, "free.unlinked", err);
        if (r < 0)
                return r;
        if (layout_image_path(fs, vol->vmid, NULL, dir, NULL) == 0)
                (void) fs->control->ops->rmdir(fs->control, dir); /* stays if the guest has other volumes */
        return 0;
}

int filestore_free(void *self, STORAGED_VOL, struct storaged_error *err)
{
        FileStore *fs = self;
        char rel[TREE_PATH_MAX];
        TreeAttr attr, side;
        int r = store_reach(fs, FILESTORE_CONTROL | FILESTORE_CHANGE, err);

        if (r < 0)
                return r;
        r = layout_path(fs, vol, rel, err);
        if (r < 0)
                return r;
        r = fs->control->ops->stat(fs->control, rel, &attr);
        if (r < 0)
                return store_fail_volume(fs, err, r, "find", vol, rel);
        if (attr.type != (strcmp(vol->format, "subvol") == 0 ? TREE_DIR : TREE_FILE))
                return error_set(err, -EINVAL,
                                 "%s storage \"%s\": %s/%s is not what its name says (a link, a directory or a file); "
                                 "it is left alone",
                                 fs->kind->type, fs->storage, fs->path, rel);
        r = store_fault(fs, "free.before", err);
        if (r == 0)
                r = store_may_commit(fs, err);
        if (r < 0)
                return r;
        if (layout_is_image(vol))
                return remove_image(fs, vol, rel, &attr, err);
        if (vol->content == STORAGED_CONTENT_BACKUP && notes_stat(fs, rel, PROTECTED_SUFFIX, &side) == 0)
                return error_set(err, -EPERM, "backup \"%s\" is protected; remove the protection first", vol->volname);
        r = unlink_file(fs, rel);
        if (r < 0)
                return store_fail(fs, err, r, "remove", rel);
        r = store_fault(fs, "free.unlinked", err);
        if (vol->content == STORAGED_CONTENT_BACKUP)
                notes_remove_sidecars(fs, rel);
        return r;
}
