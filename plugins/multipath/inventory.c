/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory of a node. A disk that multipathd counts to a map is a path of that map's LUN, whatever it says of
 * itself (if it says something else, that is the finding); any other disk belongs to the LUN it names. What is on a LUN
 * is read when the LUN appears, when its size or map is another one, and when somebody says that it may have changed.
 */
#include "multipath/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "multipath/js.h"
#include "multipath/lun.h"
#include "multipath/sysfs.h"

typedef struct LunTable {
        Lun *items;
        size_t n, size;
} LunTable;

static void table_deinit(LunTable *t)
{
        for (size_t i = 0; i < t->n; i++)
                free(t->items[i].paths);
        free(t->items);
}

void inventory_deinit(Inventory *inv)
{
        path_list_deinit(&inv->paths);
        free(inv->known);
        *inv = (Inventory){ 0 };
}

/* --- disks and maps put together */

static Lun *table_at(LunTable *t, const char *wwid)
{
        for (size_t i = 0; i < t->n; i++)
                if (strcmp(t->items[i].wwid, wwid) == 0)
                        return &t->items[i];
        if (t->n == t->size) {
                size_t size = t->size ? t->size * 2 : 32;
                Lun *more = reallocarray(t->items, size, sizeof(*more));

                if (!more)
                        return NULL;
                t->items = more;
                t->size = size;
        }
        t->items[t->n] = (Lun){ 0 };
        (void) snprintf(t->items[t->n].wwid, sizeof(t->items[t->n].wwid), "%s", wwid);
        return &t->items[t->n++];
}

static int lun_add_path(Lun *l, const DiskPath *p)
{
        if (l->n_paths == l->size_paths) {
                size_t size = l->size_paths ? l->size_paths * 2 : 8;
                const DiskPath **more = reallocarray(l->paths, size, sizeof(*more));

                if (!more)
                        return -ENOMEM;
                l->paths = more;
                l->size_paths = size;
        }
        l->paths[l->n_paths++] = p;
        return 0;
}

/* By uuid, never by number: those are reused. */
static bool map_is_there(int sys, const Map *m)
{
        char path[64], uuid[WWID_MAX + 8];

        (void) snprintf(path, sizeof(path), "block/%.31s/dm/uuid", m->dm);
        return m->dm[0] && sysfs_text(sys, path, uuid, sizeof(uuid)) > 0 && strncmp(uuid, "mpath-", 6) == 0 &&
               strcmp(uuid + 6, m->wwid) == 0;
}

static int table_add_maps(LunTable *t, const InventoryRound *round)
{
        for (size_t i = 0; i < round->maps->n; i++) {
                const Map *m = &round->maps->maps[i];
                char path[64];
                Lun *l;

                if (!vpd_wwid_is_valid(m->wwid))
                        continue;
                l = table_at(t, m->wwid);
                if (!l)
                        return -ENOMEM;
                l->map = m;
                if (!map_is_there(round->sys, m))
                        continue;
                (void) snprintf(l->dm, sizeof(l->dm), "%s", m->dm);
                (void) snprintf(l->block, sizeof(l->block), "%s", m->dm);
                (void) snprintf(path, sizeof(path), "block/%.31s/size", m->dm);
                l->bytes = sysfs_number(round->sys, path, 0) * 512;
        }
        return 0;
}

static int table_add_paths(LunTable *t, const Inventory *inv, const MapList *maps)
{
        for (size_t i = 0; i < inv->paths.n; i++) {
                const DiskPath *p = &inv->paths.items[i];
                const Map *m = NULL;
                const char *wwid = map_list_find_path(maps, p->dev, &m) ? m->wwid : p->wwid;
                Lun *l;

                if (!vpd_wwid_is_valid(wwid))
                        continue; /* nothing tells which LUN that is */
                l = table_at(t, wwid);
                if (!l || (!p->is_head && lun_add_path(l, p) < 0))
                        return -ENOMEM;
                if (!l->block[0] || p->is_head) {
                        (void) snprintf(l->block, sizeof(l->block), "%s", p->dev);
                        l->bytes = p->bytes;
                }
        }
        return 0;
}

static int by_wwid(const void *a, const void *b)
{
        return strcmp(((const Lun *) a)->wwid, ((const Lun *) b)->wwid);
}

/* --- content */

static bool list_has(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *at = words ? strstr(words, word) : NULL; at; at = strstr(at + 1, word))
                if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
                        return true;
        return false;
}

static KnownContent *known_at(Inventory *inv, const Lun *l)
{
        KnownContent *k;

        for (size_t i = 0; i < inv->n_known; i++)
                if (strcmp(inv->known[i].wwid, l->wwid) == 0)
                        return &inv->known[i];
        if (inv->n_known == inv->size_known) {
                size_t size = inv->size_known ? inv->size_known * 2 : 32;

                k = reallocarray(inv->known, size, sizeof(*k));
                if (!k)
                        return NULL;
                inv->known = k;
                inv->size_known = size;
        }
        k = &inv->known[inv->n_known++];
        *k = (KnownContent){ .is_stale = true };
        (void) snprintf(k->wwid, sizeof(k->wwid), "%s", l->wwid);
        return k;
}

