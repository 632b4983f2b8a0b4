/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the tables of commands (verbs-*.c) have in common. Not for others: they use verb.h. */
#include "cli/verb.h"

#define NODE CLI_NODE
#define STORAGE NODE "/storage/{storage}"
#define POS PARAM_POSITIONAL
#define P_STORAGE                                                                                   \
        {                                                                                           \
                .name = "storage", .flags = POS, .complete = "storage", .text = "The storage's id." \
        }
#define P_VOLUME                                                                                          \
        {                                                                                                 \
                .name = "volume", .flags = POS, .complete = "volume", .text = "The volume: STORAGE:NAME." \
        }
#define P_END     \
        {         \
                0 \
        }
/* The end of the table of a command that one node carries out. */
#define P_NODE_END                                                                                                    \
        { .name = "node", .flags = PARAM_LOCAL, .complete = "node", .text = "On this node, not where it is typed." }, \
        {                                                                                                             \
                0                                                                                                     \
        }

extern const Param no_params[];
extern const Param node_params[];
extern const Param volume_params[];

extern const Verb pve_verbs[];
extern const Verb volume_verbs[];
extern const Verb san_verbs[];
extern const Verb ceph_verbs[];
extern const Verb cluster_verbs[];
