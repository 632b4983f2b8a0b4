/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands. First those of Proxmox VE in its words and order of arguments, then ours. What a value may
 * be is the daemon's to say; a row only knows how many there are and how they travel.
 */
#include "cli/verbs.h"

const Param no_params[] = { P_END };
const Param node_params[] = { P_NODE_END };
const Param volume_params[] = { P_VOLUME, P_NODE_END };

const Verb *const verb_tables[] = { pve_verbs, volume_verbs, san_verbs, ceph_verbs, cluster_verbs, NULL };
