/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports. raw+size is the guest's bytes in order, of the live image or of a snapshot; which objects exist is asked of
 * librbd, so that what was never written costs no read. rbd+size is the image with its snapshots: after the size, one
 * stream of differences in Ceph's own format for each snapshot, from the one before it, and a last one for the live
 * image. What changed since a chosen snapshot goes the same way, beginning there.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "rbd/diff.h"
#include "rbd/pipe.h"

typedef struct Export {
        Pipe pipe;
        rbd_image_t image;
        const char *name;
        uint64_t at; /* raw: how far the stream is in the image */
        bool is_raw;
        struct storaged_error *err;
} Export;

static int copy_out(Export *e, uint64_t offset, uint64_t n)
{
        while (n > 0) {
                size_t k = n < PIPE_CHUNK ? (size_t) n : PIPE_CHUNK;
                ssize_t got = rbd_read(e->image, offset, k, e->pipe.buf);
                int r;

                if (got < 0 || (size_t) got < k)
                        return image_fail(e->pipe.store, got < 0 ? (int) got : -EIO, "read", e->name, e->err);
                r = pipe_write(&e->pipe, e->pipe.buf, k, e->err);
                if (r < 0)
                        return r;
                offset += k;
                n -= k;
        }
        return 0;
}

static int give_record(Export *e, const DiffRecord *d)
{
        char head[DIFF_HEAD_MAX];

        return pipe_write(&e->pipe, head, diff_write(d, head), e->err);
}

/* librbd tells the extents in order. */
static int on_extent(uint64_t offset, size_t n, int exists, void *userdata)
{
        Export *e = userdata;
        DiffRecord d = { .tag = exists ? DIFF_DATA : DIFF_ZERO, .offset = offset, .length = n };
        int r = 0;

        if (e->is_raw && !exists)
                return 0;
        if (e->is_raw)
                r = pipe_write_zeroes(&e->pipe, offset - e->at, e->err);
        else
                r = give_record(e, &d);
        if (r >= 0 && exists)
                r = copy_out(e, offset, n);
        e->at = offset + n;
        return r;
}

static int give_size(Export *e, uint64_t bytes)
{
        bytes = htole64(bytes);
        return pipe_write(&e->pipe, &bytes, sizeof(bytes), e->err);
}

static int image_size(Export *e, uint64_t *ret)
{
        int r = rbd_get_size(e->image, ret);

        return r < 0 ? image_fail(e->pipe.store, r, "look at", e->name, e->err) : 0;
}

static int iterate(Export *e, const char *from, uint64_t bytes)
{
        int r = rbd_diff_iterate2(e->image, from, 0, bytes, 1, 1, on_extent, e);

        if (r < 0 && e->err->code == 0)
                return image_fail(e->pipe.store, r, "find the data of", e->name, e->err);
        return r;
}

static int export_raw(Export *e)
{
        uint64_t bytes = 0;
        int r = image_size(e, &bytes);

        e->is_raw = true;
        e->pipe.total = bytes + sizeof(bytes);
        if (r >= 0)
                r = give_size(e, bytes);
        if (r >= 0)
                r = iterate(e, NULL, bytes);
        return r < 0 ? r : pipe_write_zeroes(&e->pipe, bytes - e->at, e->err);
}

/* One stream of differences; `to` NULL: the live image. */
static int export_difference(Export *e, const char *from, const char *to)
{
        DiffRecord d = { 0 };
        uint64_t bytes = 0;
        int r = rbd_snap_set(e->image, to);

        if (r < 0)
                return image_fail(e->pipe.store, r, "read a snapshot of", e->name, e->err);
        r = image_size(e, &bytes);
        if (r >= 0)
                r = pipe_write(&e->pipe, DIFF_BANNER, strlen(DIFF_BANNER), e->err);
        if (r >= 0 && from) {
                d.tag = DIFF_FROM;
                (void) snprintf(d.name, sizeof(d.name), "%s", from);
                r = give_record(e, &d);
        }
        if (r >= 0 && to) {
                d.tag = DIFF_TO;
                (void) snprintf(d.name, sizeof(d.name), "%s", to);
                r = give_record(e, &d);
        }
        if (r >= 0)
                r = give_record(e, &(DiffRecord){ .tag = DIFF_SIZE, .length = bytes });
        if (r >= 0)
                r = iterate(e, from, bytes);
        return r < 0 ? r : give_record(e, &(DiffRecord){ .tag = DIFF_END });
}

/*
 * The snapshots in their order, the template's own left out, then the live image. From `base` on if it is given, up to
 * `last` if that is. Which snapshots there are was checked.
 */
static int export_chain(Export *e, const SnapList *snaps, const char *base, const char *last, bool with_between)
{
        const char *from = base;
        bool is_on = !base;
        int r = 0;

        for (int i = 0; r >= 0 && i < snaps->n; i++) {
                const char *name = snaps->items[i].name;
                bool is_last = last && strcmp(name, last) == 0;

                if (is_on && strcmp(name, TEMPLATE_SNAPSHOT) != 0 && (with_between || is_last)) {
                        r = export_difference(e, from, name);
                        from = name;
                }
                if (is_last)
                        return r;
                is_on = is_on || strcmp(name, base) == 0;
        }
        return r < 0 ? r : export_difference(e, from, NULL);
}

