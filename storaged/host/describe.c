/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The self-description of a plugin: its declared data turned into JSON, nothing computed and nothing called.
 * From it come the checks of storage.cfg, the API schema, the CLI's help, the GUI's forms and the manual's tables.
 */
#include "host/describe.h"

#include "host/plugin.h"
#include "wire/json.h"
#include "wire/volname.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static void add_text(StrBuf *b, const char *key, const char *value)
{
        if (!value)
                return;
        jsonw_key(b, key);
        jsonw_string(b, value);
}

static void add_bool(StrBuf *b, const char *key, bool value)
{
        jsonw_key(b, key);
        jsonw_raw(b, value ? "true" : "false", value ? 4 : 5);
}

/* The words of a mask, in the order of the bits. */
static void add_mask(StrBuf *b, const char *key, uint32_t mask, const char *(*to_string)(uint32_t))
{
        jsonw_key(b, key);
        jsonw_array_begin(b);
        for (unsigned i = 0; i < 32; i++) {
                const char *word = mask & (UINT32_C(1) << i) ? to_string(UINT32_C(1) << i) : NULL;

                if (word)
                        jsonw_string(b, word);
        }
        jsonw_array_end(b);
}

static void add_list(StrBuf *b, const char *key, const char *const *items)
{
        jsonw_key(b, key);
        jsonw_array_begin(b);
        for (; items && *items; items++)
                jsonw_string(b, *items);
        jsonw_array_end(b);
}

/* "raw+size qcow2+size" as an array. */
static void add_words(StrBuf *b, const char *key, const char *words)
{
        StrList l = STRLIST_INIT;

        if (words && strlist_split(&l, words, " ") < 0)
                b->error = b->error ? b->error : -ENOMEM;
        add_list(b, key, (const char *const *) l.items);
        strlist_deinit(&l);
}

static const char *feature_to_string(uint32_t bit)
{
        static const char *const names[] = {
                "snapshot", "clone", "template", "copy", "sparseinit", "rename", "resize"
        };
        unsigned i = (unsigned) __builtin_ctz(bit);

        return i < LENGTH(names) ? names[i] : NULL;
}

static const char *sharing_to_string(uint32_t sharing)
{
        static const char *const names[] = { "no", "flag", "always" };

        return sharing < LENGTH(names) ? names[sharing] : "no";
}

static const char *property_type_to_string(uint32_t type)
{
        static const char *const names[] = { "standard", "string", "integer", "boolean", "enum" };

        return type < LENGTH(names) ? names[type] : "string";
}

static void add_property(StrBuf *b, const struct storaged_property *p)
{
        jsonw_object_begin(b);
        add_text(b, "name", p->name);
        add_text(b, "type", property_type_to_string(p->type));
        add_bool(b, "required", p->flags & STORAGED_PROPERTY_REQUIRED);
        add_bool(b, "fixed", p->flags & STORAGED_PROPERTY_FIXED);
        add_bool(b, "secret", p->flags & STORAGED_PROPERTY_SECRET);
        add_text(b, "format", p->format);
        if (p->type == STORAGED_PROPERTY_INTEGER && (p->min != 0 || p->max != 0)) {
                jsonw_key(b, "min");
                jsonw_int(b, p->min);
                jsonw_key(b, "max");
                jsonw_int(b, p->max);
        }
        if (p->max_length > 0) {
                jsonw_key(b, "max-length");
                jsonw_uint(b, p->max_length);
        }
        if (p->values)
                add_list(b, "values", p->values);
        add_text(b, "default", p->dflt);
        add_text(b, "description", p->description);
        jsonw_object_end(b);
}

static void add_properties(StrBuf *b, const char *key, const struct storaged_property *p)
{
        jsonw_key(b, key);
        jsonw_array_begin(b);
        for (; p && p->name; p++)
                add_property(b, p);
        jsonw_array_end(b);
}

static void add_features(StrBuf *b, const struct storaged_feature_row *f)
{
        jsonw_key(b, "features");
        jsonw_array_begin(b);
        for (; f->format; f++) {
                jsonw_object_begin(b);
                add_text(b, "format", f->format);
                add_bool(b, "base", f->is_base);
                add_mask(b, "current", f->current, feature_to_string);
                add_mask(b, "snap", f->snap, feature_to_string);
                add_words(b, "exports", f->exports);
                add_words(b, "exports-with-snapshots", f->exports_with_snapshots);
                add_text(b, "snapshot-method", f->snapshot_method ? f->snapshot_method : "storage");
                jsonw_object_end(b);
        }
        jsonw_array_end(b);
}

static void add_scan(StrBuf *b, const struct storaged_scan *scan)
{
        jsonw_key(b, "scan");
        jsonw_object_begin(b);
        add_properties(b, "params", scan->params);
        add_list(b, "columns", scan->columns);
        add_bool(b, "pad", scan->key_padding != 0);
        jsonw_object_end(b);
}

static void add_actions(StrBuf *b, const struct storaged_action *a)
{
        jsonw_key(b, "actions");
        jsonw_array_begin(b);
        for (; a->name; a++) {
                jsonw_object_begin(b);
                add_text(b, "name", a->name);
                add_text(b, "summary", a->summary);
                add_bool(b, "storage", a->flags & STORAGED_ACTION_STORAGE);
                add_bool(b, "read", a->flags & STORAGED_ACTION_READ);
                add_bool(b, "task", a->flags & STORAGED_ACTION_TASK);
                add_bool(b, "slow", a->flags & STORAGED_ACTION_SLOW);
                add_bool(b, "series", a->flags & STORAGED_ACTION_SERIES);
                add_properties(b, "params", a->params);
                jsonw_object_end(b);
        }
        jsonw_array_end(b);
}

static void add_operations(StrBuf *b, const struct storaged_plugin *ops)
{
        jsonw_key(b, "operations");
        jsonw_array_begin(b);
        for (const PluginOperation *o = plugin_operations; o->name; o++)
                if (o->is_shown && plugin_has(ops, o))
                        jsonw_string(b, o->name);
        jsonw_array_end(b);
}

void describe_plugin(const struct storaged_plugin *ops, StrBuf *b)
{
        jsonw_object_begin(b);
        jsonw_key(b, "abi");
        jsonw_uint(b, ops->abi);
        add_text(b, "name", ops->name);
        add_text(b, "version", ops->version);
        add_text(b, "summary", ops->summary);
        add_bool(b, "probed", ops->flags & STORAGED_PLUGIN_PROBED);
        add_text(b, "naming", naming_to_string(ops->naming));
        add_text(b, "sharing", sharing_to_string(ops->sharing));
        add_mask(b, "contents", ops->contents, content_to_string);
        add_mask(b, "default-contents", ops->default_contents, content_to_string);
        add_mask(b, "formats", ops->formats, format_to_string);
        add_text(b, "default-format", format_to_string(ops->default_format));
        add_properties(b, "properties", ops->properties);
        add_features(b, ops->features);
        if (ops->scan)
                add_scan(b, ops->scan_schema);
        if (ops->act)
                add_actions(b, ops->actions);
        add_operations(b, ops);
        jsonw_object_end(b);
}
