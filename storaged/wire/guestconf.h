/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The disks of a virtual machine or container, out of Proxmox VE's <vmid>.conf. Pure; fuzzed. */
#include <stddef.h>

#include "base/str.h"

#define GUESTCONF_SIZE_MAX (1u << 20)
#define GUESTCONF_DISKS_MAX 256u

/*
 * Appends the volume ids of the disks a running guest uses: scsiN, virtioN, sataN, ideN, efidisk0, tpmstate0; of a
 * container rootfs and mpN; each once, in the order of the file. Not: CD-ROMs, unused disks, paths (/dev/…), and what
 * stands in sections (snapshots, pending changes). Lines that are none of these are passed over. -E2BIG: more than
 * GUESTCONF_DISKS_MAX; -ENOMEM.
 */
int guestconf_disks(const char *text, size_t len, StrList *ret);
