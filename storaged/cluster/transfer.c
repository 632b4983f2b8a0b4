/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One step function does whatever can be done: agree, send what is to be sent, take what has come. Bodies are text in
 * memory, or streams between the connection and a descriptor: of those at most one piece is held here, and while it
 * can't go on nothing more is read on the other side, so that the slowest end sets the pace.
 * Invariant: `ended` is called once, and after it nothing of the transfer is touched.
 */
#include "cluster/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/message.h"

#define PIECE (16u << 10)
#define ANSWER_MAX (64u << 20)

Transfer *transfer_free(Transfer *t)
{
        if (!t)
                return NULL;
        (void) sd_event_source_disable_unref(t->io);
        (void) sd_event_source_disable_unref(t->body_io);
        (void) sd_event_source_disable_unref(t->sink_io);
        (void) tls_free(t->tls);
        closep(&t->body_fd);
        closep(&t->sink_fd);
        strbuf_deinit(&t->out);
        strbuf_deinit(&t->pending);
        strbuf_deinit(&t->body);
        http_answer_deinit(&t->answer);
        free(t->node);
        free(t->ip);
        free(t);
        return NULL;
}

static int broken(Transfer *t, struct storaged_error *err)
{
        return error_set(err, -EHOSTDOWN,
                         "node '%s' ended the connection before it had answered: what was asked of it may be done or "
                         "not",
                         t->node);
}

/* --- out */

/* The next piece of a streamed body, as a chunk; 0: there is one, 1: none at the moment or none any more. */
static int refill(Transfer *t, struct storaged_error *err)
{
        char piece[PIECE];
        ssize_t n;

        if (t->body_fd < 0)
                return 1;
        n = read(t->body_fd, piece, sizeof(piece));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 1;
        if (n < 0)
                return error_set(err, -errno, "can't read what is to be sent to node '%s': %s", t->node,
                                 strerror(errno));
        t->out.len = t->out_sent = 0;
        strbuf_addf(&t->out, "%zx\r\n", (size_t) n);
        strbuf_add(&t->out, piece, (size_t) n);
        strbuf_adds(&t->out, "\r\n");
        if (n == 0) {
                t->body_io = sd_event_source_disable_unref(t->body_io);
                closep(&t->body_fd);
                t->body_fd = -EBADF;
        }
        return strbuf_error(&t->out) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int send_out(Transfer *t, struct storaged_error *err)
{
        for (;;) {
                ssize_t n;
                int r;

                if (t->out_sent == t->out.len) {
                        r = refill(t, err);
                        if (r != 0)
                                return r < 0 ? r : 0;
                }
                n = t->out.len - t->out_sent > PIECE ? PIECE : (ssize_t) (t->out.len - t->out_sent);
                n = tls_send(t->tls, t->out.data + t->out_sent, (size_t) n);
                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return broken(t, err);
                t->out_sent += (size_t) n;
        }
}

/* --- in */

static int drain_sink(Transfer *t, struct storaged_error *err)
{
        while (t->pending_sent < t->pending.len) {
                ssize_t n = send(t->sink_fd, t->pending.data + t->pending_sent, t->pending.len - t->pending_sent,
                                 MSG_NOSIGNAL);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n < 0)
                        return error_set(err, -EPIPE, "nobody takes what node '%s' sends any more: %s", t->node,
                                         strerror(errno));
                t->pending_sent += (size_t) n;
        }
        t->pending.len = t->pending_sent = 0;
        return 0;
}

static int take_body(Transfer *t, const char *data, size_t len, struct storaged_error *err)
{
        StrBuf *b = t->sink_fd >= 0 && t->answer.status == 200 ? &t->pending : &t->body;

        if (b->len + len > ANSWER_MAX)
                return error_set(err, -EMSGSIZE, "node '%s' sends an answer of more than %u MiB", t->node,
                                 ANSWER_MAX >> 20);
        strbuf_add(b, data, len);
        if (strbuf_error(b) < 0)
                return error_set(err, -ENOMEM, "node '%s': out of memory for its answer", t->node);
        return b == &t->pending ? drain_sink(t, err) : 0;
}

static int take_bytes(Transfer *t, const char *data, size_t len, struct storaged_error *err)
{
        while (len > 0 && t->answer.state != HTTP_ANSWER_DONE) {
                size_t used = 0, n = 0;
                const char *body;
                int r = http_answer_feed(&t->answer, data, len, &used, &body, &n);

                if (r < 0)
                        return error_set(err, -EHOSTDOWN, "node '%s' does not answer as a storaged does", t->node);
                if (n > 0)
                        r = take_body(t, body, n, err);
                if (r < 0)
                        return r;
                data += used;
                len -= used;
        }
        return 0;
}

/* 1: the answer is whole. */
static int receive(Transfer *t, struct storaged_error *err)
{
        char buf[PIECE];

        for (;;) {
                ssize_t n;
                int r = drain_sink(t, err);

                if (r < 0 || t->pending.len > 0)
                        return r;
                if (t->answer.state == HTTP_ANSWER_DONE)
                        return 1;
                n = tls_recv(t->tls, buf, sizeof(buf));
                if (n == -EAGAIN)
                        return 0;
                if (n <= 0)
                        return n == 0 && http_answer_end(&t->answer) ? 1 : broken(t, err);
                t->heard_usec = now_usec();
                r = take_bytes(t, buf, (size_t) n, err);
                if (r < 0)
                        return r;
        }
}

