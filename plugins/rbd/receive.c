/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Imports of differences on top of an image that is there. Since an image can't be changed in one step, it is noted in
 * the pool first, by its id, with the snapshot it is to be as if anything goes wrong; the note goes when all is
 * written. So an image with a note is at that snapshot, or half changed: nobody may use it before it was taken back,
 * which is to remove what snapshots came after and to roll back. Who does it must find that nobody has it open, as
 * whoever imports has: he is not disturbed.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "rbd/import.h"

#define NOTES "rbd_storaged_imports" /* an object: image's id → snapshot */
#define NOTES_MAX 1000u
#define ID_MAX 128

/* --- notes */

static int note_set(RbdStore *s, const char *id, const char *base)
{
        const char *keys[] = { id }, *values[] = { base };
        size_t lengths[] = { strlen(base) };
        rados_write_op_t op = rados_create_write_op();
        int r = -ENOMEM;

        if (!op)
                return r;
        rados_write_op_omap_set(op, keys, values, lengths, 1);
        r = rados_write_op_operate(op, s->io, NOTES, NULL, 0);
        rados_release_write_op(op);
        return r;
}

static int note_remove(RbdStore *s, const char *id)
{
        const char *keys[] = { id };
        rados_write_op_t op = rados_create_write_op();
        int r = -ENOMEM;

        if (!op)
                return r;
        rados_write_op_omap_rm_keys(op, keys, 1);
        r = rados_write_op_operate(op, s->io, NOTES, NULL, 0);
        rados_release_write_op(op);
        return r == -ENOENT ? 0 : r;
}

typedef struct Note {
        char id[ID_MAX], base[DIFF_NAME_MAX];
} Note;

/* The next note; false at the end. What is none of ours (too long) is not taken. */
static bool note_next(rados_omap_iter_t iter, Note *ret)
{
        char *key = NULL, *value = NULL;
        size_t n = 0;

        while (rados_omap_get_next(iter, &key, &value, &n) == 0 && key) {
                if (strlen(key) >= sizeof(ret->id) || n == 0 || n >= sizeof(ret->base))
                        continue;
                (void) snprintf(ret->id, sizeof(ret->id), "%s", key);
                memcpy(ret->base, value, n);
                ret->base[n] = '\0';
                return true;
        }
        return false;
}

/* Of the image of that id, or of all if it is NULL: 0 (no note), 1, negative errno. The caller ends `ret`. */
static int notes_read(RbdStore *s, const char *id, rados_omap_iter_t *ret)
{
        const char *keys[] = { id };
        rados_read_op_t op = rados_create_read_op();
        rados_omap_iter_t iter = NULL;
        unsigned char more = 0;
        int r = -ENOMEM, result = 0;

        if (!op)
                return r;
        if (id)
                rados_read_op_omap_get_vals_by_keys(op, keys, 1, &iter, &result);
        else
                rados_read_op_omap_get_vals2(op, NULL, NULL, NOTES_MAX, &iter, &more, &result);
        r = rados_read_op_operate(op, s->io, NOTES, 0);
        rados_release_read_op(op);
        if (r >= 0)
                r = result;
        if (r < 0 || rados_omap_iter_size(iter) == 0) {
                if (iter)
                        rados_omap_get_end(iter);
                return r == -ENOENT ? 0 : r;
        }
        *ret = iter;
        return 1;
}

static int note_find(RbdStore *s, const char *id, Note *ret)
{
        rados_omap_iter_t iter = NULL;
        int r = notes_read(s, id, &iter);

        if (r <= 0)
                return r;
        r = note_next(iter, ret);
        rados_omap_get_end(iter);
        return r;
}

/* --- taken back */

static int on_progress(uint64_t done, uint64_t total, void *userdata)
{
        RbdStore *s = userdata;

        ceph_watch_again(&s->cluster.watch);
        (void) s->cluster.host->progress(s->cluster.host->handle, done, total); /* half of it helps nobody */
        return 0;
}

