/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The other end of a stream: a descriptor, bytes counted, the watch standing still while we wait for it. */
#include "rbd/store.h"

#define PIPE_CHUNK (4u << 20)  /* an object of an image */
#define PIPE_GRAIN (64u << 10) /* unit in which zeroes are noticed */

typedef struct Pipe {
        RbdStore *store;
        int fd;               /* borrowed */
        uint64_t done, total; /* for the progress; total 0: unknown */
        char *buf;            /* PIPE_CHUNK bytes */
} Pipe;

/* Switches the connection to the long times of streams. */
int pipe_init(Pipe *p, RbdStore *s, int fd, STORAGED_ERR);
void pipe_deinit(Pipe *p);
int pipe_write(Pipe *p, const void *data, size_t n, STORAGED_ERR);
int pipe_write_zeroes(Pipe *p, uint64_t n, STORAGED_ERR);
/* Exactly n bytes; -EIO and a sentence if the stream ends before. */
int pipe_read(Pipe *p, void *to, size_t n, STORAGED_ERR);
bool pipe_is_zero(const char *data, size_t n);
