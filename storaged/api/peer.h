/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The other end of a connection: who it is, and whether it has stopped sending. */
#include <stdbool.h>
#include <stddef.h>

#include <storaged/cleanup.h>
#include <systemd/sd-event.h>

typedef struct Peer Peer;

/* `fd` is borrowed; `on_end` is called once when the other end sends no more. */
int peer_new(Peer **ret, sd_event *event, int fd, void (*on_end)(void *userdata), void *userdata);
Peer *peer_free(Peer *p);
DEFINE_CLEANUP(Peer *, peer_free)

/* "root@pam" for root and for the user this daemon runs as (tests without root); NULL: may nothing. */
const char *peer_get_user(const Peer *p);
/* It sends no more. */
bool peer_has_ended(const Peer *p);
/* And all it has sent has been read: what is not whole now never will be. */
bool peer_is_exhausted(const Peer *p);
/* Last words to it (may be empty); it reads an end behind them. Only where no answer has begun. */
void peer_dismiss(Peer *p, const char *text, size_t len);
