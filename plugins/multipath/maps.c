/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multipathd's answer to `show maps json` as structs. It is asked once for all maps (one call a map is quadratic: a
 * call walks all of them). Unknown members are passed over, missing ones are "".
 */
#include "multipath/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define DEPTH_MAX 16

static void take_text(json_object *o, const char *key, char *ret, size_t size)
{
        json_object *v = NULL;
        const char *s = "";
        size_t n;

        if (json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string))
                s = json_object_get_string(v);
        n = strnlen(s, size - 1);
        memcpy(ret, s, n);
        ret[n] = '\0';
}

static int take_int(json_object *o, const char *key)
{
        json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) ? json_object_get_int(v) : 0;
}

static size_t array_length(json_object *o, const char *key, json_object **ret)
{
        json_object *v = NULL;

        if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
            !json_object_is_type(v, json_type_array))
                return 0;
        *ret = v;
        return json_object_array_length(v);
}

static void parse_path(json_object *o, int group, MapPath *ret)
{
        char marginal[16];

        take_text(o, "dev", ret->dev, sizeof(ret->dev));
        take_text(o, "dm_st", ret->dm_state, sizeof(ret->dm_state));
        take_text(o, "chk_st", ret->checker, sizeof(ret->checker));
        take_text(o, "dev_st", ret->device, sizeof(ret->device));
        take_text(o, "marginal_st", marginal, sizeof(marginal));
        ret->is_marginal = strcmp(marginal, "marginal") == 0;
        ret->priority = take_int(o, "pri");
        ret->group = group;
}

static int parse_group(json_object *group, Map *m)
{
        json_object *paths = NULL;
        size_t n = array_length(group, "paths", &paths);
        int number;
        MapPath *more;

        if (n == 0)
                return 0;
        number = take_int(group, "group");
        more = reallocarray(m->paths, m->n_paths + n, sizeof(*more));
        if (!more)
                return -ENOMEM;
        m->paths = more;
        for (size_t i = 0; i < n; i++) {
                json_object *o = json_object_array_get_idx(paths, i);

                m->paths[m->n_paths] = (MapPath){ 0 };
                if (json_object_is_type(o, json_type_object))
                        parse_path(o, number, &m->paths[m->n_paths++]);
        }
        return 0;
}

static int parse_map(json_object *o, Map *m)
{
        json_object *groups = NULL;
        size_t n;

        if (!json_object_is_type(o, json_type_object))
                return -EINVAL;
        take_text(o, "name", m->name, sizeof(m->name));
        take_text(o, "uuid", m->wwid, sizeof(m->wwid));
        take_text(o, "sysfs", m->dm, sizeof(m->dm));
        take_text(o, "queueing", m->queueing, sizeof(m->queueing));
        if (!m->wwid[0] || strchr(m->dm, '/'))
                return -EINVAL;
        n = array_length(o, "path_groups", &groups);
        for (size_t i = 0; i < n; i++) {
                int r = parse_group(json_object_array_get_idx(groups, i), m);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_maps(json_object *root, MapList *l)
{
        json_object *maps = NULL;
        size_t n;

        if (!json_object_is_type(root, json_type_object) || !json_object_object_get_ex(root, "maps", &maps))
                return -EINVAL;
        n = array_length(root, "maps", &maps);
        if (n == 0)
                return 0;
        l->maps = calloc(n, sizeof(*l->maps));
        if (!l->maps)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r;

                l->n = i + 1;
                r = parse_map(json_object_array_get_idx(maps, i), &l->maps[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int map_list_parse(const char *text, size_t len, MapList *ret)
{
        json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
        MapList l = MAP_LIST_INIT;
        json_object *root;
        int r = -EINVAL;

        if (!tokener)
                return -ENOMEM;
        root = len < (64u << 20) ? json_tokener_parse_ex(tokener, text, (int) len) : NULL;
        if (root)
                r = parse_maps(root, &l);
        (void) json_object_put(root);
        json_tokener_free(tokener);
        if (r < 0)
                map_list_deinit(&l);
        else
                *ret = l;
        return r;
}

void map_list_deinit(MapList *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->maps[i].paths);
        free(l->maps);
        *l = MAP_LIST_INIT;
}

const Map *map_list_find(const MapList *l, const char *wwid)
{
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->maps[i].wwid, wwid) == 0)
                        return &l->maps[i];
        return NULL;
}

const MapPath *map_list_find_path(const MapList *l, const char *dev, const Map **ret_map)
{
        for (size_t i = 0; i < l->n; i++)
                for (size_t k = 0; k < l->maps[i].n_paths; k++)
                        if (strcmp(l->maps[i].paths[k].dev, dev) == 0) {
                                *ret_map = &l->maps[i];
                                return &l->maps[i].paths[k];
                        }
        return NULL;
}

bool map_path_is_usable(const MapPath *p)
{
        return strcmp(p->dm_state, "active") == 0 &&
               (strcmp(p->checker, "ready") == 0 || strcmp(p->checker, "ghost") == 0);
}
