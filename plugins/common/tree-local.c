/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory tree of the local kernel, held by a descriptor of its root. Every path is resolved by the kernel
 * beneath that descriptor without following any symbolic link (openat2), or, where a kernel or a system call
 * filter lacks openat2, component by component with O_NOFOLLOW. So no name can lead out of the root. Here is how paths
 * are resolved and what only looks; directories are read in tree-local-list.c and, many at once, tree-local-many.c;
 * what changes the tree is in tree-local-change.c.
 */
#include "common/tree-local.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

typedef struct LocalTree {
        Tree tree;
        int root_fd;
        bool has_openat2;
} LocalTree;

struct TreeFile {
        int fd;
};

static LocalTree *local(Tree *t)
{
        return (LocalTree *) t;
}

static int openat2_beneath(int root_fd, const char *path, int flags, uint32_t mode)
{
        struct open_how how = {
                .flags = (uint64_t) (uint32_t) flags,
                .mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        long fd;

        do
                fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
        while (fd < 0 && (errno == EINTR || errno == EAGAIN));
        return fd < 0 ? -errno : (int) fd;
}

/* The same, one component after the other. */
static int walk_beneath(int root_fd, const char *path, int flags, uint32_t mode)
{
        AUTO(closep) int at = -EBADF;
        char part[TREE_NAME_MAX];
        int fd;

        for (;;) {
                size_t n = strcspn(path, "/");

                if (n >= sizeof(part))
                        return -ENAMETOOLONG;
                memcpy(part, path, n);
                part[n] = '\0';
                if (strcmp(part, "..") == 0)
                        return -EXDEV;
                path += n;
                path += strspn(path, "/");
                if (!*path)
                        break;
                fd = openat(at < 0 ? root_fd : at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                closep(&at);
                at = fd;
        }
        fd = openat(at < 0 ? root_fd : at, part, flags | O_NOFOLLOW, mode);
        return fd < 0 ? -errno : fd;
}

int tree_local_root_fd(Tree *t)
{
        return local(t)->root_fd;
}

int tree_local_openat(Tree *t, const char *path, int flags, uint32_t mode)
{
        return tree_local_openat_below(t, local(t)->root_fd, path, flags, mode);
}

int tree_local_openat_below(Tree *t, int fd, const char *path, int flags, uint32_t mode)
{
        if (!*path)
                path = ".";
        flags |= O_CLOEXEC;
        return local(t)->has_openat2 ? openat2_beneath(fd, path, flags, mode) : walk_beneath(fd, path, flags, mode);
}

int tree_local_open_parent(Tree *t, const char *path, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        char dir[TREE_PATH_MAX];
        size_t n = slash ? (size_t) (slash - path) : 0;
        int fd;

        if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return -EINVAL;
        if (n >= sizeof(dir))
                return -ENAMETOOLONG;
        memcpy(dir, path, n);
        dir[n] = '\0';
        fd = tree_local_openat(t, dir, O_PATH | O_DIRECTORY, 0);
        if (fd >= 0)
                *ret_name = name;
        return fd;
}

static int local_stat(Tree *t, const char *path, TreeAttr *ret)
{
        const char *name;
        AUTO(closep) int fd = -EBADF;

        if (!*path)
                return tree_local_attr(local(t)->root_fd, "", AT_EMPTY_PATH, ret);
        fd = tree_local_open_parent(t, path, &name);
        return fd < 0 ? fd : tree_local_attr(fd, name, 0, ret);
}

static int local_open(Tree *t, const char *path, TreeFile **ret)
{
        AUTO(freep) TreeFile *f = malloc(sizeof(*f));
        AUTO(closep) int fd = -EBADF;
        struct stat st;

        if (!f)
                return -ENOMEM;
        /* O_NONBLOCK: a FIFO in the storage must not hang us */
        fd = tree_local_openat(t, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        f->fd = TAKE_FD(fd);
        *ret = TAKE(f);
        return 0;
}

static ssize_t local_pread(Tree *t, TreeFile *f, void *buf, size_t n, uint64_t offset)
{
        size_t done = 0;

        (void) t;
        while (done < n) {
                ssize_t k = pread(f->fd, (char *) buf + done, n - done, (off_t) (offset + done));

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                done += (size_t) k;
        }
        return (ssize_t) done;
}

static void local_close(Tree *t, TreeFile *f)
{
        (void) t;
        if (f)
                closep(&f->fd);
        free(f);
}

static int local_space(Tree *t, TreeSpace *ret)
{
        struct statvfs v;

        if (fstatvfs(local(t)->root_fd, &v) < 0)
                return -errno;
        *ret = (TreeSpace){
                .total_bytes = (uint64_t) v.f_blocks * v.f_frsize,
                .avail_bytes = (uint64_t) v.f_bavail * v.f_frsize,
                .used_bytes = (uint64_t) (v.f_blocks - v.f_bfree) * v.f_frsize,
        };
        return 0;
}

static void local_free(Tree *t)
{
        closep(&local(t)->root_fd);
        free(t);
}

static const TreeOps local_ops = {
        .free = local_free,
        .list = tree_local_list,
        .stat = local_stat,
        .open = local_open,
        .pread = local_pread,
        .close = local_close,
        .create = tree_local_create,
        .truncate = tree_local_truncate,
        .write = tree_local_write,
        .link = tree_local_link,
        .rename = tree_local_rename,
        .unlink = tree_local_unlink,
        .mkdir = tree_local_mkdir,
        .rmdir = tree_local_rmdir,
        .chmod = tree_local_chmod,
        .space = local_space,
        .list_many = tree_local_list_many,
        .allocate = tree_local_allocate,
        .set_immutable = tree_local_set_immutable,
};

int tree_local_new(const char *root, Tree **ret)
{
        LocalTree *l = calloc(1, sizeof(*l));
        int probe;

        if (!l)
                return -ENOMEM;
        l->tree.ops = &local_ops;
        l->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (l->root_fd < 0) {
                free(l);
                return -errno;
        }
        probe = openat2_beneath(l->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        l->has_openat2 = probe >= 0;
        closep(&probe);
        *ret = &l->tree;
        return 0;
}
