/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local tree, changed. What names an entry (unlink, rename, …) opens the parent directory beneath the root first
 * and then works on the last component alone, which none of these calls follows. New files are exclusive; a file that
 * did not get its content is removed again.
 */
#include "common/tree-local.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* A file that did not get its content is no file. */
static int fail_create(Tree *t, const char *path, int r)
{
        const char *name;
        AUTO(closep) int dir = tree_local_open_parent(t, path, &name);

        if (dir >= 0)
                (void) unlinkat(dir, name, 0);
        return r;
}

int tree_local_create(Tree *t, const char *path, uint64_t bytes, uint32_t mode)
{
        AUTO(closep) int fd = tree_local_openat(t, path, O_WRONLY | O_CREAT | O_EXCL, mode);

        if (fd < 0)
                return fd;
        if (bytes > INT64_MAX)
                return fail_create(t, path, -EFBIG);
        if ((bytes > 0 && ftruncate(fd, (off_t) bytes) < 0) || fchmod(fd, mode) < 0)
                return fail_create(t, path, -errno);
        return 0;
}

int tree_local_truncate(Tree *t, const char *path, uint64_t bytes)
{
        AUTO(closep) int fd = tree_local_openat(t, path, O_WRONLY | O_NONBLOCK, 0);

        if (fd < 0)
                return fd;
        if (bytes > INT64_MAX)
                return -EFBIG;
        return ftruncate(fd, (off_t) bytes) < 0 ? -errno : 0;
}

int tree_local_write(Tree *t, const char *path, const void *data, size_t n, uint32_t mode)
{
        AUTO(closep) int fd = tree_local_openat(t, path, O_WRONLY | O_CREAT | O_EXCL, mode);
        const char *p = data;

        if (fd < 0)
                return fd;
        while (n > 0) {
                ssize_t k = write(fd, p, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return fail_create(t, path, -errno);
                p += k;
                n -= (size_t) k;
        }
        if (fsync(fd) < 0)
                return fail_create(t, path, -errno);
        return 0;
}

int tree_local_link(Tree *t, const char *from, const char *to)
{
        const char *from_name, *to_name;
        AUTO(closep) int from_fd = tree_local_open_parent(t, from, &from_name);
        AUTO(closep) int to_fd = tree_local_open_parent(t, to, &to_name);

        if (from_fd < 0 || to_fd < 0)
                return from_fd < 0 ? from_fd : to_fd;
        return linkat(from_fd, from_name, to_fd, to_name, 0) < 0 ? -errno : 0;
}

/* For file systems that know no RENAME_NOREPLACE (old NFS clients): a second name, then without the first. */
static int rename_by_link(int from_fd, const char *from, int to_fd, const char *to)
{
        if (linkat(from_fd, from, to_fd, to, 0) < 0)
                return -errno;
        return unlinkat(from_fd, from, 0) < 0 ? -errno : 0;
}

int tree_local_rename(Tree *t, const char *from, const char *to, unsigned flags)
{
        const char *from_name, *to_name;
        AUTO(closep) int from_fd = tree_local_open_parent(t, from, &from_name);
        AUTO(closep) int to_fd = tree_local_open_parent(t, to, &to_name);

        if (from_fd < 0 || to_fd < 0)
                return from_fd < 0 ? from_fd : to_fd;
        if (renameat2(from_fd, from_name, to_fd, to_name, flags & TREE_NO_REPLACE ? RENAME_NOREPLACE : 0) == 0)
                return 0;
        if (errno == EINVAL && (flags & TREE_NO_REPLACE))
                return rename_by_link(from_fd, from_name, to_fd, to_name);
        return -errno;
}

int tree_local_unlink(Tree *t, const char *path)
{
        const char *name;
        AUTO(closep) int fd = tree_local_open_parent(t, path, &name);

        if (fd < 0)
                return fd;
        return unlinkat(fd, name, 0) < 0 ? -errno : 0;
}

int tree_local_mkdir(Tree *t, const char *path, uint32_t mode)
{
        const char *name;
        AUTO(closep) int fd = tree_local_open_parent(t, path, &name);

        if (fd < 0)
                return fd;
        return mkdirat(fd, name, mode) < 0 ? -errno : 0;
}

int tree_local_rmdir(Tree *t, const char *path)
{
        const char *name;
        AUTO(closep) int fd = tree_local_open_parent(t, path, &name);

        if (fd < 0)
                return fd;
        return unlinkat(fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int tree_local_chmod(Tree *t, const char *path, uint32_t mode)
{
        AUTO(closep) int fd = tree_local_openat(t, path, O_RDONLY | O_NONBLOCK, 0);

        if (fd < 0)
                return fd;
        return fchmod(fd, mode) < 0 ? -errno : 0;
}

int tree_local_allocate(Tree *t, const char *path, uint64_t offset, uint64_t bytes)
{
        AUTO(closep) int fd = tree_local_openat(t, path, O_WRONLY | O_NONBLOCK, 0);

        if (fd < 0)
                return fd;
        return -posix_fallocate(fd, (off_t) offset, (off_t) bytes);
}

int tree_local_set_immutable(Tree *t, const char *path, bool on)
{
        AUTO(closep) int fd = tree_local_openat(t, path, O_RDONLY | O_NONBLOCK, 0);
        int flags = 0, wanted;

        if (fd < 0)
                return fd;
        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return -errno;
        wanted = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        if (wanted == flags)
                return 0;
        return ioctl(fd, FS_IOC_SETFLAGS, &wanted) < 0 ? -errno : 0;
}
