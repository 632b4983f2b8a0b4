/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Work on the cluster directory beside the event loop, in the order in which it was begun. Where that directory is a
 * file system in user space it may be kept waiting, by the bounds of base/guard.h; elsewhere it is done at once.
 */
#include <sys/queue.h>

#include "base/offload.h"
#include "core/core.h"

typedef struct Aside {
        OffloadJob job; /* aside_begin()'s */
        TAILQ_ENTRY(Aside) entry;
        Core *core;
        void (*run)(
                struct Aside *work); /* perhaps in a thread: touches what the work alone owns, and the core's paths */
        void (*done)(struct Aside *work); /* in the loop; may free the work */
        void *userdata;
} Aside;

/* run, done and userdata are set; the work stays where it is until `done`, which may be called before this returns. */
void aside_begin(Core *c, Aside *work);
/*
 * The daemon ends: what was begun is done and told; later work is done at once. False: the file system hangs; what is
 * in the thread's hands is left to it, and so are the core's paths.
 */
bool aside_end(Core *c);
