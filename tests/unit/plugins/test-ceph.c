/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the Ceph plugins read: monitors' addresses, their JSON, an image's header; and who counts as answering. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"
#include "rbd/header-parse.c"

/* --- addresses */

static void assert_address(const CephMonitor *m, size_t i, const char *host, unsigned port)
{
        const struct sockaddr_in *v4 = (const struct sockaddr_in *) &m->address[i];
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) &m->address[i];
        char text[INET6_ADDRSTRLEN];

        assert_true(i < m->n_addresses);
        if (v4->sin_family == AF_INET)
                assert_non_null(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)));
        else
                assert_non_null(inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)));
        assert_string_equal(text, host);
        assert_int_equal(ntohs(v4->sin_port), port); /* at the same place in both */
}

static void monitors_in_every_form(void **state)
{
        CephMonitors m;

        (void) state;
        ceph_monitors_parse("10.0.0.1, 10.0.0.2:6790;[fd00::1] [fd00::2]:7000", &m);
        assert_int_equal(m.n, 4);
        assert_address(&m.items[0], 0, "10.0.0.1", 3300);
        assert_address(&m.items[0], 1, "10.0.0.1", 6789);
        assert_address(&m.items[1], 0, "10.0.0.2", 6790);
        assert_int_equal(m.items[1].n_addresses, 1);
        assert_address(&m.items[2], 0, "fd00::1", 3300);
        assert_address(&m.items[3], 0, "fd00::2", 7000);
        ceph_monitors_parse("[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0],[v2:[fd00::1]:3301,v1:[fd00::1]:6780]", &m);
        assert_int_equal(m.n, 2);
        assert_address(&m.items[0], 0, "10.0.0.1", 3300);
        assert_address(&m.items[0], 1, "10.0.0.1", 6789);
        assert_address(&m.items[1], 0, "fd00::1", 3301);
        assert_address(&m.items[1], 1, "fd00::1", 6780);
        ceph_monitors_parse("v1:10.0.0.9:6789", &m);
        assert_address(&m.items[0], 0, "10.0.0.9", 6789);
}

static void monitors_that_are_names_or_nonsense(void **state)
{
        CephMonitors m;

        (void) state;
        ceph_monitors_parse("ceph1.example.com 10.0.0.1", &m);
        assert_int_equal(m.n, 1);
        assert_int_equal(m.n_names, 1);
        ceph_monitors_parse(" , ;; ", &m);
        assert_int_equal(m.n + m.n_names, 0);
        ceph_monitors_parse("10.0.0.1:99999 [v2: ] ]] [[ [v1:,] [", &m);
        assert_int_equal(m.n, 0);
}

static int listen_on(unsigned *ret_port)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &a, n), 0);
        assert_int_equal(listen(fd, 4), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &a, &n), 0);
        *ret_port = ntohs(a.sin_port);
        return fd;
}

static void *greet(void *userdata)
{
        int fd = accept(*(int *) userdata, NULL, NULL);

        assert_int_equal(send(fd, "ceph v2\n", 8, 0), 8);
        return (void *) (intptr_t) fd;
}

/* One greets, one takes the connection and says nothing, one is not there. */
static void only_who_greets_answers(void **state)
{
        unsigned lively, hung, gone;
        int a = listen_on(&lively), b = listen_on(&hung), c = listen_on(&gone);
        CephMonitors m;
        char text[128];
        pthread_t thread;
        void *client;

        (void) state;
        (void) close(c);
        (void) snprintf(text, sizeof(text), "127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u", lively, hung, gone);
        ceph_monitors_parse(text, &m);
        assert_int_equal(m.n, 3);
        assert_int_equal(pthread_create(&thread, NULL, greet, &a), 0);
        assert_int_equal(ceph_monitors_count_answering(&m, 2000), 1);
        assert_int_equal(pthread_join(thread, &client), 0);
        (void) close((int) (intptr_t) client);
        (void) close(a);
        (void) close(b);
}

