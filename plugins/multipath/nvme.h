/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* NVMe namespaces, with the kernel's own multipath: one disk that is used, and a hidden one for each controller. */
#include <stdbool.h>

#include "multipath/path.h"

/* "nvme0n1", "nvme0c1n1"; not the controllers' characters or partitions. */
bool nvme_may_be_path(const char *name);
/* Who it is; `dir`: its entry in /sys/block. */
void nvme_read_fixed(int dir, DiskPath *p);
void nvme_read_changing(int dir, DiskPath *p);
/* Whether the controller can be used for this namespace now (ANA). */
bool nvme_is_usable(const DiskPath *p);
