/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parameters, from bytes to checked texts. Wherever a value comes from, it ends as one text under one name; a second
 * one of that name is refused, because two readers of a request must not see different values. Invariant: no value
 * holds a NUL or broken UTF-8 (wire/http, wire/json see to it), and after params_check() none holds a control
 * character but the line breaks of PARAM_MULTILINE.
 */
#include "api/params.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "wire/json.h"

void params_deinit(Params *p)
{
        for (size_t i = 0; i < p->n; i++) {
                free(p->items[i].name);
                free(p->items[i].value);
        }
        VEC_DEINIT(p);
}

static const Param *params_find(const Params *p, const char *name)
{
        for (size_t i = 0; i < p->n; i++)
                if (str_eq(p->items[i].name, name))
                        return &p->items[i];
        return NULL;
}

const char *params_get(const Params *p, const char *name)
{
        const Param *found = params_find(p, name);

        return found ? found->value : NULL;
}

static bool name_is_valid(const char *name)
{
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

        return len > 0 && len <= PARAM_NAME_MAX && name[len] == '\0';
}

/* Takes `value` in any case. */
static int params_take(Params *p, const char *name, char *value, bool is_array, struct storaged_error *err)
{
        Param item = { .value = value, .is_array = is_array };
        int r = -EINVAL;

        if (!name_is_valid(name))
                r = error_set(err, r, "a parameter's name must be 1 to %u letters, digits, - and _", PARAM_NAME_MAX);
        else if (params_find(p, name))
                r = error_set_param(err, r, name, "is given more than once");
        else if (p->n >= PARAMS_MAX)
                r = error_set(err, r, "more than %u parameters", PARAMS_MAX);
        else
                r = (item.name = strdup(name)) ? VEC_PUSH(p, item) : -ENOMEM;
        if (r < 0) {
                free(item.name);
                free(value);
        }
        return r;
}

int params_add(Params *p, const char *name, const char *value, struct storaged_error *err)
{
        char *copy = strdup(value);

        return copy ? params_take(p, name, copy, false, err) : -ENOMEM;
}

int params_add_form(Params *p, const char *text, size_t len, struct storaged_error *err)
{
        Slice rest = { text, len };
        int r;

        for (;;) {
                AUTO(freep) char *name = NULL;
                AUTO(freep) char *value = NULL;

                r = http_form_next(&rest, &name, &value);
                if (r == -EINVAL && name && name_is_valid(name))
                        return error_set_param(err, r, name,
                                               "is not UTF-8 text in percent-encoding, or holds a NUL byte");
                if (r == -EINVAL)
                        return error_set(err, r, "the name of a parameter is not UTF-8 text in percent-encoding");
                if (r <= 0)
                        return r;
                r = params_take(p, name, TAKE(value), false, err);
                if (r < 0)
                        return r;
        }
}

/* The text of a JSON scalar into `b`. */
static int add_scalar(StrBuf *b, const char *name, json_object *value, struct storaged_error *err)
{
        const char *s;

        switch (json_object_get_type(value)) {
        case json_type_string:
                s = json_object_get_string(value);
                if (strlen(s) != (size_t) json_object_get_string_len(value))
                        return error_set_param(err, -EINVAL, name, "holds a NUL byte");
                strbuf_adds(b, s);
                return 0;
        case json_type_int: /* 2^63 and above saturate in the signed getter: the text keeps the digits */
                strbuf_adds(b, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
                return 0;
        case json_type_boolean:
                strbuf_adds(b, json_object_get_boolean(value) ? "1" : "0");
                return 0;
        default:
                return error_set_param(err, -EINVAL, name,
                                       "must be a string, an integer, a boolean or a list of these");
        }
}

static int add_array(StrBuf *b, const char *name, json_object *array, struct storaged_error *err)
{
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                size_t start = b->len + (i > 0);
                int r;

                if (i > 0)
                        strbuf_addc(b, ',');
                r = add_scalar(b, name, json_object_array_get_idx(array, i), err);
                if (r < 0)
                        return r;
                if (b->len <= start || memchr(b->data + start, ',', b->len - start))
                        return error_set_param(err, -EINVAL, name, "items of a list must not be empty or hold a comma");
        }
        return 0;
}