/* --- JSON of the monitors */

static void first_document_counts(void **state)
{
        static const char text[] = "\n[{\"addr\":\"10.0.0.1:0/5\",\"n\":3}]\n{\"a\":{\"b\":\"c\"}}";
        AUTO(ceph_jsonp) json_object *o = ceph_mon_parse(text, strlen(text));

        (void) state;
        assert_true(json_object_is_type(o, json_type_array));
        assert_int_equal(ceph_json_uint(ceph_json_find(o, "addr", "10.0.0.1:0/5"), "n"), 3);
        assert_null(ceph_json_find(o, "addr", "10.0.0.2:0/5"));
        assert_null(ceph_json_find(o, "n", "3"));
}

static void parts_that_are_not_there(void **state)
{
        static const char text[] = "{\"a\":{\"b\":\"c\",\"d\":-1.5,\"e\":true}}";
        AUTO(ceph_jsonp) json_object *o = ceph_mon_parse(text, strlen(text));

        (void) state;
        assert_string_equal(ceph_json_text(o, "a.b"), "c");
        assert_null(ceph_json_text(o, "a.b.c"));
        assert_null(ceph_json_text(o, "a.d"));
        assert_int_equal(ceph_json_uint(o, "a.d"), 0);
        assert_int_equal(ceph_json_uint(o, "a.e"), 1);
        assert_null(ceph_mon_parse("", 0));
        assert_null(ceph_mon_parse("words", 5));
        assert_null(ceph_mon_parse("{\"a\":", 5));
        assert_null(ceph_json_get(NULL, "a"));
}

/* --- headers of images */

static const char parent[] = "\1\1\x25\0\0\0"
                             "\7\0\0\0\0\0\0\0"
                             "\2\0\0\0ns"
                             "\3\0\0\0abc"
                             "\5\0\0\0\0\0\0\0"
                             "later";

static void header_of_a_clone(void **state)
{
        ImageHeader h = { 0 };
        uint64_t bytes = 0;

        (void) state;
        assert_int_equal(header_parse_size("\x16\0\0\x40\0\0\0\0\0", 9, &bytes), 0);
        assert_int_equal(bytes, 4 << 20);
        assert_int_equal(header_parse_parent(parent, sizeof(parent) - 1, &h), 0);
        assert_int_equal(h.parent_pool, 7);
        assert_string_equal(h.parent_id, "abc");
        assert_int_equal(h.parent_snap, 5);
}

static void headers_cut_short(void **state)
{
        ImageHeader h = { .parent_pool = -1 };
        uint64_t bytes = 1;
        char text[4] = "x";

        (void) state;
        for (size_t n = 0; n < sizeof(parent) - 1 - strlen("later"); n++)
                assert_int_equal(header_parse_parent(parent, n, &h), -EBADMSG);
        assert_int_equal(h.parent_pool, -1);
        assert_int_equal(header_parse_size("\x16\0\0\x40\0\0\0\0", 8, &bytes), -EBADMSG);
        assert_int_equal(bytes, 1);
        assert_int_equal(header_parse_string("\4\0\0\0abcd", 8, text, sizeof(text)), -EBADMSG);
        assert_int_equal(header_parse_string("\xff\xff\xff\xff", 4, text, sizeof(text)), -EBADMSG);
        assert_int_equal(header_parse_string("\2\0\0\0a\0", 6, text, sizeof(text)), -EBADMSG);
        assert_int_equal(header_parse_string("\3\0\0\0abc", 7, text, sizeof(text)), 0);
        assert_string_equal(text, "abc");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(monitors_in_every_form),   cmocka_unit_test(monitors_that_are_names_or_nonsense),
                cmocka_unit_test(only_who_greets_answers),  cmocka_unit_test(first_document_counts),
                cmocka_unit_test(parts_that_are_not_there), cmocka_unit_test(header_of_a_clone),
                cmocka_unit_test(headers_cut_short),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
