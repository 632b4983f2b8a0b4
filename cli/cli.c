/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From words to an exit code: find the row of the command, read its arguments, make the call that the row
 * names, print the answer. All judgement is the daemon's; what it refuses is passed on as it said it.
 * Exit codes: 2 where a parameter is wrong, 255 for every other failure.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/complete.h"
#include "cli/help.h"
#include "cli/man.h"
#include "cli/once.h"
#include "wire/json.h"
#include "wire/volname.h"

/* --- saying no */

int cli_error(const char *fmt, ...)
{
        AUTO(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, fmt);
        r = str_vprintf(&text, fmt, ap);
        va_end(ap);
        if (r < 0)
                return cli_oom();
        output_text(stderr, text);
        (void) fputc('\n', stderr);
        return CLI_FAILED;
}

int cli_oom(void)
{
        (void) fputs("out of memory\n", stderr);
        return CLI_FAILED;
}

static void print_usage_line(const Verb *verb)
{
        AUTO(freep) char *usage = verb ? verb_usage(verb) : NULL;

        if (usage)
                (void) fprintf(stderr, "%s\n", usage);
}

int cli_param_error(Cli *c, const char *param, const char *fmt, ...)
{
        AUTO(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, fmt);
        r = str_vprintf(&text, fmt, ap);
        va_end(ap);
        if (r < 0) {
                (void) cli_oom();
                return CLI_USAGE;
        }
        (void) fprintf(stderr, "400 Parameter verification failed.\n%s: ", param);
        output_text(stderr, text);
        (void) fputc('\n', stderr);
        print_usage_line(c->verb);
        return CLI_USAGE;
}

/* The line as a whole is wrong: `err` without a parameter. */
static int line_error(Cli *c, const struct storaged_error *err)
{
        const char *option = str_skip(err->text, "Unknown option: ");

        if (*err->param)
                return cli_param_error(c, err->param, "%s", err->text);
        if (option || str_skip(err->text, "Option ")) {
                output_text(stderr, err->text);
                (void) fputs("\n400 unable to parse option\n", stderr);
        } else {
                (void) fprintf(stderr, "400 %s\n", err->text);
        }
        print_usage_line(c->verb);
        return CLI_USAGE;
}

static bool is_parameter_status(long status)
{
        return status == 400 || status == 413 || status == 414 || status == 422;
}

int cli_refused(Cli *c, const Answer *a)
{
        const char *message = a->message ? a->message : "no reason given";
        size_t len = strlen(message);
        char buf[OUTPUT_CELL_SIZE];
        AUTO(freep) char *line = strndup(message, len > 0 && message[len - 1] == '\n' ? len - 1 : len);

        if (!line)
                return cli_oom();
        if (!is_parameter_status(a->status))
                return cli_error("%s", line);
        (void) fprintf(stderr, "%ld ", a->status);
        output_text(stderr, line);
        (void) fputc('\n', stderr);
        if (a->errors) {
                json_object_object_foreach (a->errors, param, text) {
                        output_text(stderr, param);
                        (void) fputs(": ", stderr);
                        output_text(stderr, output_scalar(text, buf));
                        (void) fputc('\n', stderr);
                }
        }
        print_usage_line(c->verb);
        return CLI_USAGE;
}

/* --- asking */

static bool nobody_answers(int error)
{
        return error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR || error == -ELOOP;
}

int cli_try_call(Cli *c, const Request *rq, Answer *ret, struct storaged_error *err)
{
        int r;

        if (!c->client && client_new(&c->client, c->paths.socket) < 0)
                return error_set(err, -ENOMEM, "out of memory");
        r = client_call(c->client, rq, ret, err);
        if (nobody_answers(r) && (c->verb->flags & VERB_OFFLINE) && !rq->upload)
                return once_call(&c->paths, rq, ret, err);
        return r;
}

static int finish_call(Cli *c, int r, Answer *a, const struct storaged_error *err)
{
        if (nobody_answers(r) && !(c->verb->flags & VERB_OFFLINE))
                return cli_error("storaged is not running: %s; start it with `systemctl start storaged` or `storaged "
                                 "--root DIR`",
                                 err->text);
        if (r == -EACCES || r == -EPERM)
                return cli_error("%s; only root may talk to storaged", err->text);
        if (r < 0)
                return cli_error("%s", err->text);
        if (a->status < 200 || a->status > 299) {
                r = cli_refused(c, a);
                answer_deinit(a);
                return r;
        }
        return CLI_OK;
}

int cli_call(Cli *c, const char *method, const char *path, const StrBuf *params, Answer *ret)
{
        const Request rq = { .method = method, .path = path, .params = params };
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = cli_try_call(c, &rq, ret, &err);

        return finish_call(c, r, ret, &err);
}

