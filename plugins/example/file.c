/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directory of an example storage, and files in it. Each failure becomes a sentence here, where the names
 * are known. Nothing here knows what a volume is.
 */
#include "example/example.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static void closedirp(DIR **d)
{
        if (*d)
                (void) closedir(*d);
}

int error_errno(struct storaged_error *err, int code, const char *what, const char *name)
{
        return error_set(err, code, "can't %s %s: %s", what, name, strerror(-code));
}

int open_dir(const struct example *e, int *ret, struct storaged_error *err)
{
        int fd = open(e->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, -errno, "open the storage's directory", e->path);
        *ret = fd;
        return 0;
}

int open_volume(int dir, const char *name, int flags, int *ret, struct stat *ret_st, struct storaged_error *err)
{
        AUTO(closep) int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        if (fd < 0 && errno == ENOENT)
                return error_set_param(err, -ENOENT, "volume", "volume %s does not exist", name);
        if (fd < 0)
                return error_errno(err, -errno, "open", name);
        if (fstat(fd, ret_st) < 0)
                return error_errno(err, -errno, "look at", name);
        if (!S_ISREG(ret_st->st_mode))
                return error_set(err, -EINVAL, "%s is not a regular file; move it out of the storage's directory",
                                 name);
        *ret = TAKE_FD(fd);
        return 0;
}

bool is_protected(const struct stat *st)
{
        return !(st->st_mode & S_IWUSR);
}

int new_file(const struct example *e, int dir, uint64_t bytes, int *ret, struct storaged_error *err)
{
        AUTO(closep) int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0640);

        if (fd < 0)
                return error_errno(err, -errno, "make a file in", e->path);
        if (bytes > INT64_MAX || ftruncate(fd, (off_t) bytes) < 0)
                return error_set_param(err, bytes > INT64_MAX ? -EFBIG : -errno, "size",
                                       "can't make a file of %llu bytes in %s", (unsigned long long) bytes, e->path);
        *ret = TAKE_FD(fd);
        return 0;
}

int name_file(const struct example *e, int fd, int dir, const char *name)
{
        char self[64];
        int r;

        r = e->host->fault(e->host->handle, "example.name-file");
        if (r < 0)
                return r;
        if (fsync(fd) < 0)
                return -errno;
        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int copy_file(const struct example *e, int from, int to, uint64_t bytes, const char *name, struct storaged_error *err)
{
        off_t at = 0;

        while ((uint64_t) at < bytes) {
                off_t data = lseek(from, at, SEEK_DATA), end, in, out;

                if (data < 0 && errno == ENXIO)
                        return 0;
                end = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
                if (end < 0)
                        return error_errno(err, -errno, "read", name);
                for (in = out = data; in < end;) {
                        size_t left = (size_t) (end - in);
                        ssize_t n =
                                copy_file_range(from, &in, to, &out, left < EXAMPLE_CHUNK ? left : EXAMPLE_CHUNK, 0);

                        if (n <= 0)
                                return error_errno(err, n < 0 ? -errno : -EIO, "copy", name);
                        if (e->host->progress(e->host->handle, (uint64_t) in, bytes) != 0)
                                return error_set(err, -ECANCELED, "the copy of %s was cancelled", name);
                }
                at = end;
        }
        return 0;
}

int each_name(const struct example *e, int (*fn)(void *userdata, int dir, const char *name), void *userdata,
              struct storaged_error *err)
{
        AUTO(closedirp) DIR *d = opendir(e->path);
        int r = 0;

        if (!d)
                return error_errno(err, -errno, "read the storage's directory", e->path);
        for (;;) {
                const struct dirent *entry;

                errno = 0;
                entry = readdir(d);
                if (!entry)
                        return errno ? error_errno(err, -errno, "read the storage's directory", e->path) : 0;
                r = fn(userdata, dirfd(d), entry->d_name);
                if (r != 0)
                        return r;
        }
}
