/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One LUN: judged and shown. The state is one word for the worst there is; `reason` says what. A disagreement about
 * size or identity between the paths comes before everything else: to use such a LUN loses data, while one with few
 * paths only is slow to fail.
 */
#include "multipath/lun.h"

#include <fcntl.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "multipath/js.h"
#include "multipath/nvme.h"
#include "multipath/sysfs.h"

static const MapPath *map_path_of(const Lun *l, const DiskPath *p)
{
        for (size_t i = 0; l->map && i < l->map->n_paths; i++)
                if (strcmp(l->map->paths[i].dev, p->dev) == 0)
                        return &l->map->paths[i];
        return NULL;
}

static bool is_usable(const Lun *l, const DiskPath *p)
{
        const MapPath *m = map_path_of(l, p);

        if (strcmp(p->state, "running") != 0 || p->is_gone)
                return false;
        return l->map ? m && map_path_is_usable(m) : nvme_is_usable(p);
}

size_t lun_count_usable(const Lun *l)
{
        size_t n = 0;

        for (size_t i = 0; i < l->n_paths; i++)
                n += is_usable(l, l->paths[i]);
        return n;
}

/* --- what is wrong */

/* An identity that multipathd was told of, but that the disk behind the path no longer has. */
static bool find_impostor(const Lun *l, char *reason, size_t size)
{
        for (size_t i = 0; i < l->n_paths; i++) {
                const DiskPath *p = l->paths[i];

                if (p->wwid[0] && strcmp(p->wwid, l->wwid) != 0 && (p->wwid[0] == '3' || p->wwid[0] == '2')) {
                        (void) snprintf(reason, size,
                                        "path %s leads to LUN %s now: its number was given to another LUN; "
                                        "run pvesm lun scan",
                                        p->dev, p->wwid);
                        return true;
                }
        }
        return false;
}

static bool find_other_size(const Lun *l, char *reason, size_t size)
{
        for (size_t i = 0; i < l->n_paths; i++) {
                const DiskPath *p = l->paths[i];

                uint64_t bytes = p->live_bytes ? p->live_bytes : p->bytes;

                if (bytes != 0 && bytes != l->bytes && strcmp(p->state, "running") == 0) {
                        (void) snprintf(reason, size, "path %s has %llu bytes, %s has %llu; run pvesm lun resize",
                                        p->dev, (unsigned long long) bytes, l->block, (unsigned long long) l->bytes);
                        return true;
                }
        }
        return false;
}

static bool needs_map(const Lun *l)
{
        const char *t = l->n_paths > 0 ? l->paths[0]->transport : "";

        if (strcmp(t, "nvme") == 0) /* the kernel's own multipath, or one controller */
                return l->n_paths > 1 && !strchr(l->paths[0]->dev + strlen("nvme"), 'c');
        return l->n_paths > 1 || strcmp(t, "fc") == 0 || strcmp(t, "iscsi") == 0;
}

static const char *judge(const Lun *l, size_t n_usable, char *reason, size_t size)
{
        if (find_impostor(l, reason, size))
                return "changed";
        if (find_other_size(l, reason, size))
                return "changed";
        if (n_usable == 0) {
                (void) snprintf(reason, size, "%s",
                                l->n_paths == 0        ? "the map has no path left"
                                : l->paths[0]->is_gone ? "the array has no such LUN any more"
                                                       : "no path is usable");
                return "failed";
        }
        if (!l->map && needs_map(l)) {
                (void) snprintf(reason, size, "multipathd has made no map of it");
                return "nomap";
        }
        if (n_usable < l->n_paths) {
                (void) snprintf(reason, size, "%zu of %zu paths are usable", n_usable, l->n_paths);
                return "degraded";
        }
        return "ok";
}

/* --- who uses it */

typedef struct Holders {
        json_object *names;
        int sys;
} Holders;

static int on_holder(void *userdata, int dir, const char *name, uint64_t inode)
{
        Holders *h = userdata;
        char path[128], text[256];

        (void) dir;
        (void) inode;
        (void) snprintf(path, sizeof(path), "block/%.31s/dm/uuid", name);
        if (sysfs_text(h->sys, path, text, sizeof(text)) > 0 && strncmp(text, "mpath-", 6) == 0)
                return 0; /* a path's own map */
        (void) snprintf(path, sizeof(path), "block/%.31s/dm/name", name);
        js_push(h->names, json_object_new_string(sysfs_text(h->sys, path, text, sizeof(text)) > 0 ? text : name));
        return 0;
}

static void add_holders(json_object *o, const Lun *l, int sys)
{
        Holders h = { json_object_new_array(), sys };
        char path[64];

        (void) snprintf(path, sizeof(path), "block/%.31s/holders", l->block);
        (void) sysfs_each(sys, path, on_holder, &h);
        js_add(o, "holders", h.names);
}

