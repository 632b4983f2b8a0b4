/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE on the event loop. Reads are answered at once; a change becomes an Op and its request waits for the engine.
 * The kernel caches nothing (timeouts 0, direct I/O): what another node changed is seen with the next call, and every
 * handle reads the version it opened. Nodes are known to the kernel by their number in the tree, which is never used
 * twice in one history; for a number that is gone the answer is ESTALE: the kernel then looks the path up again, so
 * that an open() that meets a rename opens the old or the new file and never fails.
 *
 * Writing: what is written through a handle is published when it is flushed, as one change. A file opened with O_TRUNC
 * is not emptied for others before that; the flush that a shell causes by closing its spare descriptor is
 * recognised by the process still having the file open.
 */
#define FUSE_USE_VERSION 314
#include "clusterfs/fusefs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "clusterfs/handle.h"

#define BLOCK 4096u
#define REQUESTS_PER_TURN 32
#define MAX_WRITE (128u << 10)

struct FuseFs {
        Engine *engine;
        Status *status;
        struct fuse_session *session;
        sd_event *event;
        sd_event_source *io;
        struct fuse_buf buffer;
        Handle *handles;
        gid_t gid;
        bool is_mounted;
};

/* What the answer to a change looks like. */
enum reply { REPLY_ERROR, REPLY_ENTRY, REPLY_ATTR, REPLY_CREATE, REPLY_FLUSH };

typedef struct Request {
        FuseFs *fs;
        fuse_req_t req;
        enum reply reply;
        uint64_t ino, parent;
        Handle *handle; /* of a flush */
        struct fuse_file_info fi;
        char *name;
} Request;

typedef struct DirEntry {
        uint64_t ino;
        char *name;
        mode_t type;
} DirEntry;

typedef struct DirHandle {
        VEC(DirEntry) entries;
} DirHandle;

static FuseFs *fs_of(fuse_req_t req)
{
        return fuse_req_userdata(req);
}

static const Tree *tree_of(FuseFs *fs)
{
        return engine_tree(fs->engine);
}

static int64_t now_nsec(void)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* --- attributes ----------------------------------------------------------------------------------------- */

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

static void fill_attr(FuseFs *fs, const Node *n, pid_t pid, struct stat *st)
{
        memset(st, 0, sizeof(*st));
        st->st_ino = n->ino;
        st->st_mode = mode_of(fs, n);
        st->st_gid = fs->gid;
        st->st_nlink = n->type == NODE_DIR ? 2 : 1;
        st->st_blksize = BLOCK;
        st->st_size = n->content ? (off_t) n->content->size : 0;
        /* Who writes sees the size of what it wrote, others what is published. */
        for (const Handle *h = fs->handles; pid && n->content && h; h = h->next)
                if (h->ino == n->ino && h->pid == pid && handle_has_changes(h))
                        st->st_size = (off_t) handle_size(h);
        st->st_blocks = (st->st_size + 511) / 512;
        fill_times(st, n->mtime);
}

static void fill_virtual(FuseFs *fs, enum status_item item, struct stat *st)
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

