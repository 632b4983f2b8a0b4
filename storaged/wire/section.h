/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The text form of storage.cfg (and its sisters): sections of `type: id` and indented `key value` lines.
 * Grammar only; what types and keys mean is core/config's. Reader and writer; pure; fuzzed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <storaged/error.h>

typedef struct SectionPair {
        char *key, *value; /* value "" for a flag without one */
        size_t value_len;  /* may be more than strlen(value): a value can hold NUL bytes */
        unsigned line;
        bool has_value;
} SectionPair;

typedef struct Section {
        char *type, *id; /* type lower-cased */
        unsigned line;
        SectionPair *pairs;
        size_t n_pairs;
} Section;

typedef struct SectionWarning {
        unsigned line; /* 1-based; 0: the whole file */
        char *text;
} SectionWarning;

typedef struct SectionFile {
        Section *sections;
        size_t n_sections;
        SectionWarning *warnings;
        size_t n_warnings;
} SectionFile;

#define SECTION_WARNINGS_MAX 1000u
#define SECTION_FILE_INIT \
        (SectionFile)     \
        {                 \
                0         \
        }

/* Any bytes; what can't be read becomes a warning with its line. 0 or -ENOMEM. */
int section_file_parse(const char *text, size_t len, SectionFile *ret);
void section_file_deinit(SectionFile *f);
/* Keeps the first SECTION_WARNINGS_MAX, then says once that there are more. Control characters become `?`. */
int section_file_warn(SectionFile *f, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
