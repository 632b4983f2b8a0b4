/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server on a real Unix socket and a real event loop: what clients send, whole, broken or slow. */
#include "api/server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "cluster/membership.h"
#include "core/task.h"
#include "tests/unit/scratch.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define WAIT_USEC (5 * USEC_PER_SEC)

static Core core = { .node = (char *) "n1" };
static ApiServer *server;

static void start(void)
{
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (api_server_new(&server, &core, -1, &err) < 0)
                fail_msg("%s", err.text);
}

static const char *const no_cluster[] = { NULL };

static int setup(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char *dir = malloc(SCRATCH_MAX);

        if (!dir || !scratch_make(dir))
                return -1;
        *state = dir;
        if (paths_init(&core.paths, dir) < 0 || sd_event_new(&core.event) < 0 || schema_new(&core.schema) < 0 ||
            membership_new(&core.members, core.node, no_cluster, core.event) < 0 ||
            config_parse(core.schema, "", 0, &core.config) < 0)
                return -1;
        return task_store_new(&core.tasks, &core.paths, core.node, core.event, &err);
}

static int teardown(void **state)
{
        server = api_server_free(server);
        core.tasks = task_store_free(core.tasks);
        core.config = config_free(core.config);
        core.schema = schema_free(core.schema);
        core.members = membership_free(core.members);
        core.event = sd_event_unref(core.event);
        paths_deinit(&core.paths);
        (void) scratch_remove(*state);
        free(*state);
        return 0;
}

static int dial(void)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(strlen(core.paths.socket) < sizeof(sa.sun_path));
        (void) memcpy(sa.sun_path, core.paths.socket, strlen(core.paths.socket));
        if (fd < 0 || connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                fail_msg("connect: %s", strerror(errno));
        return fd;
}

/* Lets the server work until `fd` has an answer to its end (or the peer closes). NULL: nothing came in time. */
static char *answer(int fd)
{
        uint64_t deadline = now_usec() + WAIT_USEC;
        StrBuf b = STRBUF_INIT;
        char piece[4096];

        while (now_usec() < deadline) {
                ssize_t n = recv(fd, piece, sizeof(piece), 0);

                if (n > 0)
                        strbuf_add(&b, piece, (size_t) n);
                if (n == 0 || (b.data && strchr(b.data, '{') && b.data[b.len - 1] == '}'))
                        return strbuf_take(&b);
                if (n < 0)
                        (void) sd_event_run(core.event, 10000);
        }
        strbuf_deinit(&b);
        return NULL;
}

static void expect(const char *request, size_t len, bool half_close, const char *status, const char *text)
{
        AUTO(closep) int fd = dial();
        AUTO(freep) char *got = NULL;

        while (len > 0) {
                ssize_t n = send(fd, request, len, MSG_NOSIGNAL);

                if (n > 0) {
                        request += n;
                        len -= (size_t) n;
                } else if (errno != EAGAIN) {
                        break; /* refused before it was over: the answer is there */
                }
                (void) sd_event_run(core.event, 1000);
        }
        if (half_close)
                (void) shutdown(fd, SHUT_WR);
        got = answer(fd);
        if (!got || !strstr(got, status) || !strstr(got, text))
                fail_msg("'%s' and '%s' were expected, not: %s", status, text, got ? got : "(nothing)");
}

#define EXPECT(request, status, text) expect(request, sizeof(request) - 1, false, status, text)
#define EXPECT_END(request, status, text) expect(request, sizeof(request) - 1, true, status, text)

static void requests_are_answered(void **state)
{
        (void) state;
        EXPECT(GET("/api2/json/version"), " 200 ", "\"apiver\":15");
        EXPECT_END(GET("/api2/json/version"), " 200 ", "\"apiver\":15");
        EXPECT(GET("/api2/json/nope"), " 404 ", "not found");
        EXPECT(GET("/index.html"), " 404 ", "below /api2/json");
        EXPECT("DELETE /api2/json/version HTTP/1.1\r\nHost: x\r\n\r\n", "Allow: GET", "try GET");
        EXPECT("BREW /api2/json/version HTTP/1.1\r\nHost: x\r\n\r\n", " 501 ", "BREW");
}

static void a_connection_takes_several_requests(void **state)
{
        AUTO(closep) int fd = dial();

        (void) state;
        for (int i = 0; i < 3; i++) {
                AUTO(freep) char *got = NULL;

                assert_int_equal(send(fd, GET("/api2/json/nodes"), strlen(GET("/api2/json/nodes")), 0),
                                 strlen(GET("/api2/json/nodes")));
                got = answer(fd);
                assert_non_null(got);
                assert_non_null(strstr(got, "\"node\":\"n1\""));
        }
}

