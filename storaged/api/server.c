/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmicrohttpd on the daemon's own event loop: no thread; its epoll descriptor is one event source and its next
 * deadline another. There are two doors: the Unix socket, whose callers the kernel names, and the gate for other nodes
 * (TLS), whose callers their certificate names. A link is a connection with who is at its other end, and the exchange
 * that is under way on it. Invariant: a link lives as long as the library's connection, an exchange never longer than
 * its link.
 */
#include "api/server.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <microhttpd.h>

#include "api/exchange.h"
#include "api/listen.h"
#include "api/peer.h"
#include "api/upload.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/links.h"

#define CONNECTION_MEMORY (32u << 10) /* request line and headers must fit */
#define CONNECTIONS_MAX 256u
#define CONNECTION_TIMEOUT_SEC 60u
#define GATE_TIMEOUT_SEC 10u /* a node that says nothing has not come with a request */
#define GATE_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define SHUTDOWN_USEC (2 * USEC_PER_SEC)

/* For a request that ended in the middle: there is no exchange the library would let us answer. */
#define TRUNCATED_BODY "{\"data\":null,\"message\":\"the request ended before it was whole: nothing was done\"}"
#define TRUNCATED_HEAD                                                                                      \
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json;charset=UTF-8\r\n" \
        "Content-Length: "

typedef struct Link {
        ApiServer *server;
        struct MHD_Connection *connection;
        Peer *peer; /* NULL: it could not be looked at, so it may nothing */
        Exchange *exchange;
        bool is_dismissed;
        char node[LINKS_NODE_MAX]; /* at the gate: who it is, "" if nobody we know */
        struct Link *next, *previous;
} Link;

struct ApiServer {
        Core *core;
        Listener listener;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *timer;
        Link *links;
        ApiServer *gate; /* the door for other nodes; NULL: none, or this is it */
        bool is_gate;
        bool has_ended; /* some peer has stopped sending: look again after each run */
        bool is_closing;
};

static void server_arm_now(void *userdata)
{
        ApiServer *s = userdata;

        if (!s->timer)
                return;
        (void) sd_event_source_set_time(s->timer, 0); /* can't fail for a live source */
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

/* --- connections */

static void on_peer_end(void *userdata)
{
        Link *l = userdata;

        l->server->has_ended = true;
        server_arm_now(l->server);
}

static void link_free(Link *l)
{
        if (l->next)
                l->next->previous = l->previous;
        if (l->previous)
                l->previous->next = l->next;
        else
                l->server->links = l->next;
        (void) exchange_free(l->exchange);
        (void) peer_free(l->peer);
        free(l);
}

static Link *link_new(ApiServer *s, struct MHD_Connection *connection)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        Link *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        *l = (Link){ .server = s, .connection = connection, .next = s->links };
        if (l->next)
                l->next->previous = l;
        s->links = l;
        if (info && peer_new(&l->peer, s->core->event, info->connect_fd, on_peer_end, l) < 0)
                log_warning("a connection can't be watched: its requests are refused");
        return l;
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                *context = link_new(userdata, connection);
        } else if (*context) {
                link_free(*context);
                *context = NULL;
        }
}

/* True while a request has begun to come in and nothing of an answer has gone out. */
static bool link_is_reading(const Link *l)
{
        return !l->exchange || l->exchange->state == EXCHANGE_NEW || l->exchange->state == EXCHANGE_READING;
}

