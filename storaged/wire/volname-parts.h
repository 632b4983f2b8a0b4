/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parsers of volume names share: volname-file.c, volname-block.c; volname.c calls them. Not for others. */
#include <stdio.h>
#include <string.h>

#include "wire/volname.h"

#define COMPONENTS_MAX 4

/* Fills `v` (zeroed, volname set) or says what is wrong; NULL: all well. */
typedef const char *(*ParseFn)(struct storaged_volname *v);

const char *volname_parse_file(struct storaged_volname *v);
const char *volname_parse_lvm(struct storaged_volname *v);
const char *volname_parse_lvmthin(struct storaged_volname *v);
const char *volname_parse_rbd(struct storaged_volname *v);
const char *volname_parse_zfs(struct storaged_volname *v);
const char *volname_parse_iscsi(struct storaged_volname *v);
const char *volname_parse_iscsidirect(struct storaged_volname *v);
const char *volname_parse_lun(struct storaged_volname *v);
const char *volname_parse_pbs(struct storaged_volname *v);

static inline bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static inline bool is_alpha(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool is_alnum(char c)
{
        return is_alpha(c) || is_digit(c);
}

static inline bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline void set_name(char dst[static STORAGED_VOLNAME_MAX], const char *s, size_t len)
{
        memcpy(dst, s, len);
        dst[len] = '\0';
}

static inline void set_format(struct storaged_volname *v, const char *prefix, const char *format)
{
        (void) snprintf(v->format, sizeof(v->format), "%s%s", prefix, format);
}

typedef struct Component {
        const char *s;
        size_t len;
} Component;

/* What stands between the slashes, at most COMPONENTS_MAX; what could lead elsewhere is wrong. */
const char *volname_split(const char *s, Component *ret, size_t *ret_n);
