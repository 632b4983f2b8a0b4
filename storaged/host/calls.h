/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The calls a worker answers: name → decode the arguments, one operation of the plugin, encode the answer. */
#include <stdint.h>

#include <storaged/error.h>
#include <storaged/plugin.h>

#include "base/str.h"
#include "wire/json.h"

/* Whom the calls go to. */
typedef struct CallTarget {
        const struct storaged_plugin *ops;
        const struct storaged_host *host;
        void *self;          /* NULL before start, or where the plugin needs none */
        const char *storage; /* id; NULL: no storage was started, only check_config and scan work */
} CallTarget;

/*
 * Runs one call. `fd` is borrowed: the descriptor that came with it, or -1. The answer is appended to `reply`;
 * after a failure what is in it means nothing. -EOPNOTSUPP: no such call, or the plugin can't do it. `err` is always
 * filled on failure.
 */
int call_run(const CallTarget *target, const char *op, json_object *args, int fd, StrBuf *reply,
             struct storaged_error *err);
