/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* json-c with bounds for foreign bytes, and a writer that streams rows without building a tree. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>

#include "base/str.h"

#define JSON_DEPTH_MAX 16

static inline void json_putp(json_object **o)
{
        (void) json_object_put(*o);
}
#define AUTO_JSON __attribute__((cleanup(json_putp))) json_object

/* True if all of it is well-formed UTF-8 without a NUL byte. */
bool json_is_utf8(const char *text, size_t len);
/* Strict UTF-8 JSON, whole text, depth at most JSON_DEPTH_MAX. -EINVAL, -ENOMEM. */
int json_parse(const char *text, size_t len, json_object **ret);

/* Members of an object; NULL / dflt if absent or of another type. Borrowed. */
const char *json_get_string(json_object *o, const char *key);
int64_t json_get_int(json_object *o, const char *key, int64_t dflt);
uint64_t json_get_uint(json_object *o, const char *key, uint64_t dflt);
bool json_get_bool(json_object *o, const char *key, bool dflt);
json_object *json_get(json_object *o, const char *key);

/* Adds; a NULL string adds nothing. 0 or -ENOMEM. */
int json_add_string(json_object *o, const char *key, const char *value);
int json_add_int(json_object *o, const char *key, int64_t value);
int json_add_uint(json_object *o, const char *key, uint64_t value);
int json_add_bool01(json_object *o, const char *key, bool value);  /* Proxmox VE's booleans: 1 or 0 */
int json_add(json_object *o, const char *key, json_object *value); /* takes the reference, also on failure */

/* Compact text with slashes unescaped; borrowed from `o`. */
const char *json_text(json_object *o);

/* The streaming writer: appends to a StrBuf; commas are its business. Text that is not UTF-8 is replaced by U+FFFD. */
void jsonw_object_begin(StrBuf *b);
void jsonw_object_end(StrBuf *b);
void jsonw_array_begin(StrBuf *b);
void jsonw_array_end(StrBuf *b);
void jsonw_key(StrBuf *b, const char *key);
void jsonw_string(StrBuf *b, const char *s);
void jsonw_uint(StrBuf *b, uint64_t v);
void jsonw_int(StrBuf *b, int64_t v);
void jsonw_raw(StrBuf *b, const char *text, size_t len); /* one value, already JSON */
