/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Requests to the storaged of other nodes: HTTPS, with certificates on both sides, on the event loop. */
#include <stddef.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>
#include <systemd/sd-event.h>

#include "cluster/certs.h"

typedef struct Remote Remote;

/* Sockets, non-blocking; -1: none. Taken over if the call succeeds, and closed when it is over. */
typedef struct RemoteStream {
        int body_fd; /* the request's body comes from here, up to its end */
        int sink_fd; /* the body of an answer 200 goes there */
} RemoteStream;

typedef struct RemoteCall {
        const char *node, *ip;
        unsigned port;
        const char *method, *target;
        const char *user_header, *user; /* for whom this node asks */
        const char *content_type;       /* of the body, or NULL */
        const void *body;
        size_t len;
        const RemoteStream *stream; /* NULL: bodies are text in memory */
} RemoteCall;

/* Once: an answer (any HTTP status), or err: -ETIMEDOUT, -EHOSTDOWN, … Body borrowed. */
typedef void (*remote_fn)(void *userdata, int status, const char *body, size_t len, const struct storaged_error *err);

int remote_new(Remote **ret, sd_event *event);
/* Those under way are told -ECANCELED. */
Remote *remote_free(Remote *r);
DEFINE_CLEANUP(Remote *, remote_free)

/* With what this node proves who it is; borrowed until the next call of this. */
void remote_set_certs(Remote *r, const Certs *certs);
/* All is copied. fn is called from the event loop, never before this returns, and not at all if it fails. */
int remote_call(Remote *r, const RemoteCall *call, remote_fn fn, void *userdata, struct storaged_error *err);
/* The node is gone: whoever waits for it is told now. */
void remote_give_up(Remote *r, const char *node);
