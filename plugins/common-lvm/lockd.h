/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is asked of lvmlockd directly, because no command of LVM says it. */
#include <stdbool.h>

#include <storaged/error.h>

#define LOCKD_SOCKET "/run/lvm/lvmlockd.socket"

/* Whether it runs: a socket that nobody listens on is that of one that was killed. */
bool lockd_is_running(void);
/* Whether some volume group here has the global lock of sanlock. */
bool lockd_has_global(void);
/* The volume group gets it. At most one of those that nodes see may have it. */
int lockd_enable_global(const char *vg, struct storaged_error *err);
/* Gives up all locks of the volume group. Before it nothing of it may be written to from here any more. */
int lockd_drop(const char *vg, struct storaged_error *err);
