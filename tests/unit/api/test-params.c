/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parameters: reading them, holding them against a table, and the refusals that name them. */
#include "api/params.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "wire/json.h"

static const char *const colours[] = { "red", "blue", NULL };

static const ParamSpec specs[] = {
        { .name = "name", .flags = PARAM_REQUIRED, .max_length = 8, .arg = "n" },
        { .name = "count", .type = PARAM_INTEGER, .min = -1, .max = 10, .arg = "count" },
        { .name = "any", .type = PARAM_INTEGER },
        { .name = "on", .type = PARAM_BOOLEAN, .arg = "on" },
        { .name = "colour", .type = PARAM_ENUM, .values = colours },
        { .name = "colours", .type = PARAM_ENUM, .values = colours, .flags = PARAM_LIST, .arg = "colours" },
        { .name = "size", .type = PARAM_SIZE, .arg = "bytes" },
        { .name = "grow", .type = PARAM_SIZE, .flags = PARAM_SIGNED_SIZE },
        { .name = "vmid", .type = PARAM_VMID, .arg = "vmid" },
        { .name = "snap", .type = PARAM_NAME },
        { .name = "notes", .flags = PARAM_MULTILINE | PARAM_EMPTY },
        { 0 },
};

static int read_form(Params *p, const char *text, struct storaged_error *err)
{
        return params_add_form(p, text, strlen(text), err);
}

static void values_that_fit_pass(void **state)
{
        static const char *const rows[] = {
                "name=x",
                "name=12345678",
                "name=x&count=-1",
                "name=x&count=10",
                "name=x&any=-9223372036854775808",
                "name=x&on=1",
                "name=x&on=No",
                "name=x&on=true",
                "name=x&colour=red",
                "name=x&colours=red,blue",
                "name=x&size=0",
                "name=x&size=4G",
                "name=x&size=1024",
                "name=x&grow=%2B1M",
                "name=x&grow=1M",
                "name=x&vmid=100",
                "name=x&vmid=999999999",
                "name=x&snap=__base__",
                "name=x&snap=a.b-c",
                "name=x&notes=",
                "name=x&notes=a%0Ab%09c",
                "name=%C3%A4",
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params p = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;

                if (read_form(&p, rows[i], &err) < 0 || params_check(&p, specs, false, &err) < 0)
                        fail_msg("%s: %s: %s", rows[i], err.param, err.text);
        }
}

static void refusals_name_the_parameter(void **state)
{
        static const struct {
                const char *form, *param;
        } rows[] = {
                { "", "name" },
                { "name=", "name" },
                { "name=123456789", "name" },
                { "name=a%0Ab", "name" },
                { "name=a%7F", "name" },
                { "name=%00", "name" },
                { "name=%FF", "name" },
                { "name=%z", "name" },
                { "name=x&name=y", "name" },
                { "name=x&count=-2", "count" },
                { "name=x&count=11", "count" },
                { "name=x&count=1.5", "count" },
                { "name=x&count=9223372036854775808", "count" },
                { "name=x&any=9223372036854775808", "any" },
                { "name=x&any=", "any" },
                { "name=x&on=2", "on" },
                { "name=x&on", "on" },
                { "name=x&colour=green", "colour" },
                { "name=x&colour=red,blue", "colour" },
                { "name=x&colours=red,green", "colours" },
                { "name=x&colours=,", "colours" },
                { "name=x&size=-1", "size" },
                { "name=x&size=1T", "size" },
                { "name=x&size=1.5G", "size" },
                { "name=x&size=9223372036854775808", "size" },
                { "name=x&size=9007199254740992", "size" }, /* 2^63 bytes */
                { "name=x&size=%2B1M", "size" },
                { "name=x&size=", "size" },
                { "name=x&grow=%2B", "grow" },
                { "name=x&grow=%2B-1", "grow" },
                { "name=x&vmid=99", "vmid" },
                { "name=x&vmid=0100", "vmid" },
                { "name=x&vmid=1000000000", "vmid" },
                { "name=x&snap=..", "snap" },
                { "name=x&snap=a/b", "snap" },
                { "name=x&snap=-a", "snap" },
                { "name=x&notes=%1B", "notes" },
                { "name=x&unknown=1", "unknown" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params p = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;
                int r = read_form(&p, rows[i].form, &err);

                if (r >= 0)
                        r = params_check(&p, specs, false, &err);
                if (r != -EINVAL || err.code != -EINVAL || !str_eq(err.param, rows[i].param))
                        fail_msg("%s: %d, %s: %s", rows[i].form, r, err.param, err.text);
        }
}

static void a_value_of_4096_bytes_is_the_longest(void **state)
{
        static const ParamSpec one[] = { { .name = "x" }, { 0 } };
        char text[4098];

        (void) state;
        (void) memset(text, 'a', sizeof(text));
        for (size_t len = 4096; len <= 4097; len++) {
                AUTO(params_deinit) Params p = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;

                text[len] = '\0';
                assert_int_equal(params_add(&p, "x", text, &err), 0);
                assert_int_equal(params_check(&p, one, false, &err), len == 4096 ? 0 : -EINVAL);
                text[len] = 'a';
        }
}

static void names_that_are_no_names_are_refused(void **state)
{
        static const char *const rows[] = { "=x", "a%20b=1", "a%0A=1", "%00=1", "a.b=1", "%C3%A4=1" };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params p = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;

                assert_int_equal(read_form(&p, rows[i], &err), -EINVAL);
                assert_int_equal(p.n, 0);
        }
}

