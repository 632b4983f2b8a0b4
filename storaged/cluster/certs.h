/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * By which nodes know each other: a certificate authority of the cluster's own and a certificate for each node, all in
 * <dir> of the cluster file system: ca.key, ca.crt, nodes/<node>.key, nodes/<node>.crt; mode 0600.
 */
#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "base/fence.h"

#define CERTS_NODE_MAX 256

/* Answers of certs_load(). */
enum {
        CERTS_E_MISSING = 1, /* there is none, or not for long any more: certs_make() */
};

typedef struct Certs {
        char *ca_path, *cert_path, *key_path;
        char *ca, *cert, *key; /* PEM */
} Certs;

/* 0, CERTS_E_MISSING, or negative with `err`. */
int certs_load(Certs **ret, const char *dir, const char *node, struct storaged_error *err);
Certs *certs_free(Certs *c);
DEFINE_CLEANUP(Certs *, certs_free)

/* When the node's certificate ends, in seconds since 1970. */
int certs_get_end(const Certs *c, int64_t *ret);

/*
 * Makes what is missing: the authority, the node's certificate. Only under a cluster lock. -ESTALE: that is not ours
 * any more.
 */
int certs_make(const char *dir, const char *node, const Fence *fence, struct storaged_error *err);

/*
 * The name in the certificate of a session's other end, which had to be one of `c`'s authority. -EACCES: it showed
 * none, or a foreign one.
 */
int certs_get_peer(gnutls_session_t session, char *ret, size_t size);
