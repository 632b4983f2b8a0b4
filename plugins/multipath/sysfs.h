/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Attributes of sysfs below a directory, as short texts. Reading may hang with a dead device: only in a worker. */
#include <stddef.h>
#include <stdint.h>

/* The attribute without blanks at its ends; its length, or -errno (then `ret` is ""). Longer ones are cut. */
int sysfs_text(int dir, const char *name, char *ret, size_t size);
/* Bytes as they are: how many, or -errno. */
int sysfs_bytes(int dir, const char *name, uint8_t *ret, size_t size);
/* A decimal number; `dflt` if there is none. */
uint64_t sysfs_number(int dir, const char *name, uint64_t dflt);
/* The last component of a symbolic link's target; -errno. */
int sysfs_link_name(int dir, const char *name, char *ret, size_t size);
/* An entry of a directory, without those that begin with a dot. A non-zero return ends it and is returned. */
typedef int (*sysfs_fn)(void *userdata, int dir, const char *name, uint64_t inode);
/* -ENOENT if there is no such directory. */
int sysfs_each(int dir, const char *path, sysfs_fn fn, void *userdata);