static void other_properties_are_taken_as_one_line_of_text(void **state)
{
        AUTO(params_deinit) Params p = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        assert_int_equal(read_form(&p, "name=x&path=/a&comment=", &err), 0);
        assert_int_equal(params_check(&p, specs, true, &err), 0);
        assert_int_equal(read_form(&p, "options=a%0Ab", &err), 0);
        assert_int_equal(params_check(&p, specs, true, &err), -EINVAL);
        assert_string_equal(err.param, "options");
}

static void json_values_become_text(void **state)
{
        static const char text[] =
                "{\"name\":\"a b\",\"count\":7,\"on\":true,\"colours\":[\"red\",\"blue\"],\"vmid\":100}";
        AUTO(params_deinit) Params p = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        assert_int_equal(params_add_json(&p, text, sizeof(text) - 1, &err), 0);
        assert_int_equal(params_check(&p, specs, false, &err), 0);
        assert_string_equal(params_get(&p, "name"), "a b");
        assert_string_equal(params_get(&p, "count"), "7");
        assert_string_equal(params_get(&p, "on"), "1");
        assert_string_equal(params_get(&p, "colours"), "red,blue");
        assert_int_equal(params_get_int(&p, "count", 0), 7);
        assert_true(params_get_bool(&p, "on", false));
        assert_null(params_get(&p, "size"));
        assert_int_equal(params_get_int(&p, "size", 42), 42);
}

static void json_that_is_no_flat_object_is_refused(void **state)
{
        static const struct {
                const char *text, *param;
        } rows[] = {
                { "", "" },
                { "[]", "" },
                { "7", "" },
                { "{", "" },
                { "{\"name\":\"x\"} {}", "" },
                { "{\"name\":{\"a\":1}}", "name" },
                { "{\"name\":null}", "name" },
                { "{\"name\":1.5}", "name" },
                { "{\"name\":[\"a\",[\"b\"]]}", "name" },
                { "{\"colours\":[\"a,b\"]}", "colours" },
                { "{\"colours\":[\"\"]}", "colours" },
                { "{\"name\":\"a\\u0000b\"}", "name" },
                { "{\"name\":\"x\",\"name\":\"y\"}", "name" },
                { "{\"name\":[\"x\"]}", "name" },
                { "{\"name\":\"x\",\"count\":18446744073709551616}", "count" },
                { "{\"name\":\"x\",\"size\":9223372036854775808}", "size" },
                { "{\"na me\":\"x\"}", "" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params p = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;
                int r = params_add_json(&p, rows[i].text, strlen(rows[i].text), &err);

                if (r >= 0)
                        r = params_check(&p, specs, false, &err);
                if (r != -EINVAL || !str_eq(err.param, rows[i].param))
                        fail_msg("%s: %d, '%s': %s", rows[i].text, r, err.param, err.text);
        }
}

static void more_than_256_parameters_are_refused(void **state)
{
        AUTO(params_deinit) Params p = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        char name[16];
        int r = 0, n = 0;

        (void) state;
        for (; r >= 0 && n < 300; n++) {
                (void) snprintf(name, sizeof(name), "p%d", n);
                r = params_add(&p, name, "x", &err);
        }
        assert_int_equal(r, -EINVAL);
        assert_int_equal(p.n, PARAMS_MAX);
}

static void arguments_are_typed_for_core(void **state)
{
        AUTO(params_deinit) Params p = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *args = NULL;

        (void) state;
        assert_int_equal(read_form(&p, "name=x&count=-1&on=yes&colours=red&size=1M&vmid=100&any=3", &err), 0);
        assert_int_equal(params_check(&p, specs, false, &err), 0);
        args = params_to_args(&p, specs);
        assert_string_equal(
                json_text(args),
                "{\"n\":\"x\",\"count\":-1,\"on\":true,\"colours\":[\"red\"],\"bytes\":1048576,\"vmid\":100}");
}

static void rows_describe_themselves(void **state)
{
        AUTO_JSON *vmid = param_spec_to_json(param_spec_find(specs, "vmid"));
        AUTO_JSON *colour = param_spec_to_json(param_spec_find(specs, "colour"));

        (void) state;
        assert_string_equal(json_text(vmid),
                            "{\"type\":\"integer\",\"optional\":1,\"minimum\":100,\"maximum\":999999999}");
        assert_string_equal(json_text(colour), "{\"type\":\"enum\",\"optional\":1,\"enum\":[\"red\",\"blue\"]}");
        assert_null(param_spec_find(specs, "absent"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(values_that_fit_pass),
                cmocka_unit_test(refusals_name_the_parameter),
                cmocka_unit_test(a_value_of_4096_bytes_is_the_longest),
                cmocka_unit_test(names_that_are_no_names_are_refused),
                cmocka_unit_test(other_properties_are_taken_as_one_line_of_text),
                cmocka_unit_test(json_values_become_text),
                cmocka_unit_test(json_that_is_no_flat_object_is_refused),
                cmocka_unit_test(more_than_256_parameters_are_refused),
                cmocka_unit_test(arguments_are_typed_for_core),
                cmocka_unit_test(rows_describe_themselves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
