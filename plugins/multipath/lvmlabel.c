/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The label of a physical volume (LVM2's format_text: label sector, PV header, metadata area header, text). Read
 * here, because an inventory must neither wait for LVM's locks nor make LVM scan; only the group's name, its uuid and
 * its lock type are taken, which stand at the very start of the text. Offsets come from the disk: each is bounded.
 */
#include "multipath/lvmlabel.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SECTOR 512u
#define LABEL_SECTORS 4u
#define UUID_LEN 32u
#define TEXT_MAX 2048u
#define MDA_MAGIC " LVM2 x[5A%r0N*>"
#define AREAS_MAX 16u

static uint64_t le64(const uint8_t *p)
{
        uint64_t v = 0;

        for (int i = 7; i >= 0; i--)
                v = v << 8 | p[i];
        return v;
}

static uint32_t le32(const uint8_t *p)
{
        return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* 32 characters become 6-4-4-4-4-4-6. */
static void put_uuid(const uint8_t *from, char ret[static 40])
{
        static const unsigned groups[] = { 6, 4, 4, 4, 4, 4, 6 };
        size_t n = 0, at = 0;

        for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
                if (g > 0)
                        ret[n++] = '-';
                for (unsigned i = 0; i < groups[g]; i++, at++)
                        ret[n++] = isalnum(from[at]) ? (char) from[at] : '?';
        }
        ret[n] = '\0';
}

/* The value of `key = "…"` before the first inner section. */
static void take_value(const char *text, const char *key, char *ret, size_t size)
{
        const char *end = strstr(text, "physical_volumes"), *at = strstr(text, key), *quote;
        size_t n;

        if (!at || (end && at > end) || strncmp(at + strlen(key), " = \"", 4) != 0)
                return;
        at += strlen(key) + 4;
        quote = strchr(at, '"');
        n = quote ? (size_t) (quote - at) : size;
        if (n >= size)
                return;
        for (size_t i = 0; i < n; i++)
                if (!isgraph((unsigned char) at[i]))
                        return;
        memcpy(ret, at, n);
        ret[n] = '\0';
}

static int parse_text(const char *text, LvmLabel *l)
{
        size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-");

        if (n == 0 || n >= sizeof(l->vg) || strncmp(text + n, " {", 2) != 0)
                return -EINVAL;
        memcpy(l->vg, text, n);
        l->vg[n] = '\0';
        take_value(text + n, "\nid", l->vg_uuid, sizeof(l->vg_uuid));
        take_value(text + n, "\nlock_type", l->lock_type, sizeof(l->lock_type));
        return 0;
}

/* 1: no text there, for the area is empty or not the one in use. */
static int read_area(lvm_read_fn fn, void *userdata, uint64_t at, LvmLabel *l)
{
        uint8_t header[SECTOR];
        char text[TEXT_MAX + 1];
        uint64_t start, size, offset, len;
        int n = fn(userdata, at, header, sizeof(header));

        if (n != (int) sizeof(header) || memcmp(header + 4, MDA_MAGIC, 16) != 0)
                return -EINVAL;
        start = le64(header + 24);
        size = le64(header + 32);
        offset = le64(header + 40);
        len = le64(header + 48);
        if (offset == 0 || len == 0 || le32(header + 60) & 1) /* the flag: raw_locn is to be ignored */
                return 1;
        if (start != at || size < SECTOR || offset >= size)
                return -EINVAL;
        if (len > TEXT_MAX)
                len = TEXT_MAX;
        if (len > size - offset)
                len = size - offset; /* the rest is at the area's start; what is wanted is never that far */
        n = fn(userdata, start + offset, (uint8_t *) text, (size_t) len);
        if (n <= 0)
                return -EINVAL;
        text[n] = '\0';
        return parse_text(text, l);
}

/* Data areas, a zero, metadata areas, a zero: pairs of offset and size. */
static int read_areas(lvm_read_fn fn, void *userdata, const uint8_t *sector, size_t at, LvmLabel *l)
{
        bool is_metadata = false;
        int r = 1;

        for (unsigned i = 0; i < AREAS_MAX && at + 16 <= SECTOR; i++, at += 16) {
                uint64_t offset = le64(sector + at);

                if (offset == 0) {
                        if (is_metadata)
                                break;
                        is_metadata = true;
                } else if (is_metadata && r != 0) {
                        r = read_area(fn, userdata, offset, l);
                }
        }
        return r > 0 ? 0 : r;
}

int lvm_label_read(lvm_read_fn fn, void *userdata, LvmLabel *ret)
{
        uint8_t buf[LABEL_SECTORS * SECTOR];
        LvmLabel l = { 0 };
        int n = fn(userdata, 0, buf, sizeof(buf)), r;

        if (n < 0)
                return n;
        for (unsigned i = 0; i < (unsigned) n / SECTOR; i++) {
                const uint8_t *s = buf + (size_t) i * SECTOR;
                uint32_t header = le32(s + 20);

                if (memcmp(s, "LABELONE", 8) != 0 || memcmp(s + 24, "LVM2 001", 8) != 0)
                        continue;
                if (header < 32 || header > SECTOR - UUID_LEN - 8)
                        return -ENODATA;
                put_uuid(s + header, l.pv_uuid);
                r = read_areas(fn, userdata, s, header + UUID_LEN + 8, &l);
                *ret = l;
                return r;
        }
        return -ENODATA;
}
