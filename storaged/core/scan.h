/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Looking around for storage that is not defined yet: exports of a server and the like. */
#include "core/core.h"

/* `kind` is a plugin's type that declares a scan. Reply: array of objects as the plugin's columns say. */
void scan_run(Core *c, const char *kind, const struct storaged_pair *args, size_t n_args, reply_fn fn, void *userdata);
