/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of other nodes: framing, whole or byte by byte, and what is refused. */
#include "wire/http-answer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct Taken {
        char body[256];
        size_t len, used;
        int r;
} Taken;

/* The text in pieces of `step` bytes. */
static Taken take(HttpAnswer *a, const char *text, size_t step)
{
        size_t all = strlen(text);
        Taken t = { 0 };

        while (t.r == 0 && t.used < all && a->state != HTTP_ANSWER_DONE) {
                size_t n = all - t.used < step ? all - t.used : step, used, len;
                const char *body;

                t.r = http_answer_feed(a, text + t.used, n, &used, &body, &len);
                if (t.r < 0)
                        break;
                assert_true(t.len + len < sizeof(t.body));
                if (len > 0)
                        memcpy(t.body + t.len, body, len);
                t.len += len;
                t.used += used;
        }
        return t;
}

static void answers_are_understood_in_any_pieces(void **state)
{
        static const struct {
                const char *text, *body;
                int status;
                size_t rest; /* bytes behind the answer */
        } rows[] = {
                { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloXY", "hello", 200, 2 },
                { "HTTP/1.1 404 \r\nx: y\r\ncontent-length:0\r\n\r\n", "", 404, 0 },
                { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", 200, 0 },
                { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: "
                  "v\r\n\r\n!",
                  "abc0123456789", 200, 1 },
                { "HTTP/1.0 500 Bad\nContent-Length: 2\n\nno", "no", 500, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                for (size_t step = 1; step < 300; step += 7) {
                        AUTO(http_answer_deinit) HttpAnswer a = HTTP_ANSWER_INIT;
                        Taken t = take(&a, rows[i].text, step);

                        assert_int_equal(t.r, 0);
                        assert_int_equal(a.state, HTTP_ANSWER_DONE);
                        assert_int_equal(a.status, rows[i].status);
                        assert_int_equal(t.len, strlen(rows[i].body));
                        assert_memory_equal(t.body, rows[i].body, t.len);
                        assert_int_equal(strlen(rows[i].text) - t.used, rows[i].rest);
                }
}

static void an_end_in_the_middle_is_no_end(void **state)
{
        static const struct {
                const char *text;
                bool is_whole;
        } rows[] = {
                { "HTTP/1.1 200 OK\r\n\r\nall that comes", true },
                { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false },
                { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false },
                { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", false },
                { "HTTP/1.1 200", false },
                { "", false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(http_answer_deinit) HttpAnswer a = HTTP_ANSWER_INIT;

                assert_int_equal(take(&a, rows[i].text, 5).r, 0);
                assert_int_equal(http_answer_end(&a), rows[i].is_whole);
        }
}

static void what_has_two_meanings_is_refused(void **state)
{
        static const char *const rows[] = {
                "SSH-2.0-x\r\n\r\n",
                "HTTP/2 200 OK\r\n\r\n",
                "HTTP/1.1 2000 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                AUTO(http_answer_deinit) HttpAnswer a = HTTP_ANSWER_INIT;

                assert_int_equal(take(&a, rows[i], 4).r, -EPROTO);
        }
}

static void a_head_without_end_is_refused(void **state)
{
        AUTO(http_answer_deinit) HttpAnswer a = HTTP_ANSWER_INIT;
        size_t used, len;
        const char *body;
        int r = 0;

        (void) state;
        for (unsigned i = 0; r == 0 && i < HTTP_HEAD_MAX; i++)
                r = http_answer_feed(&a, "x: y\r\n", 6, &used, &body, &len);
        assert_int_equal(r, -EMSGSIZE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_are_understood_in_any_pieces),
                cmocka_unit_test(an_end_in_the_middle_is_no_end),
                cmocka_unit_test(what_has_two_meanings_is_refused),
                cmocka_unit_test(a_head_without_end_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
