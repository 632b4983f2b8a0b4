/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One change of the tree, as it is sent: what was asked for, not what came of it. Every member applies the same changes
 * in the same order and comes to the same answer. Objects are named by inode number; a name is looked up in its parent
 * at the moment of applying.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define OP_NAME_MAX 255u
#define OP_FILE_MAX (1u << 20)
#define OP_EXTENTS_MAX 64u

/* Written on the wire: never renumbered, never reused. */
enum op_type {
        OP_CREATE = 1,    /* ino = parent, name; must not exist */
        OP_MKDIR = 2,     /* ino = parent, name */
        OP_UNLINK = 3,    /* ino = parent, name */
        OP_RMDIR = 4,     /* ino = parent, name */
        OP_RENAME = 5,    /* ino = parent, name, ino2 = new parent, name2 */
        OP_WRITE = 6,     /* ino = file, extents, data */
        OP_TRUNCATE = 7,  /* ino = file, size */
        OP_UTIME = 8,     /* ino; mtime */
        OP_LOCK_DROP = 9, /* ino = lock directory, term and index as seen by who decided */
        OP_PUT = 10,      /* ino = parent, name, data: create it with this content, or replace the content */
        OP_TYPE_MAX = OP_PUT
};

enum {
        OP_REPLACE = 1 << 0,   /* WRITE: data is the whole new content */
        OP_APPEND = 1 << 1,    /* WRITE: data goes behind what is there */
        OP_NOREPLACE = 1 << 2, /* RENAME: fail if the target exists */
        OP_NAMED = 1 << 3,     /* WRITE: ino2 = parent, name; -ESTALE unless that is the file's name. */
        OP_FENCED = 1 << 4,    /* RENAME, UNLINK, PUT: -ESTALE unless there is a lock of the number `lock` */
};

typedef struct OpExtent {
        uint32_t offset, len;
} OpExtent;

typedef struct Op {
        uint8_t type, flags;
        uint32_t writer; /* node id of who asked; not in the body, but of the frame */
        int64_t mtime;   /* ns since 1970, by the clock of who asked */
        uint64_t ino, ino2, size, term, index, lock;
        const char *name, *name2; /* not NUL-terminated; borrowed */
        size_t name_len, name2_len;
        OpExtent extents[OP_EXTENTS_MAX];
        size_t n_extents;
        const uint8_t *data; /* borrowed */
        size_t data_len;
} Op;

/* True for what may be the name of a file: 1 … 255 bytes, no slash, no NUL, not "." or "..". */
bool op_name_is_valid(const char *name, size_t len);
#define OP_NAMED_VERSION 2u
#define OP_FENCED_VERSION 3u

/* Changes nothing, is refused with -ENOENT in every version by whatever tree there is: the time stamp of no object. */
extern const Op op_of_nothing;
/* It is made only while the lock it was asked for under is there. */
bool op_is_fenced(const Op *op);
/* The oldest version of frame.h whose members understand it. */
uint16_t op_version(const Op *op);
/* Appends to `b`; check strbuf_error(). */
void op_encode(StrBuf *b, const Op *op);
/* All is checked but what depends on the tree; strings and data point into `body`. -EPROTO. */
int op_decode(const void *body, size_t len, Op *ret);
