/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grammar of storage.cfg: `type: id` in column 0 opens a section, lines that begin with a blank are
 * its `key value` pairs, an empty line closes it. The reader is one pass over lines with three states:
 * outside of any section, in one, or under a header that can't be read, whose lines go unread.
 * Whatever is in column 0 and looks like a header ends the section before it, so that a mistake stays
 * within the section it was made in. No bytes make it fail: what is not understood becomes a warning.
 */
#include "wire/section.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

#define SHOWN_SIZE 64 /* how much of a bad line a warning repeats */

typedef struct Text {
        const char *s;
        size_t len;
} Text;

typedef enum State {
        STATE_OUTSIDE,
        STATE_SECTION,
        STATE_SKIPPING, /* under a header that can't be read */
} State;

typedef struct Parser {
        SectionFile file;
        VEC(Section) sections;
        VEC(SectionPair) pairs; /* of the last section, until it is closed */
        State state;
        unsigned line;
        int error;
} Parser;

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_type_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.+", c);
}

static Text text_trim(Text t)
{
        while (t.len > 0 && is_blank(t.s[t.len - 1]))
                t.len--;
        while (t.len > 0 && is_blank(t.s[0])) {
                t.s++;
                t.len--;
        }
        return t;
}

static Text text_first_word(Text t)
{
        size_t n = 0;

        while (n < t.len && !is_blank(t.s[n]))
                n++;
        return (Text){ t.s, n };
}

static Text text_behind(Text t, Text word)
{
        return text_trim((Text){ word.s + word.len, (size_t) (t.s + t.len - word.s) - word.len });
}

