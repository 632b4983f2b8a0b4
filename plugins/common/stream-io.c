/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading and writing of streams, in chunks, each of which tells how far we are and notices a cancellation. The other
 * end may go away at any time: the worker ignores SIGPIPE, so that is an error (-EPIPE) like others.
 */
#include "common/stream-io.h"

#include <errno.h>
#include <string.h>

int stream_init(Stream *s, FileStore *fs, int fd, struct storaged_error *err)
{
        *s = (Stream){ .fs = fs, .fd = fd, .buf = malloc(STREAM_CHUNK) };
        return s->buf ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void stream_deinit(Stream *s)
{
        free(s->buf);
        s->buf = NULL;
}

/* The total is of what the stream carries: its head and what an image format adds come on top. */
static int tell(Stream *s, struct storaged_error *err)
{
        uint64_t total = s->total && s->done > s->total ? s->done : s->total;

        if (s->fs->host->progress(s->fs->host->handle, s->done, total) == 0)
                return 0;
        return error_set(err, -ECANCELED, "storage \"%s\": the stream was cancelled after %llu bytes", s->fs->storage,
                         (unsigned long long) s->done);
}

int stream_write(Stream *s, const void *data, size_t n, struct storaged_error *err)
{
        const char *p = data;

        while (n > 0) {
                ssize_t k = write(s->fd, p, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return error_set(err, -errno,
                                         "storage \"%s\": the receiver of the stream took only %llu bytes: %s",
                                         s->fs->storage, (unsigned long long) s->done, strerror(errno));
                p += k;
                n -= (size_t) k;
                s->done += (uint64_t) k;
        }
        return tell(s, err);
}

int stream_write_zeroes(Stream *s, uint64_t n, struct storaged_error *err)
{
        static const char zeroes[STREAM_CHUNK];

        while (n > 0) {
                size_t k = n < sizeof(zeroes) ? (size_t) n : sizeof(zeroes);
                int r = stream_write(s, zeroes, k, err);

                if (r < 0)
                        return r;
                n -= k;
        }
        return 0;
}

int stream_write_size(Stream *s, uint64_t bytes, struct storaged_error *err)
{
        uint8_t head[8];

        for (unsigned i = 0; i < sizeof(head); i++)
                head[i] = (uint8_t) (bytes >> (8 * i));
        return stream_write(s, head, sizeof(head), err);
}

int stream_read(Stream *s, void *data, size_t n, size_t *ret_n, struct storaged_error *err)
{
        size_t done = 0;

        while (done < n) {
                ssize_t k = read(s->fd, (char *) data + done, n - done);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return error_set(err, -errno, "storage \"%s\": cannot read the stream: %s", s->fs->storage,
                                         strerror(errno));
                if (k == 0)
                        break;
                done += (size_t) k;
        }
        s->done += done;
        *ret_n = done;
        return tell(s, err);
}

int stream_read_size(Stream *s, uint64_t *ret, struct storaged_error *err)
{
        uint8_t head[8];
        uint64_t bytes = 0;
        size_t n;
        int r = stream_read(s, head, sizeof(head), &n, err);

        if (r < 0)
                return r;
        if (n != sizeof(head))
                return error_set(err, -EIO,
                                 "storage \"%s\": the stream ends within its first 8 bytes, which tell the size",
                                 s->fs->storage);
        for (unsigned i = 0; i < sizeof(head); i++)
                bytes |= (uint64_t) head[i] << (8 * i);
        if (bytes > INT64_MAX)
                return error_set(err, -EINVAL,
                                 "storage \"%s\": the stream claims a size of %llu bytes; it is not a %s stream",
                                 s->fs->storage, (unsigned long long) bytes, "…+size");
        *ret = bytes;
        return 0;
}

int stream_refuse_short(Stream *s, uint64_t got, uint64_t wanted, struct storaged_error *err)
{
        return error_set(err, -EIO, "storage \"%s\": the stream ended after %llu of %llu bytes; nothing was kept",
                         s->fs->storage, (unsigned long long) got, (unsigned long long) wanted);
}

bool stream_is_zero(const void *data, size_t n)
{
        const unsigned char *p = data;

        return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}
