/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Applying a change to the tree. The invariant: tree_apply() either does all of a change or nothing, and what it does
 * depends on the tree and the change alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/tree-parts.h"

static void tell_put(Tree *t, const Node *n, bool content)
{
        if (t->sink)
                t->sink->put(t->sink->userdata, n, content);
}

static void tell_changed(Tree *t, const Node *n)
{
        if (t->sink)
                t->sink->changed(t->sink->userdata, n);
}

/* The next version, given to `n` as the one of its last change. */
static void stamp(Tree *t, Node *n, const Op *op, uint64_t term)
{
        t->version = (Version){ .term = term, .index = t->version.index + 1 };
        n->version = t->version;
        n->writer = op->writer;
        n->seen_usec = t->now_usec;
}

static void touch_dir(Tree *t, Node *dir, const Op *op)
{
        dir->mtime = op->mtime;
        tell_put(t, dir, false);
}

static void remove_node(Tree *t, Node *n)
{
        tell_changed(t, n);
        if (t->sink)
                t->sink->drop(t->sink->userdata, n);
        tree_remove(t, n);
}

/* -ESTALE: it was there when the path was looked up; the kernel looks it up again. */
static int find_dir(const Tree *t, uint64_t ino, Node **ret)
{
        Node *n = tree_find(t, ino);

        if (!n)
                return -ESTALE;
        if (n->type != NODE_DIR)
                return -ENOTDIR;
        *ret = n;
        return 0;
}

static int check_room(const Tree *t, size_t old, size_t new)
{
        if (new > OP_FILE_MAX)
                return -EFBIG;
        return new > old && t->bytes - old + new > t->max_bytes ? -ENOSPC : 0;
}

static int add_node(Tree *t, const Op *op, uint64_t term, uint8_t type, Content *content, uint64_t *ret_ino)
{
        NodeSpec spec = { .ino = t->version.index + 1,
                          .parent = op->ino,
                          .name = op->name,
                          .name_len = op->name_len,
                          .type = type,
                          .mtime = op->mtime,
                          .content = content };
        Node *n = NULL;
        int r;

        if (t->n_nodes >= TREE_NODES_MAX)
                return -ENOSPC;
        r = check_room(t, 0, content ? content->size : 0);
        if (r == 0)
                r = tree_insert(t, &spec, &n);
        if (r < 0)
                return r;
        stamp(t, n, op, term);
        tell_put(t, n, true);
        touch_dir(t, n->parent, op);
        tell_changed(t, n);
        *ret_ino = n->ino;
        return 0;
}

static int apply_create(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        AUTO(content_unrefp) Content *c = NULL;
        Node *dir;
        int r = find_dir(t, op->ino, &dir);

        if (r < 0)
                return r;
        if (op->type == OP_MKDIR)
                return add_node(t, op, term, NODE_DIR, NULL, ret_ino);
        c = content_new(0);
        return c ? add_node(t, op, term, NODE_FILE, c, ret_ino) : -ENOMEM;
}

static int set_content(Tree *t, const Op *op, uint64_t term, Node *n, Content *c, uint64_t *ret_ino)
{
        int r = check_room(t, n->content->size, c->size);

        if (r < 0)
                return r;
        t->bytes = t->bytes - n->content->size + c->size;
        (void) content_unref(n->content);
        n->content = content_ref(c);
        n->mtime = op->mtime;
        stamp(t, n, op, term);
        tell_put(t, n, true);
        tell_changed(t, n);
        *ret_ino = n->ino;
        return 0;
}

/* The old content up to `size`, zeros behind its end. */
static Content *content_resized(const Content *old, size_t size)
{
        Content *c = content_new(size);
        size_t keep = old->size < size ? old->size : size;

        if (!c)
                return NULL;
        memcpy(c->data, old->data, keep);
        memset(c->data + keep, 0, size - keep);
        return c;
}

