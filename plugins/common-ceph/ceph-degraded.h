/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the cluster's health says about one storage. */
#include "common-ceph/ceph-mon.h"

/* A check of the cluster's health that is raised and not muted; borrowed, NULL otherwise. Pure. */
json_object *ceph_check_raised(json_object *health, const char *code);
/* Appends "CODE: summary" to the reason, which makes an active storage a degraded one. */
void ceph_add_reason(struct storaged_status *status, const char *code, const char *summary);
/*
 * Adds to an active storage's status what is wrong all the same: checks about the whole cluster, about metadata servers
 * if it uses those, and about its own pools (names, ends with NULL). Muted ones are not. What can't be found out is
 * left out: it is no reason to call the storage inactive. The watch must be set. *ret_health (may be NULL) is the
 * caller's.
 */
void ceph_add_degraded(CephCluster *c, const char *const *pools, bool has_mds, struct storaged_status *status,
                       json_object **ret_health);
