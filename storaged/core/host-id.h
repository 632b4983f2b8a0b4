/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Numbers of nodes at sanlock, 1 to 2000, each node's for ever: kept in the cluster directory. */
#include <stddef.h>

#include <storaged/error.h>

#include "base/fence.h"
#include "base/paths.h"

#define HOST_ID_MAX 2000u

/*
 * Under a lock of the cluster. ids: what each node has by its own configuration, 0: none; afterwards each node's
 * number. Those that have none get the lowest free one. -EEXIST: a node's configuration has another node's number, or
 * another one than it was given before.
 */
int host_ids_assign(const Paths *p, const char *const *nodes, size_t n, unsigned *ids, const Fence *fence,
                    struct storaged_error *err);
