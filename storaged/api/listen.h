/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The Unix socket the API listens on: made, found free, or handed over by systemd. */
#include <stdbool.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "base/paths.h"

typedef struct Listener {
        int fd;     /* owned */
        char *path; /* to be removed at the end; NULL if the socket was given to us */
} Listener;

#define LISTENER_INIT        \
        (Listener)           \
        {                    \
                .fd = -EBADF \
        }

/* `fd` is taken; -1 makes one as api_server_new() says. */
int listener_open(Listener *l, const Paths *paths, int fd, struct storaged_error *err);
/* A TCP socket on a numeric address, for other nodes; the address need not be there yet. */
int listener_open_tcp(Listener *l, const char *address, unsigned port, struct storaged_error *err);
/* Closes and removes what it owns. */
void listener_close(Listener *l);
