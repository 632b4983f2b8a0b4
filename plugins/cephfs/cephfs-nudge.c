/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A metadata server answers whoever makes a change before the change is in its journal, and writes the journal out when
 * it has reason to, at the latest with its next tick (mds_tick_interval, 5 s). Until then others that ask for the same
 * name wait ("failed to rdlock, waiting"). Mostly the server sees that somebody waits; when it does not, a healthy
 * cluster looks as silent as a dead one. A client can't ask for the journal by libcephfs, but a new session has to be
 * in it before the client is told: so one is begun beside ours and ended at once.
 *
 * The invariant: what the thread works with is its own, so that our session may meanwhile go away.
 */
#include "cephfs/cephfs-nudge.h"

#include <storaged/cleanup.h>

static void *nudge_main(void *userdata)
{
        CephNudge *n = userdata;

        if (ceph_init(n->session) >= 0)
                (void) ceph_mount(n->session, n->subdir); /* a refusal would come after the journal, too */
        ceph_shutdown(n->session);
        atomic_store(&n->is_done, true);
        return NULL;
}

void cephfs_nudge_begin(CephNudge *n, rados_t rados, const char *subdir)
{
        (void) pthread_mutex_lock(&n->lock);
        n->rados = rados;
        n->subdir = subdir;
        (void) pthread_mutex_unlock(&n->lock);
}

void cephfs_nudge_ask(CephNudge *n)
{
        (void) pthread_mutex_lock(&n->lock);
        if (n->has_thread && atomic_load(&n->is_done)) {
                (void) pthread_join(n->thread, NULL);
                n->has_thread = false;
        }
        if (n->rados && !n->has_thread && ceph_create_from_rados(&n->session, n->rados) >= 0) {
                atomic_store(&n->is_done, false);
                n->has_thread = pthread_create(&n->thread, NULL, nudge_main, n) == 0;
                if (!n->has_thread)
                        ceph_shutdown(n->session);
        }
        (void) pthread_mutex_unlock(&n->lock);
}

void cephfs_nudge_end(CephNudge *n)
{
        bool has_thread;

        (void) pthread_mutex_lock(&n->lock);
        n->rados = NULL;
        has_thread = n->has_thread;
        n->has_thread = false;
        (void) pthread_mutex_unlock(&n->lock);
        if (has_thread)
                (void) pthread_join(n->thread, NULL);
}