static int attr_of(FuseFs *fs, uint64_t ino, pid_t pid, struct stat *st)
{
        int item = status_of_ino(ino);
        const Node *n;

        if (item >= 0) {
                fill_virtual(fs, (enum status_item) item, st);
                return 0;
        }
        n = tree_find(tree_of(fs), ino);
        if (n) {
                fill_attr(fs, n, pid, st);
                return 0;
        }
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

static void fill_entry(FuseFs *fs, const Node *n, pid_t pid, struct fuse_entry_param *e)
{
        memset(e, 0, sizeof(*e));
        e->ino = n->ino;
        e->generation = n->generation;
        fill_attr(fs, n, pid, &e->attr);
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        FuseFs *fs = fs_of(req);
        int item = parent == TREE_ROOT_INO ? status_lookup(name) : -1;
        struct fuse_entry_param e = { 0 };
        const Node *dir, *n;

        if (strlen(name) > OP_NAME_MAX) {
                (void) fuse_reply_err(req, ENAMETOOLONG);
                return;
        }
        if (item >= 0) {
                e.ino = STATUS_INO_FIRST + (uint64_t) item;
                fill_virtual(fs, (enum status_item) item, &e.attr);
                (void) fuse_reply_entry(req, &e);
                return;
        }
        dir = tree_find(tree_of(fs), parent);
        n = dir ? tree_lookup(tree_of(fs), dir, name, strlen(name)) : NULL;
        if (!n) {
                (void) fuse_reply_err(req, dir ? ENOENT : ESTALE);
                return;
        }
        fill_entry(fs, n, fuse_req_ctx(req)->pid, &e);
        (void) fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct stat st;
        int r = attr_of(fs_of(req), ino, fuse_req_ctx(req)->pid, &st);

        (void) fi;
        if (r < 0)
                (void) fuse_reply_err(req, -r);
        else
                (void) fuse_reply_attr(req, &st, 0);
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
        FuseFs *fs = fs_of(req);
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

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
        const Tree *t = tree_of(fs_of(req));
        struct statvfs st = { .f_bsize = BLOCK, .f_frsize = BLOCK, .f_namemax = OP_NAME_MAX };

        (void) ino;
        st.f_blocks = t->max_bytes / BLOCK;
        st.f_bfree = st.f_bavail = t->bytes < t->max_bytes ? (t->max_bytes - t->bytes) / BLOCK : 0;
        st.f_files = TREE_NODES_MAX;
        st.f_ffree = st.f_favail = TREE_NODES_MAX - t->n_nodes;
        (void) fuse_reply_statfs(req, &st);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
        (void) ino, (void) n;
        fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *list)
{
        (void) n, (void) list;
        fuse_reply_none(req);
}

/* --- changes -------------------------------------------------------------------------------------------- */

static void handle_add(FuseFs *fs, Handle *h)
{
        h->next = fs->handles;
        fs->handles = h;
}

static void request_free(Request *q)
{
        (void) handle_unref(q->handle);
        free(q->name);
        free(q);
}

static Request *request_new(fuse_req_t req, enum reply reply)
{
        Request *q = calloc(1, sizeof(*q));

        if (!q) {
                (void) fuse_reply_err(req, ENOMEM);
                return NULL;
        }
        q->fs = fs_of(req);
        q->req = req;
        q->reply = reply;
        return q;
}

static void set_truncated(Handle *h)
{
        Content *empty = content_new(0);

        if (!empty)
                return;
        (void) content_unref(h->base);
        h->base = empty;
        h->is_replace = h->is_truncated = true;
}

static void reply_open(fuse_req_t req, FuseFs *fs, Handle *h, struct fuse_file_info *fi,
                       const struct fuse_entry_param *e)
{
        int r;

        fi->fh = (uint64_t) (uintptr_t) h;
        fi->direct_io = 1;
        fi->keep_cache = 0;
        handle_add(fs, h);
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
        const Node *dir = tree_find(tree_of(fs), q->parent), *n;
        struct fuse_entry_param e;
        Handle *h;

        n = dir ? tree_lookup(tree_of(fs), dir, q->name, strlen(q->name)) : NULL;
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
        h = handle_new(n->ino, n->content, fuse_req_ctx(q->req)->pid);
        if (!h) {
                (void) fuse_reply_err(q->req, ENOMEM);
                return;
        }
        h->is_append = (q->fi.flags & O_APPEND) != 0;
        if (!made && (q->fi.flags & O_TRUNC))
                set_truncated(h);
        h->is_replace = h->is_replace || (made && !h->is_append);
        fill_entry(fs, n, h->pid, &e);
        reply_open(q->req, fs, h, &q->fi, &e);
}

static void reply_entry(Request *q, uint64_t ino)
{
        const Node *n = tree_find(tree_of(q->fs), ino);
        struct fuse_entry_param e;

        if (!n) {
                (void) fuse_reply_err(q->req, ENOENT);
                return;
        }
        fill_entry(q->fs, n, 0, &e);
        (void) fuse_reply_entry(q->req, &e);
}

static void on_done(void *userdata, int result, uint64_t ino)
{
        Request *q = userdata;
        const Node *n;
        struct stat st;

        if (q->reply == REPLY_FLUSH && result == 0) {
                n = tree_find(tree_of(q->fs), q->ino);
                if (n && n->content)
                        handle_published(q->handle, n->content);
        }
        if (q->reply == REPLY_CREATE)
                reply_create(q, result);
        else if (result < 0 || q->reply == REPLY_ERROR || q->reply == REPLY_FLUSH)
                (void) (q->req ? fuse_reply_err(q->req, -result) : 0);
        else if (q->reply == REPLY_ENTRY)
                reply_entry(q, ino);
        else if (attr_of(q->fs, q->ino, fuse_req_ctx(q->req)->pid, &st) < 0)
                (void) fuse_reply_err(q->req, ENOENT);
        else
                (void) fuse_reply_attr(q->req, &st, 0);
        request_free(q);
}

static void submit(Request *q, Op *op)
{
        op->mtime = op->mtime ? op->mtime : now_nsec();
        op->writer = engine_nodeid(q->fs->engine);
        engine_submit(q->fs->engine, op, on_done, q);
}

static bool name_is_taken(fuse_ino_t parent, const char *name)
{
        return parent == TREE_ROOT_INO && status_lookup(name) >= 0;
}

/* Checks that hold for every change by name. */
static bool refuse_name(fuse_req_t req, fuse_ino_t parent, const char *name, int taken)
{
        int error = strlen(name) > OP_NAME_MAX ? ENAMETOOLONG : name_is_taken(parent, name) ? taken : 0;

        if (error)
                (void) fuse_reply_err(req, error);
        return error != 0;
}

static void change_name(fuse_req_t req, uint8_t type, fuse_ino_t parent, const char *name, enum reply reply, int taken)
{
        Op op = { .type = type, .ino = parent, .name = name, .name_len = strlen(name) };
        Request *q;

        if (refuse_name(req, parent, name, taken))
                return;
        q = request_new(req, reply);
        if (q)
                submit(q, &op);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
        (void) mode;
        change_name(req, OP_MKDIR, parent, name, REPLY_ENTRY, EEXIST);
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
        (void) dev;
        if (!S_ISREG(mode))
                (void) fuse_reply_err(req, ENOSYS);
        else
                change_name(req, OP_CREATE, parent, name, REPLY_ENTRY, EEXIST);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        change_name(req, OP_UNLINK, parent, name, REPLY_ERROR, EACCES);
}

static void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        change_name(req, OP_RMDIR, parent, name, REPLY_ERROR, EACCES);
}

