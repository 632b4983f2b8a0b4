/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Before a volume is changed here, the other nodes let go of what is left of it there. */
#include "core/volume-job.h"

#define VOLUME_NODES_MAX 64

/* `then` follows, maybe at once; or the job ends with what a node has against it. */
void volume_leave_elsewhere(VolumeJob *j, void (*then)(VolumeJob *j));
