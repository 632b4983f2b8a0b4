/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams. raw+size is the size as a 64-bit little-endian number, and that many bytes. The other end may be
 * another cluster's: nothing it says is believed before it has come.
 */
#include "example/example.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static int write_all(int fd, const void *data, size_t len)
{
        for (const char *p = data; len > 0;) {
                ssize_t n = write(fd, p, len);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        p += n;
                        len -= (size_t) n;
                }
        }
        return 0;
}

static int read_all(int fd, void *data, size_t len)
{
        for (char *p = data; len > 0;) {
                ssize_t n = read(fd, p, len);

                if (n == 0)
                        return -ENODATA;
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        p += n;
                        len -= (size_t) n;
                }
        }
        return 0;
}

static int check_stream(const char *format, bool with_snapshots, struct storaged_error *err)
{
        if (strcmp(format, "raw+size") != 0 || with_snapshots)
                return error_set_param(err, -EINVAL, "format",
                                       "only raw+size without snapshots can be streamed, not %s%s", format,
                                       with_snapshots ? " with snapshots" : "");
        return 0;
}

int example_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                          int fd, STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int source = -EBADF;
        AUTO(freep) char *buf = malloc(EXAMPLE_CHUNK);
        char file[NAME_MAX + 1];
        struct stat st = { 0 };
        uint64_t size, at = 0;
        int r = buf ? 0 : -ENOMEM;

        if (r >= 0)
                r = check_stream(stream_format, with_snapshots, err);
        if (r >= 0 && snap)
                r = snapshot_file(vol, snap, file, sizeof(file), err);
        if (r >= 0)
                r = open_dir(e, &dir, err);
        if (r >= 0)
                r = open_volume(dir, snap ? file : vol->name, O_RDONLY, &source, &st, err);
        if (r < 0)
                return r;
        size = htole64((uint64_t) st.st_size);
        r = write_all(fd, &size, sizeof(size));
        while (r >= 0 && at < (uint64_t) st.st_size) {
                uint64_t left = (uint64_t) st.st_size - at;
                size_t n = left < EXAMPLE_CHUNK ? (size_t) left : EXAMPLE_CHUNK;

                r = read_all(source, buf, n);
                if (r >= 0)
                        r = write_all(fd, buf, n);
                at += n;
                if (r >= 0)
                        r = e->host->progress(e->host->handle, at, (uint64_t) st.st_size);
        }
        return r < 0 ? error_errno(err, r, "export volume", vol->name) : 0;
}

/* Zeroes are what a new file holds already. */
static int write_unless_zero(int fd, const char *data, size_t len, uint64_t at)
{
        if (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0)
                return 0;
        if (lseek(fd, (off_t) at, SEEK_SET) < 0)
                return -errno;
        return write_all(fd, data, len);
}

static int receive(const struct example *e, int from, int to, uint64_t size, struct storaged_error *err)
{
        AUTO(freep) char *buf = malloc(EXAMPLE_CHUNK);
        int r = buf ? 0 : -ENOMEM;

        for (uint64_t at = 0; r >= 0 && at < size;) {
                size_t n = size - at < EXAMPLE_CHUNK ? (size_t) (size - at) : EXAMPLE_CHUNK;

                r = read_all(from, buf, n);
                if (r == -ENODATA)
                        return error_set(err, -EIO, "the stream ended before its %llu bytes had come",
                                         (unsigned long long) size);
                if (r >= 0)
                        r = write_unless_zero(to, buf, n, at);
                at += n;
                if (r >= 0)
                        r = e->host->progress(e->host->handle, at, size);
        }
        return r < 0 ? error_errno(err, r, "store the stream in", e->path) : 0;
}

int example_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                          char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR)
{
        const struct example *e = self;
        AUTO(closep) int dir = -EBADF;
        AUTO(closep) int file = -EBADF;
        struct stat st;
        uint64_t size;
        int r;

        r = check_stream(spec->stream_format, spec->with_snapshots, err);
        if (r >= 0)
                r = open_dir(e, &dir, err);
        if (r < 0)
                return r;
        /* Said before the stream is read, where it can be; what counts is publish(). */
        if (!spec->allow_rename && fstatat(dir, vol->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return error_set_param(err, -EEXIST, "volume", "volume %s exists already", vol->name);
        if (read_all(fd, &size, sizeof(size)) < 0)
                return error_set(err, -EIO, "the stream ended within its first 8 bytes, which tell the size");
        size = le64toh(size);
        r = new_file(e, dir, size, &file, err);
        if (r >= 0)
                r = receive(e, fd, file, size, err);
        if (r < 0)
                return r;
        r = publish(e, file, dir, vol->vmid, vol->name, ret_volname, err);
        if (r == -EEXIST && spec->allow_rename)
                r = publish(e, file, dir, vol->vmid, NULL, ret_volname, err);
        return r;
}
