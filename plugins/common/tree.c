/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be done with any directory tree by its basic operations alone. Nothing here knows who serves the
 * tree; a bound limits everything that an outsider could make large (file sizes, depth).
 */
#include "common/tree.h"

#include <errno.h>
#include <string.h>

bool tree_is_no_directory(int r)
{
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV;
}

typedef struct ManyEntry {
        TreeMany *many;
        bool is_stopped; /* by the caller's function, not by a failure of the tree */
} ManyEntry;

static int give_entry(void *userdata, const char *name, const TreeAttr *attr)
{
        ManyEntry *e = userdata;
        int r = e->many->fn(e->many->userdata, e->many->n_listed, name, attr);

        e->is_stopped = r != 0;
        return r;
}

int tree_list_many(Tree *t, TreeMany *many)
{
        many->n_listed = 0;
        if (t->ops->list_many)
                return t->ops->list_many(t, many);
        for (; many->n_listed < many->n; many->n_listed++) {
                ManyEntry e = { .many = many };
                char path[TREE_PATH_MAX];
                int n = snprintf(path, sizeof(path), "%s/%s", many->dir, many->names[many->n_listed]);
                int r = n < 0 || (size_t) n >= sizeof(path) ? -ENAMETOOLONG : t->ops->list(t, path, 0, give_entry, &e);

                if (r != 0 && (e.is_stopped || !tree_is_no_directory(r)))
                        return r;
        }
        return 0;
}

int tree_read_file(Tree *t, const char *path, size_t max, char **ret, size_t *ret_n)
{
        TreeFile *f = NULL;
        AUTO(freep) char *buf = malloc(max + 1);
        ssize_t n;
        int r;

        if (!buf)
                return -ENOMEM;
        r = t->ops->open(t, path, &f);
        if (r < 0)
                return r;
        n = t->ops->pread(t, f, buf, max, 0);
        t->ops->close(t, f);
        if (n < 0)
                return (int) n;
        buf[n] = '\0';
        if (ret_n)
                *ret_n = (size_t) n;
        *ret = TAKE(buf);
        return 0;
}

int tree_write_file(Tree *t, const char *path, const char *tmp, const void *data, size_t n, uint32_t mode)
{
        int r = t->ops->write(t, tmp, data, n, mode);

        if (r < 0)
                return r;
        r = t->ops->rename(t, tmp, path, 0);
        if (r < 0)
                (void) t->ops->unlink(t, tmp); /* the first failure is the one to tell */
        return r;
}

/* One level; what is there already must be a directory. */
static int mkdir_one(Tree *t, const char *path, uint32_t mode)
{
        TreeAttr attr;
        int r = t->ops->stat(t, path, &attr);

        if (r == 0)
                return attr.type == TREE_DIR ? 0 : -ENOTDIR;
        if (r != -ENOENT)
                return r;
        r = t->ops->mkdir(t, path, mode);
        return r == -EEXIST ? 0 : r; /* someone else was faster */
}

int tree_mkdir_p(Tree *t, const char *path, uint32_t mode)
{
        char part[TREE_PATH_MAX];
        size_t len = strlen(path);

        if (len >= sizeof(part))
                return -ENAMETOOLONG;
        memcpy(part, path, len + 1);
        for (char *p = part; (p = strchr(p, '/')); *p++ = '/') {
                int r;

                *p = '\0';
                r = mkdir_one(t, part, mode);
                if (r < 0)
                        return r;
        }
        return len ? mkdir_one(t, part, mode) : 0;
}

typedef struct Removal {
        Tree *tree;
        const char *dir;
        unsigned depth;
} Removal;

static int remove_entry(void *userdata, const char *name, const TreeAttr *attr)
{
        Removal *rm = userdata;
        char path[TREE_PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/%s", rm->dir, name);

        if (n < 0 || (size_t) n >= sizeof(path))
                return -ENAMETOOLONG;
        if (attr->type == TREE_DIR)
                return tree_remove_all(rm->tree, path, rm->depth - 1);
        return rm->tree->ops->unlink(rm->tree, path);
}

int tree_remove_all(Tree *t, const char *path, unsigned depth)
{
        Removal rm = { .tree = t, .dir = path, .depth = depth };
        int r;

        if (depth == 0)
                return -ELOOP;
        r = t->ops->list(t, path, 0, remove_entry, &rm);
        if (r < 0)
                return r;
        return t->ops->rmdir(t, path);
}
