/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the lvm plugin share beside common-lvm. */
#include "common-lvm/store.h"

/* --- base.c: -EINVAL if the group is not on the LUN that `base` names; l->state is what the group is */
int lvm_check_base(Lvm *l, const char *base, STORAGED_ERR);

/* --- volume.c */
int lvm_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR);
int lvm_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
              STORAGED_ERR);
int lvm_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
int lvm_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name, char ret_volname[static STORAGED_VOLNAME_MAX],
               STORAGED_ERR);
/* The header of a qcow2 image on an active LV; the image must keep its data on itself and its chain only. */
int lvm_qcow2_size(Lvm *l, const char *name, uint64_t *ret, STORAGED_ERR);

/* --- remove.c */
int lvm_free(void *self, STORAGED_VOL, STORAGED_ERR);

/* Writes zeroes over what this node removed; *ret: the names, with commas. Without the storage's lock. */
int lvm_wipe(Lvm *l, json_object **ret, STORAGED_ERR);
/* Gives the space of those back. */
int lvm_reap(Lvm *l, const char *volumes, STORAGED_ERR);

/* --- onoff.c */
int lvm_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
int lvm_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);

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
