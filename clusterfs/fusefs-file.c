/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files: each handle reads the version it opened, and publishes what was written when it is flushed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clusterfs/fusefs-parts.h"

static void open_virtual(fuse_req_t req, FuseFs *fs, enum status_item item, struct fuse_file_info *fi)
{
        AUTO(content_unrefp) Content *c = NULL;
        StrBuf b = STRBUF_INIT;
        Handle *h = NULL;

        if ((fi->flags & O_ACCMODE) != O_RDONLY && item != STATUS_DEBUG) {
                (void) fuse_reply_err(req, EACCES);
                return;
        }
        status_show(fs->status, fs->engine, item, &b);
        c = strbuf_error(&b) < 0 ? NULL : content_new(b.len);
        if (c && b.len)
                memcpy(c->data, b.data, b.len);
        strbuf_deinit(&b);
        if (c)
                h = handle_new(STATUS_INO_FIRST + (uint64_t) item, c, fuse_req_ctx(req)->pid);
        if (h)
                fusefs_reply_open(req, fs, h, fi, NULL);
        else
                (void) fuse_reply_err(req, ENOMEM);
}

/* Without a round of ordering: see fusefs-behind.c. */
static bool may_open_at_once(const FuseFs *fs, int flags)
{
        if ((flags & O_TRUNC) || (flags & O_ACCMODE) == O_RDONLY || engine_is_local(fs->engine))
                return true;
        return (flags & O_ACCMODE) == O_WRONLY && engine_wire(fs->engine) >= OP_NAMED_VERSION;
}

void fusefs_do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        AUTO(handle_unrefp) Handle *h = NULL;
        FuseFs *fs = fusefs_of(req);
        bool writes = (fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC);
        int item = status_of_ino(ino), r = 0;
        const Node *n;

        if (item >= 0) {
                open_virtual(req, fs, (enum status_item) item, fi);
                return;
        }
        n = fusefs_node(fs, ino);
        if (!n || n->type != NODE_FILE)
                r = n ? -EISDIR : -ESTALE;
        else if (writes)
                r = engine_can_write(fs->engine);
        if (r == 0 && !may_open_at_once(fs, fi->flags)) {
                behind_open(req, n, fi);
                return;
        }
        h = r == 0 ? handle_new(ino, n->content, fuse_req_ctx(req)->pid) : NULL;
        if (h) {
                h->is_append = (fi->flags & O_APPEND) != 0;
                if (fi->flags & O_TRUNC)
                        fusefs_set_truncated(h);
                r = writes ? behind_note_name(fs, h, n) : 0;
        }
        if (!h || r < 0)
                (void) fuse_reply_err(req, r ? -r : ENOMEM);
        else
                fusefs_reply_open(req, fs, TAKE(h), fi, NULL);
}

void fusefs_do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        const uint8_t *data = NULL;
        size_t n = handle_read((Handle *) (uintptr_t) fi->fh, (uint64_t) offset, size, &data);

        (void) ino;
        (void) fuse_reply_buf(req, (const char *) data, n);
}

void fusefs_do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
        FuseFs *fs = fusefs_of(req);
        Handle *h = (Handle *) (uintptr_t) fi->fh;
        int item = status_of_ino(ino), r;

        if (item >= 0) {
                r = status_write(fs->status, (enum status_item) item, data, size);
        } else {
                r = h->error = h->error ? h->error : engine_can_write(fs->engine);
                if (r == 0)
                        r = handle_write(h, (uint64_t) offset, data, size);
        }
        if (r < 0)
                (void) fuse_reply_err(req, -r);
        else
                (void) fuse_reply_write(req, size);
}

static int address(FuseFs *fs, const Handle *h, const Draft *d, Op *op)
{
        const Node *n = d ? fusefs_node(fs, d->dir) : behind_node(fs, h);

        if (!d && h->name)
                return behind_address(fs, h, n, op);
        if (!n) /* Gone with the tree it was in: what was written is not anywhere. Removed while open: for nobody. */
                return d || h->generation != fusefs_tree(fs)->generation ? -ESTALE : 0;
        op->ino = n->ino;
        if (d) { /* it becomes real with its content */
                op->type = OP_PUT;
                op->flags = 0;
                op->name = d->name;
                op->name_len = strlen(d->name);
        }
        return 1;
}

