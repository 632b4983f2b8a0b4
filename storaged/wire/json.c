/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON at the edges. Reading goes through json-c, but foreign bytes are judged here first: whole text,
 * strict UTF-8, no NUL byte, bounded depth, numbers that are numbers. Writing of long answers does not
 * build a tree: the writer appends to a buffer, and where a comma belongs follows from the last byte
 * written, since a finished value never ends in one of "[{:,".
 */
#include "wire/json.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at `p`, 0 if there is none. No overlong forms, no surrogates. */
static size_t utf8_sequence(const unsigned char *p, size_t len)
{
        unsigned char low = 0x80, high = 0xbf;
        size_t n;

        if (len == 0)
                return 0;
        if (p[0] < 0x80)
                return 1;
        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                n = 2;
        else if (p[0] >= 0xe0 && p[0] <= 0xef)
                n = 3;
        else if (p[0] >= 0xf0 && p[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (len < n)
                return 0;
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (p[i] < 0x80 || p[i] > 0xbf)
                        return 0;
        return n;
}

bool json_is_utf8(const char *text, size_t len)
{
        for (size_t i = 0; i < len;) {
                size_t n = utf8_sequence((const unsigned char *) text + i, len - i);

                if (n == 0 || text[i] == '\0')
                        return false;
                i += n;
        }
        return true;
}

/*
 * What json-c lets pass though it is no JSON: control characters in strings, and between strings whatever
 * has no place there, such as 'quoted' names.
 */
static bool text_is_plausible(const char *text, size_t len)
{
        static const char between[] = "{}[]:,\" \t\r\n0123456789+-.eEtrufalsn";
        bool in_string = false;

        for (size_t i = 0; i < len; i++) {
                if (in_string ? (unsigned char) text[i] < 0x20 : !memchr(between, text[i], sizeof(between) - 1))
                        return false;
                if (text[i] == '"')
                        in_string = !in_string;
                else if (text[i] == '\\' && i + 1 < len && (text[i + 1] == '"' || text[i + 1] == '\\'))
                        i++;
        }
        return true;
}

/* json-c takes NaN and Infinity, and turns 1e999 into the latter: no JSON, and no number for anybody here. */
static bool numbers_are_finite(json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_double:
                return isfinite(json_object_get_double(o));
        case json_type_array:
                for (size_t i = 0; i < json_object_array_length(o); i++)
                        if (!numbers_are_finite(json_object_array_get_idx(o, i)))
                                return false;
                return true;
        case json_type_object: {
                json_object_object_foreach (o, key, value) {
                        (void) key;
                        if (!numbers_are_finite(value))
                                return false;
                }
                return true;
        }
        default:
                return true;
        }
}

int json_parse(const char *text, size_t len, json_object **ret)
{
        AUTO_JSON *o = NULL;
        json_tokener *tokener;
        enum json_tokener_error e;

        while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1] != '\0')
                len--;
        if (len == 0 || len >= INT_MAX || !json_is_utf8(text, len) || !text_is_plausible(text, len))
                return -EINVAL;
        tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1); /* json-c counts the scalar inside as a level */
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        o = json_tokener_parse_ex(tokener, text, (int) len);
        e = json_tokener_get_error(tokener);
        if (e == json_tokener_continue) { /* a number at the end of the text ends with the text */
                o = json_tokener_parse_ex(tokener, "", 1);
                e = json_tokener_get_error(tokener);
        } else if (e == json_tokener_success && json_tokener_get_parse_end(tokener) != len) {
                e = json_tokener_error_parse_unexpected;
        }
        json_tokener_free(tokener);
        if (e != json_tokener_success || !numbers_are_finite(o))
                return -EINVAL;

        *ret = TAKE(o);
        return 0;
}

json_object *json_get(json_object *o, const char *key)
{
        json_object *v = NULL;

        if (json_object_is_type(o, json_type_object))
                (void) json_object_object_get_ex(o, key, &v);
        return v;
}

const char *json_get_string(json_object *o, const char *key)
{
        json_object *v = json_get(o, key);
        const char *s;

        if (!json_object_is_type(v, json_type_string))
                return NULL;
        s = json_object_get_string(v);
        return s && strlen(s) == (size_t) json_object_get_string_len(v) ? s : NULL;
}

int64_t json_get_int(json_object *o, const char *key, int64_t dflt)
{
        json_object *v = json_get(o, key);

        return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : dflt;
}

