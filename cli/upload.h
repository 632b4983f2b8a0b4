/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A file that goes along with a request, as multipart/form-data (RFC 7578). */
#include <stdint.h>

#include <storaged/error.h>

#include "cli/exchange.h"

typedef struct Upload {
        const char *path;                          /* of our file */
        const char *filename;                      /* as the daemon shall see it */
        const char *content;                       /* the field `content` */
        const char *checksum, *checksum_algorithm; /* or NULL */
        void (*progress)(void *userdata, uint64_t done, uint64_t total);
        void *userdata;
} Upload;

/*
 * The body for it, its media type (the caller's to free), and the open file that the body borrows (the caller's to
 * close). -EIO: the file can't be read.
 */
int upload_begin(const Upload *u, ExchangeBody *ret, char **ret_type, int *ret_fd, struct storaged_error *err);
