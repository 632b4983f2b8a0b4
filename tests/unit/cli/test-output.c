/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Formats, tables, the list of volumes, the bar: all that is printed. */
#include "cli/output.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/once.h"
#include "cli/progress.h"
#include "cli/span.h"
#include "cli/volumes.h"
#include "wire/json.h"

static json_object *json(const char *text)
{
        json_object *o = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o), 0);
        return o;
}

/* What a function printed. */
typedef struct Printed {
        FILE *f;
        char *text;
        size_t len;
} Printed;

static void printed_begin(Printed *p)
{
        *p = (Printed){ 0 };
        p->f = open_memstream(&p->text, &p->len);
        assert_non_null(p->f);
}

static void printed_is(Printed *p, const char *expected)
{
        assert_int_equal(fclose(p->f), 0);
        assert_string_equal(p->text, expected);
        free(p->text);
}

static void one_value_in_all_formats(void **state)
{
        AUTO_JSON *o = json("{\"a\":1,\"b\":[{\"c\":\"x/y\",\"d\":null},true],\"e\":{},\"f\":[]}");
        Printed p;

        (void) state;
        printed_begin(&p);
        assert_int_equal(output_value(p.f, o, OUTPUT_JSON), 0);
        printed_is(&p, "{\"a\":1,\"b\":[{\"c\":\"x/y\",\"d\":null},true],\"e\":{},\"f\":[]}\n");
        printed_begin(&p);
        assert_int_equal(output_value(p.f, o, OUTPUT_YAML), 0);
        printed_is(&p, "---\na: 1\nb:\n  - c: x/y\n    d: null\n  - true\ne: {}\nf: []\n");
        printed_begin(&p);
        assert_int_equal(output_value(p.f, NULL, OUTPUT_JSON), 0);
        printed_is(&p, "null\n");
}

static void yaml_quotes_what_is_not_a_word(void **state)
{
        static const char *const rows[][2] = {
                { "plain", "plain" },    { "st:100/vm.raw", "st:100/vm.raw" },
                { "yes", "\"yes\"" },    { "12", "\"12\"" },
                { "", "\"\"" },          { "a: b", "\"a: b\"" },
                { "a #b", "\"a #b\"" },  { "- a", "\"- a\"" },
                { "x\ny", "\"x\\ny\"" }, { "Null", "\"Null\"" },
                { "a:", "\"a:\"" },      { "/x", "/x" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO_JSON *o = json_object_new_string(rows[i][0]);
                AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
                AUTO(freep) char *expected = NULL;

                output_yaml(&b, o);
                assert_int_equal(str_printf(&expected, "---\n%s\n", rows[i][1]), 0);
                assert_string_equal(b.data, expected);
        }
}

static void escapes_what_steers_a_terminal(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        output_escape(&b, "a\x1b[2J\n\tü€\xc2\x9b\xff\xc3", false);
        assert_string_equal(b.data, "a\\x1b[2J\\x0a\\x09ü€\\xc2\\x9b\\xff\\xc3");
        b.len = 0;
        output_escape(&b, "a\n\tb", true);
        assert_string_equal(b.data, "a\n\tb");
}

static void a_table_stays_in_its_lines(void **state)
{
        static const Column columns[] = {
                { .title = "Name", .key = "name", .fits_title = true },
                { .title = "N", .key = "n", .width = 4, .is_fixed = true, .is_right = true },
                { .title = "Text", .key = "text" },
        };
        AUTO_JSON *o =
                json("[{\"name\":\"ü\",\"n\":12345,\"text\":\"a\\nb\"},{\"name\":\"abcdef\",\"n\":1,\"text\":\"x\"}]");
        AUTO(freep) json_object **rows = NULL;
        size_t n;
        Printed p;

        (void) state;
        assert_int_equal(output_rows(o, &rows, &n), 0);
        printed_begin(&p);
        assert_int_equal(output_table(p.f, columns, 3, rows, n, false), 0);
        printed_is(&p, "Name      N Text\n"
                       "ü      12345 a\\x0ab\n"
                       "abcdef    1 x\n");
}

static void volumes_are(const char *rows, const char *expected)
{
        Printed p;

        printed_begin(&p);
        assert_int_equal(volumes_print(p.f, (Span){ rows, strlen(rows) }), 0);
        printed_is(&p, expected);
}

static void volumes_with_an_owner_come_first(void **state)
{
        (void) state;
        volumes_are("[ {\"volid\":\"st:iso/b.iso\",\"format\":\"iso\",\"content\":\"iso\",\"size\":99},"
                    "{\"volid\":\"st:100/"
                    "vm-100-disk-0.raw\",\"format\":\"raw\",\"content\":\"images\",\"size\":1073741824,\"vmid\":100},"
                    "{\"volid\":\"st:import/a.ova\",\"format\":\"ova\",\"content\":\"import\",\"size\":1,\"vmid\":0},\n"
                    "{\"volid\":\"st:iso/a.iso\",\"format\":\"iso\",\"content\":\"iso\"},"
                    "{\"vmid\":\"99999\",\"volid\":\"st:9\",\"format\":\"subvol\",\"content\":\"rootdir\",\"size\":0}]",
                    "Volid                    Format  Type            Size VMID\n"
                    "st:100/vm-100-disk-0.raw raw     images    1073741824 100\n"
                    "st:9                     subvol  rootdir            0 99999\n"
                    "st:iso/b.iso             iso     iso               99\n"
                    "st:iso/a.iso             iso     iso                -\n"
                    "st:import/a.ova          ova     import             1\n");
}

static void approximate_sizes_widen_the_column(void **state)
{
        (void) state;
        volumes_are("[{\"volid\":\"a\",\"format\":\"raw\",\"content\":\"images\",\"size\":12345,\"vmid\":100},"
                    "{\"volid\":\"b\",\"format\":\"raw\",\"content\":\"images\",\"size\":1234,\"approximate-size\":1,"
                    "\"vmid\":100}]",
                    "Volid Format  Type        Size VMID\n"
                    "a raw     images     12345 100\n"
                    "b raw     images     ~1234 100\n");
}

static void an_empty_list_has_its_header(void **state)
{
        (void) state;
        volumes_are("[]", "Volid Format  Type      Size VMID\n");
        volumes_are("[ ] , more", "Volid Format  Type      Size VMID\n");
}

static void odd_names_do_not_break_lines(void **state)
{
        (void) state;
        volumes_are(
                "[{\"volid\":\"st:iso/a\\n\\\"b\\u001b\\\\.iso\",\"format\":\"iso\",\"content\":\"iso\",\"size\":5},"
                "{\"volid\":\"st:iso/\xc3\xbc.iso\",\"format\":\"iso\",\"content\":\"iso\",\"size\":5}]",
                "Volid                   Format  Type      Size VMID\n"
                "st:iso/a\\x0a\"b\\x1b\\.iso iso     iso       5\n"
                "st:iso/\xc3\xbc.iso            iso     iso       5\n");
}

static void broken_lists_are_refused(void **state)
{
        static const char *const texts[] = {
                "",
                "{}",
                "[",
                "[{]",
                "[{\"volid\":}]",
                "[{\"volid\"",
                "[1]",
                "[{\"volid\":\"x\" \"y\":1}]",
                "[{} {}]",
                "[\"a",
                "[{\"volid\":\"\\q\"}]",
        };

        (void) state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                Printed p;

                printed_begin(&p);
                if (volumes_print(p.f, (Span){ texts[i], strlen(texts[i]) }) != -EINVAL)
                        fail_msg("%s", texts[i]);
                printed_is(&p, "");
        }
}

