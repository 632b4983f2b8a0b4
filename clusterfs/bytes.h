/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Little-endian fields out of and into a byte string. A Reader never passes its end: the first field that is not
 * there makes it `bad`, and it gives zeros from then on, so that a decoder checks once, at its end.
 */
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

typedef struct Reader {
        const uint8_t *p;
        size_t left;
        bool bad;
} Reader;

static inline const uint8_t *reader_take(Reader *r, size_t n)
{
        const uint8_t *p = r->p;

        if (r->bad || n > r->left) {
                r->bad = true;
                return NULL;
        }
        r->p += n;
        r->left -= n;
        return p;
}

#define READER_UINT(BITS, SWAP)                                \
        static inline uint##BITS##_t reader_u##BITS(Reader *r) \
        {                                                      \
                const uint8_t *p = reader_take(r, BITS / 8);   \
                uint##BITS##_t v = 0;                          \
                                                               \
                if (p)                                         \
                        memcpy(&v, p, sizeof(v));              \
                return SWAP(v);                                \
        }
READER_UINT(16, le16toh)
READER_UINT(32, le32toh)
READER_UINT(64, le64toh)
#undef READER_UINT

static inline uint8_t reader_u8(Reader *r)
{
        const uint8_t *p = reader_take(r, 1);

        return p ? *p : 0;
}

/* A text of at most `max` bytes behind a 16-bit length; not NUL-terminated. Longer ones are bad. */
static inline const char *reader_text(Reader *r, size_t max, size_t *ret_len)
{
        size_t n = reader_u16(r);

        if (n > max)
                r->bad = true;
        *ret_len = r->bad ? 0 : n;
        return (const char *) reader_take(r, n);
}

static inline void put_u8(StrBuf *b, uint8_t v)
{
        strbuf_add(b, &v, sizeof(v));
}

static inline void put_u16(StrBuf *b, uint16_t v)
{
        v = htole16(v);
        strbuf_add(b, &v, sizeof(v));
}

static inline void put_u32(StrBuf *b, uint32_t v)
{
        v = htole32(v);
        strbuf_add(b, &v, sizeof(v));
}

static inline void put_u64(StrBuf *b, uint64_t v)
{
        v = htole64(v);
        strbuf_add(b, &v, sizeof(v));
}

static inline void put_text(StrBuf *b, const char *s, size_t len)
{
        put_u16(b, (uint16_t) len);
        strbuf_add(b, s, len);
}
