/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The words of a multipath.conf: sections in braces, keywords with a value. Pure; what an administrator wrote.
 */
#include <stddef.h>

#include <storaged/error.h>

/* One keyword; section is "defaults", "devices/device", …. Borrowed. A non-zero return ends the reading. */
typedef int (*conf_fn)(void *userdata, const char *section, const char *key, const char *value);

/* -EINVAL with the line in `err`: braces that do not match, a keyword outside of a section, text without an end. */
int conf_read(const char *text, size_t len, conf_fn fn, void *userdata, struct storaged_error *err);
