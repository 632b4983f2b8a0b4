/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread for what the daemon itself reads and writes under a cluster lock: leases, tickets, secrets, certificates,
 * storage.cfg as it is read. The same sequential functions run there that would run on the loop; each of their calls is
 * bounded by the guard, so that a file system that stops answering ends the work in some seconds, while the loop goes
 * on. Who began the work is suspended until then: nobody else touches what it owns.
 */
#include "core/aside.h"

#include "base/clock.h"
#include "base/guard.h"

#define END_WAIT_USEC USEC_PER_SEC

TAILQ_HEAD(AsideList, Aside);

struct Asides {
        Offload *offload;
        struct AsideList begun; /* and not told yet */
};

static void work_run(OffloadJob *job)
{
        Aside *work = job->userdata;

        work->run(work);
}

static void work_done(OffloadJob *job)
{
        Aside *work = job->userdata;

        TAILQ_REMOVE(&work->core->asides->begun, work, entry);
        work->done(work);
}

static Asides *asides_get(Core *c)
{
        Asides *a = c->asides;

        if (a)
                return a;
        a = calloc(1, sizeof(*a));
        if (!a || offload_new(&a->offload, c->event) < 0) {
                free(a);
                return NULL;
        }
        TAILQ_INIT(&a->begun);
        c->asides = a;
        return a;
}

void aside_begin(Core *c, Aside *work)
{
        Asides *a = guard_covers(c->paths.cluster) && !c->is_stopping ? asides_get(c) : NULL;

        work->core = c;
        work->job = (OffloadJob){ .run = work_run, .done = work_done, .userdata = work };
        if (a && offload_submit(a->offload, &work->job) >= 0) {
                TAILQ_INSERT_TAIL(&a->begun, work, entry);
                return;
        }
        work->run(work);
        work->done(work);
}

bool aside_end(Core *c)
{
        Asides *a = c->asides;
        Aside *work;

        if (!a)
                return true;
        if (offload_end(a->offload, END_WAIT_USEC))
                return false;
        while ((work = TAILQ_FIRST(&a->begun)))
                work_done(&work->job);
        c->asides = NULL;
        free(a);
        return true;
}
