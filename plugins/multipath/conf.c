/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading multipath.conf (multipath.conf(5)): a line is `keyword value`, `section {` or `}`; `#` and `!` begin a
 * comment, a value with blanks stands in quotes. Only the form is judged here.
 */
#include "multipath/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 3u
#define WORD_MAX 256u

typedef struct Reader {
        char section[DEPTH_MAX][WORD_MAX];
        unsigned depth, line;
        conf_fn fn;
        void *userdata;
        struct storaged_error *err;
} Reader;

/* The next word of a line into `ret`; what is behind it; NULL: it does not end or is too long. */
static const char *take_word(const char *at, char ret[static WORD_MAX])
{
        size_t n = 0;
        char quote = *at == '"' ? *at++ : '\0';

        while (*at && (quote ? *at != quote : !isspace((unsigned char) *at) && *at != '{' && *at != '}')) {
                if (n + 1 >= WORD_MAX)
                        return NULL;
                ret[n++] = *at++;
        }
        ret[n] = '\0';
        if (quote && *at++ != quote)
                return NULL;
        while (isspace((unsigned char) *at))
                at++;
        return at;
}

static int give(Reader *r, const char *key, const char *value)
{
        char section[DEPTH_MAX * WORD_MAX];
        size_t n = 0;

        for (unsigned i = 0; i < r->depth; i++)
                n += (size_t) snprintf(section + n, sizeof(section) - n, "%s%s", i > 0 ? "/" : "", r->section[i]);
        return r->fn ? r->fn(r->userdata, section, key, value) : 0;
}

static int read_line(Reader *r, const char *at)
{
        char key[WORD_MAX], value[WORD_MAX];

        if (*at == '}') {
                if (r->depth == 0)
                        return error_set(r->err, -EINVAL, "line %u: a } without its {", r->line);
                r->depth--;
                for (at++; isspace((unsigned char) *at); at++)
                        ;
                return *at == '\0' || *at == '#' || *at == '!' ? 0 : read_line(r, at);
        }
        at = take_word(at, key);
        if (!at || !key[0])
                return error_set(r->err, -EINVAL, "line %u: a word that does not end, or is too long", r->line);
        if (*at == '{') {
                if (r->depth == DEPTH_MAX)
                        return error_set(r->err, -EINVAL, "line %u: sections are too deep", r->line);
                memcpy(r->section[r->depth++], key, sizeof(key));
                for (at++; isspace((unsigned char) *at); at++)
                        ;
                return *at == '\0' || *at == '#' || *at == '!' ? 0 : read_line(r, at);
        }
        if (r->depth == 0)
                return error_set(r->err, -EINVAL, "line %u: '%.40s' stands outside of any section", r->line, key);
        at = take_word(at, value);
        if (!at)
                return error_set(r->err, -EINVAL, "line %u: the value of %.40s does not end, or is too long", r->line,
                                 key);
        return give(r, key, value);
}

int conf_read(const char *text, size_t len, conf_fn fn, void *userdata, struct storaged_error *err)
{
        Reader r = { .fn = fn, .userdata = userdata, .err = err };
        const char *end = text + len;

        for (const char *at = text; at < end; r.line++) {
                const char *newline = memchr(at, '\n', (size_t) (end - at));
                size_t n = (size_t) ((newline ? newline : end) - at), from = 0;
                char line[1024];
                int result;

                r.line += r.line == 0;
                if (n >= sizeof(line) || memchr(at, '\0', n))
                        return error_set(err, -EINVAL, "line %u: too long, or no text", r.line);
                while (from < n && isspace((unsigned char) at[from]))
                        from++;
                memcpy(line, at + from, n - from);
                line[n - from] = '\0';
                at = newline ? newline + 1 : end;
                if (line[0] == '\0' || line[0] == '#' || line[0] == '!')
                        continue;
                result = read_line(&r, line);
                if (result != 0)
                        return result;
        }
        return r.depth == 0 ? 0 : error_set(err, -EINVAL, "section '%.40s' has no end", r.section[r.depth - 1]);
}
