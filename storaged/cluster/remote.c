/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcurl's multi interface under sd-event: its sockets are event sources, its timeout is one timer. A connection is
 * made for each request and not used again: the handshake, which both daemons have to take part in, is the proof of
 * life that bounds what a dead or stopped node costs (CONNECT_TIMEOUT_MS), while the request itself may take as long
 * as its work. When Corosync says that a node is gone, what waits for it ends too.
 * Invariant: a callback is the last thing that touches its transfer; it may begin another.
 */
#include "cluster/remote.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/str.h"

#define CONNECT_TIMEOUT_MS 2500L
#define TOTAL_TIMEOUT_SEC 900L
#define ANSWER_MAX (64u << 20)
#define TRANSFERS_MAX 256u

typedef struct Transfer {
        TAILQ_ENTRY(Transfer) entry;
        Remote *remote;
        CURL *curl;
        struct curl_slist *headers, *connect_to;
        char *node, *body;
        StrBuf answer;
        bool is_given_up;
        remote_fn fn;
        void *userdata;
} Transfer;

/* One of libcurl's sockets; it keeps the pointer for us. */
typedef struct Watch {
        sd_event_source *source;
        Remote *remote;
} Watch;

struct Remote {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer, *given_up;
        TAILQ_HEAD(, Transfer) transfers;
        unsigned n_transfers;
};

static Transfer *transfer_free(Transfer *t)
{
        if (!t)
                return NULL;
        if (t->curl)
                curl_easy_cleanup(t->curl);
        curl_slist_free_all(t->headers);
        curl_slist_free_all(t->connect_to);
        strbuf_deinit(&t->answer);
        free(t->node);
        free(t->body);
        free(t);
        return NULL;
}
DEFINE_CLEANUP(Transfer *, transfer_free)

static void transfer_leave(Transfer *t)
{
        TAILQ_REMOVE(&t->remote->transfers, t, entry);
        t->remote->n_transfers--;
        (void) curl_multi_remove_handle(t->remote->multi, t->curl);
}

/* --- ends */

static int error_of(const Transfer *t, CURLcode code, struct storaged_error *err)
{
        if (t->is_given_up && code == CURLE_ABORTED_BY_CALLBACK)
                return error_set(err, -ECANCELED, "storaged stops before node '%s' has answered", t->node);
        if (t->is_given_up)
                return error_set(err, -EHOSTDOWN,
                                 "node '%s' left the cluster before it answered: what was asked of it may be done or "
                                 "not",
                                 t->node);
        if (code == CURLE_OPERATION_TIMEDOUT)
                return error_set(err, -ETIMEDOUT,
                                 "node '%s' does not answer: is storaged running there, and can its port be reached?",
                                 t->node);
        if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM)
                return error_set(err, -EACCES, "node '%s' did not prove who it is: %s", t->node,
                                 curl_easy_strerror(code));
        return error_set(err, -EHOSTDOWN, "node '%s' can't be asked: %s", t->node, curl_easy_strerror(code));
}

static void transfer_end(Transfer *t, CURLcode code)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        remote_fn fn = t->fn;
        void *userdata = t->userdata;
        StrBuf answer;
        long status = 0;

        transfer_leave(t);
        (void) curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK || t->is_given_up)
                (void) error_of(t, code, &err);
        else if (strbuf_error(&t->answer) < 0)
                (void) error_set(&err, -ENOMEM, "node '%s': out of memory for its answer", t->node);
        answer = t->answer;
        t->answer = STRBUF_INIT;
        (void) transfer_free(t);
        if (err.code)
                fn(userdata, 0, NULL, 0, &err);
        else
                fn(userdata, (int) status, answer.data ? answer.data : "", answer.len, NULL);
        strbuf_deinit(&answer);
}

static void remote_reap(Remote *r)
{
        CURLMsg *m;
        int n;

        while ((m = curl_multi_info_read(r->multi, &n))) {
                Transfer *t = NULL;

                if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK && t)
                        transfer_end(t, m->data.result);
        }
}

