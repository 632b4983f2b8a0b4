/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Parameters of an action on a Ceph cluster, as core puts them together. Inside core. */
#include "base/str.h"
#include "base/vec.h"
#include "core/ceph.h"

typedef struct CephPairs {
        VEC(struct storaged_pair) pairs; /* own their strings */
} CephPairs;

void ceph_pairs_deinit(CephPairs *p);
/* Copies both; one that is there already stays as it is. */
int ceph_pairs_add(CephPairs *p, const char *key, const char *value);
/* The caller's own pairs, and the connection of the storage that the call names. */
int ceph_pairs_fill(Core *c, CephPairs *p, const CephCall *call, struct storaged_error *err);
/* `pool` NULL: all rbd storages of that cluster as "ID=POOL ID=POOL"; else the ids of those on the pool: "a, b". */
int ceph_pairs_storages(Core *c, const CephPairs *p, const char *pool, StrBuf *ret);
