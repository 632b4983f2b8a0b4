/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the headers of images said, kept as long as the files did not change. */
#include "common/image.h"
#include "common/tree.h"

typedef struct ImageRecord {
        uint64_t inode, file_bytes;
        int64_t mtime_ns, ctime_ns;
        uint64_t bytes; /* virtual size; STORAGED_SIZE_UNKNOWN if invalid */
        char *backing;  /* owned; NULL: none */
        uint32_t n_snapshots;
        bool is_valid;
        bool is_used; /* of the table's slot */
} ImageRecord;

typedef struct ImageCache {
        ImageRecord *slots;
        size_t n_slots, n_used; /* n_slots: power of two, or 0 */
        uint64_t n_reads;       /* headers read so far */
} ImageCache;

ImageCache *image_cache_new(void);
ImageCache *image_cache_free(ImageCache *c);

/*
 * The record of an image; reads its header unless (inode, length, mtime, ctime) are those of the last time.
 * *ret is the cache's and valid until the next call. A broken header is an answer (is_valid false); a file
 * that cannot be read is a negative errno and not remembered.
 */
int image_cache_get(ImageCache *c, Tree *tree, const char *rel, uint32_t format, const TreeAttr *attr,
                    const ImageRecord **ret);
/* The header, read now. */
int image_read(Tree *tree, const char *rel, uint32_t format, ImageInfo *ret);
