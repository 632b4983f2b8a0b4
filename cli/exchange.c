/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection for one request. libcurl could do it, but brings two dozen libraries for what is never asked of it here
 * (TLS, Kerberos, LDAP, SSH); to load them takes longer than most commands (decision 0030). The answer's framing is
 * wire/http-answer. Sending and receiving go on side by side: whoever answers before it has read all is heard, and what
 * is left is not sent then. Invariant: at most one piece of a file is held here.
 */
#include "cli/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/http-answer.h"

#define PIECE (64u << 10)

/* What a request's bytes come from, one after the other. */
enum exchange_part { PART_HEAD, PART_BEFORE, PART_FILE, PART_AFTER, PART_END };

typedef struct Wire {
        const Exchange *x;
        int fd;
        enum exchange_part part; /* what comes next into `out` */
        StrBuf out;
        size_t out_sent;
        uint64_t file_sent;
        bool is_deaf; /* the other end takes no more */
        HttpAnswer answer;
} Wire;

void exchange_body_deinit(ExchangeBody *b)
{
        strbuf_deinit(&b->before);
        strbuf_deinit(&b->after);
        *b = EXCHANGE_BODY_INIT;
}

static void wire_deinit(Wire *w)
{
        closep(&w->fd);
        strbuf_deinit(&w->out);
        http_answer_deinit(&w->answer);
}

static int wire_connect(Wire *w, struct storaged_error *err)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int flags;

        if (strlen(w->x->address) >= sizeof(a.sun_path))
                return error_set(err, -ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
        (void) memcpy(a.sun_path, w->x->address, strlen(w->x->address));
        w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (w->fd < 0)
                return error_set(err, -errno, "%s", strerror(errno));
        while (connect(w->fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                if (errno != EINTR)
                        return error_set(err, -errno, "%s", strerror(errno));
        flags = fcntl(w->fd, F_GETFL);
        if (flags < 0 || fcntl(w->fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return error_set(err, -errno, "%s", strerror(errno));
        return 0;
}

/* --- out */

static void put_head(Wire *w)
{
        const Exchange *x = w->x;
        const ExchangeBody *b = x->body;

        strbuf_addf(&w->out, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", x->method, x->target);
        if (b)
                strbuf_addf(&w->out, "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\n", x->content_type,
                            (uint64_t) b->before.len + b->size + b->after.len);
        strbuf_adds(&w->out, "\r\n");
}

/* The next piece of the file; what stands behind it comes next when all of it is sent. */
static int put_file(Wire *w, struct storaged_error *err)
{
        static char piece[PIECE];
        const ExchangeBody *b = w->x->body;
        uint64_t left = b->size - w->file_sent;
        ssize_t n;

        if (left == 0) {
                w->part = PART_AFTER;
                return 0;
        }
        do
                n = read(b->file_fd, piece, left < PIECE ? (size_t) left : PIECE);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_set_param(err, -EIO, "file", "can't read '%s': %s", b->path, strerror(errno));
        if (n == 0)
                return error_set_param(err, -EIO, "file", "'%s' has become shorter while it was sent", b->path);
        strbuf_add(&w->out, piece, (size_t) n);
        w->file_sent += (size_t) n;
        if (w->x->sent)
                w->x->sent(w->x->sent_userdata, w->file_sent, b->size);
        return 0;
}

static int refill(Wire *w, struct storaged_error *err)
{
        const ExchangeBody *b = w->x->body;
        int r = 0;

        w->out.len = w->out_sent = 0;
        switch (w->part) {
        case PART_HEAD:
                put_head(w);
                w->part = b ? PART_BEFORE : PART_END;
                break;
        case PART_BEFORE:
                strbuf_add(&w->out, b->before.data, b->before.len);
                w->part = b->file_fd >= 0 ? PART_FILE : PART_AFTER;
                break;
        case PART_FILE:
                r = put_file(w, err);
                break;
        case PART_AFTER:
                strbuf_add(&w->out, b->after.data, b->after.len);
                w->part = PART_END;
                break;
        case PART_END:
                break;
        }
        return r < 0 ? r : strbuf_error(&w->out) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static bool has_more(const Wire *w)
{
        return !w->is_deaf && (w->out_sent < w->out.len || w->part != PART_END);
}

static int wire_send(Wire *w, struct storaged_error *err)
{
        while (has_more(w)) {
                ssize_t n;
                int r = w->out_sent == w->out.len ? refill(w, err) : 0;

                if (r < 0)
                        return r;
                if (w->out.len == 0)
                        continue;
                n = send(w->fd, w->out.data + w->out_sent, w->out.len - w->out_sent, MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0 && errno != EINTR)
                        w->is_deaf = true; /* it may have answered */
                else if (n > 0)
                        w->out_sent += (size_t) n;
        }
        return 0;
}

/* --- in */

static int take_bytes(Wire *w, const char *data, size_t len, struct storaged_error *err)
{
        while (len > 0 && w->answer.state != HTTP_ANSWER_DONE) {
                size_t used = 0, n = 0;
                const char *body = NULL;
                int r = http_answer_feed(&w->answer, data, len, &used, &body, &n);

                if (r == -ENOMEM)
                        return error_set(err, r, "out of memory");
                if (r < 0)
                        return error_set(err, -EPROTO, "what it answers is not HTTP");
                if (n > 0)
                        w->x->take(w->x->userdata, body, n);
                data += used;
                len -= used;
        }
        return 0;
}

/* 1: the answer is whole. */
static int wire_receive(Wire *w, struct storaged_error *err)
{
        static char piece[PIECE];

        while (w->answer.state != HTTP_ANSWER_DONE) {
                ssize_t n = recv(w->fd, piece, sizeof(piece), 0);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n == 0 && http_answer_end(&w->answer))
                        return 1;
                if (n <= 0)
                        return error_set(err, -EPROTO, "it ended before the answer was whole");
                r = take_bytes(w, piece, (size_t) n, err);
                if (r < 0)
                        return r;
        }
        return 1;
}

static int wire_run(Wire *w, struct storaged_error *err)
{
        for (;;) {
                struct pollfd fds[] = { { w->fd, POLLIN, 0 }, { w->x->interrupt_fd, POLLIN, 0 } };
                int r = wire_send(w, err);

                if (r >= 0)
                        r = wire_receive(w, err);
                if (r != 0)
                        return r;
                if (has_more(w))
                        fds[0].events |= POLLOUT;
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return error_set(err, -errno, "%s", strerror(errno));
                if (fds[1].revents)
                        return error_set(err, -EINTR, "%s", strerror(EINTR));
        }
}

int exchange_run(const Exchange *x, int *ret_status, struct storaged_error *err)
{
        AUTO(wire_deinit) Wire w = { .x = x, .fd = -EBADF, .answer = HTTP_ANSWER_INIT };
        int r = wire_connect(&w, err);

        if (r >= 0)
                r = wire_run(&w, err);
        if (r < 0)
                return r;
        *ret_status = w.answer.status;
        return 0;
}
