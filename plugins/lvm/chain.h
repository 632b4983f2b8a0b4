/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Snapshots as a chain of LVs; the operations themselves are in lvm.h. */
#include "lvm/lvm.h"

/* Ends what a crash interrupted between the renames of a snapshot or within a rollback. */
int chain_repair(Lvm *l, STORAGED_ERR);
