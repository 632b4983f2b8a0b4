/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a SCSI disk answers now, not what the kernel has kept: identity and capacity, through SG_IO. Each in a child. */
#include <stdint.h>

#include "multipath/vpd.h"

typedef struct LiveDisk {
        char dev[32];
        /* the answer: */
        int result; /* 0; -ENODEV: the array has no such LUN any more; -ETIMEDOUT, -EIO, … */
        char wwid[WWID_MAX];
        uint64_t bytes;
} LiveDisk;

/* All of them, some at a time. */
void scsi_ask(LiveDisk *disks, size_t n);
/* For a human: why `result` is not 0. */
const char *scsi_result_text(int result);
