/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests to the daemon. Written by hand because a command is a process of its own: a library for all of HTTP costs it
 * more time to load than the daemon takes to answer. The framing of answers is wire/http-answer.c, which is fuzzed.
 *
 * Sending and receiving go on at the same time, since an upload may be refused before its end. A connection that the
 * daemon has closed meanwhile is made anew, once, as long as nothing of an answer has come.
 */
#include "cli/http.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "wire/http-answer.h"

#define BUFFER_SIZE (256u << 10)
#define RETRY_MS 20

typedef struct Exchange {
        const HttpCall *call;
        HttpAnswer answer;
        size_t head_at, tail_at;
        uint64_t file_at;
        char *buf;                /* BUFFER_SIZE bytes: pieces of the file, then of the answer */
        size_t buf_at, buf_len;   /* of the file's piece that is under way */
        bool is_sent, has_answer; /* all is sent, or no more is wanted; something has come */
} Exchange;

void http_deinit(Http *h)
{
        closep(&h->fd);
        h->fd = -EBADF;
}

/* 0; -EINTR: the caller wants to end. */
static int wait_for(int fd, short events, int interrupt_fd, int timeout_ms)
{
        struct pollfd p[] = { { .fd = interrupt_fd, .events = POLLIN }, { .fd = fd, .events = events } };

        while (poll(p, 2, timeout_ms) < 0)
                if (errno != EINTR)
                        return -errno;
        return p[0].revents ? -EINTR : 0;
}

static int http_connect(Http *h, const HttpCall *call)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        size_t n = strlen(call->address);
        int r;

        if (fd < 0)
                return -errno;
        if (n >= sizeof(a.sun_path))
                return -ENAMETOOLONG;
        memcpy(a.sun_path, call->address, n + 1);
        while (connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
                /* As many as it takes are waiting already, and the kernel does not tell when one is taken. */
                r = wait_for(-1, 0, call->interrupt_fd, RETRY_MS);
                if (r < 0)
                        return r;
        }
        h->fd = TAKE_FD(fd);
        return 0;
}

/* --- sending */

/* The next bytes to send; none: all is sent. */
static int next_piece(Exchange *x, const char **ret, size_t *ret_len)
{
        const HttpCall *call = x->call;

        if (x->head_at < call->head_len) {
                *ret = call->head + x->head_at;
                *ret_len = call->head_len - x->head_at;
                return 0;
        }
        if (x->buf_at == x->buf_len && call->file_fd >= 0 && x->file_at < call->file_bytes) {
                uint64_t left = call->file_bytes - x->file_at;
                ssize_t k = pread(call->file_fd, x->buf, left < BUFFER_SIZE ? (size_t) left : BUFFER_SIZE,
                                  (off_t) x->file_at);

                if (k <= 0)
                        return k < 0 ? -errno : -EIO;
                x->buf_at = 0;
                x->buf_len = (size_t) k;
        }
        if (x->buf_at < x->buf_len) {
                *ret = x->buf + x->buf_at;
                *ret_len = x->buf_len - x->buf_at;
                return 0;
        }
        *ret = call->tail + x->tail_at;
        *ret_len = call->tail_len - x->tail_at;
        return 0;
}

static void piece_sent(Exchange *x, size_t n)
{
        const HttpCall *call = x->call;

        if (x->head_at < call->head_len) {
                x->head_at += n;
        } else if (x->buf_at < x->buf_len) {
                x->buf_at += n;
                x->file_at += n;
                if (call->on_sent)
                        call->on_sent(call->userdata, x->file_at, call->file_bytes);
        } else {
                x->tail_at += n;
        }
}

/* As much as goes now. Who does not listen any more may have answered: that is read next. */
static int send_some(Http *h, Exchange *x)
{
        for (;;) {
                const char *data = NULL;
                size_t n = 0;
                int r = next_piece(x, &data, &n);
                ssize_t k;

                if (r < 0)
                        return r;
                if (n == 0) {
                        x->is_sent = true;
                        return 0;
                }
                k = send(h->fd, data, n, MSG_NOSIGNAL);
                if (k < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (k < 0 && errno != EPIPE && errno != ECONNRESET)
                        return -errno;
                if (k < 0) {
                        x->is_sent = true;
                        return 0;
                }
                piece_sent(x, (size_t) k);
        }
}

/* --- receiving */

static int take_answer(Exchange *x, const char *data, size_t len)
{
        while (len > 0) {
                const char *body = NULL;
                size_t used = 0, body_len = 0;
                int r = http_answer_feed(&x->answer, data, len, &used, &body, &body_len);

                if (r < 0)
                        return r == -ENOMEM ? r : -EPROTO;
                if (used == 0) /* more than the answer: whoever that is does not know HTTP */
                        return -EPROTO;
                if (body_len > 0)
                        x->call->on_body(x->call->userdata, body, body_len);
                data += used;
                len -= used;
        }
        return 0;
}

/* 1: the answer is whole. */
static int receive_some(Http *h, Exchange *x, char *buf)
{
        ssize_t k = recv(h->fd, buf, BUFFER_SIZE, 0);
        int r;

        if (k < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (k < 0)
                return -errno;
        if (k == 0)
                return http_answer_end(&x->answer) ? 1 : -ECONNRESET;
        x->has_answer = true;
        r = take_answer(x, buf, (size_t) k);
        return r < 0 ? r : x->answer.state == HTTP_ANSWER_DONE;
}

static int exchange(Http *h, Exchange *x, char *in)
{
        int r = 0;

        do {
                if (!x->is_sent)
                        r = send_some(h, x);
                if (r >= 0)
                        r = wait_for(h->fd, (short) (POLLIN | (x->is_sent ? 0 : POLLOUT)), x->call->interrupt_fd, -1);
                if (r >= 0)
                        r = receive_some(h, x, in);
        } while (r == 0);
        return r;
}

/* Closed by the daemon since the last answer, or still to be made. */
static bool is_fresh(Http *h)
{
        struct pollfd p = { .fd = h->fd, .events = POLLIN };

        if (h->fd >= 0 && poll(&p, 1, 0) != 0)
                http_deinit(h);
        return h->fd < 0;
}

int http_call(Http *h, const HttpCall *call, int *ret_status, bool *ret_is_connected)
{
        AUTO(freep) char *in = malloc(BUFFER_SIZE), *out = call->file_fd >= 0 ? malloc(BUFFER_SIZE) : NULL;
        bool fresh = is_fresh(h), is_again = false;
        int r;

        *ret_is_connected = true;
        if (!in || (call->file_fd >= 0 && !out))
                return -ENOMEM;
        for (;; is_again = true) {
                Exchange x = { .call = call, .answer = HTTP_ANSWER_INIT, .buf = out };

                if (fresh || is_again) {
                        r = http_connect(h, call);
                        *ret_is_connected = r >= 0;
                        if (r < 0)
                                return r;
                }
                r = exchange(h, &x, in);
                if (r > 0)
                        *ret_status = x.answer.status;
                if (r < 0 || !x.is_sent || x.answer.status == 0)
                        http_deinit(h);
                http_answer_deinit(&x.answer);
                if (r != -ECONNRESET || fresh || is_again || x.has_answer)
                        return r < 0 ? r : 0;
        }
}
