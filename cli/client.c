/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request goes over a connection of its own (cli/exchange.c). The answer is parsed while it arrives, so that a list
 * of ten thousand rows is a tree the moment its last byte is here.
 */
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/vec.h"

#define DEPTH_MAX 32

struct Client {
        char *socket;  /* as the user knows it */
        char *address; /* as it is connected to */
        int dir_fd;    /* of a socket whose path is too long for the kernel */
        int interrupt_fd;
        json_tokener *tokener;
        json_object *body;
        int parse_error;
        bool wants_text;
        StrBuf text;
};

void answer_deinit(Answer *a)
{
        (void) json_object_put(a->body);
        free(a->text);
        *a = ANSWER_INIT;
}

void answer_read(Answer *a)
{
        json_object *v = NULL;

        a->data = NULL;
        a->message = NULL;
        a->errors = NULL;
        if (!json_object_is_type(a->body, json_type_object))
                return;
        if (json_object_object_get_ex(a->body, "data", &v))
                a->data = v;
        if (json_object_object_get_ex(a->body, "message", &v) && json_object_is_type(v, json_type_string))
                a->message = json_object_get_string(v);
        if (json_object_object_get_ex(a->body, "errors", &v) && json_object_is_type(v, json_type_object))
                a->errors = v;
}

void client_add_encoded(StrBuf *b, const char *s, const char *keep)
{
        static const char hex[] = "0123456789ABCDEF";

        for (; *s; s++) {
                unsigned char ch = (unsigned char) *s;

                if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                    strchr("-_.~", ch) || strchr(keep, ch)) {
                        strbuf_addc(b, (char) ch);
                } else {
                        strbuf_addc(b, '%');
                        strbuf_addc(b, hex[ch >> 4]);
                        strbuf_addc(b, hex[ch & 15]);
                }
        }
}

void client_add_param(StrBuf *params, const char *name, const char *value)
{
        if (params->len > 0)
                strbuf_addc(params, '&');
        client_add_encoded(params, name, "");
        strbuf_addc(params, '=');
        client_add_encoded(params, value, "/:,");
}

