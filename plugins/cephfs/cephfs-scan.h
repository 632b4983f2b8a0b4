/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Looking for file systems of a Ceph cluster, before there is a storage. */
#include <storaged/plugin.h>

extern const struct storaged_scan cephfs_scan_schema;
/* Rows of name, metadata pool, data pools. */
int cephfs_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn,
                void *userdata, STORAGED_ERR);
