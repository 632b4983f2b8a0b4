/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The same question to several nodes at once: here by a function, there by a request. All answers come together. */
#include "core/core.h"

typedef struct NodeAnswer {
        char node[256];
        bool is_local;
        json_object *data;         /* NULL: failed, see err */
        struct storaged_error err; /* -ETIME: it answered that something did not answer it; -ETIMEDOUT: it is silent */
} NodeAnswer;

/* Borrowed; in the order of the nodes. */
typedef void (*everywhere_fn)(void *userdata, const NodeAnswer *answers, size_t n);

typedef struct EverywhereCall {
        const char *const *nodes;  /* ends with NULL; NULL: all members */
        const char *method, *path; /* path: behind /nodes/{node}, encoded */
        const char *form;          /* name=value&…, or NULL */
        const char *user;          /* NULL: root@pam */
        void (*here)(Core *c, void *here_data, reply_fn fn, void *userdata);
        void *here_data;
        everywhere_fn fn; /* once, maybe before everywhere_ask() returns */
        void *userdata;
} EverywhereCall;

/* Everything but here_data is copied. -ENOMEM: fn is not called. */
int everywhere_ask(Core *c, const EverywhereCall *call);
/* The value of a form or a query, percent-encoded, appended. */
void everywhere_encode(StrBuf *b, const char *text);