static int export_all(Export *e)
{
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        uint64_t bytes = 0;
        int r = image_snapshots(e->pipe.store, e->image, e->name, &snaps, e->err);

        if (r >= 0)
                r = image_size(e, &bytes);
        if (r >= 0)
                r = give_size(e, bytes);
        return r < 0 ? r : export_chain(e, &snaps, NULL, NULL, true);
}

int rbdstore_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                           int fd, STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        struct storaged_error why = STORAGED_ERROR_INIT;
        Export e = { .name = vol->name, .err = &why };
        bool is_raw = strcmp(stream_format, "raw+size") == 0;
        int r;

        if (is_raw == with_snapshots || (!is_raw && strcmp(stream_format, "rbd+size") != 0))
                return error_set_param(
                        err, -EINVAL, "format",
                        "storage '%s': '%s' %s snapshots can't be exported; raw+size goes without them, rbd+size "
                        "with them",
                        s->cluster.storage, stream_format, with_snapshots ? "with" : "without");
        if (snap && with_snapshots)
                return error_set_param(err, -EINVAL, "snapshot",
                                       "a snapshot is exported without others: with-snapshots 0");
        CEPH_WATCH(&s->cluster.watch, CEPH_LONG_MS, "export '%s'", vol->name);
        r = store_open(s, &why);
        if (r >= 0)
                r = pipe_init(&e.pipe, s, fd, &why);
        if (r >= 0)
                r = image_open_whole(s, vol->name, snap, IMAGE_READ, &image, &why);
        e.image = image;
        if (r >= 0)
                r = is_raw ? export_raw(&e) : export_all(&e);
        pipe_deinit(&e.pipe);
        return r < 0 ? error_set_param(err, r, why.param, "%s", why.text) : 0;
}

/* --- from a chosen snapshot */

static int find_snapshot(const Export *e, const SnapList *snaps, const char *param, const char *name)
{
        for (int i = 0; i < snaps->n; i++)
                if (strcmp(snaps->items[i].name, name) == 0)
                        return i;
        return error_set_param(e->err, -ENOENT, param, "storage '%s': volume '%s' has no snapshot '%s'",
                               e->pipe.store->cluster.storage, e->name, name);
}

static int check_order(const Export *e, const SnapList *snaps, const struct storaged_difference_spec *spec)
{
        int base = find_snapshot(e, snaps, "base", spec->base);
        int last = base >= 0 && spec->snapshot ? find_snapshot(e, snaps, "snapshot", spec->snapshot) : snaps->n;

        if (base < 0 || last < 0)
                return base < 0 ? base : last;
        return base < last ? 0
                           : error_set_param(e->err, -EINVAL, "base",
                                             "storage '%s': snapshot '%s' of '%s' is not older than '%s': differences "
                                             "go from the older to the newer",
                                             e->pipe.store->cluster.storage, spec->base, e->name, spec->snapshot);
}

/* The size that the stream begins with is that of its end. */
static int export_since(Export *e, const struct storaged_difference_spec *spec)
{
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        uint64_t bytes = 0;
        int r = image_snapshots(e->pipe.store, e->image, e->name, &snaps, e->err);

        if (r >= 0)
                r = check_order(e, &snaps, spec);
        if (r >= 0 && rbd_snap_set(e->image, spec->snapshot) < 0)
                r = image_fail(e->pipe.store, -EIO, "read a snapshot of", e->name, e->err);
        if (r >= 0)
                r = image_size(e, &bytes);
        if (r >= 0)
                r = give_size(e, bytes);
        return r < 0 ? r : export_chain(e, &snaps, spec->base, spec->snapshot, spec->with_snapshots);
}

int rbdstore_export_difference(void *self, STORAGED_VOL, const struct storaged_difference_spec *spec, int fd,
                               STORAGED_ERR)
{
        RbdStore *s = self;
        AUTO(image_closep) rbd_image_t image = NULL;
        struct storaged_error why = STORAGED_ERROR_INIT;
        Export e = { .name = vol->name, .err = &why };
        int r;

        if (strcmp(spec->stream_format, "rbd+size") != 0)
                return error_set_param(err, -EINVAL, "format",
                                       "storage '%s': differences are exported as rbd+size, not as %s",
                                       s->cluster.storage, spec->stream_format);
        CEPH_WATCH(&s->cluster.watch, CEPH_LONG_MS, "export '%s'", vol->name);
        r = store_open(s, &why);
        if (r >= 0)
                r = pipe_init(&e.pipe, s, fd, &why);
        if (r >= 0)
                r = image_open_whole(s, vol->name, NULL, IMAGE_READ, &image, &why);
        e.image = image;
        if (r >= 0)
                r = export_since(&e, spec);
        pipe_deinit(&e.pipe);
        return r < 0 ? error_set_param(err, r, why.param, "%s", why.text) : 0;
}
