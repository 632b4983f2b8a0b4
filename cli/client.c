/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP by libcurl, one connection kept for all requests of a command. The answer is parsed while it arrives,
 * so that a list of ten thousand rows is a tree the moment its last byte is here. Waiting is in curl_multi_poll
 * together with a descriptor of the caller's, which is how a signal ends a long poll.
 */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/vec.h"

#define DEPTH_MAX 32
#define BUFFER_SIZE (256L << 10)

struct Client {
        char *socket;  /* as the user knows it */
        char *address; /* as it is connected to */
        int dir_fd;    /* of a socket whose path is too long for the kernel */
        int interrupt_fd;
        CURLM *multi;
        CURL *easy;
        json_tokener *tokener;
        json_object *body;
        int parse_error;
        bool wants_text;
        StrBuf text;
        const Upload *upload;
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
        if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) /* no TLS, nothing to set up */
                return -ENOMEM;
        c->multi = curl_multi_init();
        c->easy = curl_easy_init();
        c->tokener = json_tokener_new_ex(DEPTH_MAX);
        if (!c->multi || !c->easy || !c->tokener)
                return -ENOMEM;

        *ret = TAKE(c);
        return 0;
}

Client *client_free(Client *c)
{
        if (!c)
                return NULL;
        if (c->easy)
                curl_easy_cleanup(c->easy);
        if (c->multi)
                (void) curl_multi_cleanup(c->multi);
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

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
        Client *c = userdata;

        if (c->wants_text)
                strbuf_add(&c->text, data, size * n);
        else
                client_parse(c, data, size * n);
        return size * n;
}

static int on_progress(void *userdata, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
        Client *c = userdata;

        (void) dltotal;
        (void) dlnow;
        if (c->upload && c->upload->progress && ultotal > 0)
                c->upload->progress(c->upload->userdata, (uint64_t) ulnow, (uint64_t) ultotal);
        return 0;
}

static int add_field(curl_mime *mime, const char *name, const char *value)
{
        curl_mimepart *part;

        if (!value)
                return 0;
        part = curl_mime_addpart(mime);
        if (!part || curl_mime_name(part, name) != CURLE_OK ||
            curl_mime_data(part, value, CURL_ZERO_TERMINATED) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

static int set_upload(Client *c, const Upload *u, curl_mime **ret, struct storaged_error *err)
{
        curl_mime *mime = curl_mime_init(c->easy);
        curl_mimepart *part;

        if (!mime)
                return error_set(err, -ENOMEM, "out of memory");
        *ret = mime; /* freed by the caller in any case */
        if (add_field(mime, "content", u->content) < 0 || add_field(mime, "checksum", u->checksum) < 0 ||
            add_field(mime, "checksum-algorithm", u->checksum_algorithm) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        part = curl_mime_addpart(mime);
        if (!part || curl_mime_name(part, "filename") != CURLE_OK)
                return error_set(err, -ENOMEM, "out of memory");
        if (curl_mime_filedata(part, u->path) != CURLE_OK)
                return error_set_param(err, -ENOENT, "file", "can't read '%s'", u->path);
        if (curl_mime_filename(part, u->filename) != CURLE_OK)
                return error_set(err, -ENOMEM, "out of memory");
        curl_easy_setopt(c->easy, CURLOPT_MIMEPOST, mime);
        curl_easy_setopt(c->easy, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(c->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(c->easy, CURLOPT_XFERINFODATA, c);
        return 0;
}

static int set_options(Client *c, const Request *rq, const char *url)
{
        const StrBuf *form = str_eq(rq->method, "POST") || str_eq(rq->method, "PUT") ? rq->params : NULL;

        curl_easy_reset(c->easy); /* the connection stays */
        curl_easy_setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, c->address);
        curl_easy_setopt(c->easy, CURLOPT_URL, url);
        curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS, 1L); /* what `..` means is the daemon's to say */
        curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
        curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
        curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
        if (rq->upload)
                return 0;
        if (str_eq(rq->method, "POST") || str_eq(rq->method, "PUT")) {
                curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, form ? (long) form->len : 0L);
                curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, form && form->data ? form->data : "");
        }
        if (curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, rq->method) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

/* Until the transfer is over: its code; or -EINTR. */
static int client_run(Client *c, CURLcode *ret)
{
        struct curl_waitfd wait = { .fd = c->interrupt_fd, .events = CURL_WAIT_POLLIN };
        int running = 1, left;
        CURLMsg *message;

        for (;;) {
                if (curl_multi_perform(c->multi, &running) != CURLM_OK)
                        return -EIO;
                while ((message = curl_multi_info_read(c->multi, &left)))
                        if (message->msg == CURLMSG_DONE) {
                                *ret = message->data.result;
                                return 0;
                        }
                if (!running)
                        return -EIO;
                wait.revents = 0;
                (void) curl_multi_poll(c->multi, c->interrupt_fd >= 0 ? &wait : NULL, c->interrupt_fd >= 0, 1000, NULL);
                if (wait.revents)
                        return -EINTR;
        }
}

static int check_result(Client *c, CURLcode code, Answer *ret, struct storaged_error *err)
{
        Answer a = ANSWER_INIT;
        long os_error = 0;

        if (code == CURLE_COULDNT_CONNECT) {
                (void) curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os_error);
                return error_set(err, os_error > 0 ? -(int) os_error : -ECONNREFUSED, "no answer on %s: %s", c->socket,
                                 strerror(os_error > 0 ? (int) os_error : ECONNREFUSED));
        }
        if (code != CURLE_OK)
                return error_set(err, -EPROTO, "the connection to storaged on %s broke: %s", c->socket,
                                 curl_easy_strerror(code));
        (void) curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &a.status);
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

static int client_perform(Client *c, const Request *rq, const char *url, curl_mime **mime, Answer *ret,
                          struct storaged_error *err)
{
        CURLcode code = CURLE_OK;
        int r;

        if (set_options(c, rq, url) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        if (rq->upload) {
                r = set_upload(c, rq->upload, mime, err);
                if (r < 0)
                        return r;
        }
        if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
                return error_set(err, -ENOMEM, "out of memory");
        r = client_run(c, &code);
        (void) curl_multi_remove_handle(c->multi, c->easy);
        if (r < 0)
                return error_set(err, r, "the request was given up: %s", strerror(-r));
        return check_result(c, code, ret, err);
}

int client_call(Client *c, const Request *rq, Answer *ret, struct storaged_error *err)
{
        bool has_query =
                rq->params && rq->params->len > 0 && (str_eq(rq->method, "GET") || str_eq(rq->method, "DELETE"));
        AUTO(freep) char *url = NULL;
        curl_mime *mime = NULL;
        int r;

        if ((rq->params && strbuf_error(rq->params) < 0) ||
            str_printf(&url, "http://localhost/api2/json%s%s%s", rq->path, has_query ? "?" : "",
                       has_query ? rq->params->data : "") < 0)
                return error_set(err, -ENOMEM, "out of memory");
        json_tokener_reset(c->tokener);
        (void) json_object_put(TAKE(c->body));
        c->parse_error = 0;
        c->upload = rq->upload;
        c->wants_text = rq->wants_text;
        strbuf_deinit(&c->text);

        r = client_perform(c, rq, url, &mime, ret, err);

        c->upload = NULL;
        curl_mime_free(mime);
        return r;
}
