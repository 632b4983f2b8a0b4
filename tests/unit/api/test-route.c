/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding the row for a path, and what stands in its braces. */
#include "api/route.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "wire/json.h"

#define STORAGE "/nodes/n1/storage/local"

static int find(const char *method, const char *path, Params *params, RouteMatch *match, struct storaged_error *err)
{
        *match = (RouteMatch){ 0 };
        return route_find(method, (Slice){ path, strlen(path) }, params, match, err);
}

static void paths_find_their_row(void **state)
{
        static const struct {
                const char *method, *path, *pattern;
        } rows[] = {
                { "GET", "", "/" },
                { "GET", "/", "/" },
                { "GET", "/version", "/version" },
                { "HEAD", "/version/", "/version" },
                { "GET", "/storage", "/storage" },
                { "PUT", "/storage/a-b", "/storage/{storage}" },
                { "GET", STORAGE, "/nodes/{node}/storage/{storage}" },
                { "GET", STORAGE "/content", "/nodes/{node}/storage/{storage}/content" },
                { "GET", STORAGE "/content/", "/nodes/{node}/storage/{storage}/content" },
                { "DELETE", STORAGE "/content/local:100/vm-100-disk-0.raw",
                  "/nodes/{node}/storage/{storage}/content/{volume}" },
                { "POST", STORAGE "/upload", "/nodes/{node}/storage/{storage}/upload" },
                { "DELETE", STORAGE "/snapshot", "/nodes/{node}/storage/{storage}/snapshot" },
                { "GET", "/nodes/localhost/scan/nfs", "/nodes/{node}/scan/{kind}" },
                { "GET", "/nodes/n1/tasks/UPID:n1:0:0:0:a::root@pam:/log", "/nodes/{node}/tasks/{upid}/log" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params params = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;
                RouteMatch match;
                int r = find(rows[i].method, rows[i].path, &params, &match, &err);

                if (r < 0 || !match.route || !str_eq(match.route->path, rows[i].pattern))
                        fail_msg("%s %s: %d %s", rows[i].method, rows[i].path, r, err.text);
        }
}

static void volumes_keep_their_slashes_in_any_spelling(void **state)
{
        static const struct {
                const char *spelled, *volume;
        } rows[] = {
                { "local:iso/a.iso", "local:iso/a.iso" },
                { "local%3Aiso%2Fa.iso", "local:iso/a.iso" },
                { "iso/a.iso", "iso/a.iso" },
                { "100/base-100-disk-0.raw/101%2fvm-101-disk-0.qcow2",
                  "100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2" },
                { "backup/vm/100/2026-11-21T10:00:00Z", "backup/vm/100/2026-11-21T10:00:00Z" },
                { "a+b%20c", "a+b c" }, /* a plus is only a space in a query */
                { "a%252Fb", "a%2Fb" }, /* decoded once */
                { "/x", "/x" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params params = PARAMS_INIT;
                AUTO(freep) char *path = NULL;
                struct storaged_error err = STORAGED_ERROR_INIT;
                RouteMatch match;

                assert_int_equal(str_printf(&path, STORAGE "/content/%s", rows[i].spelled), 0);
                assert_int_equal(find("GET", path, &params, &match, &err), 0);
                assert_string_equal(params_get(&params, "volume"), rows[i].volume);
                assert_string_equal(params_get(&params, "storage"), "local");
                assert_string_equal(params_get(&params, "node"), "n1");
        }
}

static void parts_that_are_not_what_they_say_are_refused_by_name(void **state)
{
        static const struct {
                const char *path, *param;
        } rows[] = {
                { "/storage/a%00b", "storage" },
                { "/storage/a%0Ab", "storage" },
                { "/storage/1a", "storage" },
                { "/storage/x", "storage" },
                { "/storage/a%2Fb", "storage" },
                { "/storage/..", "storage" },
                { "/storage/%2e%2e%2fetc", "storage" },
                { "/storage/ab%", "storage" },
                { STORAGE "/content/iso/a%00.iso", "volume" },
                { STORAGE "/content/iso/a%0a.iso", "volume" },
                { STORAGE "/content/iso/%ff.iso", "volume" },
                { "/nodes/a%2fb/tasks", "node" },
                { "/nodes/n1/tasks/UPID%2F..%2F/log", "upid" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params params = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;
                RouteMatch match;
                int r = find("GET", rows[i].path, &params, &match, &err);

                if (r != -EINVAL || !str_eq(err.param, rows[i].param))
                        fail_msg("%s: %d %s: %s", rows[i].path, r, err.param, err.text);
        }
}

static void names_of_4097_bytes_are_refused(void **state)
{
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        char path[8192] = STORAGE "/content/";
        size_t n = strlen(path);
        RouteMatch match;

        (void) state;
        (void) memset(path + n, 'a', 4097);
        assert_int_equal(find("GET", path, &params, &match, &err), -EINVAL);
        assert_string_equal(err.param, "volume");
}

static void unknown_paths_are_not_found(void **state)
{
        static const char *const rows[] = { "/nope",          "/storage/ab/cd",
                                            "/nodes/n1/nope", "/nodes//storage",
                                            "/version/x",     "storage",

                                            "/{volume}",      "/nodes/n1/storage/local/contents" };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(params_deinit) Params params = PARAMS_INIT;
                struct storaged_error err = STORAGED_ERROR_INIT;
                RouteMatch match;

                if (find("GET", rows[i], &params, &match, &err) != -ENOENT)
                        fail_msg("%s was found", rows[i]);
        }
}

static void other_methods_are_told_from_unknown_ones(void **state)
{
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        RouteMatch match;

        (void) state;
        assert_int_equal(find("DELETE", "/storage", &params, &match, &err), -EOPNOTSUPP);
        assert_string_equal(match.allow, "GET, POST");
        assert_int_equal(find("PATCH", STORAGE "/content/x", &params, &match, &err), -EOPNOTSUPP);
        assert_string_equal(match.allow, "GET, PUT, POST, DELETE");
        assert_int_equal(find("BREW", "/storage", &params, &match, &err), -ENOSYS);
}

static void every_row_is_whole_and_reached_by_its_own_path(void **state)
{
        RouteIterator i = ROUTE_ITERATOR_INIT;
        const Route *route;
        size_t n = 0;

        (void) state;
        while ((route = route_next(&i))) {
                AUTO(params_deinit) Params params = PARAMS_INIT;
                AUTO_JSON *o = route_to_json(route);
                AUTO(freep) char *path = strdup(route->path);
                struct storaged_error err = STORAGED_ERROR_INIT;
                RouteMatch match;

                n++;
                assert_non_null(o);
                assert_non_null(route->handler);
                assert_non_null(route->permission);
                assert_non_null(route->description);
                for (char *p = path; *p; p++) /* "{storage}" becomes "xstoragex" */
                        if (*p == '{' || *p == '}')
                                *p = 'x';
                assert_int_equal(find(route->method, path, &params, &match, &err), 0);
                if (match.route != route)
                        fail_msg("%s %s is hidden by %s", route->method, route->path, match.route->path);
        }
        assert_true(n > 40);
}

static void descriptions_show_the_parameters_of_the_path_too(void **state)
{
        AUTO(params_deinit) Params params = PARAMS_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *o = NULL;
        RouteMatch match;

        (void) state;
        assert_int_equal(find("POST", STORAGE "/content", &params, &match, &err), 0);
        o = route_to_json(match.route);
        assert_non_null(json_get(json_get(o, "params"), "node"));
        assert_non_null(json_get(json_get(o, "params"), "size"));
        assert_string_equal(json_get_string(o, "method"), "POST");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_find_their_row),
                cmocka_unit_test(volumes_keep_their_slashes_in_any_spelling),
                cmocka_unit_test(parts_that_are_not_what_they_say_are_refused_by_name),
                cmocka_unit_test(names_of_4097_bytes_are_refused),
                cmocka_unit_test(unknown_paths_are_not_found),
                cmocka_unit_test(other_methods_are_told_from_unknown_ones),
                cmocka_unit_test(every_row_is_whole_and_reached_by_its_own_path),
                cmocka_unit_test(descriptions_show_the_parameters_of_the_path_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
