/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: LVs snap_<volume>_<snapshot> of the pool, read-only, as Proxmox VE makes them, with the volume's name in a
 * tag besides (names with underscores can be read in two ways). Each stands for itself: any can be rolled back to, in
 * any order, and removed without touching the others.
 *
 * A rollback makes the volume anew from its snapshot, under new-<volume> and the tag of unfinished work, removes the
 * volume, takes the tag away and gives it the volume's name. So a crash leaves either the volume, or new-<volume>
 * alone, which thin_repair gives its name. A volume that has the tag is on its way out; its snapshots go before it, so
 * that none is left for a later volume of the same name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common-lvm/dm.h"
#include "common-lvm/unfinished.h"
#include "lvmthin/thin.h"

#define NEW_PREFIX "new-"
#define OF_TAG "storaged-snapshot-of/" /* + the volume's name */
#define TIME_TAG "storaged-snapshot/"  /* + milliseconds since the epoch */

int thin_snapshot_name(STORAGED_VOL, const char *snap, char ret[static LVM_NAME_MAX], struct storaged_error *err)
{
        int k = snprintf(ret, LVM_NAME_MAX, "snap_%s_%s", vol->name, snap);

        if (k < 0 || k >= LVM_NAME_MAX)
                return error_set_param(err, -ENAMETOOLONG, "snapshot",
                                       "the names of volume %s and snapshot %s are too long together", vol->name, snap);
        return 0;
}

/* *ret_snap: within lv->name. */
static bool is_snapshot_of(const Lvm *l, const VgLv *lv, const char *volume, const char **ret_snap)
{
        const char *of = strstr(lv->tags, OF_TAG);
        size_t n = strlen(volume);

        if (strncmp(lv->name, "snap_", 5) != 0 || strncmp(lv->name + 5, volume, n) != 0 || lv->name[5 + n] != '_' ||
            !lv->name[5 + n + 1] || strcmp(lv->pool, l->pool) != 0)
                return false;
        if (of &&
            (strncmp(of + strlen(OF_TAG), volume, n) != 0 || (of[strlen(OF_TAG) + n] && of[strlen(OF_TAG) + n] != ',')))
                return false;
        *ret_snap = lv->name + 5 + n + 1;
        return true;
}

const VgLv *thin_first_snapshot(Lvm *l, const char *volume, char ret_snap[static LVM_NAME_MAX])
{
        const char *snap;

        for (size_t i = 0; i < l->state.n_lvs; i++)
                if (is_snapshot_of(l, &l->state.lvs[i], volume, &snap)) {
                        (void) snprintf(ret_snap, LVM_NAME_MAX, "%s", snap);
                        return &l->state.lvs[i];
                }
        return NULL;
}

