/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stat() tells, and what may be set. Who writes a file sees the size of what it wrote, others what is published.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "clusterfs/fusefs-parts.h"

#define BLOCK 4096u

static mode_t mode_of(const FuseFs *fs, const Node *n)
{
        mode_t mode = node_is_private(n) ? 0700 : 0755;

        if (n->type == NODE_FILE)
                mode = node_is_private(n) ? 0600 : 0640;
        if (!engine_is_quorate(fs->engine))
                mode &= ~(mode_t) 0222;
        return mode | (n->type == NODE_DIR ? S_IFDIR : S_IFREG);
}

static void fill_times(struct stat *st, int64_t ns)
{
        st->st_mtim = (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
        if (st->st_mtim.tv_nsec < 0) {
                st->st_mtim.tv_sec--;
                st->st_mtim.tv_nsec += 1000000000;
        }
        st->st_atim = st->st_ctim = st->st_mtim;
}

void fusefs_fill_attr(FuseFs *fs, const Node *n, pid_t pid, struct stat *st)
{
        uint64_t id = fusefs_id(fs, n);

        memset(st, 0, sizeof(*st));
        st->st_ino = id;
        st->st_mode = mode_of(fs, n);
        st->st_gid = fs->gid;
        st->st_nlink = n->type == NODE_DIR ? 2 : 1;
        st->st_blksize = BLOCK;
        st->st_size = n->content ? (off_t) n->content->size : 0;
        /* Who writes sees the size of what it wrote, others what is published. */
        for (const Handle *h = fs->handles; pid && n->content && h; h = h->next)
                if (h->ino == id && h->pid == pid && handle_has_changes(h))
                        st->st_size = (off_t) handle_size(h);
        st->st_blocks = (st->st_size + 511) / 512;
        fill_times(st, n->mtime);
}

void fusefs_fill_virtual(FuseFs *fs, enum status_item item, struct stat *st)
{
        bool link = status_is_link(item), quorate = engine_is_quorate(fs->engine);
        StrBuf b = STRBUF_INIT;

        memset(st, 0, sizeof(*st));
        status_show(fs->status, fs->engine, item, &b);
        st->st_ino = STATUS_INO_FIRST + (uint64_t) item;
        st->st_mode = link ? S_IFLNK | (quorate ? 0777 : 0555) : S_IFREG | (item == STATUS_DEBUG ? 0640 : 0440);
        st->st_gid = fs->gid;
        st->st_nlink = 1;
        st->st_size = (off_t) b.len;
        st->st_blksize = BLOCK;
        fill_times(st, (int64_t) fs->status->start_time * 1000000000);
        strbuf_deinit(&b);
}

int fusefs_attr(FuseFs *fs, uint64_t ino, pid_t pid, struct stat *st)
{
        int item = status_of_ino(ino);
        const Node *n;

        if (item >= 0) {
                fusefs_fill_virtual(fs, (enum status_item) item, st);
                return 0;
        }
        n = fusefs_node(fs, ino);
        if (n) {
                fusefs_fill_attr(fs, n, pid, st);
                return 0;
        }
        if (draft_find(fs, ino) && draft_find(fs, ino)->ino == 0)
                return draft_attr(fs, draft_find(fs, ino), st);
        for (const Handle *h = fs->handles; h; h = h->next) /* removed, but open */
                if (h->ino == ino) {
                        memset(st, 0, sizeof(*st));
                        st->st_ino = ino;
                        st->st_mode = S_IFREG | 0640;
                        st->st_gid = fs->gid;
                        st->st_size = (off_t) handle_size(h);
                        return 0;
                }
        return -ESTALE;
}

void fusefs_fill_entry(FuseFs *fs, const Node *n, pid_t pid, struct fuse_entry_param *e)
{
        memset(e, 0, sizeof(*e));
        e->ino = fusefs_id(fs, n);
        e->attr_timeout = ATTR_TIMEOUT;
        e->entry_timeout = n->type == NODE_DIR && !node_is_lock(n) ? ATTR_TIMEOUT : 0;
        fusefs_fill_attr(fs, n, pid, &e->attr);
}

void fusefs_do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        FuseFs *fs = fusefs_of(req);
        int item = parent == TREE_ROOT_INO ? status_lookup(name) : -1;
        struct fuse_entry_param e = { 0 };
        const Node *dir, *n;

        if (strlen(name) > OP_NAME_MAX) {
                (void) fuse_reply_err(req, ENAMETOOLONG);
                return;
        }
        if (item >= 0) {
                e.ino = STATUS_INO_FIRST + (uint64_t) item;
                fusefs_fill_virtual(fs, (enum status_item) item, &e.attr);
                (void) fuse_reply_entry(req, &e);
                return;
        }
        dir = fusefs_node(fs, parent);
        n = dir ? tree_lookup(fusefs_tree(fs), dir, name, strlen(name)) : NULL;
        if (dir && !n && draft_lookup(fs, parent, name)) {
                draft_make(req, fs, draft_lookup(fs, parent, name));
                return;
        }
        if (!n) {
                (void) fuse_reply_err(req, dir ? ENOENT : ESTALE);
                return;
        }
        if (n->type == NODE_FILE)
                behind_looked_up(fs, fuse_req_ctx(req)->pid, n);
        fusefs_fill_entry(fs, n, fuse_req_ctx(req)->pid, &e);
        (void) fuse_reply_entry(req, &e);
}

