/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The storages of all nodes, as each node sees them. */
#include "core/core.h"

typedef struct Overview Overview;

int overview_new(Overview **ret, Core *c);
Overview *overview_free(Overview *o);
DEFINE_CLEANUP(Overview *, overview_free)

/*
 * Rows of GET /nodes/{node}/storage of every node with "node" added; "age" is in seconds and counts from when the
 * storage was looked at. Of a node that does not answer now: what it said last, else "unknown", with "node_reason".
 */
void overview_query(Core *c, reply_fn fn, void *userdata);
