/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One HTTP/1.1 connection over a Unix socket, kept from request to request. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>

typedef struct Http {
        int fd; /* -EBADF: not connected */
} Http;

#define HTTP_INIT      \
        (Http)         \
        {              \
                -EBADF \
        }

typedef struct HttpCall {
        const char *address; /* path of the socket */
        const char *head;    /* request line, headers, and what of the body is in memory */
        size_t head_len;
        int file_fd; /* then the first file_bytes of this file, from its beginning; -EBADF: none. Borrowed */
        uint64_t file_bytes;
        const char *tail; /* then this */
        size_t tail_len;
        int interrupt_fd; /* a byte to read here ends the call with -EINTR; -1: none. Borrowed */
        void (*on_body)(void *userdata, const char *data, size_t len);  /* a piece of the answer's body */
        void (*on_sent)(void *userdata, uint64_t done, uint64_t total); /* of the file */
        void *userdata;
} HttpCall;

/*
 * Sends and takes the whole answer; *ret_status is its status. An answer that comes before all is sent ends the
 * sending. Failures: *ret_is_connected says whether anybody answered on the socket (false: why not, as connect() says);
 * -EINTR; -EPROTO: no HTTP; -ECONNRESET: ended early; -EIO: the file has less bytes than it had. The connection is
 * closed then.
 */
int http_call(Http *h, const HttpCall *call, int *ret_status, bool *ret_is_connected);
void http_deinit(Http *h);
