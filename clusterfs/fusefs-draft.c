/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that are created and written in one go. open(O_CREAT | O_TRUNC) promises nothing to other nodes before the
 * file is published, so it is answered at once and the file becomes real with its content, as one change: other nodes
 * never see it empty, and "write a temporary, rename it" costs two rounds of Corosync instead of three. Whoever looks
 * for the name on this node before that makes it real first, by an ordinary change.
 *
 * The invariant: the kernel knows a draft and the object it becomes by one id while anybody has it open, so that locks
 * and attributes are those of one file. The last ones keep it for a while when they are closed: the name is mostly used
 * next then ("rename it"), and the kernel, told of another id, would forget what it has and ask twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "clusterfs/fusefs-parts.h"

#define DRAFT_BASE (UINT64_C(0x7ffe) << 48)
#define DRAFTS_MAX 256u
#define CLOSED_MAX 16u

static bool is_draft_id(uint64_t id)
{
        return id >> 48 == 0x7ffe;
}

Draft *draft_find(FuseFs *fs, uint64_t id)
{
        for (Draft *d = is_draft_id(id) ? fs->drafts : NULL; d; d = d->next)
                if (d->id == id)
                        return d;
        return NULL;
}

/* One that is not real yet. */
Draft *draft_lookup(FuseFs *fs, uint64_t dir, const char *name)
{
        for (Draft *d = fs->drafts; d; d = d->next)
                if (d->ino == 0 && d->dir == dir && str_eq(d->name, name))
                        return d;
        return NULL;
}

bool draft_is_in(const FuseFs *fs, uint64_t dir)
{
        for (const Draft *d = fs->drafts; d; d = d->next)
                if (d->ino == 0 && d->dir == dir)
                        return true;
        return false;
}

uint64_t draft_id_of(FuseFs *fs, const Node *n)
{
        for (const Draft *d = fs->drafts; d; d = d->next)
                if (d->ino == n->ino && d->generation == n->generation)
                        return d->id;
        return 0;
}

/* It exists in the tree now. */
void draft_is_made(FuseFs *fs, uint64_t id, const Node *n)
{
        Draft *d = draft_find(fs, id);

        if (!d || !n || n->type != NODE_FILE || d->ino)
                return;
        d->ino = n->ino;
        d->generation = n->generation;
}

/*
 * Only what can't be refused later for reasons that open() has to tell: a new name, no guest's configuration. With
 * O_TRUNC only: another node may make the file meanwhile, and who did not ask to empty it must not.
 */
static const Node *may_draft(FuseFs *fs, uint64_t dir, const char *name, int flags)
{
        const Node *n = fusefs_node(fs, dir);
        size_t count = 0;

        for (const Draft *d = fs->drafts; d; d = d->next)
                count += !d->is_closed;
        if (!(flags & O_TRUNC) || (flags & (O_EXCL | O_APPEND)) || engine_is_local(fs->engine) ||
            engine_can_write(fs->engine) < 0)
                return NULL;
        if (!n || n->type != NODE_DIR || count >= DRAFTS_MAX || draft_lookup(fs, dir, name))
                return NULL;
        if (tree_lookup(fusefs_tree(fs), n, name, strlen(name)) || node_guest_id(n, name, strlen(name)))
                return NULL;
        return n;
}

int draft_attr(FuseFs *fs, const Draft *d, struct stat *st)
{
        const Node *dir = fusefs_node(fs, d->dir);

        memset(st, 0, sizeof(*st));
        st->st_ino = d->id;
        st->st_mode = S_IFREG | (dir && node_is_private(dir) ? 0600 : 0640);
        st->st_gid = fs->gid;
        st->st_nlink = 1;
        st->st_blksize = 4096;
        for (const Handle *h = fs->handles; h; h = h->next)
                if (h->ino == d->id)
                        st->st_size = (off_t) handle_size(h);
        st->st_blocks = (st->st_size + 511) / 512;
        st->st_mtim.tv_sec = d->mtime / 1000000000;
        st->st_mtim.tv_nsec = d->mtime % 1000000000;
        st->st_atim = st->st_ctim = st->st_mtim;
        return 0;
}

static Draft *draft_new(FuseFs *fs, uint64_t dir, const char *name)
{
        Draft *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->name = strdup(name);
        if (!d->name) {
                free(d);
                return NULL;
        }
        d->id = DRAFT_BASE + ++fs->last_draft;
        d->dir = dir;
        d->mtime = fusefs_now();
        d->next = fs->drafts;
        fs->drafts = d;
        return d;
}

static bool is_open(const FuseFs *fs, const Draft *d)
{
        for (const Handle *h = fs->handles; h; h = h->next)
                if (h->ino == d->id)
                        return true;
        return false;
}

/* The next one. */
static Draft *draft_free(Draft *d)
{
        Draft *next = d->next;

        free(d->name);
        free(d);
        return next;
}

/* What never became real goes at once. */
void draft_release(FuseFs *fs, uint64_t id)
{
        size_t n_closed = 0;

        for (Draft **at = &fs->drafts; *at;) {
                Draft *d = *at;

                if (d->id == id || d->is_closed)
                        d->is_closed = !is_open(fs, d);
                n_closed += d->is_closed;
                if (!d->is_closed || (d->ino && n_closed <= CLOSED_MAX)) {
                        at = &d->next;
                        continue;
                }
                *at = draft_free(d);
        }
}

void drafts_free(FuseFs *fs)
{
        while (fs->drafts)
                fs->drafts = draft_free(fs->drafts);
}

/* True: answered. */
bool draft_create(fuse_req_t req, FuseFs *fs, uint64_t dir, const char *name, struct fuse_file_info *fi)
{
        AUTO(content_unrefp) Content *empty = NULL;
        struct fuse_entry_param e = { .attr_timeout = ATTR_TIMEOUT };
        Handle *h = NULL;
        Draft *d;

        if (!may_draft(fs, dir, name, fi->flags))
                return false;
        d = draft_new(fs, dir, name);
        empty = d ? content_new(0) : NULL;
        if (empty)
                h = handle_new(d->id, empty, fuse_req_ctx(req)->pid);
        if (!h) {
                if (d)
                        draft_release(fs, d->id);
                return false;
        }
        h->is_replace = h->is_truncated = true; /* there is something to publish, also if nothing is written */
        e.ino = d->id;
        (void) draft_attr(fs, d, &e.attr);
        fusefs_reply_open(req, fs, h, fi, &e);
        draft_release(fs, e.ino); /* if the caller is gone already */
        return true;
}

/* Somebody on this node asks for the name: an ordinary change makes it real, then the answer is as for any file. */
void draft_make(fuse_req_t req, FuseFs *fs, const Draft *d)
{
        const Node *dir = fusefs_node(fs, d->dir);
        Op op = { .type = OP_CREATE, .name = d->name, .name_len = strlen(d->name) };
        Request *q;

        if (!dir) {
                (void) fuse_reply_err(req, ESTALE);
                return;
        }
        op.ino = dir->ino;
        q = request_new(req, REPLY_DRAFT);
        if (!q)
                return;
        q->ino = d->id;
        q->parent = d->dir;
        q->name = strdup(d->name);
        request_submit(q, &op);
}
