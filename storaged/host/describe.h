/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a plugin says about itself, as JSON: read by core/schema, and by people (`storaged-worker --describe`). */
#include <storaged/plugin.h>

#include "base/str.h"

/* Appends one object; check strbuf_error() afterwards. */
void describe_plugin(const struct storaged_plugin *ops, StrBuf *b);
