/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storaged-worker: the process that runs a plugin's blocking code for one storage. It loads one plugin, answers
 * one call after the other on its socket, and ends with the socket. It holds no state that counts: whatever happens
 * to it, the daemon starts another one. The invariant towards the daemon: every call gets exactly one FRAME_REPLY or
 * FRAME_ERROR (the first one FRAME_READY), and nothing follows it under that call's number.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/parse.h"
#include "host/args.h"
#include "host/calls.h"
#include "host/describe.h"
#include "host/plugin.h"
#include "host/services.h"
#include "wire/frame.h"

typedef struct Worker {
        int socket;
        Plugin *plugin; /* NULL: could not be loaded, `load_error` tells why */
        struct storaged_error load_error;
        Services services;
        json_object *start_args; /* the strings of `config` are in it */
        ArgsConfig config;
        void *self;
        bool is_ready;   /* `start` was answered with FRAME_READY */
        bool is_started; /* the plugin's start() has run: stop() is due */
        bool is_done;    /* nothing more to answer: end with `result` */
        int result;
} Worker;

static int worker_send(Worker *w, uint8_t type, uint32_t call, StrBuf *body)
{
        int r = strbuf_error(body);

        if (r < 0)
                return r;
        return frame_send(w->socket, type, call, body->data, body->len, -1);
}

static int worker_send_error(Worker *w, uint32_t call, int code, const struct storaged_error *err)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        jsonw_object_begin(&b);
        jsonw_key(&b, "code");
        jsonw_int(&b, code);
        jsonw_key(&b, "param");
        jsonw_string(&b, err->param);
        jsonw_key(&b, "text");
        jsonw_string(&b, err->text[0] ? err->text : strerror(-code));
        jsonw_object_end(&b);
        return worker_send(w, FRAME_ERROR, call, &b);
}

/* The last answer of a worker that can't go on. */
static int worker_refuse(Worker *w, uint32_t call, int code, const struct storaged_error *err)
{
        w->is_done = true;
        w->result = EXIT_FAILURE;
        return worker_send_error(w, call, code, err);
}

static int start_storage(Worker *w, json_object *args, struct storaged_error *err)
{
        int r;

        r = args_config(args, &w->config, err);
        if (r < 0)
                return r;
        w->start_args = json_object_get(args);
        r = w->plugin->ops.start(&w->services.host, &w->config.config, &w->self, err);
        if (r < 0 && !err->text[0])
                (void) error_set(err, r, "type %s: start failed: %s", w->plugin->ops.name, strerror(-r));
        if (r >= 0)
                w->is_started = true;
        return r;
}

static int worker_start(Worker *w, uint32_t call, json_object *args)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        int r;

        r = services_set_place(&w->services, json_get_string(args, "node"), json_get_string(args, "root"),
                               json_get_string(args, "run_dir"));
        if (r >= 0 && json_get(args, "storage"))
                r = start_storage(w, args, &err);
        if (r < 0)
                return worker_refuse(w, call, r, &err);
        w->is_ready = true;
        strbuf_addf(&b, "{\"pid\":%ld}", (long) getpid());
        return worker_send(w, FRAME_READY, call, &b);
}

static int worker_call(Worker *w, uint32_t call, const char *op, json_object *args, int fd)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strbuf_deinit) StrBuf reply = STRBUF_INIT;
        CallTarget target = {
                .ops = &w->plugin->ops,
                .host = &w->services.host,
                .self = w->self,
                .storage = w->is_started ? w->config.config.storage : NULL,
        };
        int r = call_run(&target, op, args, fd, &reply, &err);

        return r < 0 ? worker_send_error(w, call, r, &err) : worker_send(w, FRAME_REPLY, call, &reply);
}

/* A whole message. Negative: the daemon is gone or talks nonsense. */
static int worker_handle(Worker *w, const Frame *f)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *body = NULL;
        const char *op;

        if (f->type == FRAME_CANCEL)
                return 0; /* the call it was for has been answered */
        if (f->type != FRAME_CALL)
                return -EPROTO;
        if (!w->plugin)
                return worker_refuse(w, f->call, w->load_error.code, &w->load_error);
        if (json_parse(f->body.data ? f->body.data : "", f->body.len, &body) < 0 || !json_get_string(body, "op")) {
                (void) error_set(&err, -EINVAL, "the call is not a JSON object with an \"op\"");
                return worker_send_error(w, f->call, -EINVAL, &err);
        }
        op = json_get_string(body, "op");
        services_begin(&w->services, f->call, json_get_uint(body, "deadline_ms", 0));
        if (str_eq(op, "start") && !w->is_ready)
                return worker_start(w, f->call, json_get(body, "args"));
        if (!w->is_ready) {
                (void) error_set(&err, -EINVAL, "the first call must be start, not %.64s", op);
                return worker_refuse(w, f->call, -EINVAL, &err);
        }
        return worker_call(w, f->call, op, json_get(body, "args"), f->fd);
}

