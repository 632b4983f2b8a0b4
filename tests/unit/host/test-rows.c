/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of a listing: what they say, and that they come out sorted whatever order they went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "host/rows.h"
#include "wire/json.h"

static void add(Rows *rows, const char *name, uint64_t bytes)
{
        struct storaged_volume v = {
                .size = sizeof(v),
                .content = STORAGED_CONTENT_IMAGES,
                .volname = name,
                .format = "raw",
                .bytes = bytes,
                .used_bytes = STORAGED_SIZE_UNKNOWN,
        };

        assert_int_equal(rows_add(rows, "st", &v), 0);
}

/* The array that comes out, parsed; the caller's. */
static json_object *written(Rows *rows)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        json_object *o = NULL;

        assert_int_equal(rows_write(rows, &b), 0);
        assert_int_equal(json_parse(b.data, b.len, &o), 0);
        return o;
}

static const char *volid_at(json_object *rows, size_t i)
{
        return json_get_string(json_object_array_get_idx(rows, i), "volid");
}

static void a_row_has_all_that_is_known(void **state)
{
        static const struct storaged_volume all = {
                .size = sizeof(all),
                .content = STORAGED_CONTENT_BACKUP,
                .volname = "backup/a\"b\\\x01\xff.zst",
                .format = "vma.zst",
                .parent = "100/base",
                .notes = "gr\xc3\xbc\xc3\x9f",
                .bytes = UINT64_MAX - 1,
                .used_bytes = 0,
                .ctime = -5,
                .vmid = 100,
                .is_protected = true,
                .is_approximate = true,
        };
        static const struct storaged_volume least = {
                .size = sizeof(least),
                .content = STORAGED_CONTENT_IMAGES,
                .volname = "x",
                .format = "raw",
                .bytes = STORAGED_SIZE_UNKNOWN,
                .used_bytes = STORAGED_SIZE_UNKNOWN,
        };
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        row_write(&b, "st", &all, "/p");
        assert_string_equal(b.data, "{\"volid\":\"st:backup/a\\\"b\\\\\\u0001\xef\xbf\xbd.zst\",\"content\":\"backup\","
                                    "\"format\":\"vma.zst\",\"size\":18446744073709551614,\"used\":0,\"vmid\":100,"
                                    "\"ctime\":-5,\"parent\":\"100/base\",\"notes\":\"gr\xc3\xbc\xc3\x9f\","
                                    "\"protected\":1,\"approximate-size\":1,\"path\":\"/p\"}");
        strbuf_deinit(&b);
        row_write(&b, "st", &least, NULL);
        assert_string_equal(b.data, "{\"volid\":\"st:x\",\"content\":\"images\",\"format\":\"raw\"}");
}

static void a_name_too_long_is_cut(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        char storage[2000], name[3000];
        struct storaged_volume v = {
                .size = sizeof(v), .content = STORAGED_CONTENT_IMAGES, .volname = name, .format = "raw"
        };

        (void) state;
        memset(storage, 's', sizeof(storage));
        storage[sizeof(storage) - 1] = '\0';
        memset(name, 'n', sizeof(name));
        name[sizeof(name) - 1] = '\0';
        row_write(&b, storage, &v, NULL);
        assert_int_equal(strbuf_error(&b), 0);
        assert_int_equal(strspn(b.data + 10, "s"), 255);
        assert_int_equal(strspn(b.data + 10 + 256, "n"), STORAGED_VOLNAME_MAX - 1);
}

static void none_and_one(void **state)
{
        AUTO(rows_deinit) Rows rows = { 0 };
        AUTO_JSON *none = written(&rows), *one = NULL;

        (void) state;
        assert_int_equal(json_object_array_length(none), 0);
        add(&rows, "a", 1);
        one = written(&rows);
        assert_int_equal(json_object_array_length(one), 1);
        assert_string_equal(volid_at(one, 0), "st:a");
}

static void case_counts_only_between_equals(void **state)
{
        static const char *const in[] = { "b", "B", "a", "C", "A", "aa", "c", "Aa" };
        static const char *const out[] = { "st:A", "st:a", "st:Aa", "st:aa", "st:B", "st:b", "st:C", "st:c" };
        AUTO(rows_deinit) Rows rows = { 0 };
        AUTO_JSON *o = NULL;

        (void) state;
        for (size_t i = 0; i < 8; i++)
                add(&rows, in[i], i);
        o = written(&rows);
        for (size_t i = 0; i < 8; i++)
                assert_string_equal(volid_at(o, i), out[i]);
}

static int compare_texts(const void *a, const void *b)
{
        const char *x = *(char *const *) a, *y = *(char *const *) b;
        int r = strcasecmp(x, y);

        return r ? r : strcmp(x, y);
}

/* Runs of sorted names, reversed ones and random ones, with doubles among them; against qsort(3). */
static void any_order_comes_out_sorted(void **state)
{
        enum { MAX = 300 };
        static char texts[MAX][16];
        char *sorted[MAX];

        (void) state;
        srandom(7);
        for (int round = 0; round < 200; round++) {
                AUTO(rows_deinit) Rows rows = { 0 };
                AUTO_JSON *o = NULL;
                size_t n = (size_t) random() % MAX + 1, run = (size_t) random() % 40 + 1;

                for (size_t i = 0; i < n; i++) {
                        size_t v = round % 3 == 0   ? (size_t) random() % 100
                                   : round % 3 == 1 ? i / run * run + (run - 1 - i % run)
                                                    : (n - i) / run * 1000 + i % run;

                        (void) snprintf(texts[i], sizeof(texts[i]), "%c%05zu", random() % 2 ? 'v' : 'V', v);
                        sorted[i] = texts[i];
                        add(&rows, texts[i], v);
                }
                qsort(sorted, n, sizeof(*sorted), compare_texts);
                o = written(&rows);
                assert_int_equal(json_object_array_length(o), n);
                for (size_t i = 0; i < n; i++) {
                        assert_string_equal(volid_at(o, i) + 3, sorted[i]);
                        /* the row went where its name went */
                        assert_int_equal(json_get_uint(json_object_array_get_idx(o, i), "size", 0),
                                         strtoul(sorted[i] + 1, NULL, 10));
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_row_has_all_that_is_known),
                cmocka_unit_test(a_name_too_long_is_cut),
                cmocka_unit_test(none_and_one),
                cmocka_unit_test(case_counts_only_between_equals),
                cmocka_unit_test(any_order_comes_out_sorted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
