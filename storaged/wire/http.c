/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of HTTP requests to names and values. libmicrohttpd reads the lines and headers; what the target, the query
 * and the body say is read here, from the bytes as they came, so that an encoded slash stays distinct from a real one
 * and an encoded NUL is refused instead of ending a string. Invariant: no decoded text holds a NUL or broken UTF-8.
 */
#include "wire/http.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "wire/json.h"

#define JSON_MEMBERS_MAX 512u

void http_split_target(const char *target, Slice *ret_path, Slice *ret_query)
{
        size_t len = strcspn(target, "#"), path_len = strcspn(target, "?#");

        *ret_path = (Slice){ target, path_len };
        *ret_query = path_len < len ? (Slice){ target + path_len + 1, len - path_len - 1 } : (Slice){ target + len, 0 };
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                return (c | 0x20) - 'a' + 10;
        return -1;
}

int http_decode(const char *s, size_t len, bool plus_is_space, char **ret)
{
        AUTO(freep) char *out = malloc(len + 1);
        size_t n = 0;

        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < len; i++) {
                int high, low;

                if (s[i] != '%') {
                        out[n++] = plus_is_space && s[i] == '+' ? ' ' : s[i];
                        continue;
                }
                if (len - i < 3)
                        return -EINVAL;
                high = hex_digit(s[i + 1]);
                low = hex_digit(s[i + 2]);
                if (high < 0 || low < 0)
                        return -EINVAL;
                out[n++] = (char) (high << 4 | low);
                i += 2;
        }
        out[n] = '\0';
        if (!json_is_utf8(out, n)) /* which also refuses NUL */
                return -EINVAL;
        *ret = TAKE(out);
        return 0;
}

int http_form_next(Slice *rest, char **ret_name, char **ret_value)
{
        AUTO(freep) char *name = NULL;
        const char *end, *equals;
        char *value = NULL;
        size_t len;
        int r;

        *ret_name = *ret_value = NULL;
        while (rest->len > 0 && rest->data[0] == '&')
                *rest = (Slice){ rest->data + 1, rest->len - 1 };
        if (rest->len == 0)
                return 0;
        end = memchr(rest->data, '&', rest->len);
        len = end ? (size_t) (end - rest->data) : rest->len;
        equals = memchr(rest->data, '=', len);
        r = http_decode(rest->data, equals ? (size_t) (equals - rest->data) : len, true, &name);
        if (r < 0)
                return r;
        *ret_name = TAKE(name);
        r = equals ? http_decode(equals + 1, len - (size_t) (equals + 1 - rest->data), true, &value)
                   : http_decode("", 0, true, &value);
        if (r < 0)
                return r;
        *ret_value = value;
        *rest = (Slice){ rest->data + len, rest->len - len };
        return 1;
}

bool http_is_media_type(const char *header, const char *type)
{
        size_t n = strlen(type);

        if (!header)
                return false;
        header += strspn(header, " \t");
        return strncasecmp(header, type, n) == 0 && (header[n] == '\0' || strchr("; \t", header[n]));
}

/* The string literal that begins at text[i] == '"': its inside, and `i` moves behind it. */
static Slice skip_string(const char *text, size_t len, size_t *i)
{
        size_t start = ++*i;

        while (*i < len && text[*i] != '"')
                *i += text[*i] == '\\' ? 2 : 1;
        if (*i >= len) {
                *i = len;
                return (Slice){ text + start, len - start };
        }
        return (Slice){ text + start, (*i)++ - start };
}

static bool slice_eq(const Slice *a, const Slice *b)
{
        return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

bool http_json_find_duplicate(const char *text, size_t len, Slice *ret_name)
{
        Slice names[JSON_MEMBERS_MAX];
        size_t n = 0, i = 0;
        unsigned depth = 0;

        while (i < len) {
                Slice string;

                if (text[i] != '"') {
                        if (text[i] == '{' || text[i] == '[')
                                depth++;
                        else if ((text[i] == '}' || text[i] == ']') && depth > 0)
                                depth--;
                        i++;
                        continue;
                }
                string = skip_string(text, len, &i);
                while (i < len && strchr(" \t\r\n", text[i]) && text[i])
                        i++;
                if (depth != 1 || i >= len || text[i] != ':') /* a value, or a member of an inner object */
                        continue;
                for (size_t k = 0; k < n; k++)
                        if (slice_eq(&names[k], &string)) {
                                *ret_name = string;
                                return true;
                        }
                if (n < JSON_MEMBERS_MAX) /* more members than that are refused later, by number */
                        names[n++] = string;
        }
        return false;
}

int http_normalize_filename(const char *name, char **ret)
{
        const char *base = name;
        char *out;

        for (const char *p = name; *p; p++)
                if (*p == '/' || *p == '\\')
                        base = p + 1;
        if (!*base || str_eq(base, ".") || str_eq(base, ".."))
                return -EINVAL;
        if (strlen(base) > NAME_MAX)
                return -ENAMETOOLONG;
        out = strdup(base);
        if (!out)
                return -ENOMEM;
        for (char *p = out; *p; p++)
                if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                      strchr("_.-", *p)))
                        *p = '_';
        *ret = out;
        return 0;
}
