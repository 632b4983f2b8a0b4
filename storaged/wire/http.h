/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The parts of HTTP that are bytes: targets, percent-encoding, forms, media types, and what json-c can't tell of a
 * JSON body. Pure; trusts nothing; fuzzed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>

/* A part of somebody else's text. */
typedef struct Slice {
        const char *data;
        size_t len;
} Slice;

/* Path and query of a request target, still encoded; `query` is empty without a `?`. A fragment is cut off. */
void http_split_target(const char *target, Slice *ret_path, Slice *ret_query);

/*
 * Undoes percent-encoding. -EINVAL for a `%` without two hex digits, for a NUL byte (encoded or not) and for text
 * that is not UTF-8; -ENOMEM. *ret is the caller's to free.
 */
int http_decode(const char *s, size_t len, bool plus_is_space, char **ret);

/*
 * The next name=value of a form or query; `rest` moves behind it. 1 with both filled (the caller's to free), 0 at the
 * end, -EINVAL with *ret_name filled if only the value is bad and NULL if the name is, -ENOMEM.
 */
int http_form_next(Slice *rest, char **ret_name, char **ret_value);

/* True if the Content-Type `header` (may be NULL) names that media type, whatever parameters follow. */
bool http_is_media_type(const char *header, const char *type);

/*
 * True if two members of the outermost object of this JSON text (known to be well-formed) have names written alike;
 * json-c silently takes the last. The name as written goes to ret_name.
 */
bool http_json_find_duplicate(const char *text, size_t len, Slice *ret_name);

/* A file's name as Proxmox VE takes it at an upload: the last part of a path, with _ for what is not [A-Za-z0-9_.-].
 * -EINVAL if nothing usable is left, -ENAMETOOLONG; *ret is the caller's to free. */
int http_normalize_filename(const char *name, char **ret);
