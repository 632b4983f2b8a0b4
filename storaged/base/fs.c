/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of storaged itself: configuration, secrets, task records. Not for guest data.
 * Named faults sit between the steps of a replacement, so that tests can kill the process there.
 */
#include "base/fs-parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/str.h"

static char temporary_tag[128];

void fs_set_temporary_tag(const char *tag)
{
        (void) snprintf(temporary_tag, sizeof(temporary_tag), "%s", tag);
}

static int temporary_name(const char *path, char **ret)
{
        return temporary_tag[0] ? str_printf(ret, "%s.tmp.%s", path, temporary_tag)
                                : str_printf(ret, "%s.tmp.%ld", path, (long) getpid());
}

void fs_remove_temporary(const char *path)
{
        AUTO(freep) char *tmp = NULL;

        if (temporary_name(path, &tmp) >= 0)
                (void) unlink(tmp); /* mostly there is none */
}

int fs_plain_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
        AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        AUTO(freep) char *buf = NULL;
        size_t n = 0, size = 0;
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        for (;;) {
                ssize_t k;

                if (n + 1 >= size) {
                        size_t want =
                                size ? size * 2
                                     : (size_t) (st.st_size > 0 && st.st_size < (1 << 20) ? st.st_size + 2 : 4096);
                        char *p = realloc(buf, want);

                        if (!p)
                                return -ENOMEM;
                        buf = p;
                        size = want;
                }
                k = read(fd, buf + n, size - n - 1);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
                if (n > max)
                        return -EFBIG;
        }
        buf[n] = '\0';
        *ret = TAKE(buf);
        if (ret_len)
                *ret_len = n;
        return 0;
}

int fs_write_all(int fd, const void *data, size_t len)
{
        const char *p = data;

        while (len > 0) {
                ssize_t k = write(fd, p, len);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                p += k;
                len -= (size_t) k;
        }
        return 0;
}

int fs_plain_fsync_dir_of(const char *path)
{
        AUTO(freep) char *copy = strdup(path);
        AUTO(closep) int fd = -EBADF;

        if (!copy)
                return -ENOMEM;
        fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        /* A cluster file system may not know fsync of directories; its rename is ordered by itself. */
        if (fsync(fd) < 0 && errno != EINVAL && errno != ENOSYS && errno != EROFS)
                return -errno;
        return 0;
}

static int write_and_sync(int fd, const void *data, size_t len)
{
        int r = fs_write_all(fd, data, len);

        if (r < 0)
                return r;
        r = fault_point("fs.write.before-fsync");
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

int fs_plain_write(const char *path, const void *data, size_t len, mode_t mode, const Fence *fence,
                   const _Atomic bool *is_left)
{
        AUTO(freep) char *tmp = NULL;
        AUTO(closep) int fd = -EBADF;
        int r = is_left && *is_left ? -ECANCELED : fence_put(fence, path, data, len);

        if (r != -ENOTTY)
                return r;
        r = temporary_name(path, &tmp);
        if (r < 0)
                return r;
        (void) unlink(tmp); /* of an earlier process */
        fd = open(tmp, O_WRONLY | O_CREAT | (is_left ? O_TRUNC : O_EXCL) | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;
        r = write_and_sync(fd, data, len);
        if (r >= 0)
                r = fault_point("fs.write.before-rename");
        if (r >= 0 && is_left && *is_left)
                r = -ECANCELED; /* nobody waits any more, and this may be another one's turn by now */
        if (r >= 0)
                r = fence_rename(fence, tmp, path);
        if (r < 0) {
                (void) unlink(tmp); /* the first failure is what counts */
                return r;
        }
        r = fault_point("fs.write.after-rename");
        return r < 0 || is_left ? r : fs_plain_fsync_dir_of(path);
}

int fs_plain_mkdir_p(const char *path, mode_t mode)
{
        AUTO(freep) char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *p = copy + 1; *p; p++) {
                if (*p != '/')
                        continue;
                *p = '\0';
                if (mkdir(copy, mode) < 0 && errno != EEXIST)
                        return -errno;
                *p = '/';
        }
        return mkdir(copy, mode) < 0 && errno != EEXIST ? -errno : 0;
}

int fs_plain_list_dir(const char *path, StrList *ret)
{
        AUTO(strlist_deinit) StrList names = STRLIST_INIT;
        DIR *d = opendir(path);
        struct dirent *e;
        int r = 0;

        if (!d)
                return -errno;
        while (r >= 0 && (errno = 0, e = readdir(d)))
                if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
                        r = strlist_adds(&names, e->d_name);
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(d);
        if (r < 0)
                return r;
        *ret = names;
        names = STRLIST_INIT;
        return 0;
}

const char *fs_strerror(int r)
{
        if (r == -ESTALE)
                return "the cluster lock for it was lost meanwhile; nothing was changed";
        if (r == -ETIMEDOUT)
                return "the cluster file system does not answer";
        if (r == -ENOTCONN)
                return "the cluster file system is not running here";
        return strerror(-r);
}
