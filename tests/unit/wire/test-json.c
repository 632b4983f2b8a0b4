/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire/json: what is refused when reading, and that what the writer streams reads back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "wire/json.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static int parse(const char *text)
{
        AUTO_JSON *o = NULL;

        return json_parse(text, strlen(text), &o);
}

static void good_texts(void **state)
{
        static const char *const texts[] = {
                "{}",
                "[]",
                " {\"a\" : [1, 2.5, -3e2, true, false, null, \"x\"]}\r\n\t ",
                "null",
                "0",
                "-1",
                "\"\"",
                "\"\\u00e4\\n\"",
                "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"",
                "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(texts); i++)
                if (parse(texts[i]) != 0)
                        fail_msg("%s", texts[i]);
}

static void bad_texts(void **state)
{
        static const char *const texts[] = {
                "",
                " ",
                "{",
                "}",
                "{\"a\"}",
                "{\"a\":}",
                "{a:1}",
                "{'a':1}",
                "[1,]",
                "[1 2]",
                "{} {}",
                "{}x",
                "nul",
                "tru",
                "NaN",
                "Infinity",
                "-Infinity",
                "[NaN]",
                "{\"a\":1e999}",
                "// x\n{}",
                "/**/1",
                "\"\xff\"",
                "\"\xc0\xaf\"",
                "\"\xed\xa0\x80\"",
                "\"\xf4\x90\x80\x80\"",
                "\"\xe2\x82\"",
                "\"abc",
                "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
                "\"a\nb\"",
                "0x10",
                "+1",
                "\x01",
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(texts); i++)
                if (parse(texts[i]) != -EINVAL)
                        fail_msg("taken: %s", texts[i]);
}

static void text_need_not_be_terminated(void **state)
{
        json_object *o = NULL;

        (void) state;
        assert_int_equal(json_parse("1234", 2, &o), 0);
        assert_int_equal(json_object_get_int(o), 12);
        (void) json_object_put(o);
        o = NULL;
        assert_int_equal(json_parse("{}\0{}", 5, &o), -EINVAL);
        assert_int_equal(json_parse("\"a\0b\"", 5, &o), -EINVAL);
        assert_null(o);
}

static void members_by_type(void **state)
{
        static const char text[] = "{\"s\":\"x\",\"i\":-5,\"u\":18446744073709551615,\"b\":true,\"one\":1,\"two\":2,"
                                   "\"n\":null,\"nul\":\"a\\u0000b\",\"d\":1.5}";
        AUTO_JSON *o = NULL;

        (void) state;
        assert_int_equal(json_parse(text, strlen(text), &o), 0);
        assert_string_equal(json_get_string(o, "s"), "x");
        assert_null(json_get_string(o, "i"));
        assert_null(json_get_string(o, "none"));
        assert_null(json_get_string(o, "nul")); /* would be another text as a C string */
        assert_int_equal(json_get_int(o, "i", 0), -5);
        assert_int_equal(json_get_int(o, "s", 9), 9);
        assert_int_equal(json_get_int(o, "d", 9), 9);
        assert_true(json_get_uint(o, "u", 0) == UINT64_MAX);
        assert_int_equal(json_get_uint(o, "i", 9), 9);
        assert_true(json_get_bool(o, "b", false));
        assert_true(json_get_bool(o, "one", false));
        assert_true(json_get_bool(o, "two", true));
        assert_false(json_get_bool(o, "two", false));
        assert_false(json_get_bool(o, "s", false));
        assert_null(json_get(o, "n"));
        assert_null(json_get(NULL, "n"));
        assert_null(json_get_string(json_get(o, "s"), "s"));
}

static void adding_members(void **state)
{
        AUTO_JSON *o = json_object_new_object();

        (void) state;
        assert_int_equal(json_add_string(o, "path", "/a/b"), 0);
        assert_int_equal(json_add_string(o, "absent", NULL), 0);
        assert_int_equal(json_add_int(o, "i", INT64_MIN), 0);
        assert_int_equal(json_add_uint(o, "u", UINT64_MAX), 0);
        assert_int_equal(json_add_bool01(o, "b", true), 0);
        assert_int_equal(json_add(o, "list", json_object_new_array()), 0);
        assert_int_equal(json_add(o, "null", NULL), 0);
        assert_string_equal(json_text(o),
                            "{\"path\":\"/a/b\",\"i\":-9223372036854775808,\"u\":18446744073709551615,\"b\":1,"
                            "\"list\":[],\"null\":null}");
        assert_string_equal(json_text(NULL), "null");
}

static void written_commas(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        jsonw_object_begin(&b);
        jsonw_key(&b, "a:");
        jsonw_string(&b, "ends with [");
        jsonw_key(&b, "b,");
        jsonw_array_begin(&b);
        jsonw_string(&b, ",");
        jsonw_string(&b, "{");
        jsonw_uint(&b, UINT64_MAX);
        jsonw_int(&b, INT64_MIN);
        jsonw_int(&b, 0);
        jsonw_array_begin(&b);
        jsonw_array_end(&b);
        jsonw_object_begin(&b);
        jsonw_object_end(&b);
        jsonw_raw(&b, "null", 4);
        jsonw_array_end(&b);
        jsonw_key(&b, "c");
        jsonw_raw(&b, "{\"x\":1}", 7);
        jsonw_object_end(&b);
        assert_int_equal(strbuf_error(&b), 0);
        assert_string_equal(
                b.data,
                "{\"a:\":\"ends with [\",\"b,\":[\",\",\"{\",18446744073709551615,-9223372036854775808,0,[],{},null],"
                "\"c\":{\"x\":1}}");
        assert_int_equal(parse(b.data), 0);
}

/* What the writer writes, json-c reads back as the same text. */
static void written_strings_read_back(void **state)
{
        static const char *const texts[] = {
                "",
                "plain",
                "\"quoted\" \\ back / slash",
                "\b\f\n\r\t",
                "\x01\x1f\x7f",
                "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                "a\xc3\xa4\"b\xc3\xa4",
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(texts); i++) {
                AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
                AUTO_JSON *o = NULL;

                jsonw_string(&b, texts[i]);
                assert_int_equal(json_parse(b.data, b.len, &o), 0);
                assert_string_equal(json_object_get_string(o), texts[i]);
        }
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
        static const struct {
                const char *text, *want;
        } rows[] = {
                { "\xff", "\"\xef\xbf\xbd\"" },
                { "a\xe4"
                  "b",
                  "\"a\xef\xbf\xbd"
                  "b\"" },
                { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
                { "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
                { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
                { "x\xf0\x9f\x98", "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

                jsonw_string(&b, rows[i].text);
                assert_string_equal(b.data, rows[i].want);
                assert_int_equal(parse(b.data), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(good_texts),
                cmocka_unit_test(bad_texts),
                cmocka_unit_test(text_need_not_be_terminated),
                cmocka_unit_test(members_by_type),
                cmocka_unit_test(adding_members),
                cmocka_unit_test(written_commas),
                cmocka_unit_test(written_strings_read_back),
                cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
