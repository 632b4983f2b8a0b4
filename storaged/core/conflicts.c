/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One directory a conflict below <state>/clusterfs/conflicts, named by its time; clusterfs makes them, a person removes
 * them. */
#include "core/conflicts.h"

#include <dirent.h>
#include <errno.h>

#include "base/str.h"
#include "wire/json.h"

#define CONFLICTS_MAX 100u

static int list_names(const char *dir, StrList *ret)
{
        DIR *d = opendir(dir);
        struct dirent *e;
        int r = 0;

        while (d && r >= 0 && ret->n < CONFLICTS_MAX && (e = readdir(d)))
                if (e->d_name[0] != '.' && e->d_type == DT_DIR)
                        r = strlist_adds(ret, e->d_name);
        if (d)
                (void) closedir(d);
        strlist_sort(ret);
        return r;
}

json_object *conflicts_to_json(const Paths *paths)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        AUTO_JSON *rows = json_object_new_array();
        AUTO(freep) char *dir = NULL;

        if (!rows || str_printf(&dir, "%s/clusterfs/conflicts", paths->lib) < 0 || list_names(dir, &names) < 0)
                return NULL;
        for (size_t i = 0; i < names.n; i++) {
                AUTO_JSON *row = json_object_new_object();
                AUTO(freep) char *path = NULL;

                if (!row || str_printf(&path, "%s/%s", dir, names.items[i]) < 0 ||
                    json_add_string(row, "time", names.items[i]) < 0 || json_add_string(row, "path", path) < 0 ||
                    json_object_array_add(rows, TAKE(row)) < 0)
                        return NULL;
        }
        return TAKE(rows);
}
