/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Where what lies: contents to directories, volume names to paths and back. Names only, nothing is touched. */
#include "common/filestore.h"

#define LAYOUT_N_CONTENTS 7

/* One row for each content type that has a directory. */
typedef struct LayoutContent {
        uint32_t content;
        const char *name, *dir;
} LayoutContent;

extern const LayoutContent layout_contents[LAYOUT_N_CONTENTS];

/* Fills fs->dirs from content-dirs and the defaults. */
int layout_init(FileStore *fs, const struct storaged_config *config, struct storaged_error *err);
/* Takes "images=a/b,iso=c" apart into `dirs` (NULL: only judges it). */
int layout_parse_dirs(const char *value, char *dirs[static LAYOUT_N_CONTENTS], struct storaged_error *err);
/* "images,iso" to a mask. */
uint32_t layout_parse_contents(const char *value);
/* NULL for a content without directory. */
const char *layout_dir(const FileStore *fs, uint32_t content);
bool layout_is_image(const struct storaged_volname *vol); /* guest volume: images or rootdir */

/* Relative paths. -EINVAL (with `err`) for a volume that is no file of ours (inside an OVA). */
int layout_path(const FileStore *fs, const struct storaged_volname *vol, char ret[static TREE_PATH_MAX],
                struct storaged_error *err);
int layout_image_path(const FileStore *fs, uint32_t vmid, const char *file, char ret[static TREE_PATH_MAX],
                      struct storaged_error *err);

/* One bit of enum storaged_format by the extension of a guest image's file, 0 if it is no name of one. */
uint32_t layout_image_format(const char *file);
uint32_t layout_format(const char *name); /* "raw" … */
const char *layout_format_name(uint32_t format);
/* snap-*.qcow2 */
bool layout_is_snapshot_file(const char *file);
/* "100" -> 100; 0 if it is no VMID. */
uint32_t layout_vmid(const char *s);
/* "../100/base-100-disk-0.qcow2": the base's VMID and file (points into `backing`); false if it is nothing like it. */
bool layout_parse_base(const char *backing, uint32_t *ret_vmid, const char **ret_file);
/* [<basevmid>/<base>/]<vmid>/<file> */
int layout_volname(uint32_t basevmid, const char *base, uint32_t vmid, const char *file,
                   char ret[static STORAGED_VOLNAME_MAX], struct storaged_error *err);
