/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The export as a tree. What only looks (list, stat, read, space) asks the server directly through libnfs: bounded,
 * never cached, right even while nothing is mounted. What changes goes to the same path of the kernel's mount: there
 * is one writer per node then, whose caches know what it did, and libnfs 4.0.0 could not write over NFSv4 anyway.
 *
 * Links are never followed: libnfs would resolve them on this side, so each directory on the way to a name is
 * looked at first. A directory found good is believed for a second, which makes a listing's many files cheap.
 */
#include "nfs/nfs-tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <nfsc/libnfs-raw-nfs.h>

#include "nfs/nfs-wait.h"

#define BELIEVED_MS 1000u
#define LIST_ENTRIES_MAX 4000000u /* a server that sends names without end */

typedef struct NfsTree {
        Tree tree;
        Link *link;
        NfsMountTreeFn mount_tree;
        void *userdata;
        char good_dir[TREE_PATH_MAX]; /* no link on the way to it and none itself, as of good_ms */
        uint64_t good_ms;
} NfsTree;

typedef struct Entry {
        char *name;
        TreeAttr attr;
} Entry;

typedef struct EntryList {
        Entry *items;
        size_t n, n_alloc;
} EntryList;

static void entry_list_deinit(EntryList *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].name);
        free(l->items);
}

/* "a/b" -> "/a/b", "" -> "/". No "..", no empty part, no leading slash. */
static int absolute(const char *path, char ret[static TREE_PATH_MAX])
{
        if (strlen(path) + 2 > TREE_PATH_MAX)
                return -ENAMETOOLONG;
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && p[0] == '.'))
                        return -EINVAL;
                if (n == 2 && p[0] == '.' && p[1] == '.')
                        return -EXDEV;
                if (n >= TREE_NAME_MAX)
                        return -ENAMETOOLONG;
                p += n;
                if (*p == '/' && p[1] == '\0')
                        return -EINVAL;
                p += *p == '/';
        }
        (void) snprintf(ret, TREE_PATH_MAX, "/%s", path);
        return 0;
}

static uint32_t type_of_mode(uint64_t mode)
{
        return S_ISREG(mode) ? TREE_FILE : S_ISDIR(mode) ? TREE_DIR : S_ISLNK(mode) ? TREE_LINK : TREE_OTHER;
}

static int64_t nanoseconds(uint64_t sec, uint64_t nsec)
{
        return (int64_t) (sec * 1000000000u + nsec);
}

static int begin_lstat(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_lstat64_async(nfs, args->path, cb, userdata);
}

static TreeAttr attr_of(const struct nfs_stat_64 *st)
{
        return (TreeAttr){
                .type = type_of_mode(st->nfs_mode),
                .mode = (uint32_t) (st->nfs_mode & 07777),
                .n_links = (uint32_t) st->nfs_nlink,
                .inode = st->nfs_ino,
                .bytes = st->nfs_size,
                .used_bytes = st->nfs_used,
                .mtime_ns = nanoseconds(st->nfs_mtime, st->nfs_mtime_nsec),
                .ctime_ns = nanoseconds(st->nfs_ctime, st->nfs_ctime_nsec),
        };
}

static int take_attr(struct nfs_context *nfs, int status, void *data, void *out)
{
        (void) nfs;
        *(TreeAttr *) out = attr_of(data);
        return status;
}

static int lstat_absolute(NfsTree *t, const char *abs, TreeAttr *ret)
{
        const LinkArgs args = { .path = abs };

        return link_call(t->link, begin_lstat, &args, take_attr, ret);
}