/* The image, open for writing, becomes what it was at `base`. */
static int take_back(RbdStore *s, rbd_image_t image, const char *name, const char *base, STORAGED_ERR)
{
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        bool is_newer = false;
        int r = image_snapshots(s, image, name, &snaps, err);

        if (r >= 0 && !snap_list_has(&snaps, base))
                return error_set(err, -EIO,
                                 "storage '%s': an import into '%s' was interrupted, and snapshot '%s' that it was to "
                                 "go back to is gone: the image is half changed; remove it, or roll it back by hand",
                                 s->cluster.storage, name, base);
        for (int i = 0; r >= 0 && i < snaps.n; i++) {
                if (is_newer)
                        r = image_remove_snapshot(s, image, name, snaps.items[i].name, err);
                is_newer = is_newer || strcmp(snaps.items[i].name, base) == 0;
        }
        if (r < 0)
                return r;
        r = rbd_snap_rollback_with_progress(image, base, on_progress, s);
        return r < 0 ? image_fail(s, r, "take an import back from", name, err) : 0;
}

/* An image with a note that nobody has open. */
static int settle(RbdStore *s, const Note *note, STORAGED_ERR)
{
        const struct storaged_host *host = s->cluster.host;
        AUTO(image_closep) rbd_image_t look = NULL;
        AUTO(image_closep) rbd_image_t image = NULL;
        char name[256] = "";
        size_t n = sizeof(name);
        int r = rbd_open_by_id_read_only(s->io, note->id, &look, NULL);

        if (r == -ENOENT) /* removed meanwhile */
                return note_remove(s, note->id);
        if (r >= 0)
                r = rbd_get_name(look, name, &n);
        if (r < 0)
                return image_fail(s, r, "open", note->id, err);
        r = image_check_unused(s, look, name, "take an interrupted import back from", err);
        if (r >= 0)
                r = image_open(s, name, NULL, IMAGE_WRITE, &image, err);
        if (r >= 0)
                r = take_back(s, image, name, note->base, err);
        if (r >= 0 && (r = note_remove(s, note->id)) < 0)
                r = image_fail(s, r, "note the end of an import into", name, err);
        if (r >= 0)
                host->log(host->handle, STORAGED_LOG_WARNING,
                          "an import into '%s' was interrupted: it is as it was at snapshot '%s' again", name,
                          note->base);
        return r;
}

int image_open_whole(RbdStore *s, const char *name, const char *snap, enum image_mode mode, rbd_image_t *ret,
                     STORAGED_ERR)
{
        AUTO(image_closep) rbd_image_t image = NULL;
        Note note = { 0 };
        char id[ID_MAX] = "";
        int r = image_open(s, name, snap, mode, &image, err);

        if (r < 0)
                return r;
        r = rbd_get_id(image, id, sizeof(id));
        if (r >= 0)
                r = note_find(s, id, &note);
        if (r < 0)
                return image_fail(s, r, "look for interrupted imports into", name, err);
        if (r > 0) {
                image_closep(&image);
                image = NULL;
                r = settle(s, &note, err);
                if (r >= 0)
                        r = image_open(s, name, snap, mode, &image, err);
        }
        if (r < 0)
                return r;
        *ret = TAKE(image);
        return 0;
}

/* Somebody else's that goes on, or whose client is not forgotten yet, has its time: whoever uses the image looks. */
int receive_clean(RbdStore *s, STORAGED_ERR)
{
        rados_omap_iter_t iter = NULL;
        Note note = { 0 };
        int r = notes_read(s, NULL, &iter);

        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "can't look for interrupted imports in pool '%s'", s->pool);
        while (r > 0 && note_next(iter, &note)) {
                struct storaged_error why = STORAGED_ERROR_INIT;

                ceph_watch_again(&s->cluster.watch);
                if (settle(s, &note, &why) < 0)
                        s->cluster.host->log(s->cluster.host->handle, STORAGED_LOG_WARNING, "%s", why.text);
        }
        if (iter)
                rados_omap_get_end(iter);
        return 0;
}

/* --- is the image what it was at the snapshot? */

typedef struct Compare {
        Import *import;
        rbd_image_t then;
        char *buf;
        bool differs;
} Compare;

/* librbd tells what was touched; that it is another thing now is only seen by reading both (a rollback touches too). */
static int compare_extent(uint64_t offset, size_t n, int exists, void *userdata)
{
        Compare *c = userdata;
        char *now = c->import->pipe.buf;

        (void) exists;
        while (n > 0) {
                size_t k = n < PIPE_CHUNK ? n : PIPE_CHUNK;
                ssize_t a = rbd_read(c->import->image, offset, k, now), b = rbd_read(c->then, offset, k, c->buf);

                if (a < 0 || b < 0)
                        return a < 0 ? (int) a : (int) b;
                if (a != b || memcmp(now, c->buf, (size_t) a) != 0) {
                        c->differs = true;
                        return -EUCLEAN;
                }
                ceph_watch_again(&c->import->pipe.store->cluster.watch);
                offset += k;
                n -= k;
        }
        return 0;
}

