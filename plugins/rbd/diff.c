/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The records of a stream, without any of Ceph's libraries: bytes to structs and back. What comes in is not trusted. */
#include "rbd/diff.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static int read_number(diff_read_fn fn, void *userdata, uint64_t *ret)
{
        uint64_t v;
        int r = fn(userdata, &v, sizeof(v));

        if (r >= 0)
                *ret = le64toh(v);
        return r;
}

static int read_name(diff_read_fn fn, void *userdata, char ret[static DIFF_NAME_MAX])
{
        uint32_t n;
        int r = fn(userdata, &n, sizeof(n));

        if (r < 0)
                return r;
        n = le32toh(n);
        if (n == 0 || n >= DIFF_NAME_MAX)
                return -EBADMSG;
        r = fn(userdata, ret, n);
        ret[n] = '\0';
        if (r >= 0 && (strlen(ret) != n || strpbrk(ret, "/@")))
                r = -EBADMSG;
        return r;
}

int diff_read(diff_read_fn fn, void *userdata, uint64_t bytes, DiffRecord *ret)
{
        DiffRecord d = { 0 };
        int r = fn(userdata, &d.tag, 1);

        if (r < 0)
                return r;
        switch (d.tag) {
        case DIFF_FROM:
        case DIFF_TO:
                r = read_name(fn, userdata, d.name);
                break;
        case DIFF_SIZE:
                r = read_number(fn, userdata, &d.length);
                break;
        case DIFF_DATA:
        case DIFF_ZERO:
                r = read_number(fn, userdata, &d.offset);
                if (r >= 0)
                        r = read_number(fn, userdata, &d.length);
                if (r >= 0 && (d.offset > bytes || d.length > bytes - d.offset))
                        r = -EBADMSG;
                break;
        case DIFF_END:
                break;
        default:
                r = -EBADMSG;
        }
        if (r < 0)
                return r;
        *ret = d;
        return 0;
}

static size_t add_number(char *to, uint64_t v)
{
        v = htole64(v);
        memcpy(to, &v, sizeof(v));
        return sizeof(v);
}

size_t diff_write(const DiffRecord *r, char *to)
{
        uint32_t n = (uint32_t) strnlen(r->name, DIFF_NAME_MAX - 1), length = htole32(n);
        size_t at = 0;

        to[at++] = r->tag;
        if (r->tag == DIFF_FROM || r->tag == DIFF_TO) {
                memcpy(to + at, &length, sizeof(length));
                memcpy(to + at + sizeof(length), r->name, n);
                at += sizeof(length) + n;
        } else if (r->tag == DIFF_SIZE) {
                at += add_number(to + at, r->length);
        } else if (r->tag == DIFF_DATA || r->tag == DIFF_ZERO) {
                at += add_number(to + at, r->offset);
                at += add_number(to + at, r->length);
        }
        return at;
}
