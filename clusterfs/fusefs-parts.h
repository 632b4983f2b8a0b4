/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The inside of the mount, for the files fusefs*.c alone. */
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>

#include "clusterfs/fusefs.h"
#include "clusterfs/handle.h"

/* A file that is open here and not in the tree yet; see fusefs-draft.c. */
typedef struct Draft Draft;

struct Draft {
        Draft *next;
        uint64_t id, dir; /* as the kernel knows it and its directory */
        char *name;
        int64_t mtime;
        uint64_t ino; /* once it is in the tree; 0: not yet */
        uint32_t generation;
        bool is_closed; /* kept for the kernel's sake alone */
};

#define LOOKUPS_MAX 64u

/* What somebody was told of a file: see fusefs-behind.c. */
typedef struct Lookup {
        pid_t pid;
        uint64_t id, dir;
        char name[OP_NAME_MAX + 1];
} Lookup;

struct FuseFs {
        Engine *engine;
        Status *status;
        struct fuse_session *session;
        sd_event *event;
        sd_event_source *io;
        struct fuse_buf buffer;
        Handle *handles;
        Draft *drafts;
        uint64_t last_draft;
        sd_event_source *settle; /* see fusefs-behind.c */
        Lookup lookups[LOOKUPS_MAX];
        unsigned next_lookup;
        gid_t gid;
        bool is_mounted;
};

/* What the answer to a change looks like. */
enum reply {
        REPLY_ERROR,
        REPLY_ENTRY,
        REPLY_ATTR,
        REPLY_CREATE,
        REPLY_FLUSH,
        REPLY_DRAFT,
        REPLY_IOCTL,
        REPLY_OPEN, /* these three: once it was ordered */
        REPLY_SIZE,
        REPLY_TIME,
};

typedef struct Request {
        FuseFs *fs;
        fuse_req_t req;
        enum reply reply;
        uint64_t ino, parent, size;
        int64_t mtime;
        Handle *handle; /* of a flush */
        struct fuse_file_info fi;
        char *name;
} Request;

/*
 * So long the kernel may use attributes and directories it was told of, in seconds: from a lookup to the open() behind
 * it. Names of files and locks are asked for each time. The issue allows 50 ms until a change of another node is seen.
 */
#define ATTR_TIMEOUT 0.02

/* fusefs.c */
/*
 * What the kernel knows an object by: its number, above it the generation of the tree that gave it that number. After
 * the tree of others was taken, an old id never names another object that has got the same number.
 */
uint64_t fusefs_id(FuseFs *fs, const Node *n);
/* NULL: there is no such object (any more). */
const Node *fusefs_node(FuseFs *fs, uint64_t id);
FuseFs *fusefs_of(fuse_req_t req);
const Tree *fusefs_tree(FuseFs *fs);
int64_t fusefs_now(void);

/* fusefs-attr.c */
void fusefs_fill_attr(FuseFs *fs, const Node *n, pid_t pid, struct stat *st);
void fusefs_fill_virtual(FuseFs *fs, enum status_item item, struct stat *st);
int fusefs_attr(FuseFs *fs, uint64_t ino, pid_t pid, struct stat *st);
void fusefs_fill_entry(FuseFs *fs, const Node *n, pid_t pid, struct fuse_entry_param *e);
void fusefs_do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fusefs_do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_do_readlink(fuse_req_t req, fuse_ino_t ino);
void fusefs_do_statfs(fuse_req_t req, fuse_ino_t ino);
void fusefs_do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void fusefs_do_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *list);
void fusefs_do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);

/* fusefs-change.c */
Request *request_new(fuse_req_t req, enum reply reply);
void request_submit(Request *q, Op *op);
void request_order(Request *q);
void fusefs_set_truncated(Handle *h);
void fusefs_reply_open(fuse_req_t req, FuseFs *fs, Handle *h, struct fuse_file_info *fi,
                       const struct fuse_entry_param *e);
void fusefs_do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fusefs_do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void fusefs_do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fusefs_do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void fusefs_do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t parent2, const char *name2,
                      unsigned flags);
void fusefs_do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
                     const void *in, size_t in_len, size_t out_max);
void fusefs_do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void fusefs_do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void fusefs_do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);

/* fusefs-draft.c */
Draft *draft_find(FuseFs *fs, uint64_t id);
Draft *draft_lookup(FuseFs *fs, uint64_t dir, const char *name);
bool draft_is_in(const FuseFs *fs, uint64_t dir);
uint64_t draft_id_of(FuseFs *fs, const Node *n);
void draft_is_made(FuseFs *fs, uint64_t id, const Node *n);
int draft_attr(FuseFs *fs, const Draft *d, struct stat *st);
void draft_release(FuseFs *fs, uint64_t id);
void drafts_free(FuseFs *fs);
bool draft_create(fuse_req_t req, FuseFs *fs, uint64_t dir, const char *name, struct fuse_file_info *fi);
void draft_make(fuse_req_t req, FuseFs *fs, const Draft *d);

/* fusefs-behind.c */
/* To be called when the kernel is told of a file, by which it may open it then. */
void behind_looked_up(FuseFs *fs, pid_t pid, const Node *n);
/*
 * To be called when `n` is opened to be written, after fusefs_set_truncated(). -ESTALE: it has not the name any more
 * that it was looked up by.
 */
int behind_note_name(FuseFs *fs, Handle *h, const Node *n);
/* Addresses a WRITE to the name that the handle was opened by; `n`: behind_node(). 1, or -ESTALE: its directory is
 * gone. */
int behind_address(FuseFs *fs, const Handle *h, const Node *n, Op *op);
/* The file that a handle writes to; NULL: it is gone. */
const Node *behind_node(FuseFs *fs, const Handle *h);
/* It was published under its name: it is this file now. */
void behind_published(Handle *h, const Node *n);
/* It was refused. True: there is something to publish again, and to whom. */
bool behind_again(FuseFs *fs, Handle *h);
/* Opens a file to write, truncates it or sets its time (ns) when this node knows what the others were told before;
 * answers. */
void behind_open(fuse_req_t req, const Node *n, const struct fuse_file_info *fi);
void behind_truncate(fuse_req_t req, const Node *n, uint64_t size);
void behind_set_time(fuse_req_t req, const Node *n, int64_t mtime);
/* Their second halves. True: `q` was submitted once more. */
void behind_opened(Request *q, int result);
bool behind_changed(Request *q, int result);

/* fusefs-file.c */
/* Sends what was written; `req` NULL: nobody waits. */
void fusefs_publish(FuseFs *fs, fuse_req_t req, Handle *h);
void fusefs_do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void fusefs_do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi);
void fusefs_do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fusefs_do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* fusefs-dir.c */
void fusefs_do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void fusefs_do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fusefs_do_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
