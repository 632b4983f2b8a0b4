/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Commands of the monitors, in JSON both ways. */
#include <json-c/json.h>

#include "common-ceph/ceph-cluster.h"

static inline __attribute__((unused)) void ceph_jsonp(json_object **o)
{
        (void) json_object_put(*o);
}

/*
 * Asks the monitors: words are "prefix", "osd dump", then key, value, … of texts, ends with NULL. *ret (may be NULL) is
 * the answer's first JSON document, the caller's; NULL if there was none. The connection must be there. Return: 0, or
 * the monitors' negative errno with their words; a sentence as ceph_fail() makes it.
 */
int ceph_mon(CephCluster *c, json_object **ret, STORAGED_ERR, const char *prefix, ...) __attribute__((sentinel));
/* The same with a command of any shape; `format` is added. `command` is borrowed. */
int ceph_mon_object(CephCluster *c, json_object *command, json_object **ret, STORAGED_ERR);

/* The first JSON document of a monitors' answer, which may begin with a newline and be followed by another; NULL: none.
 * Pure. */
json_object *ceph_mon_parse(const char *text, size_t length);

/* Reads of a document: NULL, 0 where something is missing or of another type. Strings are borrowed. */
json_object *ceph_json_get(json_object *o, const char *path); /* "a.b.c" */
const char *ceph_json_text(json_object *o, const char *path);
uint64_t ceph_json_uint(json_object *o, const char *path);
/* The element of an array of objects whose `key` is this text. */
json_object *ceph_json_find(json_object *array, const char *key, const char *text);
