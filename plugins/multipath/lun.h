/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One LUN while an inventory is made: its map, if it has one, and the disks that are its paths. */
#include <json-c/json.h>

#include "multipath/content.h"
#include "multipath/maps.h"
#include "multipath/path.h"

typedef struct Lun {
        char wwid[WWID_MAX];
        const Map *map; /* or NULL */
        char dm[32];    /* the kernel's name of the map, if it is there; else "" */
        char block[32]; /* what is used of it: dm-0, or the first path */
        uint64_t bytes; /* of that */
        const DiskPath **paths;
        size_t n_paths, size_paths;
        const Content *content; /* or NULL */
        const char *mountinfo;
} Lun;

/* Paths that multipathd counts as usable (or, without a map, that are running). */
size_t lun_count_usable(const Lun *l);
/* As the API shows it; new reference or NULL. */
json_object *lun_to_json(const Lun *l, int sys);
