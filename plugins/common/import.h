/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What import and upload share. */
#include "common/filestore.h"
#include "common/nbd.h"
#include "common/stream-io.h"

/* Writes n bytes at the offset, but no 64 KiB block that is all zeroes. */
int import_write_sparse(int fd, const char *buf, size_t n, uint64_t offset);
/* `size` bytes of the stream, as a guest sees them, into a new image of a multiple of 512 bytes that reads as zeroes.
 */
int import_guest_view(Stream *s, NbdImage *image, uint64_t size, struct storaged_error *err);
/* An image from outside: well-formed, refers to no other file, has `size` bytes unless that is unknown. */
int import_check_image(FileStore *fs, Tree *tree, const char *rel, uint32_t format, uint64_t size,
                       struct storaged_error *err);
