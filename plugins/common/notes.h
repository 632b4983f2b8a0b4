/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The files beside a backup: its notes, its protection, its log. `rel` is the archive's path. */
#include "common/filestore.h"

#define NOTES_SUFFIX ".notes"
#define PROTECTED_SUFFIX ".protected"
#define NOTES_MAX (64u * 1024)

int notes_stat(FileStore *fs, const char *rel, const char *suffix, TreeAttr *ret);
/* At most `max` bytes; *ret is the caller's. */
int notes_read(FileStore *fs, const char *rel, size_t max, char **ret);
/* Removes notes and log of an archive that is gone; what cannot be removed stays. */
void notes_remove_sidecars(FileStore *fs, const char *rel);
