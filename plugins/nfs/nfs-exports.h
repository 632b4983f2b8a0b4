/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The list of a server's exports, as its MOUNT service gives it (what showmount -e prints). */
#include "nfs/nfs-server.h"

/* `clients`: who may mount, comma separated, or "*". Non-zero stops and is returned. */
typedef int (*ExportFn)(void *userdata, const char *path, const char *clients);

/*
 * Sorted by path. `s->mount_port` is used if it is set, else the portmapper is asked. -EPROTONOSUPPORT: the
 * server has no MOUNT service (NFSv4 only); -ECONNREFUSED, -ETIMEDOUT, -ENXIO as from server_connect.
 */
int exports_list(Server *s, uint64_t deadline_ms, ExportFn fn, void *userdata, STORAGED_ERR);
