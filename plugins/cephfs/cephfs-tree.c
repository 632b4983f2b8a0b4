/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All clients of CephFS see each other's changes at once, so what this tree makes is there for the mount and the other
 * way round, and nothing of the control plane needs the mount at all. Each call runs under the watch; what is given to
 * others (entries of a directory) is given after it.
 *
 * libcephfs resolves links below the session's root, so the way to a name is looked at first (common/tree-remote.h).
 */
#include "cephfs/cephfs-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/tree-remote.h"

#define WANTED                                                                                       \
        (CEPH_STATX_MODE | CEPH_STATX_NLINK | CEPH_STATX_INO | CEPH_STATX_SIZE | CEPH_STATX_BLOCKS | \
         CEPH_STATX_MTIME | CEPH_STATX_CTIME)
#define BLOCK 512u
#define STEP (1u << 20) /* bytes of a read or write under one watch */
#define ENTRIES_A_WATCH 1024u

typedef struct CephTree {
        Tree tree;
        CephFs *fs;
        RemoteWay way;
} CephTree;

struct TreeFile {
        int fd; /* of libcephfs */
};

#define TREE_WATCH(t, what, path) CEPH_WATCH(&(t)->fs->cluster.watch, CEPH_SHORT_MS, "%s %.120s", what, path)

static TreeAttr attr_of(const struct ceph_statx *st)
{
        return (TreeAttr){
                .type = remote_type(st->stx_mode),
                .mode = st->stx_mode & 07777u,
                .n_links = st->stx_nlink,
                .inode = st->stx_ino,
                .bytes = st->stx_size,
                .used_bytes = st->stx_blocks * BLOCK,
                .mtime_ns = remote_ns((uint64_t) st->stx_mtime.tv_sec, (uint64_t) st->stx_mtime.tv_nsec),
                .ctime_ns = remote_ns((uint64_t) st->stx_ctime.tv_sec, (uint64_t) st->stx_ctime.tv_nsec),
        };
}

/* A session that was thrown out answers so; the next check makes a new one. */
static int result(CephTree *t, int r)
{
        if (r == -ENOTCONN || r == -ESHUTDOWN)
                t->fs->cluster.is_stale = true;
        return r;
}

static int lstat_absolute(void *userdata, const char *abs, TreeAttr *ret)
{
        CephTree *t = userdata;
        struct ceph_statx st;
        int r = ceph_statx(t->fs->session, abs, &st, WANTED, AT_SYMLINK_NOFOLLOW);

        if (r < 0)
                return result(t, r);
        *ret = attr_of(&st);
        return 0;
}

/* --- looking */

static int read_entries(CephTree *t, struct ceph_dir_result *dir, RemoteList *list)
{
        const TreeAttr unknown = { 0 };
        struct dirent e;
        int r;

        while ((r = ceph_readdir_r(t->fs->session, dir, &e)) > 0) {
                r = remote_list_add(list, e.d_name, &unknown);
                if (r < 0)
                        return r;
                if (list->n % ENTRIES_A_WATCH == 0)
                        ceph_watch_again(&t->fs->cluster.watch);
        }
        return result(t, r);
}

/*
 * One by one: what comes with the names is what the server knew last, not what a client that has the file open for
 * writing has made of it since. What is gone meanwhile is left out.
 */
static int stat_entries(CephTree *t, const char *abs, RemoteList *list)
{
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < list->n && r >= 0; i++) {
                RemoteEntry entry = list->items[i];
                char path[TREE_PATH_MAX + TREE_NAME_MAX];

                (void) snprintf(path, sizeof(path), "%s/%s", abs[1] ? abs : "", entry.name);
                r = lstat_absolute(t, path, &entry.attr);
                ceph_watch_again(&t->fs->cluster.watch);
                if (r == -ENOENT)
                        free(entry.name);
                else
                        list->items[n++] = entry;
                r = r == -ENOENT ? 0 : r;
                if (r < 0) /* the rest is not looked at, and freed with the list */
                        while (++i < list->n)
                                list->items[n++] = list->items[i];
        }
        list->n = n;
        return r;
}

