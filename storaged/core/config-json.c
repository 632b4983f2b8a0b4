/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration as JSON: as `pvesm config check` prints it, with lists as arrays, and as the API of
 * Proxmox VE gives it, with lists as text. Lines without effect are in neither. The file may hold any
 * bytes, JSON may not: what is not UTF-8 is shown as U+FFFD.
 */
#include "core/config-parts.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "wire/json.h"
#include "wire/volname.h"

static json_object *text_to_json(const char *s)
{
        StrBuf b = STRBUF_INIT;
        json_object *o = NULL;
        size_t n = 0;

        while (s[n] != '\0' && (unsigned char) s[n] < 0x80)
                n++;
        if (s[n] == '\0')
                return json_object_new_string(s);
        jsonw_string(&b, s);
        if (strbuf_error(&b) == 0)
                (void) json_parse(b.data, b.len, &o);
        strbuf_deinit(&b);
        return o;
}

/* Sticky: once `*r` is negative nothing more is added; `value` NULL means out of memory. */
static void add(json_object *o, const char *key, json_object *value, int *r)
{
        AUTO_JSON *clean = text_to_json(key);

        if (!value || !clean)
                *r = -ENOMEM;
        if (*r < 0)
                json_object_put(value);
        else
                *r = json_add(o, json_object_get_string(clean), value);
}

static json_object *strings_to_json(const StrList *l)
{
        json_object *a = json_object_new_array();

        for (size_t i = 0; a && i < l->n; i++)
                if ((i == 0 || strcmp(l->items[i], l->items[i - 1]) != 0) &&
                    json_object_array_add(a, text_to_json(l->items[i])) < 0) {
                        json_object_put(a);
                        return NULL;
                }
        return a;
}

static json_object *value_to_json(const StorageConfig *s, const ConfigPair *p)
{
        const Property *property = s->type ? type_find_property(s->type, p->key) : NULL;
        int64_t v;

        if (property && property->type == STORAGED_PROPERTY_BOOLEAN)
                return json_object_new_int(str_eq(p->value, "1"));
        if (str_eq(p->key, "shared") && p->is_default)
                return json_object_new_int(1);
        if (property && property->type == STORAGED_PROPERTY_INTEGER && parse_i64(p->value, &v) == 0)
                return json_object_new_int64(v);
        if (!s->type && p->value[0] == '\0')
                return json_object_new_string("1"); /* a flag */
        return text_to_json(p->value);
}

static json_object *content_to_json(const StorageConfig *s)
{
        AUTO(freep) char *text = content_mask_to_text(s->contents);
        StrList words = STRLIST_INIT;
        json_object *a = NULL;

        if (text && strlist_split(&words, text, ",") == 0)
                a = strings_to_json(&words);
        strlist_deinit(&words);
        return a;
}

/* The properties that count; `as_arrays`: content and nodes as such. */
static int add_properties(json_object *o, const StorageConfig *s, bool as_arrays)
{
        int r = 0;

        for (size_t i = 0; i < s->n_pairs && r == 0; i++) {
                const ConfigPair *p = &s->pairs[i];

                if (p->is_unknown && s->type)
                        continue;
                if (i > 0 && !s->type && str_eq(p->key, s->pairs[i - 1].key))
                        continue; /* the first counts */
                if (!s->type && (str_eq(p->key, "type") || str_eq(p->key, "storage") || str_eq(p->key, "digest")))
                        continue; /* not to be taken for ours */
                if (as_arrays && s->type && (str_eq(p->key, "content") || str_eq(p->key, "nodes")))
                        continue;
                add(o, p->key, value_to_json(s, p), &r);
        }
        if (as_arrays && s->type && r == 0)
                add(o, "content", content_to_json(s), &r);
        if (as_arrays && s->type && s->nodes.n > 0 && r == 0)
                add(o, "nodes", strings_to_json(&s->nodes), &r);
        if (s->broken && r == 0)
                add(o, "broken", text_to_json(s->broken), &r);
        return r;
}

json_object *storage_config_to_json(const StorageConfig *s)
{
        json_object *o = json_object_new_object();
        int r = 0;

        if (!o)
                return NULL;
        add(o, "type", text_to_json(s->type_name), &r);
        if (r == 0)
                r = add_properties(o, s, true);
        if (r < 0) {
                json_object_put(o);
                return NULL;
        }
        return o;
}

json_object *storage_config_to_api(const StorageConfig *s, const char *digest)
{
        json_object *o = json_object_new_object();
        int r = 0;

        if (!o)
                return NULL;
        add(o, "storage", text_to_json(s->id), &r);
        add(o, "type", text_to_json(s->type_name), &r);
        if (digest)
                add(o, "digest", json_object_new_string(digest), &r);
        if (r == 0)
                r = add_properties(o, s, false);
        if (r < 0) {
                json_object_put(o);
                return NULL;
        }
        return o;
}

static json_object *warnings_to_json(const Config *c)
{
        json_object *a = json_object_new_array();

        for (size_t i = 0; a && i < c->n_warnings; i++) {
                json_object *o = json_object_new_object();
                int r = o ? 0 : -ENOMEM;

                add(o, "line", json_object_new_int64(c->warnings[i].line), &r);
                add(o, "text", text_to_json(c->warnings[i].text), &r);
                if (r < 0 || json_object_array_add(a, o) < 0) {
                        json_object_put(o);
                        json_object_put(a);
                        return NULL;
                }
        }
        return a;
}

json_object *config_check_to_json(const Config *c)
{
        AUTO(freep) char *text = config_write(c);
        AUTO_JSON *o = json_object_new_object(), *ids = json_object_new_object(), *order = json_object_new_array();
        int r = 0;

        if (!text || !o || !ids || !order)
                return NULL;
        add(o, "digest", json_object_new_string(c->digest), &r);
        for (size_t i = 0; i < c->n_storages; i++) {
                add(ids, c->storages[i]->id, storage_config_to_json(c->storages[i]), &r);
                if (r == 0)
                        r = json_object_array_add(order, json_object_new_string(c->storages[i]->id));
        }
        add(o, "ids", TAKE(ids), &r);
        add(o, "order", TAKE(order), &r);
        add(o, "warnings", warnings_to_json(c), &r);
        add(o, "rewritten", text_to_json(text), &r);
        return r < 0 ? NULL : TAKE(o);
}