void fusefs_publish(FuseFs *fs, fuse_req_t req, Handle *h)
{
        const Draft *d = draft_find(fs, h->ino);
        StrBuf buffer = STRBUF_INIT;
        Request *q;
        Op op = { 0 };
        int r = h->error;

        if (d && d->ino)
                d = NULL;
        if (d || (h->is_put && h->name && !h->is_tail))
                handle_make_whole(h);
        if (r == 0)
                r = handle_publish(h, fusefs_now(), &buffer, &op);
        if (r == 0 && op.type != 0)
                r = address(fs, h, d, &op);
        if (r <= 0) {
                if (req)
                        (void) fuse_reply_err(req, -r);
                strbuf_deinit(&buffer);
                return;
        }
        q = calloc(1, sizeof(*q));
        if (q) {
                q->fs = fs;
                q->req = req;
                q->reply = REPLY_FLUSH;
                q->ino = h->ino;
                q->handle = handle_ref(h);
                request_submit(q, &op);
        } else if (req) {
                (void) fuse_reply_err(req, ENOMEM);
        }
        strbuf_deinit(&buffer);
}

/* Has the process another descriptor of this file, open for writing? Asked of /proc, which does not ask us. */
static bool is_open_elsewhere(pid_t pid, uint64_t ino)
{
        char path[64 + NAME_MAX], line[256];
        struct dirent *d;
        bool found = false;
        DIR *dir;

        (void) snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
        dir = pid > 0 ? opendir(path) : NULL;
        while (dir && !found && (d = readdir(dir))) {
                unsigned long long file_ino = 0;
                unsigned flags = 0;
                FILE *f;

                (void) snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, d->d_name);
                f = d->d_name[0] == '.' ? NULL : fopen(path, "re");
                while (f && fgets(line, sizeof(line), f)) {
                        (void) sscanf(line, "ino: %llu", &file_ino);
                        (void) sscanf(line, "flags: %o", &flags);
                }
                if (f)
                        (void) fclose(f);
                found = file_ino == ino && (flags & O_ACCMODE) != O_RDONLY;
        }
        if (dir)
                (void) closedir(dir);
        return found;
}

/*
 * The kernel flushes at each close of any descriptor, also of those that a forked child loses by exec() while its
 * parent is still writing. Who opened the file is not done while it has it open, unless it is that process that closes:
 * there, a shell's spare descriptor is known by nothing having been written yet.
 */
static bool is_for_later(const Handle *h, pid_t pid, uint64_t ino)
{
        char task[64];

        (void) snprintf(task, sizeof(task), "/proc/%d/task/%d", h->pid, pid);
        if (pid != h->pid && access(task, F_OK) < 0)
                return is_open_elsewhere(h->pid, ino);
        return h->is_truncated && !h->is_dirty && is_open_elsewhere(pid, ino);
}

void fusefs_do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        Handle *h = (Handle *) (uintptr_t) fi->fh;

        if (handle_has_changes(h) && is_for_later(h, fuse_req_ctx(req)->pid, ino))
                (void) fuse_reply_err(req, 0);
        else
                fusefs_publish(fusefs_of(req), req, h);
}

void fusefs_do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
        (void) ino, (void) datasync;
        fusefs_publish(fusefs_of(req), req, (Handle *) (uintptr_t) fi->fh);
}

void fusefs_do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        FuseFs *fs = fusefs_of(req);
        Handle *h = (Handle *) (uintptr_t) fi->fh;
        uint64_t id;

        (void) ino;
        fusefs_publish(fs, NULL, h);
        for (Handle **at = &fs->handles; *at; at = &(*at)->next)
                if (*at == h) {
                        *at = h->next;
                        break;
                }
        id = h->ino;
        (void) handle_unref(h);
        draft_release(fs, id);
        (void) fuse_reply_err(req, 0);
}
