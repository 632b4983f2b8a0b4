/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The export as a tree. What only looks (list, stat, read, space) asks the server directly through libnfs: bounded,
 * never cached, right even while nothing is mounted. What changes goes to the same path of the kernel's mount: there
 * is one writer per node then, whose caches know what it did, and libnfs 4.0.0 could not write over NFSv4 anyway.
 *
 * Links are never followed: libnfs would resolve them on this side, so each directory on the way to a name is
 * looked at first (common/tree-remote.h).
 */
#include "nfs/nfs-tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <nfsc/libnfs-raw-nfs.h>

#include "common/text.h"
#include "common/tree-remote.h"
#include "nfs/nfs-wait.h"

typedef struct NfsTree {
        Tree tree;
        Link *link;
        NfsMountTreeFn mount_tree;
        void *userdata;
        RemoteWay way;
} NfsTree;

static int begin_lstat(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_lstat64_async(nfs, args->path, cb, userdata);
}

static TreeAttr attr_of(const struct nfs_stat_64 *st)
{
        return (TreeAttr){
                .type = remote_type(st->nfs_mode),
                .mode = (uint32_t) (st->nfs_mode & 07777),
                .n_links = (uint32_t) st->nfs_nlink,
                .inode = st->nfs_ino,
                .bytes = st->nfs_size,
                .used_bytes = st->nfs_used,
                .mtime_ns = remote_ns(st->nfs_mtime, st->nfs_mtime_nsec),
                .ctime_ns = remote_ns(st->nfs_ctime, st->nfs_ctime_nsec),
        };
}

static int take_attr(struct nfs_context *nfs, int status, void *data, void *out)
{
        (void) nfs;
        *(TreeAttr *) out = attr_of(data);
        return status;
}

static int lstat_absolute(void *userdata, const char *abs, TreeAttr *ret)
{
        const LinkArgs args = { .path = abs };
        NfsTree *t = userdata;

        return link_call(t->link, begin_lstat, &args, take_attr, ret);
}

/* --- looking */

static int begin_opendir(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_opendir_async(nfs, args->path, cb, userdata);
}

static int add_entry(RemoteList *l, const struct nfsdirent *e)
{
        static const uint32_t types[] = { [NF3REG] = TREE_FILE, [NF3DIR] = TREE_DIR, [NF3LNK] = TREE_LINK };
        uint32_t type = e->type < sizeof(types) / sizeof(types[0]) ? types[e->type] : 0;
        const TreeAttr attr = {
                .type = type ? type : TREE_OTHER,
                .mode = e->mode & 07777,
                .n_links = e->nlink,
                .inode = e->inode,
                .bytes = e->size,
                .used_bytes = e->used,
                .mtime_ns = remote_ns((uint64_t) e->mtime.tv_sec, e->mtime_nsec),
                .ctime_ns = remote_ns((uint64_t) e->ctime.tv_sec, e->ctime_nsec),
        };

        return remote_list_add(l, e->name, &attr);
}

static int take_entries(struct nfs_context *nfs, int status, void *data, void *out)
{
        struct nfsdir *dir = data;
        struct nfsdirent *e;
        int r = status;

        while (r >= 0 && (e = nfs_readdir(nfs, dir)))
                r = add_entry(out, e);
        nfs_closedir(nfs, dir);
        return r;
}

static void free_stats(LinkStat *stats, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(stats[i].path);
        free(stats);
}

/* Attributes asked one by one; a name that is gone meanwhile gets n_links 0. */
static int stat_entries(NfsTree *t, const char *abs, RemoteList *l)
{
        LinkStat *stats = calloc(l->n ? l->n : 1, sizeof(*stats));
        int r = 0;

        if (!stats)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < l->n; i++)
                r = text_printf(&stats[i].path, "%s/%s", abs[1] ? abs : "", l->items[i].name);
        if (r == 0)
                r = link_stat_many(t->link, stats, l->n);
        for (size_t i = 0; r == 0 && i < l->n; i++)
                l->items[i].attr = stats[i].status == 0
                                           ? attr_of(&stats[i].st)
                                           : (TreeAttr){ .type = TREE_OTHER, .n_links = stats[i].status != -ENOENT };
        free_stats(stats, l->n);
        return r;
}

