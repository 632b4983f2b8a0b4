/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Foreign text in sentences: bounded, printable, never half a character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static void short_text_is_shown_whole(void **state)
{
        char buf[8];

        (void) state;
        assert_string_equal(str_show("", 0, buf, sizeof(buf)), "");
        assert_string_equal(str_show("1234567", 7, buf, sizeof(buf)), "1234567");
        assert_string_equal(str_show("12345678", 3, buf, sizeof(buf)), "123");
}

static void long_text_is_cut(void **state)
{
        char buf[8];

        (void) state;
        assert_string_equal(str_show("12345678", 8, buf, sizeof(buf)), "1234...");
        assert_string_equal(str_show("123\xc3\xa4"
                                     "5678",
                                     9, buf, sizeof(buf)),
                            "123...");
        assert_string_equal(str_show("12\xc3\xa4"
                                     "5678",
                                     8, buf, sizeof(buf)),
                            "12\xc3\xa4...");
        assert_string_equal(str_show("\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa", 9, buf, sizeof(buf)), "...");
}

static void control_characters_become_question_marks(void **state)
{
        char buf[16];

        (void) state;
        assert_string_equal(str_show("a\nb\x1b[m\0z\x7f", 9, buf, sizeof(buf)), "a?b?[m?z?");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(short_text_is_shown_whole),
                cmocka_unit_test(long_text_is_cut),
                cmocka_unit_test(control_characters_become_question_marks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
