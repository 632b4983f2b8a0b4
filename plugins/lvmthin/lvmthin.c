/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lvmthin storage: volumes of one thin pool on disks of this node. Snapshots and clones share blocks with what they
 * were made of and are otherwise volumes of their own, each made by one commit of LVM's.
 *
 * The model is that of the lvm storage (plugins/common-lvm/store.c); what is different is room: volumes are promised
 * more than the pool has. So its data and metadata are watched (pool.c) and health speaks before they are full.
 *
 *   volume.c  the operations       snapshot.c  snapshots, rollback, what crashes leave
 *   template.c  templates, clones  stream.c, scan.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common-lvm/unfinished.h"
#include "lvmthin/thin.h"

#define PERCENT_WARN 80
#define PERCENT_ERROR 95
#define MIB (1u << 20)

/* --- lifecycle */

static void thin_stop(void *self)
{
        lvm_stop_common(self);
        free(self);
}

static int thin_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                      struct storaged_error *err)
{
        const char *pool = storaged_config_get(config, "thinpool");
        Lvm *l;
        int r;

        if (!pool || strlen(pool) >= LVM_NAME_MAX)
                return error_set_param(err, -EINVAL, "thinpool", "storage %s has no thin pool", config->storage);
        l = calloc(1, sizeof(*l));
        if (!l)
                return error_set(err, -ENOMEM, "out of memory");
        l->used_by = pool_used_by;
        r = lvm_start_common(host, config, l, err);
        if (r < 0) {
                thin_stop(l);
                return r;
        }
        *ret_self = l;
        return 0;
}

/* --- the storage */

static int find_pool(Lvm *l, struct storaged_error *err)
{
        const VgLv *lv = vg_find(&l->state, l->pool);

        if (lv && pool_is(lv->layout))
                return 0;
        return error_set_param(
                err, -ENOENT, "thinpool",
                "storage \"%s\": volume group \"%s\" has %s \"%s\"; pvesm scan lvmthin %s lists its pools", l->storage,
                l->vg, lv ? "no thin pool but another volume" : "no thin pool", l->pool, l->vg);
}

static int thin_activate_storage(void *self, struct storaged_error *err)
{
        Lvm *l = self;
        PoolState p = { 0 };
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0 && vg_is_shared(&l->state))
                return error_set_param(
                        err, -EOPNOTSUPP, "vgname",
                        "storage \"%s\": volume group \"%s\" is shared by %s locks; a thin pool is for one "
                        "node's own disks (use type lvm for shared ones)",
                        l->storage, l->vg, l->state.lock_type);
        if (r == 0)
                r = lvm_reach(l, err);
        if (r == 0)
                r = find_pool(l, err);
        if (r == 0)
                r = pool_look(l->vg, l->pool, &p, err);
        if (r == 0 && !p.is_active)
                r = lvm_cmd(&l->cmd, "activate its thin pool", err, "lvchange -y -ay %s/%s", l->vg, l->pool);
        return r == 0 ? thin_repair(l, err) : r;
}

static int thin_status(void *self, struct storaged_status *ret, struct storaged_error *err)
{
        Lvm *l = self;
        struct storaged_error why = STORAGED_ERROR_INIT;
        PoolState p = { 0 };
        int r = vg_refresh(&l->state, &l->cmd, l->vg, &why);

        (void) err;
        if (r == 0)
                r = find_pool(l, &why);
        if (r == 0)
                r = pool_look(l->vg, l->pool, &p, &why);
        if (r == 0 && !p.is_active)
                r = error_set(&why, -ENODEV, "thin pool %s/%s is not active", l->vg, l->pool);
        if (r < 0) {
                (void) snprintf(ret->reason, sizeof(ret->reason), "%.250s", why.text);
                return 0;
        }
        ret->is_active = !p.is_failed;
        ret->total_bytes = p.bytes;
        ret->used_bytes = p.used_bytes;
        ret->avail_bytes = p.bytes - p.used_bytes;
        if (p.is_failed)
                (void) snprintf(ret->reason, sizeof(ret->reason),
                                "thin pool %s/%s failed; its metadata may need a repair (lvconvert --repair)", l->vg,
                                l->pool);
        else if (p.is_out_of_space)
                (void) snprintf(ret->reason, sizeof(ret->reason), "thin pool %s/%s is full", l->vg, l->pool);
        return 0;
}

/* --- health */

typedef struct Report {
        storaged_finding_fn fn;
        void *userdata;
        char summary[512];
} Report;

static int tell(Report *t, const char *code, const char *severity, const char *action)
{
        struct storaged_finding f = {
                .size = sizeof(f), .code = code, .severity = severity, .summary = t->summary, .action = action
        };

        return t->fn(t->userdata, &f);
}

static int tell_fill(const Lvm *l, Report *t, const char *what, const char *code, uint64_t used, uint64_t all)
{
        unsigned percent = all ? (unsigned) ((double) used * 100 / (double) all) : 0;

        if (percent < PERCENT_WARN)
                return 0;
        (void) snprintf(t->summary, sizeof(t->summary),
                        "the %s of thin pool %s/%s is %u %% full (%llu of %llu MiB); when it is full, every write of a "
                        "guest to a new block waits and then fails",
                        what, l->vg, l->pool, percent, (unsigned long long) (used / MIB),
                        (unsigned long long) (all / MIB));
        return tell(t, code, percent < PERCENT_ERROR ? "warning" : "error",
                    "extend the pool (lvextend; --poolmetadatasize for its metadata) or remove volumes and snapshots");
}

