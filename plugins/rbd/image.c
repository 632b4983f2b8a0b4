/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images, opened and looked at. What librbd says as a number becomes a sentence with the volume's name here. Nothing
 * stays open between two calls of the plugin: an image that is open is held, and a worker that dies would hold it for
 * another 30 s until its watch is over.
 */
#include <errno.h>
#include <stdlib.h>

#include "rbd/store.h"

int image_fail(RbdStore *s, int code, const char *action, const char *name, STORAGED_ERR)
{
        char place[256];

        (void) store_place(s, place, sizeof(place));
        if (code == -ENOENT)
                return error_set_param(err, code, "volume", "storage '%s': can't %s '%s': there is no such image in %s",
                                       s->cluster.storage, action, name, place);
        if (code == -EROFS || code == -EBUSY)
                return error_set(
                        err, -EBUSY,
                        "storage '%s': can't %s '%s': another client has it open or locked; stop what uses it first",
                        s->cluster.storage, action, name);
        return ceph_fail(&s->cluster, code, err, "can't %s '%s' in %s", action, name, place);
}

int image_open(RbdStore *s, const char *name, const char *snap, enum image_mode mode, rbd_image_t *ret, STORAGED_ERR)
{
        rbd_image_t image = NULL;
        int r = mode == IMAGE_READ ? rbd_open_read_only(s->io, name, &image, snap)
                                   : rbd_open(s->io, name, &image, snap);

        if (r == -ENOENT && snap && image_exists(s, name, NULL) == 1)
                return error_set_param(err, r, "snapshot", "storage '%s': volume '%s' has no snapshot '%s'",
                                       s->cluster.storage, name, snap);
        if (r < 0)
                return image_fail(s, r, "open", name, err);
        *ret = image;
        return 0;
}

int image_exists(RbdStore *s, const char *name, STORAGED_ERR)
{
        char object[STORAGED_VOLNAME_MAX + 16];
        uint64_t size;
        time_t mtime;
        int r;

        (void) snprintf(object, sizeof(object), "rbd_id.%s", name);
        r = rados_stat(s->io, object, &size, &mtime);
        if (r < 0 && r != -ENOENT)
                return ceph_fail(&s->cluster, r, err, "can't look for '%s'", name);
        return r == 0;
}

int image_check_unused(RbdStore *s, rbd_image_t image, const char *name, const char *action, STORAGED_ERR)
{
        rbd_image_watcher_t watchers[16];
        size_t n = sizeof(watchers) / sizeof(watchers[0]);
        int r = rbd_watchers_list(image, watchers, &n);

        if (r == -ERANGE)
                return error_set(err, -EBUSY, "storage '%s': can't %s '%s': %zu clients have it open",
                                 s->cluster.storage, action, name, n);
        if (r < 0)
                return image_fail(s, r, "look at the watchers of", name, err);
        if (n > 0)
                r = error_set(err, -EBUSY,
                              "storage '%s': can't %s '%s': client %s has it open%s; stop the guest first (a client "
                              "that died "
                              "counts for 30 s more)",
                              s->cluster.storage, action, name, watchers[0].addr,
                              n > 1 ? " and is not the only one" : "");
        rbd_watchers_list_cleanup(watchers, n);
        return r;
}

int image_check_childless(RbdStore *s, rbd_image_t image, const char *name, const char *action, STORAGED_ERR)
{
        rbd_linked_image_spec_t children[16];
        size_t n = sizeof(children) / sizeof(children[0]);
        int r = rbd_list_children3(image, children, &n);

        if (r == -ERANGE)
                return error_set(err, -EBUSY, "storage '%s': can't %s '%s': %zu linked clones hang on it",
                                 s->cluster.storage, action, name, n);
        if (r < 0)
                return image_fail(s, r, "look for clones of", name, err);
        if (n > 0)
                r = error_set(err, -EBUSY,
                              "storage '%s': can't %s '%s': '%s'%s is a linked clone of it; free it first%s",
                              s->cluster.storage, action, name, children[0].image_name,
                              n > 1 ? ", and not the only one," : "", children[0].trash ? " (it is in the trash)" : "");
        rbd_linked_image_spec_list_cleanup(children, n);
        return r;
}

/* --- snapshots of an open image */

void snap_list_deinit(SnapList *l)
{
        if (l->items) {
                if (l->n > 0)
                        rbd_snap_list_end(l->items);
                free(l->items);
        }
        *l = (SnapList){ 0 };
}

int image_snapshots(RbdStore *s, rbd_image_t image, const char *name, SnapList *ret, STORAGED_ERR)
{
        int max = 16, n;

        do {
                rbd_snap_info_t *items = calloc((size_t) max, sizeof(*items));

                if (!items)
                        return error_set(err, -ENOMEM, "no memory");
                n = rbd_snap_list(image, items, &max);
                if (n >= 0) {
                        *ret = (SnapList){ items, n };
                        return 0;
                }
                free(items);
        } while (n == -ERANGE); /* max is now what it takes */
        return image_fail(s, n, "list the snapshots of", name, err);
}

bool snap_list_has(const SnapList *l, const char *name)
{
        for (int i = 0; i < l->n; i++)
                if (strcmp(l->items[i].name, name) == 0)
                        return true;
        return false;
}

int image_remove_snapshot(RbdStore *s, rbd_image_t image, const char *name, const char *snap, STORAGED_ERR)
{
        int is_protected = 0;
        int r = rbd_snap_is_protected(image, snap, &is_protected);

        if (r == 0 && is_protected) {
                r = rbd_snap_unprotect(image, snap);
                if (r == -EBUSY)
                        return error_set(err, r, "storage '%s': snapshot '%s' of '%s' stays: linked clones hang on it",
                                         s->cluster.storage, snap, name);
        }
        if (r == 0)
                r = rbd_snap_remove(image, snap);
        return r < 0 && r != -ENOENT ? image_fail(s, r, "remove a snapshot of", name, err) : 0;
}
