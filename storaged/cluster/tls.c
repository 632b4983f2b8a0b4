/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GnuTLS as a client on a non-blocking socket. The other end's certificate has to come from the cluster's authority, to
 * be made for a server, and to bear the node's name; the address is Corosync's, no name is resolved. GnuTLS is what
 * the server side (libmicrohttpd) is linked with anyway, so this costs no further library.
 */
#include "cluster/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct Tls {
        int fd;
        gnutls_session_t session;
        gnutls_certificate_credentials_t credentials;
        char node[CERTS_NODE_MAX];
        gnutls_typed_vdata_st expected[2]; /* what the other end has to be; the session keeps the pointer */
        bool is_connected;
        bool is_resending; /* GnuTLS still holds what it could not send */
        uint32_t events;
};

Tls *tls_free(Tls *t)
{
        if (!t)
                return NULL;
        if (t->session)
                gnutls_deinit(t->session);
        if (t->credentials)
                gnutls_certificate_free_credentials(t->credentials);
        closep(&t->fd);
        free(t);
        return NULL;
}

static int tls_connect(Tls *t, const char *ip, unsigned port)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
        struct addrinfo *found = NULL;
        const int on = 1;
        char service[8];
        int r = 0;

        (void) snprintf(service, sizeof(service), "%u", port);
        if (getaddrinfo(ip, service, &hints, &found) != 0)
                return -EINVAL;
        t->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (t->fd < 0 || (connect(t->fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS))
                r = -errno;
        freeaddrinfo(found);
        if (r >= 0)
                (void) setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower without */
        return r;
}

static int tls_trust(Tls *t, const Certs *certs)
{
        const gnutls_datum_t ca = { (unsigned char *) certs->ca, (unsigned) strlen(certs->ca) },
                             cert = { (unsigned char *) certs->cert, (unsigned) strlen(certs->cert) },
                             key = { (unsigned char *) certs->key, (unsigned) strlen(certs->key) };
        int r = gnutls_certificate_allocate_credentials(&t->credentials);

        if (r >= 0)
                r = gnutls_certificate_set_x509_trust_mem(t->credentials, &ca, GNUTLS_X509_FMT_PEM);
        if (r >= 0)
                r = gnutls_certificate_set_x509_key_mem(t->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
        return r < 0 ? r : 0;
}

static int tls_begin(Tls *t)
{
        int r = gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

        if (r >= 0)
                r = gnutls_priority_set_direct(t->session, PRIORITIES, NULL);
        if (r >= 0)
                r = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials);
        if (r >= 0)
                r = gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->node, strlen(t->node));
        if (r < 0)
                return r;
        t->expected[0] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *) t->node };
        t->expected[1] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_KEY_PURPOSE_OID,
                                                  .data = (unsigned char *) GNUTLS_KP_TLS_WWW_SERVER };
        gnutls_session_set_verify_cert2(t->session, t->expected, 2, 0);
        gnutls_transport_set_int(t->session, t->fd);
        gnutls_handshake_set_timeout(t->session, 0); /* the deadline is the caller's */
        return 0;
}

int tls_new(Tls **ret, const Certs *certs, const char *node, const char *ip, unsigned port, struct storaged_error *err)
{
        AUTO(tls_freep) Tls *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return error_set(err, -ENOMEM, "out of memory");
        t->fd = -EBADF;
        t->events = EPOLLOUT;
        if (strlen(node) >= sizeof(t->node))
                return error_set(err, -ENAMETOOLONG, "'%.64s…' is too long for a node's name", node);
        (void) memcpy(t->node, node, strlen(node) + 1);
        r = tls_connect(t, ip, port);
        if (r < 0)
                return error_set(err, r == -EINVAL ? r : -EHOSTDOWN, "node '%s' can't be asked at %s port %u: %s", node,
                                 ip, port, strerror(-r));
        r = tls_trust(t, certs);
        if (r >= 0)
                r = tls_begin(t);
        if (r < 0)
                return error_set(err, -EIO, "node '%s' can't be asked: %s", node, gnutls_strerror(r));
        *ret = TAKE(t);
        return 0;
}

int tls_get_fd(const Tls *t)
{
        return t->fd;
}

uint32_t tls_get_events(const Tls *t)
{
        return t->events;
}

/* -EAGAIN with what to wait for, or a fatal failure of GnuTLS as an errno. */
static int tls_failed(Tls *t, int r)
{
        if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED) {
                t->events = gnutls_record_get_direction(t->session) ? EPOLLOUT : EPOLLIN;
                return -EAGAIN;
        }
        return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -ECONNRESET;
}

static int tls_finish_connect(Tls *t, struct storaged_error *err)
{
        socklen_t len = sizeof(int);
        int e = 0;

        if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
                e = errno;
        if (e != 0)
                return error_set(err, -EHOSTDOWN, "node '%s' can't be asked: %s; does storaged run there?", t->node,
                                 strerror(e));
        t->is_connected = true;
        return 0;
}

int tls_handshake(Tls *t, struct storaged_error *err)
{
        int r = t->is_connected ? 0 : tls_finish_connect(t, err);

        if (r < 0)
                return r;
        do
                r = gnutls_handshake(t->session);
        while (r < 0 && r != GNUTLS_E_AGAIN && r != GNUTLS_E_INTERRUPTED && !gnutls_error_is_fatal(r));
        if (r >= 0)
                return 0;
        if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR || r == GNUTLS_E_CERTIFICATE_ERROR ||
            r == GNUTLS_E_NO_CERTIFICATE_FOUND)
                return error_set(err, -EACCES,
                                 "node '%s' did not prove who it is: its certificate is not the cluster's, or for "
                                 "another name",
                                 t->node);
        if (tls_failed(t, r) == -EAGAIN)
                return -EAGAIN;
        return error_set(err, -EHOSTDOWN, "node '%s' can't be asked: %s", t->node, gnutls_strerror(r));
}

ssize_t tls_send(Tls *t, const void *data, size_t len)
{
        ssize_t n =
                t->is_resending ? gnutls_record_send(t->session, NULL, 0) : gnutls_record_send(t->session, data, len);

        t->is_resending = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
        return n < 0 ? tls_failed(t, (int) n) : n;
}

ssize_t tls_recv(Tls *t, void *buf, size_t size)
{
        ssize_t n;

        do
                n = gnutls_record_recv(t->session, buf, size);
        while (n < 0 && n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED && !gnutls_error_is_fatal((int) n));
        return n < 0 ? tls_failed(t, (int) n) : n;
}
