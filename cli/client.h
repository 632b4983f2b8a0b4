/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The daemon's API over its Unix socket. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "base/str.h"
#include "cli/upload.h"

typedef struct Client Client;

typedef struct Request {
        const char *method;   /* GET, POST, PUT, DELETE */
        const char *path;     /* behind /api2/json, encoded, without a query */
        const StrBuf *params; /* name=value&…, encoded (client_add_param); goes where the method has it; or NULL */
        const Upload *upload; /* or NULL */
        bool wants_text;      /* leave the body of a success as text, for answers of many rows */
} Request;

typedef struct Answer {
        long status;         /* of HTTP */
        json_object *body;   /* whole; owned */
        json_object *data;   /* borrowed from body */
        const char *message; /* borrowed, or NULL */
        json_object *errors; /* borrowed, or NULL */
        char *text;          /* with wants_text: the whole body instead; owned */
        size_t text_len;
} Answer;

#define ANSWER_INIT \
        (Answer)    \
        {           \
                0   \
        }

void answer_deinit(Answer *a);
/* Fills data, message and errors from `body`. */
void answer_read(Answer *a);

int client_new(Client **ret, const char *socket);
Client *client_free(Client *c);
DEFINE_CLEANUP(Client *, client_free)

/* While the request runs, a byte to read here ends it with -EINTR; -1: nothing. Borrowed. */
void client_set_interrupt(Client *c, int fd);

/*
 * Sends and waits for the whole answer, whatever its status. -ENOENT, -ECONNREFUSED, …: nobody answers on
 * the socket; -EINTR; -EPROTO: what answers is not storaged; all with `err`.
 */
int client_call(Client *c, const Request *rq, Answer *ret, struct storaged_error *err);

/* name=value with both percent-encoded, behind an & where one is needed. */
void client_add_param(StrBuf *params, const char *name, const char *value);
/* Part of a path: all is encoded but unreserved characters and those in `keep`. */
void client_add_encoded(StrBuf *b, const char *s, const char *keep);
