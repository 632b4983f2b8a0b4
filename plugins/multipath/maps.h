/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What multipathd says of its maps: `show maps json`. Pure; foreign bytes, fuzzed. */
#include <stdbool.h>
#include <stddef.h>

#include <storaged/cleanup.h>

typedef struct MapPath {
        char dev[32];      /* sda */
        char dm_state[16]; /* active, failed, undef: whether the kernel uses it */
        char checker[16];  /* ready, ghost, faulty, shaky, delayed, …: whether multipathd's checker likes it */
        char device[16];   /* running, offline, blocked: as multipathd saw it last */
        int priority, group;
        bool is_marginal;
} MapPath;

typedef struct Map {
        char name[128], wwid[256], dm[32];
        char queueing[32]; /* "5 chk", "-", "on" */
        MapPath *paths;
        size_t n_paths;
} Map;

typedef struct MapList {
        Map *maps;
        size_t n;
} MapList;

#define MAP_LIST_INIT \
        (MapList)     \
        {             \
                0     \
        }

void map_list_deinit(MapList *l);
/* -EINVAL: not what multipathd says. Appends nothing on failure. */
int map_list_parse(const char *text, size_t len, MapList *ret);
const Map *map_list_find(const MapList *l, const char *wwid);
/* The path of that device and the map it is in, or NULL. */
const MapPath *map_list_find_path(const MapList *l, const char *dev, const Map **ret_map);
/* True if I/O may go there. */
bool map_path_is_usable(const MapPath *p);
