/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thin volumes as streams. What was never written takes no room after an import either. */
#include <errno.h>
#include <string.h>

#include "common-lvm/unfinished.h"
#include "lvmthin/thin.h"

int thin_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                       int fd, struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(stream_deinit) Stream s = { 0 };
        enum LvmHold hold = LVM_NOT_HELD;
        char name[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        uint64_t bytes;
        int r;

        if (strcmp(stream_format, "raw+size") != 0 || with_snapshots)
                return error_set_param(err, -EOPNOTSUPP, "format", "volume \"%s\" cannot be exported as %.32s%s",
                                       vol->volname, stream_format, with_snapshots ? " with snapshots" : "");
        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        if (r == 0)
                r = thin_find(l, vol, snap, &lv, err);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%s", lv->name);
        bytes = lv->bytes;
        r = stream_init(&s, &l->fs, fd, err);
        if (r == 0)
                r = lvm_hold(l, name, STORAGED_ACTIVATION_READ_ONLY, &hold, err);
        if (r == 0)
                r = lvm_export_raw(l, name, bytes, &s, err);
        lvm_let_go(l, name, hold);
        return r;
}

static int write_volume(Lvm *l, const char *name, uint64_t size, Stream *s, struct storaged_error *err)
{
        int r = lvm_fault(l, "import.created", err);

        if (r == 0)
                r = lvm_cmd(&l->cmd, "activate a new volume", err, "lvchange -y -ay -K %s/%s", l->vg, name);
        if (r == 0)
                r = lvm_import_raw(l, name, size, s, err);
        if (r == 0)
                r = lvm_fault(l, "import.written", err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "deactivate a new volume", err, "lvchange -y -an %s/%s", l->vg, name);
        return r == 0 ? unfinished_end(l, name, err) : r;
}

int thin_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                       char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        Lvm *l = self;
        AUTO(stream_deinit) Stream s = { 0 };
        PoolState pool = { 0 };
        char name[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = thin_repair(l, err);
        if (r == 0)
                r = pool_look(l->vg, l->pool, &pool, err);
        if (r == 0)
                r = lvm_import_begin(l, spec, vol, STORAGED_FORMAT_RAW, fd, &s, name, err);
        if (r < 0)
                return r;
        l->skips_zeroes = pool.is_zeroing;
        r = unfinished_make(l, name, vol->vmid, s.total, false, err);
        vg_forget(&l->state);
        if (r < 0)
                return r;
        r = write_volume(l, name, s.total, &s, err);
        if (r < 0) {
                (void) lvm_remove(l, name, NULL); /* the first failure is the one to tell */
                return r;
        }
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}
