/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster's certificates, with GnuTLS. Whoever can read the authority's key can be any node: that is root on the
 * nodes of the cluster, who can do everything anyway. A node that has left is known by not being a member any more,
 * which the one who is asked looks up; the certificates need no revocation.
 * The key is written before its certificate, so that a certificate that is there has its key.
 */
#include "cluster/certs.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"

#define PEM_MAX (64u << 10)
#define DAY_SEC (24 * 60 * 60)
#define CA_DAYS (20 * 365)
#define NODE_DAYS 397
#define RENEW_DAYS 30 /* before the end */
#define SERIAL_BYTES 16

/* A key with its certificate, as GnuTLS has them; and where they are kept. */
typedef struct Pair {
        gnutls_x509_privkey_t key;
        gnutls_x509_crt_t cert;
} Pair;

static void pair_deinit(Pair *p)
{
        if (p->key)
                gnutls_x509_privkey_deinit(p->key);
        if (p->cert)
                gnutls_x509_crt_deinit(p->cert);
        *p = (Pair){ 0 };
}

static int tls_error(int r, const char *what, struct storaged_error *err)
{
        return error_set(err, -EIO, "%s: %s", what, gnutls_strerror(r));
}

static void wipe_free(char **text)
{
        if (*text)
                explicit_bzero(*text, strlen(*text));
        free(*text);
}

/* --- files */

Certs *certs_free(Certs *c)
{
        if (!c)
                return NULL;
        free(c->ca_path);
        free(c->cert_path);
        free(c->key_path);
        free(c->ca);
        free(c->cert);
        wipe_free(&c->key);
        free(c);
        return NULL;
}

static int certs_new(Certs **ret, const char *dir, const char *node)
{
        AUTO(certs_freep) Certs *c = calloc(1, sizeof(*c));

        if (!c || str_printf(&c->ca_path, "%s/ca.crt", dir) < 0 ||
            str_printf(&c->cert_path, "%s/nodes/%s.crt", dir, node) < 0 ||
            str_printf(&c->key_path, "%s/nodes/%s.key", dir, node) < 0)
                return -ENOMEM;
        *ret = TAKE(c);
        return 0;
}

/* CERTS_E_MISSING for a file that is not there. */
static int read_pem(const char *path, char **ret, struct storaged_error *err)
{
        int r = fs_read_file(path, PEM_MAX, ret, NULL);

        if (r == -ENOENT)
                return CERTS_E_MISSING;
        return r < 0 ? error_set(err, r, "can't read %s: %s", path, strerror(-r)) : 0;
}

static int write_pem(const char *path, gnutls_datum_t *pem, const Fence *fence, struct storaged_error *err)
{
        int r = fs_write_fenced(path, pem->data, pem->size, 0600, fence);

        explicit_bzero(pem->data, pem->size);
        gnutls_free(pem->data);
        return r < 0 ? error_set(err, r, "can't write %s: %s", path, fs_strerror(r)) : 0;
}

static int import_cert(const char *pem, gnutls_x509_crt_t *ret)
{
        gnutls_datum_t d = { (unsigned char *) pem, (unsigned) strlen(pem) };
        gnutls_x509_crt_t cert = NULL;
        int r = gnutls_x509_crt_init(&cert);

        if (r >= 0)
                r = gnutls_x509_crt_import(cert, &d, GNUTLS_X509_FMT_PEM);
        if (r < 0 && cert)
                gnutls_x509_crt_deinit(cert);
        if (r >= 0)
                *ret = cert;
        return r;
}

static int import_key(const char *pem, gnutls_x509_privkey_t *ret)
{
        gnutls_datum_t d = { (unsigned char *) pem, (unsigned) strlen(pem) };
        gnutls_x509_privkey_t key = NULL;
        int r = gnutls_x509_privkey_init(&key);

        if (r >= 0)
                r = gnutls_x509_privkey_import(key, &d, GNUTLS_X509_FMT_PEM);
        if (r < 0 && key)
                gnutls_x509_privkey_deinit(key);
        if (r >= 0)
                *ret = key;
        return r;
}

/* --- what is there */

/* Made by this authority, for this key, and good for a while. */
static bool pair_is_usable(const Pair *p, gnutls_x509_crt_t ca)
{
        unsigned char of_key[64], of_cert[64];
        size_t n_key = sizeof(of_key), n_cert = sizeof(of_cert);
        unsigned status = 0;

        return gnutls_x509_crt_verify(p->cert, &ca, 1, 0, &status) >= 0 && status == 0 &&
               gnutls_x509_crt_get_expiration_time(p->cert) > time(NULL) + RENEW_DAYS * DAY_SEC &&
               gnutls_x509_privkey_get_key_id(p->key, 0, of_key, &n_key) >= 0 &&
               gnutls_x509_crt_get_key_id(p->cert, 0, of_cert, &n_cert) >= 0 && n_key == n_cert &&
               memcmp(of_key, of_cert, n_key) == 0;
}