static void add_open_count(json_object *o, const Lun *l)
{
        struct dm_info info = { 0 };
        struct dm_task *task = l->dm[0] ? dm_task_create(DM_DEVICE_INFO) : NULL;

        if (!task)
                return;
        if (dm_task_set_name(task, l->map->name) && dm_task_run(task) && dm_task_get_info(task, &info) && info.exists)
                js_int(o, "n_open", info.open_count);
        dm_task_destroy(task);
}

/* Where the device itself is mounted: lines "id parent MAJ:MIN root MOUNTPOINT …". */
static void add_mounts(json_object *o, const Lun *l, int sys)
{
        char path[64], number[32], line_number[32], where[512];
        json_object *mounts;

        (void) snprintf(path, sizeof(path), "block/%.31s/dev", l->block);
        if (!l->mountinfo || sysfs_text(sys, path, number, sizeof(number)) <= 0)
                return;
        mounts = json_object_new_array();
        for (const char *at = l->mountinfo; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
                if (sscanf(at, "%*d %*d %31s %*s %511s", line_number, where) == 2 && strcmp(number, line_number) == 0)
                        js_push(mounts, json_object_new_string(where));
        js_add(o, "mounts", mounts);
}

/* --- shown */

static json_object *path_to_json(const Lun *l, const DiskPath *p)
{
        const MapPath *m = map_path_of(l, p);
        json_object *o = json_object_new_object();

        js_text(o, "dev", p->dev);
        js_text(o, "hctl", p->hctl);
        js_text(o, "transport", p->transport);
        js_int(o, "size", (int64_t) p->bytes);
        js_text(o, "state", p->state);
        js_int(o, "usable", is_usable(l, p));
        if (m) {
                js_text(o, "dm_state", m->dm_state);
                js_text(o, "checker", m->checker);
                js_int(o, "group", m->group);
                js_int(o, "priority", m->priority);
                if (m->is_marginal)
                        js_int(o, "marginal", 1);
        }
        js_text(o, "alua", p->access_state);
        if (p->port_group >= 0)
                js_int(o, "port_group", p->port_group);
        js_text(o, "initiator", p->initiator);
        js_text(o, "target", p->target);
        js_text(o, "portal", p->portal);
        js_text(o, "port_state", p->port_state);
        if (p->wwid[0] && strcmp(p->wwid, l->wwid) != 0)
                js_text(o, "wwid", p->wwid);
        return o;
}

static void add_content(json_object *o, const Content *c)
{
        js_text(o, "content", c ? c->kind : "unknown");
        if (!c)
                return;
        js_text(o, "signature", c->signature);
        js_text(o, "label", c->label);
        js_text(o, "uuid", c->uuid);
        js_text(o, "content_reason", c->reason);
        if (strcmp(c->kind, "pv") == 0) {
                js_add(o, "vg", json_object_new_string(c->vg));
                js_text(o, "pv_uuid", c->pv_uuid);
                js_text(o, "vg_uuid", c->vg_uuid);
                js_text(o, "lock_type", c->lock_type);
        }
}

static void add_names(json_object *o, const Lun *l)
{
        char text[320];

        if (l->dm[0]) {
                js_text(o, "name", l->map->name);
                (void) snprintf(text, sizeof(text), "/dev/mapper/%s", l->map->name);
                js_text(o, "device", text);
                js_text(o, "dm", l->dm);
                (void) snprintf(text, sizeof(text), "/dev/disk/by-id/dm-uuid-mpath-%s", l->wwid);
                js_text(o, "by_id", text);
        } else if (l->block[0]) {
                (void) snprintf(text, sizeof(text), "/dev/%s", l->block);
                js_text(o, "device", text);
        }
}

json_object *lun_to_json(const Lun *l, int sys)
{
        json_object *o = json_object_new_object(), *paths = json_object_new_array();
        const DiskPath *first = l->n_paths > 0 ? l->paths[0] : NULL;
        size_t n_usable = lun_count_usable(l);
        char reason[512] = "";

        js_text(o, "wwid", l->wwid);
        add_names(o, l);
        js_int(o, "size", (int64_t) l->bytes);
        if (first) {
                js_text(o, "vendor", first->vendor);
                js_text(o, "product", first->model);
                js_text(o, "serial", first->serial);
                js_text(o, "transport", first->transport);
        }
        js_text(o, "state", judge(l, n_usable, reason, sizeof(reason)));
        js_text(o, "reason", reason);
        js_int(o, "n_paths", (int64_t) l->n_paths);
        js_int(o, "n_active", (int64_t) n_usable);
        if (l->map)
                js_text(o, "queueing", l->map->queueing);
        add_content(o, l->content);
        add_holders(o, l, sys);
        add_open_count(o, l);
        add_mounts(o, l, sys);
        for (size_t i = 0; i < l->n_paths; i++)
                js_push(paths, path_to_json(l, l->paths[i]));
        js_add(o, "paths", paths);
        return o;
}
