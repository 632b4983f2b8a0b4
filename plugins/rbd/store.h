/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of the plugin share: the storage, its pool, and images opened with sentences. */
#include <rbd/librbd.h>

#include "common-ceph/ceph-cluster.h"

#define TEMPLATE_SNAPSHOT "__base__"

typedef struct RbdStore {
        CephCluster cluster;
        char *pool, *namespace, *data_pool; /* namespace, data_pool: NULL if none */
        bool is_krbd;
        rados_ioctx_t io; /* NULL: not opened yet, or of a connection that is gone */
} RbdStore;

#define STORE_WATCH(s, ...) CEPH_WATCH(&(s)->cluster.watch, CEPH_SHORT_MS, __VA_ARGS__)

/* Connects and opens the pool, if that has not happened. A watch must be set. */
int store_open(RbdStore *s, STORAGED_ERR);
int store_fault(RbdStore *s, const char *name, STORAGED_ERR);
/* "rbd/kube" or "rbd/kube/namespace": how sentences name the place. */
const char *store_place(const RbdStore *s, char *buf, size_t size);

/* --- images (image.c) */

enum image_mode { IMAGE_READ, IMAGE_WRITE };

/* The caller closes it (image_closep). Reading registers no watch, so it disturbs and holds nobody. */
int image_open(RbdStore *s, const char *name, const char *snap, enum image_mode mode, rbd_image_t *ret, STORAGED_ERR);
/* The same, of an image that an interrupted import left half changed only after that was taken back. */
int image_open_whole(RbdStore *s, const char *name, const char *snap, enum image_mode mode, rbd_image_t *ret,
                     STORAGED_ERR);
static inline __attribute__((unused)) void image_closep(rbd_image_t *image)
{
        if (*image)
                (void) rbd_close(*image);
}
/* 1: there is an image of that name; 0: there is none. One request to one object. */
int image_exists(RbdStore *s, const char *name, STORAGED_ERR);
/* -EBUSY with the client's address if anybody has it open. */
int image_check_unused(RbdStore *s, rbd_image_t image, const char *name, const char *action, STORAGED_ERR);
/* -EBUSY with the name of one if clones hang on any of its snapshots. */
int image_check_childless(RbdStore *s, rbd_image_t image, const char *name, const char *action, STORAGED_ERR);
/* A library's failure with this image, in words. */
int image_fail(RbdStore *s, int code, const char *action, const char *name, STORAGED_ERR);

typedef struct SnapList {
        rbd_snap_info_t *items;
        int n;
} SnapList;

int image_snapshots(RbdStore *s, rbd_image_t image, const char *name, SnapList *ret, STORAGED_ERR);
void snap_list_deinit(SnapList *l);
bool snap_list_has(const SnapList *l, const char *name);
/* Unprotects (if need be) and removes one; it is gone after this, also if it was before. */
int image_remove_snapshot(RbdStore *s, rbd_image_t image, const char *name, const char *snap, STORAGED_ERR);

/* --- the operations of struct storaged_plugin, by file */

/* flatten.c: the action `flatten`; answers with the volume's id, which names its template no more */
int rbdstore_flatten(RbdStore *s, const struct storaged_config *args, storaged_json_fn fn, void *userdata,
                     STORAGED_ERR);
/* list.c */
int rbdstore_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                  STORAGED_ERR);
int rbdstore_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR);
/* volume.c */
int rbdstore_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                   STORAGED_ERR);
int rbdstore_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
int rbdstore_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                    char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int rbdstore_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int rbdstore_clone(void *self, STORAGED_VOL, const char *snap, uint32_t vmid,
                   char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
/* The lowest free vm-<vmid>-disk-<n>. `ret` is "", or a name from here that was taken nevertheless. */
int volume_pick_name(RbdStore *s, uint32_t vmid, char *ret, size_t size, STORAGED_ERR);
int volume_create(RbdStore *s, const char *name, uint64_t bytes, STORAGED_ERR);
/* trash.c */
int rbdstore_free(void *self, STORAGED_VOL, STORAGED_ERR);
int trash_clean(RbdStore *s, STORAGED_ERR); /* what interrupted removals left */
/* snapshot.c */
int rbdstore_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int rbdstore_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int rbdstore_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int rbdstore_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR);
/* exclusive.c */
int rbdstore_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
int rbdstore_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int rbdstore_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR);
int rbdstore_get_client(void *self, STORAGED_VOL, char *ret, size_t ret_size, STORAGED_ERR);
int rbdstore_fence(void *self, STORAGED_VOL, const char *node, const char *client, STORAGED_ERR);
/* export.c, import.c */
int rbdstore_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                           int fd, STORAGED_ERR);
int rbdstore_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                           char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int rbdstore_export_difference(void *self, STORAGED_VOL, const struct storaged_difference_spec *spec, int fd,
                               STORAGED_ERR);
int import_clean(RbdStore *s, STORAGED_ERR);  /* what interrupted imports of this node left */
int receive_clean(RbdStore *s, STORAGED_ERR); /* those on top of images (receive.c), of any node */
