/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request from its target to its answer, without sockets and without storages. */
#include "api/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/server.h"
#include "cluster/membership.h"
#include "wire/json.h"

/* A core with a schema and a storage.cfg, and nothing that could do anything. */
static Core core = { .node = (char *) "n1", .paths = { .cluster = (char *) "/nonexistent" } };

static const char *const no_cluster[] = { NULL };

static int setup(void **state)
{
        static const char text[] = "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n";

        (void) state;
        if (schema_new(&core.schema) < 0 || membership_new(&core.members, core.node, no_cluster, NULL) < 0)
                return -1;
        return config_parse(core.schema, text, sizeof(text) - 1, &core.config);
}

static int teardown(void **state)
{
        (void) state;
        core.config = config_free(core.config);
        core.members = membership_free(core.members);
        core.schema = schema_free(core.schema);
        return 0;
}

static json_object *once(const char *method, const char *target, const char *body, int want)
{
        AUTO(freep) char *text = NULL;
        json_object *o = NULL;
        int status = 0;

        assert_int_equal(api_once(&core, method, target, body, body ? strlen(body) : 0, NULL, &status, &text), 0);
        if (status != want)
                fail_msg("%s %s: %d instead of %d: %s", method, target, status, want, text);
        assert_int_equal(json_parse(text, strlen(text), &o), 0);
        return o;
}

static void answers_have_the_envelope(void **state)
{
        AUTO_JSON *version = once("GET", "/version", NULL, 200);
        AUTO_JSON *extjs = once("GET", "/api2/extjs/version", NULL, 200);

        (void) state;
        assert_int_equal(json_get_int(json_get(version, "data"), "apiver", 0), 15);
        assert_null(json_get(version, "success"));
        assert_int_equal(json_get_int(extjs, "success", 0), 1);
        assert_int_equal(json_get_int(json_get(extjs, "data"), "apiage", 0), 6);
}

static void refusals_have_the_envelope(void **state)
{
        AUTO_JSON *json = once("GET", "/version?x=1", NULL, 400);
        AUTO_JSON *extjs = once("GET", "/api2/extjs/version?x=1", NULL, 200);
        AUTO_JSON *absent = once("GET", "/nope", NULL, 404);

        (void) state;
        assert_string_equal(json_get_string(json, "message"), "Parameter verification failed.");
        assert_non_null(json_get_string(json_get(json, "errors"), "x"));
        assert_true(json_object_object_get_ex(json, "data", NULL));
        assert_int_equal(json_get_int(extjs, "success", -1), 0);
        assert_int_equal(json_get_int(extjs, "status", 0), 400);
        assert_string_equal(json_get_string(absent, "message"), "Path '/nope' not found");
        assert_null(json_get(absent, "errors"));
}

static void refusals_carry_no_broken_text(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *body = NULL;
        AUTO_JSON *o = NULL;
        size_t len;

        (void) state;
        (void) error_set_param(&err, -EINVAL, "a\"b", "cut in the middle of \xc3");
        body = request_error_body(REQUEST_JSON, 400, &err, &len);
        assert_int_equal(len, strlen(body));
        assert_int_equal(json_parse(body, len, &o), 0);
        assert_non_null(json_get_string(json_get(o, "errors"), "a\"b"));
}

