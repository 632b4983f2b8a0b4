/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Images as block devices of the kernel (krbd 1). */
#include "rbd/store.h"

/* /dev/rbd-pve/<fsid>/<pool>[/<namespace>]/<image>[@<snapshot>], which krbd_map() makes. Asks the cluster for its id.
 */
int krbd_path(RbdStore *s, const char *name, const char *snap, char *ret, size_t size, STORAGED_ERR);
/* It is mapped, and the path leads to the device. Mapped already: 0. The store must be open. */
int krbd_map(RbdStore *s, const char *name, const char *snap, bool is_read_only, STORAGED_ERR);
/* It is not mapped; 0 also if it never was. -EBUSY: something has the device open. */
int krbd_unmap(RbdStore *s, const char *name, const char *snap, STORAGED_ERR);
