/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes by name: each becomes an Op, and its request waits for the engine's answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fence.h"
#include "clusterfs/fusefs-parts.h"

static void fusefs_add_handle(FuseFs *fs, Handle *h)
{
        h->next = fs->handles;
        fs->handles = h;
        h->generation = fusefs_tree(fs)->generation;
}

static void request_free(Request *q)
{
        (void) handle_unref(q->handle);
        free(q->name);
        free(q);
}

Request *request_new(fuse_req_t req, enum reply reply)
{
        Request *q = calloc(1, sizeof(*q));

        if (!q) {
                (void) fuse_reply_err(req, ENOMEM);
                return NULL;
        }
        q->fs = fusefs_of(req);
        q->req = req;
        q->reply = reply;
        return q;
}

void fusefs_set_truncated(Handle *h)
{
        Content *empty = content_new(0);

        if (!empty)
                return;
        (void) content_unref(h->base);
        h->base = empty;
        h->is_replace = h->is_truncated = true;
}

void fusefs_reply_open(fuse_req_t req, FuseFs *fs, Handle *h, struct fuse_file_info *fi,
                       const struct fuse_entry_param *e)
{
        int r;

        fi->fh = (uint64_t) (uintptr_t) h;
        fi->direct_io = 1;
        fi->keep_cache = 0;
        fusefs_add_handle(fs, h);
        r = e ? fuse_reply_create(req, e, fi) : fuse_reply_open(req, fi);
        if (r == -ENOENT) { /* the caller was interrupted: there will be no release */
                fs->handles = h->next;
                (void) handle_unref(h);
        }
}

/* What O_CREAT gives: the new file, or the one that somebody else made first. */
static void reply_create(Request *q, int result)
{
        FuseFs *fs = q->fs;
        bool made = result == 0;
        const Node *dir = fusefs_node(fs, q->parent), *n;
        struct fuse_entry_param e;
        Handle *h;

        n = dir ? tree_lookup(fusefs_tree(fs), dir, q->name, strlen(q->name)) : NULL;
        if (result == -EEXIST && n && !(q->fi.flags & O_EXCL))
                result = 0; /* without a node of that name it is the VMID that exists */
        if (result == 0 && !n)
                result = -ENOENT;
        if (result == 0 && n->type != NODE_FILE)
                result = -EISDIR;
        if (result < 0) {
                (void) fuse_reply_err(q->req, -result);
                return;
        }
        h = handle_new(fusefs_id(fs, n), n->content, fuse_req_ctx(q->req)->pid);
        if (!h) {
                (void) fuse_reply_err(q->req, ENOMEM);
                return;
        }
        h->is_append = (q->fi.flags & O_APPEND) != 0;
        if (!made && (q->fi.flags & O_TRUNC))
                fusefs_set_truncated(h);
        h->is_replace = h->is_replace || (made && !h->is_append);
        fusefs_fill_entry(fs, n, h->pid, &e);
        fusefs_reply_open(q->req, fs, h, &q->fi, &e);
}

static void reply_entry(Request *q, uint64_t ino)
{
        const Node *n = tree_find(fusefs_tree(q->fs), ino);
        struct fuse_entry_param e;

        if (!n) {
                (void) fuse_reply_err(q->req, ENOENT);
                return;
        }
        fusefs_fill_entry(q->fs, n, 0, &e);
        (void) fuse_reply_entry(q->req, &e);
}

/* The name somebody asked for while it was a draft: the file that is there now. */
static void reply_draft(Request *q, int result)
{
        FuseFs *fs = q->fs;
        const Node *dir = fusefs_node(fs, q->parent), *n;
        struct fuse_entry_param e;

        n = dir && q->name ? tree_lookup(fusefs_tree(fs), dir, q->name, strlen(q->name)) : NULL;
        if (!n) {
                (void) fuse_reply_err(q->req, result < 0 && result != -EEXIST ? -result : ENOENT);
                return;
        }
        draft_is_made(fs, q->ino, n);
        fusefs_fill_entry(fs, n, 0, &e);
        (void) fuse_reply_entry(q->req, &e);
}

/* The kernel has not made this change itself: what it knows of the file is old. */
static void reply_ioctl(Request *q, uint64_t ino)
{
        const Node *n = tree_find(fusefs_tree(q->fs), ino);

        if (n)
                (void) fuse_lowlevel_notify_inval_inode(q->fs->session, fusefs_id(q->fs, n), -1, 0);
        (void) fuse_reply_ioctl(q->req, 0, NULL, 0);
}

