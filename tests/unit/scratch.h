/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A directory of a test's own, named after the test, below TMPDIR or /tmp. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_MAX 64 /* with its NUL: sockets have to fit below it */

/* Its path, or NULL. */
static inline const char *scratch_make(char ret[static SCRATCH_MAX])
{
        const char *tmp = getenv("TMPDIR");

        (void) snprintf(ret, SCRATCH_MAX, "%s/%.20s-XXXXXX", tmp && strlen(tmp) < 30 ? tmp : "/tmp",
                        program_invocation_short_name);
        return mkdtemp(ret);
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

/* 0, or what kept something of it there. */
static inline int scratch_remove(const char *dir)
{
        return nftw(dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
