/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strict parsers of short texts. None looks at the locale. */
#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static int parse_digits(const char *s, size_t len, uint64_t *ret)
{
        uint64_t v = 0;

        if (len == 0)
                return -EINVAL;
        for (size_t i = 0; i < len; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t) (s[i] - '0'), &v))
                        return -ERANGE;
        }
        *ret = v;
        return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
        return parse_digits(s, strlen(s), ret);
}

int parse_i64(const char *s, int64_t *ret)
{
        bool negative = s[0] == '-';
        uint64_t v;
        int r;

        r = parse_u64(s + negative, &v);
        if (r < 0)
                return r;
        if (v > (uint64_t) INT64_MAX + negative)
                return -ERANGE;
        *ret = negative ? (int64_t) (0 - v) : (int64_t) v;
        return 0;
}

int parse_bool(const char *s, bool *ret)
{
        static const char *const words[] = { "0", "1", "no", "yes", "off", "on", "false", "true" };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcasecmp(s, words[i]) == 0) {
                        *ret = i & 1;
                        return 0;
                }
        return -EINVAL;
}

int parse_alloc_size(const char *s, uint64_t *ret_bytes)
{
        size_t len = strlen(s);
        uint64_t v, unit = 1024;
        int r;

        if (len > 0 && strchr("MmGg", s[len - 1])) {
                unit = (s[len - 1] | 0x20) == 'm' ? UINT64_C(1) << 20 : UINT64_C(1) << 30;
                len--;
        }
        r = parse_digits(s, len, &v);
        if (r < 0)
                return r;
        if (__builtin_mul_overflow(v, unit, &v) || v > INT64_MAX)
                return -ERANGE;
        *ret_bytes = v;
        return 0;
}

int parse_vmid(const char *s, size_t len, uint32_t *ret)
{
        uint64_t v;

        if (len < 3 || len > 9 || s[0] == '0' || parse_digits(s, len, &v) < 0)
                return -EINVAL;
        *ret = (uint32_t) v;
        return 0;
}