static void on_done(void *userdata, int result, uint64_t ino)
{
        Request *q = userdata;
        const Node *n;
        struct stat st;

        if (q->reply == REPLY_DRAFT) {
                reply_draft(q, result);
                request_free(q);
                return;
        }
        if (q->reply == REPLY_OPEN) {
                behind_opened(q, result);
                request_free(q);
                return;
        }
        if (q->reply == REPLY_SIZE || q->reply == REPLY_TIME) {
                if (!behind_changed(q, result))
                        request_free(q);
                return;
        }
        if (q->reply == REPLY_FLUSH && (result == -ESTALE || result == -ENOENT) && behind_again(q->fs, q->handle)) {
                fusefs_publish(q->fs, q->req, q->handle);
                request_free(q);
                return;
        }
        if (q->reply == REPLY_FLUSH && result == 0) {
                draft_is_made(q->fs, q->ino, tree_find(fusefs_tree(q->fs), ino));
                behind_published(q->handle, tree_find(fusefs_tree(q->fs), ino));
                n = behind_node(q->fs, q->handle);
                if (n && n->content)
                        handle_published(q->handle, n->content);
        }
        if (q->reply == REPLY_CREATE)
                reply_create(q, result);
        else if (result == -ENOENT && q->reply == REPLY_ATTR)
                (void) fuse_reply_err(q->req, ESTALE); /* its name may be another file's by now */
        else if (result < 0 || q->reply == REPLY_ERROR || q->reply == REPLY_FLUSH)
                (void) (q->req ? fuse_reply_err(q->req, -result) : 0);
        else if (q->reply == REPLY_IOCTL)
                reply_ioctl(q, ino);
        else if (q->reply == REPLY_ENTRY)
                reply_entry(q, ino);
        else if (fusefs_attr(q->fs, q->ino, fuse_req_ctx(q->req)->pid, &st) < 0)
                (void) fuse_reply_err(q->req, ESTALE);
        else
                (void) fuse_reply_attr(q->req, &st, 0);
        request_free(q);
}

void request_submit(Request *q, Op *op)
{
        op->mtime = op->mtime ? op->mtime : fusefs_now();
        op->writer = engine_nodeid(q->fs->engine);
        engine_submit(q->fs->engine, op, on_done, q);
}

/* It goes on when everything others were told of is known here. */
void request_order(Request *q)
{
        engine_order(q->fs->engine, on_done, q);
}

static bool name_is_taken(fuse_ino_t parent, const char *name)
{
        return parent == TREE_ROOT_INO && status_lookup(name) >= 0;
}

/* As it came from a process: an array of FENCE_NAME_MAX + 1 bytes. */
static bool is_name(const char *name)
{
        return op_name_is_valid(name, strnlen(name, FENCE_NAME_MAX + 1));
}

/* Checks that hold for every change by name. */
static bool refuse_name(fuse_req_t req, fuse_ino_t parent, const char *name, int taken, uint64_t *ret_ino)
{
        const Node *dir = fusefs_node(fusefs_of(req), parent);
        int error = strlen(name) > OP_NAME_MAX ? ENAMETOOLONG : name_is_taken(parent, name) ? taken : dir ? 0 : ESTALE;

        if (dir)
                *ret_ino = dir->ino;
        if (error)
                (void) fuse_reply_err(req, error);
        return error != 0;
}

static void change_name(fuse_req_t req, uint8_t type, fuse_ino_t parent, const char *name, enum reply reply, int taken)
{
        Op op = { .type = type, .name = name, .name_len = strlen(name) };
        Request *q;

        if (refuse_name(req, parent, name, taken, &op.ino))
                return;
        q = request_new(req, reply);
        if (q)
                request_submit(q, &op);
}

void fusefs_do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
        (void) mode;
        change_name(req, OP_MKDIR, parent, name, REPLY_ENTRY, EEXIST);
}

void fusefs_do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
        (void) dev;
        if (!S_ISREG(mode))
                (void) fuse_reply_err(req, ENOSYS);
        else
                change_name(req, OP_CREATE, parent, name, REPLY_ENTRY, EEXIST);
}

void fusefs_do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        change_name(req, OP_UNLINK, parent, name, REPLY_ERROR, EACCES);
}

void fusefs_do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        FuseFs *fs = fusefs_of(req);
        const Node *dir = fusefs_node(fs, parent);
        const Node *n = dir ? tree_lookup(fusefs_tree(fs), dir, name, strlen(name)) : NULL;

        if (n && draft_is_in(fs, fusefs_id(fs, n))) {
                (void) fuse_reply_err(req, ENOTEMPTY);
                return;
        }
        change_name(req, OP_RMDIR, parent, name, REPLY_ERROR, EACCES);
}

