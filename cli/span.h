/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * JSON text read in place: where a value begins and ends, without a tree. For answers of ten thousand rows, of
 * which a table shows five members each. Structure is followed, contents are not judged; pure; fuzzed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Span {
        const char *p; /* NULL: there is none */
        size_t len;
} Span;

#define SPAN_NONE \
        (Span)    \
        {         \
                0 \
        }

/* The value at the start of `text`, blanks before it left out; none if there is no whole one. */
Span span_value(const char *text, size_t len);

/*
 * The next member of an object behind `at` (0 to begin with, moved on). 1 with the outputs filled; 0 at the end,
 * `at` then stands behind the closing bracket; -EINVAL. A key is given without its quotes, escapes in it as they are.
 * What a container is followed by does not matter: its span may reach farther than its end.
 */
int span_next_member(Span object, size_t *at, Span *ret_key, Span *ret_value);
/*
 * The start of the next element of an array: *ret reaches from there to the end of `array`, so that
 * nothing is read twice. The caller moves `at` behind the element (span_move). Returns as span_next_member().
 */
int span_next_element(Span array, size_t *at, Span *ret);
static inline void span_move(Span array, size_t *at, Span element, size_t len)
{
        *at = (size_t) (element.p - array.p) + len;
}
/* From the start of the member of that name to the end of `object`; none if there is none. */
Span span_member(Span object, const char *key);

static inline bool span_is(Span s, const char *text)
{
        return s.p && strlen(text) == s.len && memcmp(s.p, text, s.len) == 0;
}

bool span_is_string(Span s);
/* The inside of a string value without escapes; false if it is none, or has some (then ask json-c). */
bool span_plain_string(Span s, Span *ret);
/* A whole number, not negative; false for anything else. */
bool span_uint(Span s, uint64_t *ret);
