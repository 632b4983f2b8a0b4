/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is on a device: libblkid and the LVM label, read in a child, since reading may hang. */
#include <stddef.h>
#include <stdint.h>

typedef struct Content {
        char kind[16];      /* none, pv, filesystem, partitions, raid, other, unknown */
        char signature[32]; /* LVM2_member, xfs, gpt, … or "" */
        char label[72], uuid[72];
        char vg[128], pv_uuid[40], vg_uuid[40], lock_type[16];
        char reason[96]; /* why it is unknown */
} Content;

typedef struct ContentProbe {
        const char *device;
        Content content; /* the answer; `unknown` with a reason where it could not be read */
} ContentProbe;

/* All of them, each with its own deadline. */
void content_probe(ContentProbe *probes, size_t n);