/* The rest of what this one was sending will never come. */
static void link_dismiss(Link *l)
{
        static const char head[] = TRUNCATED_HEAD, body[] = TRUNCATED_BODY;
        char text[sizeof(head) + sizeof(body) + 32];
        int n = snprintf(text, sizeof(text), "%s%zu\r\n\r\n%s", head, sizeof(body) - 1, body);

        l->is_dismissed = true;
        /* Between requests an end is no fault; into TLS nobody may write but the library. */
        peer_dismiss(l->peer, text, l->exchange && !l->server->is_gate ? (size_t) n : 0);
        (void) MHD_set_connection_option(l->connection, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
}

static void server_dismiss_ended(ApiServer *s)
{
        bool is_left = false;

        if (!s->has_ended)
                return;
        for (Link *l = s->links; l; l = l->next) {
                if (l->is_dismissed || !l->peer || !peer_has_ended(l->peer))
                        continue;
                if (link_is_reading(l) && peer_is_exhausted(l->peer))
                        link_dismiss(l);
                else
                        is_left = true;
        }
        s->has_ended = is_left;
}

/* --- what the library calls */

/* Of a connection whose handshake is over. */
static void link_find_node(Link *l)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(l->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

        if (!info || links_get_peer(l->server->core->links, info->tls_session, l->node, sizeof(l->node)) < 0)
                l->node[0] = '\0';
}

/* The first word of a request, with the target as it came. What is returned becomes *context below. */
static void *on_target(void *userdata, const char *target, struct MHD_Connection *connection)
{
        ApiServer *s = userdata;
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        Link *l = info ? info->socket_context : NULL;
        Exchange *x = NULL;

        if (!l || exchange_new(&x, s->core, connection, target) < 0)
                return NULL;
        if (s->is_gate) {
                link_find_node(l);
                x->node = l->node;
        } else {
                x->user = l->peer ? peer_get_user(l->peer) : NULL;
        }
        x->is_closing = s->is_closing;
        x->on_resumed = server_arm_now;
        x->userdata = s;
        (void) exchange_free(l->exchange); /* none: one request at a time */
        l->exchange = x;
        return l;
}

static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **context)
{
        Link *l = *context;

        (void) userdata;
        (void) connection;
        (void) url;
        return l && l->exchange ? exchange_step(l->exchange, method, version, data, size) : MHD_NO;
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
        Link *l = *context;

        (void) userdata;
        (void) connection;
        if (!l)
                return;
        if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK)
                log_debug("a connection ended before its answer was taken");
        l->exchange = exchange_free(l->exchange);
        *context = NULL;
}

static size_t keep_encoded(void *userdata, struct MHD_Connection *connection, char *s)
{
        (void) userdata;
        (void) connection;
        return strlen(s); /* wire/http decodes */
}

static void on_log(void *userdata, const char *fmt, va_list ap)
{
        char line[256];

        (void) userdata;
        if (log_get_max_level() < LOG_DEBUG)
                return; /* anybody on the socket can provoke these */
        (void) vsnprintf(line, sizeof(line), fmt, ap);
        line[strcspn(line, "\n")] = '\0';
        log_debug("http: %s", line);
}

/* --- the event loop */

static void server_run(ApiServer *s)
{
        MHD_UNSIGNED_LONG_LONG ms;

        if (MHD_run(s->daemon) != MHD_YES)
                log_warning("the HTTP library could not run its connections");
        server_dismiss_ended(s);
        if (MHD_get_timeout(s->daemon, &ms) == MHD_YES) {
                (void) sd_event_source_set_time(s->timer, ms > 0 ? now_usec() + ms * USEC_PER_MSEC : 0);
                (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
        } else {
                (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        }
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void) source;
        (void) fd;
        (void) events;
        server_run(userdata);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) source;
        (void) usec;
        server_run(userdata);
        return 0;
}

