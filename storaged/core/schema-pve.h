/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The storage types and properties of Proxmox VE's storage.cfg, as data. schema.c makes Type and Property of them. */
#include <stdint.h>

#include <storaged/types.h>

/* One type; lists are words with one space between, as in the reference's table (pvesm.md section 2). */
typedef struct PveType {
        const char *name, *summary;
        uint32_t naming; /* 0: how its volumes are named is not known */
        uint32_t sharing;
        const char *required_fixed, *required, *fixed, *optional;
        const char *secrets; /* those of the above that never stand in storage.cfg */
        const char *contents, *default_contents;
        const char *formats; /* the default first */
} PveType;

extern const PveType pve_types[];                       /* name NULL ends */
extern const struct storaged_property pve_properties[]; /* sorted by name; name NULL ends; type is never STANDARD */
