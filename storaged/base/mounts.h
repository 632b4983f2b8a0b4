/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is mounted where, by the kernel's own table: no mount is touched, so nothing can hang. */

typedef struct Mount {
        char type[64], source[192]; /* cut off where they are longer */
} Mount;

/* The mount that a path is on: 1, or 0 if there is none; -ELOOP for a symbolic link, which may lead anywhere; -errno.
 */
int mounts_find(const char *path, Mount *ret);
/* The same, of a table's text and a path without symbolic links. */
int mounts_text_find(const char *table, const char *path, Mount *ret);
/* Whether the file system at a path is one in user space (FUSE): 1, 0, -errno. */
int mounts_is_fuse(const char *path);
/* The same, of a table's text and a path without symbolic links. */
int mounts_text_is_fuse(const char *table, const char *path);
