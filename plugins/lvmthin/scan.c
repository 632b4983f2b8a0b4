/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thin pools this node has: `pvesm scan lvmthin VG`, and all of them with how full they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lvmthin/thin.h"

#define DESCRIPTION "The volume group to look in."

static const struct storaged_property scan_params[] = { { .name = "vg",
                                                          .type = STORAGED_PROPERTY_STRING,
                                                          .flags = STORAGED_PROPERTY_REQUIRED,
                                                          .format = "storage-vgname",
                                                          .max_length = 127,
                                                          .description = DESCRIPTION },
                                                        { 0 } };
static const struct storaged_property pools_params[] = { { .name = "vg",
                                                           .type = STORAGED_PROPERTY_STRING,
                                                           .format = "storage-vgname",
                                                           .max_length = 127,
                                                           .description = DESCRIPTION },
                                                         { 0 } };
static const char *const columns[] = { "lv", NULL };

const struct storaged_scan thin_scan_schema = { .params = scan_params, .columns = columns };

const struct storaged_action thin_actions[] = {
        { "pools", "Thin pools of this node, and how full their data and metadata are.", STORAGED_ACTION_READ,
          pools_params },
        { NULL, NULL, 0, scan_params },
};

/* Calls fn for each pool of the group, or of all groups. */
typedef int (*PoolFn)(void *userdata, const char *vg, const char *lv, uint64_t bytes);

static const char *text(json_object *row, const char *key)
{
        const char *s = json_object_get_string(json_object_object_get(row, key));

        return s ? s : "";
}

static int each_pool(const char *vg, PoolFn fn, void *userdata, struct storaged_error *err)
{
        LvmCmd cmd = { .what = "scan lvmthin" };
        json_object *report = NULL, *rows;
        int r = lvm_cmd_report(&cmd, "list thin pools", &report, err,
                               "lvs --reportformat json --units b --nosuffix -O vg_name,lv_name -o "
                               "vg_name,lv_name,lv_size,lv_layout %s",
                               vg ? vg : "");

        lvm_cmd_deinit(&cmd);
        if (r == -ENOENT)
                return error_set_param(err, r, "vg", "this node sees no volume group \"%s\"; pvesm scan lvm lists them",
                                       vg);
        if (r < 0)
                return r;
        rows = json_object_object_get(json_object_array_get_idx(json_object_object_get(report, "report"), 0), "lv");
        for (size_t i = 0; r == 0 && rows && i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                if (pool_is(text(row, "lv_layout")))
                        r = fn(userdata, text(row, "vg_name"), text(row, "lv_name"),
                               strtoull(text(row, "lv_size"), NULL, 10));
        }
        json_object_put(report);
        return r;
}

typedef struct ScanRows {
        storaged_scan_fn fn;
        void *userdata;
} ScanRows;

static int give_name(void *userdata, const char *vg, const char *lv, uint64_t bytes)
{
        const ScanRows *s = userdata;
        const struct storaged_pair pair = { "lv", lv };

        (void) vg;
        (void) bytes;
        return s->fn(s->userdata, &pair, 1);
}

int thin_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn, void *userdata,
              struct storaged_error *err)
{
        ScanRows s = { fn, userdata };

        (void) host;
        return each_pool(storaged_config_get(args, "vg"), give_name, &s, err);
}

/* The keys are those of Proxmox VE's /nodes/{node}/disks/lvmthin. A pool that is not active tells only its size. */
static int add_pool(void *userdata, const char *vg, const char *lv, uint64_t bytes)
{
        json_object *o = json_object_new_object();
        PoolState p = { 0 };

        json_object_object_add(o, "vg", json_object_new_string(vg));
        json_object_object_add(o, "lv", json_object_new_string(lv));
        json_object_object_add(o, "lv_size", json_object_new_int64((int64_t) bytes));
        if (pool_look(vg, lv, &p, NULL) == 0 && p.is_active) {
                json_object_object_add(o, "used", json_object_new_int64((int64_t) p.used_bytes));
                json_object_object_add(o, "metadata_size", json_object_new_int64((int64_t) p.metadata_bytes));
                json_object_object_add(o, "metadata_used", json_object_new_int64((int64_t) p.metadata_used_bytes));
        }
        return json_object_array_add(userdata, o) < 0 ? -ENOMEM : 0;
}

int thin_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
             storaged_json_fn fn, void *userdata, struct storaged_error *err)
{
        json_object *all = json_object_new_array();
        const char *vg = storaged_config_get(args, "vg"), *json;
        int r;

        (void) host;
        (void) self;
        (void) action; /* there is one */
        r = each_pool(vg && *vg ? vg : NULL, add_pool, all, err);
        if (r == 0) {
                json = json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN);
                r = fn(userdata, json, strlen(json));
        }
        json_object_put(all);
        return r;
}