static int add_member(Params *p, const char *name, json_object *value, struct storaged_error *err)
{
        bool is_array = json_object_is_type(value, json_type_array);
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        char *text;
        int r;

        r = is_array ? add_array(&b, name, value, err) : add_scalar(&b, name, value, err);
        if (r < 0)
                return r;
        text = strbuf_take(&b);
        return text ? params_take(p, name, text, is_array, err) : -ENOMEM;
}

int params_add_json(Params *p, const char *text, size_t len, struct storaged_error *err)
{
        AUTO_JSON *body = NULL;
        Slice twice;
        int r;

        r = json_parse(text, len, &body);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !json_object_is_type(body, json_type_object))
                return error_set(err, -EINVAL, "the body is not a JSON object");
        if (http_json_find_duplicate(text, len, &twice)) {
                AUTO(freep) char *name = strndup(twice.data, twice.len < PARAM_NAME_MAX ? twice.len : PARAM_NAME_MAX);

                return name ? error_set_param(err, -EINVAL, name, "is given more than once") : -ENOMEM;
        }
        json_object_object_foreach (body, key, value) {
                r = name_is_valid(key)
                            ? add_member(p, key, value, err)
                            : error_set(err, -EINVAL, "a parameter's name must be 1 to %u letters, digits, - and _",
                                        PARAM_NAME_MAX);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_bad_control(const char *s, bool is_multiline)
{
        for (; *s; s++)
                if (((unsigned char) *s < 0x20 || *s == 0x7f) && !(is_multiline && strchr("\n\r\t", *s)))
                        return true;
        return false;
}

static int check_integer(const ParamSpec *spec, const char *value, struct storaged_error *err)
{
        bool is_limited = spec->min != 0 || spec->max != 0;
        int64_t v;
        int r = parse_i64(value, &v);

        if (r == -ERANGE)
                return error_set_param(err, -EINVAL, spec->name, "number is too large");
        if (r < 0)
                return error_set_param(err, -EINVAL, spec->name, "type check ('integer') failed - got '%s'", value);
        if (is_limited && v < spec->min)
                return error_set_param(err, -EINVAL, spec->name, "value must have a minimum value of %lld",
                                       (long long) spec->min);
        if (is_limited && v > spec->max)
                return error_set_param(err, -EINVAL, spec->name, "value must have a maximum value of %lld",
                                       (long long) spec->max);
        return 0;
}

static int check_word(const ParamSpec *spec, const char *word, struct storaged_error *err)
{
        AUTO(strbuf_deinit) StrBuf known = STRBUF_INIT;

        for (size_t i = 0; spec->values[i]; i++) {
                if (str_eq(spec->values[i], word))
                        return 0;
                strbuf_addf(&known, "%s%s", i > 0 ? ", " : "", spec->values[i]);
        }
        return error_set_param(err, -EINVAL, spec->name, "value '%s' does not have a value in the enumeration '%s'",
                               word, known.data ? known.data : "");
}

static int check_enum(const ParamSpec *spec, const char *value, struct storaged_error *err)
{
        AUTO(strlist_deinit) StrList words = STRLIST_INIT;
        int r;

        if (!(spec->flags & PARAM_LIST))
                return check_word(spec, value, err);
        r = strlist_split(&words, value, ",; ");
        if (r >= 0 && words.n == 0)
                return error_set_param(err, -EINVAL, spec->name, "the list is empty");
        for (size_t i = 0; r >= 0 && i < words.n; i++)
                r = check_word(spec, words.items[i], err);
        return r;
}

static int check_size(const ParamSpec *spec, const char *value, struct storaged_error *err)
{
        bool is_relative = (spec->flags & PARAM_SIGNED_SIZE) && value[0] == '+';
        uint64_t bytes;
        int r = parse_alloc_size(value + is_relative, &bytes);

        if (r == -ERANGE)
                return error_set_param(err, -EINVAL, spec->name, "size '%s' is too large", value);
        if (r < 0)
                return error_set_param(err, -EINVAL, spec->name,
                                       "'%s' is no size: a whole number of KiB, or with M or G behind it", value);
        return 0;
}

static int check_name(const ParamSpec *spec, const char *value, struct storaged_error *err)
{
        if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(value) ||
            value[0] == '-' || value[0] == '.')
                return error_set_param(err, -EINVAL, spec->name, "'%s' is no name: letters, digits, '-', '_', '.'",
                                       value);
        return 0;
}

