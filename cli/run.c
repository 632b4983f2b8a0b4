/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that ask first, send files, follow tasks or carry a stream. Each is a few calls in a row; none
 * decides anything about storage.
 */
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/parse.h"
#include "cli/follow.h"
#include "cli/help.h"
#include "cli/progress.h"
#include "cli/secret.h"
#include "cli/show.h"
#include "cli/stream.h"
#include "cli/volumes.h"
#include "wire/json.h"
#include "wire/volname.h"

#define FILE_MAX (1u << 20)

int run_task(Cli *c)
{
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO_JSON *result = NULL;
        int r = cli_call_verb(c, &a);

        if (r == 0)
                r = follow_answer(c, a.data, follow_log_file(c), &result);
        return r != 0 ? r : cli_show(c, result);
}

int run_free(Cli *c)
{
        AUTO(freep) char *volid = cli_volume_id(c), *line = NULL;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO_JSON *result = NULL;
        int r;

        if (!volid || str_printf(&line, "Removed volume '%s'", volid) < 0)
                return cli_oom();
        r = cli_call_verb(c, &a);
        if (r == 0)
                r = follow_answer(c, a.data, NULL,
                                  &result); /* one line, as scripts know it; a failure brings its reason */
        if (r != 0)
                return r;
        if (c->format != OUTPUT_TEXT)
                return cli_show(c, result);
        output_text(stdout, line);
        (void) fputc('\n', stdout);
        return CLI_OK;
}

int run_extractconfig(Cli *c)
{
        return cli_error("storaged does not look into backups: the guest's configuration is taken out of '%s' with "
                         "Proxmox VE's own pvesm, or with vma config or tar",
                         args_get(&c->args, "volume"));
}

int run_tasks(Cli *c)
{
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        int r;

        /* Who looks wants to see what runs; the API, as Proxmox VE's, shows what has ended. */
        if (!args_get(&c->args, "source") && args_set(&c->args, "source", "all", NULL) < 0)
                return cli_oom();
        r = cli_call_verb(c, &a);
        return r != 0 ? r : cli_show(c, a.data);
}

/* --- list */

int run_list(Cli *c)
{
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO_JSON *data = NULL;
        Span rows;
        int r = cli_build(c, &path, &params);

        if (r == 0)
                r = cli_call_text(c, path.data, &params, &a);
        if (r != 0)
                return r;
        rows = span_member((Span){ a.text, a.text_len }, "data");
        if (c->format != OUTPUT_TEXT && rows.p)
                rows = span_value(rows.p, rows.len);
        if (rows.p && c->format == OUTPUT_TEXT) {
                r = volumes_print(stdout, rows);
        } else if (rows.p && c->format == OUTPUT_JSON) {
                (void) fwrite(rows.p, 1, rows.len, stdout);
                (void) fputc('\n', stdout);
        } else {
                r = rows.p ? json_parse(rows.p, rows.len, &data) : -EINVAL;
                if (r >= 0)
                        r = output_value(stdout, data, c->format);
        }
        return r == -ENOMEM ? cli_oom()
               : r < 0      ? cli_error("storaged gave an answer that is no list of volumes")
                            : CLI_OK;
}

/* --- info */

/* The path is not part of the meaning, and only a running daemon tells it; where there is none, there is none. */
static void print_path(Cli *c)
{
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Request rq = { .method = "GET", .params = &params };
        char id[STORAGE_ID_MAX];
        const char *text;

        if (cli_volume_storage(c, id) != 0)
                return;
        cli_add_node(c, &path);
        strbuf_addf(&path, "/storage/%s/path", id);
        client_add_param(&params, "volume", args_get(&c->args, "volume"));
        if (strbuf_error(&path) < 0)
                return;
        rq.path = path.data;
        if (!c->client || client_call(c->client, &rq, &a, &err) < 0 || a.status != 200)
                return;
        text = json_get_string(a.data, "path");
        if (!text)
                return;
        (void) fputs("path:     ", stdout);
        output_text(stdout, text);
        (void) fputc('\n', stdout);
}

int run_info(Cli *c)
{
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        int r = cli_call_verb(c, &a);

        if (r == 0)
                r = cli_show(c, a.data);
        if (r == 0 && c->format == OUTPUT_TEXT)
                print_path(c);
        return r;
}

