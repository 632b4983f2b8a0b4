/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From request to answer. The stages are the same for every route: who asks, which row, path and query, body, the
 * row's table; only then the handler runs. Whatever stage refuses, the refusal is the answer and nothing has been
 * touched. Invariant: a dispatched request is answered exactly once, and lives until then even if the one who asked
 * has gone.
 */
#include "api/request.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "api/upload.h"
#include "base/log.h"
#include "core/everywhere.h"
#include "core/links.h"
#include "core/nodes.h"
#include "core/stream.h"
#include "wire/json.h"
#include "wire/volname.h"

int request_new(Request **ret, Core *core, const char *method, const char *target)
{
        AUTO(request_unrefp) Request *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->n_refs = 1;
        r->stream_fd = -EBADF;
        r->core = core;
        r->method = strdup(method);
        r->target = strdup(target);
        if (!r->method || !r->target)
                return -ENOMEM;
        *ret = TAKE(r);
        return 0;
}

Request *request_ref(Request *r)
{
        r->n_refs++;
        return r;
}

Request *request_unref(Request *r)
{
        if (!r || --r->n_refs > 0)
                return NULL;
        closep(&r->stream_fd);
        (void) upload_free(r->upload);
        params_deinit(&r->params);
        strbuf_deinit(&r->input);
        free(r->method);
        free(r->target);
        free(r->body);
        free(r);
        return NULL;
}

/* --- answers */

