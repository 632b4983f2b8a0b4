/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an NVMe namespace says of itself over one controller now, whatever the kernel remembers. */
#pragma once

#include "multipath/scsi.h"

#define IDENTIFY_SIZE 4096u

/* The size that the data of an Identify Namespace tell. -ENODEV: of no namespace; -EIO: nonsense. */
int identify_parse(const uint8_t data[static IDENTIFY_SIZE], uint64_t *ret);
/* Fills in d->bytes of the path d->dev ("nvme0c1n1"). 0; -ENODEV: the controller has no such namespace any more. */
int identify_ask(LiveDisk *d);
