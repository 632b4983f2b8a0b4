/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The guest's view of a qcow2 or vmdk image, served by qemu-nbd over a private socket. */
#include "common/filestore.h"

struct nbd_handle;

typedef struct NbdImage {
        struct nbd_handle *handle;
        const char *rel; /* borrowed, for sentences */
} NbdImage;

#define NBD_IMAGE_CHUNK (1u << 20)

/* Starts qemu-nbd on the image (or on a snapshot inside it, read-only then). qemu-nbd ends with the connection. */
int nbd_image_open(FileStore *fs, const char *rel, const char *format, const char *snap, bool is_writable,
                   NbdImage *ret, struct storaged_error *err);
void nbd_image_close(NbdImage *n);
int nbd_image_size(NbdImage *n, uint64_t *ret, struct storaged_error *err);
int nbd_image_read(NbdImage *n, void *buf, size_t bytes, uint64_t offset, struct storaged_error *err);
int nbd_image_write(NbdImage *n, const void *buf, size_t bytes, uint64_t offset, struct storaged_error *err);
int nbd_image_flush(NbdImage *n, struct storaged_error *err);
/* How far from `offset` on it is all zeroes or all data; *ret_bytes is at least 1 and at most `bytes`. */
int nbd_image_extent(NbdImage *n, uint64_t offset, uint64_t bytes, uint64_t *ret_bytes, bool *ret_is_zero,
                     struct storaged_error *err);