static int is_as_at(Import *i, const char *base)
{
        AUTO(image_closep) rbd_image_t then = NULL;
        AUTO(freep) char *buf = malloc(PIPE_CHUNK);
        Compare c = { .import = i, .buf = buf };
        RbdStore *s = i->pipe.store;
        uint64_t bytes = 0, now = 0;
        int r = buf ? image_open(s, i->name, base, IMAGE_READ, &then, i->err) : -ENOMEM;

        if (r < 0)
                return r;
        c.then = then;
        r = rbd_get_size(then, &bytes);
        if (r >= 0)
                r = rbd_get_size(i->image, &now);
        if (r >= 0 && now == bytes)
                r = rbd_diff_iterate2(i->image, base, 0, now, 1, 0, compare_extent, &c);
        if (now != bytes || c.differs)
                return error_set_param(i->err, -EBUSY, "base",
                                       "storage '%s': '%s' has changed since snapshot '%s': roll it back to that first "
                                       "(what was written since is lost then), or import it whole",
                                       s->cluster.storage, i->name, base);
        i->bytes = now;
        return r < 0 ? image_fail(s, r, "compare with its snapshot", i->name, i->err) : 0;
}

/* --- received */

static int refuse_base(Import *i, int code, const char *base, const char *newest)
{
        const char *storage = i->pipe.store->cluster.storage;

        return newest ? error_set_param(i->err, code, "base",
                                        "storage '%s': '%s' has snapshot '%s', which is newer than '%s': differences "
                                        "go on from the newest",
                                        storage, i->name, newest, base)
                      : error_set_param(i->err, code, "base",
                                        "storage '%s': '%s' has no snapshot '%s' for the differences to go on from; "
                                        "import it whole",
                                        storage, i->name, base);
}

static int check_base(Import *i, const char *base)
{
        AUTO(snap_list_deinit) SnapList snaps = { 0 };
        int r = image_snapshots(i->pipe.store, i->image, i->name, &snaps, i->err);

        if (r < 0)
                return r;
        if (!snap_list_has(&snaps, base))
                return refuse_base(i, -ENOENT, base, NULL);
        if (strcmp(snaps.items[snaps.n - 1].name, base) != 0)
                return refuse_base(i, -EEXIST, base, snaps.items[snaps.n - 1].name);
        return is_as_at(i, base);
}

typedef struct Receive {
        Import import; /* first */
        const struct storaged_import_spec *spec;
        char id[ID_MAX], at[DIFF_NAME_MAX]; /* the snapshot that the next stream must go on from */
        bool is_noted;
} Receive;

/* Before a stream's first change: it is for us, and the image is noted. */
static int before_change(Import *i, const DifferenceEnds *ends)
{
        Receive *rec = (Receive *) i;
        RbdStore *s = i->pipe.store;
        int r;

        if (strcmp(ends->from, rec->at) != 0)
                return error_set_param(i->err, -EINVAL, "base",
                                       "storage '%s': the stream holds differences from %s%.200s, not from '%s'",
                                       s->cluster.storage, ends->from[0] ? "snapshot " : "nothing", ends->from,
                                       rec->at);
        if (rec->is_noted)
                return 0;
        r = store_fault(s, "rbd.receive.checked", i->err);
        if (r < 0)
                return r;
        r = note_set(s, rec->id, rec->spec->base);
        if (r < 0)
                return image_fail(s, r, "note an import into", i->name, i->err);
        rec->is_noted = true;
        return store_fault(s, "rbd.receive.noted", i->err);
}

static int check_end(Receive *rec, const DifferenceEnds *ends)
{
        const char *wanted = rec->spec->snapshot;

        return !wanted || strcmp(wanted, ends->to) == 0
                       ? 0
                       : error_set_param(rec->import.err, -EINVAL, "snapshot",
                                         "storage '%s': the stream ends with %s%.200s, not with snapshot '%s'",
                                         rec->import.pipe.store->cluster.storage,
                                         ends->to[0] ? "snapshot " : "the live volume", ends->to, wanted);
}

