/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doors of fs.h and fileid.h. What is below the guarded directory becomes a job of the guard (base/guard.c) that
 * owns copies of all it is given, because it may outlive its caller; everything else is called directly.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fileid.h"
#include "base/fs-parts.h"
#include "base/guard.h"

typedef struct FsCall {
        GuardJob job; /* first: a job is its call */
        int (*op)(struct FsCall *c);
        char *path;
        void *data; /* to be written */
        size_t len, max;
        mode_t mode;
        Fence fence;
        char *text; /* what was read, of `len` bytes */
        StrList names;
        FsSeen seen;
        FileId id;
} FsCall;

static void call_free(GuardJob *job)
{
        FsCall *c = (FsCall *) job;

        if (c->data)
                explicit_bzero(c->data, c->len); /* may be a secret */
        free(c->data);
        free(c->text);
        free(c->path);
        strlist_deinit(&c->names);
        fence_deinit(&c->fence);
        free(c);
}

static void call_run(GuardJob *job)
{
        FsCall *c = (FsCall *) job;

        job->r = c->op(c);
}

static void call_freep(FsCall **c)
{
        if (*c)
                call_free(&(*c)->job);
}

static int call_new(FsCall **ret, const char *path, int (*op)(FsCall *c))
{
        FsCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->job.run = call_run;
        c->job.free = call_free;
        c->op = op;
        c->names = STRLIST_INIT;
        c->path = strdup(path);
        if (!c->path) {
                free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

/* After a failure of the guard's the call is no longer the caller's. */
static int call_do(FsCall **c, enum guard_lane lane, uint64_t bound_usec)
{
        int r = guard_run(lane, &(*c)->job, bound_usec);

        if (r < 0)
                *c = NULL;
        return r < 0 ? r : (*c)->job.r;
}

/* Of an operation that needs its path only. */
static int call_within(const char *path, int (*op)(FsCall *c), enum guard_lane lane, uint64_t bound_usec)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r = call_new(&c, path, op);

        return r < 0 ? r : call_do(&c, lane, bound_usec);
}

static int call_simple(const char *path, int (*op)(FsCall *c), enum guard_lane lane)
{
        return call_within(path, op, lane, lane == GUARD_READ ? GUARD_READ_USEC : GUARD_WRITE_USEC);
}

/* --- reading */

static int op_read(FsCall *c)
{
        return fs_plain_read(c->path, c->max, &c->text, &c->len);
}

static int read_within(const char *path, size_t max, char **ret, size_t *ret_len, uint64_t bound_usec)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r = call_new(&c, path, op_read);

        if (r < 0)
                return r;
        c->max = max;
        r = call_do(&c, GUARD_READ, bound_usec);
        if (r < 0)
                return r;
        *ret = TAKE(c->text);
        if (ret_len)
                *ret_len = c->len;
        return 0;
}

int fs_read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
        return guard_covers(path) ? read_within(path, max, ret, ret_len, GUARD_READ_USEC)
                                  : fs_plain_read(path, max, ret, ret_len);
}

int fs_glance_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
        return guard_covers(path) ? read_within(path, max, ret, ret_len, GUARD_GLANCE_USEC)
                                  : fs_plain_read(path, max, ret, ret_len);
}

static int plain_look(const char *path, FsSeen *ret)
{
        struct stat st;

        if (stat(path, &st) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        return -errno;
                *ret = (FsSeen){ 0 };
                return 0;
        }
        *ret = (FsSeen){ (uint64_t) st.st_ino, (uint64_t) st.st_size,
                         (uint64_t) st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t) st.st_mtim.tv_nsec };
        return 0;
}

static int op_look(FsCall *c)
{
        return plain_look(c->path, &c->seen);
}

static int look_within(const char *path, FsSeen *ret, uint64_t bound_usec)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r;

        if (!guard_covers(path))
                return plain_look(path, ret);
        r = call_new(&c, path, op_look);
        if (r >= 0)
                r = call_do(&c, GUARD_READ, bound_usec);
        if (r >= 0)
                *ret = c->seen;
        return r;
}

int fs_look(const char *path, FsSeen *ret)
{
        return look_within(path, ret, GUARD_READ_USEC);
}

int fs_glance(const char *path, FsSeen *ret)
{
        return look_within(path, ret, GUARD_GLANCE_USEC);
}

