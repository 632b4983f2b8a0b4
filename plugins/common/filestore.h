/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A storage made of files: all that dir, nfs and their like do with guest images, ISO files, templates and
 * backups once there is a directory tree. A plugin embeds a FileStore as the FIRST member of its own struct and
 * has FILESTORE_OPERATIONS in its table of operations (`self` points to that struct).
 *
 * Two planes: the control tree lists, stats, makes, names and removes files; the data tree (always local: a
 * directory of the kernel, for nfs the mount) is where qemu-img, qemu-nbd, tar and the streams work. For dir they
 * are the same tree. Each operation first asks the plugin by `reach` for the planes it is going to use.
 */
#include <storaged/plugin.h>

#include "common/tree.h"

typedef struct FileStore FileStore;
typedef struct ImageCache ImageCache;

enum FileStorePlane {
        FILESTORE_CONTROL = 1 << 0,
        FILESTORE_DATA = 1 << 1,
        FILESTORE_CHANGE = 1 << 2, /* with CONTROL: names are going to be made, changed or removed there */
};

/* What makes one kind of file storage differ from another. */
typedef struct FileStoreKind {
        const char *type;            /* "dir", "nfs": first word of the fault points' names */
        bool is_count_per_extension; /* free disk numbers are counted for each extension alone (nfs, cifs) */
        bool has_no_subvol;
        /* Makes fs->control (and fs->data if asked) usable trees; called at the start of each operation, so cheap. */
        int (*reach)(FileStore *fs, unsigned planes, struct storaged_error *err);
} FileStoreKind;

struct FileStore {
        const FileStoreKind *kind;
        const struct storaged_host *host;
        char *storage;          /* id */
        char *path;             /* absolute local path of the data plane's root, no slash at the end */
        Tree *control;          /* owned; NULL until reach() */
        Tree *data;             /* owned unless == control; local; NULL until reach() */
        int mount_id;           /* of the mount that data stands on, for kinds that mount */
        char *dirs[8];          /* content bit number -> directory relative to the root (content-dirs or the default) */
        uint32_t contents;      /* mask, as configured */
        uint32_t preallocation; /* enum FileStorePreallocation */
        bool has_chain;         /* snapshot-as-volume-chain */
        bool is_creating_subdirs, is_creating_base; /* create-subdirs, create-base-path */
        ImageCache *cache;
        char tmp_prefix[160]; /* of our temporaries: node, pid, start time */
        unsigned tmp_seq;
        unsigned n_leftovers; /* removed at the last activation */
};

/* Takes all it needs from the configuration (path, content, content-dirs, preallocation, …). Memory only. */
int filestore_init(FileStore *fs, const FileStoreKind *kind, const struct storaged_host *host,
                   const struct storaged_config *config, STORAGED_ERR);
/* Frees the trees too. Fine on a zeroed or half-made one. */
void filestore_deinit(FileStore *fs);
/*
 * For kinds whose data plane is a mount. The tree of a mount keeps it busy, so it is let go of when nobody needs it.
 * The mount `id` (of mount_find()) is the one at fs->path.
 */
int filestore_take_mount(FileStore *fs, int id, STORAGED_ERR);
void filestore_release_mount(FileStore *fs);
/* The part of check_config that all kinds share: content-dirs, preallocation, format. */
int filestore_check_config(const struct storaged_config *config, STORAGED_ERR);
/*
 * The part of activate_storage that comes once the trees can be reached: the root is a directory, no two contents
 * share a directory, the directories are made (create-subdirs), what interrupted operations of this node left is
 * removed.
 */
int filestore_activate(FileStore *fs, STORAGED_ERR);

/* The marks of `identify`, on trees that were reached; *ret is an enum storaged_mark. */
int filestore_mark(FileStore *fs, const struct storaged_identify_spec *spec, uint32_t *ret, STORAGED_ERR);

/* Operations, for the plugin's table. */
int filestore_status(void *self, struct storaged_status *ret, STORAGED_ERR);
int filestore_health(void *self, storaged_finding_fn fn, void *userdata, STORAGED_ERR);
int filestore_repair(void *self, const char *code, bool dry_run, storaged_finding_fn fn, void *userdata, STORAGED_ERR);
int filestore_list(void *self, const struct storaged_list_filter *filter, storaged_volume_fn fn, void *userdata,
                   STORAGED_ERR);
int filestore_stat(void *self, STORAGED_VOL, storaged_volume_fn fn, void *userdata, STORAGED_ERR);
int filestore_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                    STORAGED_ERR);
int filestore_free(void *self, STORAGED_VOL, STORAGED_ERR);
int filestore_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
int filestore_path(void *self, STORAGED_VOL, const char *snap, char *ret, size_t ret_size, STORAGED_ERR);
int filestore_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
int filestore_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int filestore_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR);
int filestore_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int filestore_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int filestore_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int filestore_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR);
int filestore_clone(void *self, STORAGED_VOL, const char *snap, uint32_t vmid,
                    char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int filestore_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int filestore_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                     char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int filestore_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                            int fd, STORAGED_ERR);
int filestore_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                            char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int filestore_upload(void *self, const struct storaged_upload_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                     STORAGED_ERR);
int filestore_set_notes(void *self, STORAGED_VOL, const char *notes, STORAGED_ERR);
int filestore_set_protected(void *self, STORAGED_VOL, bool is_protected, STORAGED_ERR);

#define FILESTORE_OPERATIONS                                                                                    \
        .health = filestore_health, .repair = filestore_repair, .list = filestore_list, .stat = filestore_stat, \
        .alloc = filestore_alloc, .free = filestore_free, .resize = filestore_resize, .path = filestore_path,   \
        .activate_volume = filestore_activate_volume, .deactivate_volume = filestore_deactivate_volume,         \
        .holders = filestore_holders, .snapshot = filestore_snapshot, .rollback = filestore_rollback,           \
        .delete_snapshot = filestore_delete_snapshot, .list_snapshots = filestore_list_snapshots,               \
        .clone = filestore_clone, .template = filestore_template, .rename = filestore_rename,                   \
        .export_stream = filestore_export_stream, .import_stream = filestore_import_stream,                     \
        .upload = filestore_upload, .set_notes = filestore_set_notes, .set_protected = filestore_set_protected

/* Rows of the feature table that all kinds share; the nfs plugin leaves subvol out. */
extern const struct storaged_feature_row filestore_features[];
extern const struct storaged_feature_row filestore_features_no_subvol[];
