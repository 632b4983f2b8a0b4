/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The life of a shared volume group's locks on this node: who can have them, start, end. */
#include <json-c/json.h>

#include <storaged/plugin.h>

#include "common-lvm/cmd.h"

/*
 * -EHOSTDOWN: a daemon that such locks need does not run here. Else *ret (the caller's; NULL if there is nothing to
 * tell): {"host_id"}, what the node has by its own configuration.
 */
int locks_check(const struct storaged_host *host, const char *locking, json_object **ret, struct storaged_error *err);
/* This node gets its number at sanlock, and volumes are cut off when leases are lost; what is configured stays. */
int locks_configure(const struct storaged_host *host, unsigned host_id, struct storaged_error *err);
/* Starts the locks, and waits until they are. */
int locks_start(const struct storaged_host *host, LvmCmd *c, const char *vg, struct storaged_error *err);
/*
 * Removes a volume group without volumes, whose locks have ended on all other nodes; waits until sanlock has seen that.
 * The global lock goes to another group.
 */
int locks_remove_vg(const struct storaged_host *host, LvmCmd *c, const char *vg, const char *lock_type,
                    struct storaged_error *err);
