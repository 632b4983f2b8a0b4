/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests as the API takes them, over one connection that is kept for all of a command (cli/http.c). The answer is
 * parsed while it arrives, so that a list of ten thousand rows is a tree the moment its last byte is here.
 */
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/vec.h"
#include "cli/http.h"

#define DEPTH_MAX 32

struct Client {
        char *socket;  /* as the user knows it */
        char *address; /* as it is connected to */
        int dir_fd;    /* of a socket whose path is too long for the kernel */
        int interrupt_fd;
        Http http;
        json_tokener *tokener;
        json_object *body;
        int parse_error;
        bool wants_text;
        StrBuf text;
        const Upload *upload; /* under way */
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
        c->http = HTTP_INIT;
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
        http_deinit(&c->http);
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

static void on_body(void *userdata, const char *data, size_t len)
{
        Client *c = userdata;

        if (c->wants_text)
                strbuf_add(&c->text, data, len);
        else
                client_parse(c, data, len);
}

static void on_sent(void *userdata, uint64_t done, uint64_t total)
{
        const Client *c = userdata;

        c->upload->progress(c->upload->userdata, done, total);
}

/* --- a file that goes along (RFC 7578) */

typedef struct Parts {
        char boundary[48];
        StrBuf before, after; /* the file */
        int fd;
        uint64_t bytes;
} Parts;

static void parts_deinit(Parts *p)
{
        strbuf_deinit(&p->before);
        strbuf_deinit(&p->after);
        closep(&p->fd);
}

static void add_field(Parts *p, const char *name, const char *value)
{
        if (value)
                strbuf_addf(&p->before, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n",
                            p->boundary, name, value);
}

static int parts_open(Parts *p, const Upload *u, struct storaged_error *err)
{
        struct stat st;

        p->fd = open(u->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (p->fd < 0 || fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
                return error_set_param(err, -ENOENT, "file", "can't read '%s'", u->path);
        p->bytes = (uint64_t) st.st_size;
        if (strpbrk(u->filename, "\r\n"))
                return error_set_param(err, -EINVAL, "file", "'%s' can't be the name of a file there", u->filename);
        return 0;
}

static int parts_init(Parts *p, const Upload *u, struct storaged_error *err)
{
        uint64_t random[2];
        int r = parts_open(p, u, err);

        if (r < 0)
                return r;
        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return error_set(err, -EIO, "no random numbers");
        (void) snprintf(p->boundary, sizeof(p->boundary), "%016llx%016llx", (unsigned long long) random[0],
                        (unsigned long long) random[1]);
        add_field(p, "content", u->content);
        add_field(p, "checksum", u->checksum);
        add_field(p, "checksum-algorithm", u->checksum_algorithm);
        strbuf_addf(&p->before, "--%s\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"", p->boundary);
        for (const char *s = u->filename; *s; s++) {
                if (*s == '"' || *s == '\\')
                        strbuf_addc(&p->before, '\\');
                strbuf_addc(&p->before, *s);
        }
        strbuf_adds(&p->before, "\"\r\nContent-Type: application/octet-stream\r\n\r\n");
        strbuf_addf(&p->after, "\r\n--%s--\r\n", p->boundary);
        return strbuf_error(&p->before) < 0 || strbuf_error(&p->after) < 0 ? error_set(err, -ENOMEM, "out of memory")
                                                                           : 0;
}

/* --- one request */

/* Request line and headers; then the form, or what of the parts comes before the file. */
static int add_head(StrBuf *b, const Request *rq, const Parts *parts)
{
        bool has_params = rq->params && rq->params->len > 0;
        bool has_form = str_eq(rq->method, "POST") || str_eq(rq->method, "PUT"), has_query = has_params && !has_form;
        uint64_t length = has_form && has_params ? rq->params->len : 0;

        strbuf_addf(b, "%s /api2/json%s%s%s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n", rq->method, rq->path,
                    has_query ? "?" : "", has_query ? rq->params->data : "");
        if (rq->upload) {
                length = parts->before.len + parts->bytes + parts->after.len;
                strbuf_addf(b, "Content-Type: multipart/form-data; boundary=%s\r\n", parts->boundary);
        } else if (has_form) {
                strbuf_adds(b, "Content-Type: application/x-www-form-urlencoded\r\n");
        }
        if (has_form)
                strbuf_addf(b, "Content-Length: %llu\r\n", (unsigned long long) length);
        strbuf_adds(b, "\r\n");
        if (rq->upload)
                strbuf_add(b, parts->before.data, parts->before.len);
        else if (has_form && has_params)
                strbuf_add(b, rq->params->data, rq->params->len);
        return strbuf_error(b);
}

static int check_result(Client *c, int status, Answer *ret, struct storaged_error *err)
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

static int say_failure(const Client *c, int code, bool is_connected, struct storaged_error *err)
{
        if (code == -EINTR)
                return error_set(err, code, "the request was given up: %s", strerror(-code));
        if (!is_connected)
                return error_set(err, code, "no answer on %s: %s", c->socket, strerror(-code));
        return error_set(err, -EPROTO, "the connection to storaged on %s broke: %s", c->socket,
                         code == -EPROTO ? "what it says is no HTTP" : strerror(-code));
}

int client_call(Client *c, const Request *rq, Answer *ret, struct storaged_error *err)
{
        AUTO(parts_deinit) Parts parts = { .fd = -EBADF };
        AUTO(strbuf_deinit) StrBuf head = STRBUF_INIT;
        HttpCall call = { .address = c->address,
                          .file_fd = -EBADF,
                          .interrupt_fd = c->interrupt_fd,
                          .on_body = on_body,
                          .userdata = c };
        bool is_connected = false;
        int status = 0, r;

        json_tokener_reset(c->tokener);
        (void) json_object_put(TAKE(c->body));
        c->parse_error = 0;
        c->wants_text = rq->wants_text;
        strbuf_deinit(&c->text);
        r = rq->upload ? parts_init(&parts, rq->upload, err) : 0;
        if (r < 0)
                return r;
        if ((rq->params && strbuf_error(rq->params) < 0) || add_head(&head, rq, &parts) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        call.head = head.data;
        call.head_len = head.len;
        if (rq->upload) {
                call.file_fd = parts.fd;
                call.file_bytes = parts.bytes;
                call.tail = parts.after.data;
                call.tail_len = parts.after.len;
                call.on_sent = rq->upload->progress ? on_sent : NULL;
                c->upload = rq->upload;
        }
        r = http_call(&c->http, &call, &status, &is_connected);
        c->upload = NULL;
        return r < 0 ? say_failure(c, r, is_connected, err) : check_result(c, status, ret, err);
}