/* Every part of `abs` that is a directory on the way, and with `is_last_too` its last one, is one and no link. */
static int check_way(NfsTree *t, const char *abs, bool is_last_too)
{
        char dir[TREE_PATH_MAX];
        const char *last = strrchr(abs, '/');
        size_t n = is_last_too ? strlen(abs) : (size_t) (last - abs);

        if (n <= 1)
                return 0;
        memcpy(dir, abs, n);
        dir[n] = '\0';
        if (strcmp(dir, t->good_dir) == 0 && wait_now_ms() - t->good_ms < BELIEVED_MS)
                return 0;
        for (char *p = dir + 1; p; p = p[0] ? p + 1 : NULL) {
                TreeAttr attr;
                char saved;
                int r;

                p += strcspn(p, "/");
                saved = *p;
                *p = '\0';
                r = lstat_absolute(t, dir, &attr);
                if (r < 0)
                        return r;
                if (attr.type == TREE_LINK)
                        return -ELOOP;
                if (attr.type != TREE_DIR)
                        return -ENOTDIR;
                *p = saved;
        }
        (void) snprintf(t->good_dir, sizeof(t->good_dir), "%s", dir);
        t->good_ms = wait_now_ms();
        return 0;
}

/* The absolute form of a path whose directories are no links. */
static int prepare(NfsTree *t, const char *path, bool is_last_too, char ret[static TREE_PATH_MAX])
{
        int r = absolute(path, ret);

        return r < 0 ? r : check_way(t, ret, is_last_too);
}

/* --- looking */

static int begin_opendir(struct nfs_context *nfs, const LinkArgs *args, nfs_cb cb, void *userdata)
{
        return nfs_opendir_async(nfs, args->path, cb, userdata);
}

static int entry_list_add(EntryList *l, const struct nfsdirent *e)
{
        static const uint32_t types[] = { [NF3REG] = TREE_FILE, [NF3DIR] = TREE_DIR, [NF3LNK] = TREE_LINK };
        uint32_t type = e->type < sizeof(types) / sizeof(types[0]) ? types[e->type] : 0;
        char *name;

        if (l->n == l->n_alloc) {
                size_t n = l->n_alloc ? 2 * l->n_alloc : 64;
                Entry *items = n > LIST_ENTRIES_MAX ? NULL : realloc(l->items, n * sizeof(*items));

                if (!items)
                        return -ENOMEM;
                l->items = items;
                l->n_alloc = n;
        }
        name = strdup(e->name);
        if (!name)
                return -ENOMEM;
        l->items[l->n++] = (Entry){
                .name = name,
                .attr = {
                        .type = type ? type : TREE_OTHER,
                        .mode = e->mode & 07777,
                        .n_links = e->nlink,
                        .inode = e->inode,
                        .bytes = e->size,
                        .used_bytes = e->used,
                        .mtime_ns = nanoseconds((uint64_t) e->mtime.tv_sec, e->mtime_nsec),
                        .ctime_ns = nanoseconds((uint64_t) e->ctime.tv_sec, e->ctime_nsec),
                },
        };
        return 0;
}

/* Names come from the server: one that is no name is not passed on. */
static bool is_name(const char *s)
{
        return s && s[0] && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && !strchr(s, '/') && strlen(s) < TREE_NAME_MAX;
}

static int take_entries(struct nfs_context *nfs, int status, void *data, void *out)
{
        struct nfsdir *dir = data;
        struct nfsdirent *e;
        int r = status;

        while (r >= 0 && (e = nfs_readdir(nfs, dir)))
                if (is_name(e->name))
                        r = entry_list_add(out, e);
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
static int stat_entries(NfsTree *t, const char *abs, EntryList *l)
{
        LinkStat *stats = calloc(l->n ? l->n : 1, sizeof(*stats));
        int r = 0;

        if (!stats)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < l->n; i++)
                if (asprintf(&stats[i].path, "%s/%s", abs[1] ? abs : "", l->items[i].name) < 0) {
                        stats[i].path = NULL;
                        r = -ENOMEM;
                }
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
        AUTO(entry_list_deinit) EntryList list = { 0 };
        char abs[TREE_PATH_MAX];
        const LinkArgs args = { .path = abs };
        bool is_incomplete;
        int r;

        r = prepare(t, dir, true, abs);
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

        r = prepare(t, path, false, abs);
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

        r = prepare(t, path, false, abs);
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
                        r = check_regular(type_of_mode(st.nfs_mode));
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

        ((NfsTree *) tree)->good_dir[0] = '\0';
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

        ((NfsTree *) tree)->good_dir[0] = '\0';
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
        *ret = &t->tree;
        return 0;
}
