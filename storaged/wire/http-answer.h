/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* An HTTP/1.1 answer as it comes in, piece by piece: status, and the body without its framing. Pure; fuzzed. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>

#define HTTP_HEAD_MAX (32u << 10)

typedef enum HttpAnswerState {
        HTTP_ANSWER_HEAD,
        HTTP_ANSWER_LENGTH,     /* body of known length */
        HTTP_ANSWER_UNTIL_END,  /* body up to the end of the connection */
        HTTP_ANSWER_CHUNK_SIZE, /* chunked: the line before a chunk */
        HTTP_ANSWER_CHUNK,
        HTTP_ANSWER_CHUNK_END, /* the line break behind it */
        HTTP_ANSWER_TRAILER,
        HTTP_ANSWER_DONE,
} HttpAnswerState;

typedef struct HttpAnswer {
        HttpAnswerState state;
        int status;       /* 0 until the head is in */
        bool has_no_body; /* set by the caller: the answer to a HEAD */
        uint64_t left;    /* of the body or of this chunk */
        char *line;       /* the head, or a line of the framing, so far */
        size_t line_len;
} HttpAnswer;

#define HTTP_ANSWER_INIT \
        (HttpAnswer)     \
        {                \
                0        \
        }

void http_answer_deinit(HttpAnswer *a);
/*
 * Takes the next bytes, at most up to the first piece of body: *ret_used of them, and *ret_body with *ret_len is that
 * piece (points into data; 0 bytes: none yet). Call again with the rest. After DONE nothing is used. -EPROTO: no
 * HTTP/1.x, -EMSGSIZE: a head beyond HTTP_HEAD_MAX, -ENOMEM.
 */
int http_answer_feed(HttpAnswer *a, const char *data, size_t len, size_t *ret_used, const char **ret_body,
                     size_t *ret_len);
/* The connection has ended: true if that is where the answer ends. */
bool http_answer_end(HttpAnswer *a);
