/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of HTTP: what is decoded, and what is refused. */
#include "wire/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "wire/json.h"

static void target_is_split_at_the_question_mark(void **state)
{
        Slice path, query;

        (void) state;
        http_split_target("/a/b%3F?x=1?&y#z?", &path, &query);
        assert_int_equal(path.len, 7);
        assert_int_equal(query.len, 6);
        assert_memory_equal(query.data, "x=1?&y", 6);
        http_split_target("/a#b?c", &path, &query);
        assert_int_equal(path.len, 2);
        assert_int_equal(query.len, 0);
        http_split_target("", &path, &query);
        assert_int_equal(path.len + query.len, 0);
}

static void decode_takes_what_is_well_formed(void **state)
{
        static const struct {
                const char *in, *out;
                bool plus;
        } rows[] = {
                { "", "", false },          { "a%2Fb%2fc", "a/b/c", false }, { "a+b", "a+b", false },
                { "a+b%2B", "a b+", true }, { "%C3%A4", "\xc3\xa4", false }, { "%250", "%0", false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(freep) char *out = NULL;

                assert_int_equal(http_decode(rows[i].in, strlen(rows[i].in), rows[i].plus, &out), 0);
                assert_string_equal(out, rows[i].out);
        }
}

static void decode_refuses_broken_escapes_nul_and_bad_utf8(void **state)
{
        static const struct {
                const char *in;
                size_t len;
        } rows[] = { { "%", 1 },     { "%2", 2 },   { "a%zz", 4 }, { "%-1", 3 },  { "%00", 3 },
                     { "a%00b", 5 }, { "a\0b", 3 }, { "%FF", 3 },  { "\xc3", 1 }, { "%C0%80", 6 } };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char *out = (char *) "untouched";

                assert_int_equal(http_decode(rows[i].in, rows[i].len, false, &out), -EINVAL);
                assert_string_equal(out, "untouched");
        }
}

static void form_gives_pairs_in_order(void **state)
{
        Slice rest = { "&a=1&&b=x%3Dy+z&c&d=", 20 };
        static const char *const want[][2] = { { "a", "1" }, { "b", "x=y z" }, { "c", "" }, { "d", "" } };

        (void) state;
        for (size_t i = 0; i < 4; i++) {
                AUTO(freep) char *name = NULL;
                AUTO(freep) char *value = NULL;

                assert_int_equal(http_form_next(&rest, &name, &value), 1);
                assert_string_equal(name, want[i][0]);
                assert_string_equal(value, want[i][1]);
        }
        {
                char *name, *value;

                assert_int_equal(http_form_next(&rest, &name, &value), 0);
        }
}

static void form_names_the_parameter_whose_value_is_bad(void **state)
{
        Slice rest = { "size=%00", 8 };
        AUTO(freep) char *name = NULL;
        AUTO(freep) char *value = NULL;

        (void) state;
        assert_int_equal(http_form_next(&rest, &name, &value), -EINVAL);
        assert_string_equal(name, "size");
        assert_null(value);
}

static void media_type_ignores_case_and_parameters(void **state)
{
        (void) state;
        assert_true(http_is_media_type("application/json", "application/json"));
        assert_true(http_is_media_type(" Application/JSON;charset=UTF-8", "application/json"));
        assert_false(http_is_media_type("application/jsonx", "application/json"));
        assert_false(http_is_media_type(NULL, "application/json"));
}

static void json_duplicates_are_found_in_the_outermost_object_only(void **state)
{
        static const struct {
                const char *text, *twice;
        } rows[] = {
                { "{\"a\":1,\"b\":2}", NULL },
                { "{\"a\":1,\"b\":{\"a\":2,\"a\":3}}", NULL },
                { "{\"a\":\"b\",\"b\":\"a\"}", NULL },
                { "{\"a\":\"x\\\"a\\\":\",\"b\":[\"b\"]}", NULL },
                { "{\"a\":1,\"b\":[1,{\"x\":2}], \"a\" :3}", "a" },
                { "{\"\":1,\"\":2}", "" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                Slice name = { 0 };

                assert_int_equal(http_json_find_duplicate(rows[i].text, strlen(rows[i].text), &name),
                                 rows[i].twice != NULL);
                if (rows[i].twice) {
                        assert_int_equal(name.len, strlen(rows[i].twice));
                        assert_memory_equal(name.data, rows[i].twice, name.len);
                }
        }
}

static void file_names_lose_their_path_and_odd_bytes(void **state)
{
        static const struct {
                const char *in, *out;
        } rows[] = { { "a.iso", "a.iso" },
                     { "../../etc/passwd", "passwd" },
                     { "C:\\x\\deb ian.iso", "deb_ian.iso" },
                     { "a\nb;c.iso", "a_b_c.iso" },
                     { "\xc3\xa4.img", "__.img" } };
        char *out = NULL;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(freep) char *name = NULL;

                assert_int_equal(http_normalize_filename(rows[i].in, &name), 0);
                assert_string_equal(name, rows[i].out);
        }
        assert_int_equal(http_normalize_filename("", &out), -EINVAL);
        assert_int_equal(http_normalize_filename("a/", &out), -EINVAL);
        assert_int_equal(http_normalize_filename("x/..", &out), -EINVAL);
        assert_null(out);
}

static void file_names_over_255_bytes_are_refused(void **state)
{
        char name[300], *out = NULL;

        (void) state;
        (void) memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        assert_int_equal(http_normalize_filename(name, &out), -ENAMETOOLONG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(target_is_split_at_the_question_mark),
                cmocka_unit_test(decode_takes_what_is_well_formed),
                cmocka_unit_test(decode_refuses_broken_escapes_nul_and_bad_utf8),
                cmocka_unit_test(form_gives_pairs_in_order),
                cmocka_unit_test(form_names_the_parameter_whose_value_is_bad),
                cmocka_unit_test(media_type_ignores_case_and_parameters),
                cmocka_unit_test(json_duplicates_are_found_in_the_outermost_object_only),
                cmocka_unit_test(file_names_lose_their_path_and_odd_bytes),
                cmocka_unit_test(file_names_over_255_bytes_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
