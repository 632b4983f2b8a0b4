/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lvm storage: volumes are logical volumes of one volume group, on a LUN that all nodes see or on a local disk.
 *
 * The model: the VG's metadata is all the state there is. It is changed by LVM only (liblvm2cmd, in this process),
 * under lvmlockd's lock where the VG is shared and under the daemon's cluster lock in any case; what is active is known
 * from device-mapper (dm.c). The invariant: a name vm-… without the tag of an unfinished operation is a whole volume.
 *
 *   ../common-lvm  the group, the kernel's devices, what thick and thin volumes have in common
 *   volume.c, onoff.c, remove.c, chain.c, stream.c  the operations
 */
#include "lvm/lvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common-lvm/unfinished.h"
#include "lvm/actions.h"
#include "lvm/chain.h"
#include "lvm/lost.h"

#define MIB (UINT64_C(1) << 20)
#define STEP_DEFAULT_MIB 32
#define AUTOACTIVATION "VG_AUTOACTIVATION"
#define PERCENT_LEFT 10 /* of the metadata area, when health begins to warn */

/* --- configuration */

/* "10M", "1.5G", "10485760": bytes a second; 0 if it is none of these. */
static uint64_t parse_rate(const char *s)
{
        static const char units[] = "KMGT";
        char *end;
        double v = strtod(s, &end);
        const char *u = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;

        if (end == s || v <= 0 || (*end && (!u || (end[1] && strcmp(end + 1, "B") != 0))))
                return 0;
        for (const char *p = units; u && p <= u; p++)
                v *= 1024;
        return v >= 1 && v < 1e18 ? (uint64_t) v : 0;
}

static int lvm_check_config(const struct storaged_host *host, const struct storaged_config *config,
                            struct storaged_error *err)
{
        const char *rate = storaged_config_get(config, "saferemove_throughput");

        (void) host;
        if (rate && parse_rate(rate) == 0)
                return error_set_param(
                        err, -EINVAL, "saferemove_throughput",
                        "saferemove_throughput is a rate in bytes a second, such as 10M or 1.5G, not '%s'", rate);
        return 0;
}

/* --- lifecycle */

static int lvm_start(const struct storaged_host *host, const struct storaged_config *config, void **ret_self,
                     struct storaged_error *err)
{
        const char *rate = storaged_config_get(config, "saferemove_throughput");
        const char *step = storaged_config_get(config, "saferemove-stepsize");
        const char *base = storaged_config_get(config, "base");
        Lvm *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return error_set(err, -ENOMEM, "out of memory");
        l->is_tagged_only = storaged_config_get_bool(config, "tagged_only");
        l->has_chain = storaged_config_get_bool(config, "snapshot-as-volume-chain");
        l->is_shared = storaged_config_get_bool(config, "shared");
        l->is_saferemove = storaged_config_get_bool(config, "saferemove");
        l->saferemove_bps = rate ? parse_rate(rate) : 0;
        l->saferemove_step = (step ? strtoull(step, NULL, 10) : STEP_DEFAULT_MIB) * MIB;
        l->base = base ? strdup(base) : NULL;
        r = base && !l->base ? error_set(err, -ENOMEM, "out of memory") : lvm_start_common(host, config, l, err);
        if (r < 0) {
                lvm_stop_common(l);
                free(l);
                return r;
        }
        *ret_self = l;
        return 0;
}

static void lvm_stop(void *self)
{
        lvm_stop_common(self);
        free(self);
}

/* --- the storage */

static int lvm_activate_storage(void *self, struct storaged_error *err)
{
        Lvm *l = self;
        size_t n = 0;
        char why[STORAGED_ERROR_TEXT], told[512];
        int r = lvm_reach(l, err);

        if (r == 0 && l->base)
                r = lvm_check_base(l, l->base, err);
        if (r < 0 && err) {
                (void) snprintf(why, sizeof(why), "%s", err->text);
                lost_explain(l, why, told, sizeof(told));
                return error_set(err, r, "%s", told);
        }
        if (r == 0)
                r = unfinished_clean(l, &n, err);
        if (r == 0 && n > 0)
                r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        return r == 0 ? chain_repair(l, err) : r;
}

static int lvm_status(void *self, struct storaged_status *ret, struct storaged_error *err)
{
        Lvm *l = self;
        struct storaged_error why = STORAGED_ERROR_INIT;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, &why);

        (void) err;
        if (r < 0) {
                lost_explain(l, why.text, ret->reason, sizeof(ret->reason));
                return 0;
        }
        ret->is_active = l->state.n_missing == 0;
        ret->total_bytes = l->state.bytes;
        ret->avail_bytes = l->state.free;
        ret->used_bytes = l->state.bytes - l->state.free;
        if (l->state.n_missing > 0)
                (void) snprintf(ret->reason, sizeof(ret->reason),
                                "%llu of %zu devices of volume group %s are missing on this node",
                                (unsigned long long) l->state.n_missing, l->state.n_pvs, l->vg);
        else
                lost_tell(l, ret->reason, sizeof(ret->reason));
        return 0;
}

