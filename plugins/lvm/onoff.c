/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operations that switch a volume on and off: its LV and, as a chain, those of its snapshots. */
#include <errno.h>
#include <string.h>

#include "lvm/lost.h"
#include "lvm/lvm.h"

typedef struct ChainWalk {
        Lvm *l;
        uint32_t mode; /* 0: off */
        struct storaged_error *err;
} ChainWalk;

static int walk_link(void *userdata, const VgLv *lv, const char *snap)
{
        ChainWalk *w = userdata;
        char name[LVM_NAME_MAX];

        (void) snap;
        (void) snprintf(name, sizeof(name), "%s", lv->name);
        return w->mode ? lvm_activate(w->l, name, w->mode, w->err) : lvm_deactivate(w->l, name, w->err);
}

int lvm_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, struct storaged_error *err)
{
        Lvm *l = self;
        ChainWalk w = { l, mode, err };
        char name[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r < 0)
                return r;
        if (snap) {
                r = lvm_snapshot_name(vol, snap, name, err);
                return r < 0 ? r : lvm_activate(l, name, STORAGED_ACTIVATION_READ_ONLY, err);
        }
        r = lvm_activate(l, vol->name, mode, err);
        if (r == 0 && strcmp(vol->format, "qcow2") == 0)
                r = lvm_each_snapshot(l, vol, walk_link, &w);
        return r;
}

int lvm_deactivate_volume(void *self, STORAGED_VOL, const char *snap, struct storaged_error *err)
{
        Lvm *l = self;
        ChainWalk w = { l, 0, err };
        char name[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r < 0)
                return lost_deactivate(l, vol, snap, r, err);
        if (snap) {
                r = lvm_snapshot_name(vol, snap, name, err);
                return r < 0 ? r : lvm_deactivate(l, name, err);
        }
        r = lvm_deactivate(l, vol->name, err);
        if (r == 0 && strcmp(vol->format, "qcow2") == 0)
                r = lvm_each_snapshot(l, vol, walk_link, &w);
        return r;
}
