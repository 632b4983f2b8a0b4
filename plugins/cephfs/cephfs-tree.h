/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The storage's directory of a Ceph file system as a Tree, over libcephfs: looking and changing, without a mount. */
#include "cephfs/cephfs-link.h"
#include "common/tree.h"

/* `f` is borrowed, outlives the tree, and has a session whenever the tree is used. */
int cephfs_tree_new(CephFs *f, Tree **ret);