static int on_given_up(sd_event_source *source, void *userdata)
{
        Remote *r = userdata;
        Transfer *t;

        TAILQ_FOREACH(t, &r->transfers, entry)
        if (t->is_given_up) {
                transfer_end(t, CURLE_OPERATION_TIMEDOUT);
                return 0; /* one a turn: the callback may have changed the list */
        }
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

void remote_give_up(Remote *r, const char *node)
{
        Transfer *t;

        TAILQ_FOREACH(t, &r->transfers, entry)
        if (str_eq(t->node, node)) {
                t->is_given_up = true;
                (void) sd_event_source_set_enabled(r->given_up, SD_EVENT_ON);
        }
}

/* --- what libcurl wants to be told */

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Remote *r = ((Watch *) userdata)->remote; /* the watch may be gone after the call */
        int what = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
        int n_running;

        (void) source;
        (void) curl_multi_socket_action(r->multi, fd, what, &n_running);
        remote_reap(r);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Remote *r = userdata;
        int n_running;

        (void) source;
        (void) usec;
        (void) curl_multi_socket_action(r->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
        remote_reap(r);
        return 0;
}

static int on_wants_timer(CURLM *multi, long ms, void *userdata)
{
        Remote *r = userdata;

        (void) multi;
        if (ms < 0)
                return sd_event_source_set_enabled(r->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        (void) sd_event_source_set_time(r->timer, ms > 0 ? now_usec() + (uint64_t) ms * USEC_PER_MSEC : 0);
        return sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static Watch *watch_free(Watch *w)
{
        if (!w)
                return NULL;
        (void) sd_event_source_disable_unref(w->source);
        free(w);
        return NULL;
}

static int on_wants_socket(CURL *curl, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
        Remote *r = userdata;
        Watch *w = socket_data;

        (void) curl;
        if (what == CURL_POLL_REMOVE) {
                (void) watch_free(w);
                return 0;
        }
        if (w)
                return sd_event_source_set_io_events(w->source, events) < 0 ? -1 : 0;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -1;
        w->remote = r;
        if (sd_event_add_io(r->event, &w->source, fd, events, on_io, w) < 0 ||
            curl_multi_assign(r->multi, fd, w) != CURLM_OK) {
                (void) watch_free(w);
                return -1;
        }
        return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
        Transfer *t = userdata;

        if (t->answer.len + size * n > ANSWER_MAX)
                return 0; /* libcurl fails the transfer */
        strbuf_add(&t->answer, data, size * n);
        return strbuf_error(&t->answer) < 0 ? 0 : size * n;
}

/* --- a request */

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
        AUTO(freep) char *line = NULL;
        struct curl_slist *next;

        if (str_printf(&line, name[0] ? "%s: %s" : "%s%s", name, value) < 0)
                return -ENOMEM;
        next = curl_slist_append(*list, line);
        if (!next)
                return -ENOMEM;
        *list = next;
        return 0;
}

/* The URL names the node, so that its certificate is held against that; the address is Corosync's, no name is
 * resolved. The target goes out as it came in. */
static int transfer_address(Transfer *t, const RemoteCall *call)
{
        AUTO(freep) char *url = NULL, *route = NULL;
        bool is_v6 = strchr(call->ip, ':') != NULL;

        if (str_printf(&url, "https://%s:%u/", call->node, call->port) < 0 ||
            str_printf(&route, "%s:%u:%s%s%s:%u", call->node, call->port, is_v6 ? "[" : "", call->ip, is_v6 ? "]" : "",
                       call->port) < 0 ||
            add_header(&t->connect_to, "", route) < 0)
                return -ENOMEM;
        return curl_easy_setopt(t->curl, CURLOPT_URL, url) == CURLE_OK &&
                               curl_easy_setopt(t->curl, CURLOPT_REQUEST_TARGET, call->target) == CURLE_OK &&
                               curl_easy_setopt(t->curl, CURLOPT_CONNECT_TO, t->connect_to) == CURLE_OK
                       ? 0
                       : -ENOMEM;
}

static int transfer_method(Transfer *t, const RemoteCall *call)
{
        CURLcode c = CURLE_OK;

        if (strcmp(call->method, "HEAD") == 0)
                return curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L) == CURLE_OK ? 0 : -ENOMEM;
        if (call->len > 0 || strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0) {
                t->body = malloc(call->len + 1);
                if (!t->body)
                        return -ENOMEM;
                (void) memcpy(t->body, call->len > 0 ? call->body : "", call->len);
                c = curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE, (long) call->len);
                if (c == CURLE_OK)
                        c = curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, t->body);
        }
        if (c == CURLE_OK)
                c = curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, call->method);
        return c == CURLE_OK ? 0 : -ENOMEM;
}

