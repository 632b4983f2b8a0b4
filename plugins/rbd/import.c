/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Imports. The image is made under a name that no volume can have and gets its own in the last step. While it is filled
 * its maker has it open: an image of such a name that nobody watches was left by a worker that died, and is removed by
 * the next activation of the storage on its node.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "rbd/import.h"

#define TEMPORARY "storaged-import~"  /* then NODE~PID~NUMBER */
#define BYTES_MAX (UINT64_C(1) << 50) /* more than any guest's disk; a stream that claims more is none of ours */

static int write_out(Import *i, uint64_t offset, const char *data, size_t n)
{
        ssize_t r = rbd_write(i->image, offset, n, data);

        return r < 0 ? image_fail(i->pipe.store, (int) r, "write", i->name, i->err) : 0;
}

/* What is zero is not written: the image is new. */
static int fill(Import *i, uint64_t offset, uint64_t n, bool is_new)
{
        int r = 0;

        while (r >= 0 && n > 0) {
                size_t k = n < PIPE_CHUNK ? (size_t) n : PIPE_CHUNK;

                r = pipe_read(&i->pipe, i->pipe.buf, k, i->err);
                for (size_t at = 0; r >= 0 && at < k;) {
                        size_t end = at;

                        while (is_new && at < k &&
                               pipe_is_zero(i->pipe.buf + at, k - at < PIPE_GRAIN ? k - at : PIPE_GRAIN))
                                at += PIPE_GRAIN;
                        for (end = at; end < k; end += PIPE_GRAIN)
                                if (is_new &&
                                    pipe_is_zero(i->pipe.buf + end, k - end < PIPE_GRAIN ? k - end : PIPE_GRAIN))
                                        break;
                        end = end < k ? end : k;
                        if (at < end)
                                r = write_out(i, offset + at, i->pipe.buf + at, end - at);
                        at = end;
                }
                offset += k;
                n -= k;
        }
        return r;
}

static int read_for_diff(void *userdata, void *to, size_t n)
{
        Import *i = userdata;

        return pipe_read(&i->pipe, to, n, i->err);
}

static int resize(Import *i, uint64_t bytes)
{
        int r = bytes > BYTES_MAX ? -EBADMSG : rbd_resize(i->image, bytes);

        if (r == -EBADMSG)
                return r;
        i->bytes = bytes;
        return r < 0 ? image_fail(i->pipe.store, r, "resize", i->name, i->err) : 0;
}

static int apply(Import *i, const DiffRecord *d, bool is_first)
{
        int r;

        if (d->tag == DIFF_DATA)
                return fill(i, d->offset, d->length, is_first);
        if (d->tag == DIFF_SIZE)
                return d->length == i->bytes ? 0 : resize(i, d->length);
        if (d->tag != DIFF_ZERO)
                return 0;
        for (uint64_t at = d->offset, left = d->length; left > 0;) {
                uint64_t k = left < (1u << 30) ? left : (1u << 30);

                r = rbd_discard(i->image, at, k);
                if (r < 0)
                        return image_fail(i->pipe.store, r, "write", i->name, i->err);
                at += k;
                left -= k;
        }
        return 0;
}

int import_difference(Import *i, bool is_new, import_ends_fn fn, DifferenceEnds *ret)
{
        char banner[sizeof(DIFF_BANNER)] = "";
        DifferenceEnds ends = { 0 };
        DiffRecord d = { 0 };
        bool is_asked = !fn;
        int r = pipe_read(&i->pipe, banner, strlen(DIFF_BANNER), i->err);

        if (r >= 0 && strcmp(banner, DIFF_BANNER) != 0)
                r = -EBADMSG;
        while (r >= 0 && d.tag != DIFF_END) {
                r = diff_read(read_for_diff, i, i->bytes, &d);
                if (r >= 0 && (d.tag == DIFF_TO || d.tag == DIFF_FROM)) {
                        memcpy(d.tag == DIFF_TO ? ends.to : ends.from, d.name, sizeof(ends.to));
                        r = fn && is_asked ? -EBADMSG : 0; /* names come before what they are about */
                        continue;
                }
                if (r >= 0 && !is_asked)
                        r = fn(i, &ends);
                is_asked = true;
                if (r >= 0)
                        r = apply(i, &d, is_new);
        }
        if (r < 0)
                return r;
        if (ends.to[0])
                r = rbd_snap_create(i->image, ends.to);
        if (r < 0)
                return image_fail(i->pipe.store, r, "make a snapshot of", i->name, i->err);
        *ret = ends;
        return ends.to[0] != 0;
}

static int import_all(Import *i)
{
        DifferenceEnds unused;
        int r = import_difference(i, true, NULL, &unused);

        while (r > 0)
                r = import_difference(i, false, NULL, &unused);
        return r;
}

/* --- names */

static int begin(Import *i, STORAGED_ERR)
{
        static unsigned number;
        RbdStore *s = i->pipe.store;
        int r;

        (void) snprintf(i->name, sizeof(i->name), TEMPORARY "%.64s~%ld~%u", s->cluster.host->node, (long) getpid(),
                        number++);
        r = volume_create(s, i->name, i->bytes, err);
        if (r < 0)
                return r;
        r = image_open(s, i->name, NULL, IMAGE_WRITE, &i->image, err);
        return r < 0 ? r : store_fault(s, "rbd.import.created", err);
}