int param_check(const ParamSpec *spec, const char *value, struct storaged_error *err)
{
        uint32_t max_length = spec->max_length > 0 ? spec->max_length : PARAM_LENGTH_MAX, vmid;
        bool flag;

        if (strlen(value) > max_length)
                return error_set_param(err, -EINVAL, spec->name, "value may only be %u bytes long", max_length);
        if (has_bad_control(value, spec->flags & PARAM_MULTILINE))
                return error_set_param(err, -EINVAL, spec->name, "line breaks and control characters are not allowed");
        if (!*value)
                return spec->flags & PARAM_EMPTY ? 0
                                                 : error_set_param(err, -EINVAL, spec->name, "value must not be empty");
        switch (spec->type) {
        case PARAM_STRING:
                return 0;
        case PARAM_INTEGER:
                return check_integer(spec, value, err);
        case PARAM_BOOLEAN:
                return parse_bool(value, &flag) >= 0
                               ? 0
                               : error_set_param(err, -EINVAL, spec->name, "type check ('boolean') failed - got '%s'",
                                                 value);
        case PARAM_ENUM:
                return check_enum(spec, value, err);
        case PARAM_SIZE:
                return check_size(spec, value, err);
        case PARAM_NAME:
                return check_name(spec, value, err);
        case PARAM_VMID:
                return parse_vmid(value, strlen(value), &vmid) >= 0
                               ? 0
                               : error_set_param(err, -EINVAL, spec->name, "'%s' is no VMID: 100 to 999999999", value);
        }
        return error_set_param(err, -EINVAL, spec->name, "has an unknown type");
}

const ParamSpec *param_spec_find(const ParamSpec *specs, const char *name)
{
        for (const ParamSpec *s = specs; s && s->name; s++)
                if (str_eq(s->name, name))
                        return s;
        return NULL;
}

int params_check(const Params *p, const ParamSpec *specs, bool any_other, struct storaged_error *err)
{
        for (size_t i = 0; i < p->n; i++) {
                const Param *param = &p->items[i];
                const ParamSpec *spec = param_spec_find(specs, param->name);
                /* What the table does not know is judged by its owner; here it only has to be one harmless text. */
                const ParamSpec other = { .name = param->name, .type = PARAM_STRING, .flags = PARAM_EMPTY };
                int r;

                if (!spec && !any_other)
                        return error_set_param(
                                err, -EINVAL, param->name,
                                "property is not defined in schema and the schema does not allow additional "
                                "properties");
                if (!spec)
                        spec = &other;
                if (param->is_array && !(spec->flags & PARAM_LIST))
                        return error_set_param(err, -EINVAL, param->name, "must be one value, not a list");
                r = param_check(spec, param->value, err);
                if (r < 0)
                        return r;
        }
        for (const ParamSpec *s = specs; s && s->name; s++)
                if ((s->flags & PARAM_REQUIRED) && !params_find(p, s->name))
                        return error_set_param(err, -EINVAL, s->name, "property is missing and it is not optional");
        return 0;
}

bool params_get_bool(const Params *p, const char *name, bool dflt)
{
        const char *value = params_get(p, name);
        bool v;

        return value && parse_bool(value, &v) >= 0 ? v : dflt;
}