int request_status_of(int code)
{
        static const struct {
                int code, status;
        } rows[] = {
                { EINVAL, 400 },     { EEXIST, 400 },    { ERANGE, 400 }, { ENAMETOOLONG, 400 }, { EACCES, 403 },
                { ENOENT, 404 },     { EPERM, 409 },     { EBUSY, 409 },  { E2BIG, 413 },        { EFBIG, 413 },
                { EOPNOTSUPP, 501 }, { ETIMEDOUT, 504 }, { EROFS, 503 },  { EAGAIN, 503 },       { EHOSTDOWN, 595 },
                { ENOSPC, 507 },     { EDQUOT, 507 },    { ETIME, 504 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (rows[i].code == -code)
                        return rows[i].status;
        return 500;
}

char *request_error_body(RequestFormat format, int status, const struct storaged_error *err, size_t *ret_len)
{
        bool is_param = err->param[0] && status >= 400 && status < 500;
        StrBuf b = STRBUF_INIT;
        char *text;

        jsonw_object_begin(&b);
        if (format == REQUEST_EXTJS) {
                jsonw_key(&b, "success");
                jsonw_uint(&b, 0);
                jsonw_key(&b, "status");
                jsonw_uint(&b, (uint64_t) status);
        }
        jsonw_key(&b, "data");
        jsonw_raw(&b, "null", 4);
        jsonw_key(&b, "message");
        /* Clients of Proxmox VE show both; for a plain refusal the sentence stands with its parameter. */
        jsonw_string(&b, is_param && status == 400 ? "Parameter verification failed." : err->text);
        if (is_param) {
                jsonw_key(&b, "errors");
                jsonw_object_begin(&b);
                jsonw_key(&b, err->param);
                jsonw_string(&b, err->text);
                jsonw_object_end(&b);
        }
        jsonw_object_end(&b);
        *ret_len = b.len;
        text = strbuf_take(&b);
        if (!text)
                strbuf_deinit(&b);
        return text;
}

/* The one place where a request becomes answered. Takes `body`. */
static void request_finish(Request *r, int status, char *body, size_t len)
{
        if (r->is_done) { /* a second answer: the first is what the caller has seen */
                free(body);
                log_error("%s %s was answered twice: the second answer is dropped", r->method, r->target);
                return;
        }
        if (r->from_node && r->from_node[0])
                links_pass_fault(r->method, r->target, true);
        r->is_done = true;
        r->status = status;
        r->body = body;
        r->body_len = body ? len : 0;
        if (r->on_done)
                r->on_done(r, r->userdata);
        if (r->is_dispatched)
                (void) request_unref(r);
}

/* For logs: the target without its query, where secrets may be. */
static int path_length(const Request *r)
{
        return (int) strcspn(r->target, "?");
}

static void fail(Request *r, int status, const struct storaged_error *err)
{
        LogContext context = { .storage = request_get(r, "storage"), .volume = request_get(r, "volume") };
        size_t len = 0;
        char *body = request_error_body(r->format, status, err, &len);

        log_full(status >= 500 ? LOG_ERR : LOG_DEBUG, 0, &context, "%s %.*s: %d %s%s%s", r->method, path_length(r),
                 r->target, status, err->param, err->param[0] ? ": " : "", err->text);
        request_finish(r, r->format == REQUEST_EXTJS ? 200 : status, body, len);
}

void request_fail(Request *r, int code, const struct storaged_error *err)
{
        struct storaged_error plain = STORAGED_ERROR_INIT;

        if (!err || err->code == 0 || !err->text[0]) {
                code = err && err->code ? err->code : code;
                (void) error_set(&plain, code, "%s failed: %s", r->method, strerror(-code));
                err = &plain;
        }
        fail(r, request_status_of(err->code), err);
}

void request_fail_status(Request *r, int status, const char *param, const char *fmt, ...)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        va_list ap;

        va_start(ap, fmt);
        (void) storaged_error_setv(&err, -EINVAL, param, fmt, ap);
        va_end(ap);
        fail(r, status, &err);
}

static void reply_text(Request *r, const char *text, size_t len, const uint64_t *total)
{
        StrBuf b = STRBUF_INIT;
        size_t n;
        char *body;

        strbuf_adds(&b, r->format == REQUEST_EXTJS ? "{\"success\":1,\"data\":" : "{\"data\":");
        strbuf_add(&b, text, len);
        if (total)
                strbuf_addf(&b, ",\"total\":%llu", (unsigned long long) *total);
        strbuf_addc(&b, '}');
        n = b.len;
        body = strbuf_take(&b);
        if (!body) {
                strbuf_deinit(&b);
                request_fail(r, -ENOMEM, NULL);
                return;
        }
        log_debug("%s %.*s: 200, %zu bytes", r->method, path_length(r), r->target, n);
        request_finish(r, 200, body, n);
}

static void reply_json(Request *r, json_object *data, const uint64_t *total)
{
        const char *text = data ? json_text(data) : "null";

        if (text)
                reply_text(r, text, strlen(text), total);
        else
                request_fail(r, -ENOMEM, NULL);
}

void request_reply(Request *r, json_object *data)
{
        reply_json(r, data, NULL);
}

void request_reply_take(Request *r, json_object *data)
{
        if (data)
                reply_json(r, data, NULL);
        else
                request_fail(r, -ENOMEM, NULL);
        (void) json_object_put(data);
}

void request_reply_list(Request *r, json_object *data, uint64_t total)
{
        reply_json(r, data, &total);
        (void) json_object_put(data);
}

void request_reply_index(Request *r, const char *key, const char *const *names)
{
        StrBuf b = STRBUF_INIT;

        jsonw_array_begin(&b);
        for (size_t i = 0; names[i]; i++) {
                jsonw_object_begin(&b);
                jsonw_key(&b, key);
                jsonw_string(&b, names[i]);
                jsonw_object_end(&b);
        }
        jsonw_array_end(&b);
        if (strbuf_error(&b) < 0)
                request_fail(r, -ENOMEM, NULL);
        else
                reply_text(r, b.data, b.len, NULL);
        strbuf_deinit(&b);
}

/* Core and plugins name a parameter as they know it; the caller knows it by its row's name. */
static void rename_param(const Request *r, struct storaged_error *err)
{
        for (const ParamSpec *s = r->route ? r->route->params : NULL; s && s->name; s++)
                if (str_eq(s->name, err->param))
                        return;
        for (const ParamSpec *s = r->route ? r->route->params : NULL; s && s->name; s++)
                if ((s->arg && str_eq(s->arg, err->param)) || (s->alias && str_eq(s->alias, err->param))) {
                        (void) snprintf(err->param, sizeof(err->param), "%s", s->name);
                        return;
                }
}

void request_on_reply(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Request *r = userdata;

        if (err || !reply) {
                struct storaged_error copy = STORAGED_ERROR_INIT;

                if (err)
                        copy = *err;
                rename_param(r, &copy);
                request_fail(r, -EIO, &copy);
        } else if (reply->raw)
                reply_text(r, reply->raw, reply->raw_len, NULL);
        else
                request_reply(r, reply->data);
}

/* --- questions */

int request_check_node(const Request *r, const char *param, const char *node, struct storaged_error *err)
{
        int n = node_locate(r->core, param, node, err);

        if (n != NODE_E_OTHER)
                return n;
        return error_set_param(err, -EOPNOTSUPP, param,
                               "'%s' is another node and this request is not passed on: ask it there, this is '%s'",
                               node, r->core->node);
}

static bool climbs(const char *volname)
{
        for (const char *p = volname;; p++) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return true;
                p += n;
                if (!*p)
                        return false;
        }
}

