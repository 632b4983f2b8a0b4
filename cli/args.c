/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command line to names and values, with the habits of pvesm: `--x v`, `-x v`, `--x=v`, options and
 * positional arguments mixed in any order, unique prefixes of option names, bare boolean flags. What a value
 * means is the daemon's business; only booleans are brought into one form here, because the words yes and
 * on are a habit of the command line and not of the API.
 */
#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/str.h"

static const Param global_params[] = {
        { .name = "root", .flags = PARAM_LOCAL },
        { .name = "output-format", .flags = PARAM_LOCAL },
        { .name = "help", .type = PARAM_BOOLEAN, .flags = PARAM_LOCAL },
        { 0 },
};

/* Where the parser stands. */
typedef struct Scan {
        const Verb *verb;
        char **words;
        int n, at;
        size_t position; /* of the next positional argument */
} Scan;

void args_deinit(Args *a)
{
        for (size_t i = 0; i < a->list.n; i++) {
                free(a->list.items[i].name);
                free(a->list.items[i].value);
        }
        VEC_DEINIT(&a->list);
        free(a->root);
        free(a->format);
        *a = ARGS_INIT;
}

static Arg *args_find(const Args *a, const char *name)
{
        for (size_t i = 0; i < a->list.n; i++)
                if (str_eq(a->list.items[i].name, name))
                        return &a->list.items[i];
        return NULL;
}

const char *args_get(const Args *a, const char *name)
{
        const Arg *arg = args_find(a, name);

        return arg ? arg->value : NULL;
}

bool args_get_bool(const Args *a, const char *name)
{
        return str_eq(args_get(a, name), "1");
}

static int args_add(Args *a, const char *name, const char *value, const Param *param)
{
        Arg arg = { .name = strdup(name), .value = strdup(value), .param = param };
        int r = arg.name && arg.value ? VEC_PUSH(&a->list, arg) : -ENOMEM;

        if (r < 0) {
                free(arg.name);
                free(arg.value);
        }
        return r;
}

int args_set(Args *a, const char *name, const char *value, const Param *param)
{
        Arg *old = args_find(a, name);
        char *copy = NULL;

        if (!old)
                return args_add(a, name, value, param);
        if (param && param->type == PARAM_LIST) {
                if (str_printf(&copy, "%s,%s", old->value, value) < 0)
                        return -ENOMEM;
        } else if (!(copy = strdup(value))) {
                return -ENOMEM;
        }
        free(old->value);
        old->value = copy;
        return 0;
}

/* Begins like an option: a dash or two and a letter. `-`, `-1` and `--` do not. */
static bool is_option(const char *word)
{
        if (word[0] != '-')
                return false;
        return isalpha((unsigned char) word[word[1] == '-' ? 2 : 1]);
}

static const Param *params_match(const Param *params, const char *name, size_t len, bool prefixes, unsigned *n_matches)
{
        const Param *found = NULL;

        for (const Param *p = params; p && p->name; p++) {
                if ((p->flags & PARAM_POSITIONAL) || strncasecmp(p->name, name, len) != 0)
                        continue;
                if (strlen(p->name) == len) {
                        *n_matches = 1;
                        return p;
                }
                if (prefixes) {
                        found = p;
                        (*n_matches)++;
                }
        }
        return found;
}

static const Param *find_option(const Verb *verb, const char *name, size_t len)
{
        bool is_open = verb && (verb->flags & VERB_OPEN);
        unsigned exact = 0, matches = 0;
        const Param *p, *g;

        p = verb ? params_match(verb->params, name, len, false, &exact) : NULL;
        if (!p)
                p = params_match(global_params, name, len, false, &exact);
        if (p || is_open)
                return p;
        p = verb ? params_match(verb->params, name, len, true, &matches) : NULL;
        g = params_match(global_params, name, len, true, &matches);
        return matches == 1 ? (p ? p : g) : NULL;
}

static int store_global(Args *a, const Param *p, const char *value, struct storaged_error *err)
{
        char **slot = str_eq(p->name, "root") ? &a->root : &a->format;
        char *copy;

        if (str_eq(p->name, "help")) {
                a->wants_help = true;
                return 0;
        }
        copy = strdup(value);
        if (!copy)
                return error_set(err, -ENOMEM, "out of memory");
        free(*slot);
        *slot = copy;
        return 0;
}