int certs_load(Certs **ret, const char *dir, const char *node, struct storaged_error *err)
{
        AUTO(pair_deinit) Pair own = { 0 }, ca = { 0 };
        AUTO(certs_freep) Certs *c = NULL;
        int r = certs_new(&c, dir, node);

        if (r < 0)
                return error_set(err, r, "out of memory");
        r = read_pem(c->ca_path, &c->ca, err);
        if (r == 0)
                r = read_pem(c->cert_path, &c->cert, err);
        if (r == 0)
                r = read_pem(c->key_path, &c->key, err);
        if (r != 0)
                return r;
        /* What can't be read is as good as missing; the authority is only made when it is not there at all. */
        r = import_cert(c->ca, &ca.cert);
        if (r < 0)
                return tls_error(r, c->ca_path, err);
        if (import_cert(c->cert, &own.cert) < 0 || import_key(c->key, &own.key) < 0 || !pair_is_usable(&own, ca.cert))
                return CERTS_E_MISSING;
        *ret = TAKE(c);
        return 0;
}

/* --- making them */

int certs_get_end(const Certs *c, int64_t *ret)
{
        gnutls_x509_crt_t cert = NULL;
        int r = import_cert(c->cert, &cert);

        if (r < 0)
                return -EBADMSG;
        *ret = (int64_t) gnutls_x509_crt_get_expiration_time(cert);
        gnutls_x509_crt_deinit(cert);
        return 0;
}

static int generate_key(gnutls_x509_privkey_t *ret)
{
        gnutls_x509_privkey_t key = NULL;
        int r = gnutls_x509_privkey_init(&key);

        if (r >= 0)
                r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                                 0);
        if (r < 0 && key)
                gnutls_x509_privkey_deinit(key);
        if (r >= 0)
                *ret = key;
        return r;
}

/* Name, serial number and times; valid since yesterday, for clocks differ. */
static int cert_begin(Pair *p, const char *name, int days)
{
        unsigned char serial[SERIAL_BYTES] = { 0 }, id[64];
        size_t n_id = sizeof(id);
        int r = generate_key(&p->key);

        if (r >= 0)
                r = gnutls_x509_crt_init(&p->cert);
        if (r >= 0)
                r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
        serial[0] &= 0x7f; /* a positive number */
        if (r >= 0)
                r = gnutls_x509_crt_set_version(p->cert, 3);
        if (r >= 0)
                r = gnutls_x509_crt_set_serial(p->cert, serial, sizeof(serial));
        if (r >= 0)
                r = gnutls_x509_crt_set_activation_time(p->cert, time(NULL) - DAY_SEC);
        if (r >= 0)
                r = gnutls_x509_crt_set_expiration_time(p->cert, time(NULL) + (time_t) days * DAY_SEC);
        if (r >= 0)
                r = gnutls_x509_crt_set_dn_by_oid(p->cert, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, "storaged", 8);
        if (r >= 0)
                r = gnutls_x509_crt_set_dn_by_oid(p->cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                                  (unsigned) strlen(name));
        if (r >= 0)
                r = gnutls_x509_crt_set_key(p->cert, p->key);
        if (r >= 0)
                r = gnutls_x509_crt_get_key_id(p->cert, 0, id, &n_id);
        return r < 0 ? r : gnutls_x509_crt_set_subject_key_id(p->cert, id, n_id);
}

static int pair_write(const Pair *p, const char *key_path, const char *cert_path, const Fence *fence,
                      struct storaged_error *err)
{
        gnutls_datum_t pem = { 0 };
        int r = gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM, &pem);

        if (r < 0)
                return tls_error(r, key_path, err);
        r = write_pem(key_path, &pem, fence, err);
        if (r < 0)
                return r;
        r = gnutls_x509_crt_export2(p->cert, GNUTLS_X509_FMT_PEM, &pem);
        return r < 0 ? tls_error(r, cert_path, err) : write_pem(cert_path, &pem, fence, err);
}

