/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What only the daemon knows of LUNs: which storages lie on them, and what is being done to them. */
#include "core/core.h"

/* Adds "storages" to each LUN of the array, and "held" where a removal is under way. 0 or -ENOMEM. */
int lun_mark_all(Core *c, json_object *luns);
