/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes of a VG: listed, made, resized, renamed. An LV that is not yet a volume (a qcow2 image without its header, an
 * import under way) has a tag that says whose work it is; it is never listed, and the next activation of the
 * storage removes what dead processes of this node left. A raw volume is complete from the moment LVM commits it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/image.h"
#include "common/qemu-img.h"
#include "common-lvm/dm.h"
#include "lvm/lvm.h"
#include "common-lvm/unfinished.h"

int lvm_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, struct storaged_error *err)
{
        const Lvm *l = self;
        char lv[LVM_NAME_MAX];
        int r = snap ? lvm_snapshot_name(vol, snap, lv, err) : 0;

        return r < 0 ? r : lvm_device_path(l, snap ? lv : vol->name, ret, ret_size, err);
}

/* --- making */

static int pread_lv(void *userdata, void *buf, size_t n, uint64_t offset)
{
        ssize_t k = pread(*(int *) userdata, buf, n, (off_t) offset);

        return k < 0 ? -errno : (int) k;
}

static ssize_t read_header(void *userdata, void *buf, size_t n, uint64_t offset)
{
        return pread_lv(userdata, buf, n, offset);
}

int lvm_qcow2_size(Lvm *l, const char *name, uint64_t *ret, struct storaged_error *err)
{
        AUTO(closep) int fd = -EBADF;
        char path[TREE_PATH_MAX];
        ImageInfo info;
        int r;

        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, name);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
        r = image_qcow2_read(read_header, &fd, &info);
        if (r < 0)
                return error_set(err, -EIO, "volume %s:%s holds no sound qcow2 image: %s", l->storage, name,
                                 strerror(-r));
        *ret = info.bytes;
        return 0;
}

static int make_qcow2(Lvm *l, const char *name, uint64_t bytes, struct storaged_error *err)
{
        char path[TREE_PATH_MAX], size[32];

        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, name);
        (void) snprintf(size, sizeof(size), "%llu", (unsigned long long) bytes);
        return qemu_img_run(&l->fs,
                            (const char *const[]){ "qemu-img", "create", "-q", "-f", "qcow2", "-o",
                                                   "cluster_size=128k,extended_l2=on,preallocation=off", path, size,
                                                   NULL },
                            "make", name, err);
}

int lvm_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
              struct storaged_error *err)
{
        Lvm *l = self;
        bool is_qcow2 = spec->format == STORAGED_FORMAT_QCOW2;
        struct storaged_error ignored = STORAGED_ERROR_INIT;
        char name[LVM_NAME_MAX];
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_new_name(l, spec->vmid, spec->format, spec->name, name, err);
        if (r == 0)
                r = lvm_before(l, "alloc.before", err);
        if (r < 0)
                return r;
        r = is_qcow2 ? unfinished_make(l, name, spec->vmid, spec->bytes, true, err)
                     : lvm_make(l, name, spec->vmid, spec->bytes, err);
        vg_forget(&l->state);
        if (r < 0)
                return r;
        r = lvm_fault(l, "alloc.created", err);
        if (r == 0 && is_qcow2)
                r = make_qcow2(l, name, spec->bytes, err);
        if (r == 0 && is_qcow2)
                r = unfinished_end(l, name, err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "deactivate a new volume", err, "lvchange -y -an %s/%s", l->vg, name);
        if (r < 0) {
                (void) lvm_remove(l, name, &ignored); /* the first failure is the one to tell */
                return r;
        }
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}

/* --- resize and rename */

static int resize_qcow2(Lvm *l, const char *name, uint64_t bytes, struct storaged_error *err)
{
        enum LvmHold hold = LVM_NOT_HELD;
        char path[TREE_PATH_MAX], size[32];
        DmDevice d;
        int r = dm_lookup(l->vg, name, &d, err);

        if (r < 0)
                return r;
        if (d.exists && d.n_open > 0) /* a running guest: its QEMU makes the image larger (block_resize) */
                return 0;
        r = lvm_hold(l, name, STORAGED_ACTIVATION_EXCLUSIVE, &hold, err);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, name);
        (void) snprintf(size, sizeof(size), "%llu", (unsigned long long) bytes);
        r = qemu_img_run(&l->fs, (const char *const[]){ "qemu-img", "resize", "-q", "-f", "qcow2", path, size, NULL },
                         "resize", name, err);
        lvm_let_go(l, name, hold);
        return r;
}

