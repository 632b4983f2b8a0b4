/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding values in JSON text. A value ends where its brackets close or its word does; a string's quotes and
 * escapes are respected, so brackets inside it mean nothing. Every step stays below the end.
 */
#include "cli/span.h"

#include <errno.h>
#include <string.h>

static const char *skip_blanks(const char *p, const char *end)
{
        while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
                p++;
        return p;
}

/* Behind the closing quote of the string that begins at `p`; NULL if it does not close. */
static const char *skip_string(const char *p, const char *end)
{
        for (p++; p < end; p++) {
                if (*p == '"')
                        return p + 1;
                if (*p == '\\')
                        p++;
        }
        return NULL;
}

static const char *skip_brackets(const char *p, const char *end)
{
        size_t depth = 0;

        while (p < end) {
                if (*p == '"') {
                        p = skip_string(p, end);
                        if (!p)
                                return NULL;
                        continue;
                }
                if (*p == '{' || *p == '[')
                        depth++;
                else if ((*p == '}' || *p == ']') && --depth == 0)
                        return p + 1;
                p++;
        }
        return NULL;
}

/* A comma, bracket, blank or quote behind a number or a word. */
static bool ends_word(unsigned char c)
{
        return c <= ' ' || c == ',' || c == '}' || c == ']' || c == ':' || c == '"';
}

static const char *skip_value(const char *p, const char *end)
{
        const char *start = p;

        if (p >= end)
                return NULL;
        if (*p == '"')
                return skip_string(p, end);
        if (*p == '{' || *p == '[')
                return skip_brackets(p, end);
        while (p < end && !ends_word((unsigned char) *p))
                p++;
        return p > start ? p : NULL;
}

Span span_value(const char *text, size_t len)
{
        const char *end = text + len, *p = skip_blanks(text, end), *q = skip_value(p, end);

        return q ? (Span){ p, (size_t) (q - p) } : SPAN_NONE;
}

/*
 * Finds what follows `at` in the container: 1 with *ret on it; 0 at its closing bracket, `at` behind that;
 * -EINVAL. The first has no comma before it.
 */
static int enter_next(Span s, char open, char close, size_t *at, const char **ret)
{
        const char *end, *p;

        if (!s.p || s.len < 2 || s.p[0] != open || *at >= s.len)
                return -EINVAL;
        end = s.p + s.len;
        p = skip_blanks(s.p + (*at ? *at : 1), end);
        if (p < end && *p == close) {
                *at = (size_t) (p + 1 - s.p);
                return 0;
        }
        if (*at > 0) {
                if (p >= end || *p != ',')
                        return -EINVAL;
                p = skip_blanks(p + 1, end);
        }
        if (p >= end)
                return -EINVAL;
        *ret = p;
        return 1;
}

int span_next_element(Span array, size_t *at, Span *ret)
{
        const char *p = NULL;
        int r = enter_next(array, '[', ']', at, &p);

        if (r > 0)
                *ret = (Span){ p, (size_t) (array.p + array.len - p) };
        return r;
}

/* The key at `p` and where its value begins. */
static const char *read_key(const char *p, const char *end, Span *ret)
{
        const char *q = *p == '"' ? skip_string(p, end) : NULL;

        if (!q)
                return NULL;
        *ret = (Span){ p + 1, (size_t) (q - p) - 2 };
        q = skip_blanks(q, end);
        return q < end && *q == ':' ? skip_blanks(q + 1, end) : NULL;
}

int span_next_member(Span object, size_t *at, Span *ret_key, Span *ret_value)
{
        const char *end = object.p + object.len, *p = NULL, *q, *value;
        int r = enter_next(object, '{', '}', at, &p);
        Span key;

        if (r <= 0)
                return r;
        value = read_key(p, end, &key);
        q = value ? skip_value(value, end) : NULL;
        if (!q)
                return -EINVAL;
        *ret_key = key;
        *ret_value = (Span){ value, (size_t) (q - value) };
        *at = (size_t) (q - object.p);
        return 1;
}

Span span_member(Span object, const char *name)
{
        const char *end = object.p + object.len, *p = NULL, *value;
        size_t at = 0;
        Span key;

        while (enter_next(object, '{', '}', &at, &p) > 0) {
                value = read_key(p, end, &key);
                if (!value)
                        break;
                if (span_is(key, name))
                        return (Span){ value, (size_t) (end - value) };
                p = skip_value(value, end);
                if (!p)
                        break;
                at = (size_t) (p - object.p);
        }
        return SPAN_NONE;
}

bool span_is_string(Span s)
{
        return s.p && s.len >= 2 && s.p[0] == '"';
}

bool span_plain_string(Span s, Span *ret)
{
        if (!span_is_string(s) || memchr(s.p, '\\', s.len))
                return false;
        *ret = (Span){ s.p + 1, s.len - 2 };
        return true;
}

bool span_uint(Span s, uint64_t *ret)
{
        uint64_t v = 0;

        if (!s.p || s.len == 0)
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
                    __builtin_add_overflow(v, (uint64_t) (s.p[i] - '0'), &v))
                        return false;
        *ret = v;
        return true;
}
