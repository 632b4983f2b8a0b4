/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What waits to be sent. Small messages go at once; large ones in pieces of which only OUTBOX_WINDOW are under way at a
 * time, so that a small message never queues behind a large one in Corosync.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>

#include "clusterfs/frame.h"

#define OUTBOX_WINDOW 4u

/* Large changes and the stream to a joining member take turns; within a lane the order is kept. */
enum outbox_lane { LANE_SMALL, LANE_LARGE, LANE_BULK, LANES };

typedef int (*outbox_send_fn)(void *userdata, const void *header, size_t header_len, const void *data, size_t len);

typedef struct Outbox Outbox;

Outbox *outbox_new(outbox_send_fn send, void *userdata);
Outbox *outbox_free(Outbox *o);
DEFINE_CLEANUP(Outbox *, outbox_free)

/*
 * Takes over `body` (its data; left empty) also on failure. Part numbers and lengths of `h` are filled in. LANE_BULK
 * for the stream of a sync; else the lane follows from the size.
 */
int outbox_add(Outbox *o, const FrameHeader *h, StrBuf *body, bool bulk);
/* Sends what may be sent now: 0, or -EAGAIN if the transport is full (call again soon), or its error. */
int outbox_pump(Outbox *o);
/* A piece of ours of a message in several pieces has come back. */
void outbox_delivered(Outbox *o);
bool outbox_lane_is_empty(const Outbox *o, enum outbox_lane lane);
/* Forgets everything: after a change of configuration. */
void outbox_clear(Outbox *o);
