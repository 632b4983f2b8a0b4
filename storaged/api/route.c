/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Matching. A path is cut at its slashes while it is still percent-encoded, so that %2F never opens a new part;
 * what stands in braces is decoded afterwards and must be what its name says before any handler runs. The table is
 * short enough to be searched row by row. Words of a pattern win over braces by their order in the tables.
 */
#include "api/route.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"
#include "wire/volname.h"

static const Route *const tables[] = { schema_routes, storage_routes, node_routes,    content_routes, volume_routes,
                                       task_routes,   scan_routes,    config_routes,  action_routes,  migrate_routes,
                                       lun_routes,    ceph_routes,    cluster_routes, vg_routes };

/* The parts of paths, the same on all routes. */
static const ParamSpec path_params[] = {
        { .name = "node",
          .flags = PARAM_REQUIRED,
          .max_length = 63,
          .description = "Name of the node, or localhost for the one that is asked." },
        { .name = "storage",
          .flags = PARAM_REQUIRED,
          .max_length = STORAGE_ID_MAX - 1,
          .description = "Id of the storage." },
        { .name = "volume",
          .flags = PARAM_REQUIRED,
          .description = "Volume id or the volume's name; slashes may be percent-encoded or not." },
        { .name = "upid", .flags = PARAM_REQUIRED, .max_length = 512, .description = "Id of the task." },
        { .name = "type", .flags = PARAM_REQUIRED, .max_length = 63, .description = "Type of storage." },
        { .name = "action", .flags = PARAM_REQUIRED, .max_length = 63, .description = "An action that the type has." },
        { .name = "wwid", .flags = PARAM_REQUIRED, .max_length = 255, .description = "A LUN's WWID." },
        { .name = "vgname",
          .type = PARAM_NAME,
          .flags = PARAM_REQUIRED,
          .max_length = 127,
          .description = "A volume group." },
        { .name = "pool", .flags = PARAM_REQUIRED, .max_length = 128, .description = "Name of a Ceph pool." },
        { .name = "osdid", .flags = PARAM_REQUIRED, .max_length = 16, .description = "Number of an OSD." },
        { .name = "flag", .flags = PARAM_REQUIRED, .max_length = 64, .description = "A flag of the OSD map." },
        { .name = "token",
          .flags = PARAM_REQUIRED,
          .max_length = 32,
          .description = "Of a stream that is waited for." },
        { .name = "kind", .flags = PARAM_REQUIRED, .max_length = 63, .description = "Type of storage to look for." },
        { 0 },
};

const Route *route_next(RouteIterator *i)
{
        while (i->table < sizeof(tables) / sizeof(tables[0])) {
                const Route *r = &tables[i->table][i->row];

                if (r->method) {
                        i->row++;
                        return r;
                }
                i->table++;
                i->row = 0;
        }
        return NULL;
}

/* Cuts the first part off `rest` ("/a/b" gives "a" and leaves "/b"); false at the end. */
static bool next_part(Slice *rest, Slice *ret)
{
        const char *slash;
        size_t len;

        if (rest->len == 0 || rest->data[0] != '/')
                return false;
        slash = memchr(rest->data + 1, '/', rest->len - 1);
        len = slash ? (size_t) (slash - rest->data) - 1 : rest->len - 1;
        *ret = (Slice){ rest->data + 1, len };
        *rest = (Slice){ rest->data + 1 + len, rest->len - 1 - len };
        return true;
}

static bool is_volume(Slice part)
{
        return part.len == strlen("{volume}") && memcmp(part.data, "{volume}", part.len) == 0;
}

static bool pattern_matches(const char *pattern, Slice path)
{
        Slice rest = { pattern, strlen(pattern) }, want, have;

        while (next_part(&rest, &want)) {
                if (is_volume(want))
                        return path.len > 1 && path.data[0] == '/';
                if (!next_part(&path, &have))
                        return want.len == 0 && path.len == 0; /* the pattern "/" */
                if (want.len > 0 && want.data[0] == '{') {
                        if (have.len == 0)
                                return false;
                } else if (want.len != have.len || memcmp(want.data, have.data, want.len) != 0) {
                        return false;
                }
        }
        return path.len == 0 || (path.len == 1 && path.data[0] == '/'); /* a slash at the end is harmless */
}

static int check_part(const char *name, const char *value, struct storaged_error *err)
{
        const ParamSpec *spec = param_spec_find(path_params, name);
        int r;

        r = spec ? param_check(spec, value, err) : -EINVAL;
        if (r < 0)
                return r;
        if (str_eq(name, "storage") && !storage_id_is_valid(value, strlen(value)))
                return error_set_param(err, -EINVAL, name, "'%s' is no id of a storage", value);
        if (!str_eq(name, "volume") && strchr(value, '/'))
                return error_set_param(err, -EINVAL, name, "'%s' holds a slash", value);
        return 0;
}

