/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Help. Everything comes from the table of commands; only the properties of storage types, which belong to
 * plugins, are asked of the daemon, and left out where there is none to ask.
 */
#include "cli/help.h"

#include <string.h>

#include "wire/json.h"

#define TEXT_COLUMN 30

/* `group` may be a prefix, as everywhere. */
static bool is_of_group(const Verb *v, const char *group)
{
        return str_skip(v->name, group) && strchr(v->name, ' ');
}

void help_overview(FILE *f, const char *group)
{
        bool is_first = true;

        if (!group)
                (void) fputs("USAGE: pvesm <COMMAND> [ARGS] [OPTIONS]\n", f);
        VERB_EACH (v) {
                AUTO(freep) char *usage = NULL;

                if ((v->flags & VERB_ALIAS) || (group && !is_of_group(v, group)))
                        continue;
                usage = verb_usage(v);
                (void) fprintf(f, "%s%s\n", group && is_first ? "USAGE: " : "       ", usage ? usage : v->name);
                is_first = false;
        }
}

void help_param_value(StrBuf *b, const Param *p)
{
        strbuf_addf(b, "<%s>", param_hint(p));
}

static void print_param(FILE *f, const Param *p)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        strbuf_addf(&b, p->flags & PARAM_POSITIONAL ? "  <%s>" : "  --%s", p->name);
        strbuf_addc(&b, ' ');
        help_param_value(&b, p);
        if (b.len >= TEXT_COLUMN && p->text)
                strbuf_addc(&b, '\n');
        (void) fprintf(f, "%s%*s%s\n", b.data ? b.data : "",
                       p->text ? (b.len >= TEXT_COLUMN ? TEXT_COLUMN : (int) (TEXT_COLUMN - b.len)) : 0, "",
                       p->text ? p->text : "");
}

void help_verb(FILE *f, const Verb *v, bool is_verbose)
{
        AUTO(freep) char *usage = verb_usage(v);

        (void) fprintf(f, "USAGE: %s\n\n  %s\n", usage ? usage : v->name, v->text);
        if (v->params && v->params->name)
                (void) fputc('\n', f);
        for (const Param *p = v->params; p && p->name; p++)
                print_param(f, p);
        if (verb_prints_data(v))
                (void) fputs("  --output-format <text | json | json-pretty | yaml>\n", f);
        if (is_verbose && v->method)
                (void) fprintf(f, "\n  API: %s /api2/json%s\n", v->method, v->path);
}

/* --- what the daemon knows */

static void print_property(FILE *f, json_object *p)
{
        const char *text = json_get_string(p, "description"), *name = json_get_string(p, "name"),
                   *type = json_get_string(p, "type");
        json_object *values = json_get(p, "values");
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf line = STRBUF_INIT;
        size_t n = json_object_is_type(values, json_type_array) ? json_object_array_length(values) : 0;

        if (!name)
                return;
        strbuf_addf(&b, "  --%s <", name);
        for (size_t i = 0; i < n; i++)
                strbuf_addf(&b, "%s%s", i ? " | " : "", json_object_get_string(json_object_array_get_idx(values, i)));
        strbuf_addf(&b, "%s>%s%s",
                    n      ? ""
                    : type ? type
                           : "string",
                    json_get_bool(p, "required", false) ? " (required)" : "",
                    json_get_bool(p, "fixed", false) ? " (only at creation)" : "");
        output_escape(&line, b.data ? b.data : "", false);
        if (text && *text) {
                strbuf_addf(&line, "\n%*s", TEXT_COLUMN, "");
                output_escape(&line, text, false);
        }
        (void) fprintf(f, "%s\n", line.data ? line.data : "");
}

static void print_properties(FILE *f, json_object *type)
{
        json_object *properties = json_get(type, "properties");

        (void) fprintf(f, "\n  Properties of type %s:\n", json_get_string(type, "type"));
        for (size_t i = 0; json_object_is_type(properties, json_type_array) && i < json_object_array_length(properties);
             i++)
                print_property(f, json_object_array_get_idx(properties, i));
}

/* The types by name; the properties of the one that is wanted, or of all. */
static void print_types(Cli *c, const char *wanted, bool is_verbose)
{
        const Request rq = { .method = "GET", .path = "/schema" };
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        json_object *types;

        if (cli_try_call(c, &rq, &a, &err) < 0 || a.status != 200)
                return; /* help without them is still help */
        types = json_get(a.data, "types");
        if (!json_object_is_type(types, json_type_array))
                return;
        if (!wanted)
                (void) puts("\n  Types (`pvesm help add TYPE` shows the properties of one, --verbose those of all):");
        for (size_t i = 0; i < json_object_array_length(types); i++) {
                json_object *t = json_object_array_get_idx(types, i);
                const char *name = json_get_string(t, "type"), *summary = json_get_string(t, "summary");

                if (!wanted && name)
                        (void) printf("  %-14s %s\n", name, summary ? summary : "");
        }
        for (size_t i = 0; i < json_object_array_length(types); i++) {
                json_object *t = json_object_array_get_idx(types, i);

                if (wanted ? str_eq(json_get_string(t, "type"), wanted) : is_verbose)
                        print_properties(stdout, t);
        }
}

static bool group_is_known(const char *group)
{
        if (!group)
                return false;
        VERB_EACH (v)
                if (is_of_group(v, group))
                        return true;
        return false;
}

int help_run(Cli *c)
{
        const char *words[] = { args_get(&c->args, "command"), args_get(&c->args, "subcommand"),
                                args_get(&c->args, "third"), NULL };
        bool is_verbose = args_get_bool(&c->args, "verbose");
        const Verb *v = NULL;
        size_t used = 0, n = 0;
        int r;

        if (!words[0]) {
                help_overview(stdout, NULL);
                if (!is_verbose)
                        return CLI_OK;
                VERB_EACH (row) {
                        (void) fputc('\n', stdout);
                        help_verb(stdout, row, true);
                }
                return CLI_OK;
        }
        while (words[n])
                n++;
        r = verb_find(words, n, &v, &used, NULL);
        if (r == VERB_E_GROUP && n < 3) {
                AUTO(strbuf_deinit) StrBuf group = STRBUF_INIT;

                strbuf_addf(&group, "%s%s%s", words[0], words[1] ? " " : "", words[1] ? words[1] : "");
                if (group_is_known(group.data)) {
                        help_overview(stdout, group.data);
                        return CLI_OK;
                }
        }
        if (r != VERB_FOUND)
                return cli_param_error(c, "command", "no such command '%s%s%s%s%s'", words[0], words[1] ? " " : "",
                                       words[1] ? words[1] : "", words[1] && words[2] ? " " : "",
                                       words[1] && words[2] ? words[2] : "");
        help_verb(stdout, v, is_verbose);
        if (v->flags & VERB_OPEN)
                print_types(c, words[1], is_verbose);
        return CLI_OK;
}
