/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Status of the storages of this node: from what is known, refreshed where that takes milliseconds, never waiting for a
 * dead one. */
#include "core/core.h"

typedef struct StatusFilter {
        uint32_t contents;   /* 0: any */
        const char *storage; /* NULL: all */
        bool only_enabled;
        bool with_formats;
        const char *target; /* NULL, or: only shared storages that this node has too */
} StatusFilter;

/*
 * Reply: array sorted by id of {storage, type, content, active, enabled, shared, total, used, avail, used_fraction,
 * state ("active", "inactive", "disabled", "unresponsive", "unsupported", "broken", "unknown"), reason?, age
 * (seconds)}.
 */
void status_query(Core *c, const StatusFilter *filter, reply_fn fn, void *userdata);
