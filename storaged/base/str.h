/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Strings: comparison, printf into fresh memory, a growing buffer, lists of words. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <storaged/cleanup.h>

static inline bool str_eq(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

/* The part of `s` behind `prefix`, or NULL if it does not begin so. */
static inline const char *str_skip(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_ends_with(const char *s, const char *suffix);
/* -ENOMEM or 0; *ret is the caller's to free. */
int str_vprintf(char **ret, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int str_printf(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True if `s` holds a byte below 0x20 or 0x7f. */
bool str_has_control(const char *s);

/*
 * Foreign text for a sentence: what fits into `buf`, cut between characters with "..." behind it, control
 * characters as `?`. `size` is at least 8. Returns `buf`.
 */
const char *str_show(const char *s, size_t len, char *buf, size_t size);

/* A growing buffer. The first failure sticks: check strbuf_error() once at the end. */
typedef struct StrBuf {
        char *data; /* NUL-terminated, or NULL while empty */
        size_t len, size;
        int error; /* 0 or -ENOMEM */
} StrBuf;

#define STRBUF_INIT \
        (StrBuf)    \
        {           \
                0   \
        }

void strbuf_deinit(StrBuf *b);
void strbuf_add(StrBuf *b, const void *data, size_t len);
void strbuf_adds(StrBuf *b, const char *s);
void strbuf_addc(StrBuf *b, char c);
void strbuf_addf(StrBuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int strbuf_error(const StrBuf *b);
/* The text, "" if empty; the caller's to free; NULL after an error. The buffer is empty afterwards. */
char *strbuf_take(StrBuf *b);

/* A NULL-terminated vector of strings that owns its items. */
typedef struct StrList {
        char **items; /* NULL while empty */
        size_t n;
} StrList;

#define STRLIST_INIT \
        (StrList)    \
        {            \
                0    \
        }

void strlist_deinit(StrList *l);
int strlist_add(StrList *l, const char *s, size_t len);
int strlist_adds(StrList *l, const char *s);
bool strlist_has(const StrList *l, const char *s);
void strlist_sort(StrList *l);
/* Splits at any run of the bytes in `separators`; empty words are dropped. Appends to `l`. */
int strlist_split(StrList *l, const char *s, const char *separators);
/* The words joined by `separator`, the caller's to free; NULL if out of memory. */
char *strlist_join(const StrList *l, const char *separator);