int64_t params_get_int(const Params *p, const char *name, int64_t dflt)
{
        const char *value = params_get(p, name);
        int64_t v;

        return value && parse_i64(value, &v) >= 0 ? v : dflt;
}

static int add_list(json_object *args, const ParamSpec *spec, const char *value)
{
        AUTO(strlist_deinit) StrList words = STRLIST_INIT;
        AUTO_JSON *array = json_object_new_array();
        int r = array ? strlist_split(&words, value, ",; ") : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < words.n; i++)
                r = json_object_array_add(array, json_object_new_string(words.items[i])) < 0 ? -ENOMEM : 0;
        return r < 0 ? r : json_add(args, spec->arg, TAKE(array));
}

static int add_arg(json_object *args, const Params *p, const ParamSpec *spec, const char *value)
{
        uint64_t bytes = 0;

        switch (spec->type) {
        case PARAM_INTEGER:
        case PARAM_VMID:
                return json_add_int(args, spec->arg, params_get_int(p, spec->name, 0));
        case PARAM_BOOLEAN:
                return json_add(args, spec->arg, json_object_new_boolean(params_get_bool(p, spec->name, false)));
        case PARAM_SIZE:
                (void) parse_alloc_size(value, &bytes); /* has passed the check */
                return json_add_uint(args, spec->arg, bytes);
        case PARAM_STRING:
        case PARAM_ENUM:
        case PARAM_NAME:
                break;
        }
        return spec->flags & PARAM_LIST ? add_list(args, spec, value) : json_add_string(args, spec->arg, value);
}

json_object *params_to_args(const Params *p, const ParamSpec *specs)
{
        AUTO_JSON *args = json_object_new_object();
        int r = args ? 0 : -ENOMEM;

        for (const ParamSpec *s = specs; r >= 0 && s && s->name; s++) {
                const char *value = s->arg ? params_get(p, s->name) : NULL;

                if (value)
                        r = add_arg(args, p, s, value);
        }
        return r < 0 ? NULL : TAKE(args);
}

json_object *param_spec_to_json(const ParamSpec *spec)
{
        static const char *const types[] = {
                [PARAM_STRING] = "string", [PARAM_INTEGER] = "integer", [PARAM_BOOLEAN] = "boolean",
                [PARAM_ENUM] = "enum",     [PARAM_SIZE] = "size",       [PARAM_VMID] = "integer",
                [PARAM_NAME] = "string"
        };
        bool is_vmid = spec->type == PARAM_VMID;
        AUTO_JSON *o = json_object_new_object();
        AUTO_JSON *values = spec->values ? json_object_new_array() : NULL;
        int r;

        if (!o || (spec->values && !values))
                return NULL;
        r = json_add_string(o, "type", types[spec->type]);
        if (r >= 0)
                r = json_add_bool01(o, "optional", !(spec->flags & PARAM_REQUIRED));
        if (r >= 0 && (spec->flags & PARAM_LIST))
                r = json_add_bool01(o, "list", true);
        if (r >= 0 && (is_vmid || spec->min != 0 || spec->max != 0))
                r = json_add_int(o, "minimum", is_vmid ? 100 : spec->min);
        if (r >= 0 && (is_vmid || spec->min != 0 || spec->max != 0))
                r = json_add_int(o, "maximum", is_vmid ? 999999999 : spec->max);
        if (r >= 0 && (spec->type == PARAM_STRING || spec->type == PARAM_NAME))
                r = json_add_int(o, "maxLength", spec->max_length > 0 ? spec->max_length : PARAM_LENGTH_MAX);
        for (size_t i = 0; r >= 0 && values && spec->values[i]; i++)
                r = json_object_array_add(values, json_object_new_string(spec->values[i]));
        if (r >= 0 && values)
                r = json_add(o, "enum", TAKE(values));
        if (r >= 0)
                r = json_add_string(o, "description", spec->description);
        return r < 0 ? NULL : TAKE(o);
}
