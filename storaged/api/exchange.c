/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An exchange is one HTTP request on one connection:
 *
 *   NEW --headers--> READING --body whole--> RUNNING --answered at once--> DONE
 *                                               \--waits for core--> SUSPENDED --answered--> (resumed) DONE
 *
 * While it is suspended the library neither reads the connection nor counts its timeout. The Request is counted
 * apart: core may answer one whose connection is gone, then nobody listens. The reason phrase of the status line is
 * the library's; the sentence for humans is in the body. A refusal in the middle of a body is sent behind it.
 */
#include "api/exchange.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "api/upload.h"
#include "base/parse.h"
#include "base/str.h"
#include "core/links.h"

#define POST_BUFFER 16384u
#define STREAM_TIMEOUT_SEC 900u
#define DISCARD_MAX (64u << 20) /* of a refused body that is not an upload */
#define JSON_TYPE "application/json;charset=UTF-8"

int exchange_new(Exchange **ret, Core *core, struct MHD_Connection *connection, const char *target)
{
        AUTO(exchange_freep) Exchange *x = calloc(1, sizeof(*x));

        if (!x)
                return -ENOMEM;
        *x = (Exchange){ .core = core, .connection = connection, .sink_fd = -EBADF };
        x->target = strdup(target);
        x->target_end = (uintptr_t) target + strlen(target);
        if (!x->target)
                return -ENOMEM;
        *ret = TAKE(x);
        return 0;
}

Exchange *exchange_free(Exchange *x)
{
        if (!x)
                return NULL;
        (void) sd_event_source_disable_unref(x->sink_io);
        closep(&x->sink_fd);
        if (x->post)
                (void) MHD_destroy_post_processor(x->post);
        if (x->request)
                x->request->on_done = NULL; /* core may still be at it */
        (void) request_unref(x->request);
        free(x->target);
        free(x);
        return NULL;
}

static void exchange_resume(Exchange *x)
{
        x->state = EXCHANGE_DONE;
        MHD_resume_connection(x->connection);
        x->on_resumed(x->userdata);
}

/* The body goes on. */
static void exchange_unblock(Exchange *x)
{
        if (!x->is_blocked)
                return;
        x->is_blocked = false;
        (void) sd_event_source_set_enabled(x->sink_io, SD_EVENT_OFF);
        MHD_resume_connection(x->connection);
        x->on_resumed(x->userdata);
}

static void exchange_on_done(Request *r, void *userdata)
{
        Exchange *x = userdata;

        (void) r;
        exchange_unblock(x);                /* refused in the middle: the rest is thrown away */
        if (x->state == EXCHANGE_SUSPENDED) /* else answered inside the handler, whose caller looks itself */
                exchange_resume(x);
}

void exchange_close(Exchange *x)
{
        x->is_closing = true;
        exchange_unblock(x);
        if (x->state == EXCHANGE_SUSPENDED)
                exchange_resume(x);
}

static enum MHD_Result queue(struct MHD_Connection *connection, int status, char *body, size_t len, const char *allow)
{
        struct MHD_Response *response;
        enum MHD_Result ok;

        response = body ? MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE)
                        : MHD_create_response_from_buffer(0, (void *) "", MHD_RESPMEM_PERSISTENT);
        if (!response) {
                free(body);
                return MHD_NO; /* closes the connection */
        }
        ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, JSON_TYPE);
        if (ok == MHD_YES)
                ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        if (ok == MHD_YES && allow && allow[0])
                ok = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
        if (ok == MHD_YES)
                ok = MHD_queue_response(connection, (unsigned) status, response);
        MHD_destroy_response(response);
        return ok;
}

static enum MHD_Result exchange_queue(Exchange *x)
{
        Request *r = x->request;

        x->state = EXCHANGE_DONE;
        if (x->is_closing) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                size_t len = 0;
                char *body;

                (void) error_set(&err, -EAGAIN, "storaged is stopping: ask again when it runs");
                body = request_error_body(r->format, 503, &err, &len);
                return queue(x->connection, 503, body, len, NULL);
        }
        return queue(x->connection, r->status, TAKE(r->body), r->body_len, r->status == 405 ? r->allow : NULL);
}

/* --- bodies */

