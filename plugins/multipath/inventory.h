/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The LUNs of this node by WWID: disks (path.h), maps (maps.h), what lies on them and what is on them (content.h), put
 * together. What does not change is kept between two rounds; a round makes no I/O to a disk unless content is asked.
 */
#include <json-c/json.h>

#include "multipath/content.h"
#include "multipath/maps.h"
#include "multipath/path.h"

typedef struct KnownContent {
        char dev[32]; /* kernel name: dm-0, sda */
        char wwid[WWID_MAX];
        uint64_t bytes;
        bool is_seen, is_stale;
        Content content;
} KnownContent;

typedef struct Inventory {
        DiskPathList paths;
        KnownContent *known;
        size_t n_known, size_known;
} Inventory;

typedef struct InventoryRound {
        int sys; /* descriptor of /sys */
        const MapList *maps;
        const char *maps_error; /* why multipathd can't be asked, or NULL */
        const char *mountinfo;  /* text of /proc/self/mountinfo, or NULL */
        const char *changed;    /* kernel names of what may have changed, blanks between; "all"; NULL: nothing */
        bool without_content;
} InventoryRound;

void inventory_deinit(Inventory *inv);
/* {"luns": […], "ports": […], "multipathd": {…}}; new reference. */
int inventory_collect(Inventory *inv, const InventoryRound *round, json_object **ret);
/* inventory-ports.c: hosts and remote ports of FC, iSCSI sessions; new reference. */
json_object *inventory_ports(int sys);
