/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the storages on volume groups share: one group, seen through liblvm2cmd and device-mapper. */
#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#include "common-lvm/cmd.h"
#include "common-lvm/dm.h"
#include "common-lvm/vg.h"
#include "common/filestore.h"
#include "common/stream-io.h"

#define LVM_SIZE_TAG "storaged-size/" /* + the bytes of the qcow2 image in the LV */
#define LVM_NAME_MAX 128              /* of a VG or LV, with its NUL */

typedef struct Lvm Lvm;
struct Lvm {
        FileStore fs; /* only for streams and qemu-img: its root is /dev/VG */
        const struct storaged_host *host;
        char *storage, *vg;
        char *base;                                  /* STORAGE:WWID of the LUN the group is to be on; or NULL */
        char *pool;                                  /* of thin volumes; NULL: they are thick */
        bool skips_zeroes;                           /* an import leaves out what reads as zeroes anyway */
        uint64_t (*used_by)(Lvm *l, const VgLv *lv); /* NULL: as LVM's report says */
        bool is_tagged_only;                         /* tagged_only: what has no tag pve-vm-VMID is not listed */
        bool has_chain;                              /* snapshot-as-volume-chain */
        bool is_saferemove;
        bool is_shared;           /* the storage: other nodes see the VG, too */
        uint64_t saferemove_bps;  /* 0: as fast as it goes */
        uint64_t saferemove_step; /* bytes */
        LvmCmd cmd;
        Vg state; /* what the VG was at the last look */
};

/* --- lifecycle, store.c */
int lvm_start_common(const struct storaged_host *host, const struct storaged_config *config, Lvm *l, STORAGED_ERR);
void lvm_stop_common(Lvm *l);
/* The VG exists and its locks are started on this node. */
int lvm_reach(Lvm *l, STORAGED_ERR);
/* The VG's UUID. */
int lvm_identify(void *self, const struct storaged_identify_spec *spec, struct storaged_identity *ret, STORAGED_ERR);

/* --- volume.c */
/* The fault point TYPE.point. */
int lvm_fault(Lvm *l, const char *point, STORAGED_ERR);
/*
 * The fault point, and the question whether the cluster lock of this call still is this node's: before LVM commits.
 * LVM's own lock guards shared groups in any case.
 */
int lvm_before(Lvm *l, const char *point, STORAGED_ERR);
/* Whether the LV is of this kind of storage: thick, or thin of its pool. All others are left alone. */
bool lvm_is_ours(const Lvm *l, const VgLv *lv);
/* -ENOENT with the sentence about the volume. */
int lvm_find(Lvm *l, const char *name, const VgLv **ret, STORAGED_ERR);
int lvm_list_stamp(void *self, uint64_t *ret, STORAGED_ERR);
int lvm_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
             STORAGED_ERR);
int lvm_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR);
/* The name the caller wants, or the next free vm-<vmid>-disk-<n>. */
int lvm_new_name(Lvm *l, uint32_t vmid, uint32_t format, const char *wanted, char ret[static LVM_NAME_MAX],
                 STORAGED_ERR);
/*
 * An LV of at least that size. A thick one is wiped of signatures and active here (exclusively) afterwards; a thin one
 * has nothing on it and is not active.
 */
int lvm_make(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, STORAGED_ERR);
/* The same with further options of lvcreate. */
int lvm_create(Lvm *l, const char *name, uint32_t vmid, uint64_t bytes, STORAGED_ERR, const char *fmt, ...)
        __attribute__((format(printf, 6, 7)));
/* Bytes of an LV that takes a full qcow2 image of that virtual size. */
uint64_t lvm_qcow2_bytes(uint64_t bytes);
int lvm_remove(Lvm *l, const char *name, STORAGED_ERR);
/* Another name, with the tag of its guest: the new one first, so that the volume is never without. */
int lvm_move(Lvm *l, STORAGED_VOL, uint32_t vmid, const char *to, STORAGED_ERR);

/* /dev/VG/LV, active or not. */
int lvm_device_path(const Lvm *l, const char *lv, char *ret, size_t ret_size, STORAGED_ERR);

/* --- activate.c */
enum LvmHold { LVM_NOT_HELD = 0, LVM_HELD_BEFORE, LVM_HELD_NOW };

int lvm_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR);
int lvm_activate(Lvm *l, const char *name, uint32_t mode, STORAGED_ERR);
int lvm_deactivate(Lvm *l, const char *name, STORAGED_ERR);
/* The device of a volume that was cut off from its storage goes, without LVM; -EBUSY with who has it open. */
int lvm_remove_lost(Lvm *l, const char *name, const DmDevice *d, STORAGED_ERR);
/* Active here for the time of an operation; *ret says whether lvm_let_go has to undo it. */
int lvm_hold(Lvm *l, const char *name, uint32_t mode, enum LvmHold *ret, STORAGED_ERR);
void lvm_let_go(Lvm *l, const char *name, enum LvmHold hold);
/* A device of that name on this node that is not that LV (any more) is removed; -EBUSY if somebody has it open. */
int lvm_forget(Lvm *l, const char *name, STORAGED_ERR);
/* Waits out and refuses: somebody on this node has the volume open. */
int lvm_refuse_open(Lvm *l, const char *name, STORAGED_ERR);

/* --- stream.c: while bytes flow the LV is active here */
/* What any import begins with: the volume's name, the stream, its size (s->total). */
int lvm_import_begin(Lvm *l, const struct storaged_import_spec *spec, STORAGED_VOL, uint32_t format, int fd, Stream *s,
                     char ret_name[static LVM_NAME_MAX], STORAGED_ERR);
int lvm_export_raw(Lvm *l, const char *name, uint64_t bytes, Stream *s, STORAGED_ERR);
int lvm_import_raw(Lvm *l, const char *name, uint64_t size, Stream *s, STORAGED_ERR);
