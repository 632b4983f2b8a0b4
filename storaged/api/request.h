/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One request, free of its transport: what is asked, by whom, and the one answer. The server (sockets) and api_once()
 * (a command line) make them; handlers answer them, at once or from a completion of core.
 *
 * Life: counted. The maker holds one; request_dispatch() takes another that the answer gives back, so that a handler
 * may hand the request to core as userdata without further thought. Exactly one answer per dispatched request.
 */
#include <stdbool.h>
#include <stddef.h>

#include "api/params.h"
#include "api/route.h"
#include "base/str.h"
#include "core/core.h"
#include "core/stream.h"

#define REQUEST_BODY_MAX (1u << 20)

typedef struct Upload Upload;

typedef enum RequestFormat {
        REQUEST_JSON,  /* /api2/json: the status tells */
        REQUEST_EXTJS, /* /api2/extjs: always 200, `success` tells */
} RequestFormat;

struct Request {
        unsigned n_refs;
        Core *core;
        char *method, *target;
        RequestFormat format;
        const Route *route;
        Params params;
        const char *user;      /* "root@pam"; NULL: somebody who may nothing */
        const char *from_node; /* the node that passed it on, "": it has shown no certificate; NULL: asked here */
        const char *to_node;   /* another one, which it is passed on to; borrowed from params */
        char allow[64];        /* for a 405 */
        Upload *upload;        /* of a ROUTE_UPLOAD request; owned */
        StrBuf input;          /* the body as it came in */
        int stream_fd;         /* of a ROUTE_HERE request for another node: the client's socket; -EBADF */
        char stream_token[STREAM_TOKEN_SIZE];

        bool is_dispatched; /* the handler has been called: the answer gives a count back */
        bool is_done;       /* the answer is there: */
        int status;
        char *body; /* owned until taken */
        size_t body_len;
        void (*on_done)(Request *r, void *userdata); /* told once the answer is there; or NULL */
        void *userdata;
};

int request_new(Request **ret, Core *core, const char *method, const char *target);
Request *request_ref(Request *r);
Request *request_unref(Request *r); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(Request *, request_unref)

/* Finds the route and reads path and query; a refusal is the answer then (is_done). Before the body is read. */
void request_begin(Request *r);
/* A piece of the body. Too much is remembered and refused by request_dispatch(); -EFBIG from then on. */
int request_feed(Request *r, const char *data, size_t len);
/* Passes a request on whose body comes from `fd`, which is taken over; the answer is the request's. */
void request_pass_on_stream(Request *r, const char *content_type, int fd);
/* The body is whole: reads it, checks everything against the route, runs the handler. */
void request_dispatch(Request *r, const char *content_type);

/* --- for handlers: the parameters, checked */
static inline const char *request_get(const Request *r, const char *name)
{
        return params_get(&r->params, name);
}
/*
 * The volume's name without its storage: of the parameter `volume`, given as VOLNAME or STOREID:VOLNAME. Borrowed;
 * NULL with `err` if it belongs to another storage or tries to climb.
 */
const char *request_get_volname(const Request *r, struct storaged_error *err);

/* --- for handlers: the answer; each at most once */
void request_reply(Request *r, json_object *data);                      /* borrowed; NULL: null */
void request_reply_take(Request *r, json_object *data);                 /* takes the reference; NULL: out of memory */
void request_reply_list(Request *r, json_object *data, uint64_t total); /* takes it; adds "total" */
/* [{KEY: name}, …] for each name up to NULL: what is below a path. */
void request_reply_index(Request *r, const char *key, const char *const *names);
void request_fail(Request *r, int code, const struct storaged_error *err); /* code: where err has none */
void request_fail_status(Request *r, int status, const char *param, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/* A reply_fn whose userdata is the Request. */
void request_on_reply(void *userdata, const Reply *reply, const struct storaged_error *err);

/*
 * 0 if `node` means this node; else `err`: -ENOENT for no node of this cluster, -EOPNOTSUPP for another one.
 */
int request_check_node(const Request *r, const char *param, const char *node, struct storaged_error *err);

/* The HTTP status for an error's code. */
int request_status_of(int code);
/* The body of a failure, the caller's to free; NULL if out of memory. */
char *request_error_body(RequestFormat format, int status, const struct storaged_error *err, size_t *ret_len);
