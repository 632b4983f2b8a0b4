/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Hand-over of a guest's volumes as a whole, and the recovery of those that a crash has interrupted. */
#include "core/core.h"

typedef struct Recovery Recovery;

enum migrate_op {
        MIGRATE_PREPARE,
        MIGRATE_COMMIT,
        MIGRATE_ABORT,
};

typedef struct MigrateCall {
        enum migrate_op op;
        const char *volume; /* id, or NULL: of the guest */
        uint32_t vmid;      /* whose disks, if volume is NULL */
        const char *target; /* node; needed to prepare, else it may be NULL */
        uint64_t life_s;    /* of the ticket; 0: the default */
        const char *user;
} MigrateCall;

/*
 * Answers with an array of {"volume", "state", "source"?, "target"?, "expires"?, "node"?, "partner"?}. Disks of a guest
 * on storages that are not shared have the state "local": nothing is done for them. A prepare that fails for one disk
 * takes back what it had prepared.
 */
void migrate_call(Core *c, const MigrateCall *call, reply_fn fn, void *userdata);

/* Looks at once, and every second while there are tickets, whether one asks something of this node, and does it. */
int recovery_new(Recovery **ret, Core *c);
/* A ticket may have changed: looks in the next turn of the loop. */
void recovery_look(Recovery *r);
/* NULL is fine; returns NULL. */
Recovery *recovery_free(Recovery *r);