static void do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t parent2, const char *name2,
                      unsigned flags)
{
        Op op = { .type = OP_RENAME,
                  .flags = flags & RENAME_NOREPLACE ? OP_NOREPLACE : 0,
                  .ino = parent,
                  .ino2 = parent2,
                  .name = name,
                  .name_len = strlen(name),
                  .name2 = name2,
                  .name2_len = strlen(name2) };
        Request *q;

        if (flags & ~(unsigned) RENAME_NOREPLACE) {
                (void) fuse_reply_err(req, EINVAL);
                return;
        }
        if (refuse_name(req, parent, name, EACCES) || refuse_name(req, parent2, name2, EACCES))
                return;
        q = request_new(req, REPLY_ERROR);
        if (q)
                submit(q, &op);
}

static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
        (void) target, (void) parent, (void) name;
        (void) fuse_reply_err(req, ENOSYS);
}

static void do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
        (void) ino, (void) parent, (void) name;
        (void) fuse_reply_err(req, EPERM);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
        Op op = { .type = OP_CREATE, .ino = parent, .name = name, .name_len = strlen(name) };
        Request *q;

        (void) mode;
        if (refuse_name(req, parent, name, EEXIST))
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
        submit(q, &op);
}

/* --- attributes that may be set ------------------------------------------------------------------------- */

static int check_owner_and_mode(FuseFs *fs, const Node *n, const struct stat *attr, int to_set)
{
        mode_t mode = n->type == NODE_DIR ? 0755 : 0640;

        if (node_is_private(n))
                mode &= 0700;
        if ((to_set & FUSE_SET_ATTR_MODE) && (attr->st_mode & 07777) != mode)
                return -EPERM;
        if ((to_set & FUSE_SET_ATTR_UID) && attr->st_uid != 0)
                return -EPERM;
        if ((to_set & FUSE_SET_ATTR_GID) && attr->st_gid != fs->gid)
                return -EPERM;
        return 0;
}