static int nfs_tree_list(Tree *tree, const char *dir, unsigned flags, TreeEntryFn fn, void *userdata)
{
        NfsTree *t = (NfsTree *) tree;
        AUTO(remote_list_deinit) RemoteList list = { 0 };
        char abs[TREE_PATH_MAX];
        const LinkArgs args = { .path = abs };
        bool is_incomplete;
        int r;

        r = remote_way(&t->way, dir, true, abs);
        if (r < 0)
                return r;
        /* All of it is taken first: `fn` may use this tree, and that may remake the connection. */
        r = link_call(t->link, begin_opendir, &args, take_entries, &list);
        /* Over NFSv4 libnfs 4.0.0 leaves the inode of an entry unset, so the attributes have to be asked for. */
        is_incomplete = t->link->version == 4 && !(flags & TREE_NAMES_ONLY);
        if (r >= 0 && is_incomplete)
                r = stat_entries(t, abs, &list);
        for (size_t i = 0; r >= 0 && i < list.n; i++) {
                if (is_incomplete && list.items[i].attr.n_links == 0)
                        continue;
                r = fn(userdata, list.items[i].name, flags & TREE_NAMES_ONLY ? NULL : &list.items[i].attr);
                if (r != 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

static int nfs_tree_stat(Tree *tree, const char *path, TreeAttr *ret)
{
        NfsTree *t = (NfsTree *) tree;
        char abs[TREE_PATH_MAX];
        TreeAttr attr;
        int r;

        r = remote_way(&t->way, path, false, abs);
        if (r < 0)
                return r;
        r = lstat_absolute(t, abs, &attr);
        if (r < 0)
                return r;
        *ret = attr;
        return 0;
}

static int check_regular(uint32_t type)
{
        return type == TREE_FILE ? 0 : type == TREE_LINK ? -ELOOP : type == TREE_DIR ? -EISDIR : -EINVAL;
}

static int nfs_tree_open(Tree *tree, const char *path, TreeFile **ret)
{
        NfsTree *t = (NfsTree *) tree;
        char abs[TREE_PATH_MAX];
        struct nfs_stat_64 st;
        LinkFile *f = NULL;
        TreeAttr attr;
        int r;

        r = remote_way(&t->way, path, false, abs);
        if (r < 0)
                return r;
        /* Over NFSv4 the look before the opening is one request, and libnfs leaks when it opens something else. */
        if (t->link->version != 3) {
                r = lstat_absolute(t, abs, &attr);
                if (r == 0)
                        r = check_regular(attr.type);
                if (r == 0)
                        r = link_file_open(t->link, abs, &f);
        } else {
                r = link_file_open(t->link, abs, &f); /* -ELOOP for a link */
                if (r == 0)
                        r = link_file_stat(f, &st);
                if (r == 0)
                        r = check_regular(remote_type(st.nfs_mode));
        }
        if (r < 0) {
                link_file_close(f);
                return r;
        }
        *ret = (TreeFile *) f;
        return 0;
}

static ssize_t nfs_tree_pread(Tree *tree, TreeFile *file, void *buf, size_t n, uint64_t offset)
{
        size_t done = 0;

        (void) tree;
        while (done < n) {
                size_t k = n - done > 65536 ? 65536 : n - done;
                int r = link_file_pread((LinkFile *) file, (char *) buf + done, k, offset + done);

                if (r < 0)
                        return r;
                if (r == 0)
                        break;
                done += (size_t) r;
        }
        return (ssize_t) done;
}

static void nfs_tree_close(Tree *tree, TreeFile *file)
{
        (void) tree;
        link_file_close((LinkFile *) file);
}

static int begin_statvfs(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_statvfs_async(nfs, args->path, cb, userdata);
}

static int take_space(struct nfs_context *nfs, int status, void *data, void *out)
{
        const struct statvfs *v = data;
        uint64_t unit = v->f_frsize ? v->f_frsize : v->f_bsize;

        (void) nfs;
        *(TreeSpace *) out = (TreeSpace){
                .total_bytes = v->f_blocks * unit,
                .avail_bytes = v->f_bavail * unit,
                .used_bytes = (v->f_blocks - v->f_bfree) * unit,
        };
        return status;
}

static int nfs_tree_space(Tree *tree, TreeSpace *ret)
{
        NfsTree *t = (NfsTree *) tree;
        const LinkArgs args = { .path = "/" };
        TreeSpace space;
        int r;

        r = link_call(t->link, begin_statvfs, &args, take_space, &space);
        if (r < 0)
                return r;
        *ret = space;
        return 0;
}

/* --- changing: on the mount */

static int mount_of(Tree *tree, Tree **ret)
{
        NfsTree *t = (NfsTree *) tree;

        return t->mount_tree ? t->mount_tree(t->userdata, ret) : -EROFS;
}

static int nfs_tree_create(Tree *tree, const char *path, uint64_t bytes, uint32_t mode)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->create(m, path, bytes, mode);
}

static int nfs_tree_truncate(Tree *tree, const char *path, uint64_t bytes)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->truncate(m, path, bytes);
}

static int nfs_tree_write(Tree *tree, const char *path, const void *data, size_t n, uint32_t mode)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->write(m, path, data, n, mode);
}

