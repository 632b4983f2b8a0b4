/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line as people type it. */
#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include "base/str.h"

#define MAX 16

static const Verb *find(const char *name)
{
        VERB_EACH (v)
                if (str_eq(v->name, name))
                        return v;
        fail_msg("no verb %s", name);
        return NULL;
}

static int parse(Args *a, struct storaged_error *err, const char *verb, ...)
{
        char *words[MAX];
        int n = 0;
        va_list ap;

        *a = ARGS_INIT;
        *err = (struct storaged_error) STORAGED_ERROR_INIT;
        va_start(ap, verb);
        while ((words[n] = va_arg(ap, char *)))
                n++;
        va_end(ap);
        return args_parse(a, find(verb), words, n, err);
}

#define PARSE(...) parse(&a, &err, __VA_ARGS__, NULL)

static void all_spellings_of_an_option(void **state)
{
        static const char *const spellings[][2] = {
                { "--content", "iso" },   { "-content", "iso" }, { "--content=iso", NULL },
                { "-content=iso", NULL }, { "--cont", "iso" },   { "--CONTENT", "iso" },
        };
        struct storaged_error err;
        Args a;

        (void) state;
        for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
                assert_int_equal(PARSE("list", "st", spellings[i][0], spellings[i][1]), 0);
                assert_string_equal(args_get(&a, "content"), "iso");
                assert_string_equal(args_get(&a, "storage"), "st");
                args_deinit(&a);
        }
}

static void options_between_positional_arguments(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("alloc", "--format", "raw", "st", "100", "", "-output-format=json", "1G"), 0);
        assert_string_equal(args_get(&a, "storage"), "st");
        assert_string_equal(args_get(&a, "vmid"), "100");
        assert_string_equal(args_get(&a, "filename"), "");
        assert_string_equal(args_get(&a, "size"), "1G");
        assert_string_equal(a.format, "json");
        args_deinit(&a);
}

static void negative_numbers_and_dash_are_no_options(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("alloc", "st", "100", "-", "-4"), 0);
        assert_string_equal(args_get(&a, "filename"), "-");
        assert_string_equal(args_get(&a, "size"), "-4");
        args_deinit(&a);
        assert_int_equal(PARSE("set", "st", "--max-protected-backups", "-1"), 0);
        assert_string_equal(args_get(&a, "max-protected-backups"), "-1");
        args_deinit(&a);
}

static void two_dashes_end_the_options(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("notes", "st:backup/x", "--", "--content"), 0);
        assert_string_equal(args_get(&a, "notes"), "--content");
        args_deinit(&a);
}

static void booleans_in_all_words(void **state)
{
        static const struct {
                const char *word, *value;
        } rows[] = { { "1", "1" }, { "on", "1" },  { "Yes", "1" }, { "true", "1" },
                     { "0", "0" }, { "off", "0" }, { "no", "0" },  { "FALSE", "0" } };
        struct storaged_error err;
        Args a;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(PARSE("set", "st", "--disable", rows[i].word), 0);
                assert_string_equal(args_get(&a, "disable"), rows[i].value);
                args_deinit(&a);
        }
        assert_int_equal(PARSE("set", "st", "--disable=maybe"), -EINVAL);
        assert_string_equal(err.param, "disable");
        args_deinit(&a);
}

static void bare_flags_are_1(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("set", "--disable", "st", "--whatever", "--krbd"), 0);
        assert_string_equal(args_get(&a, "disable"), "1");
        assert_string_equal(args_get(&a, "storage"), "st");
        assert_string_equal(args_get(&a, "whatever"), "1");
        assert_string_equal(args_get(&a, "krbd"), "1");
        args_deinit(&a);
}

static void lists_given_twice_are_joined_and_others_replaced(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("add", "dir", "st", "--nodes", "a", "--nodes", "b", "--path", "/x", "--path", "/y"), 0);
        assert_string_equal(args_get(&a, "nodes"), "a,b");
        assert_string_equal(args_get(&a, "path"), "/y");
        args_deinit(&a);
}

static void an_open_command_takes_no_prefix_for_a_property(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("add", "rbd", "st", "--pass", "x", "--root", "/r"), 0);
        assert_null(args_get(&a, "password"));
        assert_string_equal(args_get(&a, "pass"), "x");
        assert_string_equal(a.root, "/r");
        args_deinit(&a);
}

static void wrong_lines_are_refused(void **state)
{
        struct storaged_error err;
        Args a;

        (void) state;
        assert_int_equal(PARSE("alloc", "st", "100", ""), -EINVAL);
        assert_string_equal(err.text, "not enough arguments");
        args_deinit(&a);
        assert_int_equal(PARSE("path", "st:x", "more"), -EINVAL);
        assert_string_equal(err.text, "too many arguments");
        args_deinit(&a);
        assert_int_equal(PARSE("list", "st", "--nosuch", "1"), -EINVAL);
        assert_string_equal(err.text, "Unknown option: nosuch");
        args_deinit(&a);
        assert_int_equal(PARSE("list", "st", "--content"), -EINVAL);
        assert_string_equal(err.text, "Option content requires an argument");
        args_deinit(&a);
        assert_int_equal(PARSE("status", "--s", "x"), 0); /* storage alone begins so */
        args_deinit(&a);
        assert_int_equal(PARSE("export", "v", "raw+size", "-", "--s", "x"), -EINVAL); /* snapshot, snapshot-list */
        args_deinit(&a);
        assert_int_equal(PARSE("upload", "st", "file"), -EINVAL);
        assert_string_equal(err.param, "content");
        args_deinit(&a);
}

static void options_before_the_command(void **state)
{
        char *words[] = { "--root", "/r", "--output-format=yaml", "status", "--content", "iso" };
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(args_deinit) Args a = ARGS_INIT;
        int first = -1;

        (void) state;
        assert_int_equal(args_parse_global(&a, words, 6, &first, &err), 0);
        assert_int_equal(first, 3);
        assert_string_equal(a.root, "/r");
        assert_string_equal(a.format, "yaml");
        assert_int_equal(args_parse_global(&a, words + 4, 2, &first, &err), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_spellings_of_an_option),
                cmocka_unit_test(options_between_positional_arguments),
                cmocka_unit_test(negative_numbers_and_dash_are_no_options),
                cmocka_unit_test(two_dashes_end_the_options),
                cmocka_unit_test(booleans_in_all_words),
                cmocka_unit_test(bare_flags_are_1),
                cmocka_unit_test(lists_given_twice_are_joined_and_others_replaced),
                cmocka_unit_test(an_open_command_takes_no_prefix_for_a_property),
                cmocka_unit_test(wrong_lines_are_refused),
                cmocka_unit_test(options_before_the_command),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