/* The kernel takes 107 bytes; a longer path is entered through its directory. */
static int client_set_address(Client *c)
{
        AUTO(freep) char *dir = NULL, *base = NULL;

        if (strlen(c->socket) < sizeof(((struct sockaddr_un *) NULL)->sun_path))
                return str_printf(&c->address, "%s", c->socket);
        dir = strdup(c->socket);
        base = strdup(c->socket);
        if (!dir || !base)
                return -ENOMEM;
        c->dir_fd = open(dirname(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c->dir_fd < 0) /* said when it is connected to */
                return str_printf(&c->address, "%s", "/proc/self/fd/-1/api.sock");
        return str_printf(&c->address, "/proc/self/fd/%d/%s", c->dir_fd, basename(base));
}

int client_new(Client **ret, const char *socket)
{
        AUTO(client_freep) Client *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->dir_fd = -EBADF;
        c->interrupt_fd = -1;
        c->socket = strdup(socket);
        if (!c->socket || client_set_address(c) < 0)
                return -ENOMEM;
        c->tokener = json_tokener_new_ex(DEPTH_MAX);
        if (!c->tokener)
                return -ENOMEM;

        *ret = TAKE(c);
        return 0;
}

Client *client_free(Client *c)
{
        if (!c)
                return NULL;
        if (c->tokener)
                json_tokener_free(c->tokener);
        (void) json_object_put(c->body);
        strbuf_deinit(&c->text);
        closep(&c->dir_fd);
        free(c->socket);
        free(c->address);
        free(c);
        return NULL;
}

void client_set_interrupt(Client *c, int fd)
{
        c->interrupt_fd = fd;
}

static void client_parse(Client *c, const char *data, size_t len)
{
        size_t at = 0;

        while (at < len && !c->body && !c->parse_error) {
                enum json_tokener_error e;

                c->body = json_tokener_parse_ex(c->tokener, data + at, (int) (len - at));
                e = json_tokener_get_error(c->tokener);
                if (e == json_tokener_continue)
                        break;
                if (e != json_tokener_success)
                        c->parse_error = -EPROTO;
                at += json_tokener_get_parse_end(c->tokener);
                if (e == json_tokener_success && !c->body) /* a bare null */
                        c->parse_error = -EPROTO;
        }
}

static bool has_form(const Request *rq)
{
        return str_eq(rq->method, "POST") || str_eq(rq->method, "PUT");
}

static void on_data(void *userdata, const char *data, size_t len)
{
        Client *c = userdata;

        if (c->wants_text)
                strbuf_add(&c->text, data, len);
        else
                client_parse(c, data, len);
}

static int take_answer(Client *c, int status, Answer *ret, struct storaged_error *err)
{
        Answer a = { .status = status };

        if (c->wants_text && a.status == 200) {
                a.text_len = c->text.len;
                a.text = strbuf_take(&c->text);
                if (!a.text)
                        return error_set(err, -ENOMEM, "out of memory");
                *ret = a;
                return 0;
        }
        if (c->wants_text)
                client_parse(c, c->text.data, c->text.len);
        if (c->parse_error || !c->body)
                return error_set(err, -EPROTO,
                                 "what answers on %s is not storaged: HTTP status %ld without a JSON body", c->socket,
                                 a.status);
        a.body = TAKE(c->body);
        answer_read(&a);
        *ret = a;
        return 0;
}

/* The sentence with the socket, for what went wrong on the way. */
static int explain(const Client *c, int r, const struct storaged_error *why, struct storaged_error *err)
{
        switch (r) {
        case -EINTR:
                return error_set(err, r, "the request was given up: %s", why->text);
        case -EPROTO:
                return error_set(err, r, "the connection to storaged on %s broke: %s", c->socket, why->text);
        case -ENOMEM:
                return error_set(err, r, "%s", why->text);
        default:
                return error_set(err, r, "no answer on %s: %s", c->socket, why->text);
        }
}

static int client_perform(Client *c, const Request *rq, const char *target, Answer *ret, struct storaged_error *err)
{
        AUTO(exchange_body_deinit) ExchangeBody body = EXCHANGE_BODY_INIT;
        struct storaged_error why = STORAGED_ERROR_INIT;
        AUTO(closep) int fd = -EBADF;
        AUTO(freep) char *type = NULL;
        Exchange x = { .address = c->address,
                       .interrupt_fd = c->interrupt_fd,
                       .method = rq->method,
                       .target = target,
                       .content_type = "application/x-www-form-urlencoded",
                       .take = on_data,
                       .userdata = c };
        int status = 0, r = 0;

        if (rq->upload) {
                r = upload_begin(rq->upload, &body, &type, &fd, err);
                if (r < 0)
                        return r;
                x.content_type = type;
                x.sent = rq->upload->progress;
                x.sent_userdata = rq->upload->userdata;
        } else if (has_form(rq) && rq->params) {
                strbuf_add(&body.before, rq->params->data, rq->params->len);
                if (strbuf_error(&body.before) < 0)
                        return error_set(err, -ENOMEM, "out of memory");
        }
        x.body = has_form(rq) ? &body : NULL;
        r = exchange_run(&x, &status, &why);
        if (r < 0 && *why.param)
                return error_set_param(err, r, why.param, "%s", why.text);
        return r < 0 ? explain(c, r, &why, err) : take_answer(c, status, ret, err);
}

int client_call(Client *c, const Request *rq, Answer *ret, struct storaged_error *err)
{
        bool has_query = rq->params && rq->params->len > 0 && !has_form(rq);
        AUTO(freep) char *target = NULL;

        if ((rq->params && strbuf_error(rq->params) < 0) ||
            str_printf(&target, "/api2/json%s%s%s", rq->path, has_query ? "?" : "", has_query ? rq->params->data : "") <
                    0)
                return error_set(err, -ENOMEM, "out of memory");
        if (str_has_control(target) || strchr(target, ' ')) /* it is a word of our request's first line */
                return error_set(err, -EINVAL, "'%s' can't be asked for", rq->path);
        json_tokener_reset(c->tokener);
        (void) json_object_put(TAKE(c->body));
        c->parse_error = 0;
        c->wants_text = rq->wants_text;
        strbuf_deinit(&c->text);
        return client_perform(c, rq, target, ret, err);
}
