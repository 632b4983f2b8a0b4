/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* An export as a Tree: reading over libnfs, changing over the mount. */
#include "common/tree.h"
#include "nfs/nfs-link.h"

/* Gives the tree of the mount (borrowed), or -errno: -ENOTCONN if the export is not mounted. */
typedef int (*NfsMountTreeFn)(void *userdata, Tree **ret);

/* `link` is borrowed and outlives the tree. `mount_tree` may be NULL: then every change is refused with -EROFS. */
int nfs_tree_new(Link *link, NfsMountTreeFn mount_tree, void *userdata, Tree **ret);
