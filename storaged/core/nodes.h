/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The nodes of the cluster as the API shows them, and what is refused without quorum. */
#include "core/core.h"

/* Answers of node_locate(). */
enum {
        NODE_E_OTHER = 1, /* a member, not this node */
        NODE_E_GONE,      /* a member that is proven gone */
};

/* 0: `name` is this node ("localhost" too); NODE_E_OTHER; -EINVAL, -ENOENT with `err` at `param`. */
int node_locate(const Core *c, const char *param, const char *name, struct storaged_error *err);
/* 0, or -EROFS ("no quorum …") where `s` is shared between nodes, or NULL for what all nodes have in common. */
int node_check_quorum(const Core *c, const StorageConfig *s, struct storaged_error *err);

/*
 * Whether what `name` holds may be taken: NODE_E_GONE: proven, it has been out of the cluster for c->gone_after_s
 * in the eyes of a quorate side; 0: nobody here can tell (no cluster, or not one of its nodes): then the caller's word
 * counts; -EBUSY, -EROFS with `err`: no.
 */
int node_check_gone(const Core *c, const char *name, struct storaged_error *err);

/* The rows of GET /nodes and of GET /cluster/status; new references, NULL: out of memory. */
json_object *nodes_to_json(const Core *c);
json_object *nodes_to_status_json(const Core *c);