const char *request_get_volname(const Request *r, struct storaged_error *err)
{
        const char *volume = request_get(r, "volume"), *storage = request_get(r, "storage"), *volname = volume;
        const char *colon = strchr(volume, ':');

        /* A colon may also be part of a name (a time); only behind a valid id it divides. */
        if (colon && storage_id_is_valid(volume, (size_t) (colon - volume))) {
                if (strlen(storage) != (size_t) (colon - volume) || strncmp(volume, storage, strlen(storage)) != 0) {
                        (void) error_set_param(err, -EINVAL, "volume", "'%s' is not on storage '%s'", volume, storage);
                        return NULL;
                }
                volname = colon + 1;
        }
        if (strlen(volname) >= STORAGED_VOLNAME_MAX) {
                (void) error_set_param(err, -EINVAL, "volume", "a volume's name may only be %d bytes long",
                                       STORAGED_VOLNAME_MAX - 1);
                return NULL;
        }
        if (climbs(volname)) {
                (void) error_set_param(err, -EINVAL, "volume", "'%s' has an empty part, '.' or '..' in it", volname);
                return NULL;
        }
        return volname;
}

static bool take_base(Request *r, Slice *path)
{
        static const struct {
                const char *base;
                RequestFormat format;
        } bases[] = { { "/api2/json", REQUEST_JSON }, { "/api2/extjs", REQUEST_EXTJS } };

        for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
                size_t n = strlen(bases[i].base);

                if (path->len < n || memcmp(path->data, bases[i].base, n) != 0 ||
                    (path->len > n && path->data[n] != '/'))
                        continue;
                r->format = bases[i].format;
                *path = (Slice){ path->data + n, path->len - n };
                return true;
        }
        return false;
}

/* 405 and 501 for methods are HTTP's own; all else goes by the error's code. */
static void fail_route(Request *r, int code, const struct storaged_error *err)
{
        if (code == -EOPNOTSUPP && r->allow[0])
                fail(r, 405, err);
        else if (code == -ENOSYS)
                fail(r, 501, err);
        else
                request_fail(r, code, err);
}

/* Where it is to be answered: here, or to_node is set. */
static int request_find_node(Request *r, struct storaged_error *err)
{
        const char *node = request_get(r, "node");
        int n = node_locate(r->core, "node", node, err);

        if (n != NODE_E_OTHER)
                return n;
        /* Nobody's request goes round in circles. */
        if (r->from_node || !r->core->links)
                return request_check_node(r, "node", node, err);
        r->to_node = node;
        return 0;
}

