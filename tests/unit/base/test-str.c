/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/str: comparison, the buffer, lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/str.h"

static void eq_with_null(void **state)
{
        (void) state;
        assert_true(str_eq(NULL, NULL));
        assert_false(str_eq(NULL, ""));
        assert_false(str_eq("a", NULL));
        assert_true(str_eq("a", "a"));
        assert_false(str_eq("a", "ab"));
}

static void skip_of_a_prefix(void **state)
{
        (void) state;
        assert_string_equal(str_skip("unix:///x", "unix://"), "/x");
        assert_null(str_skip("uni", "unix://"));
        assert_string_equal(str_skip("abc", ""), "abc");
        assert_string_equal(str_skip("abc", "abc"), "");
}

static void ends_with_a_suffix(void **state)
{
        (void) state;
        assert_true(str_ends_with("a.raw", ".raw"));
        assert_true(str_ends_with(".raw", ".raw"));
        assert_false(str_ends_with("raw", ".raw"));
        assert_true(str_ends_with("x", ""));
}

static void control_characters(void **state)
{
        (void) state;
        assert_false(str_has_control("a b \xc3\xa4"));
        assert_false(str_has_control(""));
        assert_true(str_has_control("a\nb"));
        assert_true(str_has_control("\x7f"));
        assert_true(str_has_control("\x1f"));
}

static void buffer_grows_and_stays_terminated(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        assert_null(b.data);
        for (int i = 0; i < 10000; i++) {
                strbuf_addc(&b, (char) ('a' + i % 26));
                assert_int_equal(b.data[b.len], '\0');
        }
        assert_int_equal(b.len, 10000);
        assert_int_equal(b.data[9999], 'a' + 9999 % 26);
        assert_int_equal(strbuf_error(&b), 0);
}

static void buffer_formats_more_than_it_holds(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        char big[5000];

        (void) state;
        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        strbuf_addf(&b, "<%s|%d>", big, 42);
        assert_int_equal(b.len, sizeof(big) - 1 + 5);
        assert_string_equal(b.data + b.len - 4, "|42>");
}

static void buffer_keeps_its_first_failure(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        strbuf_adds(&b, "before");
        strbuf_add(&b, "", SIZE_MAX / 2); /* refused before a byte is read */
        assert_int_equal(strbuf_error(&b), -ENOMEM);
        strbuf_adds(&b, "after");
        assert_int_equal(b.len, 6);
        assert_null(strbuf_take(&b));
        assert_int_equal(strbuf_error(&b), 0);
}

static void take_of_an_empty_buffer(void **state)
{
        StrBuf b = STRBUF_INIT;
        AUTO(freep) char *s = strbuf_take(&b);

        (void) state;
        assert_string_equal(s, "");
        assert_null(b.data);
}

static void list_split_and_join(void **state)
{
        AUTO(strlist_deinit) StrList l = STRLIST_INIT;
        AUTO(freep) char *joined = NULL;

        (void) state;
        assert_int_equal(strlist_split(&l, " ,b, a;;c ,", " ,;"), 0);
        assert_int_equal(l.n, 3);
        assert_string_equal(l.items[0], "b");
        assert_null(l.items[3]);
        strlist_sort(&l);
        joined = strlist_join(&l, ",");
        assert_string_equal(joined, "a,b,c");
        assert_true(strlist_has(&l, "c"));
        assert_false(strlist_has(&l, "d"));
}

static void list_of_many(void **state)
{
        AUTO(strlist_deinit) StrList l = STRLIST_INIT;

        (void) state;
        for (int i = 0; i < 1000; i++) {
                assert_int_equal(strlist_add(&l, "item-x", 5), 0);
                assert_null(l.items[i + 1]);
        }
        assert_int_equal(l.n, 1000);
        assert_string_equal(l.items[999], "item-");
}

static void empty_list(void **state)
{
        AUTO(strlist_deinit) StrList l = STRLIST_INIT;
        AUTO(freep) char *joined = strlist_join(&l, ",");

        (void) state;
        assert_string_equal(joined, "");
        strlist_sort(&l);
        assert_false(strlist_has(&l, ""));
        assert_int_equal(strlist_split(&l, "", ","), 0);
        assert_int_equal(l.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(eq_with_null),
                cmocka_unit_test(skip_of_a_prefix),
                cmocka_unit_test(ends_with_a_suffix),
                cmocka_unit_test(control_characters),
                cmocka_unit_test(buffer_grows_and_stays_terminated),
                cmocka_unit_test(buffer_formats_more_than_it_holds),
                cmocka_unit_test(buffer_keeps_its_first_failure),
                cmocka_unit_test(take_of_an_empty_buffer),
                cmocka_unit_test(list_split_and_join),
                cmocka_unit_test(list_of_many),
                cmocka_unit_test(empty_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