static int take_parts(const char *pattern, Slice path, Params *params, struct storaged_error *err)
{
        Slice rest = { pattern, strlen(pattern) }, want, have;
        int r;

        while (next_part(&rest, &want)) {
                AUTO(freep) char *value = NULL;
                char name[PARAM_NAME_MAX + 1] = "";

                if (is_volume(want))
                        have = (Slice){ path.data + 1, path.len - 1 };
                else if (!next_part(&path, &have))
                        break;
                if (want.len < 2 || want.data[0] != '{')
                        continue;
                (void) memcpy(name, want.data + 1, want.len - 2 < PARAM_NAME_MAX ? want.len - 2 : PARAM_NAME_MAX);
                r = http_decode(have.data, have.len, false, &value);
                if (r == -EINVAL)
                        return error_set_param(err, r, name,
                                               "is not UTF-8 text in percent-encoding, or holds a NUL byte");
                if (r >= 0)
                        r = check_part(name, value, err);
                if (r >= 0)
                        r = params_add(params, name, value, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool method_is_known(const char *method)
{
        static const char *const known[] = { "GET",   "HEAD",    "POST",  "PUT",    "DELETE",
                                             "PATCH", "OPTIONS", "TRACE", "CONNECT" };

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (str_eq(known[i], method))
                        return true;
        return false;
}

static void add_allowed(RouteMatch *match, const char *method)
{
        size_t n = strlen(match->allow);

        if (!strstr(match->allow, method))
                (void) snprintf(match->allow + n, sizeof(match->allow) - n, "%s%s", n > 0 ? ", " : "", method);
}

int route_find(const char *method, Slice path, Params *params, RouteMatch *ret, struct storaged_error *err)
{
        const char *wanted = str_eq(method, "HEAD") ? "GET" : method;
        RouteIterator i = ROUTE_ITERATOR_INIT;
        RouteMatch match = { 0 };
        const Route *route;

        if (!method_is_known(method))
                return error_set(err, -ENOSYS, "Method '%s' is not known here", method);
        while ((route = route_next(&i))) {
                if (!pattern_matches(route->path, path))
                        continue;
                if (str_eq(route->method, wanted)) {
                        match.route = route;
                        *ret = match;
                        return take_parts(route->path, path, params, err);
                }
                add_allowed(&match, route->method);
        }
        if (!match.allow[0])
                return error_set(err, -ENOENT, "Path '%.*s' not found", path.len < 512 ? (int) path.len : 512,
                                 path.data);
        *ret = match;
        return error_set(err, -EOPNOTSUPP, "Method '%s' is not there for '%.*s': try %s", method,
                         path.len < 512 ? (int) path.len : 512, path.data, match.allow);
}

static int add_params(json_object *to, const ParamSpec *specs)
{
        int r = 0;

        for (const ParamSpec *s = specs; r >= 0 && s && s->name; s++) {
                json_object *o = param_spec_to_json(s);

                r = o ? json_add(to, s->name, o) : -ENOMEM;
        }
        return r;
}

static int add_path_params(json_object *to, const char *pattern)
{
        Slice rest = { pattern, strlen(pattern) }, part;
        int r = 0;

        while (r >= 0 && next_part(&rest, &part))
                for (const ParamSpec *s = path_params; r >= 0 && s->name; s++)
                        if (part.len == strlen(s->name) + 2 && part.data[0] == '{' &&
                            memcmp(part.data + 1, s->name, part.len - 2) == 0)
                                r = json_add(to, s->name, param_spec_to_json(s));
        return r;
}

json_object *route_to_json(const Route *route)
{
        AUTO_JSON *o = json_object_new_object();
        AUTO_JSON *params = json_object_new_object();
        int r = o && params ? 0 : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "method", route->method);
        if (r >= 0)
                r = json_add_string(o, "path", route->path);
        if (r >= 0)
                r = add_path_params(params, route->path);
        if (r >= 0)
                r = add_params(params, route->params);
        if (r >= 0)
                r = json_add(o, "params", TAKE(params));
        if (r >= 0)
                r = json_add_bool01(o, "additionalProperties", route->flags & ROUTE_ANY_PROPERTY);
        if (r >= 0)
                r = json_add_string(o, "permission", route->permission);
        if (r >= 0)
                r = json_add_string(o, "description", route->description);
        return r < 0 ? NULL : TAKE(o);
}
