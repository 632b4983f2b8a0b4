/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What is known about whether the nodes of each shared storage reach the same thing, and the look when a node joins. */
#include "core/core.h"

typedef struct Proofs Proofs;

int proofs_new(Proofs **ret, Core *c);
Proofs *proofs_free(Proofs *p);
DEFINE_CLEANUP(Proofs *, proofs_free)

/* Rows of core/preflight.h, borrowed; NULL: nothing is known any more. */
void proof_set(Core *c, const char *storage, json_object *rows);
/* The last rows, or NULL; *ret_usec: CLOCK_MONOTONIC. Borrowed until the next turn of the event loop. */
json_object *proof_get(const Core *c, const char *storage, uint64_t *ret_usec);
/* Adds "identity" ("same", "differs", "unproved") and, where it is not the same, "identity_reason" to a row of a
 * status. */
int proof_add_to_row(const Core *c, const char *storage, json_object *row);
/* Members or quorum have changed: when this node has come together with others, it proves its storages to them. */
void proof_members_changed(Core *c);
