/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storaged: parses its arguments, builds the rooms, runs the loop, tears down in reverse.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "api/server.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "core/core.h"
#include "wire/json.h"

#ifndef STORAGED_LIBDIR
#define STORAGED_LIBDIR "/usr/lib/storaged"
#endif
#define INSTALLED_PLUGIN_DIR STORAGED_LIBDIR "/plugins"
#define INSTALLED_WORKER STORAGED_LIBDIR "/storaged-worker"
#define FIRST_LOOK_USEC (2 * USEC_PER_SEC) /* how long the start waits to know its storages */
#define LIMIT_MAX 100000u
#define BODY_MAX (64u << 20)

typedef struct Arguments {
        CoreOptions core;
        const char *once_method, *once_path, *dump_plugin;
        bool dump_schema;
        int log_level;
        char plugin_dir[PATH_MAX], worker_path[PATH_MAX];
} Arguments;

static void usage(FILE *f)
{
        fputs("usage: storaged [OPTIONS]\n"
              "  --root DIR           put everything below DIR (also STORAGED_ROOT)\n"
              "  --node NAME          this node's name (default: the host's)\n"
              "  --plugin-dir DIR     where the plugins are\n"
              "  --worker PATH        the storaged-worker program\n"
              "  --max-workers N      processes at one time (default 512)\n"
              "  --max-abandoned N    workers hanging in the kernel that are put up with (default 64)\n"
              "  --gone-after SECONDS out of the cluster for so long, a node counts as fenced (default 150)\n"
              "  --lock-life SECONDS  of cluster locks in a plain directory, the same on all nodes (default 120)\n"
              "  --listen ADDRESS     answer other nodes there (default: this node's address, if it is in a cluster)\n"
              "  --port N             for other nodes, the same on all (default 8016)\n"
              "  --log-level LEVEL    error, warning, info or debug\n"
              "  --once METHOD PATH   answer one request (body on stdin) and end: status line, then JSON\n"
              "  --dump-plugin NAME   what a plugin says of itself, as JSON\n"
              "  --dump-schema        all types and properties, as JSON\n"
              "  --version, --help\n",
              f);
}

/* Beside this program when it runs from the build directory, else where `make install` puts them. */
static void arguments_find_programs(Arguments *a)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        const char *dir;

        if (n <= 0)
                return;
        self[n] = '\0';
        dir = dirname(self);
        if (!a->core.worker_path) {
                (void) snprintf(a->worker_path, sizeof(a->worker_path), "%.*s/storaged-worker", PATH_MAX - 20, dir);
                a->core.worker_path = access(a->worker_path, X_OK) == 0 ? a->worker_path : INSTALLED_WORKER;
        }
        if (!a->core.plugin_dir) {
                (void) snprintf(a->plugin_dir, sizeof(a->plugin_dir), "%.*s/plugins", PATH_MAX - 20, dir);
                a->core.plugin_dir = access(a->plugin_dir, R_OK) == 0 ? a->plugin_dir : INSTALLED_PLUGIN_DIR;
        }
}

static int parse_limit(const char *option, const char *text, unsigned max, unsigned *ret)
{
        uint64_t v;

        if (parse_u64(text, &v) < 0 || v < 1 || v > max) {
                fprintf(stderr, "storaged: --%s takes a number from 1 to %u, not '%s'\n", option, max, text);
                return -EINVAL;
        }
        *ret = (unsigned) v;
        return 0;
}

/* As a host name's first part: it is a directory in the cluster file system, and part of locks and certificates. */
static int parse_node(const char *text, const char **ret)
{
        size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");

        if (n == 0 || n > 63 || text[n] || text[0] == '-' || text[n - 1] == '-') {
                fprintf(stderr,
                        "storaged: --node takes the first part of a host name (letters, digits, '-', at most 63), not "
                        "'%s'\n",
                        text);
                return -EINVAL;
        }
        *ret = text;
        return 0;
}

