/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what a client sends: the first byte says as what. What is taken must keep its promises: no control
 * characters in checked values, no name twice, paths matched only by rows that exist.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/params.h"
#include "api/route.h"
#include "wire/http.h"
#include "wire/json.h"

static const char *const words[] = { "iso", "backup", NULL };

static const ParamSpec specs[] = {
        { .name = "filename", .flags = PARAM_EMPTY, .max_length = 255, .arg = "filename" },
        { .name = "vmid", .type = PARAM_VMID, .arg = "vmid" },
        { .name = "size", .type = PARAM_SIZE, .flags = PARAM_SIGNED_SIZE, .arg = "size" },
        { .name = "content", .type = PARAM_ENUM, .flags = PARAM_LIST, .values = words, .arg = "content" },
        { .name = "delay", .type = PARAM_INTEGER, .min = 1, .max = 30, .arg = "delay" },
        { .name = "protected", .type = PARAM_BOOLEAN, .arg = "protected" },
        { .name = "snapname", .type = PARAM_NAME, .arg = "snapshot" },
        { 0 },
};

static void must(bool ok)
{
        if (!ok)
                abort();
}

static void check_params(const Params *p, bool any_other)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        json_object *args;

        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < i; k++)
                        must(strcmp(p->items[i].name, p->items[k].name) != 0);
        if (params_check(p, specs, any_other, &err) < 0) {
                must(err.code < 0 && err.text[0]);
                return;
        }
        for (size_t i = 0; i < p->n; i++) {
                must(!str_has_control(p->items[i].value) && strlen(p->items[i].value) <= PARAM_LENGTH_MAX);
                must(json_is_utf8(p->items[i].value, strlen(p->items[i].value)));
        }
        args = params_to_args(p, specs);
        must(args != NULL);
        json_object_put(args);
}

static void try_form(const char *data, size_t len)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Params p = PARAMS_INIT;

        if (params_add_form(&p, data, len, &err) >= 0) {
                check_params(&p, false);
                check_params(&p, true);
        }
        params_deinit(&p);
}

static void try_json(const char *data, size_t len)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Params p = PARAMS_INIT;

        if (params_add_json(&p, data, len, &err) >= 0)
                check_params(&p, true);
        params_deinit(&p);
}

static void try_path(const char *data, size_t len)
{
        static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "HEAD", "X" };
        char *target = strndup(data, len);
        Slice path, query;

        must(target != NULL);
        http_split_target(target, &path, &query);
        must(path.len + query.len <= strlen(target));
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                Params p = PARAMS_INIT;
                RouteMatch match = { 0 };
                int r = route_find(methods[i], path, &p, &match, &err);

                must(r < 0 ? err.code < 0 && err.text[0] : match.route != NULL);
                for (size_t k = 0; r >= 0 && k < p.n; k++)
                        must(!str_has_control(p.items[k].value) && p.items[k].value[0]);
                params_deinit(&p);
        }
        free(target);
}

static void try_file_name(const char *data, size_t len)
{
        char *name = strndup(data, len), *out = NULL;

        must(name != NULL);
        if (http_normalize_filename(name, &out) >= 0)
                must(*out && !strpbrk(out, "/\\ \n%:") && strcmp(out, ".") != 0 && strcmp(out, "..") != 0);
        free(out);
        free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *rest = (const char *) data + 1;
        Slice name;

        if (size < 1)
                return 0;
        switch (data[0]) {
        case 'f':
                try_form(rest, size - 1);
                break;
        case 'j':
                try_json(rest, size - 1);
                (void) http_json_find_duplicate(rest, size - 1, &name);
                break;
        case 'p':
                try_path(rest, size - 1);
                break;
        case 'n':
                try_file_name(rest, size - 1);
                break;
        default:
                return -1; /* not worth keeping in the corpus */
        }
        return 0;
}
