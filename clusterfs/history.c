/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The row of quorate configurations behind a tree; see the header for the model. */
#include "clusterfs/history.h"

void history_deinit(History *h)
{
        VEC_DEINIT(&h->terms);
}

Term history_last(const History *h)
{
        return h->terms.n ? h->terms.items[h->terms.n - 1] : (Term){ 0 };
}

int history_add(History *h, Term t)
{
        if (h->terms.n >= HISTORY_TERMS_MAX)
                VEC_REMOVE(&h->terms, 0);
        return VEC_PUSH(&h->terms, t);
}

int history_copy(History *to, const History *from)
{
        History h = { .quorate_index = from->quorate_index, .is_local = from->is_local };

        for (size_t i = 0; i < from->terms.n; i++)
                if (VEC_PUSH(&h.terms, from->terms.items[i]) < 0) {
                        history_deinit(&h);
                        return -ENOMEM;
                }
        history_deinit(to);
        *to = h;
        return 0;
}

static const Term *term_find(const History *h, uint64_t term)
{
        for (size_t i = 0; i < h->terms.n; i++)
                if (h->terms.items[i].term == term)
                        return &h->terms.items[i];
        return NULL;
}

bool history_has(const History *other, const History *own, Version v)
{
        const Term *mine = term_find(own, v.term), *theirs = term_find(other, v.term);

        if ((v.term & TREE_TERM_LOCAL) || (own->is_local && v.index > own->quorate_index))
                return false;
        if (v.term == 0)
                return true; /* of an empty tree: the root */
        /* Older than what the other side remembers: it was agreed upon long ago. */
        if (other->terms.n >= HISTORY_TERMS_MAX && v.term < other->terms.items[0].term)
                return true;
        if (!mine || !theirs || mine->nonce != theirs->nonce)
                return false;
        if (theirs == &other->terms.items[other->terms.n - 1])
                return v.index <= other->quorate_index;
        return v.index <= theirs[1].start;
}
