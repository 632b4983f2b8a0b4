/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Printing. All formats start from the one JSON value of the answer; a table is that value seen through a
 * list of columns. Texts come from the daemon, and through it from names of files and from servers: what could
 * steer a terminal or break a table is shown as \xNN.
 */
#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/json.h"

int output_format_from_string(const char *s, enum output_format *ret)
{
        static const char *const names[] = { "text", "json", "json-pretty", "yaml" };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (str_eq(s, names[i])) {
                        *ret = (enum output_format) i;
                        return 0;
                }
        return -EINVAL;
}

/* How many bytes at `p` are one printable character; 0 if they are a control character or no UTF-8. */
static size_t printable(const unsigned char *p)
{
        size_t n;

        if (p[0] < 0x80)
                return p[0] >= 0x20 && p[0] != 0x7f;
        n = p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
        if (p[0] > 0xf4)
                n = 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80) /* the NUL at the end, too */
                        return 0;
        if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* C1 */
                return 0;
        return n;
}

static bool is_plain(const char *s)
{
        for (const unsigned char *p = (const unsigned char *) s; *p; p++)
                if (*p < 0x20 || *p >= 0x7f)
                        return false;
        return true;
}

void output_escape(StrBuf *b, const char *s, bool is_text)
{
        const unsigned char *p = (const unsigned char *) s;

        while (*p) {
                size_t n = is_text && (*p == '\n' || *p == '\t') ? 1 : printable(p);

                if (n > 0)
                        strbuf_add(b, p, n);
                else
                        strbuf_addf(b, "\\x%02x", *p);
                p += n ? n : 1;
        }
}

void output_text(FILE *f, const char *s)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        if (is_plain(s) || !isatty(fileno(f))) {
                (void) fputs(s, f);
                return;
        }
        output_escape(&b, s, true);
        (void) fwrite(b.data ? b.data : "", 1, b.len, f);
}

const char *output_scalar(json_object *v, char buf[OUTPUT_CELL_SIZE])
{
        switch (json_object_get_type(v)) {
        case json_type_null:
                return "";
        case json_type_string:
                return json_object_get_string(v);
        case json_type_int:
                if (json_object_get_int64(v) < 0)
                        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%" PRId64, json_object_get_int64(v));
                else
                        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%" PRIu64, json_object_get_uint64(v));
                return buf;
        default:
                return json_text(v);
        }
}

/* --- yaml */

/* True if the text can stand in YAML without quotes and still is a text. */
static bool yaml_is_bare(const char *s)
{
        static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n" };

        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '/'))
                return false;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcasecmp(s, words[i]) == 0)
                        return false;
        for (const char *p = s; *p; p++) {
                if (*p < 0x20 || *p == 0x7f) /* also all that is not ASCII */
                        return false;
                if ((*p == ':' && (p[1] == ' ' || !p[1])) || (*p == ' ' && (p[1] == '#' || !p[1])))
                        return false;
        }
        return true;
}

static void yaml_string(StrBuf *b, const char *s)
{
        AUTO(strbuf_deinit) StrBuf quoted = STRBUF_INIT;

        if (yaml_is_bare(s)) {
                strbuf_adds(b, s);
                return;
        }
        jsonw_string(&quoted, s);
        strbuf_add(b, quoted.data ? quoted.data : "", quoted.len);
}

static void yaml_indent(StrBuf *b, int depth)
{
        for (int i = 0; i < depth; i++)
                strbuf_adds(b, "  ");
}

static void yaml_value(StrBuf *b, json_object *v, int depth, bool in_line);

static bool yaml_is_block(json_object *v)
{
        return (json_object_is_type(v, json_type_object) && json_object_object_length(v) > 0) ||
               (json_object_is_type(v, json_type_array) && json_object_array_length(v) > 0);
}

static void yaml_object(StrBuf *b, json_object *o, int depth, bool in_line)
{
        json_object_object_foreach (o, key, value) {
                if (!in_line)
                        yaml_indent(b, depth);
                in_line = false;
                yaml_string(b, key);
                strbuf_adds(b, yaml_is_block(value) ? ":\n" : ": ");
                yaml_value(b, value, depth + 1, false);
        }
}

static void yaml_array(StrBuf *b, json_object *a, int depth, bool in_line)
{
        for (size_t i = 0; i < json_object_array_length(a); i++) {
                if (!in_line)
                        yaml_indent(b, depth);
                in_line = false;
                strbuf_adds(b, "- ");
                yaml_value(b, json_object_array_get_idx(a, i), depth + 1, true);
        }
}

static void yaml_value(StrBuf *b, json_object *v, int depth, bool in_line)
{
        if (yaml_is_block(v)) {
                if (json_object_is_type(v, json_type_object))
                        yaml_object(b, v, depth, in_line);
                else
                        yaml_array(b, v, depth, in_line);
                return;
        }
        if (json_object_is_type(v, json_type_string))
                yaml_string(b, json_object_get_string(v));
        else
                strbuf_adds(b, v ? json_text(v) : "null");
        strbuf_addc(b, '\n');
}

