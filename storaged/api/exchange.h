/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One HTTP request and its answer on one connection of libmicrohttpd. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "api/request.h"

typedef enum ExchangeState {
        EXCHANGE_NEW, /* only the request line was seen */
        EXCHANGE_READING,
        EXCHANGE_RUNNING,
        EXCHANGE_SUSPENDED,
        EXCHANGE_DONE,
} ExchangeState;

typedef struct Exchange {
        Core *core;
        struct MHD_Connection *connection;
        const char *user; /* who asks; NULL: somebody who may nothing */
        const char *node; /* the node that asks for somebody, "": it is none; NULL: nobody in between */
        ExchangeState state;
        Request *request;               /* NULL until the headers are in */
        struct MHD_PostProcessor *post; /* of an upload */
        char *target;
        uintptr_t target_end;     /* where the library's own copy of it ends */
        int sink_fd;              /* where the body goes as it comes; -EBADF: it is kept or spooled */
        sd_event_source *sink_io; /* it can take more: only while the connection waits for that */
        bool is_blocked;
        uint64_t discarded;                 /* bytes of a refused body */
        bool is_closing;                    /* answered 503: the server ends */
        void (*on_resumed)(void *userdata); /* the library has work to do */
        void *userdata;
} Exchange;

/* `target` as it came, in the library's buffer. */
int exchange_new(Exchange **ret, Core *core, struct MHD_Connection *connection, const char *target);
Exchange *exchange_free(Exchange *x);
DEFINE_CLEANUP(Exchange *, exchange_free)

/* The library's access handler: called with the headers, with each piece of the body, at its end, after a resume. */
enum MHD_Result exchange_step(Exchange *x, const char *method, const char *version, const char *data, size_t *size);
/* The server ends: what is suspended is answered 503, what is still coming in will be. */
void exchange_close(Exchange *x);