static void nul_bytes_are_refused_wherever_they_are(void **state)
{
        (void) state;
        EXPECT("GET /api2/json/version\0x HTTP/1.1\r\nHost: x\r\n\r\n", " 400 ", "NUL");
        EXPECT("GET /api2/json/storage?type=dir\0&x HTTP/1.1\r\nHost: x\r\n\r\n", " 400 ", "NUL");
        EXPECT(GET("/api2/json/storage?type=%00"), " 400 ", "\"type\"");
        EXPECT("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\ntype=\0", " 400 ", "\"type\"");
}

static void requests_that_end_in_the_middle_are_refused(void **state)
{
        (void) state;
        EXPECT_END("GET /api2/json/version HTTP/1.1\r\nHos", " 400 ", "before it was whole");
        EXPECT_END("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\ntype=dir", " 400 ",
                   "before it was whole");
        EXPECT_END("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n99\r\ntype",
                   " 400 ", "before it was whole");
}

static void lengths_that_lie_are_refused(void **state)
{
        (void) state;
        EXPECT("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\ntype=dir", " 400 ", "type");
        EXPECT_END("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", " 400 ", "");
        EXPECT_END("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\n", " 400 ", "");
        EXPECT("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ntype=",
               " 400 ", "how long");
}

static void bodies_over_the_limit_are_refused(void **state)
{
        static const char head[] = "POST /api2/json/nodes/n1/config/check HTTP/1.1\r\nHost: x\r\n";
        StrBuf chunked = STRBUF_INIT;
        char zeros[65537];

        (void) state;
        EXPECT("POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", " 413 ", "1048577");
        (void) memset(zeros, '0', sizeof(zeros));
        strbuf_adds(&chunked, head);
        strbuf_adds(&chunked, "Transfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 17; i++) {
                strbuf_addf(&chunked, "%x\r\n", 65536);
                strbuf_add(&chunked, zeros, 65536);
                strbuf_adds(&chunked, "\r\n");
        }
        strbuf_adds(&chunked, "0\r\n\r\n");
        expect(chunked.data, chunked.len, false, " 413 ", "larger than");
        strbuf_deinit(&chunked);
}

static void headers_over_the_limit_are_refused(void **state)
{
        StrBuf b = STRBUF_INIT;

        (void) state;
        strbuf_adds(&b, "GET /api2/json/version HTTP/1.1\r\nHost: x\r\nX: ");
        for (int i = 0; i < 5000; i++)
                strbuf_adds(&b, "0123456789");
        strbuf_adds(&b, "\r\n\r\n");
        expect(b.data, b.len, true, " 431 ", "");
        strbuf_deinit(&b);
}

#define PART(name) "--bb\r\nContent-Disposition: form-data; name=\"" name "\""

/* An upload whose length claims `missing` bytes more than are sent; then the client ends. */
static void expect_upload(const char *body, size_t missing, const char *status, const char *text)
{
        AUTO(freep) char *request = NULL;

        assert_int_equal(str_printf(&request,
                                    "POST /api2/json/nodes/n1/storage/local/upload HTTP/1.1\r\nHost: x\r\n"
                                    "Content-Type: multipart/form-data; boundary=bb\r\nContent-Length: %zu\r\n\r\n%s",
                                    strlen(body) + missing, body),
                         0);
        expect(request, strlen(request), missing > 0, status, text);
}

static void uploads_that_fail_leave_no_spool_file(void **state)
{
        AUTO(freep) char *spool = NULL;

        (void) state;
        expect_upload(PART("content") "\r\n\r\niso\r\n--bb--\r\n", 0, " 400 ", "\"filename\"");
        expect_upload(PART("filename") "; filename=\"a.iso\"\r\n\r\nabc", 0, " 400 ", "well-formed");
        expect_upload(PART("filename") "; filename=\"a.iso\"\r\n\r\nabc", 99, " 400 ", "before it was whole");
        expect_upload(PART("filename") "; filename=\"a.iso\"\r\n\r\nabc\r\n--bb--\r\n", 0, " 400 ", "\"content\"");
        EXPECT("POST /api2/json/nodes/n1/storage/local/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
               " 415 ", "multipart");
        /* The last connection but one is given up a second later, at the latest with the server. */
        assert_int_equal(str_printf(&spool, "%s/upload", core.paths.lib), 0);
        server = api_server_free(server);
        assert_int_equal(rmdir(spool), 0); /* it is empty */
        start();
}