int cli_call_text(Cli *c, const char *path, const StrBuf *params, Answer *ret)
{
        const Request rq = { .method = "GET", .path = path, .params = params, .wants_text = true };
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = cli_try_call(c, &rq, ret, &err);

        return finish_call(c, r, ret, &err);
}

int cli_call_upload(Cli *c, const char *path, const Upload *upload, Answer *ret)
{
        const Request rq = { .method = "POST", .path = path, .upload = upload };
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = cli_try_call(c, &rq, ret, &err);

        return finish_call(c, r, ret, &err);
}

/* --- the call of a row */

int cli_volume_storage(Cli *c, char *ret_id)
{
        const char *volume = args_get(&c->args, "volume"), *storage = args_get(&c->args, "storage"), *volname;
        struct storaged_error err = STORAGED_ERROR_INIT;

        if (storage) {
                if (!storage_id_is_valid(storage, strlen(storage)))
                        return cli_param_error(c, "storage", "'%s' is no storage id", storage);
                (void) snprintf(ret_id, STORAGE_ID_MAX, "%s", storage);
                return 0;
        }
        if (volid_split(volume ? volume : "", ret_id, &volname, &err) < 0)
                return cli_param_error(c, *err.param ? err.param : "volume", "%s", err.text);
        return 0;
}

char *cli_volume_id(Cli *c)
{
        const char *volume = args_get(&c->args, "volume"), *storage = args_get(&c->args, "storage"), *volname;
        char id[STORAGE_ID_MAX], *s;

        if (!storage || (volid_split(volume, id, &volname, NULL) == 0 && str_eq(id, storage)))
                return strdup(volume);
        return str_printf(&s, "%s:%s", storage, volume) < 0 ? NULL : s;
}

/* Puts the value for {name} into the path; 0 or an exit code. */
static int add_placeholder(Cli *c, StrBuf *path, const char *name)
{
        const char *value = args_get(&c->args, name);
        AUTO(freep) char *volid = NULL;
        char id[STORAGE_ID_MAX];
        int r;

        if (str_eq(name, "storage") && verb_find_param(c->verb, "volume")) {
                r = cli_volume_storage(c, id);
                if (r != 0)
                        return r;
                value = id;
        } else if (str_eq(name, "volume")) {
                value = volid = cli_volume_id(c);
        }
        if (!value)
                return cli_oom();
        if (!*value)
                return cli_param_error(c, name, "may not be empty");
        client_add_encoded(path, value, str_eq(name, "volume") ? "/:@" : ":@");
        return 0;
}

void cli_add_node(Cli *c, StrBuf *path)
{
        const char *node = args_get(&c->args, "node");

        if (!node || !verb_find_param(c->verb, "node")) {
                strbuf_adds(path, CLI_NODE);
                return;
        }
        strbuf_adds(path, "/nodes/");
        client_add_encoded(path, node, "");
}

static int build_path(Cli *c, StrBuf *path)
{
        const char *p = c->verb->path, *rest = str_skip(p, CLI_NODE);

        if (rest) {
                cli_add_node(c, path);
                p = rest;
        }

        while (*p) {
                const char *open = strchr(p, '{'), *close = open ? strchr(open, '}') : NULL;
                AUTO(freep) char *name = NULL;
                int r;

                if (!close) {
                        strbuf_adds(path, p);
                        break;
                }
                strbuf_add(path, p, (size_t) (open - p));
                name = strndup(open + 1, (size_t) (close - open - 1));
                if (!name)
                        return cli_oom();
                r = add_placeholder(c, path, name);
                if (r != 0)
                        return r;
                p = close + 1;
        }
        return strbuf_error(path) < 0 ? cli_oom() : 0;
}

static bool is_in_path(const Verb *v, const char *name)
{
        const char *p = v->path;
        size_t len = strlen(name);

        while ((p = strchr(p, '{')))
                if (strncmp(++p, name, len) == 0 && p[len] == '}')
                        return true;
        return false;
}

int cli_build(Cli *c, StrBuf *ret_path, StrBuf *ret_params)
{
        int r = build_path(c, ret_path);

        if (r != 0)
                return r;
        for (size_t i = 0; i < c->args.list.n; i++) {
                const Arg *a = &c->args.list.items[i];

                if ((a->param && (a->param->flags & (PARAM_LOCAL | PARAM_KEEP))) || is_in_path(c->verb, a->name))
                        continue;
                client_add_param(ret_params, a->name, a->value);
        }
        if (c->verb->flags & VERB_SYNC)
                client_add_param(ret_params, "sync", "1");
        return strbuf_error(ret_params) < 0 ? cli_oom() : 0;
}