static size_t size_after_write(const Content *old, const Op *op)
{
        size_t size = old->size;

        if (op->flags & OP_REPLACE)
                return op->data_len;
        if (op->flags & OP_APPEND)
                return size + op->data_len;
        for (size_t i = 0; i < op->n_extents; i++) {
                size_t end = (size_t) op->extents[i].offset + op->extents[i].len;

                size = end > size ? end : size;
        }
        return size;
}

static Content *content_written(const Content *old, const Op *op)
{
        size_t size = size_after_write(old, op);
        Content *c = content_resized(old, size);
        const uint8_t *p = op->data;

        if (!c)
                return NULL;
        if (op->flags & OP_REPLACE)
                memcpy(c->data, op->data, op->data_len);
        if (op->flags & OP_APPEND)
                memcpy(c->data + old->size, op->data, op->data_len);
        for (size_t i = 0; i < op->n_extents; i++) {
                memcpy(c->data + op->extents[i].offset, p, op->extents[i].len);
                p += op->extents[i].len;
        }
        return c;
}

/*
 * A file that is gone was removed while open: what is written to it has no reader, as on any file system. Who opened it
 * made sure of that order: see fusefs-behind.c.
 */
static int apply_write(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        AUTO(content_unrefp) Content *c = NULL;
        Node *n = tree_find(t, op->ino), *dir = NULL;
        int r = op->flags & OP_NAMED ? find_dir(t, op->ino2, &dir) : 0;

        if (r < 0)
                return r;
        if (dir && (!n || tree_lookup(t, dir, op->name, op->name_len) != n))
                return -ESTALE;
        if (!n)
                return 0;
        if (n->type != NODE_FILE)
                return -EISDIR;
        r = check_room(t, n->content->size, size_after_write(n->content, op));
        if (r < 0)
                return r;
        c = content_written(n->content, op);
        return c ? set_content(t, op, term, n, c, ret_ino) : -ENOMEM;
}

static int apply_truncate(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        AUTO(content_unrefp) Content *c = NULL;
        Node *n = tree_find(t, op->ino);

        if (!n)
                return -ENOENT;
        if (n->type != NODE_FILE)
                return -EISDIR;
        if (op->size > OP_FILE_MAX)
                return -EFBIG;
        c = content_resized(n->content, (size_t) op->size);
        return c ? set_content(t, op, term, n, c, ret_ino) : -ENOMEM;
}

static int apply_put(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        AUTO(content_unrefp) Content *c = NULL;
        Node *dir, *n;
        int r = find_dir(t, op->ino, &dir);

        if (r < 0)
                return r;
        n = tree_lookup(t, dir, op->name, op->name_len);
        if (n && n->type != NODE_FILE)
                return -EISDIR;
        c = content_new(op->data_len);
        if (!c)
                return -ENOMEM;
        memcpy(c->data, op->data, op->data_len);
        return n ? set_content(t, op, term, n, c, ret_ino) : add_node(t, op, term, NODE_FILE, c, ret_ino);
}

static int apply_remove(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        Node *dir, *n;
        int r = find_dir(t, op->ino, &dir);

        if (r < 0)
                return r;
        n = tree_lookup(t, dir, op->name, op->name_len);
        if (!n)
                return -ENOENT;
        if (op->type == OP_UNLINK && n->type == NODE_DIR)
                return -EISDIR;
        if (op->type == OP_RMDIR && n->type != NODE_DIR)
                return -ENOTDIR;
        if (n->n_children)
                return -ENOTEMPTY;
        *ret_ino = n->ino;
        stamp(t, n, op, term);
        remove_node(t, n);
        touch_dir(t, dir, op);
        return 0;
}

static int check_rename(const Node *n, const Node *target, const Node *to, const Op *op)
{
        if (node_is_lock(n) || (target && node_is_lock(target)) || node_is_lock_dir(n))
                return -EACCES;
        for (const Node *i = to; i; i = i->parent)
                if (i == n)
                        return -EINVAL;
        if (n->type == NODE_DIR && n->n_children)
                return -ENOTEMPTY;
        if (n->type == NODE_DIR && node_is_lock_dir(to))
                return -EACCES;
        if (!target)
                return 0;
        if (op->flags & OP_NOREPLACE)
                return -EEXIST;
        if (n->type == NODE_FILE && target->type == NODE_DIR)
                return -EISDIR;
        if (n->type == NODE_DIR && target->type == NODE_FILE)
                return -ENOTDIR;
        return target->n_children ? -ENOTEMPTY : 0;
}