static enum MHD_Result on_part(void *userdata, enum MHD_ValueKind kind, const char *name, const char *file_name,
                               const char *content_type, const char *encoding, const char *data, uint64_t offset,
                               size_t size)
{
        (void) kind;
        (void) content_type;
        (void) encoding;
        upload_take(userdata, name, file_name, data, offset, size);
        return MHD_YES;
}

static uint64_t announced_length(struct MHD_Connection *connection)
{
        const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
        uint64_t length;

        return text && parse_u64(text, &length) >= 0 ? length : 0;
}

static enum MHD_Result count_length(void *userdata, enum MHD_ValueKind kind, const char *name, const char *value)
{
        unsigned *n = userdata;

        (void) kind;
        (void) value;
        *n += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0 ||
              strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
        return MHD_YES;
}

/* Two readers of the same bytes must not see two different requests. */
static bool has_one_length(struct MHD_Connection *connection)
{
        unsigned n = 0;

        (void) MHD_get_connection_values(connection, MHD_HEADER_KIND, count_length, &n);
        return n <= 1;
}

static void exchange_begin_upload(Exchange *x)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *type = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
        int r;

        if (!http_is_media_type(type, "multipart/form-data")) {
                request_fail_status(x->request, 415, NULL, "an upload's body must be multipart/form-data");
                return;
        }
        r = upload_new(&x->request->upload, &x->core->paths, announced_length(x->connection), &err);
        if (r < 0) {
                request_fail(x->request, r, &err);
                return;
        }
        x->post = MHD_create_post_processor(x->connection, POST_BUFFER, on_part, x->request->upload);
        if (!x->post)
                request_fail_status(x->request, 400, NULL, "the body's Content-Type has no usable boundary");
}

/* --- bodies that go on as they come */

static int on_sink(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void) source;
        (void) fd;
        (void) events;
        exchange_unblock(userdata);
        return 0;
}

/* The slower end sets the pace: what it does not take stays with the library, and the sender is not read any more. */
static size_t exchange_flow(Exchange *x, const char *data, size_t len)
{
        ssize_t n = send(x->sink_fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
                closep(&x->sink_fd); /* nobody takes it any more: who wanted it knows why */
                x->sink_fd = -EBADF;
                return len;
        }
        if (n < 0)
                n = 0;
        if ((size_t) n < len) {
                x->is_blocked = true;
                MHD_suspend_connection(x->connection);
                (void) sd_event_source_set_enabled(x->sink_io, SD_EVENT_ON);
        }
        return (size_t) n;
}

static int exchange_open_sink(Exchange *x, int fd)
{
        int r = sd_event_add_io(x->core->event, &x->sink_io, fd, EPOLLOUT, on_sink, x);

        if (r >= 0)
                r = sd_event_source_set_enabled(x->sink_io, SD_EVENT_OFF);
        if (r < 0)
                return r;
        x->sink_fd = fd;
        (void) MHD_set_connection_option(x->connection, MHD_CONNECTION_OPTION_TIMEOUT, STREAM_TIMEOUT_SEC);
        return 0;
}

/* Bytes of a stream that somebody here waits for. */
static void exchange_begin_sink(Exchange *x)
{
        Request *r = x->request;
        int fd = r->from_node ? stream_claim(x->core, request_get(r, "token")) : -ENOENT;

        if (fd >= 0 && exchange_open_sink(x, fd) >= 0)
                return;
        closep(&fd);
        request_fail_status(r, 404, "token", "nobody waits for this stream here");
}

/* An upload for another node: it goes there as it comes. */
static void exchange_begin_relay(Exchange *x)
{
        const char *type = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
                request_fail(x->request, -errno, NULL);
                return;
        }
        if (exchange_open_sink(x, fds[0]) < 0) {
                closep(&fds[0]);
                closep(&fds[1]);
                request_fail(x->request, -ENOMEM, NULL);
                return;
        }
        request_pass_on_stream(x->request, type, fds[1]);
}

/* For whom a node of this cluster asks. There is one user who may do anything yet, and others may nothing. */
static const char *named_user(const Exchange *x)
{
        const char *name = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, LINKS_USER_HEADER);

        return x->node[0] && str_eq(name, "root@pam") ? "root@pam" : NULL;
}

/* The headers are in. */
static enum MHD_Result exchange_begin(Exchange *x)
{
        Request *r = x->request;
        uint64_t length = announced_length(x->connection);

