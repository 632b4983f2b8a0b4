/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * corosync.conf lives in the tree; Corosync reads the copy on each node. A copy is replaced when the tree's has no
 * lower config_version; the node on which it was changed has Corosync on all nodes read it, a second later.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "clusterfs/engine.h"

typedef struct Handover {
        const char *path; /* of Corosync's file */
        sd_event_source *timer;
} Handover;

int handover_init(Handover *h, sd_event *event, const char *path);
void handover_deinit(Handover *h);
/* The tree may have another corosync.conf. `is_writer`: it was changed on this node. */
void handover_check(Handover *h, const Tree *t, bool is_writer);
/* config_version of the text; 0: it names none. */
uint64_t handover_config_version(const char *text, size_t len);