/* One stream; or with the snapshots between, all up to the one that was asked for, else up to the live image. */
static int receive_all(Receive *rec)
{
        const struct storaged_import_spec *spec = rec->spec;
        Import *i = &rec->import;
        DifferenceEnds ends = { 0 };
        bool is_last;
        int r;

        do {
                r = import_difference(i, false, before_change, &ends);
                if (r > 0 && store_fault(i->pipe.store, "rbd.receive.snapshot-made", i->err) < 0)
                        r = i->err->code;
                (void) snprintf(rec->at, sizeof(rec->at), "%s", ends.to);
                is_last = !spec->with_snapshots || (spec->snapshot && strcmp(spec->snapshot, ends.to) == 0);
        } while (r > 0 && !is_last);
        return r < 0 ? r : check_end(rec, &ends);
}

static int receive_finish(Receive *rec)
{
        Import *i = &rec->import;
        RbdStore *s = i->pipe.store;
        int r = rbd_flush(i->image);

        if (r < 0)
                return image_fail(s, r, "write", i->name, i->err);
        r = store_fault(s, "rbd.receive.written", i->err);
        if (r < 0)
                return r;
        r = note_remove(s, rec->id);
        if (r < 0)
                return image_fail(s, r, "note the end of an import into", i->name, i->err);
        rec->is_noted = false;
        return store_fault(s, "rbd.receive.done", i->err);
}

static int receive_begin(Receive *rec, const struct storaged_volname *vol)
{
        AUTO(image_closep) rbd_image_t look = NULL;
        Import *i = &rec->import;
        RbdStore *s = i->pipe.store;
        uint64_t bytes = 0;
        int r;

        if (strcmp(rec->spec->stream_format, "rbd+size") != 0)
                return error_set_param(i->err, -EINVAL, "format",
                                       "storage '%s': differences are imported as rbd+size, not as %s",
                                       s->cluster.storage, rec->spec->stream_format);
        if (vol->is_base || rec->spec->allow_rename)
                return error_set_param(i->err, -EINVAL, vol->is_base ? "volume" : "allow-rename",
                                       "storage '%s': differences are for the volume '%s' itself%s", s->cluster.storage,
                                       vol->volname, vol->is_base ? ", and a template does not change" : "");
        r = image_open_whole(s, vol->name, NULL, IMAGE_READ, &look, i->err);
        if (r >= 0)
                r = image_check_unused(s, look, vol->name, "import into", i->err);
        if (r >= 0)
                r = image_open(s, vol->name, NULL, IMAGE_WRITE, &i->image, i->err);
        if (r >= 0 && rbd_get_id(i->image, rec->id, sizeof(rec->id)) < 0)
                r = image_fail(s, -EIO, "look at", vol->name, i->err);
        if (r >= 0)
                r = check_base(i, rec->spec->base);
        return r < 0 ? r : pipe_read(&i->pipe, &bytes, sizeof(bytes), i->err); /* each stream has its size again */
}

int import_receive(RbdStore *s, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                   char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        struct storaged_error why = STORAGED_ERROR_INIT, unused = STORAGED_ERROR_INIT;
        Receive rec = { .import = { .err = &why }, .spec = spec };
        Import *i = &rec.import;
        int r;

        CEPH_WATCH(&s->cluster.watch, CEPH_LONG_MS, "import into '%s'", vol->name);
        (void) snprintf(i->name, sizeof(i->name), "%.200s", vol->name);
        (void) snprintf(rec.at, sizeof(rec.at), "%.200s", spec->base);
        r = store_open(s, &why);
        if (r >= 0)
                r = pipe_init(&i->pipe, s, fd, &why);
        if (r >= 0)
                r = receive_begin(&rec, vol);
        if (r >= 0)
                r = receive_all(&rec);
        if (r >= 0)
                r = receive_finish(&rec);
        if (r < 0 && rec.is_noted && take_back(s, i->image, i->name, spec->base, &unused) >= 0)
                (void) note_remove(s, rec.id); /* else the next one who opens it does both */
        image_closep(&i->image);
        pipe_deinit(&i->pipe);
        if (r == -EBADMSG && !why.text[0])
                (void) error_set(&why, r, "storage '%s': what comes is no stream of differences in the format %s",
                                 s->cluster.storage, spec->stream_format);
        if (r < 0)
                return error_set_param(err, r, why.param, "%s", why.text);
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", vol->volname);
        return 0;
}
