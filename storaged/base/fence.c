/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change under a lock. Between a look at the lock and the change this node may stand still for as long as it likes,
 * and another one have the lock by then; so the look is left to who orders both, where there is one. The invariant: a
 * change that was refused with -ESTALE has not been made and will not be.
 */
#include "base/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "base/clock.h"
#include "base/fault.h"

int fence_check(const Fence *f)
{
        FileId now;

        if (!f || !f->path)
                return 0;
        if (clock_usec(CLOCK_BOOTTIME) >= f->ends_usec || fileid_look(f->path, &now) < 0 || !fileid_equal(&now, &f->id))
                return -ESTALE;
        return 0;
}

/* An inode's number says nothing on another file system. */
static bool is_beside(const Fence *f, int dir)
{
        struct statx st;

        return statx(dir, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) == 0 &&
               makedev(st.stx_dev_major, st.stx_dev_minor) == f->id.dev;
}

static const char *name_of(const char *path)
{
        const char *name = strrchr(path, '/');

        return name ? name + 1 : path;
}

/* The file system's own answer; -ENOTTY: it gives none. Whoever looked at the lock before has been stopped here. */
static int ask(const Fence *f, const char *path, unsigned long request, const void *call)
{
        AUTO(freep) char *copy = strdup(path);
        AUTO(closep) int dir = -EBADF;
        int r = fault_point("fence.before-change");

        if (!copy)
                return -ENOMEM;
        if (r < 0)
                return r;
        dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        if (!is_beside(f, dir))
                return -ENOTTY;
        if (ioctl(dir, request, call) == 0)
                return 0;
        return errno == ENOSYS || errno == EOPNOTSUPP ? -ENOTTY : -errno;
}

static int ask_by_name(const Fence *f, const char *from, const char *path)
{
        FenceCall call = { .lock = f->id.ino };

        if (snprintf(call.from, sizeof(call.from), "%s", from) >= (int) sizeof(call.from) ||
            snprintf(call.to, sizeof(call.to), "%s", name_of(path)) >= (int) sizeof(call.to))
                return -ENAMETOOLONG;
        return ask(f, path, FENCE_IOCTL, &call);
}

int fence_put(const Fence *f, const char *path, const void *data, size_t len)
{
        FencePut call = { .lock = f ? f->id.ino : 0, .len = (uint32_t) len };

        if (!f || !f->path || len > sizeof(call.data))
                return -ENOTTY;
        if (snprintf(call.name, sizeof(call.name), "%s", name_of(path)) >= (int) sizeof(call.name))
                return -ENAMETOOLONG;
        (void) memcpy(call.data, data, len);
        return ask(f, path, FENCE_PUT_IOCTL, &call);
}

int fence_rename(const Fence *f, const char *from, const char *to)
{
        int r = 0;

        if (f && f->path) {
                r = ask_by_name(f, name_of(from), to);
                if (r != -ENOTTY)
                        return r;
                r = fence_check(f);
        }
        if (r < 0)
                return r;
        return rename(from, to) < 0 ? -errno : 0;
}

int fence_unlink(const Fence *f, const char *path)
{
        int r = 0;

        if (f && f->path) {
                r = ask_by_name(f, "", path);
                if (r != -ENOTTY)
                        return r;
                r = fence_check(f);
        }
        if (r < 0)
                return r;
        return unlink(path) < 0 ? -errno : 0;
}

int fence_copy(const Fence *f, Fence *ret)
{
        Fence copy = f ? *f : (Fence){ 0 };

        if (copy.path) {
                copy.path = strdup(copy.path);
                if (!copy.path)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

void fence_deinit(Fence *f)
{
        free(f->path);
        f->path = NULL;
}