static int take_entries(CephTree *t, const char *path, unsigned flags, RemoteList *list)
{
        struct ceph_dir_result *dir = NULL;
        char abs[TREE_PATH_MAX];
        int r;

        TREE_WATCH(t, "list", path);
        r = remote_way(&t->way, path, true, abs);
        if (r >= 0)
                r = result(t, ceph_opendir(t->fs->session, abs, &dir));
        if (r < 0)
                return r;
        r = read_entries(t, dir, list);
        (void) ceph_closedir(t->fs->session, dir);
        return r < 0 || (flags & TREE_NAMES_ONLY) ? r : stat_entries(t, abs, list);
}

static int ceph_tree_list(Tree *tree, const char *dir, unsigned flags, TreeEntryFn fn, void *userdata)
{
        AUTO(remote_list_deinit) RemoteList list = { 0 };
        int r = take_entries((CephTree *) tree, dir, flags, &list);

        for (size_t i = 0; r >= 0 && i < list.n; i++) {
                r = fn(userdata, list.items[i].name, flags & TREE_NAMES_ONLY ? NULL : &list.items[i].attr);
                if (r != 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

static int ceph_tree_stat(Tree *tree, const char *path, TreeAttr *ret)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        int r;

        TREE_WATCH(t, "look at", path);
        r = remote_way(&t->way, path, false, abs);
        return r < 0 ? r : lstat_absolute(t, abs, ret);
}

static int check_regular(uint32_t type)
{
        return type == TREE_FILE ? 0 : type == TREE_LINK ? -ELOOP : type == TREE_DIR ? -EISDIR : -EINVAL;
}

/* A descriptor of a regular file, or -errno. */
static int open_file(CephTree *t, const char *path, int flags, char abs[static TREE_PATH_MAX])
{
        TreeAttr attr = { 0 };
        int r = remote_way(&t->way, path, false, abs);

        if (r >= 0)
                r = lstat_absolute(t, abs, &attr);
        if (r >= 0)
                r = check_regular(attr.type);
        return r < 0 ? r : result(t, ceph_open(t->fs->session, abs, flags | O_NOFOLLOW, 0));
}

static int ceph_tree_open(Tree *tree, const char *path, TreeFile **ret)
{
        CephTree *t = (CephTree *) tree;
        AUTO(freep) TreeFile *f = calloc(1, sizeof(*f));
        char abs[TREE_PATH_MAX];

        if (!f)
                return -ENOMEM;
        TREE_WATCH(t, "open", path);
        f->fd = open_file(t, path, O_RDONLY, abs);
        if (f->fd < 0)
                return f->fd;
        *ret = TAKE(f);
        return 0;
}

static ssize_t ceph_tree_pread(Tree *tree, TreeFile *file, void *buf, size_t n, uint64_t offset)
{
        CephTree *t = (CephTree *) tree;
        size_t done = 0;

        TREE_WATCH(t, "read", "a file");
        while (done < n) {
                size_t k = n - done > STEP ? STEP : n - done;
                int r = ceph_read(t->fs->session, file->fd, (char *) buf + done, (int64_t) k,
                                  (int64_t) (offset + done));

                if (r < 0)
                        return result(t, r);
                if (r == 0)
                        break;
                done += (size_t) r;
                ceph_watch_again(&t->fs->cluster.watch);
        }
        return (ssize_t) done;
}

static void ceph_tree_close(Tree *tree, TreeFile *file)
{
        CephTree *t = (CephTree *) tree;

        TREE_WATCH(t, "close", "a file");
        (void) ceph_close(t->fs->session, file->fd);
        free(file);
}

static int ceph_tree_space(Tree *tree, TreeSpace *ret)
{
        CephTree *t = (CephTree *) tree;
        struct statvfs v;
        uint64_t unit;
        int r;

        TREE_WATCH(t, "ask for the space of", "/");
        r = ceph_statfs(t->fs->session, "/", &v);
        if (r < 0)
                return result(t, r);
        unit = v.f_frsize ? v.f_frsize : v.f_bsize;
        *ret = (TreeSpace){
                .total_bytes = v.f_blocks * unit,
                .avail_bytes = v.f_bavail * unit,
                .used_bytes = (v.f_blocks - v.f_bfree) * unit,
        };
        return 0;
}

/* --- changing */

static int make_file(CephTree *t, const char *abs, uint32_t mode)
{
        int fd = ceph_open(t->fs->session, abs, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        int r;

        if (fd < 0)
                return result(t, fd);
        r = ceph_fchmod(t->fs->session, fd, mode); /* whatever the umask */
        if (r >= 0)
                return fd;
        (void) ceph_close(t->fs->session, fd);
        (void) ceph_unlink(t->fs->session, abs);
        return result(t, r);
}

/* Closes it; after a failure the file that was made goes again. */
static int end_file(CephTree *t, const char *abs, int fd, int r)
{
        int k;

        if (r >= 0)
                r = ceph_fsync(t->fs->session, fd, 0);
        k = ceph_close(t->fs->session, fd);
        r = r < 0 ? r : k;
        if (r < 0)
                (void) ceph_unlink(t->fs->session, abs);
        return result(t, r < 0 ? r : 0);
}

static int ceph_tree_create(Tree *tree, const char *path, uint64_t bytes, uint32_t mode)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        int r, fd;

        if (bytes > INT64_MAX)
                return -EFBIG;
        TREE_WATCH(t, "make", path);
        r = remote_way(&t->way, path, false, abs);
        fd = r < 0 ? r : make_file(t, abs, mode);
        if (fd < 0)
                return fd;
        return end_file(t, abs, fd, bytes ? ceph_ftruncate(t->fs->session, fd, (int64_t) bytes) : 0);
}

static int write_all(CephTree *t, int fd, const char *data, size_t n)
{
        for (size_t done = 0; done < n;) {
                size_t k = n - done > STEP ? STEP : n - done;
                int r = ceph_write(t->fs->session, fd, data + done, (int64_t) k, (int64_t) done);

                if (r < 0)
                        return r;
                done += (size_t) r;
                ceph_watch_again(&t->fs->cluster.watch);
        }
        return 0;
}

static int ceph_tree_write(Tree *tree, const char *path, const void *data, size_t n, uint32_t mode)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        int r, fd;

        TREE_WATCH(t, "write", path);
        r = remote_way(&t->way, path, false, abs);
        fd = r < 0 ? r : make_file(t, abs, mode);
        return fd < 0 ? fd : end_file(t, abs, fd, write_all(t, fd, data, n));
}

static int ceph_tree_truncate(Tree *tree, const char *path, uint64_t bytes)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        int r, fd;

        if (bytes > INT64_MAX)
                return -EFBIG;
        TREE_WATCH(t, "resize", path);
        fd = open_file(t, path, O_WRONLY, abs);
        if (fd < 0)
                return fd;
        r = ceph_ftruncate(t->fs->session, fd, (int64_t) bytes);
        if (r >= 0)
                r = ceph_fsync(t->fs->session, fd, 0);
        (void) ceph_close(t->fs->session, fd);
        return result(t, r);
}