        x->state = EXCHANGE_READING;
        r->user = x->node ? named_user(x) : x->user;
        r->from_node = x->node;
        r->on_done = exchange_on_done;
        r->userdata = x;
        request_begin(r);
        if (!r->is_done && !has_one_length(x->connection))
                request_fail_status(r, 400, NULL, "the request says in more than one way how long its body is");
        if (!r->is_done && (r->route->flags & ROUTE_SINK))
                exchange_begin_sink(x);
        else if (!r->is_done && (r->route->flags & ROUTE_UPLOAD) && r->to_node)
                exchange_begin_relay(x);
        else if (!r->is_done && (r->route->flags & ROUTE_UPLOAD))
                exchange_begin_upload(x);
        else if (!r->is_done && length > REQUEST_BODY_MAX)
                request_fail_status(r, 413, NULL, "the body has %llu bytes, %u are allowed",
                                    (unsigned long long) length, REQUEST_BODY_MAX);
        /* A refusal with a short body waits until that is read: the connection stays usable. */
        return r->is_done && length > REQUEST_BODY_MAX ? exchange_queue(x) : MHD_YES;
}

static enum MHD_Result exchange_feed(Exchange *x, const char *data, size_t *size)
{
        Request *r = x->request;
        size_t len = *size;

        *size = 0;
        if (x->sink_fd >= 0 && !r->is_done) {
                *size = len - exchange_flow(x, data, len);
                return MHD_YES;
        }
        if (x->sink_io && !r->is_done)
                return MHD_YES; /* its sink has gone: the answer says why */
        if (x->post && !r->is_done) {
                if (MHD_post_process(x->post, data, len) != MHD_YES)
                        upload_fail(r->upload, -EINVAL, NULL, "the body is not well-formed multipart/form-data");
                return MHD_YES;
        }
        if (r->is_done)
                x->discarded += len;
        else
                (void) request_feed(r, data, len); /* a refusal is kept in the request */
        return x->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
}

static void exchange_end_upload(Exchange *x)
{
        /* NO tells that the closing boundary never came. */
        if (MHD_destroy_post_processor(TAKE(x->post)) != MHD_YES)
                upload_fail(x->request->upload, -EINVAL, NULL, "the body is not well-formed multipart/form-data");
}

static enum MHD_Result exchange_run(Exchange *x)
{
        x->state = EXCHANGE_RUNNING;
        x->sink_io = sd_event_source_disable_unref(x->sink_io);
        closep(&x->sink_fd); /* the end of the stream */
        x->sink_fd = -EBADF;
        if (x->post)
                exchange_end_upload(x);
        if (!x->is_closing)
                request_dispatch(x->request, MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
                                                                         MHD_HTTP_HEADER_CONTENT_TYPE));
        if (x->is_closing || x->request->is_done)
                return exchange_queue(x);
        x->state = EXCHANGE_SUSPENDED;
        MHD_suspend_connection(x->connection);
        return MHD_YES;
}

/* --- steps */

/* The library ends strings at a NUL; one inside the target would hide what comes behind it. */
static bool target_is_whole(const Exchange *x, const char *version)
{
        return !version[0] || (uintptr_t) version == x->target_end + 1;
}

static enum MHD_Result exchange_start(Exchange *x, const char *method, const char *version)
{
        if (request_new(&x->request, x->core, method, x->target) < 0)
                return MHD_NO;
        if (target_is_whole(x, version))
                return exchange_begin(x);
        x->state = EXCHANGE_READING;
        request_fail_status(x->request, 400, NULL, "the request's target holds a NUL byte");
        return MHD_YES;
}

enum MHD_Result exchange_step(Exchange *x, const char *method, const char *version, const char *data, size_t *size)
{
        switch (x->state) {
        case EXCHANGE_NEW:
                return exchange_start(x, method, version);
        case EXCHANGE_READING:
                return *size > 0 ? exchange_feed(x, data, size) : exchange_run(x);
        case EXCHANGE_DONE:
                if (*size == 0)
                        return exchange_queue(x);
                *size = 0; /* answered before the body was over */
                return MHD_YES;
        case EXCHANGE_RUNNING:
        case EXCHANGE_SUSPENDED:
                break;
        }
        return MHD_NO; /* the library never calls here */
}
