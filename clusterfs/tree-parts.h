/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The inside of the tree, for tree.c and tree-apply.c. */
#include "clusterfs/tree.h"

Node *tree_guest_find(const Tree *t, uint32_t vmid);
void tree_link_name(Tree *t, Node *n);
void tree_unlink_name(Tree *t, Node *n);
void node_attach(Node *n, Node *parent);
void node_detach(Node *n);
bool node_is_lock_dir(const Node *n);
void tree_remove(Tree *t, Node *n);
