/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Templates and clones. A clone shares the blocks of its origin and needs nothing of it afterwards; which template it
 * came from stands in LVM's metadata, not in its name. A template becomes read-only after its rename; a tag says until
 * then that this is still to be done, and thin_repair does it after a crash.
 */
#include <errno.h>
#include <string.h>

#include "common-lvm/unfinished.h"
#include "lvmthin/thin.h"

int thin_refuse_clones(Lvm *l, STORAGED_VOL, struct storaged_error *err)
{
        if (!vol->is_base)
                return 0;
        for (size_t i = 0; i < l->state.n_lvs; i++) {
                const VgLv *lv = &l->state.lvs[i];

                if (strncmp(lv->name, "vm-", 3) == 0 && strcmp(lv->origin, vol->name) == 0 && !unfinished_is(lv))
                        return error_set(err, -EBUSY, "template %s:%s has clone %s; free its clones first", l->storage,
                                         vol->name, lv->name);
        }
        return 0;
}

int thin_clone(void *self, STORAGED_VOL, const char *snap, uint32_t vmid, char ret_volname[static STORAGED_VOLNAME_MAX],
               struct storaged_error *err)
{
        Lvm *l = self;
        char name[LVM_NAME_MAX];
        const VgLv *origin = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = thin_repair(l, err);
        if (r == 0)
                r = thin_find(l, vol, snap, &origin, err);
        if (r == 0 && !snap && !vol->is_base)
                r = error_set(err, -EOPNOTSUPP,
                              "volume %s:%s is no template: its guest may write to it; make a snapshot and clone that",
                              l->storage, vol->name);
        if (r == 0)
                r = lvm_new_name(l, vmid, STORAGED_FORMAT_RAW, NULL, name, err);
        if (r == 0)
                r = lvm_forget(l, name, err);
        if (r == 0)
                r = lvm_before(l, "clone.before", err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "clone a volume", err,
                            "lvcreate -y -an -ky -prw -s -n %s --addtag pve-vm-%u %s/%s", name, vmid, l->vg,
                            origin->name);
        vg_forget(&l->state);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}

int thin_protect(Lvm *l, const char *name, struct storaged_error *err)
{
        int r = lvm_cmd(&l->cmd, "protect a template", err, "lvchange -y -pr %s/%s", l->vg, name);

        if (r == 0)
                r = lvm_cmd(&l->cmd, "finish a template", err, "lvchange -y --deltag " THIN_TEMPLATE_TAG " %s/%s",
                            l->vg, name);
        vg_forget(&l->state);
        return r;
}

int thin_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        Lvm *l = self;
        char name[LVM_NAME_MAX], snap[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = thin_repair(l, err);
        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0 && vol->is_base) {
                (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", vol->name);
                return 0;
        }
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        if (r < 0)
                return r;
        if (thin_first_snapshot(l, vol->name, snap))
                return error_set(err, -EBUSY, "volume %s:%s has snapshot \"%s\"; a template has none, delete it first",
                                 l->storage, vol->name, snap);
        if (snprintf(name, sizeof(name), "base-%s", vol->name + strlen("vm-")) >= (int) sizeof(name))
                return error_set(err, -ENAMETOOLONG, "the name of volume %s is too long for a template", vol->name);
        if (vg_find(&l->state, name))
                return error_set(err, -EEXIST, "volume %s:%s cannot become a template: %s exists already", l->storage,
                                 vol->name, name);
        r = lvm_before(l, "template.before", err);
        if (r == 0)
                r = lvm_deactivate(l, vol->name, err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "begin a template", err, "lvchange -y --addtag " THIN_TEMPLATE_TAG " %s/%s", l->vg,
                            vol->name);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "name a template", err, "lvrename %s %s %s", l->vg, vol->name, name);
        vg_forget(&l->state);
        if (r == 0)
                r = lvm_fault(l, "template.renamed", err);
        if (r == 0)
                r = thin_protect(l, name, err);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}
