/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What `ceph pool create` is about to make, written down before, so that a create that was killed can be taken back. */
#include "rbd/admin.h"

typedef struct PoolIntent {
        const char *pool, *data, *profile; /* data, profile: "" if there are none */
        const char *client, *keyring;      /* or NULL */
} PoolIntent;

/* Before the first change. Nothing of it may be there yet but the user, which then stays. */
int pool_intent_begin(Admin *a, const PoolIntent *i, STORAGED_ERR);
/* All is made, or taken back. */
void pool_intent_end(const Admin *a, const char *pool);
/*
 * Takes back what a create of this pool that was killed has left, if this is the same cluster. -EBUSY: the pool holds
 * more than a new one does; it is left alone, and so is the note.
 */
int pool_intent_undo(Admin *a, const char *pool, STORAGED_ERR);
