/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the cluster's health says about one storage. */
#include "rbd/store.h"

/*
 * Adds to an active storage's status what is wrong all the same: checks about the whole cluster, and those about its
 * own pool; muted ones are not. What can't be found out is left out: it is no reason to call the storage inactive.
 */
void status_add_health(RbdStore *s, struct storaged_status *status);
