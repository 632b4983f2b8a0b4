/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monitors are asked with JSON and answer with JSON, mostly: some answers begin with a newline, some are two documents
 * in a row (`osd blocklist ls`), some are words. Read is the first document; a cluster of another version may miss any
 * part of it, so every read of a part copes with its absence.
 */
#include "common-ceph/ceph-mon.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

/* --- documents */

json_object *ceph_mon_parse(const char *text, size_t length)
{
        json_tokener *t;
        json_object *o;

        while (length > 0 && isspace((unsigned char) *text)) {
                text++;
                length--;
        }
        if (length == 0 || length > INT32_MAX)
                return NULL;
        t = json_tokener_new();
        if (!t)
                return NULL;
        o = json_tokener_parse_ex(t, text, (int) length);
        if (json_tokener_get_error(t) != json_tokener_success) {
                (void) json_object_put(o);
                o = NULL;
        }
        json_tokener_free(t);
        return o;
}

json_object *ceph_json_get(json_object *o, const char *path)
{
        while (o && *path) {
                size_t n = strcspn(path, ".");
                char key[64];

                if (n >= sizeof(key) || !json_object_is_type(o, json_type_object))
                        return NULL;
                memcpy(key, path, n);
                key[n] = '\0';
                if (!json_object_object_get_ex(o, key, &o))
                        return NULL;
                path += n + (path[n] == '.');
        }
        return o;
}

const char *ceph_json_text(json_object *o, const char *path)
{
        o = ceph_json_get(o, path);
        return json_object_is_type(o, json_type_string) ? json_object_get_string(o) : NULL;
}

uint64_t ceph_json_uint(json_object *o, const char *path)
{
        o = ceph_json_get(o, path);
        if (json_object_is_type(o, json_type_int))
                return json_object_get_uint64(o);
        if (json_object_is_type(o, json_type_boolean))
                return (uint64_t) json_object_get_boolean(o);
        return json_object_is_type(o, json_type_double) && json_object_get_double(o) > 0
                       ? (uint64_t) json_object_get_double(o)
                       : 0;
}

json_object *ceph_json_find(json_object *array, const char *key, const char *text)
{
        size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *o = json_object_array_get_idx(array, i);
                const char *found = ceph_json_text(o, key);

                if (found && strcmp(found, text) == 0)
                        return o;
        }
        return NULL;
}

/* --- commands */

int ceph_mon_object(CephCluster *c, json_object *command, json_object **ret, STORAGED_ERR)
{
        const char *prefix = ceph_json_text(command, "prefix"), *text;
        char *out = NULL, *words = NULL;
        size_t out_length = 0, words_length = 0;
        int r;

        if (json_object_object_add(command, "format", json_object_new_string("json")) < 0)
                return error_set(err, -ENOMEM, "storage '%s': no memory", c->storage);
        text = json_object_to_json_string_ext(command, JSON_C_TO_STRING_PLAIN);
        r = rados_mon_command(c->rados, &text, 1, "", 0, &out, &out_length, &words, &words_length);
        if (r < 0 && words_length > 0 && r != -EACCES && r != -ETIMEDOUT)
                r = error_set(err, r, "storage '%s': the monitors refuse '%s': %.*s", c->storage, prefix,
                              (int) words_length, words);
        else if (r < 0)
                r = ceph_fail(c, r, err, "ask the monitors for '%s'", prefix);
        else if (ret)
                *ret = ceph_mon_parse(out, out_length);
        rados_buffer_free(out);
        rados_buffer_free(words);
        return r < 0 ? r : 0;
}

int ceph_mon(CephCluster *c, json_object **ret, STORAGED_ERR, const char *prefix, ...)
{
        AUTO(ceph_jsonp) json_object *command = json_object_new_object();
        va_list ap;

        if (!command || json_object_object_add(command, "prefix", json_object_new_string(prefix)) < 0)
                return error_set(err, -ENOMEM, "storage '%s': no memory", c->storage);
        va_start(ap, prefix);
        for (const char *key = va_arg(ap, const char *); key; key = va_arg(ap, const char *))
                (void) json_object_object_add(command, key, json_object_new_string(va_arg(ap, const char *)));
        va_end(ap);
        return ceph_mon_object(c, command, ret, err);
}
