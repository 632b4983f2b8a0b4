/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/parse: strict, whole text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/parse.h"

static void unsigned_numbers(void **state)
{
        static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x10", "1.0", "a", "1a", "1\n" };
        uint64_t v = 7;

        (void) state;
        assert_int_equal(parse_u64("0", &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(parse_u64("18446744073709551615", &v), 0);
        assert_true(v == UINT64_MAX);
        v = 7;
        assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
        assert_int_equal(parse_u64("99999999999999999999999", &v), -ERANGE);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(parse_u64(bad[i], &v), -EINVAL);
        assert_int_equal(v, 7); /* untouched on failure */
}

static void signed_numbers(void **state)
{
        int64_t v = 7;

        (void) state;
        assert_int_equal(parse_i64("-9223372036854775808", &v), 0);
        assert_true(v == INT64_MIN);
        assert_int_equal(parse_i64("9223372036854775807", &v), 0);
        assert_true(v == INT64_MAX);
        assert_int_equal(parse_i64("-0", &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(parse_i64("9223372036854775808", &v), -ERANGE);
        assert_int_equal(parse_i64("-9223372036854775809", &v), -ERANGE);
        assert_int_equal(parse_i64("-", &v), -EINVAL);
        assert_int_equal(parse_i64("--1", &v), -EINVAL);
        assert_int_equal(parse_i64("", &v), -EINVAL);
}

static void booleans(void **state)
{
        static const char *const yes[] = { "1", "yes", "on", "true", "YES", "On" };
        static const char *const no[] = { "0", "no", "off", "false", "FALSE" };
        static const char *const bad[] = { "", "2", "y", "ja", "true ", "01" };
        bool b;

        (void) state;
        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
                b = false;
                assert_int_equal(parse_bool(yes[i], &b), 0);
                assert_true(b);
        }
        for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
                b = true;
                assert_int_equal(parse_bool(no[i], &b), 0);
                assert_false(b);
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(parse_bool(bad[i], &b), -EINVAL);
}

static void sizes_of_alloc(void **state)
{
        uint64_t v = 7;

        (void) state;
        assert_int_equal(parse_alloc_size("1024", &v), 0);
        assert_int_equal(v, 1024 * 1024);
        assert_int_equal(parse_alloc_size("3M", &v), 0);
        assert_int_equal(v, 3 << 20);
        assert_int_equal(parse_alloc_size("2g", &v), 0);
        assert_true(v == UINT64_C(2) << 30);
        assert_int_equal(parse_alloc_size("0", &v), 0);
        v = 7;
        assert_int_equal(parse_alloc_size("9007199254740992", &v), -ERANGE); /* 2^63 bytes */
        assert_int_equal(parse_alloc_size("99999999999G", &v), -ERANGE);
        assert_int_equal(parse_alloc_size("", &v), -EINVAL);
        assert_int_equal(parse_alloc_size("M", &v), -EINVAL);
        assert_int_equal(parse_alloc_size("1T", &v), -EINVAL);
        assert_int_equal(parse_alloc_size("-1", &v), -EINVAL);
        assert_int_equal(parse_alloc_size("1.5G", &v), -EINVAL);
        assert_int_equal(parse_alloc_size("1MM", &v), -EINVAL);
        assert_int_equal(v, 7);
}

static void vmids(void **state)
{
        uint32_t v = 7;

        (void) state;
        assert_int_equal(parse_vmid("100", 3, &v), 0);
        assert_int_equal(v, 100);
        assert_int_equal(parse_vmid("999999999", 9, &v), 0);
        assert_int_equal(v, 999999999);
        assert_int_equal(parse_vmid("100/vm", 3, &v), 0);
        v = 7;
        assert_int_equal(parse_vmid("99", 2, &v), -EINVAL);
        assert_int_equal(parse_vmid("0100", 4, &v), -EINVAL);
        assert_int_equal(parse_vmid("1000000000", 10, &v), -EINVAL);
        assert_int_equal(parse_vmid("10a", 3, &v), -EINVAL);
        assert_int_equal(parse_vmid("", 0, &v), -EINVAL);
        assert_int_equal(v, 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(unsigned_numbers), cmocka_unit_test(signed_numbers), cmocka_unit_test(booleans),
                cmocka_unit_test(sizes_of_alloc),   cmocka_unit_test(vmids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
