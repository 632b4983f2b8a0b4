/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Volumes that long work of this daemon is reading: nobody may change them meanwhile. */
#include "core/core.h"

typedef struct VolumeUse VolumeUse;

/* 0 and a use to be ended with volume_use_end(); what: shown to those who are refused. */
int volume_use_begin(Core *c, const char *storage, const char *volname, const char *what, VolumeUse **ret);
VolumeUse *volume_use_end(VolumeUse *u);
/* -EBUSY with `err` naming the work, if somebody reads that volume. */
int volume_use_check(Core *c, const char *storage, const char *volname, struct storaged_error *err);