/* The noted size, in one commit. Without a note the listing says the LV's size, so a failure is no failure. */
static void note_size(Lvm *l, const VgLv *lv, const char *name, uint64_t bytes)
{
        const char *tag = strstr(lv->tags, LVM_SIZE_TAG);

        if (tag)
                (void) lvm_cmd(&l->cmd, "note a size", NULL,
                               "lvchange -y --deltag %.*s --addtag " LVM_SIZE_TAG "%llu %s/%s", (int) strcspn(tag, ","),
                               tag, (unsigned long long) bytes, l->vg, name);
}

static int check_size(Lvm *l, const VgLv *lv, bool is_qcow2, uint64_t bytes, struct storaged_error *err)
{
        uint64_t now = lv->bytes;
        enum LvmHold hold = LVM_NOT_HELD;
        char name[LVM_NAME_MAX];
        int r;

        if (is_qcow2) {
                (void) snprintf(name, sizeof(name), "%s", lv->name);
                r = lvm_hold(l, name, STORAGED_ACTIVATION_EXCLUSIVE, &hold, err);
                if (r == 0)
                        r = lvm_qcow2_size(l, name, &now, err);
                lvm_let_go(l, name, hold);
                if (r < 0)
                        return r;
        }
        /* LVM rounds up to extents: asking again for the size that was asked for is no shrinking. */
        if (bytes < now && (is_qcow2 || (bytes + l->state.extent - 1) / l->state.extent * l->state.extent < now))
                return error_set_param(
                        err, -EINVAL, "size",
                        "volume %s:%s has %llu bytes, %llu would be less; shrinking cuts off the guest's data "
                        "and is not done",
                        l->storage, lv->name, (unsigned long long) now, (unsigned long long) bytes);
        return 0;
}

int lvm_resize(void *self, STORAGED_VOL, uint64_t bytes, struct storaged_error *err)
{
        Lvm *l = self;
        bool is_qcow2 = strcmp(vol->format, "qcow2") == 0;
        uint64_t lv_bytes = is_qcow2 ? lvm_qcow2_bytes(bytes) : bytes;
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0)
                r = lvm_forget(l, vol->name, err);
        if (r == 0)
                r = check_size(l, lv, is_qcow2, bytes, err);
        if (r == 0)
                r = lvm_before(l, "resize.before", err);
        if (r == 0 && lv->bytes < lv_bytes) {
                r = lvm_cmd(&l->cmd, "extend a volume", err, "lvextend -y -L %llub %s/%s",
                            (unsigned long long) lv_bytes, l->vg, vol->name);
                vg_forget(&l->state);
        }
        if (r == 0 && is_qcow2)
                note_size(l, lv, vol->name, bytes);
        if (r == 0)
                r = lvm_fault(l, "resize.extended", err);
        return r == 0 && is_qcow2 ? resize_qcow2(l, vol->name, bytes, err) : r;
}

static int refuse_chain(void *userdata, const VgLv *lv, const char *snap)
{
        (void) lv;
        *(const char **) userdata = snap;
        return 1;
}

int lvm_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name, char ret_volname[static STORAGED_VOLNAME_MAX],
               struct storaged_error *err)
{
        Lvm *l = self;
        uint32_t format = strcmp(vol->format, "qcow2") == 0 ? STORAGED_FORMAT_QCOW2 : STORAGED_FORMAT_RAW;
        char to[LVM_NAME_MAX];
        const char *snap = NULL;
        const VgLv *lv = NULL;
        int r = vg_refresh(&l->state, &l->cmd, l->vg, err);

        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0)
                r = lvm_new_name(l, vmid, format, name, to, err);
        if (r == 0)
                r = lvm_refuse_open(l, vol->name, err);
        if (r < 0)
                return r;
        if (lvm_each_snapshot(l, vol, refuse_chain, &snap) > 0)
                return error_set(err, -EBUSY, "volume %s:%s has snapshots that go by its name; delete them first",
                                 l->storage, vol->name);
        r = lvm_forget(l, to, err);
        if (r == 0)
                r = lvm_move(l, vol, vmid, to, err);
        if (r < 0)
                return r;
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", to);
        return 0;
}
