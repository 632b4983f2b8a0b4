/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plugin's declared parameters as rows of a route's table; then they are checked as any other. */
#include "api/declared.h"

#include <errno.h>

#include "wire/json.h"

#define DECLARED_MAX 32u

/* The words of an enum stay with core's own check of the property. */
static ParamSpec declared_param(json_object *declared)
{
        const char *type = json_get_string(declared, "type");
        ParamSpec spec = {
                .name = json_get_string(declared, "name"),
                .flags = json_get_bool(declared, "required", false) ? PARAM_REQUIRED : 0,
                .min = json_get_int(declared, "min", 0),
                .max = json_get_int(declared, "max", 0),
                .max_length = (uint32_t) json_get_uint(declared, "max-length", 0),
                .description = json_get_string(declared, "description"),
        };

        if (str_eq(type, "integer"))
                spec.type = PARAM_INTEGER;
        else if (str_eq(type, "boolean"))
                spec.type = PARAM_BOOLEAN;
        return spec;
}

/* A word of those that the declaration lists. */
static int check_values(json_object *declared, const Params *given, struct storaged_error *err)
{
        const char *name = json_get_string(declared, "name");
        json_object *values = json_get(declared, "values");
        const char *value = name ? params_get(given, name) : NULL;

        for (size_t i = 0; value && i < json_object_array_length(values); i++)
                if (str_eq(value, json_object_get_string(json_object_array_get_idx(values, i))))
                        return 0;
        return value ? error_set_param(err, -EINVAL, name, "'%s' is none of %s", value,
                                       json_object_to_json_string(values))
                     : 0;
}

int declared_check(const Type *type, json_object *declared, const Params *given, DeclaredArgs *ret,
                   struct storaged_error *err)
{
        ParamSpec specs[DECLARED_MAX + 1] = { 0 };
        int r;

        for (size_t i = 0, k = 0; declared && i < json_object_array_length(declared) && k < DECLARED_MAX; i++) {
                specs[k] = declared_param(json_object_array_get_idx(declared, i));
                k += specs[k].name != NULL;
        }
        r = params_check(given, specs, false, err);
        for (size_t i = 0; declared && r >= 0 && i < json_object_array_length(declared); i++) {
                json_object *o = json_object_array_get_idx(declared, i);

                if (json_object_is_type(json_get(o, "values"), json_type_array))
                        r = check_values(o, given, err);
        }
        for (size_t i = 0; r >= 0 && i < given->n; i++) {
                const Property *p = type_find_property(type, given->items[i].name);
                struct storaged_pair pair = { given->items[i].name, given->items[i].value };

                r = p ? property_check(p, pair.value, err) : 0;
                if (r >= 0)
                        r = VEC_PUSH(ret, pair);
        }
        return r < 0 ? r : 0;
}
