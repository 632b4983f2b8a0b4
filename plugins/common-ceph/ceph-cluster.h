/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One connection to a Ceph cluster, with the storage's own user, key and monitors, and its failures in words. */
#include <rados/librados.h>

#include "common-ceph/ceph-watch.h"

/* Times of the calls, in ms unless named otherwise: a sentence within 5 s, whatever is dead. */
#define CEPH_CONNECT_S 2     /* rados_connect() */
#define CEPH_MON_OP_S 2      /* a monitor's command */
#define CEPH_OSD_OP_S 4      /* an operation on an object, in short calls */
#define CEPH_OSD_STREAM_S 60 /* and where data flows for minutes: an OSD may restart meanwhile */
#define CEPH_SHORT_MS 4200   /* a watch over what an administrator waits for */
#define CEPH_STATUS_MS 3000  /* over a status, which the daemon waits 3.5 s for */
#define CEPH_LONG_MS 90000   /* over each step of a stream */

typedef struct CephCluster CephCluster;
struct CephCluster {
        const struct storaged_host *host;
        char *storage;
        char *conf;        /* a ceph.conf, or NULL */
        char *monhost;     /* of an external cluster, entries separated by commas, or NULL */
        char *user;        /* without "client." */
        char *keyring;     /* a file, or NULL: what ceph.conf says, else no authentication */
        bool is_key_alone; /* that file is the key and nothing else, as mount.ceph has it */
        rados_t rados;     /* NULL: not connected */
        bool is_stale;     /* fenced: the next call connects anew, as another client */
        bool is_streaming;
        CephWatch watch;
        /* What the owner's words are, where they differ from an image's; NULL: rbd's. */
        const char *caps;        /* that the user's key needs */
        const char *file_system; /* its name, borrowed, for clients of the metadata servers */
        void (*look)(CephCluster *c, char *ret, size_t size); /* why it is silent, though monitors and OSDs are well */
};

/*
 * Memory only. From the configuration: monhost, username, keyring (a file's name). Without monhost it is the cluster
 * that <root>/etc/pve/ceph.conf (else <root>/etc/ceph/ceph.conf) describes.
 */
int ceph_cluster_init(CephCluster *c, const struct storaged_host *host, const struct storaged_config *config,
                      STORAGED_ERR);
void ceph_cluster_deinit(CephCluster *c);

/* Connects if there is no connection; the storage's watch must be set (CEPH_WATCH(&c->watch, …)). */
int ceph_cluster_connect(CephCluster *c, STORAGED_ERR);
void ceph_cluster_disconnect(CephCluster *c);
/* Data flows from here on: objects get CEPH_OSD_STREAM_S instead of CEPH_OSD_OP_S. */
void ceph_cluster_set_streaming(CephCluster *c);

/* Opens a pool, in a namespace or NULL; *ret is the caller's, rados_ioctx_destroy(). -ENOENT names the pool. */
int ceph_cluster_open_pool(CephCluster *c, const char *pool, const char *namespace, rados_ioctx_t *ret, STORAGED_ERR);
static inline __attribute__((unused)) void ceph_ioctxp(rados_ioctx_t *io)
{
        if (*io)
                rados_ioctx_destroy(*io);
}

/*
 * Turns a library's negative errno into the sentence "storage 'x': <what was tried>: <why>" and returns the code for
 * the daemon: -ETIMEDOUT for any silence. The words of the reason are fixed: `mon unreachable`, `no quorum`, `osd
 * down`, `osd full`, `blocklisted`, `permission denied`. A silence is looked into, which takes up to a second.
 */
int ceph_fail(CephCluster *c, int code, STORAGED_ERR, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Only the reason; "" if the code speaks for itself. */
void ceph_reason(CephCluster *c, int code, char *ret, size_t size);
