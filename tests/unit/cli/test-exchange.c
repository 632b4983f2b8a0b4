/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request and its answer, against an other end that says what it likes, when it likes. */
#include "cli/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define BIG (8u << 20) /* more than a socket holds */

static struct {
        char dir[SCRATCH_MAX], socket[108], file[108];
        int listen_fd;
        pthread_t thread;
        const char *answer;
        size_t read_first; /* bytes of the request, before it answers */
        bool in_pieces;    /* a byte a time */
        bool is_silent;    /* it answers when the other one has gone */
        StrBuf asked, taken;
} other;

static void *serve(void *userdata)
{
        AUTO(closep) int fd = accept(other.listen_fd, NULL, NULL);
        size_t len = strlen(other.answer);
        char buf[4096];
        ssize_t n = 1;

        (void) userdata;
        while (n > 0 && (other.is_silent || other.asked.len < other.read_first)) {
                n = read(fd, buf, sizeof(buf));
                if (n > 0)
                        strbuf_add(&other.asked, buf, (size_t) n);
        }
        for (size_t i = 0; i < len; i += other.in_pieces ? 1 : len)
                if (send(fd, other.answer + i, other.in_pieces ? 1 : len, MSG_NOSIGNAL) < 0)
                        break;
        return NULL;
}

static int setup(void **state)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) state;
        memset(&other, 0, sizeof(other));
        assert_non_null(scratch_make(other.dir));
        (void) snprintf(other.socket, sizeof(other.socket), "%s/s", other.dir);
        (void) snprintf(other.file, sizeof(other.file), "%s/f", other.dir);
        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", other.socket);
        other.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(other.listen_fd, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(other.listen_fd, 1), 0);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        (void) close(other.listen_fd);
        (void) unlink(other.socket);
        (void) unlink(other.file);
        (void) rmdir(other.dir);
        strbuf_deinit(&other.asked);
        strbuf_deinit(&other.taken);
        return 0;
}

static void on_bytes(void *userdata, const char *data, size_t len)
{
        (void) userdata;
        strbuf_add(&other.taken, data, len);
}

static int run(const ExchangeBody *body, int interrupt_fd, int *ret_status, struct storaged_error *err)
{
        const Exchange x = { .address = other.socket,
                             .interrupt_fd = interrupt_fd,
                             .method = body ? "POST" : "GET",
                             .target = "/t",
                             .content_type = "text/plain",
                             .body = body,
                             .take = on_bytes };
        int r;

        assert_int_equal(pthread_create(&other.thread, NULL, serve, NULL), 0);
        r = exchange_run(&x, ret_status, err);
        assert_int_equal(pthread_join(other.thread, NULL), 0);
        return r;
}

static int make_file(size_t size)
{
        int fd = open(other.file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t) size), 0);
        return fd;
}

static void an_answer_in_pieces(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int status = 0;

        (void) state;
        other.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        other.in_pieces = true;
        other.read_first = 1;
        assert_int_equal(run(NULL, -1, &status, &err), 0);
        assert_int_equal(status, 200);
        assert_string_equal(other.taken.data, "abcde");
        assert_memory_equal(other.asked.data, "GET /t HTTP/1.1\r\n", 17);
}

static void an_answer_that_breaks_off(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int status = 7;

        (void) state;
        other.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        other.read_first = 1;
        assert_int_equal(run(NULL, -1, &status, &err), -EPROTO);
        assert_string_equal(err.text, "it ended before the answer was whole");
        assert_int_equal(status, 7);
}

static void no_answer_of_http(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int status;

        (void) state;
        other.answer = "220 mail.example.org\r\n\r\n";
        other.read_first = 1;
        assert_int_equal(run(NULL, -1, &status, &err), -EPROTO);
        assert_string_equal(err.text, "what it answers is not HTTP");
}

/* It need not have read the request to refuse it. */
static void an_answer_before_all_is_sent(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(closep) int fd = make_file(BIG);
        const ExchangeBody body = { .file_fd = fd, .path = other.file, .size = BIG };
        int status = 0;

        (void) state;
        other.answer = "HTTP/1.1 413 X\r\nContent-Length: 3\r\n\r\nbig";
        other.read_first = 1;
        assert_int_equal(run(&body, -1, &status, &err), 0);
        assert_int_equal(status, 413);
        assert_string_equal(other.taken.data, "big");
        assert_true(other.asked.len < BIG);
}

static void a_file_between_texts(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(closep) int fd = make_file(BIG);
        ExchangeBody body = { .file_fd = fd, .path = other.file, .size = BIG };
        const char *head;
        int status = 0;

        (void) state;
        strbuf_adds(&body.before, "<<");
        strbuf_adds(&body.after, ">>");
        other.answer = "HTTP/1.1 204 X\r\n\r\n";
        head = "POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\n"
               "Content-Length: 8388612\r\n\r\n";
        other.read_first = strlen(head) + BIG + 4;
        assert_int_equal(run(&body, -1, &status, &err), 0);
        assert_int_equal(status, 204);
        assert_int_equal(other.asked.len, other.read_first);
        assert_memory_equal(other.asked.data, head, strlen(head));
        assert_memory_equal(other.asked.data + strlen(head), "<<\0", 3);
        assert_memory_equal(other.asked.data + other.asked.len - 3, "\0>>", 3);
        strbuf_deinit(&body.before);
        strbuf_deinit(&body.after);
}

static void a_file_that_got_shorter(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(closep) int fd = make_file(10);
        const ExchangeBody body = { .file_fd = fd, .path = other.file, .size = 100 };
        int status;

        (void) state;
        other.answer = "";
        other.is_silent = true;
        assert_int_equal(run(&body, -1, &status, &err), -EIO);
        assert_string_equal(err.param, "file");
        assert_non_null(strstr(err.text, "has become shorter"));
}

static void interrupted(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int fds[2], status;

        (void) state;
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        other.answer = "";
        other.is_silent = true;
        assert_int_equal(run(NULL, fds[0], &status, &err), -EINTR);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

static void nobody_there(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const Exchange x = { .address = other.socket, .interrupt_fd = -1, .method = "GET", .target = "/" };
        int status;

        (void) state;
        (void) close(other.listen_fd);
        assert_int_equal(exchange_run(&x, &status, &err), -ECONNREFUSED);
        (void) unlink(other.socket);
        assert_int_equal(exchange_run(&x, &status, &err), -ENOENT);
        assert_string_equal(err.text, "No such file or directory");
        other.listen_fd = -1;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(an_answer_in_pieces),  CASE(an_answer_that_breaks_off),
                CASE(no_answer_of_http),    CASE(an_answer_before_all_is_sent),
                CASE(a_file_between_texts), CASE(a_file_that_got_shorter),
                CASE(interrupted),          CASE(nobody_there),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