static int tell_promises(const Lvm *l, Report *t, const PoolState *p)
{
        uint64_t promised = 0;

        for (size_t i = 0; i < l->state.n_lvs; i++)
                if (strcmp(l->state.lvs[i].pool, l->pool) == 0)
                        promised += l->state.lvs[i].bytes;
        if (promised <= p->bytes)
                return 0;
        (void) snprintf(t->summary, sizeof(t->summary),
                        "the volumes and snapshots of thin pool %s/%s may take %llu MiB, it has %llu MiB", l->vg,
                        l->pool, (unsigned long long) (promised / MIB), (unsigned long long) (p->bytes / MIB));
        return tell(t, "POOL_OVERCOMMITTED", "info", "watch how full it gets");
}

static int thin_health(void *self, storaged_finding_fn fn, void *userdata, struct storaged_error *err)
{
        Lvm *l = self;
        Report t = { .fn = fn, .userdata = userdata };
        PoolState p = { 0 };
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = find_pool(l, err);
        if (r == 0)
                r = pool_look(l->vg, l->pool, &p, err);
        if (r != 0 || !p.is_active)
                return r;
        if (p.is_failed || p.is_out_of_space) {
                (void) snprintf(t.summary, sizeof(t.summary), "thin pool %s/%s %s", l->vg, l->pool,
                                p.is_failed ? "failed: its metadata can't be changed any more"
                                            : "is full: writes to new blocks wait and then fail");
                r = tell(&t, p.is_failed ? "POOL_FAILED" : "POOL_FULL", "error",
                         p.is_failed ? "stop its guests, lvconvert --repair, look at its disks"
                                     : "extend it (lvextend)");
        }
        if (r == 0)
                r = tell_fill(l, &t, "data area", "POOL_DATA_FULL", p.used_bytes, p.bytes);
        if (r == 0)
                r = tell_fill(l, &t, "metadata area", "POOL_METADATA_FULL", p.metadata_used_bytes, p.metadata_bytes);
        if (r == 0 && !p.is_zeroing) {
                (void) snprintf(t.summary, sizeof(t.summary),
                                "thin pool %s/%s gives out blocks as they are: a guest can read what another one left",
                                l->vg, l->pool);
                r = tell(&t, "POOL_NOT_ZEROING", "warning", "lvchange --zero y on the pool, with its volumes inactive");
        }
        return r == 0 ? tell_promises(l, &t, &p) : r;
}

/* --- what it is, as data */

static const struct storaged_property properties[] = {
        { .name = "thinpool", .flags = STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED },
        { .name = "vgname", .flags = STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED },
        { .name = "bwlimit" },
        { .name = "content" },
        { .name = "disable" },
        { .name = "nodes" },
        { 0 },
};

static const struct storaged_feature_row features[] = {
        { .format = "raw",
          .current = STORAGED_FEATURE_SNAPSHOT | STORAGED_FEATURE_TEMPLATE | STORAGED_FEATURE_COPY |
                     STORAGED_FEATURE_SPARSEINIT | STORAGED_FEATURE_RENAME | STORAGED_FEATURE_RESIZE,
          .snap = STORAGED_FEATURE_CLONE | STORAGED_FEATURE_COPY,
          .exports = "raw+size",
          .snapshot_method = "storage" },
        { .format = "raw",
          .is_base = true,
          .current = STORAGED_FEATURE_CLONE | STORAGED_FEATURE_COPY | STORAGED_FEATURE_SPARSEINIT,
          .snap = STORAGED_FEATURE_CLONE | STORAGED_FEATURE_COPY,
          .exports = "raw+size",
          .snapshot_method = "storage" },
        { 0 },
};

static struct storaged_plugin lvmthin_plugin = {
        .name = "lvmthin",
        .version = "1",
        .summary = "Thin volumes of an LVM thin pool",
        .naming = STORAGED_NAMING_LVMTHIN,
        .sharing = STORAGED_SHARED_NO,
        .contents = STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR,
        .default_contents = STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR,
        .formats = STORAGED_FORMAT_RAW,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = features,
        .scan_schema = &thin_scan_schema,

        .scan = thin_scan,
        .start = thin_start,
        .stop = thin_stop,
        .activate_storage = thin_activate_storage,
        .status = thin_status,
        .health = thin_health,
        .list = lvm_list,
        .stat = lvm_stat,
        .alloc = thin_alloc,
        .free = thin_free,
        .resize = thin_resize,
        .path = thin_path,
        .activate_volume = thin_activate_volume,
        .deactivate_volume = thin_deactivate_volume,
        .holders = lvm_holders,
        .snapshot = thin_snapshot,
        .rollback = thin_rollback,
        .delete_snapshot = thin_delete_snapshot,
        .list_snapshots = thin_list_snapshots,
        .clone = thin_clone,
        .template = thin_template,
        .rename = thin_rename,
        .export_stream = thin_export_stream,
        .import_stream = thin_import_stream,
        .actions = thin_actions,
        .act = thin_act,
};

STORAGED_REGISTER(lvmthin_plugin)