static int plain_exists(const char *path)
{
        if (access(path, F_OK) == 0)
                return 1;
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

static int op_exists(FsCall *c)
{
        return plain_exists(c->path);
}

int fs_exists(const char *path)
{
        return guard_covers(path) ? call_simple(path, op_exists, GUARD_READ) : plain_exists(path);
}

int fs_glance_exists(const char *path)
{
        return guard_covers(path) ? call_within(path, op_exists, GUARD_READ, GUARD_GLANCE_USEC) : plain_exists(path);
}

static int op_list(FsCall *c)
{
        return fs_plain_list_dir(c->path, &c->names);
}

static int list_within(const char *path, StrList *ret, uint64_t bound_usec)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r;

        if (!guard_covers(path))
                return fs_plain_list_dir(path, ret);
        r = call_new(&c, path, op_list);
        if (r >= 0)
                r = call_do(&c, GUARD_READ, bound_usec);
        if (r < 0)
                return r;
        *ret = c->names;
        c->names = STRLIST_INIT;
        return 0;
}

int fs_list_dir(const char *path, StrList *ret)
{
        return list_within(path, ret, GUARD_READ_USEC);
}

int fs_glance_dir(const char *path, StrList *ret)
{
        return list_within(path, ret, GUARD_GLANCE_USEC);
}

static int op_identify(FsCall *c)
{
        return fileid_look(c->path, &c->id);
}

static int identify_within(const char *path, FileId *ret, uint64_t bound_usec)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r;

        if (!guard_covers(path))
                return fileid_look(path, ret);
        r = call_new(&c, path, op_identify);
        if (r >= 0)
                r = call_do(&c, GUARD_READ, bound_usec);
        if (r >= 0)
                *ret = c->id;
        return r;
}

int fileid_get(const char *path, FileId *ret)
{
        return identify_within(path, ret, GUARD_READ_USEC);
}

int fileid_glance(const char *path, FileId *ret)
{
        return identify_within(path, ret, GUARD_GLANCE_USEC);
}

/* --- writing */

static int op_write(FsCall *c)
{
        return fs_plain_write(c->path, c->data, c->len, c->mode, &c->fence, &c->job.is_left);
}

int fs_write_fenced(const char *path, const void *data, size_t len, mode_t mode, const Fence *fence)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r;

        if (!guard_covers(path))
                return fs_plain_write(path, data, len, mode, fence, NULL);
        r = call_new(&c, path, op_write);
        if (r < 0)
                return r;
        c->data = malloc(len + 1);
        if (!c->data || fence_copy(fence, &c->fence) < 0)
                return -ENOMEM;
        (void) memcpy(c->data, data, len);
        c->len = len;
        c->mode = mode;
        return call_do(&c, GUARD_WRITE, GUARD_WRITE_USEC);
}

int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode)
{
        return fs_write_fenced(path, data, len, mode, FENCE_NONE);
}

static int op_mkdir(FsCall *c)
{
        return fs_plain_mkdir_p(c->path, c->mode);
}

int fs_mkdir_p(const char *path, mode_t mode)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r;

        if (!guard_covers(path))
                return fs_plain_mkdir_p(path, mode);
        r = call_new(&c, path, op_mkdir);
        if (r < 0)
                return r;
        c->mode = mode;
        return call_do(&c, GUARD_WRITE, GUARD_WRITE_USEC);
}

int fs_fsync_dir_of(const char *path)
{
        return guard_covers(path) ? 0 : fs_plain_fsync_dir_of(path);
}

static int plain_unlink(const char *path, const Fence *fence)
{
        int r = fence_unlink(fence, path);

        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int op_unlink(FsCall *c)
{
        return plain_unlink(c->path, &c->fence);
}

int fs_unlink_fenced(const char *path, const Fence *fence)
{
        AUTO(call_freep) FsCall *c = NULL;
        int r;

        if (!guard_covers(path))
                return plain_unlink(path, fence);
        r = call_new(&c, path, op_unlink);
        if (r >= 0)
                r = fence_copy(fence, &c->fence);
        return r < 0 ? r : call_do(&c, GUARD_WRITE, GUARD_WRITE_USEC);
}

int fs_unlink(const char *path)
{
        return fs_unlink_fenced(path, FENCE_NONE);
}

static int plain_touch(const char *path)
{
        return utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int op_touch(FsCall *c)
{
        return plain_touch(c->path);
}

int fs_touch(const char *path)
{
        return guard_covers(path) ? call_simple(path, op_touch, GUARD_WRITE) : plain_touch(path);
}
