/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This node may be behind the others: what they were told is done is applied here a moment later. Reads may be that
 * old. A write may not: a file that was found under a name may have been replaced, removed or moved away already, and
 * what is written to it then would be lost, or spoil another file, though the writer is told of success.
 *
 * So what is written is addressed to the name a file was opened by, until a change of this node that was ordered behind
 * the open() has shown that the name was that file's; from then on it is the file that counts, as on any file system. A
 * file that was opened to be replaced (O_TRUNC) is put under its name. What is appended or written to certain places
 * only goes to the file if it has the name, else to the one that has, in a second change. Who may have read what was
 * there (O_RDWR), truncates or sets the time by a path, waits for one round of ordering before; so does everybody while
 * an older version takes part.
 *
 * A name that is another file's by then is ESTALE, and the kernel looks the path up again. So is a file that was given
 * another name between the kernel's looking it up and its opening it: open() does not say by which name, so the last
 * lookups are remembered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "clusterfs/fusefs-parts.h"

/* Files that stay open that long are worth a message that settles whose name it was. */
#define SETTLE_USEC (50 * USEC_PER_MSEC)

static void by_the_file(Handle *h)
{
        free(h->name);
        h->name = NULL;
}

void behind_looked_up(FuseFs *fs, pid_t pid, const Node *n)
{
        Lookup *l = &fs->lookups[fs->next_lookup++ % LOOKUPS_MAX];

        l->pid = pid;
        l->id = fusefs_id(fs, n);
        l->dir = fusefs_id(fs, n->parent);
        (void) snprintf(l->name, sizeof(l->name), "%s", n->name);
}

/* Each is good for one opening: a file may be opened again by a descriptor, without being looked up. */
static bool was_renamed(FuseFs *fs, pid_t pid, const Node *n)
{
        uint64_t id = fusefs_id(fs, n);
        bool found = false, is_renamed = false;

        for (unsigned i = 1; i <= LOOKUPS_MAX; i++) {
                Lookup *l = &fs->lookups[(fs->next_lookup - i) % LOOKUPS_MAX];

                if (l->id != id || l->pid != pid)
                        continue;
                if (!found)
                        is_renamed = l->dir != fusefs_id(fs, n->parent) || !str_eq(l->name, n->name);
                found = true;
                l->id = 0;
        }
        return is_renamed;
}

static const Node *named(FuseFs *fs, uint64_t dir_id, const char *name)
{
        const Node *dir = fusefs_node(fs, dir_id);

        return dir && dir->type == NODE_DIR ? tree_lookup(fusefs_tree(fs), dir, name, strlen(name)) : NULL;
}

static int on_settle(sd_event_source *s, uint64_t usec, void *userdata)
{
        FuseFs *fs = userdata;
        bool is_open = false;

        (void) s, (void) usec;
        for (const Handle *h = fs->handles; h; h = h->next)
                is_open = is_open || (h->name && !h->is_name_for_good);
        if (is_open && engine_can_write(fs->engine) == 0) {
                engine_order(fs->engine, NULL, NULL);
                engine_settle(fs->engine);
        }
        return 0;
}