static int make_ca(Pair *p, const char *key_path, const char *cert_path, const Fence *fence, struct storaged_error *err)
{
        int r = cert_begin(p, "storaged cluster", CA_DAYS);

        if (r >= 0)
                r = gnutls_x509_crt_set_basic_constraints(p->cert, 1, 0);
        if (r >= 0)
                r = gnutls_x509_crt_set_key_usage(p->cert, GNUTLS_KEY_KEY_CERT_SIGN);
        if (r >= 0)
                r = gnutls_x509_crt_sign2(p->cert, p->cert, p->key, GNUTLS_DIG_SHA256, 0);
        return r < 0 ? tls_error(r, "can't make the cluster's certificate authority", err)
                     : pair_write(p, key_path, cert_path, fence, err);
}

static int load_or_make_ca(Pair *p, const char *dir, const char *cert_path, const Fence *fence,
                           struct storaged_error *err)
{
        AUTO(freep) char *key_path = NULL, *cert = NULL;
        AUTO(wipe_free) char *key = NULL;
        int r = str_printf(&key_path, "%s/ca.key", dir);

        if (r < 0)
                return error_set(err, r, "out of memory");
        r = read_pem(cert_path, &cert, err);
        if (r == CERTS_E_MISSING)
                return make_ca(p, key_path, cert_path, fence, err);
        if (r == 0)
                r = read_pem(key_path, &key, err);
        if (r == CERTS_E_MISSING)
                return error_set(err, -ENOENT, "%s is missing: without it no node of the cluster gets a certificate",
                                 key_path);
        if (r < 0)
                return r;
        r = import_cert(cert, &p->cert);
        if (r >= 0)
                r = import_key(key, &p->key);
        return r < 0 ? tls_error(r, key_path, err) : 0;
}

static int make_node(Pair *p, const Pair *ca, const char *node, struct storaged_error *err)
{
        int r = cert_begin(p, node, NODE_DAYS);

        if (r >= 0)
                r = gnutls_x509_crt_set_subject_alt_name(p->cert, GNUTLS_SAN_DNSNAME, node, (unsigned) strlen(node),
                                                         GNUTLS_FSAN_SET);
        if (r >= 0)
                r = gnutls_x509_crt_set_basic_constraints(p->cert, 0, -1);
        if (r >= 0)
                r = gnutls_x509_crt_set_key_usage(p->cert, GNUTLS_KEY_DIGITAL_SIGNATURE);
        if (r >= 0)
                r = gnutls_x509_crt_set_key_purpose_oid(p->cert, GNUTLS_KP_TLS_WWW_SERVER, 0);
        if (r >= 0)
                r = gnutls_x509_crt_set_key_purpose_oid(p->cert, GNUTLS_KP_TLS_WWW_CLIENT, 0);
        if (r >= 0)
                r = gnutls_x509_crt_sign2(p->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0);
        return r < 0 ? tls_error(r, "can't make this node's certificate", err) : 0;
}

int certs_make(const char *dir, const char *node, const Fence *fence, struct storaged_error *err)
{
        AUTO(pair_deinit) Pair ca = { 0 }, own = { 0 };
        AUTO(certs_freep) Certs *c = NULL;
        AUTO(freep) char *nodes = NULL;
        int r = certs_new(&c, dir, node);

        if (r >= 0)
                r = str_printf(&nodes, "%s/nodes", dir);
        if (r < 0)
                return error_set(err, r, "out of memory");
        r = fs_mkdir_p(nodes, 0700);
        if (r < 0)
                return error_set(err, r, "can't make the directory %s: %s", nodes, strerror(-r));
        r = load_or_make_ca(&ca, dir, c->ca_path, fence, err);
        if (r >= 0)
                r = make_node(&own, &ca, node, err);
        return r < 0 ? r : pair_write(&own, c->key_path, c->cert_path, fence, err);
}

/* --- the other end */

int certs_get_peer(gnutls_session_t session, char *ret, size_t size)
{
        gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
                                          .data = (unsigned char *) GNUTLS_KP_TLS_WWW_CLIENT };
        const gnutls_datum_t *chain;
        gnutls_x509_crt_t cert = NULL;
        unsigned status = 0, n = 0;
        char name[CERTS_NODE_MAX] = "";
        size_t len = sizeof(name);
        int r;

        if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0 || status != 0)
                return -EACCES;
        chain = gnutls_certificate_get_peers(session, &n);
        if (!chain || n < 1 || gnutls_x509_crt_init(&cert) < 0)
                return -EACCES;
        r = gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER);
        if (r >= 0)
                r = gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len);
        gnutls_x509_crt_deinit(cert);
        if (r < 0 || len >= size || strlen(name) != len)
                return -EACCES;
        (void) memcpy(ret, name, len + 1);
        return 0;
}
