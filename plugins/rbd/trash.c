/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freeing. Removing an image deletes its objects one by one and takes minutes for a big one; so it is first moved into
 * the trash, which takes its name away in one step, and what is in the trash is emptied after that. Interrupted at any
 * point, the volume is either there whole or gone; what stays in the trash bears a mark of ours and is emptied by the
 * next activation of the storage.
 */
#include <errno.h>
#include <stdlib.h>

#include "rbd/store.h"

#define MARK "storaged.freed" /* metadata of an image: its removal was asked for, by this node */

typedef struct Removal {
        RbdStore *store;
        int result;
} Removal;

static int on_progress(uint64_t done, uint64_t total, void *userdata)
{
        Removal *removal = userdata;
        const struct storaged_host *host = removal->store->cluster.host;

        ceph_watch_again(&removal->store->cluster.watch);
        removal->result = host->progress(host->handle, done, total);
        return removal->result;
}

/* Its snapshots, then the image. */
static int empty_one(RbdStore *s, const char *id, const char *name, STORAGED_ERR)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        Removal removal = { .store = s };
        int r = rbd_open_by_id(s->io, id, &image, NULL);

        if (r >= 0)
                r = image_snapshots(s, image, name, &snaps, err);
        else if (r != -ENOENT)
                return image_fail(s, r, "open", name, err);
        for (int i = 0; r >= 0 && i < snaps.n; i++) {
                ceph_watch_again(&s->cluster.watch);
                r = image_remove_snapshot(s, image, name, snaps.items[i].name, err);
        }
        if (r < 0 && r != -ENOENT)
                return r;
        image_closep(&image);
        image = NULL;
        r = rbd_trash_remove_with_progress(s->io, id, true, on_progress, &removal);
        if (r < 0 && removal.result < 0)
                return error_set(err, removal.result, "storage '%s': '%s' is freed; its space is given back later",
                                 s->cluster.storage, name);
        return r < 0 && r != -ENOENT ? image_fail(s, r, "empty the trash of", name, err) : 0;
}

int rbdstore_free(void *self, STORAGED_VOL, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        char id[128] = "";
        int r;

        STORE_WATCH(s, "free '%s'", vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r >= 0)
                r = image_check_unused(s, image, vol->name, "free", err);
        if (r >= 0)
                r = image_check_childless(s, image, vol->name, "free", err);
        if (r < 0)
                return r;
        r = rbd_get_id(image, id, sizeof(id));
        image_closep(&image);
        image = NULL;
        if (r < 0)
                return image_fail(s, r, "look at", vol->name, err);
        r = image_open(s, vol->name, NULL, IMAGE_WRITE, &image, err);
        if (r < 0)
                return r;
        r = rbd_metadata_set(image, MARK, s->cluster.host->node);
        image_closep(&image);
        image = NULL;
        if (r >= 0)
                r = store_fault(s, "rbd.free.marked", err);
        if (r >= 0)
                r = rbd_trash_move(s->io, vol->name, 0);
        if (r < 0)
                return image_fail(s, r, "free", vol->name, err);
        r = store_fault(s, "rbd.free.in-trash", err);
        return r < 0 ? r : empty_one(s, id, vol->name, err);
}

/* Only what bears our mark: an administrator's trash is his. */
static bool is_ours(RbdStore *s, const rbd_trash_image_info_t *info)
{
        const struct storaged_host *host = s->cluster.host;
        struct storaged_volname v = { .size = sizeof(v) };
        AUTO(image_closep) rbd_image_t image = NULL;
        char node[128] = "";
        size_t n = sizeof(node) - 1;

        return host->parse_volname(host->handle, info->name, &v, NULL) >= 0 &&
               rbd_open_by_id_read_only(s->io, info->id, &image, NULL) >= 0 &&
               rbd_metadata_get(image, MARK, node, &n) >= 0 && strcmp(node, host->node) == 0;
}

int trash_clean(RbdStore *s, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        rbd_trash_image_info_t entries[64];
        size_t n = sizeof(entries) / sizeof(entries[0]);
        int r = rbd_trash_list(s->io, entries, &n);

        if (r == -ERANGE) /* more than a look at them may cost now */
                return 0;
        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "can't list the trash of pool '%s'", s->pool);
        for (size_t i = 0; i < n; i++) {
                struct storaged_error why = STORAGED_ERROR_INIT;

                if (!is_ours(s, &entries[i]))
                        continue;
                if (empty_one(s, entries[i].id, entries[i].name, &why) < 0)
                        host->log(host->handle, STORAGED_LOG_WARNING, "%s", why.text);
                else
                        host->log(host->handle, STORAGED_LOG_INFO,
                                  "emptied '%s', whose removal was interrupted, from the trash", entries[i].name);
        }
        rbd_trash_list_cleanup(entries, n);
        return 0;
}