/* --- add, set */

/* A file of ours becomes the value. 0 or an exit code. */
static int take_file(Cli *c, Arg *a)
{
        AUTO(freep) char *text = NULL;
        size_t len = 0;
        int r;

        if ((a->param->flags & PARAM_AUTOGEN) && str_eq(a->value, "autogen"))
                return 0;
        r = fs_read_file(a->value, FILE_MAX, &text, &len);
        if (r < 0)
                return cli_param_error(c, a->name, "can't read file '%s': %s", a->value, strerror(-r));
        if (strlen(text) != len)
                return cli_param_error(c, a->name, "file '%s' holds NUL bytes, a text is wanted", a->value);
        free(a->value);
        a->value = TAKE(text);
        return 0;
}

static int take_secret(Cli *c, Arg *a)
{
        AUTO(freep) char *prompt = NULL, *secret = NULL;
        int r;

        if (*a->value)
                return 0;
        if (str_printf(&prompt, "Enter %s: ", a->name) < 0)
                return cli_oom();
        r = secret_ask(prompt, &secret);
        if (r == -EINTR)
                return cli_error("given up");
        if (r < 0)
                return cli_param_error(c, a->name, "nothing was entered (%s)", strerror(-r));
        free(a->value);
        a->value = TAKE(secret);
        return 0;
}

/* It is done, and still there is something to know. */
static void print_warnings(json_object *data)
{
        json_object *list = json_object_is_type(data, json_type_object) ? json_get(data, "warnings") : NULL;
        size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < n; i++) {
                (void) fputs("warning: ", stderr);
                output_text(stderr, json_object_get_string(json_object_array_get_idx(list, i)));
                (void) fputc('\n', stderr);
        }
}

/* The row's call; then what there is to know. */
int run_warned(Cli *c)
{
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        int r = cli_call_verb(c, &a);

        if (r == 0)
                print_warnings(a.data);
        return r != 0 ? r : cli_show(c, a.data);
}

int run_add(Cli *c)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < c->args.list.n; i++) {
                Arg *arg = &c->args.list.items[i];

                if (arg->param && arg->param->type == PARAM_FILE)
                        r = take_file(c, arg);
                else if (arg->param && arg->param->type == PARAM_SECRET)
                        r = take_secret(c, arg);
        }
        return r != 0 ? r : run_warned(c);
}

/* --- config check */

static size_t count_findings(json_object *data)
{
        json_object *warnings = json_get(data, "warnings");

        return json_object_is_type(warnings, json_type_array) ? json_object_array_length(warnings) : 0;
}

static void print_findings(const char *file, json_object *data)
{
        json_object *warnings = json_get(data, "warnings");
        size_t n = count_findings(data);

        for (size_t i = 0; i < n; i++) {
                json_object *w = json_object_array_get_idx(warnings, i);
                const char *text = json_get_string(w, "text");
                AUTO(strbuf_deinit) StrBuf line = STRBUF_INIT;

                output_escape(&line, file, false);
                strbuf_addf(&line, ":%llu: ", (unsigned long long) json_get_uint(w, "line", 0));
                output_escape(&line, text ? text : "", false);
                (void) puts(line.data ? line.data : "");
        }
        (void) printf("%zu warning%s\n", n, n == 1 ? "" : "s");
}

static int read_config(Cli *c, const char *file, char **ret)
{
        const char *path = str_eq(file, "-") ? "/dev/stdin" : file;
        size_t len = 0;
        int r = fs_read_file(path, FILE_MAX, ret, &len);

        if (r < 0)
                return cli_param_error(c, "file", "can't read '%s': %s", file, strerror(-r));
        if (strlen(*ret) != len)
                return cli_param_error(c, "file", "'%s' holds NUL bytes and is no storage.cfg", file);
        return 0;
}

int run_config_check(Cli *c)
{
        const char *file = args_get(&c->args, "file");
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO(freep) char *text = NULL;
        int r = file ? read_config(c, file, &text) : 0;

        if (r != 0)
                return r;
        if (text)
                client_add_param(&params, "text", text);
        r = cli_call(c, c->verb->method, c->verb->path, &params, &a);
        if (r != 0)
                return r;
        if (c->format != OUTPUT_TEXT)
                r = cli_show(c, a.data);
        else
                print_findings(file ? file : c->paths.config, a.data);
        return r == CLI_OK && count_findings(a.data) > 0 ? CLI_FOUND : r;
}

