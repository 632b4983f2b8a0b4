/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Building JSON: NULL objects and failures fall through, so that a row is written without a check a line. */
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>

static inline void js_putp(json_object **o)
{
        (void) json_object_put(*o);
}
#define AUTO_JS __attribute__((cleanup(js_putp))) json_object

/* Takes `value`; out of memory leaves the member out. */
static inline void js_add(json_object *o, const char *key, json_object *value)
{
        if (!o || !value || json_object_object_add(o, key, value) != 0)
                json_object_put(value);
}

/* "" and NULL add nothing. */
static inline void js_text(json_object *o, const char *key, const char *value)
{
        if (value && *value)
                js_add(o, key, json_object_new_string(value));
}

static inline void js_int(json_object *o, const char *key, int64_t value)
{
        js_add(o, key, json_object_new_int64(value));
}

static inline void js_push(json_object *array, json_object *value)
{
        if (!array || !value || json_object_array_add(array, value) != 0)
                json_object_put(value);
}
