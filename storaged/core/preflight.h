/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The proof that all nodes of a shared storage reach the same thing: before it is accepted, when a node joins, and for
 * the doctor.
 */
#include "core/core.h"

/* True if there is something to prove: shared, usable, and of several nodes. */
bool preflight_is_needed(const Core *c, const StorageConfig *s);

/*
 * `rows`: {"node", "state": "same" / "differs" / "unreachable" / "offline" / "unproved", "kind"?, "id"?, "detail"?,
 * "reason"?}, borrowed, absent if out of memory. err: some node reaches something else or nothing; the sentence names
 * it.
 */
typedef void (*preflight_fn)(void *userdata, json_object *rows, const struct storaged_error *err);

/* `is_new`: not in storage.cfg yet, or not like this. All is copied; fn is called once, maybe before this returns. */
void preflight_run(Core *c, const StorageConfig *s, bool is_new, preflight_fn fn, void *userdata);