void output_yaml(StrBuf *b, json_object *value)
{
        strbuf_adds(b, "---\n");
        yaml_value(b, value, 0, false);
}

int output_value(FILE *f, json_object *value, enum output_format format)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        size_t len = 0;
        const char *s;

        if (format == OUTPUT_YAML) {
                output_yaml(&b, value);
                (void) fwrite(b.data, 1, b.len, f);
                return strbuf_error(&b);
        }
        if (format == OUTPUT_JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        s = value ? json_object_to_json_string_length(value, flags, &len) : "null";
        if (!s)
                return -ENOMEM;
        (void) fwrite(s, 1, value ? len : strlen(s), f);
        (void) fputc('\n', f);
        return 0;
}

/* --- tables */

/* Characters, not bytes; continuation bytes take no place. */
static size_t text_width(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char) *s & 0xc0) != 0x80;
        return n;
}

static const char *cell_of(const Column *c, json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        if (c->cell)
                return c->cell(row, buf);
        return output_scalar(json_get(row, c->key), buf);
}

/* The cell made fit for one line; `escaped` holds it if it had to be changed. */
static const char *cell_text(const Column *c, json_object *row, char buf[OUTPUT_CELL_SIZE], StrBuf *escaped)
{
        const char *s = cell_of(c, row, buf);

        if (!s || is_plain(s))
                return s;
        escaped->len = 0;
        output_escape(escaped, s, false);
        return strbuf_error(escaped) ? "" : escaped->len ? escaped->data : "";
}

static size_t column_width(const Column *c, json_object *const *rows, size_t n_rows, StrBuf *escaped)
{
        char buf[OUTPUT_CELL_SIZE];
        size_t max = c->fits_title ? strlen(c->title) : 0;

        if (c->is_fixed)
                return c->width;
        for (size_t i = 0; i < n_rows; i++) {
                const char *s = cell_text(c, rows[i], buf, escaped);
                size_t n = s ? text_width(s) : 0;

                max = n > max ? n : max;
        }
        max += c->extra;
        return max > c->width ? max : c->width;
}

static void add_cell(StrBuf *b, const char *s, size_t width, bool is_right, bool is_last)
{
        static const char blanks[] = "                                                                ";
        size_t n = text_width(s), pad = width > n ? width - n : 0;

        if (!is_right)
                strbuf_adds(b, s);
        while (pad > 0 && (is_right || !is_last)) {
                size_t k = pad < sizeof(blanks) - 1 ? pad : sizeof(blanks) - 1;

                strbuf_add(b, blanks, k);
                pad -= k;
        }
        if (is_right)
                strbuf_adds(b, s);
}

static void add_row(StrBuf *b, const Column *columns, const size_t *widths, size_t n, json_object *row, StrBuf *escaped)
{
        char buf[OUTPUT_CELL_SIZE];

        for (size_t i = 0; i < n; i++) {
                const char *s = row ? cell_text(&columns[i], row, buf, escaped) : columns[i].title;

                if (!s)
                        break;
                if (i > 0)
                        strbuf_addc(b, ' ');
                add_cell(b, s, widths[i], columns[i].is_right, i + 1 == n);
        }
        strbuf_addc(b, '\n');
}

int output_table(FILE *f, const Column *columns, size_t n_columns, json_object *const *rows, size_t n_rows,
                 bool without_header)
{
        AUTO(freep) size_t *widths = calloc(n_columns, sizeof(*widths));
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf escaped = STRBUF_INIT;

        if (!widths)
                return -ENOMEM;
        for (size_t i = 0; i < n_columns; i++)
                widths[i] = column_width(&columns[i], rows, n_rows, &escaped);
        if (!without_header)
                add_row(&b, columns, widths, n_columns, NULL, &escaped);
        for (size_t i = 0; i < n_rows; i++)
                add_row(&b, columns, widths, n_columns, rows[i], &escaped);
        if (strbuf_error(&b) || strbuf_error(&escaped))
                return -ENOMEM;
        (void) fwrite(b.data ? b.data : "", 1, b.len, f);
        return 0;
}

int output_rows(json_object *array, json_object ***ret, size_t *ret_n)
{
        size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
        json_object **rows = calloc(n + 1, sizeof(*rows));

        if (!rows)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                rows[i] = json_object_array_get_idx(array, i);

        *ret = rows;
        *ret_n = n;
        return 0;
}

int output_object(FILE *f, json_object *o)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        char buf[OUTPUT_CELL_SIZE];
        size_t max = 0;

        if (!json_object_is_type(o, json_type_object))
                return 0;
        json_object_object_foreach (o, name, unused) {
                (void) unused;
                max = text_width(name) > max ? text_width(name) : max;
        }
        json_object_object_foreach (o, key, value) {
                output_escape(&b, key, false);
                strbuf_addc(&b, ':');
                for (size_t i = text_width(key); i <= max; i++)
                        strbuf_addc(&b, ' ');
                output_escape(&b, value ? output_scalar(value, buf) : "-", false);
                strbuf_addc(&b, '\n');
        }
        (void) fwrite(b.data ? b.data : "", 1, b.len, f);
        return strbuf_error(&b);
}
