/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a raw volume as a stream. What was on an LV's blocks before belongs to somebody else, so an import
 * writes every byte: zeroes by an order to the device rather than as data, and in a thin pool not at all where the
 * pool itself gives out nothing but zeroes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common-lvm/store.h"

static int open_lv(Lvm *l, const char *name, int flags, int *ret, struct storaged_error *err)
{
        char path[TREE_PATH_MAX];
        int fd;

        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, name);
        fd = open(path, flags | O_CLOEXEC);
        if (fd < 0)
                return error_set(err, -errno, "storage \"%s\": cannot open %s: %s", l->storage, path, strerror(errno));
        *ret = fd;
        return 0;
}

/* --- outwards */

int lvm_export_raw(Lvm *l, const char *name, uint64_t bytes, Stream *s, struct storaged_error *err)
{
        AUTO(closep) int fd = -EBADF;
        uint64_t at = 0;
        int r = open_lv(l, name, O_RDONLY, &fd, err);

        if (r < 0)
                return r;
        s->total = bytes;
        r = stream_write_size(s, bytes, err);
        while (r == 0 && at < bytes) {
                size_t want = bytes - at < STREAM_CHUNK ? (size_t) (bytes - at) : STREAM_CHUNK;
                ssize_t n = pread(fd, s->buf, want, (off_t) at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return error_set(err, n < 0 ? -errno : -EIO, "storage \"%s\": cannot read %s/%s at %llu: %s",
                                         l->storage, l->vg, name, (unsigned long long) at,
                                         n < 0 ? strerror(errno) : "it ends there");
                r = stream_write(s, s->buf, (size_t) n, err);
                at += (uint64_t) n;
        }
        return r;
}

/* --- inwards */

int lvm_import_begin(Lvm *l, const struct storaged_import_spec *spec, STORAGED_VOL, uint32_t format, int fd, Stream *s,
                     char ret_name[static LVM_NAME_MAX], struct storaged_error *err)
{
        uint64_t size = 0;
        int r = 0;

        if (strcmp(spec->stream_format, "raw+size") != 0)
                return error_set_param(err, -EOPNOTSUPP, "format",
                                       "a stream %.32s cannot become volume \"%s\" on %s; raw+size can",
                                       spec->stream_format, vol->volname, l->fs.kind->type);
        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        if (r == 0)
                r = lvm_new_name(l, vol->vmid, format, vol->name, ret_name, err);
        if (r == -EEXIST && spec->allow_rename)
                r = lvm_new_name(l, vol->vmid, format, NULL, ret_name, err);
        if (r == 0)
                r = stream_init(s, &l->fs, fd, err);
        if (r == 0)
                r = stream_read_size(s, &size, err);
        if (r < 0)
                return r;
        if (size == 0)
                return error_set(err, -EINVAL, "storage \"%s\": the stream says that the volume has 0 bytes",
                                 l->storage);
        s->total = size;
        return 0;
}

static int put(int fd, const char *buf, size_t n, uint64_t at)
{
        if (stream_is_zero(buf, n) && at % 512 == 0 && n % 512 == 0 &&
            ioctl(fd, BLKZEROOUT, (uint64_t[2]){ at, n }) == 0)
                return 0;
        while (n > 0) {
                ssize_t k = pwrite(fd, buf, n, (off_t) at);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                buf += k;
                at += (uint64_t) k;
                n -= (size_t) k;
        }
        return 0;
}

/* What is all zeroes is left out. */
static int put_data(int fd, const char *buf, size_t n, uint64_t at)
{
        int r = 0;

        for (size_t k = 0; r == 0 && k < n; k += STREAM_BLOCK) {
                size_t len = n - k < STREAM_BLOCK ? n - k : STREAM_BLOCK;

                if (!stream_is_zero(buf + k, len))
                        r = put(fd, buf + k, len, at + k);
        }
        return r;
}

int lvm_import_raw(Lvm *l, const char *name, uint64_t size, Stream *s, struct storaged_error *err)
{
        AUTO(closep) int fd = -EBADF;
        uint64_t at = 0;
        int r = open_lv(l, name, O_WRONLY, &fd, err);

        while (r == 0 && at < size) {
                size_t want = size - at < STREAM_CHUNK ? (size_t) (size - at) : STREAM_CHUNK, n;

                r = stream_read(s, s->buf, want, &n, err);
                if (r < 0)
                        return r;
                if (n < want)
                        return stream_refuse_short(s, at + n, size, err);
                r = l->skips_zeroes ? put_data(fd, s->buf, n, at) : put(fd, s->buf, n, at);
                at += n;
                if (r < 0)
                        return error_set(err, r, "storage \"%s\": cannot write to %s/%s: %s", l->storage, l->vg, name,
                                         strerror(-r));
        }
        if (r == 0 && fsync(fd) < 0)
                r = error_set(err, -errno, "storage \"%s\": cannot write to %s/%s: %s", l->storage, l->vg, name,
                              strerror(errno));
        return r;
}
