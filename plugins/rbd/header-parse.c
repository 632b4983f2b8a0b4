/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Ceph's object class `rbd` answers, and keeps in the header of an image: little-endian numbers, strings behind
 * their length of 32 bits, versioned structs behind version, oldest compatible version and length. Later versions
 * append, so what follows the known part is passed over.
 */
#include "rbd/header.h"

#include <endian.h>
#include <errno.h>

typedef struct Bytes {
        const char *at;
        size_t n;
} Bytes;

static int take(Bytes *b, void *to, size_t n)
{
        if (b->n < n)
                return -EBADMSG;
        memcpy(to, b->at, n);
        b->at += n;
        b->n -= n;
        return 0;
}

static int take_string(Bytes *b, char *to, size_t size)
{
        uint32_t n;

        if (take(b, &n, sizeof(n)) < 0)
                return -EBADMSG;
        n = le32toh(n);
        if (n >= size || n > b->n || memchr(b->at, '\0', n))
                return -EBADMSG;
        (void) take(b, to, n);
        to[n] = '\0';
        return 0;
}

int header_parse_string(const char *data, size_t n, char *ret, size_t size)
{
        Bytes b = { data, n };

        return take_string(&b, ret, size);
}

int header_parse_size(const char *data, size_t n, uint64_t *ret)
{
        Bytes b = { data, n };
        uint64_t bytes;

        if (take(&b, &bytes, sizeof(bytes)) < 0)
                return -EBADMSG;
        *ret = le64toh(bytes);
        return 0;
}

/* Version, oldest compatible version, length; pool, from version 2 (Nautilus) on its namespace, image, snapshot. */
int header_parse_parent(const char *data, size_t n, ImageHeader *ret)
{
        Bytes b = { data, n };
        uint8_t versions[2];
        uint32_t length;
        int64_t pool;
        uint64_t snap;
        char namespace[256], id[IMAGE_ID_MAX];

        if (take(&b, versions, sizeof(versions)) < 0 || take(&b, &length, sizeof(length)) < 0 ||
            take(&b, &pool, sizeof(pool)) < 0 ||
            (versions[0] >= 2 && take_string(&b, namespace, sizeof(namespace)) < 0) ||
            take_string(&b, id, sizeof(id)) < 0 || take(&b, &snap, sizeof(snap)) < 0)
                return -EBADMSG;
        ret->parent_pool = (int64_t) le64toh((uint64_t) pool);
        memcpy(ret->parent_id, id, sizeof(id));
        ret->parent_snap = le64toh(snap);
        return 0;
}
