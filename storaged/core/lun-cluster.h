/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* LUN × node: who sees a LUN, over how many paths, and where the nodes disagree. */
#include "core/everywhere.h"

/*
 * reply->data: {"nodes": [{"node", "online", "error"?}], "luns": [{"wwid", "size", "state", "findings": [text],
 * …, "nodes": {NODE: LUN}}]}. wwid NULL: all. flags: enum luns_flags, on every node.
 */
void luns_cluster_query(Core *c, const char *wwid, unsigned flags, reply_fn fn, void *userdata);
/* Puts the nodes' inventories together. Pure; new reference, NULL: out of memory. */
json_object *luns_merge(const NodeAnswer *answers, size_t n, const char *wwid);