static void on_passed_on(void *userdata, int status, const char *body, size_t len, const struct storaged_error *err)
{
        struct storaged_error failure = STORAGED_ERROR_INIT;
        Request *r = userdata;
        char *copy;

        if ((err || status != 200) && r->stream_token[0] && r->stream_fd < 0) {
                int fd = stream_claim(r->core, r->stream_token);

                closep(&fd); /* nothing will come */
        }
        if (err) {
                request_fail(r, -EIO, err);
                return;
        }
        copy = malloc(len + 1);
        if (!copy) {
                request_fail(r, -ENOMEM, NULL);
                return;
        }
        (void) memcpy(copy, body, len);
        copy[len] = '\0';
        if (status == 200 && r->stream_fd >= 0 &&
            stream_send(r->core, r->to_node, r->stream_token, r->stream_fd, &failure) >= 0)
                r->stream_fd = -EBADF;
        else if (failure.code)
                log_warning("%s", failure.text); /* the other node's task sees the end of its stream */
        log_debug("%s %.*s: %d from node '%s', %zu bytes", r->method, path_length(r), r->target, status, r->to_node,
                  len);
        request_finish(r, status, copy, len);
}

static void request_pass_on(Request *r, const char *content_type)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        LinkCall call = { .node = r->to_node,
                          .method = r->method,
                          .target = r->target,
                          .user = r->user,
                          .content_type = content_type,
                          .body = r->input.data,
                          .len = r->input.len };
        int n;

        r->is_dispatched = true;
        n = links_pass_on(r->core->links, &call, on_passed_on, request_ref(r), &err);
        if (n < 0)
                request_fail(r, n, &err);
}

void request_begin(Request *r)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        RouteMatch match = { 0 };
        Slice path, query;
        int n;

        http_split_target(r->target, &path, &query);
        if (!take_base(r, &path)) {
                request_fail_status(r, 404, NULL, "Path '%.*s' not found: the API is below /api2/json",
                                    path.len < 512 ? (int) path.len : 512, path.data);
                return;
        }
        if (!r->user && r->from_node) {
                request_fail_status(r, 403, NULL,
                                    "Permission check failed: here only nodes of the cluster may ask, by their "
                                    "certificate, for root@pam");
                return;
        }
        if (!r->user) {
                request_fail_status(r, 403, NULL, "Permission check failed: only root may ask storaged");
                return;
        }
        n = route_find(r->method, path, &r->params, &match, &err);
        (void) memcpy(r->allow, match.allow, sizeof(r->allow));
        if (n < 0) {
                fail_route(r, n, &err);
                return;
        }
        r->route = match.route;
        if (r->from_node)
                links_pass_fault(r->method, r->target, false);
        if (request_get(r, "node"))
                n = request_find_node(r, &err);
        if (n >= 0 && !r->to_node)
                n = params_add_form(&r->params, query.data, query.len, &err);
        if (n < 0)
                request_fail(r, n, &err);
}

int request_feed(Request *r, const char *data, size_t len)
{
        if (r->is_done)
                return 0;
        if (r->input.len + len > REQUEST_BODY_MAX) {
                request_fail_status(r, 413, NULL, "the body is larger than %u bytes", REQUEST_BODY_MAX);
                return -EFBIG;
        }
        strbuf_add(&r->input, data, len);
        if (strbuf_error(&r->input) < 0) {
                request_fail(r, -ENOMEM, NULL);
                return -ENOMEM;
        }
        return 0;
}

/* False if it has been refused. */
static bool read_body(Request *r, const char *content_type)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int n = 0;

        if (r->upload)
                n = upload_finish(r->upload, &r->params, &err);
        else if (r->input.len == 0)
                return true;
        else if (!content_type || http_is_media_type(content_type, "application/x-www-form-urlencoded"))
                n = params_add_form(&r->params, r->input.data, r->input.len, &err);
        else if (http_is_media_type(content_type, "application/json"))
                n = params_add_json(&r->params, r->input.data, r->input.len, &err);
        else {
                request_fail_status(r, 415, NULL,
                                    "the body's type must be application/x-www-form-urlencoded or application/json");
                return false;
        }
        if (n < 0)
                request_fail(r, n, &err);
        return n >= 0;
}

