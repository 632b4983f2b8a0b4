/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Volumes as JSON rows; many of them sorted, in little more memory than their text. */
#include <stddef.h>
#include <stdint.h>

#include <storaged/types.h>

#include "base/str.h"
#include "base/vec.h"

/* One object; `path` NULL: without it. */
void row_write(StrBuf *b, const char *storage, const struct storaged_volume *volume, const char *path);

typedef struct Row {
        size_t name, json, json_len; /* offsets into the two texts below */
} Row;

typedef struct Rows {
        StrBuf names, json;
        VEC(Row) rows;
} Rows;

void rows_deinit(Rows *r);
/* 0, -ENOMEM. */
int rows_add(Rows *r, const char *storage, const struct storaged_volume *volume);
/* All as an array, by name without regard to case. 0, -ENOMEM. */
int rows_write(Rows *r, StrBuf *b);
