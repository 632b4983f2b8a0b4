/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the lvmthin plugin share beside common-lvm. */
#include "common-lvm/store.h"

/* --- pool.c: what the kernel says of the pool */
typedef struct PoolState {
        bool is_active;             /* here */
        bool is_failed;             /* all I/O fails, or metadata may not be changed, or need a check */
        bool is_out_of_space;       /* writes to new blocks wait or fail */
        bool is_zeroing;            /* a block is zeroed before it is given out */
        uint64_t bytes, used_bytes; /* data */
        uint64_t metadata_bytes, metadata_used_bytes;
} PoolState;

int pool_look(const char *vg, const char *pool, PoolState *ret, STORAGED_ERR);
/* Bytes of the pool that the volume has; STORAGED_SIZE_UNKNOWN while it is not active here. */
uint64_t pool_used_by(Lvm *l, const VgLv *lv);
/* Whether an LV of that layout, as LVM reports it, is a thin pool. */
bool pool_is(const char *layout);

/* --- volume.c */
int thin_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR);
int thin_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
               STORAGED_ERR);
int thin_free(void *self, STORAGED_VOL, STORAGED_ERR);
int thin_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
int thin_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int thin_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
int thin_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);

/* --- template.c */
int thin_clone(void *self, STORAGED_VOL, const char *snap, uint32_t vmid, char ret_volname[static STORAGED_VOLNAME_MAX],
               STORAGED_ERR);
#define THIN_TEMPLATE_TAG "storaged-template" /* it has its name, but is not read-only yet */
/* The last step of a template. */
int thin_protect(Lvm *l, const char *name, STORAGED_ERR);
int thin_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
/* -EBUSY with a clone's name where the volume is a template with clones. */
int thin_refuse_clones(Lvm *l, STORAGED_VOL, STORAGED_ERR);

/* --- snapshot.c */
int thin_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int thin_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int thin_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int thin_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR);
/* snap_<volume>_<snapshot> */
int thin_snapshot_name(STORAGED_VOL, const char *snap, char ret[static LVM_NAME_MAX], STORAGED_ERR);
/* The LV of the snapshot, or of the volume if `snap` is NULL; -ENOENT. */
int thin_find(Lvm *l, STORAGED_VOL, const char *snap, const VgLv **ret, STORAGED_ERR);
/* A snapshot of the volume, any; NULL: it has none. *ret_snap: its name. */
const VgLv *thin_first_snapshot(Lvm *l, const char *volume, char ret_snap[static LVM_NAME_MAX]);
int thin_remove_snapshots(Lvm *l, const char *volume, STORAGED_ERR);
/* Finishes or takes back what dead processes of this node left; the group is as in l->state. */
int thin_repair(Lvm *l, STORAGED_ERR);

/* --- stream.c */
int thin_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                       int fd, STORAGED_ERR);
int thin_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                       char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);

/* --- scan.c */
int thin_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn, void *userdata,
              STORAGED_ERR);
int thin_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
             storaged_json_fn fn, void *userdata, STORAGED_ERR);
extern const struct storaged_scan thin_scan_schema;
extern const struct storaged_action thin_actions[];