int section_file_warn(SectionFile *f, unsigned line, const char *fmt, ...)
{
        SectionWarning *w;
        char *text = NULL;
        va_list ap;

        if (f->n_warnings > SECTION_WARNINGS_MAX)
                return 0;
        /* Grown at powers of two, like StrList. */
        if ((f->n_warnings & (f->n_warnings + 1)) == 0) {
                w = reallocarray(f->warnings, (f->n_warnings + 1) * 2, sizeof(*w));
                if (!w)
                        return -ENOMEM;
                f->warnings = w;
        }
        if (f->n_warnings == SECTION_WARNINGS_MAX) {
                text = strdup("there are more problems: only the first 1000 are shown");
                line = 0;
        } else {
                va_start(ap, fmt);
                (void) str_vprintf(&text, fmt, ap);
                va_end(ap);
        }
        if (!text)
                return -ENOMEM;
        for (char *s = text; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        *s = '?';
        f->warnings[f->n_warnings++] = (SectionWarning){ .line = line, .text = text };
        return 0;
}

static void pair_deinit(SectionPair *p)
{
        free(p->key);
        free(p->value);
}

static void section_deinit(Section *s)
{
        for (size_t i = 0; i < s->n_pairs; i++)
                pair_deinit(&s->pairs[i]);
        free(s->pairs);
        free(s->type);
        free(s->id);
}

void section_file_deinit(SectionFile *f)
{
        for (size_t i = 0; i < f->n_sections; i++)
                section_deinit(&f->sections[i]);
        free(f->sections);
        for (size_t i = 0; i < f->n_warnings; i++)
                free(f->warnings[i].text);
        free(f->warnings);
        *f = SECTION_FILE_INIT;
}

/* Sticky like StrBuf's: checked once a line. */
static void note(Parser *p, int r)
{
        if (r < 0 && p->error == 0)
                p->error = r;
}

#define warn(p, ...) note((p), section_file_warn(&(p)->file, (p)->line, __VA_ARGS__))

static const char *shown(Text t, char buf[static SHOWN_SIZE])
{
        t = text_trim(t);
        return str_show(t.s, t.len, buf, SHOWN_SIZE);
}

static char *text_dup(Text t)
{
        char *s = malloc(t.len + 1);

        if (s) {
                memcpy(s, t.s, t.len);
                s[t.len] = '\0';
        }
        return s;
}

/* Gives the collected pairs to the section they belong to. */
static void close_section(Parser *p)
{
        if (p->state == STATE_SECTION && p->pairs.n > 0) {
                Section *s = &p->sections.items[p->sections.n - 1];

                s->pairs = p->pairs.items;
                s->n_pairs = p->pairs.n;
                p->pairs.items = NULL;
                p->pairs.n = p->pairs.size = 0;
        }
        p->state = STATE_OUTSIDE;
}

static void open_section(Parser *p, Text type, Text id)
{
        Section s = { .type = text_dup(type), .id = text_dup(id), .line = p->line };

        if (!s.type || !s.id || VEC_PUSH(&p->sections, s) < 0) {
                section_deinit(&s);
                note(p, -ENOMEM);
                return;
        }
        for (char *c = s.type; *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char) (*c | 0x20);
        p->state = STATE_SECTION;
}

static void read_header(Parser *p, Text line, size_t type_len)
{
        Text type = { line.s, type_len }, rest = text_trim((Text){ line.s + type_len + 1, line.len - type_len - 1 });
        Text id = text_first_word(rest);
        char buf[SHOWN_SIZE];

        if (p->state != STATE_OUTSIDE)
                warn(p, "an empty line is missing in front of '%s'", shown(line, buf));
        close_section(p);
        p->state = STATE_SKIPPING;
        if (id.len == 0)
                warn(p, "section header '%s' has no id: it and the lines under it are ignored", shown(line, buf));
        else if (id.len != rest.len)
                warn(p, "section header '%s' has a second word: it and the lines under it are ignored",
                     shown(line, buf));
        else if (memchr(id.s, '\0', id.len))
                warn(p, "section header '%s' has a NUL byte: it and the lines under it are ignored", shown(line, buf));
        else
                open_section(p, type, id);
}

static void read_pair(Parser *p, Text line)
{
        Text key = text_first_word(line), value = text_behind(line, key);
        SectionPair pair = { .line = p->line, .has_value = value.len > 0, .value_len = value.len };
        char buf[SHOWN_SIZE];

        if (memchr(key.s, '\0', key.len)) {
                warn(p, "line '%s' has a NUL byte in its key: it is ignored", shown(line, buf));
                return;
        }
        pair.key = text_dup(key);
        pair.value = text_dup(value);
        if (!pair.key || !pair.value || VEC_PUSH(&p->pairs, pair) < 0) {
                pair_deinit(&pair);
                note(p, -ENOMEM);
        }
}

static void read_line(Parser *p, Text line)
{
        Text trimmed;
        char buf[SHOWN_SIZE];
        size_t n = 0;

        if (line.len > 0 && line.s[line.len - 1] == '\r')
                line.len--;
        if (line.len == 0) {
                close_section(p);
                return;
        }
        trimmed = text_trim(line);
        if (trimmed.len == 0) {
                if (p->state == STATE_SECTION)
                        warn(p, "a line of blanks does not end a section: remove the blanks or the line");
                return;
        }
        if (trimmed.s[0] == '#')
                return;
        if (is_blank(line.s[0])) {
                if (p->state == STATE_SECTION)
                        read_pair(p, trimmed);
                else if (p->state == STATE_OUTSIDE)
                        warn(p, "line '%s' is in no section: it is ignored", shown(trimmed, buf));
                return;
        }
        while (n < line.len && line.s[n] != '\0' && is_type_char(line.s[n]))
                n++;
        if (n > 0 && n < line.len && line.s[n] == ':')
                read_header(p, line, n);
        else
                warn(p, "line '%s' is neither a section header (type: id) nor indented: it is ignored",
                     shown(trimmed, buf));
}

int section_file_parse(const char *text, size_t len, SectionFile *ret)
{
        Parser p = { .file = SECTION_FILE_INIT };
        const char *end = text + len;

        if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                text += 3; /* what some editors put in front of UTF-8 */
        while (text < end && p.error == 0) {
                const char *nl = memchr(text, '\n', (size_t) (end - text));
                size_t n = (size_t) ((nl ? nl : end) - text);

                p.line++;
                read_line(&p, (Text){ text, n });
                text = nl ? nl + 1 : end;
        }
        close_section(&p);
        p.file.sections = p.sections.items;
        p.file.n_sections = p.sections.n;
        if (p.error < 0) {
                section_file_deinit(&p.file);
                for (size_t i = 0; i < p.pairs.n; i++)
                        pair_deinit(&p.pairs.items[i]);
                VEC_DEINIT(&p.pairs);
                return p.error;
        }
        /* Without pairs left over, but their room may be. */
        VEC_DEINIT(&p.pairs);

        *ret = p.file;
        return 0;
}