static int worker_loop(Worker *w)
{
        static char packet[sizeof(FrameHeader) + FRAME_PIECE_MAX];
        AUTO(frame_assembler_deinit) FrameAssembler assembler = FRAME_ASSEMBLER_INIT;

        while (!w->is_done) {
                AUTO(frame_deinit) Frame f = FRAME_INIT;
                int fd = -EBADF;
                int r = frame_recv_packet(w->socket, packet, sizeof(packet), &fd);

                if (r == 0 || r == -ECONNRESET)
                        return 0;
                if (r > 0)
                        r = frame_assembler_feed(&assembler, packet, (size_t) r, fd, &f);
                if (r > 0)
                        r = worker_handle(w, &f);
                if (r == -EPIPE)
                        return 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A process like the daemon wants it: gone when the daemon is, with all it started, in one kill. */
static int process_prepare(int socket)
{
        int type;
        socklen_t len = sizeof(type);

        if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
                return -errno;
        if (type != SOCK_SEQPACKET)
                return -EPROTOTYPE;
        if (fcntl(socket, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        (void) setpgid(0, 0); /* fails where it leads a session: a group of its own already */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) signal(SIGPIPE, SIG_IGN); /* whoever reads an exported stream may go away */
        /* Fixed, or one long listing would make the allocator keep its megabytes for good. */
        (void) mallopt(M_MMAP_THRESHOLD, 256 * 1024);
        (void) mallopt(M_TRIM_THRESHOLD, 512 * 1024);
        return 0;
}

static int worker_run(const char *plugin, int socket, int log_level)
{
        Worker w = { .socket = socket, .load_error = STORAGED_ERROR_INIT };
        int r = process_prepare(socket);

        if (r < 0) {
                (void) fprintf(stderr, "storaged-worker: descriptor %d is not a socket to storaged: %s\n", socket,
                               strerror(-r));
                return EXIT_FAILURE;
        }
        r = plugin_load(plugin, &w.plugin, &w.load_error);
        if (r < 0 && w.load_error.code == 0)
                (void) error_set(&w.load_error, r, "plugin %s: %s", plugin, strerror(-r));
        services_init(&w.services, socket, log_level, w.plugin ? w.plugin->ops.naming : 0);
        r = worker_loop(&w);
        if (r < 0) {
                services_log(&w.services, STORAGED_LOG_ERROR, "the connection to storaged is broken: %s", strerror(-r));
                w.result = EXIT_FAILURE;
        }
        if (w.is_started)
                w.plugin->ops.stop(w.self);
        args_config_deinit(&w.config);
        (void) json_object_put(w.start_args);
        services_deinit(&w.services);
        (void) plugin_free(w.plugin);
        return w.result;
}

static int describe_run(const char *path)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(plugin_freep) Plugin *p = NULL;
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;
        int r = plugin_load(path, &p, &err);

        if (r < 0) {
                (void) fprintf(stderr, "storaged-worker: %s\n", err.text[0] ? err.text : strerror(-r));
                return EXIT_FAILURE;
        }
        describe_plugin(&p->ops, &b);
        strbuf_addc(&b, '\n');
        if (strbuf_error(&b) < 0 || fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout) != 0) {
                (void) fprintf(stderr, "storaged-worker: can't write the description of %s\n", path);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

static int usage(void)
{
        (void) fprintf(stderr, "Usage: storaged-worker --plugin FILE --fd N [--log-level N]\n"
                               "       storaged-worker --describe FILE\n"
                               "FILE is the absolute path of a plugin. storaged starts the first form itself.\n");
        return 2;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                { "plugin", required_argument, NULL, 'p' },
                { "fd", required_argument, NULL, 'f' },
                { "log-level", required_argument, NULL, 'l' },
                { "describe", required_argument, NULL, 'd' },
                { 0 },
        };
        const char *plugin = NULL, *describe = NULL;
        uint64_t fd = UINT64_MAX, log_level = STORAGED_LOG_INFO;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                int r = 0;

                if (c == 'p')
                        plugin = optarg;
                else if (c == 'd')
                        describe = optarg;
                else if (c == 'f')
                        r = parse_u64(optarg, &fd);
                else if (c == 'l')
                        r = parse_u64(optarg, &log_level);
                else
                        r = -EINVAL;
                if (r < 0)
                        return usage();
        }
        if (optind != argc || (describe ? plugin != NULL : !plugin || fd > INT_MAX) || log_level > 7)
                return usage();
        return describe ? describe_run(describe) : worker_run(plugin, (int) fd, (int) log_level);
}
