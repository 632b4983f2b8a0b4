/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strings. The buffer keeps its first failure so that code that builds a text reads as a sequence
 * of additions with one check at the end.
 */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

bool str_ends_with(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

int str_vprintf(char **ret, const char *fmt, va_list ap)
{
        char *s = NULL;

        if (vasprintf(&s, fmt, ap) < 0)
                return -ENOMEM;

        *ret = s;
        return 0;
}

int str_printf(char **ret, const char *fmt, ...)
{
        va_list ap;
        int r;

        va_start(ap, fmt);
        r = str_vprintf(ret, fmt, ap);
        va_end(ap);
        return r;
}

bool str_has_control(const char *s)
{
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        return true;
        return false;
}

const char *str_show(const char *s, size_t len, char *buf, size_t size)
{
        size_t n = len < size ? len : size - 4;

        if (n < len)
                while (n > 0 && ((unsigned char) s[n] & 0xc0) == 0x80)
                        n--;
        for (size_t i = 0; i < n; i++)
                buf[i] = (unsigned char) s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
        memcpy(buf + n, n < len ? "..." : "", n < len ? 4 : 1);
        return buf;
}

void strbuf_deinit(StrBuf *b)
{
        free(b->data);
        *b = STRBUF_INIT;
}

static bool strbuf_reserve(StrBuf *b, size_t more)
{
        size_t want, size = b->size ? b->size : 256;
        char *p;

        if (b->error)
                return false;
        if (more > SIZE_MAX / 4 - b->len)
                goto fail;
        want = b->len + more + 1;
        if (want <= b->size)
                return true;
        while (size < want)
                size *= 2;
        p = realloc(b->data, size);
        if (!p)
                goto fail;
        b->data = p;
        b->size = size;
        return true;
fail:
        b->error = -ENOMEM;
        return false;
}

void strbuf_add(StrBuf *b, const void *data, size_t len)
{
        if (!strbuf_reserve(b, len))
                return;
        if (len > 0)
                memcpy(b->data + b->len, data, len);
        b->len += len;
        b->data[b->len] = '\0';
}

void strbuf_adds(StrBuf *b, const char *s)
{
        strbuf_add(b, s, strlen(s));
}

void strbuf_addc(StrBuf *b, char c)
{
        strbuf_add(b, &c, 1);
}

void strbuf_addf(StrBuf *b, const char *fmt, ...)
{
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0 || !strbuf_reserve(b, (size_t) n)) {
                b->error = b->error ? b->error : -ENOMEM;
                return;
        }
        va_start(ap, fmt);
        (void) vsnprintf(b->data + b->len, (size_t) n + 1, fmt, ap);
        va_end(ap);
        b->len += (size_t) n;
}

int strbuf_error(const StrBuf *b)
{
        return b->error;
}

char *strbuf_take(StrBuf *b)
{
        char *s;

        strbuf_add(b, "", 0);
        if (b->error) {
                strbuf_deinit(b);
                return NULL;
        }
        s = b->data;
        *b = STRBUF_INIT;
        return s;
}

void strlist_deinit(StrList *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i]);
        free(l->items);
        *l = STRLIST_INIT;
}

int strlist_add(StrList *l, const char *s, size_t len)
{
        /* Room for n + 1 items and the NULL; grown at powers of two. */
        if (l->n == 0 || ((l->n + 1) & l->n) == 0) {
                char **p = realloc(l->items, sizeof(*p) * ((l->n + 1) * 2));

                if (!p)
                        return -ENOMEM;
                l->items = p;
        }
        l->items[l->n] = strndup(s, len);
        if (!l->items[l->n])
                return -ENOMEM;
        l->items[++l->n] = NULL;
        return 0;
}

int strlist_adds(StrList *l, const char *s)
{
        return strlist_add(l, s, strlen(s));
}

bool strlist_has(const StrList *l, const char *s)
{
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->items[i], s) == 0)
                        return true;
        return false;
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void strlist_sort(StrList *l)
{
        if (l->n > 1)
                qsort(l->items, l->n, sizeof(*l->items), compare_strings);
}

int strlist_split(StrList *l, const char *s, const char *separators)
{
        for (;;) {
                size_t n;
                int r;

                s += strspn(s, separators);
                n = strcspn(s, separators);
                if (n == 0)
                        return 0;
                r = strlist_add(l, s, n);
                if (r < 0)
                        return r;
                s += n;
        }
}

char *strlist_join(const StrList *l, const char *separator)
{
        StrBuf b = STRBUF_INIT;

        for (size_t i = 0; i < l->n; i++) {
                if (i > 0)
                        strbuf_adds(&b, separator);
                strbuf_adds(&b, l->items[i]);
        }
        return strbuf_take(&b);
}
