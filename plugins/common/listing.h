/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Walks over what a storage holds. */
#include "common/filestore.h"
#include "common/image-cache.h"

/* A guest image as it was found. Strings live during the call. */
typedef struct ListedImage {
        uint32_t vmid;
        const char *file;
        uint32_t format; /* one bit */
        const TreeAttr *attr;
        uint64_t bytes; /* virtual, or STORAGED_SIZE_UNKNOWN */
        bool is_valid;
        const char *backing;  /* as in the header, or NULL */
        uint32_t basevmid;    /* of a linked clone, else 0 */
        const char *base;     /* file of the base, or NULL */
        uint32_t n_snapshots; /* inside the image */
} ListedImage;

typedef int (*ListedImageFn)(void *userdata, const ListedImage *image);

/* All guest images, or those of one VMID. */
int listing_images(FileStore *fs, uint32_t vmid, ListedImageFn fn, void *userdata, struct storaged_error *err);
/* One of them. -ENOENT. */
int listing_image(FileStore *fs, STORAGED_VOL, ListedImageFn fn, void *userdata, struct storaged_error *err);
/* Sets ret to the volume name of one linked clone of the base, or to "". */
int listing_find_clone(FileStore *fs, uint32_t basevmid, const char *base, char ret[static STORAGED_VOLNAME_MAX],
                       struct storaged_error *err);