int thin_find(Lvm *l, STORAGED_VOL, const char *snap, const VgLv **ret, struct storaged_error *err)
{
        char name[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        const char *found;
        int r = lvm_find(l, vol->name, &lv, err);

        if (r == 0 && snap) {
                r = thin_snapshot_name(vol, snap, name, err);
                lv = r == 0 ? vg_find(&l->state, name) : NULL;
                if (r == 0 && (!lv || !is_snapshot_of(l, lv, vol->name, &found)))
                        r = error_set_param(err, -ENOENT, "snapshot", "volume %s:%s has no snapshot \"%s\"", l->storage,
                                            vol->name, snap);
        }
        if (r == 0)
                *ret = lv;
        return r;
}

static int begin(Lvm *l, STORAGED_VOL, const char *snap, const VgLv **ret, struct storaged_error *err)
{
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = thin_repair(l, err);
        return r == 0 ? thin_find(l, vol, snap, ret, err) : r;
}

/* --- operations */

int thin_snapshot(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        char name[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        struct timespec now;
        int r = begin(l, vol, NULL, &lv, err);

        if (r == 0)
                r = thin_snapshot_name(vol, snap, name, err);
        if (r < 0)
                return r;
        if (vg_find(&l->state, name))
                return error_set_param(err, -EEXIST, "snapshot", "volume %s:%s has a snapshot \"%s\" already",
                                       l->storage, vol->name, snap);
        r = lvm_before(l, "snapshot.before", err);
        if (r < 0)
                return r;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        r = lvm_cmd(&l->cmd, "make a snapshot", err,
                    "lvcreate -y -an -pr -s -n %s --addtag " OF_TAG "%s --addtag " TIME_TAG "%lld -ky %s/%s", name,
                    vol->name, (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000, l->vg, vol->name);
        vg_forget(&l->state);
        return r == 0 ? lvm_fault(l, "snapshot.made", err) : r;
}

/* new-<volume> becomes the volume, which is gone. `tag`: that of unfinished work, "" if it was taken away already. */
static int finish_rollback(Lvm *l, const char *name, const char *tag, struct storaged_error *err)
{
        int r = 0;

        if (tag[0])
                r = lvm_cmd(&l->cmd, "finish a rollback", err, "lvchange -y --deltag %s %s/%s", tag, l->vg, name);
        if (r == 0)
                r = lvm_fault(l, "rollback.untagged", err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "finish a rollback", err, "lvrename %s %s %s", l->vg, name,
                            name + strlen(NEW_PREFIX));
        vg_forget(&l->state);
        return r;
}

static int make_from(Lvm *l, STORAGED_VOL, const char *origin, const char *name, const char *tag,
                     struct storaged_error *err)
{
        int r = lvm_cmd(&l->cmd, "roll a volume back", err,
                        "lvcreate -y -an -ky -prw -s -n %s --addtag pve-vm-%u --addtag %s %s/%s", name, vol->vmid, tag,
                        l->vg, origin);

        vg_forget(&l->state);
        return r == 0 ? lvm_fault(l, "rollback.made", err) : r;
}

int thin_rollback(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        char name[LVM_NAME_MAX], tag[UNFINISHED_TAG_MAX];
        const VgLv *origin = NULL;
        DmDevice d = { 0 };
        int r = begin(l, vol, snap, &origin, err);

        if (r == 0 && snprintf(name, sizeof(name), NEW_PREFIX "%s", vol->name) >= (int) sizeof(name))
                r = error_set(err, -ENAMETOOLONG, "the name of volume %s is too long for a rollback", vol->name);
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        if (r == 0)
                r = dm_lookup(l->vg, vol->name, &d, err);
        if (r == 0)
                r = lvm_before(l, "rollback.before", err);
        if (r < 0)
                return r;
        unfinished_tag(l, tag);
        r = make_from(l, vol, origin->name, name, tag, err);
        if (r == 0)
                r = lvm_remove(l, vol->name, err);
        if (r < 0) {
                (void) lvm_remove(l, name, NULL); /* the first failure is the one to tell */
                return r;
        }
        r = lvm_fault(l, "rollback.removed", err);
        if (r == 0)
                r = finish_rollback(l, name, tag, err);
        if (r == 0 && d.exists) /* as it was before */
                r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        return r == 0 && d.exists ? lvm_activate(l, vol->name, STORAGED_ACTIVATION_EXCLUSIVE, err) : r;
}

int thin_delete_snapshot(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        const VgLv *lv = NULL;
        char name[LVM_NAME_MAX];
        int r = begin(l, vol, snap, &lv, err);

        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%s", lv->name);
        r = lvm_refuse_open(l, name, err);
        if (r == 0)
                r = lvm_before(l, "snapshot.remove", err);
        return r == 0 ? lvm_remove(l, name, err) : r;
}

int thin_remove_snapshots(Lvm *l, const char *volume, struct storaged_error *err)
{
        char snap[LVM_NAME_MAX], name[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        while (r == 0) {
                const VgLv *lv = thin_first_snapshot(l, volume, snap);

                if (!lv)
                        break;
                (void) snprintf(name, sizeof(name), "%s", lv->name);
                r = lvm_remove(l, name, err);
                if (r == 0)
                        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        }
        return r;
}

typedef struct Taken {
        const char *name;
        int64_t time_ms;
} Taken;

static int by_time(const void *a, const void *b)
{
        const Taken *x = a, *y = b;

        if (x->time_ms != y->time_ms)
                return x->time_ms < y->time_ms ? -1 : 1;
        return strcmp(x->name, y->name);
}

int thin_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(freep) Taken *all = NULL;
        const VgLv *lv = NULL;
        size_t n = 0;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r < 0)
                return r;
        all = calloc(l->state.n_lvs + 1, sizeof(*all));
        if (!all)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < l->state.n_lvs; i++) {
                const char *tag;

                if (!is_snapshot_of(l, &l->state.lvs[i], vol->name, &all[n].name))
                        continue;
                tag = strstr(l->state.lvs[i].tags, TIME_TAG);
                all[n++].time_ms =
                        tag ? strtoll(tag + strlen(TIME_TAG), NULL, 10) : l->state.lvs[i].ctime * 1000; /* others' */
        }
        qsort(all, n, sizeof(*all), by_time);
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct storaged_snapshot row = { .size = sizeof(row),
                                                 .name = all[i].name,
                                                 .ctime = all[i].time_ms / 1000 };

                r = fn(userdata, &row);
        }
        return r;
}