/* --- prune-backups */

/* keep-last 3, keep-daily 7 → "keep-last=3,keep-daily=7" */
static void add_keep(Cli *c, StrBuf *params)
{
        AUTO(strbuf_deinit) StrBuf keep = STRBUF_INIT;

        for (size_t i = 0; i < c->args.list.n; i++) {
                const Arg *a = &c->args.list.items[i];

                if (a->param && (a->param->flags & PARAM_KEEP))
                        strbuf_addf(&keep, "%s%s=%s", keep.len ? "," : "", a->name, a->value);
        }
        if (keep.len > 0)
                client_add_param(params, "prune-backups", keep.data);
        if (strbuf_error(&keep) < 0)
                params->error = -ENOMEM;
}

int run_prune(Cli *c)
{
        bool is_dry = args_get_bool(&c->args, "dry-run");
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO_JSON *result = NULL;
        int r = cli_build(c, &path, &params);

        if (r != 0)
                return r;
        add_keep(c, &params);
        r = cli_call(c, is_dry ? "GET" : "DELETE", path.data, &params, &a);
        if (r != 0)
                return r;
        if (is_dry)
                return cli_show(c, a.data);
        r = follow_answer(c, a.data, follow_log_file(c), &result);
        if (r == 0 && c->format != OUTPUT_TEXT)
                r = cli_show(c, result);
        return r;
}

/* --- notes */

/* `migrate OP WHAT`: a number is a guest, all else a volume. */
int run_migrate(Cli *c)
{
        const char *what = args_get(&c->args, "what"), *op = str_skip(c->verb->name, "migrate ");
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        uint64_t number;
        int r;

        if (args_set(&c->args, parse_u64(what, &number) >= 0 ? "vmid" : "volume", what, NULL) < 0 ||
            args_set(&c->args, "op", op, NULL) < 0)
                return cli_oom();
        r = cli_call_verb(c, &a);
        return r != 0 ? r : cli_show(c, a.data);
}

int run_notes(Cli *c)
{
        const char *notes = args_get(&c->args, "notes");
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        int r = cli_build(c, &path, &params);

        if (r == 0)
                r = cli_call(c, notes ? "PUT" : "GET", path.data, &params, &a);
        if (r != 0 || notes)
                return r;
        if (c->format == OUTPUT_TEXT)
                show_text(c, json_get(a.data, "notes"));
        else
                return output_value(stdout, json_get(a.data, "notes"), c->format) < 0 ? cli_oom() : CLI_OK;
        return CLI_OK;
}

/* --- upload */

static void on_upload(void *userdata, uint64_t done, uint64_t total)
{
        progress_update(userdata, done, total);
}

