/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The grammar of storage.cfg: sections, pairs, and a warning with its line for each thing that is off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "wire/section.h"

/* All of it on one line: type:id@line{key=value,flag;}… !line… */
static char *summary(const char *text, size_t len)
{
        SectionFile f = SECTION_FILE_INIT;
        StrBuf b = STRBUF_INIT;

        assert_int_equal(section_file_parse(text, len, &f), 0);
        for (size_t i = 0; i < f.n_sections; i++) {
                const Section *s = &f.sections[i];

                strbuf_addf(&b, "%s:%s@%u{", s->type, s->id, s->line);
                for (size_t j = 0; j < s->n_pairs; j++) {
                        strbuf_addf(&b, "%s%s", j > 0 ? "," : "", s->pairs[j].key);
                        if (s->pairs[j].has_value)
                                strbuf_addf(&b, "=%s", s->pairs[j].value);
                        else
                                assert_string_equal(s->pairs[j].value, "");
                }
                strbuf_adds(&b, "} ");
        }
        for (size_t i = 0; i < f.n_warnings; i++)
                strbuf_addf(&b, "!%u ", f.warnings[i].line);
        section_file_deinit(&f);
        return strbuf_take(&b);
}

#define expect(text, wanted)                                              \
        do {                                                              \
                AUTO(freep) char *got_ = summary(text, sizeof(text) - 1); \
                assert_string_equal(got_, wanted);                        \
        } while (0)

static void sections_and_pairs(void **state)
{
        (void) state;
        expect("", "");
        expect("\n\n\n", "");
        expect("dir: a\n", "dir:a@1{} ");
        expect("dir: a\n\tpath /x\n\tshared\n\nnfs: b\n    server  h  \n",
               "dir:a@1{path=/x,shared} nfs:b@5{server=h} ");
        expect("dir:a\n path /x", "dir:a@1{path=/x} ");
        expect("DiR:\ta  \n", "dir:a@1{} ");
        expect("dir: a\n\tkey  two  words \t \n", "dir:a@1{key=two  words} ");
}

static void comments_are_dropped_everywhere(void **state)
{
        (void) state;
        expect("# one\ndir: a\n# two\n\t# three\n\tpath /x # not one\n  #four\n", "dir:a@2{path=/x # not one} ");
        expect("#dir: a\n\tpath /x\n", "!2 ");
}

static void carriage_returns_are_harmless(void **state)
{
        (void) state;
        expect("dir: a\r\n\tpath /x\r\n\r\nnfs: b\r\n\tflag\r\n", "dir:a@1{path=/x} nfs:b@4{flag} ");
}

static void header_starts_a_section_also_without_empty_line(void **state)
{
        (void) state;
        expect("dir: a\n\tpath /x\nnfs: b\n\tserver h\n", "dir:a@1{path=/x} nfs:b@3{server=h} !3 ");
        expect("dir: a\nnfs: b\nlvm: c\n", "dir:a@1{} nfs:b@2{} lvm:c@3{} !2 !3 ");
}

static void line_of_blanks_does_not_end_a_section(void **state)
{
        (void) state;
        expect("dir: a\n\tpath /x\n \t \n\tshared\n", "dir:a@1{path=/x,shared} !3 ");
        expect(" \n\t\ndir: a\n", "dir:a@3{} ");
}

static void bad_header_takes_only_its_own_lines_along(void **state)
{
        (void) state;
        expect("dir: a b\n\tpath /x\n\nnfs: c\n\tserver h\n", "nfs:c@4{server=h} !1 ");
        expect("dir:\n\tpath /x\nnfs: c\n", "nfs:c@3{} !1 !3 ");
        expect("lvm: a\n\tvgname v\ndir: x y\n\tpath /x\n\tcontent iso\n", "lvm:a@1{vgname=v} !3 !3 ");
        expect("dir: a\0b\n\tpath /x\n\nnfs: c\n", "nfs:c@4{} !1 ");
}

static void lines_in_no_section(void **state)
{
        (void) state;
        expect("\tpath /x\n\ndir: a\n\n\tlost 1\n", "dir:a@3{} !1 !5 ");
        expect("hello\ndir: a\nworld wide: web\n\tpath /x\n", "dir:a@2{path=/x} !1 !3 ");
        expect("dir : a\n", "!1 ");
        expect(": a\n", "!1 ");
}

static void nul_bytes(void **state)
{
        SectionFile f = SECTION_FILE_INIT;

        (void) state;
        expect("dir: a\n\tk\0y v\n\tgood 1\n", "dir:a@1{good=1} !2 ");
        expect("\0\n", "!1 ");
        assert_int_equal(section_file_parse("dir: a\n\tcontent a\0b\n", 19, &f), 0);
        assert_int_equal(f.sections[0].pairs[0].value_len, 3);
        assert_memory_equal(f.sections[0].pairs[0].value, "a\0b", 4);
        section_file_deinit(&f);
}

static void byte_order_mark_is_skipped(void **state)
{
        (void) state;
        expect("\xef\xbb\xbf"
               "dir: a\n",
               "dir:a@1{} ");
}

static void warnings_are_bounded_and_printable(void **state)
{
        StrBuf b = STRBUF_INIT;
        SectionFile f = SECTION_FILE_INIT;

        (void) state;
        for (unsigned i = 0; i < 5000; i++)
                strbuf_adds(&b, "\x1b[31m bad\n");
        assert_int_equal(section_file_parse(b.data, b.len, &f), 0);
        assert_int_equal(f.n_warnings, SECTION_WARNINGS_MAX + 1);
        assert_int_equal(f.warnings[SECTION_WARNINGS_MAX].line, 0);
        for (size_t i = 0; i < f.n_warnings; i++)
                assert_null(strchr(f.warnings[i].text, '\x1b'));
        section_file_deinit(&f);
        strbuf_deinit(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sections_and_pairs),
                cmocka_unit_test(comments_are_dropped_everywhere),
                cmocka_unit_test(carriage_returns_are_harmless),
                cmocka_unit_test(header_starts_a_section_also_without_empty_line),
                cmocka_unit_test(line_of_blanks_does_not_end_a_section),
                cmocka_unit_test(bad_header_takes_only_its_own_lines_along),
                cmocka_unit_test(lines_in_no_section),
                cmocka_unit_test(nul_bytes),
                cmocka_unit_test(byte_order_mark_is_skipped),
                cmocka_unit_test(warnings_are_bounded_and_printable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
