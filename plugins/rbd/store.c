/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The storage as a place: which pool, of which cluster, as which user, and how QEMU finds an image there. */
#include "rbd/store.h"

#include <errno.h>
#include <stdlib.h>

const char *store_place(const RbdStore *s, char *buf, size_t size)
{
        (void) snprintf(buf, size, s->namespace ? "pool '%.100s', namespace '%.100s'" : "pool '%.100s'", s->pool,
                        s->namespace);
        return buf;
}

/* An io context belongs to its connection: a client that was fenced gets both anew. */
int store_open(RbdStore *s, STORAGED_ERR)
{
        int r;

        if (s->io && s->cluster.is_stale)
                rados_ioctx_destroy(TAKE(s->io));
        r = ceph_cluster_connect(&s->cluster, err);
        if (r < 0 || s->io)
                return r;
        return ceph_cluster_open_pool(&s->cluster, s->pool, s->namespace, &s->io, err);
}

int store_fault(RbdStore *s, const char *name, STORAGED_ERR)
{
        int r = s->cluster.host->fault(s->cluster.host->handle, name);

        return r < 0 ? error_set(err, r, "storage '%s': %s", s->cluster.storage, strerror(-r)) : 0;
}
