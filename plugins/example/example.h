/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the files of the example share. A plugin exports one symbol only (plugins/plugin.map), so these names clash with
 * nobody's. */
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <storaged/cleanup.h>
#include <storaged/plugin.h>

#define EXAMPLE_CHUNK ((size_t) 1 << 20)
#define EXAMPLE_REPLACEMENT ".replacement" /* where a rollback puts what it then renames over the volume */

/* What `start` makes and every operation gets. Nothing in it has to survive the worker. */
struct example {
        const struct storaged_host *host;
        char *path;
        size_t max_volumes; /* 0: no limit */
};

/* --- file.c: the directory and what is in it. All: 0, or a negative errno with the sentence in `err`. */

int error_errno(struct storaged_error *err, int code, const char *what, const char *name);
int open_dir(const struct example *e, int *ret, struct storaged_error *err);
/* A regular file; -ENOENT names the volume: the caller's user sees this text. */
int open_volume(int dir, const char *name, int flags, int *ret, struct stat *ret_st, struct storaged_error *err);
bool is_protected(const struct stat *st);
/* A file without a name, sparse. */
int new_file(const struct example *e, int dir, uint64_t bytes, int *ret, struct storaged_error *err);
/* Gives a complete file its name; -EEXIST if it is taken. The one step in which a volume appears. No sentence. */
int name_file(const struct example *e, int fd, int dir, const char *name);
/* Data only: holes stay holes. */
int copy_file(const struct example *e, int from, int to, uint64_t bytes, const char *name, struct storaged_error *err);
/* Calls `fn` with every name in the directory until it returns non-zero. */
int each_name(const struct example *e, int (*fn)(void *userdata, int dir, const char *name), void *userdata,
              struct storaged_error *err);

/* --- volume.c */

/*
 * Names a complete file: `name`, or the next free one where that is NULL. Another process, also on another node, may
 * take the name found free before we do; then the next is tried.
 */
int publish(const struct example *e, int fd, int dir, uint32_t vmid, const char *name, char *ret_volname,
            struct storaged_error *err);

int example_alloc(void *self, const struct storaged_alloc_spec *spec, char ret_volname[static STORAGED_VOLNAME_MAX],
                  STORAGED_ERR);
int example_free(void *self, STORAGED_VOL, STORAGED_ERR);
int example_resize(void *self, STORAGED_VOL, uint64_t bytes, STORAGED_ERR);
int example_set_protected(void *self, STORAGED_VOL, bool protect, STORAGED_ERR);
int example_rename(void *self, STORAGED_VOL, uint32_t vmid, const char *name,
                   char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);
int example_template(void *self, STORAGED_VOL, char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);

/* --- snapshot.c */

/* The name of the file a snapshot is in. */
int snapshot_file(const struct storaged_volname *vol, const char *snap, char *ret, size_t size,
                  struct storaged_error *err);

/* For each_name(): goes over the snapshots of one volume. */
struct snapshots {
        const char *volume;
        bool remove;             /* unlink them */
        size_t n;                /* how many there were */
        storaged_snapshot_fn fn; /* or NULL */
        void *userdata;
};
int each_snapshot(void *userdata, int dir, const char *name);

int example_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int example_rollback(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int example_delete_snapshot(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int example_list_snapshots(void *self, STORAGED_VOL, storaged_snapshot_fn fn, void *userdata, STORAGED_ERR);

/* --- stream.c */

int example_export_stream(void *self, STORAGED_VOL, const char *stream_format, const char *snap, bool with_snapshots,
                          int fd, STORAGED_ERR);
int example_import_stream(void *self, const struct storaged_import_spec *spec, STORAGED_VOL, int fd,
                          char ret_volname[static STORAGED_VOLNAME_MAX], STORAGED_ERR);

/* --- access.c */

/* There is no volume of that name any more: nobody has it active. */
int access_forget(const struct example *e, const char *volume, struct storaged_error *err);
int example_activate_volume(void *self, STORAGED_VOL, const char *snap, uint32_t mode, STORAGED_ERR);
int example_deactivate_volume(void *self, STORAGED_VOL, const char *snap, STORAGED_ERR);
int example_holders(void *self, STORAGED_VOL, storaged_holder_fn fn, void *userdata, STORAGED_ERR);
int example_get_client(void *self, STORAGED_VOL, char *ret, size_t ret_size, STORAGED_ERR);
int example_fence(void *self, STORAGED_VOL, const char *node, const char *client, STORAGED_ERR);

/* --- action.c */

extern const struct storaged_action example_actions[];
int example_act(const struct storaged_host *host, void *self, const char *action, const struct storaged_config *args,
                storaged_json_fn fn, void *userdata, STORAGED_ERR);
