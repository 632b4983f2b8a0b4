/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Numbers of nodes at sanlock, 1 to 2000, each node's for ever: kept in the cluster directory. */
#include <stddef.h>

#include <storaged/error.h>

#include "base/paths.h"

#define HOST_ID_MAX 2000u

/* Under a lock of the cluster. Those that have none get the lowest free one. */
int host_ids_assign(const Paths *p, const char *const *nodes, size_t n, unsigned *ret, struct storaged_error *err);