int run_upload(Cli *c)
{
        const char *file = args_get(&c->args, "file"), *name = args_get(&c->args, "filename");
        AUTO(freep) char *copy = strdup(file);
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf unused = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        AUTO_JSON *result = NULL;
        Progress progress;
        struct stat st;
        int r;

        if (!copy)
                return cli_oom();
        if (stat(file, &st) < 0)
                return cli_param_error(c, "file", "can't read '%s': %s", file, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return cli_param_error(c, "file", "'%s' is not a regular file", file);

        const Upload upload = {
                .path = file,
                .filename = name ? name : basename(copy),
                .content = args_get(&c->args, "content"),
                .checksum = args_get(&c->args, "checksum"),
                .checksum_algorithm = args_get(&c->args, "checksum-algorithm"),
                .progress = on_upload,
                .userdata = &progress,
        };

        progress_init(&progress, stderr);
        r = cli_build(c, &path, &unused);
        if (r == 0)
                r = cli_call_upload(c, path.data, &upload, &a);
        progress_clear(&progress);
        if (r == 0)
                r = follow_answer(c, a.data, follow_log_file(c), &result);
        if (r == 0 && c->format != OUTPUT_TEXT)
                r = cli_show(c, result);
        return r;
}

/* --- export, import */

/* What the copying thread needs to stop a task; nothing of it is touched by anybody else meanwhile. */
typedef struct Stopper {
        const char *socket, *task; /* its path */
} Stopper;

static void stop_task(void *userdata)
{
        const Stopper *s = userdata;
        AUTO(client_freep) Client *client = NULL;
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        Request rq = { .method = "DELETE" };

        strbuf_adds(&path, s->task);
        if (strbuf_error(&path) < 0 || client_new(&client, s->socket) < 0)
                return;
        rq.path = path.data;
        (void) client_call(client, &rq, &a, NULL); /* without it the task ends by the short stream */
}

/* The call with the stream's address, and the task to its end. Takes the stream. An exit code. */
static int run_stream(Cli *c, Stream *taken, const char *param, FILE *log, json_object **ret_result)
{
        AUTO(stream_freep) Stream *s = taken;
        AUTO(strbuf_deinit) StrBuf path = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf params = STRBUF_INIT;
        AUTO(strbuf_deinit) StrBuf task = STRBUF_INIT;
        AUTO(answer_deinit) Answer a = ANSWER_INIT;
        struct storaged_error err = STORAGED_ERROR_INIT;
        Stopper stopper = { .socket = c->paths.socket };
        int r = cli_build(c, &path, &params), r2;

        if (r != 0)
                return r;
        client_add_param(&params, param, stream_get_url(s));
        if (strbuf_error(&params) < 0)
                return cli_oom();
        r = cli_call(c, c->verb->method, path.data, &params, &a);
        if (r != 0)
                return r;
        if (json_object_is_type(a.data, json_type_string) && str_skip(json_object_get_string(a.data), "UPID:")) {
                cli_add_node(c, &task);
                strbuf_adds(&task, "/tasks/");
                client_add_encoded(&task, json_object_get_string(a.data), ":@");
                if (strbuf_error(&task) < 0)
                        return cli_oom();
                stopper.task = task.data;
                stream_on_failure(s, stop_task, &stopper);
        }
        r = follow_answer(c, a.data, log, ret_result);
        r2 = stream_finish(s, r == 0, &err);
        return r2 < 0 ? cli_error("%s", err.text) : r;
}

/* A file that was not made to the end is removed, unless it is no regular file. */
static void remove_partial(const char *file)
{
        struct stat st;

        if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
                (void) unlink(file);
}

int run_export(Cli *c)
{
        const char *file = args_get(&c->args, "filename");
        bool to_stdout = str_eq(file, "-");
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *result = NULL;
        char id[STORAGE_ID_MAX];
        Stream *s = NULL;
        int fd, r;

        r = cli_volume_storage(c, id); /* before a file is touched */
        if (r != 0)
                return r;
        fd = to_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                       : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd < 0)
                return cli_param_error(c, "filename", "can't open '%s' for writing: %s", file, strerror(errno));
        if (stream_new(&s, &c->paths, fd, true, &err) < 0)
                r = cli_error("%s", err.text);
        else
                r = run_stream(c, s, "to", to_stdout || c->format != OUTPUT_TEXT ? stderr : stdout, &result);
        if (r != 0 && !to_stdout)
                remove_partial(file);
        if (r == 0 && c->format != OUTPUT_TEXT && !to_stdout)
                r = cli_show(c, result);
        return r;
}

int run_import(Cli *c)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *result = NULL;
        const char *volid;
        char id[STORAGE_ID_MAX];
        Stream *s = NULL;
        int fd, r;

        r = cli_volume_storage(c, id);
        if (r != 0)
                return r;
        r = stream_open_source(args_get(&c->args, "filename"), &fd, &err);
        if (r < 0)
                return *err.param || r == -ENOENT ? cli_param_error(c, "filename", "%s", err.text)
                                                  : cli_error("%s", err.text);
        if (stream_new(&s, &c->paths, fd, false, &err) < 0)
                return cli_error("%s", err.text);
        r = run_stream(c, s, "from", follow_log_file(c), &result);
        if (r != 0 || c->format != OUTPUT_TEXT)
                return r != 0 ? r : cli_show(c, result);
        volid = json_object_is_type(result, json_type_string) ? json_object_get_string(result)
                                                              : args_get(&c->args, "volume");
        (void) fputs("successfully imported '", stdout);
        output_text(stdout, volid);
        (void) puts("'");
        return CLI_OK;
}

int run_help(Cli *c)
{
        return help_run(c);
}
