/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flatten: a linked clone gets all its data, so that it needs its template no more. librbd copies object by object,
 * also while a guest writes; interrupted, the image is a clone as before with part of the data, and doing it again goes
 * on.
 */
#include <errno.h>

#include "rbd/store.h"

static int on_progress(uint64_t done, uint64_t total, void *userdata)
{
        RbdStore *s = userdata;

        ceph_watch_again(&s->cluster.watch);
        return s->cluster.host->progress(s->cluster.host->handle, done, total) != 0 ? -ECANCELED : 0;
}

static int flatten_image(RbdStore *s, const char *name, STORAGED_ERR)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        uint64_t overlap = 0;
        int r;

        CEPH_WATCH(&s->cluster.watch, CEPH_LONG_MS, "flatten '%s'", name);
        r = store_open(s, err);
        if (r >= 0)
                r = image_open_whole(s, name, NULL, IMAGE_WRITE, &image, err);
        if (r < 0)
                return r;
        r = rbd_get_overlap(image, &overlap);
        if (r < 0)
                return image_fail(s, r, "look at", name, err);
        if (overlap == 0) {
                rbd_linked_image_spec_t parent = { 0 };
                rbd_snap_spec_t snap = { 0 };

                if (rbd_get_parent(image, &parent, &snap) == -ENOENT)
                        return 0; /* no clone, or not any more: it is as wanted */
                rbd_linked_image_spec_cleanup(&parent);
                rbd_snap_spec_cleanup(&snap);
        }
        r = store_fault(s, "rbd.flatten.before", err);
        if (r < 0)
                return r;
        r = rbd_flatten_with_progress(image, on_progress, s);
        return r < 0 ? image_fail(s, r, "flatten", name, err) : 0;
}

int rbdstore_flatten(RbdStore *s, const struct storaged_config *args, storaged_json_fn fn, void *userdata, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        struct storaged_volname vol = { .size = sizeof(vol) };
        const char *name = storaged_config_get(args, "volume");
        char answer[512];
        int r = host->parse_volname(host->handle, name, &vol, err);

        if (r >= 0)
                r = flatten_image(s, vol.name, err);
        if (r < 0)
                return r;
        host->log(host->handle, STORAGED_LOG_INFO, "volume %s:%s has all its data", s->cluster.storage, vol.name);
        (void) snprintf(answer, sizeof(answer), "\"%.100s:%.300s\"", s->cluster.storage, vol.name); /* checked names */
        return fn(userdata, answer, strlen(answer));
}
