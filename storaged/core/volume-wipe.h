/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What follows a removal whose bytes have to be written over first. */
#include "core/volume-job.h"

/*
 * The volume is gone under its name. True: the rest has begun, without the storage's lock, and ends the job; false:
 * there is none.
 */
bool volume_wipe_begin(VolumeJob *j);