static void settle_later(FuseFs *fs)
{
        int enabled = SD_EVENT_OFF;

        if (!fs->settle) {
                (void) sd_event_add_time_relative(fs->event, &fs->settle, CLOCK_MONOTONIC, SETTLE_USEC, 0, on_settle,
                                                  fs);
                return;
        }
        (void) sd_event_source_get_enabled(fs->settle, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(fs->settle, SETTLE_USEC);
        (void) sd_event_source_set_enabled(fs->settle, SD_EVENT_ONESHOT);
}

int behind_note_name(FuseFs *fs, Handle *h, const Node *n)
{
        if (engine_is_local(fs->engine))
                return 0;
        if (was_renamed(fs, h->pid, n))
                return -ESTALE;
        h->name = strdup(n->name);
        if (!h->name)
                return -ENOMEM;
        h->is_put = h->is_truncated;
        h->dir = fusefs_id(fs, n->parent);
        h->sequence = engine_sequence(fs->engine);
        settle_later(fs);
        return 0;
}

/* Everything that was acknowledged before `sequence` was sent is in the tree now. */
void fusefs_ordered(FuseFs *fs, uint64_t sequence)
{
        for (Handle *h = fs->handles; h; h = h->next) {
                const Node *n;

                if (!h->name || h->is_name_for_good || h->sequence >= sequence)
                        continue;
                n = named(fs, h->dir, h->name);
                if (n && fusefs_id(fs, n) == h->ino)
                        by_the_file(h);
                else
                        h->is_name_for_good = true; /* what is written goes to the file of that name */
        }
}

const Node *behind_node(FuseFs *fs, const Handle *h)
{
        const Node *n;

        if (!h->new_ino)
                return fusefs_node(fs, h->ino);
        n = tree_find(fusefs_tree(fs), h->new_ino);
        return n && n->generation == h->new_generation ? n : NULL;
}

int behind_address(FuseFs *fs, const Handle *h, const Node *n, Op *op)
{
        const Node *dir = fusefs_node(fs, h->dir);

        if (!dir)
                return -ESTALE;
        op->name = h->name;
        op->name_len = strlen(h->name);
        if (h->is_put) {
                op->type = OP_PUT;
                op->flags = 0;
                op->ino = dir->ino;
        } else {
                op->flags |= OP_NAMED;
                op->ino = n ? n->ino : 0;
                op->ino2 = dir->ino;
        }
        return 1;
}

void behind_published(Handle *h, const Node *n)
{
        if (!h->name || !n)
                return;
        by_the_file(h);
        h->new_ino = n->ino;
        h->new_generation = n->generation;
}

/*
 * The name was another file's already, and this node knows it now: what was written to certain places, or appended, is
 * written to that file; what is appended makes the file if there is none.
 */
bool behind_again(FuseFs *fs, Handle *h)
{
        const Node *n = h->name ? named(fs, h->dir, h->name) : NULL;

        if (!h->name || h->is_put || (n ? n->type != NODE_FILE : !h->is_append) || !handle_take_back(h))
                return false;
        if (n)
                behind_published(h, n);
        else
                h->is_put = h->is_tail = true;
        return true;
}

/* Remembers under which name the file was found. */
static Request *request_behind(fuse_req_t req, const Node *n, enum reply reply)
{
        FuseFs *fs = fusefs_of(req);
        Request *q;

        if (was_renamed(fs, fuse_req_ctx(req)->pid, n)) {
                (void) fuse_reply_err(req, ESTALE);
                return NULL;
        }
        q = request_new(req, reply);
        if (!q)
                return NULL;
        q->ino = fusefs_id(fs, n);
        q->parent = fusefs_id(fs, n->parent);
        q->name = strdup(n->name);
        if (q->name)
                return q;
        (void) fuse_reply_err(req, ENOMEM);
        free(q);
        return NULL;
}

void behind_open(fuse_req_t req, const Node *n, const struct fuse_file_info *fi)
{
        Request *q = request_behind(req, n, REPLY_OPEN);

        if (!q)
                return;
        q->fi = *fi;
        request_order(q);
}

void behind_truncate(fuse_req_t req, const Node *n, uint64_t size)
{
        Request *q = request_behind(req, n, REPLY_SIZE);

        if (!q)
                return;
        q->size = size;
        request_order(q);
}

static bool has_open(const FuseFs *fs, pid_t pid, uint64_t id)
{
        for (const Handle *h = fs->handles; h; h = h->next)
                if (h->pid == pid && h->ino == id)
                        return true;
        return false;
}

/* The kernel does not say whether by a path or by a descriptor: who has the file open means that file. */
void behind_set_time(fuse_req_t req, const Node *n, int64_t mtime)
{
        FuseFs *fs = fusefs_of(req);
        bool is_open = has_open(fs, fuse_req_ctx(req)->pid, fusefs_id(fs, n));
        Op op = { .type = OP_UTIME, .ino = n->ino, .mtime = mtime };
        Request *q = is_open ? request_new(req, REPLY_ATTR) : request_behind(req, n, REPLY_TIME);

        if (!q)
                return;
        q->ino = fusefs_id(fs, n);
        q->mtime = mtime;
        if (is_open)
                request_submit(q, &op);
        else
                request_order(q);
}

/* The file, if it has still the name that it was found under; else the request was answered. */
static const Node *still_named(Request *q, int result)
{
        const Node *n = result == -ENOENT ? named(q->fs, q->parent, q->name) : NULL;

        if (n && n->type == NODE_FILE && fusefs_id(q->fs, n) == q->ino)
                return n;
        (void) fuse_reply_err(q->req, result == -ENOENT ? ESTALE : -result);
        return NULL;
}

void behind_opened(Request *q, int result)
{
        const Node *n = still_named(q, result);
        Handle *h;

        if (!n)
                return;
        h = handle_new(q->ino, n->content, fuse_req_ctx(q->req)->pid);
        if (!h) {
                (void) fuse_reply_err(q->req, ENOMEM);
                return;
        }
        h->is_append = (q->fi.flags & O_APPEND) != 0;
        fusefs_reply_open(q->req, q->fs, h, &q->fi, NULL);
}

bool behind_changed(Request *q, int result)
{
        const Node *n = still_named(q, result);
        Op op = { .type = OP_TRUNCATE, .size = q->size };

        if (q->reply == REPLY_TIME)
                op = (Op){ .type = OP_UTIME, .mtime = q->mtime };

        if (!n)
                return false;
        op.ino = n->ino;
        q->reply = REPLY_ATTR;
        request_submit(q, &op);
        return true;
}
