/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Waiting for a server with an end: deadlines on the monotonic clock, and libnfs's loop run under one. */
#include <stdbool.h>
#include <stdint.h>

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw.h>

/* How long a server may say nothing before it counts as dead. */
#define WAIT_SILENCE_MS 2500u
/* The whole of a call that makes progress all the time (a huge directory). */
#define WAIT_TOTAL_MS 60000u

uint64_t wait_now_ms(void);
/* Milliseconds left, fit for poll(2); 0 if it is over. */
int wait_left_ms(uint64_t deadline_ms);
/*
 * Serves `rpc` until *is_done, which a callback sets. Nothing received for `silence_ms`, or `deadline_ms` passed:
 * -ETIMEDOUT; the connection lost: -ECONNRESET. After a failure callbacks are still outstanding: the caller
 * destroys the context (which calls them) before what they point to goes away.
 */
int wait_reply(struct rpc_context *rpc, const bool *is_done, uint64_t silence_ms, uint64_t deadline_ms);
