/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Adding, changing and removing storage definitions: checked, locked, activated, written, undone when a step fails. */
#include "base/str.h"
#include "core/core.h"

typedef struct DefinitionChange {
        const char *id, *type;             /* type only for add */
        const struct storaged_pair *pairs; /* without `type`, `storage`, `digest`, `delete`; secrets included */
        size_t n_pairs;
        const StrList *remove; /* set: keys of `delete`; or NULL */
        const char *digest;    /* set: must match the file's, or NULL */
        bool is_forced;        /* accepted without proof that all nodes reach the same thing */
} DefinitionChange;

/* The reply of both: {"storage", "type"[, "config"][, "warnings": [text]]}. Arguments are copied; `fn` may be called
 * before they return. */
void definition_add(Core *c, const DefinitionChange *change, reply_fn fn, void *userdata);
void definition_update(Core *c, const DefinitionChange *change, reply_fn fn, void *userdata);
void definition_remove(Core *c, const char *id, reply_fn fn, void *userdata);
