/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The API's doors: HTTP on a Unix socket, and one request without any socket. */
#include <stddef.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "core/core.h"

typedef struct ApiServer ApiServer;

/*
 * Serves on `listen_fd` (taken), or with -1 on the socket systemd passed (LISTEN_FDS), or else on one of its own at
 * core->paths.socket. -EADDRINUSE if another daemon answers there. `core` must outlive it.
 */
int api_server_new(ApiServer **ret, Core *core, int listen_fd, struct storaged_error *err);
/* Answers what waits with 503, closes all connections, removes its own socket. Before core_free(). */
ApiServer *api_server_free(ApiServer *s);
DEFINE_CLEANUP(ApiServer *, api_server_free)

/*
 * One request without a socket, as root; runs core's event loop until it is answered. `target` with or without
 * /api2/json. *ret_body is the caller's to free. Negative only if there is no answer.
 */
int api_once(Core *c, const char *method, const char *target, const char *body, size_t len, const char *content_type,
             int *ret_status, char **ret_body);
