/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Migration tickets: the one permission for a second node to have a volume active. A record a volume in the cluster
 * directory says from where to where, until when, and whether the hand-over is to be completed or undone.
 */
#include "core/lease.h"

#define TICKET_LIFE_S 3600u /* unless the caller says otherwise */

enum ticket_state {
        TICKET_NONE,       /* no record */
        TICKET_PREPARED,   /* the target may join; the source owns it */
        TICKET_COMMITTING, /* decided: the source leaves, then the target owns it */
        TICKET_ABORTING,   /* decided: the target leaves, then the source owns it */
};

typedef struct Ticket {
        char volume[VOLID_MAX];
        char source[NODE_NAME_MAX], target[NODE_NAME_MAX];
        uint64_t created, expires; /* seconds since 1970 */
        uint64_t generation;       /* of the lease it was written for; for another lease it means nothing */
        enum ticket_state state;
} Ticket;

#define TICKET_INIT \
        (Ticket)    \
        {           \
                0   \
        }

/* What one node has to do next for a volume with a ticket. */
enum ticket_step {
        TICKET_WAIT,   /* nothing, or it is the other node's turn */
        TICKET_COMMIT, /* expired, and the guest is on the target: decide so */
        TICKET_ABORT,  /* expired: decide so */
        TICKET_LEAVE,  /* deactivate here, then leave the lease */
        TICKET_SETTLE, /* sole holder: activate exclusively here, then remove the ticket */
        TICKET_DROP,   /* it stands for a lease that is gone: remove it */
};

/* --- decisions; pure */
/* True if the ticket stands for this lease: a ticket of an earlier one gives no rights. */
bool ticket_is_for(const Ticket *t, const Lease *l);
/* `guest_node`: where the guest's configuration is, NULL if nobody knows. */
enum ticket_step ticket_next(const Ticket *t, const Lease *l, const char *node, const char *guest_node, uint64_t now_s);
/*
 * Writes (or renews) the ticket: `node` must hold the lease alone. 0; -EBUSY, -EINVAL with `err`.
 */
int ticket_prepare(Ticket *t, const Lease *l, const char *node, const char *target, uint64_t now_s, uint64_t life_s,
                   struct storaged_error *err);
/* The target may join now: 0, else -EBUSY with `err`. */
int ticket_admit(const Ticket *t, const Lease *l, const char *node, uint64_t now_s, struct storaged_error *err);
/*
 * The decision, made once. 0: made, or made before in the same sense. `target` may be NULL: whichever it is.
 * -EBUSY: the other one was made, or commit while the target has not joined. -ENOENT: there is no ticket.
 */
int ticket_decide(Ticket *t, const Lease *l, enum ticket_state decision, const char *target,
                  struct storaged_error *err);
/*
 * Commit or abort without a ticket: 0 if the lease is as that decision leaves it, so that asking twice, or after
 * recovery was faster, is fine; else -ENOENT, or -EBUSY for an abort after the commit. `target` may be NULL: then the
 * last hand-over is meant.
 */
int ticket_check_done(const Lease *l, enum ticket_state decision, const char *target, struct storaged_error *err);

/* --- records */
int ticket_path(const Paths *p, const char *volume, char **ret);
/* No record is TICKET_NONE. -EBADMSG: can't be read, `err` says what to do. */
int ticket_load(const char *path, const char *volume, Ticket *ret, struct storaged_error *err);
/* Writes it, or removes the record if the state is TICKET_NONE. */
int ticket_store(const char *path, const Ticket *t, const Fence *fence, struct storaged_error *err);
/* Those who watch the tickets look again: the lease has changed, and it may be their turn. Only makes it faster. */
void ticket_touch(const char *path);
/* The volumes there are tickets for, sorted. */
int ticket_list(const Paths *p, StrList *ret);

const char *ticket_state_to_string(enum ticket_state state);
