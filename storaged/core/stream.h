/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Streams of exports and imports whose two ends are on different nodes. Whoever waits for bytes offers an end under a
 * token; the node that has them sends them there as the body of one request.
 */
#include "core/core.h"

#define STREAM_TOKEN_SIZE 33

typedef struct Streams Streams;

int streams_new(Streams **ret, Core *c);
Streams *streams_free(Streams *s);
DEFINE_CLEANUP(Streams *, streams_free)

/* 128 random bits in hexadecimal digits. */
void stream_make_token(char ret[static STREAM_TOKEN_SIZE]);
/* Connects to a client's socket, without waiting; *ret is non-blocking, the caller's. */
int stream_connect(const char *path, int *ret, struct storaged_error *err);
/* Bytes that come for this token go to `fd`, which is taken over if it succeeds. Withdrawn if nobody comes. */
int stream_offer(Core *c, const char *token, int fd);
/* The end that was offered, the caller's from now on; -ENOENT. */
int stream_claim(Core *c, const char *token);
/* Sends what comes from `fd` (taken over if it succeeds) to whoever offered that token on that node. */
int stream_send(Core *c, const char *node, const char *token, int fd, struct storaged_error *err);
/* A pair: *ret_worker blocks, for a worker; *ret_ours does not. */
int stream_pair(int *ret_worker, int *ret_ours);
