/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Which file or directory is at a path: not its name, but itself. Another one that is made later under the same name is
 * another one, also where inode numbers are used again: by its time of birth, which the kernel tells apart from one
 * tick of its clock to the next (10 ms at HZ=100); file systems in user space have none, and those we know use no
 * number twice.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FileId {
        uint64_t dev, ino;
        int64_t born_ns; /* since 1970; 0: not known */
} FileId;

#define FILEID_TEXT_MAX 72

/* Of the path itself, never of what a link points to; asks the file system anew. -ENOENT, … */
int fileid_get(const char *path, FileId *ret);
/* The same for what can be done without: it waits a moment only. */
int fileid_glance(const char *path, FileId *ret);
/* The same, by the calling thread whatever the file system: for threads and workers that may wait. */
int fileid_look(const char *path, FileId *ret);
static inline bool fileid_equal(const FileId *a, const FileId *b)
{
        return a->dev == b->dev && a->ino == b->ino && a->born_ns == b->born_ns;
}
void fileid_print(const FileId *id, char ret[static FILEID_TEXT_MAX]);
/* -EINVAL */
int fileid_parse(const char *text, FileId *ret);
