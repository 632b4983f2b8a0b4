/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the lvm plugin share: one volume group, seen through liblvm2cmd and device-mapper. */
#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#include "common/filestore.h"
#include "lvm/cmd.h"
#include "lvm/vg.h"

#define LVM_SIZE_TAG "storaged-size/" /* + the bytes of the qcow2 image in the LV */
#define LVM_NAME_MAX 128              /* of a VG or LV, with its NUL */

typedef struct Lvm {
        FileStore fs; /* only for streams and qemu-img: its root is /dev/VG */
        const struct storaged_host *host;
        char *storage, *vg;
        bool is_tagged_only; /* tagged_only: what has no tag pve-vm-VMID is not listed */
        bool has_chain;      /* snapshot-as-volume-chain */
        bool is_saferemove;
        bool is_shared;           /* the storage: other nodes see the VG, too */
        uint64_t saferemove_bps;  /* 0: as fast as it goes */
        uint64_t saferemove_step; /* bytes */
        LvmCmd cmd;
        Vg state; /* what the VG was at the last look */
} Lvm;

/* --- lifecycle, lvm.c */
int lvm_start_common(const struct storaged_host *host, const struct storaged_config *config, Lvm *l, STORAGED_ERR);
void lvm_stop_common(Lvm *l);
/* The VG exists and its locks are started on this node. */
int lvm_reach(Lvm *l, STORAGED_ERR);
/* The fault point lvm.point. */
int lvm_fault(Lvm *l, const char *point, STORAGED_ERR);

/*
 * The fault point, and the question whether the cluster lock of this call still is this node's: before LVM commits.
 * LVM's own lock guards shared groups in any case.
 */
int lvm_before(Lvm *l, const char *point, STORAGED_ERR);

/* --- one LV */
/* -ENOENT with the sentence about the volume. */
int lvm_find(Lvm *l, const char *name, const VgLv **ret, STORAGED_ERR);
int lvm_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR);

/* --- volume.c */
int lvm_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
             STORAGED_ERR);
int lvm_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR);
int lvm_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
              STORAGED_ERR);
int lvm_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
int lvm_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name, char ret_volname[static STORAGED_VOLNAME_MAX],
               STORAGED_ERR);
/* The name the caller wants, or the next free vm-<vmid>-disk-<n>. */
int lvm_new_name(Lvm *l, uint32_t vmid, uint32_t format, const char *wanted, char ret[static LVM_NAME_MAX],
                 STORAGED_ERR);
/* An LV of at least that size, wiped of signatures; active here (exclusively) afterwards. */
int lvm_make(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, STORAGED_ERR);
/* The same with further options of lvcreate. */
int lvm_create(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, STORAGED_ERR, const char *fmt, ...)
        __attribute__((format(printf, 6, 7)));
/* Bytes of an LV that takes a full qcow2 image of that virtual size. */
uint64_t lvm_qcow2_bytes(uint64_t bytes);
/* The header of a qcow2 image on an active LV; the image must keep its data on itself and its chain only. */
int lvm_qcow2_size(Lvm *l, const char *name, uint64_t *ret, STORAGED_ERR);

/* --- remove.c */
int lvm_free(void *self, STORAGED_VOL, STORAGED_ERR);
int lvm_remove(Lvm *l, const char *name, STORAGED_ERR);

/* --- activate.c */
enum LvmHold { LVM_NOT_HELD = 0, LVM_HELD_BEFORE, LVM_HELD_NOW };

int lvm_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
int lvm_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int lvm_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR);
int lvm_activate(Lvm *l, const char *name, uint32_t mode, STORAGED_ERR);
int lvm_deactivate(Lvm *l, const char *name, STORAGED_ERR);
/* Active here for the time of an operation; *ret says whether lvm_let_go has to undo it. */
int lvm_hold(Lvm *l, const char *name, uint32_t mode, enum LvmHold *ret, STORAGED_ERR);
void lvm_let_go(Lvm *l, const char *name, enum LvmHold hold);
/* A device of that name on this node that is not that LV (any more) is removed; -EBUSY if somebody has it open. */
int lvm_forget(Lvm *l, const char *name, STORAGED_ERR);
/* Waits out and refuses: somebody on this node has the volume open. */
int lvm_refuse_open(Lvm *l, const char *name, STORAGED_ERR);

/* --- chain.c: snapshots of qcow2 volumes */
int lvm_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int lvm_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int lvm_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int lvm_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR);
/* snap_<volume>_<snapshot>.qcow2 */
int lvm_snapshot_name(STORAGED_VOL, const char *snap, char ret[static LVM_NAME_MAX], STORAGED_ERR);
/* Calls fn for the LV of each snapshot of the volume. */
typedef int (*LvmChainFn)(void *userdata, const VgLv *lv, const char *snap);
int lvm_each_snapshot(Lvm *l, STORAGED_VOL, LvmChainFn fn, void *userdata);

/* --- stream.c */
int lvm_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                      int fd, STORAGED_ERR);
int lvm_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                      char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);

/* --- scan.c */
int lvm_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn, void *userdata,
             STORAGED_ERR);
extern const struct storaged_scan lvm_scan_schema;