int cli_call_verb(Cli *c, Answer *ret)
{
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        int r = cli_build(c, &path, &params);

        return r != 0 ? r : cli_call(c, c->verb->method, path.data, &params, ret);
}

int cli_show(Cli *c, json_object *data)
{
        if (c->format == OUTPUT_TEXT) {
                if (c->verb->show)
                        c->verb->show(c, data);
        } else if (output_value(stdout, data, c->format) < 0) {
                return cli_oom();
        }
        return CLI_OK;
}

static int run_plain(Cli *c)
{
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        int r = cli_call_verb(c, &a);

        return r != 0 ? r : cli_show(c, a.data);
}

/* --- from words to a run */

static int run_verb(Cli *c, char **words, int n_words)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const char *root;

        if (args_parse(&c->args, c->verb, words, n_words, &err) < 0)
                return line_error(c, &err);
        if (c->args.wants_help) {
                print_usage_line(c->verb);
                return CLI_FAILED;
        }
        if (c->args.format && output_format_from_string(c->args.format, &c->format) < 0)
                return cli_param_error(
                        c, "output-format",
                        "value '%s' does not have a value in the enumeration 'text, json, json-pretty, yaml'",
                        c->args.format);
        root = c->args.root ? c->args.root : getenv("STORAGED_ROOT");
        if (paths_init(&c->paths, root) < 0)
                return cli_oom();
        return c->verb->run ? c->verb->run(c) : run_plain(c);
}

static int complain_about_words(int answer, char **words, int n, const StrBuf *candidates)
{
        AUTO(strbuf_deinit) StrBuf typed = STRBUF_INIT;

        for (int i = 0; i < n && i < (answer == VERB_E_GROUP ? 2 : 1); i++) {
                strbuf_addc(&typed, ' ');
                output_escape(&typed, words[i], false);
        }
        if (answer == VERB_E_NONE)
                (void) fputs("ERROR: no command specified\n", stderr);
        else if (answer == VERB_E_AMBIGUOUS)
                (void) fprintf(stderr, "ERROR: command 'pvesm%s' is ambiguous: %s\n", typed.data, candidates->data);
        else if (answer == VERB_E_GROUP && n == 1)
                (void) fprintf(stderr, "ERROR: command 'pvesm%s' needs one of these words behind it\n", typed.data);
        else
                (void) fprintf(stderr, "ERROR: unknown command 'pvesm%s'\n", typed.data ? typed.data : "");
        help_overview(stderr, answer == VERB_E_GROUP ? words[0] : NULL);
        return CLI_FAILED;
}

static int run_words(Cli *c, char **words, int n)
{
        AUTO(strbuf_deinit) StrBuf candidates = STRBUF_INIT;
        size_t used = 0;
        int r = verb_find((const char *const *) words, (size_t) n, &c->verb, &used, &candidates);

        if (r != VERB_FOUND)
                return complain_about_words(r, words, n, &candidates);
        return run_verb(c, words + used, n - (int) used);
}

/* What the Makefile and the completion ask for; not commands. */
static int run_hidden(const char *word, int *ret)
{
        static const struct {
                const char *word;
                int (*fn)(FILE *f);
        } rows[] = {
                { "--dump-man", man_write },
                { "--dump-completion", complete_write },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (str_eq(word, rows[i].word)) {
                        *ret = rows[i].fn(stdout) < 0 ? cli_oom() : CLI_OK;
                        return 1;
                }
        return 0;
}

static void cli_deinit(Cli *c)
{
        c->client = client_free(c->client);
        args_deinit(&c->args);
        paths_deinit(&c->paths);
}

/* What could not be written (a full disk, a closed pipe) must not look like success. */
static int close_stdout(int code)
{
        if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE && code == CLI_OK)
                return cli_error("can't write the output: %s", strerror(errno));
        return code;
}

int cli_main(int argc, char **argv)
{
        AUTO(cli_deinit) Cli c = { .args = ARGS_INIT, .paths = PATHS_INIT };
        struct storaged_error err = STORAGED_ERROR_INIT;
        int first = 0, code;

        if (argc == 2 && run_hidden(argv[1], &code))
                return close_stdout(code);
        if (args_parse_global(&c.args, argv + 1, argc - 1, &first, &err) < 0 || c.args.wants_help) {
                (void) fprintf(stderr, "ERROR: unknown command 'pvesm %s'\n", argv[first + 1]);
                help_overview(stderr, NULL);
                return CLI_FAILED;
        }
        return close_stdout(run_words(&c, argv + 1 + first, argc - 1 - first));
}
