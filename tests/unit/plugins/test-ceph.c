/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the Ceph plugins read: monitors' addresses, their JSON, an image's header; and who counts as answering. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common-ceph/ceph-mon.h"
#include "common-ceph/ceph-monitors.h"
#include "common-ceph/ceph-fence.h"
#include "common-ceph/ceph-keyring.h"
#include "rbd/diff.c"
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

/* As Nautilus and later write it, and as those before did. */
static const char parent[] = "\2\2\x25\0\0\0"
                             "\7\0\0\0\0\0\0\0"
                             "\2\0\0\0ns"
                             "\3\0\0\0abc"
                             "\5\0\0\0\0\0\0\0"
                             "later";
static const char old_parent[] = "\1\1\x1f\0\0\0"
                                 "\7\0\0\0\0\0\0\0"
                                 "\3\0\0\0abc"
                                 "\5\0\0\0\0\0\0\0"
                                 "\0\0\x40\0\0\0\0\0";

static void header_of_a_clone(void **state)
{
        ImageHeader h = { 0 };
        uint64_t bytes = 0;

        (void) state;
        assert_int_equal(header_parse_size("\0\0\x40\0\0\0\0\0", 8, &bytes), 0);
        assert_int_equal(bytes, 4 << 20);
        assert_int_equal(header_parse_parent(parent, sizeof(parent) - 1, &h), 0);
        assert_int_equal(h.parent_pool, 7);
        assert_string_equal(h.parent_id, "abc");
        assert_int_equal(h.parent_snap, 5);
        h = (ImageHeader){ 0 };
        assert_int_equal(header_parse_parent(old_parent, sizeof(old_parent) - 1, &h), 0);
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
        assert_int_equal(header_parse_size("\0\0\x40\0\0\0\0", 7, &bytes), -EBADMSG);
        assert_int_equal(bytes, 1);
        assert_int_equal(header_parse_string("\4\0\0\0abcd", 8, text, sizeof(text)), -EBADMSG);
        assert_int_equal(header_parse_string("\xff\xff\xff\xff", 4, text, sizeof(text)), -EBADMSG);
        assert_int_equal(header_parse_string("\2\0\0\0a\0", 6, text, sizeof(text)), -EBADMSG);
        assert_int_equal(header_parse_string("\3\0\0\0abc", 7, text, sizeof(text)), 0);
        assert_string_equal(text, "abc");
}

/* --- clients, entries of the blocklist, keys */

static void address_of_a_client(void **state)
{
        char ip[CEPH_ADDRESS_MAX] = "";

        (void) state;
        assert_int_equal(ceph_address_ip("10.0.0.1:0/123", ip), 0);
        assert_string_equal(ip, "10.0.0.1");
        assert_int_equal(ceph_address_ip("v1:10.0.0.2:0/123", ip), 0);
        assert_string_equal(ip, "10.0.0.2");
        assert_int_equal(ceph_address_ip("[v2:10.0.0.3:0/1,v1:10.0.0.3:0/1]", ip), 0);
        assert_string_equal(ip, "10.0.0.3");
        assert_int_equal(ceph_address_ip("[fd00::1]:0/9", ip), 0);
        assert_string_equal(ip, "fd00::1");
        assert_int_equal(ceph_address_ip("-", ip), -EINVAL);
        assert_int_equal(ceph_address_ip("", ip), -EINVAL);
        assert_int_equal(ceph_address_ip("host.example:0/1", ip), -EINVAL);
        assert_string_equal(ip, "fd00::1");
}

/* An entry of a year that ends in a year less an hour was made an hour ago; one of a day likewise. */
static void time_of_an_entry(void **state)
{
        time_t now = time(NULL), ends[] = { now + 365 * 86400 - 3600, now + 86400 - 3600 };
        char text[64];

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                struct tm tm;
                int64_t made = 0;

                assert_non_null(gmtime_r(&ends[i], &tm));
                assert_true(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.446204+0000", &tm) > 0);
                assert_int_equal(ceph_fence_time(text, &made), 0);
                assert_int_equal(made, now - 3600);
        }
        assert_int_equal(ceph_fence_time("soon", &(int64_t){ 0 }), -EINVAL);
        assert_int_equal(ceph_fence_time("2026-11-21T13:33:51", &(int64_t){ 0 }), -EINVAL);
}