/* The parameters of the path have been checked by route_find(); the rest is held against the table here. */
static int check_params(const Request *r, struct storaged_error *err)
{
        Params rest = PARAMS_INIT;
        size_t n_path = 0;

        for (const char *p = r->route->path; (p = strchr(p, '{')); p++)
                n_path++;
        rest.items = r->params.items + n_path; /* those of the path come first */
        rest.n = r->params.n - n_path;
        return params_check(&rest, r->route->params, r->route->flags & ROUTE_ANY_PROPERTY, err);
}

void request_pass_on_stream(Request *r, const char *content_type, int fd)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        LinkCall call = { .node = r->to_node,
                          .method = r->method,
                          .target = r->target,
                          .user = r->user,
                          .content_type = content_type,
                          .has_body_fd = true,
                          .body_fd = fd };
        int n;

        r->is_dispatched = true;
        n = links_pass_on(r->core->links, &call, on_passed_on, request_ref(r), &err);
        if (n >= 0)
                return;
        closep(&fd);
        request_fail(r, n, &err);
}

/* The same parameters, with the client's socket replaced by where its bytes can be had or brought. */
static int rewrite_stream(Request *r, const char *key, StrBuf *form)
{
        for (size_t i = 0; i < r->params.n; i++) {
                const Param *p = &r->params.items[i];

                if (str_eq(p->name, "node") || str_eq(p->name, "storage"))
                        continue;
                strbuf_addf(form, "%s%s=", form->len > 0 ? "&" : "", p->name);
                if (str_eq(p->name, key))
                        strbuf_addf(form, "node%%3A%%2F%%2F%s%%2F%s", r->core->node, r->stream_token);
                else
                        everywhere_encode(form, p->value);
        }
        return strbuf_error(form);
}

static int connect_client(Request *r, const char *key, struct storaged_error *err)
{
        const char *path = str_skip(request_get(r, key), "unix://");
        int n;

        if (!path || path[0] != '/')
                return error_set_param(err, -EINVAL, key, "must be unix:// and the absolute path of a socket");
        n = stream_connect(path, &r->stream_fd, err);
        if (n < 0)
                return n;
        stream_make_token(r->stream_token);
        if (!str_eq(key, "to"))
                return 0;
        n = stream_offer(r->core, r->stream_token, r->stream_fd);
        if (n < 0)
                return error_set(err, n, "can't take a stream: %s", strerror(-n));
        r->stream_fd = -EBADF;
        return 0;
}

/* An export or import on another node for a client here: this node stands between the two. */
static void request_bridge(Request *r, const char *content_type)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf form = STRBUF_INIT;
        const char *key;
        int n;

        if (!read_body(r, content_type))
                return;
        n = check_params(r, &err);
        key = request_get(r, "to") ? "to" : "from";
        if (n >= 0)
                n = connect_client(r, key, &err);
        if (n >= 0 && rewrite_stream(r, key, &form) < 0)
                n = error_set(&err, -ENOMEM, "out of memory");
        if (n < 0) {
                request_fail(r, n, &err);
                return;
        }
        strbuf_deinit(&r->input);
        r->input = form;
        form = STRBUF_INIT;
        request_pass_on(r, NULL);
}

void request_dispatch(Request *r, const char *content_type)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        int n;

        if (r->is_done || r->is_dispatched)
                return;
        core_freshen_config(r->core); /* whoever has just edited storage.cfg expects it to be known */
        if (r->to_node && (r->route->flags & ROUTE_HERE)) {
                request_bridge(r, content_type);
                return;
        }
        if (r->to_node) {
                request_pass_on(r, content_type);
                return;
        }
        if (!read_body(r, content_type))
                return;
        strbuf_deinit(&r->input);
        n = strstr(r->route->path, "storage") ? core_check_config(r->core, &err) : 0;
        if (n >= 0)
                n = check_params(r, &err);
        if (n < 0) {
                request_fail(r, n, &err);
                return;
        }
        r->is_dispatched = true;
        r->route->handler(request_ref(r));
}
