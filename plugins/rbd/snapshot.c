/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots. A guest may run meanwhile: librbd asks the client that holds the image's lock to make or remove a
 * snapshot. Going back to one is for an image that nobody has open. The snapshot that clones of a template hang on is
 * not a user's and is not shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "rbd/store.h"

static int refuse_own(RbdStore *s, const struct storaged_volname *vol, const char *snap, STORAGED_ERR)
{
        return strcmp(snap, TEMPLATE_SNAPSHOT) == 0
                       ? error_set_param(
                                 err, -EINVAL, "snapshot",
                                 "storage '%s': '%s' is the snapshot that templates are made with; '%s' can't have one "
                                 "of that name",
                                 s->cluster.storage, snap, vol->name)
                       : 0;
}

int rbdstore_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        int r;

        STORE_WATCH(s, "make snapshot '%s' of '%s'", snap, vol->name);
        r = refuse_own(s, vol, snap, err);
        if (r >= 0)
                r = store_open(s, err);
        if (r >= 0)
                r = store_fault(s, "rbd.snapshot.before", err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_WRITE, &image, err);
        if (r < 0)
                return r;
        r = rbd_snap_create(image, snap);
        if (r == -EEXIST)
                return error_set_param(err, r, "snapshot", "storage '%s': volume '%s' has a snapshot '%s' already",
                                       s->cluster.storage, vol->name, snap);
        return r < 0 ? image_fail(s, r, "make a snapshot of", vol->name, err) : 0;
}

typedef struct Progress {
        RbdStore *store;
        int result;
} Progress;

static int on_progress(uint64_t done, uint64_t total, void *userdata)
{
        Progress *p = userdata;
        const struct storaged_host *host = p->store->cluster.host;

        ceph_watch_again(&p->store->cluster.watch);
        (void) host->progress(host->handle, done, total); /* half a rollback helps nobody: it is not stopped */
        return 0;
}

static int no_snapshot(RbdStore *s, const struct storaged_volname *vol, const char *snap, STORAGED_ERR)
{
        return error_set_param(err, -ENOENT, "snapshot", "storage '%s': volume '%s' has no snapshot '%s'",
                               s->cluster.storage, vol->name, snap);
}

int rbdstore_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t look = NULL;
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        Progress progress = { .store = s };
        int r;

        STORE_WATCH(s, "roll '%s' back to '%s'", vol->name, snap);
        r = refuse_own(s, vol, snap, err);
        if (r >= 0)
                r = store_open(s, err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_READ, &look, err);
        if (r >= 0)
                r = image_snapshots(s, look, vol->name, &snaps, err);
        if (r >= 0 && !snap_list_has(&snaps, snap))
                r = no_snapshot(s, vol, snap, err);
        if (r >= 0)
                r = image_check_unused(s, look, vol->name, "roll back", err);
        if (r >= 0)
                r = store_fault(s, "rbd.rollback.before", err);
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_WRITE, &image, err);
        if (r < 0)
                return r;
        r = rbd_snap_rollback_with_progress(image, snap, on_progress, &progress);
        return r < 0 ? image_fail(s, r, "roll back", vol->name, err) : 0;
}

int rbdstore_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        int r;

        STORE_WATCH(s, "remove snapshot '%s' of '%s'", snap, vol->name);
        r = refuse_own(s, vol, snap, err);
        if (r >= 0)
                r = store_open(s, err);
        if (r >= 0)
                r = store_fault(s, "rbd.delete_snapshot.before", err);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_WRITE, &image, err);
        if (r >= 0)
                r = image_snapshots(s, image, vol->name, &snaps, err);
        if (r >= 0 && !snap_list_has(&snaps, snap))
                r = no_snapshot(s, vol, snap, err);
        return r < 0 ? r : image_remove_snapshot(s, image, vol->name, snap, err);
}

int rbdstore_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        const char *parent = NULL;
        int r;

        STORE_WATCH(s, "list the snapshots of '%s'", vol->name);
        r = store_open(s, err);
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_READ, &image, err);
        if (r >= 0)
                r = image_snapshots(s, image, vol->name, &snaps, err);
        for (int i = 0; r == 0 && i < snaps.n; i++) {
                struct storaged_snapshot row = { .size = sizeof(row), .name = snaps.items[i].name, .parent = parent };
                struct timespec made = { 0 };

                if (strcmp(row.name, TEMPLATE_SNAPSHOT) == 0)
                        continue;
                if (rbd_snap_get_timestamp(image, snaps.items[i].id, &made) >= 0)
                        row.ctime = made.tv_sec;
                parent = row.name;
                r = fn(userdata, &row);
        }
        return r;
}
