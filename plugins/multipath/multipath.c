/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The storage type `multipath`: the LUNs of the SAN as raw volumes, named by WWID. It makes and removes none: that is
 * the array's. A LUN is used as a whole, mostly as the `base` of a volume group; a volume is there when its map is. The
 * same plugin carries the actions on LUNs (actions.h), which need no storage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "multipath/actions.h"
#include "multipath/js.h"

typedef struct Store {
        const struct storaged_host *host;
} Store;

static int store_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                       STORAGED_ERR)
{
        Store *s = calloc(1, sizeof(*s));

        (void) config;
        (void) err;
        if (!s)
                return -ENOMEM;
        s->host = host;
        *ret_self = s;
        return 0;
}

static void store_stop(void *self)
{
        free(self);
}

static int store_activate(void *self, STORAGED_ERR)
{
        (void) self;
        (void) err;
        return 0;
}

/* Only what multipathd made maps of: a disk beside it is not this storage's. */
static int each_lun(const Store *s, int (*fn)(void *userdata, json_object *lun), void *userdata, bool *ret_runs,
                    STORAGED_ERR)
{
        Act a = { .host = s->host, .err = err };
        json_object *luns = NULL, *v = NULL;
        AUTO_JS *all = NULL;
        int r = act_collect(&a, NULL, false, &all);

        if (r < 0)
                return r;
        if (ret_runs && json_object_object_get_ex(all, "multipathd", &v) && json_object_object_get_ex(v, "running", &v))
                *ret_runs = json_object_get_boolean(v);
        (void) json_object_object_get_ex(all, "luns", &luns);
        for (size_t i = 0; r == 0 && i < json_object_array_length(luns); i++)
                if (json_object_object_get_ex(json_object_array_get_idx(luns, i), "dm", &v))
                        r = fn(userdata, json_object_array_get_idx(luns, i));
        return r;
}

static uint64_t lun_bytes(json_object *lun)
{
        json_object *v = NULL;

        return json_object_object_get_ex(lun, "size", &v) ? (uint64_t) json_object_get_int64(v) : 0;
}

static const char *lun_wwid(json_object *lun)
{
        json_object *v = NULL;

        return json_object_object_get_ex(lun, "wwid", &v) ? json_object_get_string(v) : "";
}

static int add_size(void *userdata, json_object *lun)
{
        *(uint64_t *) userdata += lun_bytes(lun);
        return 0;
}

static int store_status(void *self, struct storaged_status *ret, STORAGED_ERR)
{
        bool runs = false;
        uint64_t total = 0;
        int r = each_lun(self, add_size, &total, &runs, err);

        if (r < 0)
                return r;
        ret->is_active = runs;
        ret->total_bytes = ret->used_bytes = total;
        if (!runs)
                (void) snprintf(ret->reason, sizeof(ret->reason),
                                "multipathd does not run on this node; install multipath-tools and start multipathd");
        return 0;
}

typedef struct Listing {
        storaged_volume_fn fn;
        void *userdata;
        const char *only;
        bool is_found;
} Listing;

static int give_row(void *userdata, json_object *lun)
{
        Listing *l = userdata;
        struct storaged_volume row = { .size = sizeof(row),
                                       .content = STORAGED_CONTENT_IMAGES,
                                       .volname = lun_wwid(lun),
                                       .format = "raw",
                                       .bytes = lun_bytes(lun),
                                       .used_bytes = STORAGED_SIZE_UNKNOWN };

        if (l->only && strcmp(l->only, row.volname) != 0)
                return 0;
        l->is_found = true;
        return l->fn(l->userdata, &row);
}

static int store_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                      STORAGED_ERR)
{
        Listing l = { .fn = fn, .userdata = userdata };

        if (!(filter->contents & STORAGED_CONTENT_IMAGES) || filter->vmid != 0)
                return 0;
        return each_lun(self, give_row, &l, NULL, err);
}

static int store_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR)
{
        Listing l = { .fn = fn, .userdata = userdata, .only = vol->name };
        int r = each_lun(self, give_row, &l, NULL, err);

        if (r == 0 && !l.is_found)
                return error_set(err, -ENOENT, "this node has no map of LUN %s; see pvesm lun list", vol->name);
        return r;
}

static int store_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR)
{
        int n;

        (void) self;
        if (snap)
                return error_set(err, -EOPNOTSUPP, "a LUN has no snapshots here; take them on the array");
        n = snprintf(ret, ret_size, "/dev/disk/by-id/dm-uuid-mpath-%s", vol->name);
        return n < 0 || (size_t) n >= ret_size ? error_set(err, -ENAMETOOLONG, "the path of %s is too long", vol->name)
                                               : 0;
}

/* multipathd has made it usable, or there is nothing to do here. */
static int store_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR)
{
        char path[512];
        struct stat st;
        int r = store_path(self, vol, snap, path, sizeof(path), err);

        (void) mode;
        if (r < 0)
                return r;
        if (stat(path, &st) < 0)
                return error_set(err, -ENOENT,
                                 "LUN %s has no map on this node (%s is not there); see pvesm lun show %s", vol->name,
                                 path, vol->name);
        return 0;
}

static int store_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR)
{
        (void) self;
        (void) vol;
        (void) snap;
        (void) err;
        return 0;
}

static const struct storaged_property properties[] = {
        { .name = "content" }, { .name = "nodes" }, { .name = "disable" }, { .name = "shared" }, { 0 },
};

static const struct storaged_feature_row features[] = {
        { .format = "raw", .current = STORAGED_FEATURE_COPY, .exports = "raw+size", .snapshot_method = "storage" },
        { 0 },
};

static struct storaged_plugin multipath_plugin = {
        .name = "multipath",
        .version = "1",
        .summary = "LUNs of a SAN behind multipath, as raw volumes by WWID",
        .naming = STORAGED_NAMING_LUN,
        .sharing = STORAGED_SHARED_ALWAYS,
        .contents = STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_NONE,
        .default_contents = STORAGED_CONTENT_NONE,
        .formats = STORAGED_FORMAT_RAW,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = features,

        .start = store_start,
        .stop = store_stop,
        .activate_storage = store_activate,
        .status = store_status,
        .list = store_list,
        .stat = store_stat,
        .path = store_path,
        .activate_volume = store_activate_volume,
        .deactivate_volume = store_deactivate_volume,

        .actions = multipath_actions,
        .act = multipath_act,
};

STORAGED_REGISTER(multipath_plugin)
