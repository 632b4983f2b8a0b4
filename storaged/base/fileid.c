/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Identity of files: statx(2), with the caches of network and user space file systems passed by. */
#include "base/fileid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int fileid_look(const char *path, FileId *ret)
{
        struct statx st;

        if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_INO | STATX_BTIME, &st) < 0)
                return -errno;
        *ret = (FileId){ .dev = makedev(st.stx_dev_major, st.stx_dev_minor), .ino = st.stx_ino };
        if (st.stx_mask & STATX_BTIME)
                ret->born_ns = st.stx_btime.tv_sec * INT64_C(1000000000) + st.stx_btime.tv_nsec;
        return 0;
}

void fileid_print(const FileId *id, char ret[static FILEID_TEXT_MAX])
{
        (void) snprintf(ret, FILEID_TEXT_MAX, "%" PRIx64 ":%" PRIx64 ":%" PRId64, id->dev, id->ino, id->born_ns);
}

int fileid_parse(const char *text, FileId *ret)
{
        FileId id;
        char rest;

        if (sscanf(text, "%" SCNx64 ":%" SCNx64 ":%" SCNd64 "%c", &id.dev, &id.ino, &id.born_ns, &rest) != 3)
                return -EINVAL;
        *ret = id;
        return 0;
}
