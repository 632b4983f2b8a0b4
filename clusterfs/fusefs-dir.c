/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open directories: each shows the names that were there when it was opened. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clusterfs/fusefs-parts.h"

typedef struct DirEntry {
        uint64_t ino;
        char *name;
        mode_t type;
} DirEntry;

typedef struct DirHandle {
        VEC(DirEntry) entries;
} DirHandle;

static void dir_free(DirHandle *d)
{
        for (size_t i = 0; i < d->entries.n; i++)
                free(d->entries.items[i].name);
        VEC_DEINIT(&d->entries);
        free(d);
}

static int dir_add(DirHandle *d, uint64_t ino, const char *name, mode_t type)
{
        DirEntry e = { .ino = ino, .name = strdup(name), .type = type };

        if (!e.name)
                return -ENOMEM;
        if (VEC_PUSH(&d->entries, e) < 0) {
                free(e.name);
                return -ENOMEM;
        }
        return 0;
}

static int dir_fill(DirHandle *d, FuseFs *fs, const Node *n)
{
        int r = dir_add(d, fusefs_id(fs, n), ".", S_IFDIR);

        if (r == 0)
                r = dir_add(d, n->parent ? fusefs_id(fs, n->parent) : TREE_ROOT_INO, "..", S_IFDIR);
        for (int i = 0; r == 0 && !n->parent && i < STATUS_ITEMS; i++)
                r = dir_add(d, STATUS_INO_FIRST + (uint64_t) i, status_name((enum status_item) i),
                            status_is_link((enum status_item) i) ? S_IFLNK : S_IFREG);
        for (const Node *c = n->children; r == 0 && c; c = c->next)
                r = dir_add(d, fusefs_id(fs, c), c->name, c->type == NODE_DIR ? S_IFDIR : S_IFREG);
        for (const Draft *f = fs->drafts; r == 0 && f; f = f->next)
                if (f->ino == 0 && f->dir == fusefs_id(fs, n))
                        r = dir_add(d, f->id, f->name, S_IFREG);
        return r;
}

void fusefs_do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        const Node *n = fusefs_node(fusefs_of(req), ino);
        DirHandle *d;
        int r = !n ? -ESTALE : n->type != NODE_DIR ? -ENOTDIR : 0;

        d = r == 0 ? calloc(1, sizeof(*d)) : NULL;
        if (d)
                r = dir_fill(d, fusefs_of(req), n);
        if (!d || r < 0) {
                if (d)
                        dir_free(d);
                (void) fuse_reply_err(req, r ? -r : ENOMEM);
                return;
        }
        fi->fh = (uint64_t) (uintptr_t) d;
        if (fuse_reply_open(req, fi) == -ENOENT)
                dir_free(d);
}

/* The directory as it was when it was opened: nothing twice, nothing left out. */
void fusefs_do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        const DirHandle *d = (DirHandle *) (uintptr_t) fi->fh;
        AUTO(freep) char *buffer = malloc(size);
        size_t used = 0;

        (void) ino;
        for (size_t i = (size_t) offset; buffer && i < d->entries.n; i++) {
                const DirEntry *e = &d->entries.items[i];
                struct stat st = { .st_ino = e->ino, .st_mode = e->type };
                size_t n = fuse_add_direntry(req, buffer + used, size - used, e->name, &st, (off_t) i + 1);

                if (n > size - used)
                        break;
                used += n;
        }
        if (buffer)
                (void) fuse_reply_buf(req, buffer, used);
        else
                (void) fuse_reply_err(req, ENOMEM);
}

void fusefs_do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        (void) ino;
        dir_free((DirHandle *) (uintptr_t) fi->fh);
        (void) fuse_reply_err(req, 0);
}

void fusefs_do_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
        (void) ino, (void) datasync, (void) fi;
        (void) fuse_reply_err(req, 0); /* what was acknowledged is stored */
}
