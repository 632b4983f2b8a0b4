/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is mounted where, by the kernel's own table: no mount is touched, so nothing can hang. */

/* Whether the file system at a path is one in user space (FUSE): 1, 0, -errno. */
int mounts_is_fuse(const char *path);
/* The same, of a table's text and a path without symbolic links. */
int mounts_text_is_fuse(const char *table, const char *path);