static void codes_become_statuses(void **state)
{
        static const int rows[][2] = {
                { -EINVAL, 400 },     { -EEXIST, 400 },    { -EACCES, 403 }, { -ENOENT, 404 },
                { -EPERM, 409 },      { -EBUSY, 409 },     { -EFBIG, 413 },  { -EIO, 500 },
                { -EOPNOTSUPP, 501 }, { -ETIMEDOUT, 504 }, { -EROFS, 503 },  { -EAGAIN, 503 },
                { -ENOSPC, 507 },     { -E2BIG, 413 },     { -ENOMEM, 500 }, { -EPROTO, 500 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_int_equal(request_status_of(rows[i][0]), rows[i][1]);
}

static void strangers_are_refused_before_anything_is_looked_at(void **state)
{
        AUTO(request_unrefp) Request *r = NULL;

        (void) state;
        assert_int_equal(request_new(&r, &core, "GET", "/api2/json/nope?x=%zz"), 0);
        request_begin(r);
        assert_true(r->is_done);
        assert_int_equal(r->status, 403);
}

static void other_nodes_are_refused(void **state)
{
        AUTO_JSON *here = once("GET", "/nodes/n1", NULL, 200);
        AUTO_JSON *localhost = once("GET", "/nodes/localhost", NULL, 200);
        AUTO_JSON *absent = once("GET", "/nodes/n2/storage", NULL, 404);
        AUTO_JSON *odd = once("GET", "/nodes/n.2/storage", NULL, 400);

        (void) state;
        assert_non_null(json_get(here, "data"));
        assert_non_null(json_get(localhost, "data"));
        assert_non_null(json_get_string(json_get(absent, "errors"), "node"));
        assert_non_null(json_get_string(json_get(odd, "errors"), "node"));
}

static void bodies_over_the_limit_are_refused(void **state)
{
        AUTO(freep) char *body = malloc(REQUEST_BODY_MAX + 2);

        (void) state;
        (void) memset(body, 'a', REQUEST_BODY_MAX + 1);
        (void) memcpy(body, "text=", 5);
        body[REQUEST_BODY_MAX + 1] = '\0';
        {
                AUTO_JSON *o = once("POST", "/nodes/n1/config/check", body, 413);

                assert_null(json_get(o, "data"));
        }
        body[REQUEST_BODY_MAX] = '\0';
        {
                AUTO_JSON *o = once("POST", "/nodes/n1/config/check", body, 200);

                assert_non_null(json_get(o, "data"));
        }
}

static void bodies_of_another_type_are_refused(void **state)
{
        AUTO(freep) char *text = NULL;
        int status = 0;

        (void) state;
        assert_int_equal(api_once(&core, "POST", "/nodes/n1/config/check", "<x/>", 4, "text/xml", &status, &text), 0);
        assert_int_equal(status, 415);
}

static void a_path_part_can_not_be_given_again(void **state)
{
        AUTO_JSON *o = once("GET", "/nodes/n1/storage/local/info?volume=iso/a.iso&storage=other", NULL, 400);

        (void) state;
        assert_non_null(json_get_string(json_get(o, "errors"), "storage"));
}

static void volumes_belong_to_their_storage(void **state)
{
        static const struct {
                const char *volume;
                int status;
        } rows[] = {
                { "local:iso/a.iso", 200 },
                { "iso/a.iso", 200 },
                { "other:iso/a.iso", 400 },
                { "local2:iso/a.iso", 400 },
                { "loca:iso/a.iso", 400 },
                { "iso/../a.iso", 400 },
                { "../iso/a.iso", 400 },
                { "iso/./a.iso", 400 },
                { "iso//a.iso", 400 },
                { "/etc/passwd", 400 },
                { "iso/", 400 },
                { "local:", 400 },
                { "", 400 },
                { "iso/%2e%2e/x.iso", 400 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(freep) char *target = NULL;
                AUTO_JSON *o = NULL;

                assert_int_equal(str_printf(&target, "/nodes/n1/storage/local/info?volume=%s", rows[i].volume), 0);
                o = once("GET", target, NULL, rows[i].status);
                if (rows[i].status == 400)
                        assert_non_null(json_get_string(json_get(o, "errors"), "volume"));
                else
                        assert_string_equal(json_get_string(json_get(o, "data"), "volid"), "local:iso/a.iso");
        }
}

static void names_of_1024_bytes_are_no_volumes(void **state)
{
        char target[2048] = "/nodes/n1/storage/local/info?volume=iso/";
        size_t n = strlen(target);

        (void) state;
        (void) memset(target + n, 'a', 1024);
        {
                AUTO_JSON *o = once("GET", target, NULL, 400);

                assert_non_null(json_get_string(json_get(o, "errors"), "volume"));
        }
}

static void uploads_need_a_connection(void **state)
{
        AUTO_JSON *o = once("POST", "/nodes/n1/storage/local/upload", "x", 501);

        (void) state;
        assert_non_null(json_get_string(o, "message"));
}

static void schema_shows_routes_and_types(void **state)
{
        AUTO_JSON *o = once("GET", "/schema", NULL, 200);
        json_object *data = json_get(o, "data");

        (void) state;
        assert_true(json_object_array_length(json_get(data, "routes")) > 40);
        assert_true(json_object_array_length(json_get(data, "types")) > 10);
}

static void a_check_of_a_text_changes_nothing(void **state)
{
        AUTO_JSON *o = once("POST", "/nodes/n1/config/check", "text=nfs:+x%0A%09server+a%0A", 200);
        AUTO_JSON *list = once("GET", "/storage", NULL, 200);
        AUTO_JSON *unknown = once("GET", "/storage?type=nope", NULL, 400);

        (void) state;
        assert_non_null(json_get(json_get(o, "data"), "warnings"));
        assert_int_equal(json_object_array_length(json_get(list, "data")), 1);
        assert_non_null(json_get_string(json_get(unknown, "errors"), "type"));
}

static unsigned n_done;

static void count_done(Request *r, void *userdata)
{
        (void) r;
        (void) userdata;
        n_done++;
}

static void an_answer_is_given_once_and_outlives_the_asker(void **state)
{
        Request *r = NULL;
        struct storaged_error err = STORAGED_ERROR_INIT;

        (void) state;
        assert_int_equal(request_new(&r, &core, "GET", "/api2/json/version"), 0);
        r->on_done = count_done;
        r->is_dispatched = true; /* as if a handler had gone to core with it */
        (void) request_ref(r);
        (void) request_ref(r); /* ours, to look */
        r->on_done = NULL;     /* the connection is gone */
        (void) request_unref(r);
        (void) error_set(&err, -ETIMEDOUT, "too late");
        request_on_reply(r, NULL, &err);
        assert_int_equal(n_done, 0);
        assert_int_equal(r->status, 504);
        assert_int_equal(r->n_refs, 1);
        (void) request_unref(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_have_the_envelope),
                cmocka_unit_test(refusals_have_the_envelope),
                cmocka_unit_test(refusals_carry_no_broken_text),
                cmocka_unit_test(codes_become_statuses),
                cmocka_unit_test(strangers_are_refused_before_anything_is_looked_at),
                cmocka_unit_test(other_nodes_are_refused),
                cmocka_unit_test(bodies_over_the_limit_are_refused),
                cmocka_unit_test(bodies_of_another_type_are_refused),
                cmocka_unit_test(a_path_part_can_not_be_given_again),
                cmocka_unit_test(volumes_belong_to_their_storage),
                cmocka_unit_test(names_of_1024_bytes_are_no_volumes),
                cmocka_unit_test(uploads_need_a_connection),
                cmocka_unit_test(schema_shows_routes_and_types),
                cmocka_unit_test(a_check_of_a_text_changes_nothing),
                cmocka_unit_test(an_answer_is_given_once_and_outlives_the_asker),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