void fusefs_do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct stat st;
        int r = fusefs_attr(fusefs_of(req), ino, fuse_req_ctx(req)->pid, &st);

        (void) fi;
        if (r < 0)
                (void) fuse_reply_err(req, -r);
        else
                (void) fuse_reply_attr(req, &st, status_of_ino(ino) < 0 ? ATTR_TIMEOUT : 0);
}

void fusefs_do_readlink(fuse_req_t req, fuse_ino_t ino)
{
        FuseFs *fs = fusefs_of(req);
        int item = status_of_ino(ino);
        StrBuf b = STRBUF_INIT;

        if (item < 0 || !status_is_link((enum status_item) item)) {
                (void) fuse_reply_err(req, EINVAL);
                return;
        }
        status_show(fs->status, fs->engine, (enum status_item) item, &b);
        (void) fuse_reply_readlink(req, b.data ? b.data : "");
        strbuf_deinit(&b);
}

void fusefs_do_statfs(fuse_req_t req, fuse_ino_t ino)
{
        const Tree *t = fusefs_tree(fusefs_of(req));
        struct statvfs st = { .f_bsize = BLOCK, .f_frsize = BLOCK, .f_namemax = OP_NAME_MAX };

        (void) ino;
        st.f_blocks = t->max_bytes / BLOCK;
        st.f_bfree = st.f_bavail = t->bytes < t->max_bytes ? (t->max_bytes - t->bytes) / BLOCK : 0;
        st.f_files = TREE_NODES_MAX;
        st.f_ffree = st.f_favail = TREE_NODES_MAX - t->n_nodes;
        (void) fuse_reply_statfs(req, &st);
}

void fusefs_do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
        (void) ino, (void) n;
        fuse_reply_none(req);
}

void fusefs_do_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *list)
{
        (void) n, (void) list;
        fuse_reply_none(req);
}

static int check_owner_and_mode(FuseFs *fs, bool is_private, uint8_t type, const struct stat *attr, int to_set)
{
        mode_t mode = type == NODE_DIR ? 0755 : 0640;

        if (is_private)
                mode &= 0700;
        if ((to_set & FUSE_SET_ATTR_MODE) && (attr->st_mode & 07777) != mode)
                return -EPERM;
        if ((to_set & FUSE_SET_ATTR_UID) && attr->st_uid != 0)
                return -EPERM;
        if ((to_set & FUSE_SET_ATTR_GID) && attr->st_gid != fs->gid)
                return -EPERM;
        return 0;
}