/* The lock may be gone when this returns. */
static void ask_lock(fuse_req_t req, FuseFs *fs, const Node *n)
{
        struct stat st;
        int r;

        fill_attr(fs, n, 0, &st);
        r = engine_ask_lock(fs->engine, n->ino);
        (void) (r < 0 ? fuse_reply_err(req, -r) : fuse_reply_attr(req, &st, 0));
}

static void set_time(fuse_req_t req, FuseFs *fs, const Node *n, const struct stat *attr, int to_set)
{
        Op op = { .type = OP_UTIME, .ino = n->ino };
        Request *q;

        if (!(to_set & FUSE_SET_ATTR_MTIME_NOW))
                op.mtime = (int64_t) attr->st_mtim.tv_sec * 1000000000 + attr->st_mtim.tv_nsec;
        if (node_is_lock(n) && !(to_set & FUSE_SET_ATTR_MTIME_NOW) && op.mtime == 0) {
                ask_lock(req, fs, n);
                return;
        }
        if (node_is_lock(n) && n->writer != engine_nodeid(fs->engine)) {
                (void) fuse_reply_err(req, EACCES);
                return;
        }
        q = request_new(req, REPLY_ATTR);
        if (!q)
                return;
        q->ino = n->ino;
        if (to_set & FUSE_SET_ATTR_MTIME_NOW)
                op.mtime = now_nsec();
        else if (op.mtime == 0)
                op.mtime = 1; /* 0 stands for "now" on the way; a nanosecond later nobody sees */
        submit(q, &op);
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
                fill_attr(fs, n, h->pid, &st);
                st.st_size = (off_t) handle_size(h);
                (void) (r < 0 ? fuse_reply_err(req, -r) : fuse_reply_attr(req, &st, 0));
                return;
        }
        q = request_new(req, REPLY_ATTR);
        if (!q)
                return;
        q->ino = n->ino;
        submit(q, &op);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
        FuseFs *fs = fs_of(req);
        const Node *n = tree_find(tree_of(fs), ino);
        int item = status_of_ino(ino), r;
        struct stat st;

        if (item >= 0) { /* `> .debug` truncates first */
                fill_virtual(fs, (enum status_item) item, &st);
                r = item == STATUS_DEBUG && !(to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
                            ? 0
                            : EPERM;
                (void) (r ? fuse_reply_err(req, r) : fuse_reply_attr(req, &st, 0));
                return;
        }
        r = n ? check_owner_and_mode(fs, n, attr, to_set) : -ESTALE;
        if (r < 0)
                (void) fuse_reply_err(req, -r);
        else if (to_set & FUSE_SET_ATTR_SIZE)
                set_size(req, fs, n, attr->st_size, fi ? (Handle *) (uintptr_t) fi->fh : NULL);
        else if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
                set_time(req, fs, n, attr, to_set);
        else
                do_getattr(req, ino, fi);
}

/* --- open files ----------------------------------------------------------------------------------------- */

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
                reply_open(req, fs, h, fi, NULL);
        else
                (void) fuse_reply_err(req, ENOMEM);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        FuseFs *fs = fs_of(req);
        int item = status_of_ino(ino), r = 0;
        const Node *n;
        Handle *h;

        if (item >= 0) {
                open_virtual(req, fs, (enum status_item) item, fi);
                return;
        }
        n = tree_find(tree_of(fs), ino);
        if (!n || n->type != NODE_FILE)
                r = n ? -EISDIR : -ESTALE;
        else if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC))
                r = engine_can_write(fs->engine);
        h = r == 0 ? handle_new(ino, n->content, fuse_req_ctx(req)->pid) : NULL;
        if (!h) {
                (void) fuse_reply_err(req, r ? -r : ENOMEM);
                return;
        }
        h->is_append = (fi->flags & O_APPEND) != 0;
        if (fi->flags & O_TRUNC)
                set_truncated(h);
        reply_open(req, fs, h, fi, NULL);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
        const uint8_t *data = NULL;
        size_t n = handle_read((Handle *) (uintptr_t) fi->fh, (uint64_t) offset, size, &data);

        (void) ino;
        (void) fuse_reply_buf(req, (const char *) data, n);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
        FuseFs *fs = fs_of(req);
        int item = status_of_ino(ino), r;

        if (item >= 0) {
                r = status_write(fs->status, (enum status_item) item, data, size);
        } else {
                r = engine_can_write(fs->engine);
                if (r == 0)
                        r = handle_write((Handle *) (uintptr_t) fi->fh, (uint64_t) offset, data, size);
        }
        if (r < 0)
                (void) fuse_reply_err(req, -r);
        else
                (void) fuse_reply_write(req, size);
}

