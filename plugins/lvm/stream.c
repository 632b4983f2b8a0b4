/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes as streams. The LV is active here while it is read or written; where another node has it, LVM says so. An LV
 * is no sparse file: what was on its blocks before belongs to somebody else, so an import writes every byte, zeroes by
 * an order to the device rather than as data.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/export.h"
#include "common/import.h"
#include "common/nbd.h"
#include "common/qemu-img.h"
#include "common/stream-io.h"
#include "lvm/lvm.h"
#include "common-lvm/unfinished.h"

/* --- outwards */

typedef struct Holds {
        Lvm *l;
        struct storaged_error *err;
        char names[64][LVM_NAME_MAX];
        enum LvmHold holds[64];
        size_t n;
} Holds;

static int hold_link(void *userdata, const VgLv *lv, const char *snap)
{
        Holds *h = userdata;
        int r;

        (void) snap;
        if (h->n == sizeof(h->holds) / sizeof(h->holds[0]))
                return error_set(h->err, -E2BIG, "too many snapshots");
        (void) snprintf(h->names[h->n], LVM_NAME_MAX, "%s", lv->name);
        r = lvm_hold(h->l, h->names[h->n], STORAGED_ACTIVATION_SHARED, &h->holds[h->n], h->err);
        if (r == 0)
                h->n++;
        return r;
}

static void holds_free(Holds *h)
{
        while (h && h->n > 0) {
                h->n--;
                lvm_let_go(h->l, h->names[h->n], h->holds[h->n]);
        }
        free(h);
}
DEFINE_CLEANUP(Holds *, holds_free)

int lvm_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                      int fd, struct storaged_error *err)
{
        Lvm *l = self;
        bool is_qcow2 = strcmp(vol->format, "qcow2") == 0;
        AUTO(stream_deinit) Stream s = { 0 };
        AUTO(holds_freep) Holds *h = calloc(1, sizeof(*h));
        char name[LVM_NAME_MAX];
        const VgLv *lv = NULL;
        int r;

        if (strcmp(stream_format, "raw+size") != 0 || with_snapshots)
                return error_set_param(err, -EOPNOTSUPP, "format", "volume \"%s\" cannot be exported as %.32s%s",
                                       vol->volname, stream_format, with_snapshots ? " with snapshots" : "");
        if (!h)
                return error_set(err, -ENOMEM, "out of memory");
        *h = (Holds){ .l = l, .err = err };
        (void) snprintf(name, sizeof(name), "%.127s", vol->name);
        r = vg_refresh(&l->state, &l->cmd, l->vg, err);
        if (r == 0)
                r = lvm_find(l, vol->name, &lv, err);
        if (r == 0 && snap)
                r = lvm_snapshot_name(vol, snap, name, err);
        if (r == 0)
                r = lvm_find(l, name, &lv, err);
        if (r == 0)
                r = hold_link(h, lv, NULL);
        if (r == 0 && is_qcow2)
                r = lvm_each_snapshot(l, vol, hold_link, h);
        if (r == 0)
                r = stream_init(&s, &l->fs, fd, err);
        if (r < 0)
                return r;
        return is_qcow2 ? export_guest_view(&l->fs, name, "qcow2", NULL, &s, err)
                        : lvm_export_raw(l, name, lv->bytes, &s, err);
}

/* --- inwards */

static int import_qcow2(Lvm *l, const char *name, uint64_t size, Stream *s, struct storaged_error *err)
{
        AUTO(nbd_image_close) NbdImage image = { 0 };
        char path[TREE_PATH_MAX], bytes[32];
        int r;

        (void) snprintf(path, sizeof(path), "/dev/%s/%s", l->vg, name);
        (void) snprintf(bytes, sizeof(bytes), "%" PRIu64, (uint64_t) (size + 511) / 512 * 512);
        r = qemu_img_run(&l->fs,
                         (const char *const[]){ "qemu-img", "create", "-q", "-f", "qcow2", "-o",
                                                "cluster_size=128k,extended_l2=on", path, bytes, NULL },
                         "make", name, err);
        if (r == 0)
                r = nbd_image_open(&l->fs, name, "qcow2", NULL, true, &image, err);
        return r < 0 ? r : import_guest_view(s, &image, size, err);
}

int lvm_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                      char ret_volname[static STORAGED_VOLNAME_MAX], struct storaged_error *err)
{
        Lvm *l = self;
        uint32_t format = strcmp(vol->format, "qcow2") == 0 ? STORAGED_FORMAT_QCOW2 : STORAGED_FORMAT_RAW;
        bool is_qcow2 = format == STORAGED_FORMAT_QCOW2;
        AUTO(stream_deinit) Stream s = { 0 };
        char name[LVM_NAME_MAX];
        int r = lvm_import_begin(l, spec, vol, format, fd, &s, name, err);

        if (r < 0)
                return r;
        r = unfinished_make(l, name, vol->vmid, s.total, is_qcow2, err);
        vg_forget(&l->state);
        if (r < 0)
                return r;
        r = lvm_fault(l, "import.created", err);
        if (r == 0)
                r = is_qcow2 ? import_qcow2(l, name, s.total, &s, err) : lvm_import_raw(l, name, s.total, &s, err);
        if (r == 0)
                r = lvm_fault(l, "import.written", err);
        if (r == 0)
                r = lvm_cmd(&l->cmd, "deactivate a new volume", err, "lvchange -y -an %s/%s", l->vg, name);
        if (r == 0)
                r = unfinished_end(l, name, err);
        if (r < 0) {
                (void) lvm_remove(l, name, NULL); /* the first failure is the one to tell */
                return r;
        }
        (void) snprintf(ret_volname, STORAGED_VOLNAME_MAX, "%s", name);
        return 0;
}
