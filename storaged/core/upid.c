/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UPIDs as text. Node, type and user are words; the id is free text, so every byte that would break the fields,
 * a URL or a file name is written as \xHH. What upid_format() writes, upid_parse() gives back, and nothing
 * else is accepted: the text becomes a file name.
 */
#include "core/upid.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_word(const char *s, const char *extra)
{
        if (!isalnum((unsigned char) *s) || strlen(s) >= 64)
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char) *s) && !strchr(extra, *s))
                        return false;
        return true;
}

static bool is_plain(unsigned char c)
{
        return c < 0x80 && (isalnum(c) || (c && strchr("._-@+~", c)));
}

/* As much of the id as fits into `size` bytes, never half an escape. */
static size_t id_escape(const char *id, char *ret, size_t size)
{
        size_t n = 0;

        for (; *id; id++) {
                bool plain = is_plain((unsigned char) *id);

                if (n + (plain ? 1 : 4) >= size)
                        break;
                if (plain)
                        ret[n++] = *id;
                else
                        n += (size_t) snprintf(ret + n, size - n, "\\x%02x", (unsigned) (unsigned char) *id);
        }
        ret[n] = '\0';
        return n;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int id_unescape(const char *s, size_t len, char *ret, size_t size)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char) s[i];

                if (n + 1 >= size)
                        return -EINVAL;
                if (c == '\\') {
                        int hi, lo;

                        if (len - i < 4 || s[i + 1] != 'x')
                                return -EINVAL;
                        hi = hex_digit(s[i + 2]);
                        lo = hex_digit(s[i + 3]);
                        if (hi < 0 || lo < 0 || hi * 16 + lo == 0 || is_plain((unsigned char) (hi * 16 + lo)))
                                return -EINVAL; /* one text for one id */
                        c = (unsigned char) (hi * 16 + lo);
                        i += 3;
                } else if (!is_plain(c)) {
                        return -EINVAL;
                }
                ret[n++] = (char) c;
        }
        ret[n] = '\0';
        return 0;
}

int upid_format(const Upid *u, char ret[static UPID_MAX])
{
        char id[UPID_MAX];
        size_t fixed;
        int n;

        if (!is_word(u->node, "._-") || !is_word(u->type, "._-") || !is_word(u->user, "._-@!+") ||
            u->pstart > 0xfffffffffULL)
                return -EINVAL;
        fixed = strlen("UPID::00000000:000000000:00000000::::") + strlen(u->node) + strlen(u->type) + strlen(u->user);
        (void) id_escape(u->id, id, UPID_MAX - fixed);
        n = snprintf(ret, UPID_MAX, "UPID:%s:%08X:%08llX:%08X:%s:%s:%s:", u->node, u->pid,
                     (unsigned long long) u->pstart, u->start, u->type, id, u->user);
        return n > 0 && n < UPID_MAX ? 0 : -EINVAL;
}

/* Cuts the next field off, up to its colon. */
static bool take_field(const char **s, const char **ret, size_t *ret_len)
{
        const char *end = strchr(*s, ':');

        if (!end)
                return false;
        *ret = *s;
        *ret_len = (size_t) (end - *s);
        *s = end + 1;
        return true;
}

static int take_word(const char **s, const char *extra, char ret[static 64])
{
        const char *f;
        size_t n;

        if (!take_field(s, &f, &n) || n >= 64)
                return -EINVAL;
        memcpy(ret, f, n);
        ret[n] = '\0';
        return is_word(ret, extra) ? 0 : -EINVAL;
}

static int take_hex(const char **s, size_t max_digits, uint64_t *ret)
{
        uint64_t v = 0;
        const char *f;
        size_t n;

        if (!take_field(s, &f, &n) || n < 8 || n > max_digits)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                int d = hex_digit((char) tolower((unsigned char) f[i]));

                if (d < 0)
                        return -EINVAL;
                v = v << 4 | (uint64_t) d;
        }
        *ret = v;
        return 0;
}

int upid_parse(const char *text, Upid *ret)
{
        uint64_t pid, pstart, start;
        Upid u = { 0 };
        const char *s, *id;
        size_t n;

        if (strncmp(text, "UPID:", 5) != 0 || strlen(text) >= UPID_MAX)
                return -EINVAL;
        s = text + 5;
        if (take_word(&s, "._-", u.node) < 0 || take_hex(&s, 8, &pid) < 0 || take_hex(&s, 9, &pstart) < 0 ||
            take_hex(&s, 8, &start) < 0 || take_word(&s, "._-", u.type) < 0 || !take_field(&s, &id, &n) ||
            id_unescape(id, n, u.id, sizeof(u.id)) < 0 || take_word(&s, "._-@!+", u.user) < 0 || *s)
                return -EINVAL;
        u.pid = (uint32_t) pid;
        u.pstart = pstart;
        u.start = (uint32_t) start;
        *ret = u;
        return 0;
}
