/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which thing a storage reaches from this node: the plugin's `identify`, in a worker. */
#include "core/core.h"

typedef struct IdentityCall {
        const char *storage;
        const char *text; /* a section of storage.cfg that defines it; NULL: the cluster's storage.cfg does */
        const char *mark; /* "none", "write", "look", "remove" */
        const char *name; /* of the mark: 32 hexadecimal digits; NULL with "none" */
        bool is_used;     /* with "none": it is about to be added; a probed type is activated here already */
        bool is_undone;   /* with "remove": a storage that was not accepted; this node lets go of it again */
} IdentityCall;

/* Reply: {"kind", "id", "detail", "mark"}. Everything is copied; fn is called once, maybe before this returns. */
void identity_tell(Core *c, const IdentityCall *call, reply_fn fn, void *userdata);
/* The section that defines `s`, for a node whose storage.cfg has none yet; the caller frees; NULL: out of memory. */
char *identity_section(const StorageConfig *s);
