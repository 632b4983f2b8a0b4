/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Which quorate configurations made this node's tree. Each point of sync begins a new term; the nonce tells two terms
 * of one number apart that were begun by groups which did not know of each other. A change is known by (term, index)
 * and is part of somebody's history if that term is in it, with the same nonce, and was not ended before that index.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "clusterfs/tree.h"

#define HISTORY_TERMS_MAX 256u

typedef struct Term {
        uint64_t term, nonce; /* even; odd: what a majority knew when members went (engine-split.c) */
        uint64_t start;       /* index of the tree when it began */
} Term;

typedef struct History {
        VEC(Term) terms;        /* ascending */
        uint64_t quorate_index; /* index of the last change made in a quorate configuration */
        bool is_local;          /* changed alone since then: in local mode, or without a majority to confirm it */
} History;

void history_deinit(History *h);
/* The last term, or zeros. */
Term history_last(const History *h);
/* Begins a term; the oldest is forgotten beyond HISTORY_TERMS_MAX. */
int history_add(History *h, Term t);
int history_copy(History *to, const History *from);
/* Is change `v`, made in a history whose terms are `own`, part of `other` too? */
bool history_has(const History *other, const History *own, Version v);