static int transfer_security(Transfer *t, const Certs *certs)
{
        const struct {
                CURLoption option;
                const char *value;
        } texts[] = {
                { CURLOPT_CAINFO, certs->ca_path },
                { CURLOPT_CAPATH, NULL }, /* else the system's authorities count too */
                { CURLOPT_SSLCERT, certs->cert_path },
                { CURLOPT_SSLKEY, certs->key_path },
                { CURLOPT_PROTOCOLS_STR, "https" },
                { CURLOPT_PROXY, "" }, /* whatever the environment says */
        };
        const struct {
                CURLoption option;
                long value;
        } numbers[] = {
                { CURLOPT_SSL_VERIFYPEER, 1 },
                { CURLOPT_SSL_VERIFYHOST, 2 },
                { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
                { CURLOPT_FORBID_REUSE, 1 },
                { CURLOPT_FRESH_CONNECT, 1 },
                { CURLOPT_SSL_SESSIONID_CACHE, 0 },
                { CURLOPT_NOSIGNAL, 1 },
                { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
                { CURLOPT_TCP_KEEPALIVE, 1 },
                { CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS },
                { CURLOPT_TIMEOUT, TOTAL_TIMEOUT_SEC },
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (curl_easy_setopt(t->curl, texts[i].option, texts[i].value) != CURLE_OK)
                        return -EIO;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                if (curl_easy_setopt(t->curl, numbers[i].option, numbers[i].value) != CURLE_OK)
                        return -EIO;
        return 0;
}

static int transfer_prepare(Transfer *t, const Certs *certs, const RemoteCall *call)
{
        int r = transfer_address(t, call);

        if (r >= 0)
                r = transfer_method(t, call);
        if (r >= 0)
                r = transfer_security(t, certs);
        if (r >= 0)
                r = add_header(&t->headers, call->user_header, call->user);
        if (r >= 0)
                r = add_header(&t->headers, "", "Expect:"); /* no pause before a larger body */
        if (r >= 0 && t->body)
                r = add_header(&t->headers, "Content-Type",
                               call->content_type ? call->content_type : "application/x-www-form-urlencoded");
        if (r < 0)
                return r;
        return curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
                               curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK &&
                               curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t) == CURLE_OK &&
                               curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t) == CURLE_OK
                       ? 0
                       : -EIO;
}

int remote_call(Remote *r, const Certs *certs, const RemoteCall *call, remote_fn fn, void *userdata,
                struct storaged_error *err)
{
        AUTO(transfer_freep) Transfer *t = NULL;
        int n;

        if (r->n_transfers >= TRANSFERS_MAX)
                return error_set(err, -EAGAIN, "%u requests to other nodes are under way: try again", TRANSFERS_MAX);
        t = calloc(1, sizeof(*t));
        if (!t)
                return error_set(err, -ENOMEM, "out of memory");
        *t = (Transfer){ .remote = r, .fn = fn, .userdata = userdata };
        t->node = strdup(call->node);
        t->curl = curl_easy_init();
        if (!t->node || !t->curl)
                return error_set(err, -ENOMEM, "out of memory");
        n = transfer_prepare(t, certs, call);
        if (n < 0)
                return error_set(err, n, "node '%s' can't be asked: %s", call->node, strerror(-n));
        if (curl_multi_add_handle(r->multi, t->curl) != CURLM_OK)
                return error_set(err, -EIO, "node '%s' can't be asked: libcurl does not take the request", call->node);
        TAILQ_INSERT_TAIL(&r->transfers, t, entry);
        r->n_transfers++;
        (void) TAKE(t);
        return 0;
}

/* --- birth and end */

int remote_new(Remote **ret, sd_event *event)
{
        AUTO(remote_freep) Remote *r = calloc(1, sizeof(*r));
        int n;

        if (!r)
                return -ENOMEM;
        TAILQ_INIT(&r->transfers);
        r->event = sd_event_ref(event);
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        r->multi = curl_multi_init();
        if (!r->multi)
                return -ENOMEM;
        n = sd_event_add_time(event, &r->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, r);
        if (n >= 0)
                n = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (n >= 0)
                n = sd_event_add_defer(event, &r->given_up, on_given_up, r);
        if (n >= 0)
                n = sd_event_source_set_enabled(r->given_up, SD_EVENT_OFF);
        if (n < 0)
                return n;
        if (curl_multi_setopt(r->multi, CURLMOPT_SOCKETFUNCTION, on_wants_socket) != CURLM_OK ||
            curl_multi_setopt(r->multi, CURLMOPT_SOCKETDATA, r) != CURLM_OK ||
            curl_multi_setopt(r->multi, CURLMOPT_TIMERFUNCTION, on_wants_timer) != CURLM_OK ||
            curl_multi_setopt(r->multi, CURLMOPT_TIMERDATA, r) != CURLM_OK)
                return -EIO;
        *ret = TAKE(r);
        return 0;
}

Remote *remote_free(Remote *r)
{
        Transfer *t;

        if (!r)
                return NULL;
        while ((t = TAILQ_FIRST(&r->transfers))) {
                t->is_given_up = true;
                transfer_end(t, CURLE_ABORTED_BY_CALLBACK);
        }
        if (r->multi)
                (void) curl_multi_cleanup(r->multi);
        (void) sd_event_source_disable_unref(r->timer);
        (void) sd_event_source_disable_unref(r->given_up);
        (void) sd_event_unref(r->event);
        free(r);
        return NULL;
}