static void key_of_a_user(void **state)
{
        static const char text[] =
                "[client.a]\n\tkey = QUJD\n[client.ab]\n\tcaps mon = \"allow\"\n\tkey = REVG\n[client.c]\n";
        unsigned char bytes[4];
        char key[16];

        (void) state;
        assert_int_equal(ceph_keyring_find(text, "ab", key, sizeof(key)), 0);
        assert_string_equal(key, "REVG");
        assert_int_equal(ceph_keyring_find(text, "a", key, sizeof(key)), 0);
        assert_int_equal(ceph_keyring_decode(key, bytes, sizeof(bytes)), 3);
        assert_memory_equal(bytes, "ABC", 3);
        assert_int_equal(ceph_keyring_find(text, "b", key, sizeof(key)), -ENOKEY);
        assert_int_equal(ceph_keyring_find(text, "c", key, sizeof(key)), -ENOKEY);
        assert_int_equal(ceph_keyring_find(text, "a", key, 4), -ENOKEY);
        assert_int_equal(ceph_keyring_decode("QU D", bytes, sizeof(bytes)), -EBADMSG);
        assert_int_equal(ceph_keyring_decode("QUJDREVG", bytes, sizeof(bytes)), -EMSGSIZE);
}

/* --- differences */

struct text {
        const char *at;
        size_t n;
};

static int read_text(void *userdata, void *to, size_t n)
{
        struct text *t = userdata;

        if (t->n < n)
                return -ENODATA;
        memcpy(to, t->at, n);
        t->at += n;
        t->n -= n;
        return 0;
}

static void records_there_and_back(void **state)
{
        const DiffRecord records[] = {
                { .tag = DIFF_FROM, .name = "s1" },
                { .tag = DIFF_TO, .name = "s2" },
                { .tag = DIFF_SIZE, .length = 1u << 20 },
                { .tag = DIFF_DATA, .offset = 4096, .length = 512 },
                { .tag = DIFF_ZERO, .offset = 0, .length = 8 },
                { .tag = DIFF_END },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
                char bytes[DIFF_HEAD_MAX];
                size_t n = diff_write(&records[i], bytes);
                DiffRecord d = { 0 };

                assert_int_equal(diff_read(read_text, &(struct text){ bytes, n }, 1u << 20, &d), 0);
                assert_memory_equal(&d, &records[i], sizeof(d));
                for (size_t cut = 0; cut < n; cut++)
                        assert_int_equal(diff_read(read_text, &(struct text){ bytes, cut }, 1u << 20, &d), -ENODATA);
        }
}

static void records_that_lie(void **state)
{
        const DiffRecord behind = { .tag = DIFF_DATA, .offset = 1u << 20, .length = 1 };
        const DiffRecord wraps = { .tag = DIFF_ZERO, .offset = 8, .length = UINT64_MAX };
        char bytes[DIFF_HEAD_MAX];
        DiffRecord d;

        (void) state;
        assert_int_equal(diff_read(read_text, &(struct text){ bytes, diff_write(&behind, bytes) }, 1u << 20, &d),
                         -EBADMSG);
        assert_int_equal(diff_read(read_text, &(struct text){ bytes, diff_write(&wraps, bytes) }, 1u << 20, &d),
                         -EBADMSG);
        assert_int_equal(diff_read(read_text, &(struct text){ "t\0\0\0\0", 5 }, 8, &d), -EBADMSG);
        assert_int_equal(diff_read(read_text, &(struct text){ "t\xff\xff\xff\x7f", 5 }, 8, &d), -EBADMSG);
        assert_int_equal(diff_read(read_text, &(struct text){ "t\3\0\0\0a/b", 8 }, 8, &d), -EBADMSG);
        assert_int_equal(diff_read(read_text, &(struct text){ "x", 1 }, 8, &d), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(monitors_in_every_form),   cmocka_unit_test(monitors_that_are_names_or_nonsense),
                cmocka_unit_test(only_who_greets_answers),  cmocka_unit_test(first_document_counts),
                cmocka_unit_test(parts_that_are_not_there), cmocka_unit_test(header_of_a_clone),
                cmocka_unit_test(headers_cut_short),        cmocka_unit_test(address_of_a_client),
                cmocka_unit_test(time_of_an_entry),         cmocka_unit_test(key_of_a_user),
                cmocka_unit_test(records_there_and_back),   cmocka_unit_test(records_that_lie),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
