/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Where guests are, and which are containers: their disks are listed as rootdir (pvesm.md section 1). */
#include <stddef.h>
#include <stdint.h>

#include "base/paths.h"

#define GUEST_NODE_MAX 256

#define GUESTS_MAX 65536 /* more is -E2BIG */

/* How long a cluster file system is waited for: in the event loop a glance must do (base/fs.h). */
enum guests_patience { GUESTS_READ, GUESTS_GLANCE };

/* Sorted ids of nodes/<node>/lxc/<vmid>.conf of all nodes; *ret is the caller's to free, NULL if there are none. */
int guests_container_vmids(const Paths *p, enum guests_patience patience, uint32_t **ret, size_t *ret_n);
/*
 * The node where nodes/<node>/{qemu-server,lxc}/<vmid>.conf is. `first` (or NULL) is looked at first: while it is
 * moved, a guest can be seen twice. 0; -ENOENT: nowhere; else nothing is known, -ETIMEDOUT, … ret_kind (may be NULL):
 * the directory's name.
 */
int guests_find_node(const Paths *p, enum guests_patience patience, uint32_t vmid, const char *first,
                     char ret_node[static GUEST_NODE_MAX], const char **ret_kind);
