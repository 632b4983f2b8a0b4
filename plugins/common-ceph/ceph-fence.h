/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Throwing a dead node's clients out of the cluster, by the addresses that were recorded while it lived. What another
 * node needs for that is one JSON object: {"address": "10.0.0.1", "clients": ["10.0.0.1:0/123"]}.
 */
#include "common-ceph/ceph-cluster.h"

#define CEPH_ADDRESS_MAX 64 /* of an IP address as text, with the NUL */
#define CEPH_ENTRY_MAX (CEPH_ADDRESS_MAX + 8)

/* The IP address in a client's address ("10.0.0.1:0/123", "v1:[fd00::1]:0/9"); -EINVAL if there is none. Pure. */
int ceph_address_ip(const char *client, char ret[static CEPH_ADDRESS_MAX]);
/* The address that the cluster sees this node's clients at. The connection must be there. */
int ceph_own_address(CephCluster *c, char ret[static CEPH_ADDRESS_MAX], STORAGED_ERR);

/* The object for another node: this node's address and those clients of it. */
int ceph_client_tell(CephCluster *c, const char *const *clients, size_t n, char *ret, size_t size, STORAGED_ERR);

/*
 * The clients of `node` are thrown out: those that were recorded, and whatever else has its address. Returns 0 only
 * when this client has the map that says so: from then on no OSD that serves it takes anything of theirs. -EINVAL:
 * nothing was recorded.
 */
int ceph_fence(CephCluster *c, const char *node, const char *recorded, STORAGED_ERR);
/*
 * This node's address is taken off the blocklist, if it was put there before this node booted: what had to be thrown
 * out is gone since. 1: done; 0: it is not on it; -ESHUTDOWN: it stays, with a sentence that says why.
 */
int ceph_unfence_self(CephCluster *c, STORAGED_ERR);
/* The same without doing it. 1: it would, and *ret_entry is the entry. */
int ceph_unfence_check(CephCluster *c, char ret_entry[static CEPH_ENTRY_MAX], STORAGED_ERR);
/* Pure. When an entry was made, from "until" ("2027-11-21T13:33:51.446204+0000"): seconds since 1970, or -EINVAL. */
int ceph_fence_time(const char *until, int64_t *ret);
