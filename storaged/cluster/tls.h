/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One TLS connection to another node, from this side: non-blocking, both sides prove who they are. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "cluster/certs.h"

typedef struct Tls Tls;

/* Begins to connect to a numeric address. Closes its socket when freed. */
int tls_new(Tls **ret, const Certs *certs, const char *node, const char *ip, unsigned port, struct storaged_error *err);
Tls *tls_free(Tls *t);
DEFINE_CLEANUP(Tls *, tls_free)

int tls_get_fd(const Tls *t);
/* What the socket has to be waited for after an -EAGAIN: EPOLLIN or EPOLLOUT. */
uint32_t tls_get_events(const Tls *t);
/* 0: the other end is `node` and both have agreed; -EAGAIN; -EACCES: it is not who it should be; -EHOSTDOWN, … */
int tls_handshake(Tls *t, struct storaged_error *err);
/* Bytes; -EAGAIN (then call again with the same bytes); -ECONNRESET, … */
ssize_t tls_send(Tls *t, const void *data, size_t len);
/* Bytes; 0: the other end has closed; -EAGAIN; -ECONNRESET also where it ended without a word. */
ssize_t tls_recv(Tls *t, void *buf, size_t size);