static int parse_level(const char *text, int *ret)
{
        static const struct {
                const char *word;
                int level;
        } levels[] = { { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "info", LOG_INFO }, { "debug", LOG_DEBUG } };

        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                if (str_eq(text, levels[i].word)) {
                        *ret = levels[i].level;
                        return 0;
                }
        fprintf(stderr, "storaged: --log-level is error, warning, info or debug, not '%s'\n", text);
        return -EINVAL;
}

enum {
        OPT_ROOT = 256,
        OPT_NODE,
        OPT_PLUGIN_DIR,
        OPT_WORKER,
        OPT_MAX_WORKERS,
        OPT_MAX_ABANDONED,
        OPT_GONE_AFTER,
        OPT_LOCK_LIFE,
        OPT_LISTEN,
        OPT_PORT,
        OPT_LOG_LEVEL,
        OPT_ONCE,
        OPT_DUMP_PLUGIN,
        OPT_DUMP_SCHEMA,
        OPT_VERSION,
        OPT_HELP
};

static int arguments_take(Arguments *a, int option, char **argv)
{
        switch (option) {
        case OPT_ROOT:
                a->core.root = optarg;
                return 0;
        case OPT_NODE:
                return parse_node(optarg, &a->core.node);
        case OPT_PLUGIN_DIR:
                a->core.plugin_dir = optarg;
                return 0;
        case OPT_WORKER:
                a->core.worker_path = optarg;
                return 0;
        case OPT_MAX_WORKERS:
                return parse_limit("max-workers", optarg, LIMIT_MAX, &a->core.max_workers);
        case OPT_MAX_ABANDONED:
                return parse_limit("max-abandoned", optarg, LIMIT_MAX, &a->core.max_abandoned);
        case OPT_GONE_AFTER:
                return parse_limit("gone-after", optarg, LIMIT_MAX, &a->core.gone_after_s);
        case OPT_LOCK_LIFE:
                return parse_limit("lock-life", optarg, LIMIT_MAX, &a->core.lock_life_s);
        case OPT_LISTEN:
                a->core.listen = optarg;
                return 0;
        case OPT_PORT:
                return parse_limit("port", optarg, 65535, &a->core.port);
        case OPT_LOG_LEVEL:
                return parse_level(optarg, &a->log_level);
        case OPT_ONCE:
                a->once_method = optarg;
                a->once_path = argv[optind++];
                return 0;
        case OPT_DUMP_PLUGIN:
                a->dump_plugin = optarg;
                return 0;
        case OPT_DUMP_SCHEMA:
                a->dump_schema = true;
                return 0;
        case OPT_VERSION:
                puts("storaged " STORAGED_VERSION);
                exit(EXIT_SUCCESS);
        case OPT_HELP:
                usage(stdout);
                exit(EXIT_SUCCESS);
        default:
                usage(stderr);
                return -EINVAL;
        }
}

static int arguments_parse(Arguments *a, int argc, char **argv)
{
        static const struct option options[] = {
                { "root", required_argument, NULL, OPT_ROOT },
                { "node", required_argument, NULL, OPT_NODE },
                { "plugin-dir", required_argument, NULL, OPT_PLUGIN_DIR },
                { "worker", required_argument, NULL, OPT_WORKER },
                { "max-workers", required_argument, NULL, OPT_MAX_WORKERS },
                { "max-abandoned", required_argument, NULL, OPT_MAX_ABANDONED },
                { "gone-after", required_argument, NULL, OPT_GONE_AFTER },
                { "lock-life", required_argument, NULL, OPT_LOCK_LIFE },
                { "listen", required_argument, NULL, OPT_LISTEN },
                { "port", required_argument, NULL, OPT_PORT },
                { "log-level", required_argument, NULL, OPT_LOG_LEVEL },
                { "once", required_argument, NULL, OPT_ONCE },
                { "dump-plugin", required_argument, NULL, OPT_DUMP_PLUGIN },
                { "dump-schema", no_argument, NULL, OPT_DUMP_SCHEMA },
                { "version", no_argument, NULL, OPT_VERSION },
                { "help", no_argument, NULL, OPT_HELP },
                { 0 },
        };
        int c;

        *a = (Arguments){ .core = { .max_workers = 512, .max_abandoned = 64, .root = getenv("STORAGED_ROOT") },
                          .log_level = LOG_INFO };
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                int r = arguments_take(a, c, argv);

                if (r < 0)
                        return r;
        }
        if (optind < argc || (a->once_method && !a->once_path)) {
                usage(stderr);
                return -EINVAL;
        }
        a->core.is_passive = a->once_method || a->dump_plugin || a->dump_schema;
        arguments_find_programs(a);
        return 0;
}

