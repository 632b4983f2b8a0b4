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

/* A namespace has to be made by an administrator; images in one that was not made can't be created. */
static int enter_namespace(RbdStore *s, rados_ioctx_t io, STORAGED_ERR)
{
        bool exists = false;
        int r = rbd_namespace_exists(io, s->namespace, &exists);

        if (r < 0)
                return ceph_fail(&s->cluster, r, err, "look for namespace '%s' in pool '%s'", s->namespace, s->pool);
        if (!exists)
                return error_set_param(
                        err, -ENOENT, "namespace",
                        "storage '%s': pool '%s' has no namespace '%s'; make it with `rbd namespace create %s/%s`",
                        s->cluster.storage, s->pool, s->namespace, s->pool, s->namespace);
        rados_ioctx_set_namespace(io, s->namespace);
        return 0;
}

/* An io context belongs to its connection: a client that was fenced gets both anew. */
int store_open(RbdStore *s, STORAGED_ERR)
{
        AUTO(ceph_ioctxp) rados_ioctx_t io = NULL;
        int r;

        if (s->io && s->cluster.is_stale)
                rados_ioctx_destroy(TAKE(s->io));
        r = ceph_cluster_connect(&s->cluster, err);
        if (r < 0 || s->io)
                return r;
        r = ceph_cluster_open_pool(&s->cluster, s->pool, NULL, &io, err);
        if (r >= 0 && s->namespace)
                r = enter_namespace(s, io, err);
        if (r < 0)
                return r;
        s->io = TAKE(io);
        return 0;
}

int store_fault(RbdStore *s, const char *name, STORAGED_ERR)
{
        int r = s->cluster.host->fault(s->cluster.host->handle, name);

        return r < 0 ? error_set(err, r, "storage '%s': %s", s->cluster.storage, strerror(-r)) : 0;
}
