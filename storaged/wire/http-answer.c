/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The framing of HTTP/1.1 answers (RFC 9112): a head, then a body of a known length, of chunks, or up to the end of the
 * connection. Answers of the kind 1xx are passed over. What could be understood in two ways is refused: a
 * length beside chunks, two lengths. Invariant: never more of the input is used than belongs to this answer.
 */
#include "wire/http-answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 1024u /* of the framing: sizes of chunks, trailers */

void http_answer_deinit(HttpAnswer *a)
{
        free(a->line);
        *a = HTTP_ANSWER_INIT;
}

static int line_add(HttpAnswer *a, const char *data, size_t len, size_t max)
{
        char *grown;

        if (a->line_len + len > max)
                return -EMSGSIZE;
        grown = realloc(a->line, a->line_len + len + 1);
        if (!grown)
                return -ENOMEM;
        (void) memcpy(grown + a->line_len, data, len);
        a->line = grown;
        a->line_len += len;
        a->line[a->line_len] = '\0';
        return 0;
}

/* Takes up to and with the next line feed; 1: the line is whole. */
static int take_line(HttpAnswer *a, const char *data, size_t len, size_t max, size_t *ret_used)
{
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t) (end - data) + 1 : len;
        int r = line_add(a, data, n, max);

        if (r < 0)
                return r;
        *ret_used = n;
        return end != NULL;
}

/* A header's value in the head, without blanks around it; NULL if `line` is another one. */
static const char *header_value(const char *line, const char *name, size_t *ret_len)
{
        size_t n = strlen(name);
        const char *end;

        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
                return NULL;
        line += n + 1;
        line += strspn(line, " \t");
        end = line + strcspn(line, "\r\n");
        while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
        *ret_len = (size_t) (end - line);
        return line;
}

static int parse_number(const char *s, size_t len, unsigned base, uint64_t *ret)
{
        uint64_t n = 0;

        if (len == 0 || len > 15)
                return -EPROTO;
        for (size_t i = 0; i < len; i++) {
                unsigned digit = s[i] >= '0' && s[i] <= '9'   ? (unsigned) (s[i] - '0')
                                 : s[i] >= 'a' && s[i] <= 'f' ? (unsigned) (s[i] - 'a') + 10
                                 : s[i] >= 'A' && s[i] <= 'F' ? (unsigned) (s[i] - 'A') + 10
                                                              : 99;

                if (digit >= base)
                        return -EPROTO;
                n = n * base + digit;
        }
        *ret = n;
        return 0;
}

static bool status_has_body(const HttpAnswer *a)
{
        return !a->has_no_body && a->status != 204 && a->status != 304;
}

/* The head is whole: what follows it. */
static int head_end(HttpAnswer *a)
{
        bool has_length = false, is_chunked = false;
        const char *v, *line = a->line;
        uint64_t length = 0;
        size_t n;

        if (strlen(a->line) != a->line_len || strncmp(line, "HTTP/1.", 7) != 0 || strspn(line + 7, "01") != 1 ||
            line[8] != ' ' || strspn(line + 9, "0123456789") != 3)
                return -EPROTO;
        a->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
        while ((line = strchr(line, '\n')) && *++line) {
                if ((v = header_value(line, "Content-Length", &n))) {
                        if (has_length || parse_number(v, n, 10, &length) < 0)
                                return -EPROTO;
                        has_length = true;
                } else if ((v = header_value(line, "Transfer-Encoding", &n))) {
                        if (is_chunked || n != 7 || strncasecmp(v, "chunked", 7) != 0)
                                return -EPROTO;
                        is_chunked = true;
                }
        }
        if (has_length && is_chunked)
                return -EPROTO;
        a->line_len = 0;
        if (a->status >= 100 && a->status < 200) {
                a->status = 0; /* the answer proper follows */
                return 0;
        }
        a->left = length;
        a->state = !status_has_body(a) || (has_length && length == 0) ? HTTP_ANSWER_DONE
                   : is_chunked                                       ? HTTP_ANSWER_CHUNK_SIZE
                   : has_length                                       ? HTTP_ANSWER_LENGTH
                                                                      : HTTP_ANSWER_UNTIL_END;
        return 0;
}

static bool line_is_empty(const char *line)
{
        return strcmp(line, "\n") == 0 || strcmp(line, "\r\n") == 0;
}

static int feed_head(HttpAnswer *a, const char *data, size_t len, size_t *ret_used)
{
        size_t before = a->line_len;
        int r = take_line(a, data, len, HTTP_HEAD_MAX, ret_used);

        /* `before` may stand in the middle of the line that ended now. */
        while (before > 0 && a->line[before - 1] != '\n')
                before--;
        return r > 0 && before > 0 && line_is_empty(a->line + before) ? head_end(a) : r < 0 ? r : 0;
}

static int chunk_line_end(HttpAnswer *a)
{
        if (a->state == HTTP_ANSWER_CHUNK_SIZE) {
                size_t n = strcspn(a->line, ";\r\n \t");

                if (parse_number(a->line, n, 16, &a->left) < 0)
                        return -EPROTO;
                a->state = a->left > 0 ? HTTP_ANSWER_CHUNK : HTTP_ANSWER_TRAILER;
        } else if (a->state == HTTP_ANSWER_CHUNK_END) {
                if (!line_is_empty(a->line))
                        return -EPROTO;
                a->state = HTTP_ANSWER_CHUNK_SIZE;
        } else if (line_is_empty(a->line)) {
                a->state = HTTP_ANSWER_DONE;
        }
        a->line_len = 0;
        return 0;
}

static void feed_body(HttpAnswer *a, const char *data, size_t len, size_t *ret_used, const char **ret_body,
                      size_t *ret_len)
{
        size_t n = a->state == HTTP_ANSWER_UNTIL_END || len < a->left ? len : (size_t) a->left;

        *ret_body = data;
        *ret_len = *ret_used = n;
        if (a->state == HTTP_ANSWER_UNTIL_END)
                return;
        a->left -= n;
        if (a->left == 0)
                a->state = a->state == HTTP_ANSWER_CHUNK ? HTTP_ANSWER_CHUNK_END : HTTP_ANSWER_DONE;
}

int http_answer_feed(HttpAnswer *a, const char *data, size_t len, size_t *ret_used, const char **ret_body,
                     size_t *ret_len)
{
        int r;

        *ret_used = *ret_len = 0;
        *ret_body = NULL;
        while (*ret_used < len && *ret_len == 0 && a->state != HTTP_ANSWER_DONE) {
                const char *p = data + *ret_used;
                size_t left = len - *ret_used, n = 0;

                switch (a->state) {
                case HTTP_ANSWER_HEAD:
                        r = feed_head(a, p, left, &n);
                        break;
                case HTTP_ANSWER_LENGTH:
                case HTTP_ANSWER_CHUNK:
                case HTTP_ANSWER_UNTIL_END:
                        feed_body(a, p, left, &n, ret_body, ret_len);
                        r = 0;
                        break;
                default:
                        r = take_line(a, p, left, LINE_MAX_BYTES, &n);
                        if (r > 0)
                                r = chunk_line_end(a);
                        break;
                }
                if (r < 0)
                        return r;
                *ret_used += n;
        }
        return 0;
}

bool http_answer_end(HttpAnswer *a)
{
        if (a->state == HTTP_ANSWER_UNTIL_END)
                a->state = HTTP_ANSWER_DONE;
        return a->state == HTTP_ANSWER_DONE;
}