/* `req` NULL: nobody waits. */
static void publish(FuseFs *fs, fuse_req_t req, Handle *h)
{
        StrBuf buffer = STRBUF_INIT;
        Request *q;
        Op op;
        int r = handle_publish(h, now_nsec(), &buffer, &op);

        if (r < 0 || op.type == 0) {
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
                submit(q, &op);
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

static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        Handle *h = (Handle *) (uintptr_t) fi->fh;

        if (h->is_truncated && !h->is_dirty && is_open_elsewhere(fuse_req_ctx(req)->pid, ino))
                (void) fuse_reply_err(req, 0);
        else
                publish(fs_of(req), req, h);
}

static void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
        (void) ino, (void) datasync;
        publish(fs_of(req), req, (Handle *) (uintptr_t) fi->fh);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        FuseFs *fs = fs_of(req);
        Handle *h = (Handle *) (uintptr_t) fi->fh;

        (void) ino;
        publish(fs, NULL, h);
        for (Handle **at = &fs->handles; *at; at = &(*at)->next)
                if (*at == h) {
                        *at = h->next;
                        break;
                }
        (void) handle_unref(h);
        (void) fuse_reply_err(req, 0);
}

/* --- directories ---------------------------------------------------------------------------------------- */

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

static int dir_fill(DirHandle *d, const Node *n)
{
        int r = dir_add(d, n->ino, ".", S_IFDIR);

        if (r == 0)
                r = dir_add(d, n->parent ? n->parent->ino : TREE_ROOT_INO, "..", S_IFDIR);
        for (int i = 0; r == 0 && !n->parent && i < STATUS_ITEMS; i++)
                r = dir_add(d, STATUS_INO_FIRST + (uint64_t) i, status_name((enum status_item) i),
                            status_is_link((enum status_item) i) ? S_IFLNK : S_IFREG);
        for (const Node *c = n->children; r == 0 && c; c = c->next)
                r = dir_add(d, c->ino, c->name, c->type == NODE_DIR ? S_IFDIR : S_IFREG);
        return r;
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        const Node *n = tree_find(tree_of(fs_of(req)), ino);
        DirHandle *d;
        int r = !n ? -ESTALE : n->type != NODE_DIR ? -ENOTDIR : 0;

        d = r == 0 ? calloc(1, sizeof(*d)) : NULL;
        if (d)
                r = dir_fill(d, n);
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
static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
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

static void do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        (void) ino;
        dir_free((DirHandle *) (uintptr_t) fi->fh);
        (void) fuse_reply_err(req, 0);
}

static void do_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
        (void) ino, (void) datasync, (void) fi;
        (void) fuse_reply_err(req, 0); /* what was acknowledged is stored */
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
        (void) userdata;
        conn->want &= ~(unsigned) (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                                   FUSE_CAP_READDIRPLUS | FUSE_CAP_WRITEBACK_CACHE);
        conn->want |= conn->capable & FUSE_CAP_ATOMIC_O_TRUNC;
        conn->max_write = MAX_WRITE;
}

static const struct fuse_lowlevel_ops operations = {
        .init = do_init,
        .lookup = do_lookup,
        .forget = do_forget,
        .forget_multi = do_forget_multi,
        .getattr = do_getattr,
        .setattr = do_setattr,
        .readlink = do_readlink,
        .mknod = do_mknod,
        .mkdir = do_mkdir,
        .unlink = do_unlink,
        .rmdir = do_rmdir,
        .symlink = do_symlink,
        .rename = do_rename,
        .link = do_link,
        .open = do_open,
        .read = do_read,
        .write = do_write,
        .flush = do_flush,
        .release = do_release,
        .fsync = do_fsync,
        .opendir = do_opendir,
        .readdir = do_readdir,
        .releasedir = do_releasedir,
        .fsyncdir = do_fsyncdir,
        .statfs = do_statfs,
        .create = do_create,
};