void fusefs_do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t parent2, const char *name2,
                      unsigned flags)
{
        Op op = { .type = OP_RENAME,
                  .flags = flags & RENAME_NOREPLACE ? OP_NOREPLACE : 0,
                  .name = name,
                  .name_len = strlen(name),
                  .name2 = name2,
                  .name2_len = strlen(name2) };
        Request *q;

        if (flags & ~(unsigned) RENAME_NOREPLACE) {
                (void) fuse_reply_err(req, EINVAL);
                return;
        }
        if (refuse_name(req, parent, name, EACCES, &op.ino) || refuse_name(req, parent2, name2, EACCES, &op.ino2))
                return;
        q = request_new(req, REPLY_ERROR);
        if (q)
                request_submit(q, &op);
}

static void submit_ioctl(fuse_req_t req, Op *op)
{
        Request *q = request_new(req, REPLY_IOCTL);

        if (q)
                request_submit(q, op);
}

/* A file is put in another one's place, or removed. */
static void ioctl_by_name(fuse_req_t req, fuse_ino_t dir, Op *op, const FenceCall *call)
{
        if (!is_name(call->to) || (call->from[0] && !is_name(call->from))) {
                (void) fuse_reply_err(req, EINVAL);
                return;
        }
        op->type = call->from[0] ? OP_RENAME : OP_UNLINK;
        op->name = call->from[0] ? call->from : call->to;
        op->name_len = strlen(op->name);
        if (refuse_name(req, dir, op->name, EACCES, &op->ino))
                return;
        if (op->type == OP_RENAME) {
                op->name2 = call->to;
                op->name2_len = strlen(op->name2);
                if (refuse_name(req, dir, op->name2, EACCES, &op->ino2))
                        return;
        }
        submit_ioctl(req, op);
}

static void ioctl_put(fuse_req_t req, fuse_ino_t dir, Op *op, const FencePut *call)
{
        if (!is_name(call->name) || call->len > sizeof(call->data)) {
                (void) fuse_reply_err(req, EINVAL);
                return;
        }
        op->type = OP_PUT;
        op->name = call->name;
        op->name_len = strlen(op->name);
        op->data = call->data;
        op->data_len = call->len;
        if (!refuse_name(req, dir, op->name, EACCES, &op->ino))
                submit_ioctl(req, op);
}

/* Two are known, of storaged/base/fence.h: what they change is changed if a lock is still the one it was. */
void fusefs_do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
                     const void *in, size_t in_len, size_t out_max)
{
        FuseFs *fs = fusefs_of(req);
        bool is_put = cmd == FENCE_PUT_IOCTL;
        const FenceCall *call = in;
        const FencePut *put = in;
        Op op = { .flags = OP_FENCED };
        const Node *lock;

        (void) arg, (void) fi, (void) out_max;
        if ((!is_put && cmd != FENCE_IOCTL) || !(flags & FUSE_IOCTL_DIR) ||
            in_len != (is_put ? sizeof(*put) : sizeof(*call)) ||
            !(engine_is_local(fs->engine) || engine_wire(fs->engine) >= OP_FENCED_VERSION)) {
                (void) fuse_reply_err(req, ENOTTY);
                return;
        }
        lock = fusefs_node(fs, is_put ? put->lock : call->lock);
        if (fuse_req_ctx(req)->uid != 0 || !lock) {
                (void) fuse_reply_err(req, lock ? EPERM : ESTALE);
                return;
        }
        op.lock = lock->ino;
        if (is_put)
                ioctl_put(req, ino, &op, put);
        else
                ioctl_by_name(req, ino, &op, call);
}

void fusefs_do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
        (void) target, (void) parent, (void) name;
        (void) fuse_reply_err(req, ENOSYS);
}

void fusefs_do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
        (void) ino, (void) parent, (void) name;
        (void) fuse_reply_err(req, EPERM);
}

void fusefs_do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
        Op op = { .type = OP_CREATE, .name = name, .name_len = strlen(name) };
        Request *q;

        (void) mode;
        if (refuse_name(req, parent, name, EEXIST, &op.ino) || draft_create(req, fusefs_of(req), parent, name, fi))
                return;
        q = request_new(req, REPLY_CREATE);
        if (!q)
                return;
        q->fi = *fi;
        q->parent = parent;
        q->name = strdup(name);
        if (!q->name) {
                (void) fuse_reply_err(req, ENOMEM);
                request_free(q);
                return;
        }
        request_submit(q, &op);
}
