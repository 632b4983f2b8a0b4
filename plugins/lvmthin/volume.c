/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thin volumes: made, resized, renamed, removed, switched on and off. Making and removing is one commit of LVM's; a
 * removal that takes several (the volume has snapshots) begins with the tag that makes it no volume any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common-lvm/dm.h"
#include "common-lvm/unfinished.h"
#include "lvmthin/thin.h"

int thin_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, struct storaged_error *err)
{
        const Lvm *l = self;
        char lv[LVM_NAME_MAX];
        int r = snap ? thin_snapshot_name(vol, snap, lv, err) : 0;

        return r < 0 ? r : lvm_device_path(l, snap ? lv : vol->name, ret, ret_size, err);
}

/* What a change begins with: the group as it is, what crashes left finished, the volume found. */
static int begin(Lvm *l, STORAGED_VOL, const VgLv **ret, struct storaged_error *err)
{
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = thin_repair(l, err);
        return r == 0 && vol ? lvm_find(l, vol->name, ret, err) : r;
}

int thin_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
               struct storaged_error *err)
{
        Lvm *l = self;
        char name[LVM_NAME_MAX];
        int r = begin(l, NULL, NULL, err);

        if (r == 0)
                r = lvm_new_name(l, spec->vmid, spec->format, spec->name, name, err);
        if (r == 0)
                r = lvm_before(l, "alloc.before", err);
        if (r < 0)
                return r;
        r = lvm_make(l, name, spec->vmid, spec->bytes, err);
        vg_forget(&l->state);
        if (r == 0)
                r = lvm_fault(l, "alloc.created", err);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}

int thin_resize(void *self, STORAGED_VOL, uint64_t bytes, struct storaged_error *err)
{
        Lvm *l = self;
        const VgLv *lv = NULL;
        int r = begin(l, vol, &lv, err);

        if (r < 0)
                return r;
        /* LVM rounds up to extents: asking again for the size that was asked for is no shrinking. */
        if ((bytes + l->state.extent - 1) / l->state.extent * l->state.extent < lv->bytes)
                return error_set_param(
                        err, -EINVAL, "size",
                        "volume %s:%s has %llu bytes, %llu would be less; shrinking cuts off the guest's data "
                        "and is not done",
                        l->storage, lv->name, (unsigned long long) lv->bytes, (unsigned long long) bytes);
        r = lvm_before(l, "resize.before", err);
        if (r == 0 && lv->bytes < bytes) {
                r = lvm_cmd(&l->cmd, "extend a volume", err, "lvextend -y -L %llub %s/%s", (unsigned long long) bytes,
                            l->vg, vol->name);
                vg_forget(&l->state);
        }
        return r == 0 ? lvm_fault(l, "resize.extended", err) : r;
}

int thin_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        Lvm *l = self;
        char to[LVM_NAME_MAX], snap[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        int r = begin(l, vol, &lv, err);

        if (r == 0)
                r = lvm_new_name(l, vmid, STORAGED_FORMAT_RAW, name, to, err);
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        if (r < 0)
                return r;
        if (thin_first_snapshot(l, vol->name, snap))
                return error_set(err, -EBUSY,
                                 "volume %s:%s has snapshot \"%s\", which goes by its name; delete it first",
                                 l->storage, vol->name, snap);
        r = lvm_move(l, vol, vmid, to, err);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", to);
        return 0;
}

int thin_free(void *self, STORAGED_VOL, struct storaged_error *err)
{
        Lvm *l = self;
        char snap[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        int r = begin(l, vol, &lv, err);

        if (r == 0)
                r = thin_refuse_clones(l, vol, err);
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        if (r == 0)
                r = lvm_before(l, "free.before", err);
        if (r == 0 && thin_first_snapshot(l, vol->name, snap)) {
                r = unfinished_begin(l, vol->name, err);
                if (r == 0)
                        r = lvm_fault(l, "free.tagged", err);
                if (r == 0)
                        r = thin_remove_snapshots(l, vol->name, err);
        }
        if (r == 0)
                r = lvm_remove(l, vol->name, err);
        return r == 0 ? lvm_fault(l, "free.removed", err) : r;
}

/* --- on and off */

int thin_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, struct storaged_error *err)
{
        Lvm *l = self;
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = thin_find(l, vol, snap, &lv, err);
        return r == 0 ? lvm_activate(l, lv->name, snap ? (uint32_t) STORAGED_ACTIVATION_READ_ONLY : mode, err) : r;
}

int thin_deactivate_volume(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        char name[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        (void) snprintf(name, sizeof(name), "%.127s", vol->name);
        if (r == 0 && snap)
                r = thin_snapshot_name(vol, snap, name, err);
        return r == 0 ? lvm_deactivate(l, name, err) : r;
}
