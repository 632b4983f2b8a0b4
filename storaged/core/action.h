/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Actions of plugins: work on this node that is no operation on a volume. They may be heavy or hang, so they run in
 * workers as all else; those declared as long are tasks. What takes several nodes is put together elsewhere in core, of
 * such steps here and, over core/links.h, there.
 */
#include "core/core.h"

typedef struct ActionCall {
        const char *type, *action;        /* declared by the plugin of that type */
        const char *storage;              /* for actions about a storage; else NULL */
        const struct storaged_pair *args; /* checked against the declaration by the caller, or made by core itself */
        size_t n_args;
        const char *user;      /* whose task it is; NULL: root@pam */
        uint64_t timeout_usec; /* 0: 30 s; a task's worker has none */
        bool is_direct; /* a long one is not made a task, its result is the reply: for a step of a greater task */
        void (*log)(void *userdata, int level, const char *text); /* of a direct call without a storage; or NULL */
} ActionCall;

/* Everything is copied. Reply: the plugin's answer, or a UPID. `fn` is called once, maybe before this returns. */
void action_run(Core *c, const ActionCall *call, reply_fn fn, void *userdata);
