/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Reading storage.cfg beside the event loop. At once: core_reload_config(), core_freshen_config() in core/core.h. */
#include "core/core.h"

/* err NULL: what is there is known now. */
typedef void (*config_read_fn)(void *userdata, const struct storaged_error *err);

/* fn is called once: before this returns on a plain directory, else from the loop. */
void config_read_begin(Core *c, config_read_fn fn, void *userdata);
/* The last reading failed: it is tried again each second, also when nobody asks. */
void config_read_later(Core *c);