static void who_waits_when_the_server_ends_is_told(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(closep) int fd = dial();
        AUTO(freep) char *request = NULL;
        AUTO(freep) char *got = NULL;
        Task *task = NULL;

        (void) state;
        assert_int_equal(task_new(core.tasks, "imgcopy", "x", "root@pam", &task, &err), 0);
        assert_int_equal(
                str_printf(&request,
                           "GET /api2/json/nodes/n1/tasks/%s/status?wait=30&seen=99 HTTP/1.1\r\nHost: x\r\n\r\n",
                           task_get_upid(task)),
                0);
        assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
        for (int i = 0; i < 20; i++)
                (void) sd_event_run(core.event, 10000);
        assert_int_equal(recv(fd, request, 1, 0), -1); /* it waits */
        server = api_server_free(server);
        assert_int_equal(access(core.paths.socket, F_OK), -1);
        got = answer(fd);
        assert_non_null(got);
        assert_non_null(strstr(got, " 503 "));
        assert_non_null(strstr(got, "stopping"));
        task_finish(task, NULL); /* core's answer to a request whose connection is gone */
        start();
}

static void a_wait_ends_with_the_news(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(closep) int fd = dial();
        AUTO(freep) char *request = NULL;
        AUTO(freep) char *got = NULL;
        Task *task = NULL;

        (void) state;
        assert_int_equal(task_new(core.tasks, "imgcopy", "x", "root@pam", &task, &err), 0);
        assert_int_equal(
                str_printf(&request,
                           "GET /api2/json/nodes/n1/tasks/%s/status?wait=30&seen=99 HTTP/1.1\r\nHost: x\r\n\r\n",
                           task_get_upid(task)),
                0);
        assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
        for (int i = 0; i < 20; i++)
                (void) sd_event_run(core.event, 10000);
        task_finish(task, NULL);
        got = answer(fd);
        assert_non_null(got);
        assert_non_null(strstr(got, "\"exitstatus\":\"OK\""));
}

static void the_socket_is_ours_alone(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ApiServer *other = NULL;
        struct stat st;

        (void) state;
        assert_int_equal(stat(core.paths.socket, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0660);
        assert_int_equal(api_server_new(&other, &core, -1, &err), -EADDRINUSE);
        assert_null(other);
        EXPECT(GET("/api2/json/version"), " 200 ", "apiver");
}

static void a_stale_socket_is_replaced_and_nothing_else(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) state;
        server = api_server_free(server);
        (void) memcpy(sa.sun_path, core.paths.socket, strlen(core.paths.socket));
        assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        (void) close(fd); /* as a killed daemon leaves it */
        start();
        EXPECT(GET("/api2/json/version"), " 200 ", "apiver");
        server = api_server_free(server);
        assert_int_equal(fs_write_atomic(core.paths.socket, "mine", 4, 0600), 0);
        assert_int_equal(api_server_new(&server, &core, -1, &err), -EEXIST);
        assert_int_equal(unlink(core.paths.socket), 0);
        start();
}

static void a_socket_can_be_handed_over(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) state;
        server = api_server_free(server);
        (void) memcpy(sa.sun_path, core.paths.socket, strlen(core.paths.socket));
        assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(listen(fd, 5), 0);
        assert_int_equal(api_server_new(&server, &core, fd, &err), 0);
        EXPECT(GET("/api2/json/version"), " 200 ", "apiver");
        server = api_server_free(server);
        assert_int_equal(unlink(core.paths.socket), 0); /* it was not ours to remove */
        start();
}

static int begin(void **state)
{
        (void) state;
        start();
        return 0;
}

static int end(void **state)
{
        (void) state;
        server = api_server_free(server);
        return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(requests_are_answered),
                TEST(a_connection_takes_several_requests),
                TEST(nul_bytes_are_refused_wherever_they_are),
                TEST(requests_that_end_in_the_middle_are_refused),
                TEST(lengths_that_lie_are_refused),
                TEST(bodies_over_the_limit_are_refused),
                TEST(headers_over_the_limit_are_refused),
                TEST(uploads_that_fail_leave_no_spool_file),
                TEST(who_waits_when_the_server_ends_is_told),
                TEST(a_wait_ends_with_the_news),
                TEST(the_socket_is_ours_alone),
                TEST(a_stale_socket_is_replaced_and_nothing_else),
                TEST(a_socket_can_be_handed_over),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