static int nfs_tree_link(Tree *tree, const char *from, const char *to)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->link(m, from, to);
}

static int nfs_tree_rename(Tree *tree, const char *from, const char *to, unsigned flags)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        remote_way_forget(&((NfsTree *) tree)->way);
        return r < 0 ? r : m->ops->rename(m, from, to, flags);
}

static int nfs_tree_unlink(Tree *tree, const char *path)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->unlink(m, path);
}

static int nfs_tree_mkdir(Tree *tree, const char *path, uint32_t mode)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->mkdir(m, path, mode);
}

static int nfs_tree_rmdir(Tree *tree, const char *path)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        remote_way_forget(&((NfsTree *) tree)->way);
        return r < 0 ? r : m->ops->rmdir(m, path);
}

static int nfs_tree_chmod(Tree *tree, const char *path, uint32_t mode)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        return r < 0 ? r : m->ops->chmod(m, path, mode);
}

static int nfs_tree_allocate(Tree *tree, const char *path, uint64_t offset, uint64_t bytes)
{
        Tree *m = NULL;
        int r = mount_of(tree, &m);

        if (r < 0)
                return r;
        return m->ops->allocate ? m->ops->allocate(m, path, offset, bytes) : -EOPNOTSUPP;
}

static void nfs_tree_free(Tree *tree)
{
        free(tree);
}

static const TreeOps nfs_tree_ops = {
        .free = nfs_tree_free,
        .list = nfs_tree_list,
        .stat = nfs_tree_stat,
        .open = nfs_tree_open,
        .pread = nfs_tree_pread,
        .close = nfs_tree_close,
        .create = nfs_tree_create,
        .truncate = nfs_tree_truncate,
        .write = nfs_tree_write,
        .link = nfs_tree_link,
        .rename = nfs_tree_rename,
        .unlink = nfs_tree_unlink,
        .mkdir = nfs_tree_mkdir,
        .rmdir = nfs_tree_rmdir,
        .chmod = nfs_tree_chmod,
        .space = nfs_tree_space,
        .allocate = nfs_tree_allocate,
};

int nfs_tree_new(Link *link, NfsMountTreeFn mount_tree, void *userdata, Tree **ret)
{
        NfsTree *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->tree.ops = &nfs_tree_ops;
        t->link = link;
        t->mount_tree = mount_tree;
        t->userdata = userdata;
        t->way = (RemoteWay){ .lstat = lstat_absolute, .userdata = t };
        *ret = &t->tree;
        return 0;
}
