/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The types with their properties, for GET /schema: what forms and manuals are made of. */
#include "core/schema-parts.h"

#include "wire/json.h"
#include "wire/volname.h"

static json_object *mask_to_json(uint32_t mask, const char *(*to_string)(uint32_t))
{
        json_object *a = json_object_new_array();

        for (unsigned i = 0; a && i < 32; i++) {
                const char *word = mask & (UINT32_C(1) << i) ? to_string(UINT32_C(1) << i) : NULL;

                if (word)
                        json_object_array_add(a, json_object_new_string(word));
        }
        return a;
}

static json_object *property_to_json(const Property *p)
{
        json_object *o = json_object_new_object(), *values;

        if (!o)
                return NULL;
        (void) json_add_string(o, "name", p->name);
        (void) json_add_string(o, "type", schema_property_type_names[p->type]);
        (void) json_add_bool01(o, "required", p->flags & STORAGED_PROPERTY_REQUIRED);
        (void) json_add_bool01(o, "fixed", p->flags & STORAGED_PROPERTY_FIXED);
        (void) json_add_bool01(o, "secret", p->flags & STORAGED_PROPERTY_SECRET);
        (void) json_add_string(o, "format", p->format);
        if (p->min != 0 || p->max != 0) {
                (void) json_add_int(o, "min", p->min);
                if (p->max != INT64_MAX)
                        (void) json_add_int(o, "max", p->max);
        }
        if (p->max_length)
                (void) json_add_int(o, "max-length", p->max_length);
        if (p->values) {
                values = json_object_new_array();
                for (const char *const *v = p->values; values && *v; v++)
                        json_object_array_add(values, json_object_new_string(*v));
                (void) json_add(o, "values", values);
        }
        (void) json_add_string(o, "default", p->dflt);
        (void) json_add_string(o, "description", p->description);
        return o;
}

static json_object *type_to_json(const Type *t)
{
        json_object *o = json_object_new_object(), *properties = json_object_new_array();

        if (!o || !properties) {
                json_object_put(properties);
                return o;
        }
        (void) json_add_string(o, "type", t->name);
        (void) json_add_string(o, "summary", t->summary);
        (void) json_add_bool01(o, "plugin", t->has_plugin);
        if (t->has_plugin) {
                (void) json_add_string(o, "version", t->version);
                (void) json_add_string(o, "plugin-path", t->plugin_path);
        }
        (void) json_add_string(o, "naming", naming_to_string(t->naming));
        (void) json_add_string(o, "sharing", schema_sharing_names[t->sharing]);
        (void) json_add(o, "contents", mask_to_json(t->contents, content_to_string));
        (void) json_add(o, "default-contents", mask_to_json(t->default_contents, content_to_string));
        (void) json_add(o, "formats", mask_to_json(t->formats, format_to_string));
        (void) json_add_string(o, "default-format", format_to_string(t->default_format));
        for (size_t i = 0; i < t->n_properties; i++)
                json_object_array_add(properties, property_to_json(&t->properties[i]));
        (void) json_add(o, "properties", properties);
        for (size_t i = 0; t->description && i < 4; i++) {
                static const char *const verbatim[] = { "actions", "features", "scan", "operations" };
                json_object *v = json_get(t->description, verbatim[i]);

                if (v)
                        (void) json_add(o, verbatim[i], json_object_get(v));
        }
        return o;
}

json_object *schema_to_json(const Schema *s)
{
        json_object *o = json_object_new_object(), *types = json_object_new_array();

        for (size_t i = 0; types && i < s->n_types; i++)
                json_object_array_add(types, type_to_json(s->types[i]));
        if (!o || !types || json_add(o, "types", types) < 0) {
                if (!o)
                        json_object_put(types);
                json_object_put(o);
                return NULL;
        }
        return o;
}
