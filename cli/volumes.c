/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of volumes. Ten thousand rows are read in place and formatted into one buffer: no tree, no
 * allocation per row. Only a text with escapes in it goes through json-c, and is kept aside.
 */
#include "cli/volumes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "cli/output.h"
#include "wire/json.h"

typedef struct Volume {
        Span volid, format, content; /* fit to be printed */
        Span size;                   /* digits, or none: unknown */
        Span vmid;                   /* digits, or none: nobody's */
        bool is_approximate;
        size_t place;
} Volume;

typedef struct Volumes {
        VEC(Volume) list;
        StrList aside; /* texts that had to be changed */
} Volumes;

static void volumes_deinit(Volumes *v)
{
        VEC_DEINIT(&v->list);
        strlist_deinit(&v->aside);
}

static bool is_plain(Span s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char) s.p[i] < 0x20 || (unsigned char) s.p[i] >= 0x7f)
                        return false;
        return true;
}

/* A text as it is printed: what could break a line or steer a terminal is escaped. */
static int read_text(Volumes *v, Span value, Span *ret)
{
        AUTO(strbuf_deinit) StrBuf escaped = STRBUF_INIT;
        AUTO_JSON *o = NULL;
        const char *s;
        Span plain;

        *ret = (Span){ "", 0 };
        if (!span_is_string(value))
                return 0;
        if (span_plain_string(value, &plain) && is_plain(plain)) {
                *ret = plain;
                return 0;
        }
        if (json_parse(value.p, value.len, &o) < 0)
                return -EINVAL;
        output_escape(&escaped, json_object_get_string(o), false);
        if (strbuf_error(&escaped) < 0 || strlist_add(&v->aside, escaped.data ? escaped.data : "", escaped.len) < 0)
                return -ENOMEM;
        s = v->aside.items[v->aside.n - 1];
        *ret = (Span){ s, strlen(s) };
        return 0;
}

/* Digits, also when written as a text. */
static Span read_number(Span value)
{
        uint64_t number;
        Span s = value;

        (void) span_plain_string(value, &s);
        return span_uint(s, &number) ? s : SPAN_NONE;
}

static int read_member(Volumes *v, Volume *row, Span key, Span value)
{
        if (span_is(key, "volid"))
                return read_text(v, value, &row->volid);
        if (span_is(key, "format"))
                return read_text(v, value, &row->format);
        if (span_is(key, "content"))
                return read_text(v, value, &row->content);
        if (span_is(key, "size"))
                row->size = read_number(value);
        else if (span_is(key, "vmid"))
                row->vmid = span_is(value, "0") ? SPAN_NONE : read_number(value);
        else if (span_is(key, "approximate-size"))
                row->is_approximate = span_is(value, "1") || span_is(value, "true");
        return 0;
}

/* One volume; *ret_len: how long its text is. */
static int read_row(Volumes *v, Span object, size_t *ret_len)
{
        Volume row = { .place = v->list.n };
        Span key, value;
        size_t at = 0;
        int r;

        while ((r = span_next_member(object, &at, &key, &value)) > 0) {
                r = read_member(v, &row, key, value);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret_len = at;
        return VEC_PUSH(&v->list, row);
}

static int volumes_read(Volumes *v, Span rows)
{
        size_t at = 0, len = 0;
        Span object;
        int r;

        while ((r = span_next_element(rows, &at, &object)) > 0) {
                r = read_row(v, object, &len);
                if (r < 0)
                        return r;
                span_move(rows, &at, object, len);
        }
        return r;
}

/* Those with an owner as they came, then the others by format. */
static int by_owner_and_format(const void *a, const void *b)
{
        const Volume *x = a, *y = b;
        size_t n = x->format.len < y->format.len ? x->format.len : y->format.len;
        int r = 0;

        if (!x->vmid.p != !y->vmid.p)
                return !x->vmid.p ? 1 : -1;
        if (!x->vmid.p) {
                r = n > 0 ? memcmp(x->format.p, y->format.p, n) : 0;
                if (r == 0)
                        r = (x->format.len > y->format.len) - (x->format.len < y->format.len);
        }
        return r != 0 ? r : (x->place > y->place) - (x->place < y->place);
}

static bool is_sorted(const Volumes *v)
{
        for (size_t i = 1; i < v->list.n; i++)
                if (by_owner_and_format(&v->list.items[i - 1], &v->list.items[i]) > 0)
                        return false;
        return true;
}

static size_t width_of(Span s)
{
        size_t n = 0;

        for (size_t i = 0; i < s.len; i++)
                n += ((unsigned char) s.p[i] & 0xc0) != 0x80;
        return n;
}

static void add_padding(StrBuf *b, size_t width, size_t used)
{
        static const char blanks[] = "                                ";

        while (used < width) {
                size_t n = width - used < sizeof(blanks) - 1 ? width - used : sizeof(blanks) - 1;

                strbuf_add(b, blanks, n);
                used += n;
        }
}

static void add_left(StrBuf *b, Span s, size_t width)
{
        strbuf_add(b, s.p ? s.p : "", s.len);
        add_padding(b, width, width_of(s));
        strbuf_addc(b, ' ');
}

static void add_row(StrBuf *b, const Volume *v, size_t volid_width, size_t size_width)
{
        bool shows_tilde = v->size.p && v->is_approximate;
        Span size = v->size.p ? v->size : (Span){ "-", 1 };

        add_left(b, v->volid, volid_width);
        add_left(b, v->format, 7);
        add_left(b, v->content, 9);
        add_padding(b, size_width, size.len + shows_tilde);
        if (shows_tilde)
                strbuf_addc(b, '~');
        strbuf_add(b, size.p, size.len);
        if (v->vmid.p) {
                strbuf_addc(b, ' ');
                strbuf_add(b, v->vmid.p, v->vmid.len);
        }
        strbuf_addc(b, '\n');
}

/* Width of the sizes: the digits of the largest, and one place for a ~ if there is any. */
static void measure(const Volumes *v, size_t *ret_volid, size_t *ret_size)
{
        bool any_approximate = false;
        size_t digits = v->list.n > 0;

        *ret_volid = 0;
        for (size_t i = 0; i < v->list.n; i++) {
                const Volume *row = &v->list.items[i];
                size_t n = width_of(row->volid);

                *ret_volid = n > *ret_volid ? n : *ret_volid;
                digits = row->size.len > digits ? row->size.len : digits;
                any_approximate |= row->is_approximate;
        }
        *ret_size = digits + any_approximate;
}

int volumes_print(FILE *f, Span rows)
{
        static const Volume titles = {
                .volid = { "Volid", 5 },
                .format = { "Format", 6 },
                .content = { "Type", 4 },
                .size = { "Size", 4 },
                .vmid = { "VMID", 4 },
        };
        AUTO(volumes_deinit) Volumes v = { .aside = STRLIST_INIT };
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        size_t volid_width, size_width;
        int r = volumes_read(&v, rows);

        if (r < 0)
                return r;
        if (!is_sorted(&v))
                qsort(v.list.items, v.list.n, sizeof(*v.list.items), by_owner_and_format);
        measure(&v, &volid_width, &size_width);
        add_row(&b, &titles, volid_width, size_width);
        for (size_t i = 0; i < v.list.n; i++)
                add_row(&b, &v.list.items[i], volid_width, size_width);
        if (strbuf_error(&b) < 0)
                return -ENOMEM;
        (void) fwrite(b.data, 1, b.len, f);
        return 0;
}
