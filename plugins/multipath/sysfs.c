/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading sysfs. A file there is one value, read with one read(2) from its start; what is gone in between was never
 * there. All paths are relative to a descriptor of the tree, so that a recorded tree reads like the real one.
 */
#include "multipath/sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <storaged/cleanup.h>

int sysfs_bytes(int dir, const char *name, uint8_t *ret, size_t size)
{
        AUTO(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, ret, size);
        return n < 0 ? -errno : (int) n;
}

int sysfs_text(int dir, const char *name, char *ret, size_t size)
{
        int n = sysfs_bytes(dir, name, (uint8_t *) ret, size - 1), from = 0;

        if (n < 0) {
                ret[0] = '\0';
                return n;
        }
        while (n > 0 && (isspace((unsigned char) ret[n - 1]) || ret[n - 1] == '\0'))
                n--;
        while (from < n && isspace((unsigned char) ret[from]))
                from++;
        memmove(ret, ret + from, (size_t) (n - from));
        ret[n - from] = '\0';
        return n - from;
}

uint64_t sysfs_number(int dir, const char *name, uint64_t dflt)
{
        char text[32], *end;
        uint64_t v;

        if (sysfs_text(dir, name, text, sizeof(text)) <= 0 || !isdigit((unsigned char) text[0]))
                return dflt;
        errno = 0;
        v = strtoull(text, &end, 10);
        return *end || errno ? dflt : v;
}

int sysfs_link_name(int dir, const char *name, char *ret, size_t size)
{
        char target[1024];
        ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
        const char *slash;

        if (n < 0)
                return -errno;
        target[n] = '\0';
        slash = strrchr(target, '/');
        slash = slash ? slash + 1 : target;
        if (strlen(slash) >= size)
                return -ENAMETOOLONG;
        memcpy(ret, slash, strlen(slash) + 1);
        return 0;
}

int sysfs_each(int dir, const char *path, sysfs_fn fn, void *userdata)
{
        int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        struct dirent *e;
        DIR *d;

        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        while (r == 0 && (e = readdir(d)))
                if (e->d_name[0] != '.')
                        r = fn(userdata, fd, e->d_name, e->d_ino);
        (void) closedir(d);
        return r;
}
