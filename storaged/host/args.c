/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The edge between the daemon's JSON and the plugin's C. What every plugin would have to refuse is refused here, once:
 * names that leave their directory, sizes that overflow, snapshots named like paths. What depends on the storage is
 * left to the plugin.
 */
#include "host/args.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "wire/volname.h"

#define NAME_BYTES_MAX 255 /* NAME_MAX of every file system there is */
#define SNAPSHOT_BYTES_MAX 128

int args_string(json_object *args, const char *key, const char **ret, struct storaged_error *err)
{
        const char *s = json_get_string(args, key);

        if (!s)
                return error_set_param(err, -EINVAL, key, "%s is missing or not a text", key);
        *ret = s;
        return 0;
}

int args_volume(json_object *args, uint32_t naming, struct storaged_volname *ret, struct storaged_error *err)
{
        struct storaged_volname v = { .size = sizeof(v) };
        const char *volname = NULL;
        int r;

        r = args_string(args, "volume", &volname, err);
        if (r < 0)
                return r;
        r = volname_parse(naming, volname, &v, err);
        if (r < 0)
                return r;
        *ret = v;
        ret->size = sizeof(*ret);
        return 0;
}

bool args_is_snapshot(const char *name)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
        size_t n = strlen(name);

        return n > 0 && n <= SNAPSHOT_BYTES_MAX && strspn(name, allowed) == n && name[0] != '-' && name[0] != '.';
}

int args_snapshot(json_object *args, bool is_required, const char **ret, struct storaged_error *err)
{
        const char *s = NULL;
        int r;

        if (!json_get(args, "snapshot") && !is_required) {
                *ret = NULL;
                return 0;
        }
        r = args_string(args, "snapshot", &s, err);
        if (r < 0)
                return r;
        if (!args_is_snapshot(s))
                return error_set_param(err, -EINVAL, "snapshot",
                                       "'%.140s' can't name a snapshot: letters, digits, _ - . up to "
                                       "%d, a letter, digit or _ first",
                                       s, SNAPSHOT_BYTES_MAX);
        *ret = s;
        return 0;
}

int args_vmid(json_object *args, uint32_t *ret, struct storaged_error *err)
{
        uint64_t v = json_get_uint(args, "vmid", 0);

        if (v < 100 || v > 999999999)
                return error_set_param(err, -EINVAL, "vmid", "vmid is missing or not from 100 to 999999999");
        *ret = (uint32_t) v;
        return 0;
}

int args_size(json_object *args, bool may_be_zero, uint64_t *ret, struct storaged_error *err)
{
        uint64_t v = json_get_uint(args, "size", UINT64_MAX);

        if (v > INT64_MAX)
                return error_set_param(err, -EINVAL, "size", "size is missing or not from 0 to 2^63 - 1 bytes");
        if (v == 0 && !may_be_zero)
                return error_set_param(err, -EINVAL, "size", "size must be greater than 0");
        if (v % 1024 != 0)
                return error_set_param(err, -EINVAL, "size", "size %llu is not a multiple of 1024 bytes",
                                       (unsigned long long) v);
        *ret = v;
        return 0;
}

int args_name(json_object *args, const char *key, const char **ret, struct storaged_error *err)
{
        const char *s = NULL;
        int r;

        if (!json_get(args, key)) {
                *ret = NULL;
                return 0;
        }
        r = args_string(args, key, &s, err);
        if (r < 0)
                return r;
        if (!*s || strlen(s) > NAME_BYTES_MAX || strchr(s, '/') || s[0] == '.' || s[0] == '-' || str_has_control(s))
                return error_set_param(err, -EINVAL, key,
                                       "%s must be a name of 1 to %d bytes without / and control characters, "
                                       "not beginning with . or -",
                                       key, NAME_BYTES_MAX);
        *ret = s;
        return 0;
}

int args_stream_format(json_object *args, const char **ret, struct storaged_error *err)
{
        const char *s = NULL;
        int r = args_string(args, "format", &s, err);

        if (r < 0)
                return r;
        if (!*s || strlen(s) > 32 || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789+") != strlen(s))
                return error_set_param(err, -EINVAL, "format", "'%.40s' is no stream format; raw+size is one", s);
        *ret = s;
        return 0;
}

int args_absolute_path(json_object *args, const char *key, const char **ret, struct storaged_error *err)
{
        const char *s = NULL;
        int r = args_string(args, key, &s, err);

        if (r < 0)
                return r;
        if (s[0] != '/')
                return error_set_param(err, -EINVAL, key, "%s must be an absolute path, not '%.200s'", key, s);
        *ret = s;
        return 0;
}

void args_config_deinit(ArgsConfig *c)
{
        free(c->pairs);
        *c = (ArgsConfig){ 0 };
}

static int value_to_text(const char *key, json_object *value, const char **ret, struct storaged_error *err)
{
        switch (json_object_get_type(value)) {
        case json_type_boolean:
                *ret = json_object_get_boolean(value) ? "1" : "0";
                return 0;
        case json_type_string:
                if (strlen(json_object_get_string(value)) != (size_t) json_object_get_string_len(value))
                        return error_set_param(err, -EINVAL, key, "%s holds a NUL byte", key);
                *ret = json_object_get_string(value);
                return 0;
        case json_type_int:
        case json_type_double:
                *ret = json_object_get_string(value);
                return *ret ? 0 : -ENOMEM;
        default:
                return error_set_param(err, -EINVAL, key, "%s is neither text nor number nor boolean", key);
        }
}

static int config_add(ArgsConfig *c, const char *what, json_object *o, struct storaged_error *err)
{
        struct storaged_pair *p;

        if (!o)
                return 0;
        if (!json_object_is_type(o, json_type_object))
                return error_set_param(err, -EINVAL, what, "%s is not an object", what);
        p = reallocarray(c->pairs, c->config.n_pairs + (size_t) json_object_object_length(o) + 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        c->config.pairs = c->pairs = p;
        json_object_object_foreach (o, key, value) {
                const char *text = NULL;
                int r;

                if (!value)
                        continue;
                r = value_to_text(key, value, &text, err);
                if (r < 0)
                        return r;
                c->pairs[c->config.n_pairs++] = (struct storaged_pair){ key, text };
        }
        return 0;
}

int args_config(json_object *args, ArgsConfig *ret, struct storaged_error *err)
{
        AUTO(args_config_deinit) ArgsConfig c = { .config = { .size = sizeof(c.config) } };
        int r;

        r = args_string(args, "storage", &c.config.storage, err);
        if (r >= 0)
                r = config_add(&c, "config", json_get(args, "config"), err);
        if (r >= 0)
                r = config_add(&c, "secrets", json_get(args, "secrets"), err);
        if (r < 0)
                return r;
        *ret = c;
        c = (ArgsConfig){ 0 };
        return 0;
}

int args_params(json_object *args, ArgsConfig *ret, struct storaged_error *err)
{
        AUTO(args_config_deinit) ArgsConfig c = { .config = { .size = sizeof(c.config), .storage = "" } };
        int r = config_add(&c, "args", args, err);

        if (r < 0)
                return r;
        *ret = c;
        c = (ArgsConfig){ 0 };
        return 0;
}