/* --- the ways to run */

static int read_stdin(StrBuf *body)
{
        char buf[65536];
        ssize_t n;

        while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
                strbuf_add(body, buf, (size_t) n);
                if (body->len > BODY_MAX)
                        return -EFBIG;
        }
        return n < 0 ? -errno : strbuf_error(body);
}

static int run_once(Core *core, const Arguments *a)
{
        AUTO(strbuf_deinit) StrBuf body = STRBUF_INIT;
        AUTO(freep) char *answer = NULL;
        int status = 0, r;

        r = str_eq(a->once_method, "GET") ? 0 : read_stdin(&body);
        if (r >= 0)
                r = api_once(core, a->once_method, a->once_path, body.data ? body.data : "", body.len,
                             body.len > 0 && body.data[0] == '{' ? "application/json"
                                                                 : "application/x-www-form-urlencoded",
                             &status, &answer);
        if (r < 0)
                return log_error_errno(r, "can't answer %s %s", a->once_method, a->once_path);
        printf("%d\n%s\n", status, answer);
        return 0;
}

static int dump_plugin(Core *core, const char *name)
{
        const Type *t = schema_find(core->schema, name);

        if (!t || !t->description) {
                fprintf(stderr, "storaged: no plugin '%s' was found\n", name);
                return -ENOENT;
        }
        printf("%s\n%s\n", t->plugin_path,
               json_object_to_json_string_ext(t->description,
                                              JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        return 0;
}

/* Answers are worth more when the storages are known: look at them first, for a bounded while. */
static void wait_for_first_look(Core *core, sd_event *event)
{
        uint64_t end = now_usec() + FIRST_LOOK_USEC;

        while (core_count_unknown(core) > 0 && now_usec() < end)
                if (sd_event_run(event, end - now_usec()) < 0)
                        return;
}

static int run_daemon(Core *core, sd_event *event)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(api_server_freep) ApiServer *server = NULL;
        int r;

        wait_for_first_look(core, event);
        r = api_server_new(&server, core, -1, &err);
        if (r < 0) {
                log_error("%s", err.text);
                return r;
        }
        (void) sd_event_set_watchdog(event, true);
        log_info("ready on %s, node '%s'", core->paths.socket, core->node);
        (void) sd_notify(false, "READY=1\nSTATUS=serving");
        r = sd_event_loop(event);
        (void) sd_notify(false, "STOPPING=1");
        log_info("stops");
        return r;
}

static int run(const Arguments *a)
{
        AUTO(sd_event_unrefp) sd_event *event = NULL;
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(core_freep) Core *core = NULL;
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        r = sd_event_default(&event);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r < 0)
                return log_error_errno(r, "can't make an event loop");
        r = core_new(&core, &a->core, event, &err);
        if (r < 0) {
                log_error("%s", err.text);
                return r;
        }
        if (a->dump_schema) {
                AUTO_JSON *schema = schema_to_json(core->schema);

                printf("%s\n", json_object_to_json_string_ext(schema, JSON_C_TO_STRING_PRETTY |
                                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
                return 0;
        }
        if (a->dump_plugin)
                return dump_plugin(core, a->dump_plugin);
        if (a->once_method)
                return run_once(core, a);
        return run_daemon(core, event);
}

int main(int argc, char **argv)
{
        Arguments a;

        (void) setvbuf(stderr, NULL, _IOLBF, 0);
        if (arguments_parse(&a, argc, argv) < 0)
                return 2;
        log_open("storaged", a.log_level);
        (void) umask(0022);
        return run(&a) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
