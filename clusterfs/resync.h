/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Handing a tree over. The donor keeps the tree as it was at the point of sync: an index of it goes to all, contents to
 * each receiver that asks for some. The receiver takes from its own old tree what is the same there. Changes made
 * meanwhile are no matter of either: the engine keeps them until the receiver is done.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>

#include "base/str.h"
#include "clusterfs/history.h"
#include "clusterfs/tree.h"

typedef struct Donor Donor;

/* `emit` gets each body of a FRAME_INDEX, to take over. */
int donor_new(const Tree *t, const History *h, size_t n_receivers, int (*emit)(void *userdata, StrBuf *body),
              void *userdata, Donor **ret);
Donor *donor_free(Donor *d);
DEFINE_CLEANUP(Donor *, donor_free)
/* A FRAME_NEED from `nodeid`. */
int donor_ask(Donor *d, uint32_t nodeid, const void *body, size_t len);
/* 1 with the next FRAME_DATA body; 0: nothing asked for at present. */
int donor_next(Donor *d, StrBuf *ret);
/* All receivers have been served. */
bool donor_is_done(const Donor *d);

typedef struct Receiver Receiver;

/* `old` must stay as it is while the receiver lives. `version`: of the tree that is to come. */
int receiver_new(const Tree *old, Version version, Receiver **ret);
Receiver *receiver_free(Receiver *r);
DEFINE_CLEANUP(Receiver *, receiver_free)
/* 1: the index is complete, now send receiver_need(). */
int receiver_index(Receiver *r, const void *body, size_t len);
void receiver_need(const Receiver *r, StrBuf *b);
/* 1: all is there. Data for other nodes is passed over. */
int receiver_data(Receiver *r, uint32_t self, const void *body, size_t len);
/* The new tree and its history, once; the caller's. */
Tree *receiver_take(Receiver *r, History *ret_history);