static int finish(Import *i, const struct storaged_import_spec *spec, const struct storaged_volname *vol, char *ret,
                  STORAGED_ERR)
{
        RbdStore *s = i->pipe.store;
        char name[STORAGED_VOLNAME_MAX];
        int r = rbd_flush(i->image);

        if (r < 0)
                return image_fail(s, r, "write", i->name, err);
        r = store_fault(s, "rbd.import.filled", err);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%s", vol->name);
        for (;;) {
                r = rbd_rename(s->io, i->name, name);
                if (r != -EEXIST || !spec->allow_rename)
                        break;
                r = volume_pick_name(s, vol->vmid, name, sizeof(name), err);
                if (r < 0)
                        return r;
        }
        if (r == -EEXIST)
                return error_set_param(err, r, "volume", "storage '%s': there is a volume '%s' already",
                                       s->cluster.storage, vol->name);
        if (r < 0)
                return image_fail(s, r, "rename", i->name, err);
        (void) snprintf(ret, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}

static int on_progress(uint64_t done, uint64_t total, void *userdata)
{
        RbdStore *s = userdata;

        (void) done;
        (void) total;
        ceph_watch_again(&s->cluster.watch);
        return 0;
}

static int remove_temporary(RbdStore *s, const char *name)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = image_open(s, name, NULL, IMAGE_WRITE, &image, &why);

        if (r >= 0)
                r = image_snapshots(s, image, name, &snaps, &why);
        for (int k = 0; r >= 0 && k < snaps.n; k++)
                r = image_remove_snapshot(s, image, name, snaps.items[k].name, &why);
        image_closep(&image);
        image = NULL;
        return r < 0 ? r : rbd_remove_with_progress(s->io, name, on_progress, s);
}

static int check_import(RbdStore *s, const struct storaged_import_spec *spec, const struct storaged_volname *vol,
                        STORAGED_ERR)
{
        bool is_raw = strcmp(spec->stream_format, "raw+size") == 0;
        int r;

        if (is_raw == spec->with_snapshots || (!is_raw && strcmp(spec->stream_format, "rbd+size") != 0))
                return error_set_param(
                        err, -EINVAL, "format",
                        "storage '%s': '%s' %s snapshots can't be imported; raw+size comes without them, rbd+size "
                        "with them",
                        s->cluster.storage, spec->stream_format, spec->with_snapshots ? "with" : "without");
        if (spec->snapshot)
                return error_set_param(err, -EINVAL, "snapshot",
                                       "a whole image comes with the names of its snapshots; "
                                       "'snapshot' goes with 'base'");
        if (vol->basename[0] || vol->is_base)
                return error_set_param(err, -EINVAL, "volume", "storage '%s': import as vm-%u-NAME, not as '%s'",
                                       s->cluster.storage, vol->vmid, vol->volname);
        r = spec->allow_rename ? 0 : image_exists(s, vol->name, err);
        if (r > 0) /* said before the stream is read; what counts is the rename */
                return error_set_param(err, -EEXIST, "volume", "storage '%s': there is a volume '%s' already",
                                       s->cluster.storage, vol->name);
        return r;
}

int rbdstore_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                           char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        RbdStore *s = self;
        struct storaged_error why = STORAGED_ERROR_INIT;
        Import i = { .err = &why };
        uint64_t bytes = 0;
        int r;

        if (spec->base)
                return import_receive(s, spec, vol, fd, ret_volname, err);
        CEPH_WATCH(&s->cluster.watch, CEPH_LONG_MS, "import '%s'", vol->name);
        r = store_open(s, &why);
        if (r >= 0)
                r = check_import(s, spec, vol, &why);
        if (r >= 0)
                r = pipe_init(&i.pipe, s, fd, &why);
        if (r >= 0)
                r = pipe_read(&i.pipe, &bytes, sizeof(bytes), &why);
        i.bytes = le64toh(bytes);
        i.pipe.total = i.bytes + sizeof(bytes);
        if (r >= 0 && i.bytes > BYTES_MAX)
                r = -EBADMSG;
        if (r >= 0)
                r = begin(&i, &why);
        if (r >= 0)
                r = spec->with_snapshots ? import_all(&i) : fill(&i, 0, i.bytes, true);
        if (r >= 0)
                r = finish(&i, spec, vol, ret_volname, &why);
        image_closep(&i.image);
        if (r < 0 && i.name[0])
                (void) remove_temporary(s, i.name); /* or the next activation does it */
        pipe_deinit(&i.pipe);
        if (r == -EBADMSG && !why.text[0])
                (void) error_set(&why, r, "storage '%s': what comes is no stream in the format %s", s->cluster.storage,
                                 spec->stream_format);
        return r < 0 ? error_set_param(err, r, why.param, "%s", why.text) : 0;
}

/* --- what was left */

static bool is_abandoned(RbdStore *s, const char *name)
{
        AUTO(image_closep) rbd_image_t image = NULL;

        return image_open(s, name, NULL, IMAGE_READ, &image, NULL) >= 0 &&
               image_check_unused(s, image, name, "remove", NULL) >= 0;
}

int import_clean(RbdStore *s, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        AUTO(freep) rbd_image_spec_t *images = NULL;
        char ours[128];
        size_t n = 1024;
        int r;

        (void) snprintf(ours, sizeof(ours), TEMPORARY "%.64s~", host->node);
        do {
                free(images);
                images = calloc(n, sizeof(*images));
                r = images ? rbd_list2(s->io, images, &n) : -ENOMEM;
        } while (r == -ERANGE); /* n is now what it takes */
        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "can't list the images of pool '%s'", s->pool);
        for (size_t i = 0; i < n; i++) {
                if (strncmp(images[i].name, ours, strlen(ours)) != 0 || !is_abandoned(s, images[i].name))
                        continue;
                r = remove_temporary(s, images[i].name);
                host->log(host->handle, r < 0 ? STORAGED_LOG_WARNING : STORAGED_LOG_INFO,
                          "%s '%s', left by an interrupted import", r < 0 ? "can't remove" : "removed", images[i].name);
        }
        rbd_image_spec_list_cleanup(images, n);
        return receive_clean(s, err);
}