uint64_t json_get_uint(json_object *o, const char *key, uint64_t dflt)
{
        json_object *v = json_get(o, key);

        return json_object_is_type(v, json_type_int) && json_object_get_int64(v) >= 0 ? json_object_get_uint64(v)
                                                                                      : dflt;
}

bool json_get_bool(json_object *o, const char *key, bool dflt)
{
        json_object *v = json_get(o, key);

        if (json_object_is_type(v, json_type_boolean))
                return json_object_get_boolean(v);
        if (json_object_is_type(v, json_type_int) && (json_object_get_int64(v) == 0 || json_object_get_int64(v) == 1))
                return json_object_get_int64(v) == 1;
        return dflt;
}

int json_add(json_object *o, const char *key, json_object *value)
{
        if (json_object_object_add(o, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

/* A value just made: NULL is a failed allocation, where json_add() takes it for null. */
static int add_new(json_object *o, const char *key, json_object *value)
{
        return value ? json_add(o, key, value) : -ENOMEM;
}

int json_add_string(json_object *o, const char *key, const char *value)
{
        return value ? add_new(o, key, json_object_new_string(value)) : 0;
}

int json_add_int(json_object *o, const char *key, int64_t value)
{
        return add_new(o, key, json_object_new_int64(value));
}

int json_add_uint(json_object *o, const char *key, uint64_t value)
{
        return add_new(o, key, json_object_new_uint64(value));
}

int json_add_bool01(json_object *o, const char *key, bool value)
{
        return json_add_int(o, key, value);
}

const char *json_text(json_object *o)
{
        return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* Before a value or a key: a comma, unless something has just been opened or named. */
static void separate(StrBuf *b)
{
        char last = b->len > 0 ? b->data[b->len - 1] : '[';

        if (last != '[' && last != '{' && last != ':' && last != ',')
                strbuf_addc(b, ',');
}

void jsonw_object_begin(StrBuf *b)
{
        separate(b);
        strbuf_addc(b, '{');
}

void jsonw_object_end(StrBuf *b)
{
        strbuf_addc(b, '}');
}

void jsonw_array_begin(StrBuf *b)
{
        separate(b);
        strbuf_addc(b, '[');
}

void jsonw_array_end(StrBuf *b)
{
        strbuf_addc(b, ']');
}

void jsonw_key(StrBuf *b, const char *key)
{
        jsonw_string(b, key);
        strbuf_addc(b, ':');
}

static void add_escaped(StrBuf *b, unsigned char c)
{
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *p = memchr(from, c, sizeof(from) - 1);

        if (p) {
                strbuf_addc(b, '\\');
                strbuf_addc(b, to[p - from]);
        } else {
                strbuf_addf(b, "\\u%04x", c);
        }
}

void jsonw_string(StrBuf *b, const char *s)
{
        const unsigned char *p = (const unsigned char *) s;
        size_t len = strlen(s), start = 0, i = 0;

        separate(b);
        strbuf_addc(b, '"');
        while (i < len) {
                size_t n;

                if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\') { /* nearly all there is */
                        i++;
                        continue;
                }
                n = utf8_sequence(p + i, len - i);
                if (n > 0 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' && p[i] != 0x7f) {
                        i += n;
                        continue;
                }
                strbuf_add(b, s + start, i - start);
                if (n == 0)
                        strbuf_adds(b, "\xef\xbf\xbd"); /* U+FFFD for each byte that belongs to nothing */
                else
                        add_escaped(b, p[i]);
                start = ++i;
        }
        strbuf_add(b, s + start, len - start);
        strbuf_addc(b, '"');
}

static void add_number(StrBuf *b, uint64_t v, bool negative)
{
        char digits[24], *p = digits + sizeof(digits);

        separate(b);
        do
                *--p = (char) ('0' + v % 10);
        while ((v /= 10) > 0);
        if (negative)
                *--p = '-';
        strbuf_add(b, p, (size_t) (digits + sizeof(digits) - p));
}

void jsonw_uint(StrBuf *b, uint64_t v)
{
        add_number(b, v, false);
}

void jsonw_int(StrBuf *b, int64_t v)
{
        add_number(b, v < 0 ? 0 - (uint64_t) v : (uint64_t) v, v < 0);
}

void jsonw_raw(StrBuf *b, const char *text, size_t len)
{
        separate(b);
        strbuf_add(b, text, len);
}