/* --- the step */

static int source_want(sd_event_source *source, uint32_t events)
{
        if (!source)
                return 0;
        if (events == 0) /* not even told that the other end has gone */
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        (void) sd_event_source_set_io_events(source, events);
        return sd_event_source_set_enabled(source, SD_EVENT_ON);
}

static void transfer_want(Transfer *t)
{
        bool is_sending = t->out_sent<t->out.len, is_blocked = t->pending.len> 0;

        if (!t->is_agreed) {
                (void) source_want(t->io, tls_get_events(t->tls));
                return;
        }
        (void) source_want(t->io, (is_blocked ? 0 : EPOLLIN) | (is_sending ? EPOLLOUT : 0));
        (void) source_want(t->body_io, is_sending ? 0 : EPOLLIN);
        (void) source_want(t->sink_io, is_blocked ? EPOLLOUT : 0);
}

static int transfer_advance(Transfer *t, struct storaged_error *err)
{
        int r;

        if (!t->is_agreed) {
                r = tls_handshake(t->tls, err);
                if (r < 0)
                        return r == -EAGAIN ? 0 : r;
                t->is_agreed = true;
                t->heard_usec = now_usec();
        }
        /* Whoever answers before it has read all may close: its answer counts more than that we can't send. */
        r = send_out(t, err);
        if (r < 0) {
                struct storaged_error ignored = STORAGED_ERROR_INIT;

                return receive(t, &ignored) == 1 ? 1 : r;
        }
        return receive(t, err);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Transfer *t = userdata;
        int r = transfer_advance(t, &err);

        (void) source;
        (void) fd;
        (void) events;
        if (r == 0)
                transfer_want(t);
        else
                t->ended(t, r < 0 ? &err : NULL);
        return 0;
}

/* --- birth */

static int make_request(Transfer *t, const RemoteCall *call)
{
        const char *type = call->content_type ? call->content_type : "application/x-www-form-urlencoded";
        bool has_body = call->len > 0 || t->body_fd >= 0;

        /* They are lines of ours: nothing in them may end one. */
        if (call->target[0] != '/' || strchr(call->target, ' ') || str_has_control(call->target) ||
            str_has_control(call->user) || str_has_control(type))
                return -EINVAL;
        strbuf_addf(&t->out, "%s %s HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n", call->method, call->target,
                    call->node, call->port);
        strbuf_addf(&t->out, "%s: %s\r\n", call->user_header, call->user);
        if (has_body)
                strbuf_addf(&t->out, "Content-Type: %s\r\n", type);
        if (t->body_fd >= 0)
                strbuf_adds(&t->out, "Transfer-Encoding: chunked\r\n");
        else if (has_body || str_eq(call->method, "POST") || str_eq(call->method, "PUT"))
                strbuf_addf(&t->out, "Content-Length: %zu\r\n", call->len);
        strbuf_adds(&t->out, "\r\n");
        strbuf_add(&t->out, call->body, call->len);
        return strbuf_error(&t->out);
}

static int watch(Transfer *t, sd_event *event)
{
        int r = sd_event_add_io(event, &t->io, tls_get_fd(t->tls), EPOLLOUT, on_io, t);

        if (r >= 0 && t->body_fd >= 0)
                r = sd_event_add_io(event, &t->body_io, t->body_fd, EPOLLIN, on_io, t);
        if (r >= 0 && t->body_fd >= 0)
                r = sd_event_source_set_enabled(t->body_io, SD_EVENT_OFF);
        if (r >= 0 && t->sink_fd >= 0)
                r = sd_event_add_io(event, &t->sink_io, t->sink_fd, EPOLLOUT, on_io, t);
        if (r >= 0 && t->sink_fd >= 0)
                r = sd_event_source_set_enabled(t->sink_io, SD_EVENT_OFF);
        return r < 0 ? r : 0;
}

int transfer_new(Transfer **ret, sd_event *event, const Certs *certs, const RemoteCall *call, transfer_fn ended,
                 struct storaged_error *err)
{
        AUTO(transfer_freep) Transfer *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return error_set(err, -ENOMEM, "out of memory");
        t->body_fd = t->sink_fd = -EBADF;
        t->ended = ended;
        t->begun_usec = now_usec();
        t->port = call->port;
        t->name = message_name(call->method, call->target);
        t->answer.has_no_body = str_eq(call->method, "HEAD");
        t->node = strdup(call->node);
        t->ip = strdup(call->ip);
        if (!t->node || !t->ip)
                return error_set(err, -ENOMEM, "out of memory");
        r = tls_new(&t->tls, certs, call->node, call->ip, call->port, err);
        if (r < 0)
                return r;
        if (call->stream) {
                t->body_fd = call->stream->body_fd;
                t->sink_fd = call->stream->sink_fd;
        }
        r = make_request(t, call);
        if (r >= 0)
                r = watch(t, event);
        if (r < 0) {
                t->body_fd = t->sink_fd = -EBADF; /* still the caller's */
                return error_set(err, r, "node '%s' can't be asked: %s", call->node, strerror(-r));
        }
        *ret = TAKE(t);
        return 0;
}
