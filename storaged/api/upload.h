/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The body of an upload: multipart/form-data, its file spooled to <lib>/upload as it comes, its checksum computed on
 * the way. Whatever happens the spool file goes with the Upload, unless it was handed on.
 */
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "api/params.h"
#include "base/paths.h"

typedef struct Upload Upload;

/* `boundary_type` is the Content-Type header. length: as announced, 0 unknown; -ENOSPC if that can't fit. */
int upload_new(Upload **ret, const Paths *paths, uint64_t length, struct storaged_error *err);
Upload *upload_free(Upload *u);
DEFINE_CLEANUP(Upload *, upload_free)
/* Removes what a killed daemon left in the spool. */
void upload_clean_spool(const Paths *paths);

/* A piece of a part's content, as libmicrohttpd's post processor gives them: file_name NULL for a plain field. */
void upload_take(Upload *u, const char *name, const char *file_name, const char *data, uint64_t offset, size_t len);
/* The first failure; later pieces are dropped. `text` for the body as a whole. */
void upload_fail(Upload *u, int code, const char *param, const char *text);
/* The body is whole: fields and `filename` into `params`; or the first failure. */
int upload_finish(Upload *u, Params *params, struct storaged_error *err);
/* Compares the checksum; -EINVAL (param checksum). */
int upload_verify(const Upload *u, const char *algorithm, const char *checksum, struct storaged_error *err);
/* Where the file is. Borrowed. */
const char *upload_get_path(const Upload *u);
uint64_t upload_get_size(const Upload *u);
/* From here on the file is somebody else's to remove. */
void upload_hand_over(Upload *u);
