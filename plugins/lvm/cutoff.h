/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* All volumes of a volume group on this node fail from now on, whatever the storage below them does. */
#include <stdbool.h>

#include <storaged/error.h>

/* Its name at sanlock's leases: LVM's own, never cut off. */
#define LVMLOCK "lvmlock"

/* A volume that was cut off, or what it says that it could not be (err->code < 0). */
typedef void (*CutOffFn)(void *userdata, const char *lv, const struct storaged_error *err);

/*
 * Asks nobody but device-mapper: neither LVM nor the storage have to answer. All are tried; the first failure is
 * returned. Those that were cut off before are none of this time's.
 */
int cut_off(const char *vg, CutOffFn fn, void *userdata, struct storaged_error *err);
