/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The bytes of a stream: a size of 64 bits, little-endian, and what follows. */
#include "common/filestore.h"

#define STREAM_CHUNK (1u << 20)
#define STREAM_BLOCK (64u * 1024) /* unit in which zeroes are noticed */

typedef struct Stream {
        FileStore *fs;
        int fd;               /* borrowed */
        uint64_t done, total; /* for the progress; total 0: unknown */
        char *buf;            /* STREAM_CHUNK bytes */
} Stream;

int stream_init(Stream *s, FileStore *fs, int fd, struct storaged_error *err);
void stream_deinit(Stream *s);
int stream_write(Stream *s, const void *data, size_t n, struct storaged_error *err);
int stream_write_zeroes(Stream *s, uint64_t n, struct storaged_error *err);
int stream_write_size(Stream *s, uint64_t bytes, struct storaged_error *err);
/* Up to n bytes into buf; fewer only at the end of the stream. */
int stream_read(Stream *s, void *data, size_t n, size_t *ret_n, struct storaged_error *err);
int stream_read_size(Stream *s, uint64_t *ret, struct storaged_error *err);
/* -EIO and the sentence: it ended early. */
int stream_refuse_short(Stream *s, uint64_t got, uint64_t wanted, struct storaged_error *err);
bool stream_is_zero(const void *data, size_t n);
