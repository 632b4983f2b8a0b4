/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The monitors of a cluster by their addresses, and which of them answer at all, without librados. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define CEPH_MONITORS_MAX 16

typedef struct CephMonitor {
        struct sockaddr_storage address[2]; /* of one monitor: its v2 and its v1 port */
        size_t n_addresses;
} CephMonitor;

typedef struct CephMonitors {
        CephMonitor items[CEPH_MONITORS_MAX];
        size_t n;
        size_t n_names; /* entries that are no address: only a resolver would know */
} CephMonitors;

/*
 * Reads mon_host of a ceph.conf or monhost of storage.cfg: entries separated by space, comma or semicolon, each
 * `A`, `A:PORT`, `vN:A:PORT` or `[vN:A:PORT/NONCE,…]`, A an IPv4 address or an IPv6 one in brackets.
 */
void ceph_monitors_parse(const char *text, CephMonitors *ret);

/* How many say the word that a Ceph monitor greets with, within `limit_ms`. All are asked at once. */
size_t ceph_monitors_count_answering(const CephMonitors *m, unsigned limit_ms);
