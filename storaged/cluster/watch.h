/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Changes in the cluster directory that other nodes make. inotify sees only what is changed through this node's mount,
 * so a cluster file system has to be asked in its own way: clusterfs tells subscribers of a Unix socket, pmxcfs counts
 * changes in .version. A plain directory needs neither.
 */
#include <stdbool.h>

#include <storaged/cleanup.h>
#include <systemd/sd-event.h>

typedef struct Watch Watch;

/* `path` is relative to the cluster directory; NULL: anything may have changed. */
typedef void (*watch_fn)(void *userdata, const char *path);

/* `cluster`: the cluster directory; `socket`: where clusterfs listens if it is the one. Both are copied. */
int watch_new(Watch **ret, const char *cluster, const char *socket, sd_event *event, watch_fn fn, void *userdata);
/* Whether each change is told by its path (clusterfs); NULL: no. What comes while the connection is lost is told as
 * "anything". */
bool watch_is_told(const Watch *w);
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch *, watch_free)
