/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Who in the cluster holds which lock, what for, and how many wait. */
#include "core/core.h"

/* Rows {name, local?, node?, reason?, held_for?, age?, waiting}; without node: held by a program that is not storaged.
 */
void locks_query(Core *c, reply_fn fn, void *userdata);
