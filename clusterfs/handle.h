/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * An open file: the version that was opened, and what has been written through it but not published yet. Readers of a
 * handle see its own writes; everybody else sees them when the handle is flushed, as one change.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <storaged/cleanup.h>

#include "clusterfs/op.h"
#include "clusterfs/tree.h"

typedef struct Handle Handle;

struct Handle {
        Handle *next; /* for its owner */
        unsigned refs;
        uint64_t ino;        /* as its owner names the file */
        uint32_t generation; /* of the tree when it was opened */
        pid_t pid;           /* who opened it */
        /*
         * Its name when it was opened, while the others may have changed what it names before; for its owner. A file
         * that was opened to be replaced is published under the name, another one if it still has the name.
         */
        char *name;
        uint64_t dir;          /* of that name, as its owner names it */
        uint64_t sequence;     /* the last change sent before it was opened */
        bool is_put;           /* opened to be replaced */
        bool is_tail;          /* there is none of that name: what is appended is all of it */
        bool is_name_for_good; /* the name was another file's already when it was opened */
        uint64_t new_ino;      /* the file that it became by that; 0: still `ino` */
        uint32_t new_generation;
        Content *base; /* what was opened or last published */
        uint8_t *work; /* base with what was written, from the first write on */
        size_t len, size;
        bool is_append;    /* what is written goes behind what is there when it is published */
        bool is_replace;   /* the work is the whole new content, not a change of the old one */
        bool is_dirty;     /* written to */
        bool is_truncated; /* opened with O_TRUNC, and that is not published */
        int error;         /* why a write was refused: a half of what was meant is never published */
        size_t append_from;
        OpExtent extents[OP_EXTENTS_MAX];
        size_t n_extents;
        /* What is on its way: as places, or from where it was appended. */
        OpExtent sent[OP_EXTENTS_MAX];
        size_t n_sent, sent_from;
        bool can_take_back;
};

Handle *handle_new(uint64_t ino, Content *base, pid_t pid);
Handle *handle_ref(Handle *h);
Handle *handle_unref(Handle *h);
DEFINE_CLEANUP(Handle *, handle_unref)

/* Size as its writer sees it. */
size_t handle_size(const Handle *h);
bool handle_has_changes(const Handle *h);
/* -EFBIG, -ENOMEM or 0. */
int handle_write(Handle *h, uint64_t offset, const void *data, size_t len);
int handle_truncate(Handle *h, uint64_t size);
/* *ret points into the handle; less than `len` at the end. */
size_t handle_read(const Handle *h, uint64_t offset, size_t len, const uint8_t **ret);
/* Whatever is published is the whole content. */
void handle_make_whole(Handle *h);
/*
 * The change that publishes what was written; `buffer` holds its data. The handle counts as clean then. Without a
 * change op.type is 0.
 */
int handle_publish(Handle *h, int64_t mtime, StrBuf *buffer, Op *ret);
/*
 * What is on its way has not been published and counts as unpublished again. False: it can't, it was a whole new
 * content made of the old one.
 */
bool handle_take_back(Handle *h);
/* It has been published, the file is now `content`: a clean handle sees that from now on. */
void handle_published(Handle *h, Content *content);