static int on_request(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        FuseFs *fs = userdata;
        int r = 0;

        (void) s, (void) fd, (void) revents;
        for (int i = 0; i < REQUESTS_PER_TURN; i++) {
                r = fuse_session_receive_buf(fs->session, &fs->buffer);
                if (r <= 0)
                        break;
                fuse_session_process_buf(fs->session, &fs->buffer);
        }
        engine_settle(fs->engine);
        if (fuse_session_exited(fs->session)) {
                log_warning("the file system was unmounted by somebody else: stopping");
                fs->is_mounted = false;
                return sd_event_exit(fs->event, 0);
        }
        return r < 0 && r != -EAGAIN && r != -EINTR ? r : 0;
}

/* A mount whose daemon died answers ENOTCONN for ever. */
static int prepare_dir(const char *dir, struct storaged_error *err)
{
        struct stat st;
        int r;

        if (stat(dir, &st) < 0 && errno == ENOTCONN) {
                log_info("taking away the mount that a dead daemon left at %s", dir);
                if (umount2(dir, MNT_DETACH) < 0)
                        return error_set(err, -errno, "can't unmount the dead mount at %s: %s", dir, strerror(errno));
        }
        r = fs_mkdir_p(dir, 0755);
        return r < 0 ? error_set(err, r, "can't make the directory %s: %s", dir, strerror(-r)) : 0;
}

static int session_mount(FuseFs *fs, const char *dir, struct storaged_error *err)
{
        char *argv[] = { (char *) "clusterfs", (char *) "-o",
                         (char *) "allow_other,default_permissions,fsname=clusterfs,nosuid,nodev", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(3, argv);
        int flags;

        fs->session = fuse_session_new(&args, &operations, sizeof(operations), fs);
        fuse_opt_free_args(&args);
        if (!fs->session)
                return error_set(err, -EINVAL, "libfuse refuses its options");
        if (fuse_session_mount(fs->session, dir) != 0)
                return error_set(err, -EIO, "can't mount at %s: is /dev/fuse there, and is this root?", dir);
        fs->is_mounted = true;
        flags = fcntl(fuse_session_fd(fs->session), F_GETFL);
        if (flags < 0 || fcntl(fuse_session_fd(fs->session), F_SETFL, flags | O_NONBLOCK) < 0)
                return error_set(err, -errno, "can't set up /dev/fuse: %s", strerror(errno));
        return 0;
}

int fusefs_new(sd_event *event, const char *dir, Engine *engine, Status *status, FuseFs **ret,
               struct storaged_error *err)
{
        AUTO(fusefs_freep) FuseFs *fs = calloc(1, sizeof(*fs));
        const struct group *g = getgrnam("www-data");
        int r;

        if (!fs)
                return -ENOMEM;
        fs->engine = engine;
        fs->status = status;
        fs->event = sd_event_ref(event);
        fs->gid = g ? g->gr_gid : 0;
        r = prepare_dir(dir, err);
        if (r == 0)
                r = session_mount(fs, dir, err);
        if (r == 0)
                r = sd_event_add_io(event, &fs->io, fuse_session_fd(fs->session), EPOLLIN, on_request, fs);
        if (r < 0)
                return r;
        *ret = TAKE(fs);
        return 0;
}

FuseFs *fusefs_free(FuseFs *fs)
{
        if (!fs)
                return NULL;
        fs->io = sd_event_source_disable_unref(fs->io);
        if (fs->session) {
                if (fs->is_mounted)
                        fuse_session_unmount(fs->session);
                fuse_session_destroy(fs->session);
        }
        free(fs->buffer.mem);
        while (fs->handles) {
                Handle *h = fs->handles;

                fs->handles = h->next;
                (void) handle_unref(h);
        }
        (void) sd_event_unref(fs->event);
        free(fs);
        return NULL;
}
