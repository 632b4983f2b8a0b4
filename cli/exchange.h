/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One HTTP request and its answer, over a Unix socket. */
#include <stdint.h>

#include <storaged/error.h>

#include "base/str.h"

/* What is sent behind the head: text, a file's bytes, text again. */
typedef struct ExchangeBody {
        StrBuf before, after;
        int file_fd;      /* read from where it stands; -1: none. Borrowed */
        const char *path; /* of the file, for errors */
        uint64_t size;    /* of the file: so much is sent of it */
} ExchangeBody;

#define EXCHANGE_BODY_INIT    \
        (ExchangeBody)        \
        {                     \
                .file_fd = -1 \
        }

void exchange_body_deinit(ExchangeBody *b);

typedef struct Exchange {
        const char *address; /* of the socket; at most 107 bytes */
        int interrupt_fd;    /* a byte to read here ends it with -EINTR; -1: nothing. Borrowed */
        const char *method, *target;
        const char *content_type; /* of the body, or NULL */
        const ExchangeBody *body; /* or NULL */
        void (*take)(void *userdata, const char *data, size_t len);
        void *userdata;
        void (*sent)(void *userdata, uint64_t done, uint64_t total); /* of the file; or NULL */
        void *sent_userdata;
} Exchange;

/*
 * Until the whole answer has been given to `take`, whatever its status, which goes to *ret_status. The negative errno
 * of connect(); -EINTR; -EPROTO: no HTTP, or the connection broke; -EIO: the file (err->param is "file").
 */
int exchange_run(const Exchange *x, int *ret_status, struct storaged_error *err);
