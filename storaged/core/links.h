/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * This node's ties to the others: its certificate, which is made when there is a cluster and renewed in time, and
 * requests that are passed on.
 */
#include "core/core.h"

#define LINKS_PORT 8016

#define LINKS_NODE_MAX 256
#define LINKS_USER_HEADER "Storaged-User" /* for whom a node asks */

typedef struct Links Links;

int links_new(Links **ret, Core *core, const char *listen, unsigned port, struct storaged_error *err);
/* Before the locks it may wait for. */
Links *links_free(Links *l);
DEFINE_CLEANUP(Links *, links_free)

/* Text in PEM; borrowed. */
typedef struct LinkCerts {
        const char *ca, *cert, *key;
} LinkCerts;

/* Where and with what to listen to other nodes; told from the event loop, again whenever one of them changed. */
typedef void (*links_ready_fn)(void *userdata, const char *address, unsigned port, const LinkCerts *certs);
void links_watch(Links *l, links_ready_fn fn, void *userdata);
/* Looks for its certificate again: the files can be read now. */
void links_look(Links *l);
/*
 * Which node is at the other end of a TLS session (gnutls_session_t). -EACCES: none, for its certificate is foreign or
 * is that of somebody who is no member.
 */
int links_get_peer(const Links *l, void *session, char *ret, size_t size);

/* When this node's certificate ends, in seconds since 1970; -ENOENT: it has none. */
int links_get_certificate_end(const Links *l, int64_t *ret);

typedef struct LinkCall {
        const char *node, *method, *target, *user, *content_type;
        const void *body;
        size_t len;
        bool has_body_fd; /* the body comes from here; taken over if it succeeds; non-blocking */
        int body_fd;
} LinkCall;

/* The other node's answer, whatever its status, or err. Body borrowed. */
typedef void (*link_fn)(void *userdata, int status, const char *body, size_t len, const struct storaged_error *err);
/* Passes a request on. fn is not called if this fails. */
int links_pass_on(Links *l, const LinkCall *call, link_fn fn, void *userdata, struct storaged_error *err);
/* The fault point of a request that another node has made here; is_done: its answer is about to be sent. */
void links_pass_fault(const char *method, const char *target, bool is_done);
