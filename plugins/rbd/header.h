/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the header object of an image says, asked without opening the image: opening costs some ten round trips, this
 * costs one.
 */
#include "rbd/store.h"

#define IMAGE_ID_MAX 64

typedef struct ImageHeader {
        char *name;
        char id[IMAGE_ID_MAX];
        int result; /* negative errno: could not be read; the rest means nothing then */
        uint64_t bytes;
        int64_t parent_pool; /* -1: no parent */
        char parent_id[IMAGE_ID_MAX];
        uint64_t parent_snap;
        char parent_snap_name[256]; /* only after headers_read_snapshots() */
} ImageHeader;

typedef struct ImageHeaders {
        ImageHeader *items;
        size_t n;
} ImageHeaders;

void headers_deinit(ImageHeaders *h);
/* All images of the pool, with their headers, unordered. Images that vanish meanwhile have a result of -ENOENT. */
int headers_list(RbdStore *s, ImageHeaders *ret, STORAGED_ERR);
/* The one image of that name, or -ENOENT. */
int headers_find(RbdStore *s, const char *name, ImageHeaders *ret, STORAGED_ERR);
/* Fills parent_snap_name of those that have a parent in this pool. */
int headers_read_snapshots(RbdStore *s, ImageHeaders *h, STORAGED_ERR);

/* Pure: values in a header, and an answer of the object class. 0 or -EBADMSG. */
int header_parse_size(const char *data, size_t n, uint64_t *ret);
int header_parse_parent(const char *data, size_t n, ImageHeader *ret);
int header_parse_string(const char *data, size_t n, char *ret, size_t size);
