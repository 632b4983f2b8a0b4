/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream's other end may be slow or go away. While we wait for it no watch runs, because Ceph is not what we wait
 * for; each piece tells how far we are and notices a cancellation.
 */
#include "rbd/pipe.h"

#include <errno.h>
#include <stdlib.h>

int pipe_init(Pipe *p, RbdStore *s, int fd, STORAGED_ERR)
{
        ceph_cluster_set_streaming(&s->cluster);
        *p = (Pipe){ .store = s, .fd = fd, .buf = malloc(PIPE_CHUNK) };
        return p->buf ? 0 : error_set(err, -ENOMEM, "no memory");
}

void pipe_deinit(Pipe *p)
{
        free(p->buf);
        p->buf = NULL;
}

static int tell(Pipe *p, STORAGED_ERR)
{
        const struct storaged_host *host = p->store->cluster.host;

        if (host->progress(host->handle, p->done, p->total) == 0)
                return 0;
        return error_set(err, -ECANCELED, "storage '%s': the stream was cancelled after %llu bytes",
                         p->store->cluster.storage, (unsigned long long) p->done);
}

int pipe_write(Pipe *p, const void *data, size_t n, STORAGED_ERR)
{
        const char *from = data;

        ceph_watch_pause(&p->store->cluster.watch);
        while (n > 0) {
                ssize_t k = write(p->fd, from, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return error_set(err, -errno,
                                         "storage '%s': the receiver of the stream took only %llu bytes: %s",
                                         p->store->cluster.storage, (unsigned long long) p->done, strerror(errno));
                from += k;
                n -= (size_t) k;
                p->done += (uint64_t) k;
        }
        ceph_watch_resume(&p->store->cluster.watch);
        return tell(p, err);
}

int pipe_write_zeroes(Pipe *p, uint64_t n, STORAGED_ERR)
{
        static const char zeroes[1u << 20];
        int r = 0;

        while (r >= 0 && n > 0) {
                size_t k = n < sizeof(zeroes) ? (size_t) n : sizeof(zeroes);

                r = pipe_write(p, zeroes, k, err);
                n -= k;
        }
        return r;
}

int pipe_read(Pipe *p, void *to, size_t n, STORAGED_ERR)
{
        char *at = to;

        ceph_watch_pause(&p->store->cluster.watch);
        while (n > 0) {
                ssize_t k = read(p->fd, at, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return error_set(err, -errno, "storage '%s': can't read the stream: %s",
                                         p->store->cluster.storage, strerror(errno));
                if (k == 0)
                        return error_set(err, -EIO, "storage '%s': the stream ended early, after %llu bytes",
                                         p->store->cluster.storage, (unsigned long long) p->done);
                at += k;
                n -= (size_t) k;
                p->done += (uint64_t) k;
        }
        ceph_watch_resume(&p->store->cluster.watch);
        return tell(p, err);
}

bool pipe_is_zero(const char *data, size_t n)
{
        return n == 0 || (data[0] == 0 && memcmp(data, data + 1, n - 1) == 0);
}
