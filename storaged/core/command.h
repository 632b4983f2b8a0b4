/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A plugin's own operations (plugin.h, `command`), for the parts of core that know the plugin by its type. */
#include "core/storage.h"

typedef struct CommandCall {
        const char *type;      /* of the plugin */
        const char *name;      /* of the command */
        json_object *args;     /* borrowed; NULL: none */
        uint64_t timeout_usec; /* without an answer or a sign of progress; 0: none */
        reply_fn fn;           /* called exactly once, maybe before command_run() returns; reply->raw is JSON text */
        worker_progress_fn progress; /* or NULL */
        void *userdata;
} CommandCall;

/* In a worker of its own, without a storage. A failure to begin is told through fn, too. `ret` may be NULL. */
void command_run(Core *c, const CommandCall *call, OneShot **ret);