static int link_absolute(CephTree *t, const char *from, const char *to)
{
        TreeAttr attr;
        int r = lstat_absolute(t, from, &attr);

        if (r < 0)
                return r;
        return attr.type == TREE_DIR ? -EPERM : result(t, ceph_link(t->fs->session, from, to));
}

static int ceph_tree_link(Tree *tree, const char *from, const char *to)
{
        char from_abs[TREE_PATH_MAX], to_abs[TREE_PATH_MAX];
        CephTree *t = (CephTree *) tree;
        int r;

        TREE_WATCH(t, "link", from);
        r = remote_way(&t->way, from, false, from_abs);
        if (r >= 0)
                r = remote_way(&t->way, to, false, to_abs);
        return r < 0 ? r : link_absolute(t, from_abs, to_abs);
}

/* Without replacing: for files by a second name, since rename() of CephFS replaces; of directories only empty ones. */
static int ceph_tree_rename(Tree *tree, const char *from, const char *to, unsigned flags)
{
        char from_abs[TREE_PATH_MAX], to_abs[TREE_PATH_MAX];
        CephTree *t = (CephTree *) tree;
        TreeAttr attr;
        int r;

        TREE_WATCH(t, "rename", from);
        r = remote_way(&t->way, from, false, from_abs);
        if (r >= 0)
                r = remote_way(&t->way, to, false, to_abs);
        if (r < 0)
                return r;
        remote_way_forget(&t->way);
        if (!(flags & TREE_NO_REPLACE))
                return result(t, ceph_rename(t->fs->session, from_abs, to_abs));
        r = link_absolute(t, from_abs, to_abs);
        if (r != -EPERM)
                return r < 0 ? r : result(t, ceph_unlink(t->fs->session, from_abs));
        if (lstat_absolute(t, to_abs, &attr) == 0)
                return -EEXIST;
        return result(t, ceph_rename(t->fs->session, from_abs, to_abs));
}