static int server_start(ApiServer *s, const LinkCerts *certs)
{
        const struct MHD_OptionItem options[] = {
                { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
                { MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL },
                { MHD_OPTION_CONNECTION_TIMEOUT, certs ? GATE_TIMEOUT_SEC : CONNECTION_TIMEOUT_SEC, NULL },
                { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
                { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t) on_connection, s },
                { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t) on_completed, s },
                { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t) on_target, s },
                { MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t) keep_encoded, NULL },
                { MHD_OPTION_LISTEN_SOCKET, s->listener.fd, NULL },
                { MHD_OPTION_END, 0, NULL },
        };
        const struct MHD_OptionItem tls[] = {
                { MHD_OPTION_HTTPS_MEM_KEY, 0, certs ? (void *) certs->key : NULL },
                { MHD_OPTION_HTTPS_MEM_CERT, 0, certs ? (void *) certs->cert : NULL },
                { MHD_OPTION_HTTPS_MEM_TRUST, 0, certs ? (void *) certs->ca : NULL },
                { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *) GATE_PRIORITIES },
                { MHD_OPTION_END, 0, NULL },
        };
        const struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
        const union MHD_DaemonInfo *info;
        unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
        int r;

        s->daemon = MHD_start_daemon(certs ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, on_request, s,
                                     MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_ARRAY, options, MHD_OPTION_ARRAY,
                                     certs ? tls : none, MHD_OPTION_END);
        if (!s->daemon)
                return -EIO;
        info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        if (!info || info->epoll_fd < 0)
                return -EIO;
        r = sd_event_add_io(s->core->event, &s->io, info->epoll_fd, EPOLLIN, on_io, s);
        if (r >= 0)
                r = sd_event_add_time(s->core->event, &s->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, s);
        return r < 0 ? r : 0;
}

static int gate_new(ApiServer **ret, Core *core, const char *address, unsigned port, const LinkCerts *certs,
                    struct storaged_error *err)
{
        AUTO(api_server_freep) ApiServer *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_set(err, -ENOMEM, "out of memory");
        s->core = core;
        s->is_gate = true;
        s->listener = LISTENER_INIT;
        r = listener_open_tcp(&s->listener, address, port, err);
        if (r < 0)
                return r;
        r = server_start(s, certs);
        if (r < 0)
                return error_set(err, r, "can't start the HTTPS server on %s port %u", address, port);
        *ret = TAKE(s);
        return 0;
}

/* An address or a certificate that is new: the old door is closed first, they may share a port. */
static void on_links_ready(void *userdata, const char *address, unsigned port, const LinkCerts *certs)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ApiServer *s = userdata;

        s->gate = api_server_free(s->gate);
        if (gate_new(&s->gate, s->core, address, port, certs, &err) < 0)
                log_error("other nodes can't ask this one: %s", err.text);
        else
                log_info("answers other nodes on %s port %u", address, port);
}

int api_server_new(ApiServer **ret, Core *core, int listen_fd, struct storaged_error *err)
{
        AUTO(api_server_freep) ApiServer *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->core = core;
        r = listener_open(&s->listener, &core->paths, listen_fd, err);
        if (r < 0)
                return r;
        upload_clean_spool(&core->paths);
        r = server_start(s, NULL);
        if (r < 0)
                return error_set(err, r, "can't start the HTTP server on %s: %s", core->paths.socket, strerror(-r));
        if (core->links)
                links_watch(core->links, on_links_ready, s);
        *ret = TAKE(s);
        return 0;
}

static bool server_is_waiting(const ApiServer *s)
{
        for (const Link *l = s->links; l; l = l->next)
                if (l->exchange && l->exchange->state == EXCHANGE_DONE)
                        return true;
        return false;
}

/* Everybody who waits gets a 503, and some time to take it. */
static void server_drain(ApiServer *s)
{
        uint64_t deadline = now_usec() + SHUTDOWN_USEC;

        s->is_closing = true;
        for (Link *l = s->links; l; l = l->next)
                if (l->exchange)
                        exchange_close(l->exchange);
        while (server_is_waiting(s) && now_usec() < deadline)
                if (MHD_run_wait(s->daemon, 50) != MHD_YES)
                        return;
}

ApiServer *api_server_free(ApiServer *s)
{
        if (!s)
                return NULL;
        if (s->core->links && !s->is_gate)
                links_watch(s->core->links, NULL, NULL);
        s->gate = api_server_free(s->gate);
        (void) sd_event_source_disable_unref(s->io);
        s->timer = sd_event_source_disable_unref(s->timer);
        if (s->daemon) {
                (void) MHD_quiesce_daemon(s->daemon); /* gives the listening socket back to us */
                server_drain(s);
                MHD_stop_daemon(s->daemon);
        }
        listener_close(&s->listener);
        free(s);
        return NULL;
}
