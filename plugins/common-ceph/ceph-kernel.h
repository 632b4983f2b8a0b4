/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the kernel's clients of Ceph are told. The connection must be there. */
#include "common-ceph/ceph-cluster.h"

/* Puts the key of the cluster's user into this process's keyring, as "client.USER". */
int ceph_kernel_give_key(CephCluster *c, STORAGED_ERR);
/* "A:PORT,A:PORT"; *ret_is_v2: the kernel has to be told to speak the newer protocol. -EINVAL: names, no addresses. */
int ceph_kernel_monitors(CephCluster *c, char *ret, size_t size, bool *ret_is_v2, STORAGED_ERR);