static void spans_find_members(void **state)
{
        static const char text[] = " {\"a\" : \"x}\\\"\" , \"data\":[1,{\"b\":[]}], \"n\":12}";
        Span all = { text + 1, sizeof(text) - 2 }, v;
        uint64_t n = 0;

        (void) state;
        v = span_member(all, "data");
        v = span_value(v.p, v.len);
        assert_true(span_is(v, "[1,{\"b\":[]}]"));
        v = span_member(all, "n");
        assert_true(span_uint(span_value(v.p, v.len), &n));
        assert_int_equal(n, 12);
        assert_null(span_member(all, "b").p);
        v = span_member(all, "a");
        v = span_value(v.p, v.len);
        assert_true(span_is_string(v));
        assert_false(span_plain_string(v, &v));
        assert_false(span_uint((Span){ "18446744073709551616", 20 }, &n));
        assert_null(span_value("\"open", 5).p);
}

static void once_answers_are_read(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO(answer_deinit) Answer b = ANSWER_INIT;
        static const char refused[] = "400\n{\"data\":null,\"message\":\"m\",\"errors\":{\"p\":\"t\"}}\n";

        (void) state;
        assert_int_equal(once_parse(refused, sizeof(refused) - 1, &a, &err), 0);
        assert_int_equal(a.status, 400);
        assert_string_equal(a.message, "m");
        assert_string_equal(json_get_string(a.errors, "p"), "t");
        assert_int_equal(once_parse("HTTP 200\n{\"data\":[]}", 20, &b, &err), 0);
        assert_true(json_object_is_type(b.data, json_type_array));
        assert_int_equal(once_parse("", 0, &b, &err), -EPROTO);
        assert_int_equal(once_parse("200", 3, &b, &err), -EPROTO);
        assert_int_equal(once_parse("200\n{", 5, &b, &err), -EPROTO);
        assert_int_equal(once_parse("99999999999999999\n{}", 20, &b, &err), -EPROTO);
}

static void the_bar_fits_the_terminal(void **state)
{
        char line[256];

        (void) state;
        for (unsigned columns = 1; columns < 200; columns++) {
                size_t n = progress_format(line, sizeof(line), columns, 5, 10);

                assert_true(n <= columns || n == 4);
        }
        (void) progress_format(line, sizeof(line), 60, 512 << 20, UINT64_C(2) << 30);
        assert_string_equal(line, " 25% [=======.......................] 512.0 MiB of 2.0 GiB");
        (void) progress_format(line, sizeof(line), 10, 20, 10); /* more than all is all */
        assert_string_equal(line, "100%");
        (void) progress_format(line, sizeof(line), 80, 0, 0);
        assert_non_null(strstr(line, "  0%"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_value_in_all_formats),
                cmocka_unit_test(yaml_quotes_what_is_not_a_word),
                cmocka_unit_test(escapes_what_steers_a_terminal),
                cmocka_unit_test(a_table_stays_in_its_lines),
                cmocka_unit_test(volumes_with_an_owner_come_first),
                cmocka_unit_test(approximate_sizes_widen_the_column),
                cmocka_unit_test(an_empty_list_has_its_header),
                cmocka_unit_test(odd_names_do_not_break_lines),
                cmocka_unit_test(broken_lists_are_refused),
                cmocka_unit_test(spans_find_members),
                cmocka_unit_test(once_answers_are_read),
                cmocka_unit_test(the_bar_fits_the_terminal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