typedef int (*OnePathFn)(struct ceph_mount_info *session, const char *path);

static int on_path(Tree *tree, const char *path, const char *what, OnePathFn fn)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        int r;

        TREE_WATCH(t, what, path);
        r = remote_way(&t->way, path, false, abs);
        remote_way_forget(&t->way);
        return r < 0 ? r : result(t, fn(t->fs->session, abs));
}

static int ceph_tree_unlink(Tree *tree, const char *path)
{
        return on_path(tree, path, "remove", ceph_unlink);
}

static int ceph_tree_rmdir(Tree *tree, const char *path)
{
        return on_path(tree, path, "remove", ceph_rmdir);
}

static int ceph_tree_mkdir(Tree *tree, const char *path, uint32_t mode)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        int r;

        TREE_WATCH(t, "make", path);
        r = remote_way(&t->way, path, false, abs);
        return r < 0 ? r : result(t, ceph_mkdir(t->fs->session, abs, mode));
}

static int ceph_tree_chmod(Tree *tree, const char *path, uint32_t mode)
{
        CephTree *t = (CephTree *) tree;
        char abs[TREE_PATH_MAX];
        TreeAttr attr;
        int r;

        TREE_WATCH(t, "chmod", path);
        r = remote_way(&t->way, path, false, abs);
        if (r >= 0)
                r = lstat_absolute(t, abs, &attr);
        if (r < 0)
                return r;
        return attr.type == TREE_LINK ? -ELOOP : result(t, ceph_chmod(t->fs->session, abs, mode));
}

static void ceph_tree_free(Tree *tree)
{
        free(tree);
}

static const TreeOps ceph_tree_ops = {
        .free = ceph_tree_free,
        .list = ceph_tree_list,
        .stat = ceph_tree_stat,
        .open = ceph_tree_open,
        .pread = ceph_tree_pread,
        .close = ceph_tree_close,
        .create = ceph_tree_create,
        .truncate = ceph_tree_truncate,
        .write = ceph_tree_write,
        .link = ceph_tree_link,
        .rename = ceph_tree_rename,
        .unlink = ceph_tree_unlink,
        .mkdir = ceph_tree_mkdir,
        .rmdir = ceph_tree_rmdir,
        .chmod = ceph_tree_chmod,
        .space = ceph_tree_space,
};

int cephfs_tree_new(CephFs *f, Tree **ret)
{
        CephTree *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->tree.ops = &ceph_tree_ops;
        t->fs = f;
        t->way = (RemoteWay){ .lstat = lstat_absolute, .userdata = t };
        *ret = &t->tree;
        return 0;
}