/* Through its descriptor, before it is in the tree; its time is set when it is published. */
static void set_draft(fuse_req_t req, FuseFs *fs, const Draft *d, const struct stat *attr, int to_set, Handle *h)
{
        struct stat st;
        int r;

        (void) draft_attr(fs, d, &st);
        r = check_owner_and_mode(fs, (st.st_mode & 07777) == 0600, NODE_FILE, attr, to_set);
        if (r == 0 && (to_set & FUSE_SET_ATTR_SIZE))
                r = h ? handle_truncate(h, (uint64_t) attr->st_size) : -ESTALE;
        (void) draft_attr(fs, d, &st);
        (void) (r < 0 ? fuse_reply_err(req, -r) : fuse_reply_attr(req, &st, 0));
}

/* The lock may be gone when this returns. */
static void ask_lock(fuse_req_t req, FuseFs *fs, const Node *n)
{
        struct stat st;
        int r;

        fusefs_fill_attr(fs, n, 0, &st);
        r = engine_ask_lock(fs->engine, n->ino);
        (void) (r < 0 ? fuse_reply_err(req, -r) : fuse_reply_attr(req, &st, 0));
}

static void set_time(fuse_req_t req, FuseFs *fs, const Node *n, const struct stat *attr, int to_set)
{
        bool is_now = (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0;
        Op op = { .type = OP_UTIME, .ino = n->ino };
        Request *q;

        op.mtime = is_now ? fusefs_now() : (int64_t) attr->st_mtim.tv_sec * 1000000000 + attr->st_mtim.tv_nsec;
        if (node_is_lock(n) && op.mtime == 0) {
                ask_lock(req, fs, n);
                return;
        }
        if (node_is_lock(n) && n->writer != engine_nodeid(fs->engine)) {
                (void) fuse_reply_err(req, EACCES);
                return;
        }
        if (op.mtime == 0)
                op.mtime = 1; /* 0 stands for "now" on the way; a nanosecond later nobody sees */
        if (n->type == NODE_FILE && !engine_is_local(fs->engine)) {
                behind_set_time(req, n, op.mtime);
                return;
        }
        q = request_new(req, REPLY_ATTR);
        if (!q)
                return;
        q->ino = fusefs_id(fs, n);
        request_submit(q, &op);
}

static void set_size(fuse_req_t req, FuseFs *fs, const Node *n, off_t size, Handle *h)
{
        Op op = { .type = OP_TRUNCATE, .ino = n->ino, .size = (uint64_t) size };
        struct stat st;
        Request *q;
        int r;

        if (h) {
                r = engine_can_write(fs->engine);
                if (r == 0)
                        r = handle_truncate(h, (uint64_t) size);
                fusefs_fill_attr(fs, n, h->pid, &st);
                st.st_size = (off_t) handle_size(h);
                (void) (r < 0 ? fuse_reply_err(req, -r) : fuse_reply_attr(req, &st, 0));
                return;
        }
        if (!engine_is_local(fs->engine)) {
                behind_truncate(req, n, (uint64_t) size);
                return;
        }
        q = request_new(req, REPLY_ATTR);
        if (!q)
                return;
        q->ino = fusefs_id(fs, n);
        request_submit(q, &op);
}

void fusefs_do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
        FuseFs *fs = fusefs_of(req);
        const Node *n = fusefs_node(fs, ino);
        int item = status_of_ino(ino), r;
        struct stat st;

        if (item >= 0) { /* `> .debug` truncates first */
                fusefs_fill_virtual(fs, (enum status_item) item, &st);
                r = item == STATUS_DEBUG && !(to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
                            ? 0
                            : EPERM;
                (void) (r ? fuse_reply_err(req, r) : fuse_reply_attr(req, &st, 0));
                return;
        }
        if (!n && draft_find(fs, ino) && !draft_find(fs, ino)->is_closed) {
                set_draft(req, fs, draft_find(fs, ino), attr, to_set, fi ? (Handle *) (uintptr_t) fi->fh : NULL);
                return;
        }
        r = n ? check_owner_and_mode(fs, node_is_private(n), n->type, attr, to_set) : -ESTALE;
        if (r < 0)
                (void) fuse_reply_err(req, -r);
        else if (to_set & FUSE_SET_ATTR_SIZE)
                set_size(req, fs, n, attr->st_size, fi ? (Handle *) (uintptr_t) fi->fh : NULL);
        else if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
                set_time(req, fs, n, attr, to_set);
        else
                fusefs_do_getattr(req, ino, fi);
}
