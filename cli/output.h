/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What pvesm prints: values as json and yaml, tables, and texts of others made harmless. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <json-c/json.h>

#include "base/str.h"

enum output_format {
        OUTPUT_TEXT,
        OUTPUT_JSON,
        OUTPUT_JSON_PRETTY,
        OUTPUT_YAML,
};

/* -EINVAL if there is no such format. */
int output_format_from_string(const char *s, enum output_format *ret);

/* One value in a format other than text, a newline behind it. 0 or -ENOMEM. */
int output_value(FILE *f, json_object *value, enum output_format format);
/* As YAML, from column 0. */
void output_yaml(StrBuf *b, json_object *value);

/*
 * Appends `s` with control characters and bytes that are not UTF-8 as \xNN; newline and tab stay if
 * `is_text` (of more than one line).
 */
void output_escape(StrBuf *b, const char *s, bool is_text);
/* A text of the daemon's: escaped on a terminal, as it is elsewhere. */
void output_text(FILE *f, const char *s);

/*
 * A column. The cell is the member `key`, or what `cell` makes of the row (into `buf`, or borrowed); NULL
 * ends the line there. Width: that of the longest cell, of the title too if fits_title, plus `extra`; never less
 * than `width`. The last column, if it is a left one, is not padded.
 */
#define OUTPUT_CELL_SIZE 64

typedef struct Column {
        const char *title;
        const char *key;
        const char *(*cell)(json_object *row, char buf[OUTPUT_CELL_SIZE]);
        size_t width, extra;
        bool is_fixed; /* `width` is all: a longer cell pushes */
        bool is_right;
        bool fits_title;
} Column;

/* `rows` in the order of the lines. Titles unless without_header. Every cell ends up on one line. */
int output_table(FILE *f, const Column *columns, size_t n_columns, json_object *const *rows, size_t n_rows,
                 bool without_header);
/* The rows of a JSON array (borrowed), the caller's to free; NULL and 0 for anything else; -ENOMEM. */
int output_rows(json_object *array, json_object ***ret, size_t *ret_n);
/* `key: value` lines, the keys aligned; -ENOMEM or 0. */
int output_object(FILE *f, json_object *o);
/* The text of any scalar; "" for null; numbers into `buf`. */
const char *output_scalar(json_object *v, char buf[OUTPUT_CELL_SIZE]);