static int store(Args *a, const char *name, const char *value, const Param *p, bool is_bare, struct storaged_error *err)
{
        bool yes;

        if (p && p >= global_params && p < global_params + sizeof(global_params) / sizeof(global_params[0]))
                return store_global(a, p, value, err);
        if (p && p->type == PARAM_BOOLEAN) {
                if (is_bare || !*value)
                        value = "1";
                else if (parse_bool(value, &yes) < 0)
                        return error_set_param(err, -EINVAL, name, "type check ('boolean') failed - got '%s'", value);
                else
                        value = yes ? "1" : "0";
        }
        if (args_set(a, p ? p->name : name, value, p) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        args_find(a, p ? p->name : name)->is_bare = is_bare;
        return 0;
}

/* Does the option take the next word as its value? */
static bool takes_next(const Param *p, const char *next)
{
        bool yes;

        if (!next)
                return false;
        if (!p) /* of an open command, type unknown */
                return !is_option(next);
        switch (p->type) {
        case PARAM_BOOLEAN:
                return !str_eq(p->name, "help") && parse_bool(next, &yes) >= 0;
        case PARAM_SECRET:
                return !is_option(next);
        default:
                return true;
        }
}

static int parse_option(Args *a, Scan *s, struct storaged_error *err)
{
        const char *name = s->words[s->at] + (s->words[s->at][1] == '-' ? 2 : 1);
        const char *equals = strchr(name, '=');
        size_t len = equals ? (size_t) (equals - name) : strlen(name);
        const char *next = s->at + 1 < s->n ? s->words[s->at + 1] : NULL;
        AUTO(freep) char *key = strndup(name, len);
        const Param *p = find_option(s->verb, name, len);

        if (!key)
                return error_set(err, -ENOMEM, "out of memory");
        if (!p && !(s->verb && (s->verb->flags & VERB_OPEN)))
                return error_set(err, -EINVAL, "Unknown option: %s", key);
        if (equals)
                return store(a, key, equals + 1, p, false, err);
        if (takes_next(p, next)) {
                s->at++;
                return store(a, key, next, p, false, err);
        }
        if (p && p->type != PARAM_BOOLEAN && p->type != PARAM_SECRET)
                return error_set(err, -EINVAL, "Option %s requires an argument", p->name);
        return store(a, key, p && p->type == PARAM_SECRET ? "" : "1", p, true, err);
}

static const Param *positional_at(const Verb *v, size_t i)
{
        const Param *p = v->params;

        for (; p && p->name && (p->flags & PARAM_POSITIONAL); p++, i--)
                if (i == 0)
                        return p;
        return NULL;
}

static int parse_positional(Args *a, Scan *s, struct storaged_error *err)
{
        const Param *p = positional_at(s->verb, s->position++);

        if (!p)
                return error_set(err, -EINVAL, "too many arguments");
        return store(a, p->name, s->words[s->at], p, false, err);
}

static int check_complete(const Args *a, const Verb *verb, size_t position, struct storaged_error *err)
{
        const Param *next = positional_at(verb, position);

        if (next && !(next->flags & PARAM_OPTIONAL))
                return error_set(err, -EINVAL, "not enough arguments");
        for (const Param *p = verb->params; p && p->name; p++)
                if ((p->flags & PARAM_REQUIRED) && !args_get(a, p->name))
                        return error_set_param(err, -EINVAL, p->name, "property is missing and it is not optional");
        return 0;
}

int args_parse(Args *a, const Verb *verb, char **words, int n_words, struct storaged_error *err)
{
        Scan s = { .verb = verb, .words = words, .n = n_words };
        bool only_positional = false;
        int r;

        for (; s.at < s.n; s.at++) {
                if (!only_positional && str_eq(words[s.at], "--")) {
                        only_positional = true;
                        continue;
                }
                if (!only_positional && is_option(words[s.at]))
                        r = parse_option(a, &s, err);
                else
                        r = parse_positional(a, &s, err);
                if (r < 0)
                        return r;
        }
        return a->wants_help ? 0 : check_complete(a, verb, s.position, err);
}

int args_parse_global(Args *a, char **words, int n_words, int *ret_first, struct storaged_error *err)
{
        Scan s = { .words = words, .n = n_words };
        int r;

        for (; s.at < s.n && is_option(words[s.at]); s.at++) {
                r = parse_option(a, &s, err);
                if (r < 0)
                        return r;
        }
        *ret_first = s.at;
        return 0;
}
