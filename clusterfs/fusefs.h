/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The mount: what the kernel asks, answered from the tree or, for changes, when the engine has an answer. */
#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

#include "clusterfs/engine.h"
#include "clusterfs/status.h"

typedef struct FuseFs FuseFs;

/* Mounts at `dir`, making the directory and taking away what a dead predecessor left. `status` and `engine` outlive it.
 */
int fusefs_new(sd_event *event, const char *dir, Engine *engine, Status *status, FuseFs **ret,
               struct storaged_error *err);
/* To be called from the engine's event of that name. */
void fusefs_ordered(FuseFs *f, uint64_t sequence);
/* Unmounts. */
FuseFs *fusefs_free(FuseFs *f);
DEFINE_CLEANUP(FuseFs *, fusefs_free)