/* --- after a crash */

/* The volume's name if the LV is what a rollback made. */
static const char *rollback_of(Lvm *l, const char *name)
{
        struct storaged_volname vol = { .size = sizeof(vol) };

        if (strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) != 0 ||
            l->host->parse_volname(l->host->handle, name + strlen(NEW_PREFIX), &vol, NULL) < 0)
                return NULL;
        return name + strlen(NEW_PREFIX);
}

/* 1: there was something to do, and it was done. */
static int repair_one(Lvm *l, const VgLv *lv, struct storaged_error *err)
{
        bool is_left = unfinished_is_left(l, lv);
        char name[LVM_NAME_MAX], tag[UNFINISHED_TAG_MAX] = "";
        const char *volume;
        int r;

        if (strcmp(lv->pool, l->pool) != 0)
                return 0;
        (void) snprintf(name, sizeof(name), "%s", lv->name);
        volume = rollback_of(l, name);
        if (volume && !vg_find(&l->state, volume) && (is_left || !unfinished_is(lv))) {
                unfinished_tag_of(lv, tag);
                r = finish_rollback(l, name, tag, err);
                return r < 0 ? r : 1;
        }
        if (is_left) {
                r = volume ? 0 : thin_remove_snapshots(l, name, err);
                if (r == 0)
                        r = lvm_remove(l, name, err);
                return r < 0 ? r : 1;
        }
        if (strncmp(name, "base-", 5) == 0 && vg_has_tag(lv->tags, THIN_TEMPLATE_TAG)) {
                r = lvm_deactivate(l, name, err);
                if (r == 0)
                        r = thin_protect(l, name, err);
                return r < 0 ? r : 1;
        }
        return 0;
}

int thin_repair(Lvm *l, struct storaged_error *err)
{
        int r = 0;

        for (size_t i = 0; i < l->state.n_lvs; i++) {
                char name[LVM_NAME_MAX];

                (void) snprintf(name, sizeof(name), "%s", l->state.lvs[i].name);
                r = repair_one(l, &l->state.lvs[i], err);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                l->host->log(l->host->handle, STORAGED_LOG_INFO, "storage \"%s\": finished what was begun with %s/%s",
                             l->storage, l->vg, name);
                r = vg_refresh(&l->state, &l->cmd, l->vg, err);
                if (r < 0)
                        return r;
                i = (size_t) -1; /* the list was read anew */
        }
        return 0;
}