static int lvm_health(void *self, storaged_finding_fn fn, void *userdata, struct storaged_error *err)
{
        Lvm *l = self;
        char summary[512];
        struct storaged_finding f = { .size = sizeof(f), .summary = summary };
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0 && !vg_is_shared(&l->state)) {
                (void) snprintf(
                        summary, sizeof(summary),
                        "volume group %s is not shared: only storaged's leases keep two nodes from having a volume "
                        "active; commands of LVM itself are not held back",
                        l->vg);
                f.code = "VG_NOT_SHARED";
                f.severity = "info";
                f.action = "where several nodes see the LUN: pvesm vg convert, with all its volumes inactive";
                r = fn(userdata, &f);
        }
        if (r == 0)
                r = lost_find(l, fn, userdata);
        if (r == 0 && l->is_shared && l->state.is_autoactivated) {
                (void) snprintf(summary, sizeof(summary),
                                "volume group %s is switched on at boot of every node that sees it, its volumes with "
                                "it; what is "
                                "inside guests' disks is then looked at by the hosts",
                                l->vg);
                f.code = AUTOACTIVATION;
                f.severity = "warning";
                f.action = "pvesm repair switches that off; volumes are switched on where their guests run";
                f.is_repairable = true;
                r = fn(userdata, &f);
                f.is_repairable = false;
        }
        if (r == 0 && l->state.mda_size > 0 && l->state.mda_free < l->state.mda_size / PERCENT_LEFT) {
                (void) snprintf(summary, sizeof(summary),
                                "the metadata area of volume group %s is nearly full: %llu of %llu KiB free", l->vg,
                                (unsigned long long) (l->state.mda_free >> 10),
                                (unsigned long long) (l->state.mda_size >> 10));
                f.code = "VG_METADATA_FULL";
                f.severity = "warning";
                f.action = "remove volumes; make new volume groups with pvesm lun create-vg, which reserves more";
                r = fn(userdata, &f);
        }
        if (r == 0 && l->state.n_missing > 0) {
                (void) snprintf(summary, sizeof(summary),
                                "%llu of %zu devices of volume group %s are missing on this node",
                                (unsigned long long) l->state.n_missing, l->state.n_pvs, l->vg);
                f.code = "VG_PARTIAL";
                f.severity = "error";
                f.action = "look at its LUNs: pvesm lun list";
                r = fn(userdata, &f);
        }
        return r;
}

/* The one thing that is safe to change: nothing is active or not for it, but at the next boot. */
static int lvm_repair(void *self, const char *code, bool dry_run, storaged_finding_fn fn, void *userdata,
                      struct storaged_error *err)
{
        Lvm *l = self;
        char summary[256];
        struct storaged_finding f = {
                .size = sizeof(f), .code = AUTOACTIVATION, .severity = "info", .summary = summary
        };
        int r;

        if (code && strcmp(code, AUTOACTIVATION) != 0)
                return error_set_param(err, -EOPNOTSUPP, "code", "type lvm knows no repair for '%.64s'", code);
        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        if (r < 0 || !l->is_shared || !l->state.is_autoactivated)
                return r;
        if (!dry_run) {
                r = lvm_cmd(&l->cmd, "switch off autoactivation", err, "vgchange -y --setautoactivation n %s", l->vg);
                vg_forget(&l->state);
        }
        if (r < 0)
                return r;
        (void) snprintf(summary, sizeof(summary), "volume group %s %s switched on at boot any more", l->vg,
                        dry_run ? "would not be" : "is not");
        return fn(userdata, &f);
}

/* --- what it is, as data */

static const struct storaged_property properties[] = {
        { .name = "vgname", .flags = STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED },
        { .name = "base", .flags = STORAGED_PROPERTY_FIXED },
        { .name = "bwlimit" },
        { .name = "content" },
        { .name = "disable" },
        { .name = "nodes" },
        { .name = "saferemove" },
        { .name = "saferemove-stepsize" },
        { .name = "saferemove_throughput" },
        { .name = "shared" },
        { .name = "snapshot-as-volume-chain" },
        { .name = "tagged_only" },
        { 0 },
};

static const struct storaged_feature_row features[] = {
        { .format = "raw",
          .current = STORAGED_FEATURE_COPY | STORAGED_FEATURE_RENAME | STORAGED_FEATURE_RESIZE,
          .exports = "raw+size",
          .snapshot_method = "storage" },
        { .format = "qcow2",
          .current =
                  STORAGED_FEATURE_SNAPSHOT | STORAGED_FEATURE_COPY | STORAGED_FEATURE_RENAME | STORAGED_FEATURE_RESIZE,
          .snap = STORAGED_FEATURE_COPY,
          .exports = "raw+size",
          .snapshot_method = "mixed" },
        { 0 },
};

static struct storaged_plugin lvm_plugin = {
        .name = "lvm",
        .version = "1",
        .summary = "Logical volumes of a volume group, also on a shared LUN",
        .naming = STORAGED_NAMING_LVM,
        .sharing = STORAGED_SHARED_FLAG,
        .contents = STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ROOTDIR,
        .default_contents = STORAGED_CONTENT_IMAGES,
        .formats = STORAGED_FORMAT_RAW | STORAGED_FORMAT_QCOW2,
        .default_format = STORAGED_FORMAT_RAW,
        .properties = properties,
        .features = features,
        .scan_schema = &lvm_scan_schema,

        .check_config = lvm_check_config,
        .scan = lvm_scan,
        .start = lvm_start,
        .stop = lvm_stop,
        .activate_storage = lvm_activate_storage,
        .status = lvm_status,
        .health = lvm_health,
        .identify = lvm_identify,
        .repair = lvm_repair,
        .list = lvm_list,
        .list_stamp = lvm_list_stamp,
        .stat = lvm_stat,
        .alloc = lvm_alloc,
        .free = lvm_free,
        .resize = lvm_resize,
        .path = lvm_path,
        .activate_volume = lvm_activate_volume,
        .deactivate_volume = lvm_deactivate_volume,
        .holders = lvm_holders,
        .snapshot = lvm_snapshot,
        .rollback = lvm_rollback,
        .delete_snapshot = lvm_delete_snapshot,
        .list_snapshots = lvm_list_snapshots,
        .rename = lvm_rename,
        .export_stream = lvm_export_stream,
        .import_stream = lvm_import_stream,
        .actions = lvm_actions,
        .act = lvm_act,
};

STORAGED_REGISTER(lvm_plugin)