static bool must_look(const KnownContent *k, const Lun *l, const char *changed)
{
        if (strcmp(k->dev, l->block) != 0 || k->bytes != l->bytes || k->is_stale || list_has(changed, "all") ||
            list_has(changed, l->block))
                return true;
        for (size_t i = 0; i < l->n_paths; i++)
                if (list_has(changed, l->paths[i]->dev))
                        return true;
        return false;
}

/* A name of its own for each, since the probe only borrows it. */
typedef struct Wanted {
        ContentProbe probe;
        size_t known;
        char device[320];
} Wanted;

static void want(Inventory *inv, const Lun *l, const char *changed, Wanted *w, size_t *n)
{
        KnownContent *k = known_at(inv, l);

        if (!k)
                return;
        k->is_seen = true;
        if (!must_look(k, l, changed))
                return;
        k->bytes = l->bytes;
        (void) snprintf(k->dev, sizeof(k->dev), "%s", l->block);
        if (lun_count_usable(l) == 0 || l->bytes == 0) {
                k->content = (Content){ .kind = "unknown", .reason = "no path is usable" };
                k->is_stale = true; /* when one comes back, we look */
                return;
        }
        k->is_stale = false;
        w[*n].known = (size_t) (k - inv->known);
        if (l->dm[0])
                (void) snprintf(w[*n].device, sizeof(w[*n].device), "/dev/mapper/%s", l->map->name);
        else
                (void) snprintf(w[*n].device, sizeof(w[*n].device), "/dev/%s", l->block);
        (*n)++;
}

static int look_at_content(Inventory *inv, LunTable *t, const char *changed)
{
        AUTO(freep) Wanted *wanted = calloc(t->n ? t->n : 1, sizeof(*wanted));
        AUTO(freep) ContentProbe *probes = calloc(t->n ? t->n : 1, sizeof(*probes));
        size_t n = 0, kept = 0;

        if (!wanted || !probes)
                return -ENOMEM;
        for (size_t i = 0; i < inv->n_known; i++)
                inv->known[i].is_seen = false;
        for (size_t i = 0; i < t->n; i++)
                want(inv, &t->items[i], changed, wanted, &n);
        for (size_t i = 0; i < n; i++)
                probes[i].device = wanted[i].device;
        content_probe(probes, n);
        for (size_t i = 0; i < n; i++)
                inv->known[wanted[i].known].content = probes[i].content;
        for (size_t i = 0; i < inv->n_known; i++)
                if (inv->known[i].is_seen)
                        inv->known[kept++] = inv->known[i];
        inv->n_known = kept;
        for (size_t i = 0; i < t->n; i++)
                for (size_t k = 0; k < inv->n_known; k++)
                        if (strcmp(inv->known[k].wwid, t->items[i].wwid) == 0)
                                t->items[i].content = &inv->known[k].content;
        return 0;
}

/* --- the whole */

static void distrust(Inventory *inv, const char *changed)
{
        if (list_has(changed, "all")) {
                path_list_distrust(&inv->paths, NULL);
                return;
        }
        for (size_t i = 0; changed && i < inv->paths.n; i++)
                if (list_has(changed, inv->paths.items[i].dev))
                        path_list_distrust(&inv->paths, inv->paths.items[i].dev);
}

static json_object *daemon_to_json(const char *error)
{
        json_object *o = json_object_new_object();

        js_int(o, "running", error == NULL);
        js_text(o, "error", error);
        return o;
}

int inventory_collect(Inventory *inv, const InventoryRound *round, json_object **ret)
{
        AUTO(table_deinit) LunTable t = { 0 };
        AUTO_JS *o = json_object_new_object();
        json_object *rows;
        int r;

        if (!o)
                return -ENOMEM;
        distrust(inv, round->changed);
        r = path_list_refresh(&inv->paths, round->sys);
        if (r < 0 && r != -ENOENT)
                return r;
        if (list_has(round->changed, "all"))
                path_list_ask(&inv->paths);
        r = table_add_maps(&t, round);
        if (r >= 0)
                r = table_add_paths(&t, inv, round->maps);
        if (r >= 0 && !round->without_content)
                r = look_at_content(inv, &t, round->changed);
        if (r < 0)
                return r;
        if (t.n > 0)
                qsort(t.items, t.n, sizeof(*t.items), by_wwid);
        rows = json_object_new_array();
        for (size_t i = 0; i < t.n; i++) {
                t.items[i].mountinfo = round->mountinfo;
                js_push(rows, lun_to_json(&t.items[i], round->sys));
        }
        js_add(o, "luns", rows);
        js_add(o, "ports", inventory_ports(round->sys));
        js_add(o, "multipathd", daemon_to_json(round->maps_error));
        *ret = TAKE(o);
        return 0;
}
