/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What plugins write into configuration of others (lvmlocal.conf, multipath's drop-ins) is read by programs that may
 * start at any moment, and by the node after a power cut: a new file, complete and on disk, takes the place of the old.
 */
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <storaged/cleanup.h>

int text_printf(char **ret, const char *fmt, ...)
{
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vasprintf(ret, fmt, ap);
        va_end(ap);
        if (n < 0)
                *ret = NULL;
        return n < 0 ? -ENOMEM : 0;
}

int text_read(const char *path, size_t max, char **ret)
{
        AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        AUTO(freep) char *text = NULL;
        size_t len = 0;
        struct stat st;

        if (fd < 0 && errno == ENOENT) {
                *ret = NULL;
                return 0;
        }
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        if ((uint64_t) st.st_size > max)
                return -EFBIG;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        while (len < (size_t) st.st_size) {
                ssize_t n = read(fd, text + len, (size_t) st.st_size - len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break; /* it was cut meanwhile */
                len += (size_t) n;
        }
        text[len] = '\0';
        *ret = TAKE(text);
        return 0;
}

static int write_all(int fd, const char *text)
{
        size_t len = strlen(text);

        while (len > 0) {
                ssize_t n = write(fd, text, len);

                if (n < 0 && errno == EINTR)
                        continue; /* some file systems let a signal in: FUSE, NFS */
                if (n < 0)
                        return -errno;
                text += n;
                len -= (size_t) n;
        }
        return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The name is in its directory, also after a power cut. */
static int sync_directory(const char *path)
{
        AUTO(freep) char *dir = strdup(path);
        AUTO(closep) int fd = -EBADF;
        char *slash = dir ? strrchr(dir, '/') : NULL;

        if (!slash)
                return dir ? -EINVAL : -ENOMEM; /* paths are absolute */
        slash[slash == dir] = '\0';
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL && errno != ENOSYS)) /* not every file system knows it */
                return -errno;
        return 0;
}

static int replace(const char *path, const char *text)
{
        AUTO(freep) char *temporary = NULL;
        AUTO(closep) int fd = -EBADF;
        int r = text_printf(&temporary, "%s.XXXXXX", path);

        if (r < 0)
                return r;
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text);
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void) unlink(temporary); /* the first failure is the one to tell */
        return r;
}

int text_write(const char *path, const char *text)
{
        int r = text ? replace(path, text) : unlink(path) < 0 ? -errno : 0;

        if (!text && r == -ENOENT)
                return 0;
        return r < 0 ? r : sync_directory(path);
}
