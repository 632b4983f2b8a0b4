/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of what nodes ask each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/message.h"

#define N2 "/api2/json/nodes/n2"

static void every_request_has_its_name(void **state)
{
        static const struct {
                const char *method, *target, *name;
        } cases[] = {
                { "GET", "/api2/json/version", "ping" },
                { "GET", N2 "/storage", "status" },
                { "GET", N2 "/storage?content=images", "status" },
                { "GET", N2 "/storage/pool/content", "read" },
                { "POST", N2 "/storage/pool/content", "change" },
                { "DELETE", N2 "/storage/pool/content/pool%3Aa", "change" },
                { "POST", N2 "/migrate", "migrate" },
                { "GET", N2 "/locks", "locks" },
                { "POST", N2 "/identity", "identity" },
                { "POST", N2 "/stream/abc", "stream" },
                { "GET", N2 "/tasks", "tasks" },
                { "GET", N2 "/tasks/UPID/status?wait=5", "task" },
                { "DELETE", N2 "/tasks/UPID", "task" },
                { "GET", N2 "/doctor", "doctor" },
                { "GET", N2 "/clock", "clock" },
                { "GET", N2 "/luns?wwid=3600", "luns" },
                { "POST", N2 "/actions/lvm/forget", "action" },
                { "GET", N2 "/actions", "other" },
                { "GET", N2 "/workers", "other" },
                { "POST", N2 "/locks", "other" },
                { "GET", N2, "other" },
                { "GET", N2 "?a=/locks", "other" },
                { "GET", N2 "/storages", "other" },
                { "GET", N2 "/", "other" },
                { "GET", "/", "other" },
                { "GET", "", "other" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_string_equal(message_name(cases[i].method, cases[i].target), cases[i].name);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(every_request_has_its_name) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