static int apply_rename(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        AUTO(freep) char *name = NULL;
        Node *from, *to, *n, *target, *guest;
        uint32_t vmid;
        int r = find_dir(t, op->ino, &from);

        if (r == 0)
                r = find_dir(t, op->ino2, &to);
        if (r < 0)
                return r;
        n = tree_lookup(t, from, op->name, op->name_len);
        target = tree_lookup(t, to, op->name2, op->name2_len);
        if (!n)
                return -ENOENT;
        if (n == target)
                return 0;
        r = check_rename(n, target, to, op);
        if (r < 0)
                return r;
        vmid = n->type == NODE_FILE ? node_guest_id(to, op->name2, op->name2_len) : 0;
        guest = vmid ? tree_guest_find(t, vmid) : NULL;
        if (guest && guest != n && guest != target)
                return -EEXIST;
        name = strndup(op->name2, op->name2_len);
        if (!name)
                return -ENOMEM;

        tell_changed(t, n);
        if (target)
                remove_node(t, target);
        tree_unlink_name(t, n);
        node_detach(n);
        free(n->name);
        n->name = TAKE(name);
        n->vmid = vmid;
        node_attach(n, to);
        tree_link_name(t, n);
        stamp(t, n, op, term);
        tell_put(t, n, false);
        touch_dir(t, from, op);
        if (to != from)
                touch_dir(t, to, op);
        tell_changed(t, n);
        *ret_ino = n->ino;
        return 0;
}

static int apply_utime(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        Node *n = tree_find(t, op->ino);

        if (!n)
                return -ENOENT;
        if (node_is_lock(n) && n->writer != op->writer)
                return -EACCES;
        n->mtime = op->mtime;
        stamp(t, n, op, term);
        tell_put(t, n, false);
        tell_changed(t, n);
        *ret_ino = n->ino;
        return 0;
}

/* Only the lock that was seen to be expired: one taken anew since has another version. */
static int apply_lock_drop(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        Node *n = tree_find(t, op->ino), *dir;

        if (!n || !node_is_lock(n))
                return -ENOENT;
        if (n->version.term != op->term || n->version.index != op->index)
                return -EAGAIN;
        if (n->n_children)
                return -ENOTEMPTY;
        dir = n->parent;
        *ret_ino = n->ino;
        stamp(t, n, op, term);
        remove_node(t, n);
        touch_dir(t, dir, op);
        return 0;
}

/*
 * Numbers are never used again, and that a lock is removed, by its holder, by others or for its age, is a change as any
 * other: so it is the same lock on every node, or on none.
 */
static bool is_fenced_off(const Tree *t, const Op *op)
{
        const Node *lock = op_is_fenced(op) ? tree_find(t, op->lock) : NULL;

        return op_is_fenced(op) && !(lock && node_is_lock(lock));
}

int tree_apply(Tree *t, const Op *op, uint64_t term, uint64_t *ret_ino)
{
        static int (*const apply[])(Tree *, const Op *, uint64_t, uint64_t *) = {
                [OP_CREATE] = apply_create,     [OP_MKDIR] = apply_create,  [OP_UNLINK] = apply_remove,
                [OP_RMDIR] = apply_remove,      [OP_RENAME] = apply_rename, [OP_WRITE] = apply_write,
                [OP_TRUNCATE] = apply_truncate, [OP_UTIME] = apply_utime,   [OP_LOCK_DROP] = apply_lock_drop,
                [OP_PUT] = apply_put,
        };

        if (op->type == 0 || op->type > OP_TYPE_MAX)
                return -EPROTO;
        if (is_fenced_off(t, op))
                return -ESTALE;
        return apply[op->type](t, op, term, ret_ino);
}
