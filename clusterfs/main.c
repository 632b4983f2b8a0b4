/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterfs: the cluster file system, one daemon per node. This file reads the command line, decides between local and
 * cluster mode, builds the parts (engine, mount, notifications, hand-over of corosync.conf), runs the event loop and
 * takes them down in reverse.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "clusterfs/engine.h"
#include "clusterfs/frame.h"
#include "clusterfs/fusefs.h"
#include "clusterfs/handover.h"
#include "clusterfs/notify.h"
#include "clusterfs/status.h"

#define STOP_PATIENCE_USEC (2 * USEC_PER_SEC)

typedef struct Options {
        const char *mount, *state, *run, *corosync_conf;
        char node[65];
        bool is_local, is_foreground, is_full, is_recovery, is_debug;
        uint64_t max_mib, lock_seconds, verify_seconds;
        uint16_t wire_max, wire_min;
} Options;

typedef struct Daemon {
        Options options;
        sd_event *event;
        Engine *engine;
        FuseFs *fs;
        Status status;
        Notify *notify;
        Handover handover;
} Daemon;

static const char usage[] =
        "Usage: clusterfs [OPTION]...\n"
        "The cluster file system: mounts the files that all nodes of a cluster share.\n\n"
        "  --mount DIR           where (default /etc/pve)\n"
        "  --state DIR           database, and what was changed alone (default /var/lib/storaged/clusterfs)\n"
        "  --run DIR             notify.sock (default /run/clusterfs)\n"
        "  --node NAME           this node's name (default: host name up to the first dot)\n"
        "  -l, --local           without Corosync: this node alone decides\n"
        "  -f, --foreground      don't become a daemon\n"
        "  -d, --debug           log more; can be switched later in .debug\n"
        "  --sync full|normal    full (default): acknowledged is on the disk and on a majority of nodes\n"
        "  --max-size MIB        limit of all files together (default 128)\n"
        "  --corosync-conf PATH  Corosync's own configuration file (default /etc/corosync/corosync.conf)\n"
        "  --lock-timeout SEC    age at which a lock may be dropped (default 120)\n"
        "  --verify SEC          how often the members compare their trees (default 3600)\n"
        "  --recover             put a damaged database aside, keep what can be read, and end\n"
        "  --wire-version MAX[:MIN]  for tests: pretend to speak these versions\n"
        "  --help, --version\n";

enum {
        OPT_MOUNT = 256,
        OPT_STATE,
        OPT_RUN,
        OPT_NODE,
        OPT_SYNC,
        OPT_SIZE,
        OPT_CONF,
        OPT_LOCK,
        OPT_VERIFY,
        OPT_RECOVER,
        OPT_WIRE,
        OPT_HELP,
        OPT_VERSION
};

static const struct option long_options[] = { { "mount", required_argument, NULL, OPT_MOUNT },
                                              { "state", required_argument, NULL, OPT_STATE },
                                              { "run", required_argument, NULL, OPT_RUN },
                                              { "node", required_argument, NULL, OPT_NODE },
                                              { "local", no_argument, NULL, 'l' },
                                              { "foreground", no_argument, NULL, 'f' },
                                              { "debug", no_argument, NULL, 'd' },
                                              { "sync", required_argument, NULL, OPT_SYNC },
                                              { "max-size", required_argument, NULL, OPT_SIZE },
                                              { "corosync-conf", required_argument, NULL, OPT_CONF },
                                              { "lock-timeout", required_argument, NULL, OPT_LOCK },
                                              { "verify", required_argument, NULL, OPT_VERIFY },
                                              { "recover", no_argument, NULL, OPT_RECOVER },
                                              { "wire-version", required_argument, NULL, OPT_WIRE },
                                              { "help", no_argument, NULL, OPT_HELP },
                                              { "version", no_argument, NULL, OPT_VERSION },
                                              { 0 } };

/* --- options -------------------------------------------------------------------------------------------- */

static int parse_wire(const char *s, Options *o)
{
        unsigned max = 0, min = FRAME_VERSION_MIN;

        if (sscanf(s, "%u:%u", &max, &min) < 1 || min < 1 || min > max || max > UINT16_MAX)
                return -EINVAL;
        o->wire_max = (uint16_t) max;
        o->wire_min = (uint16_t) min;
        return 0;
}

static int parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
        uint64_t v;

        if (parse_u64(s, &v) < 0 || v < min || v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

static int parse_sync(const char *s, Options *o)
{
        if (!str_eq(s, "full") && !str_eq(s, "normal"))
                return -EINVAL;
        o->is_full = str_eq(s, "full");
        return 0;
}

static int parse_node(const char *s, Options *o)
{
        size_t n = strcspn(s, ".");

        if (n == 0 || n >= sizeof(o->node) || strchr(s, '/'))
                return -EINVAL;
        memcpy(o->node, s, n);
        o->node[n] = '\0';
        return 0;
}

static int set_option(Options *o, int c, const char *value)
{
        switch (c) {
        case OPT_MOUNT:
                o->mount = value;
                return 0;
        case OPT_STATE:
                o->state = value;
                return 0;
        case OPT_RUN:
                o->run = value;
                return 0;
        case OPT_CONF:
                o->corosync_conf = value;
                return 0;
        case OPT_NODE:
                return parse_node(value, o);
        case OPT_SYNC:
                return parse_sync(value, o);
        case OPT_SIZE:
                return parse_number(value, 1, 4096, &o->max_mib);
        case OPT_LOCK:
                return parse_number(value, 1, 86400, &o->lock_seconds);
        case OPT_VERIFY:
                return parse_number(value, 1, 86400, &o->verify_seconds);
        case OPT_WIRE:
                return parse_wire(value, o);
        case OPT_RECOVER:
                o->is_recovery = true;
                return 0;
        case 'l':
                o->is_local = true;
                return 0;
        case 'f':
                o->is_foreground = true;
                return 0;
        case 'd':
                o->is_debug = true;
                return 0;
        default:
                return -EINVAL;
        }
}

/* 0: go on; > 0: end with success; < 0: said what is wrong. */
static int parse_options(int argc, char **argv, Options *o)
{
        struct utsname uts;
        int c, index = -1;

        if (uname(&uts) == 0)
                (void) parse_node(uts.nodename, o);
        while ((c = getopt_long(argc, argv, "lfd", long_options, &index)) != -1) {
                if (c == OPT_HELP || c == OPT_VERSION) {
                        if (c == OPT_HELP)
                                (void) fputs(usage, stdout);
                        else
                                (void) printf("clusterfs, wire version %u\n", FRAME_VERSION);
                        return 1;
                }
                if (c == '?')
                        return -EINVAL;
                if (set_option(o, c, optarg) < 0) {
                        (void) fprintf(stderr, "clusterfs: `%s` is no value for --%s, see --help\n", optarg,
                                       index >= 0 ? long_options[index].name : "");
                        return -EINVAL;
                }
        }
        if (optind < argc) {
                (void) fprintf(stderr, "clusterfs: unknown argument `%s`, see --help\n", argv[optind]);
                return -EINVAL;
        }
        if (!o->node[0]) {
                (void) fprintf(stderr, "clusterfs: this host has no name: use --node\n");
                return -EINVAL;
        }
        return 0;
}

/* --- start ---------------------------------------------------------------------------------------------- */

/* One daemon per state directory. The descriptor stays open for the life of the process. */
static int lock_state(const char *dir, struct storaged_error *err)
{
        AUTO(freep) char *path = NULL;
        int fd, r;

        r = fs_mkdir_p(dir, 0700);
        if (r == 0)
                r = str_printf(&path, "%s/clusterfs.lock", dir);
        if (r < 0)
                return error_set(err, r, "can't make the state directory %s: %s", dir, strerror(-r));
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
                r = -errno;
                if (fd >= 0)
                        (void) close(fd);
                return error_set(err, r, "can't lock %s: %s", path,
                                 r == -EWOULDBLOCK ? "another clusterfs runs on this state directory" : strerror(-r));
        }
        return fd;
}

static int recover(const Options *o)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        uint64_t rows = 0;
        int fd = lock_state(o->state, &err), r = fd;

        if (r >= 0)
                r = db_recover(o->state, &rows, &err);
        if (fd >= 0)
                (void) close(fd);
        if (r < 0) {
                (void) fprintf(stderr, "clusterfs: %s\n", err.text[0] ? err.text : strerror(-r));
                return r;
        }
        (void) printf("the damaged database was put aside in %s; %llu rows could be read. Start clusterfs now.\n",
                      o->state, (unsigned long long) rows);
        return 0;
}

/* A fresh tree begins with Corosync's own configuration, if there is one. */
static void import_corosync_conf(Daemon *d)
{
        AUTO(freep) char *text = NULL;
        size_t len = 0;
        Op op = { .type = OP_PUT, .ino = TREE_ROOT_INO, .name = "corosync.conf", .name_len = strlen("corosync.conf") };

        if (engine_tree(d->engine)->n_nodes > 1 || fs_read_file(d->options.corosync_conf, OP_FILE_MAX, &text, &len) < 0)
                return;
        op.mtime = 1;
        op.data = (const uint8_t *) text;
        op.data_len = len;
        engine_submit(d->engine, &op, NULL, NULL);
        engine_settle(d->engine);
        log_info("%s is now in the tree", d->options.corosync_conf);
}

static void on_changed(void *userdata, const char *path, uint64_t version, uint32_t writer)
{
        Daemon *d = userdata;

        status_changed(&d->status, path);
        notify_changed(d->notify, path, version);
        if (d->engine && (!path || str_eq(path, "corosync.conf")))
                handover_check(&d->handover, engine_tree(d->engine),
                               path && (engine_is_local(d->engine) || writer == engine_nodeid(d->engine)));
}

static void on_ordered(void *userdata, uint64_t sequence)
{
        Daemon *d = userdata;

        if (d->fs)
                fusefs_ordered(d->fs, sequence);
}

static void on_membership(void *userdata)
{
        Daemon *d = userdata;
        StrBuf b = STRBUF_INIT;

        status_membership(&d->status);
        if (!d->engine)
                return;
        engine_describe(d->engine, &b);
        (void) sd_notifyf(false, "STATUS=%s", b.data ? b.data : "");
        strbuf_deinit(&b);
}

static void on_log_request(void *userdata, const LogEntry *entry)
{
        Daemon *d = userdata;

        engine_log_entry(d->engine, entry);
        engine_settle(d->engine);
}

static int new_engine(Daemon *d, bool local, struct storaged_error *err)
{
        const Options *o = &d->options;
        const EngineOptions options = { .state_dir = o->state,
                                        .node = o->node,
                                        .is_local = local,
                                        .is_full = o->is_full,
                                        .max_bytes = o->max_mib << 20,
                                        .lock_usec = o->lock_seconds * USEC_PER_SEC,
                                        .verify_usec = o->verify_seconds * USEC_PER_SEC,
                                        .wire_max = o->wire_max,
                                        .wire_min = o->wire_min };
        const EngineEvents events = {
                .changed = on_changed, .ordered = on_ordered, .membership = on_membership, .userdata = d
        };

        return engine_new(d->event, &options, &events, &d->engine, err);
}

/*
 * The engine starts in local mode to see what the tree holds. Cluster mode is for who has a corosync.conf, there
 * or as Corosync's own.
 */
static int start_engine(Daemon *d, struct storaged_error *err)
{
        const Node *n;
        bool in_tree;
        int r = new_engine(d, true, err);

        if (r < 0)
                return r;
        if (!d->options.is_local)
                import_corosync_conf(d);
        n = tree_resolve(engine_tree(d->engine), "corosync.conf");
        in_tree = n && n->content && n->content->size > 0;
        if (in_tree)
                handover_check(&d->handover, engine_tree(d->engine), false);
        if (d->options.is_local || (!in_tree && access(d->options.corosync_conf, R_OK) < 0)) {
                log_info("local mode%s", d->options.is_local ? "" : ": there is no corosync.conf");
                return 0;
        }
        d->engine = engine_free(d->engine);
        return new_engine(d, false, err);
}

static int start(Daemon *d, struct storaged_error *err)
{
        const Options *o = &d->options;
        AUTO(freep) char *socket = NULL;
        int r;

        r = status_init(&d->status, o->node, o->is_debug ? LOG_DEBUG : LOG_INFO);
        if (r == 0)
                r = handover_init(&d->handover, d->event, o->corosync_conf);
        if (r == 0)
                r = start_engine(d, err);
        if (r < 0)
                return r;
        r = fs_mkdir_p(o->run, 0755);
        if (r < 0)
                return error_set(err, r, "can't make the directory %s: %s", o->run, strerror(-r));
        r = str_printf(&socket, "%s/notify.sock", o->run);
        if (r == 0)
                r = notify_new(d->event, socket, on_log_request, d, &d->notify, err);
        if (r == 0)
                r = fusefs_new(d->event, o->mount, d->engine, &d->status, &d->fs, err);
        return r;
}

static void stop(Daemon *d)
{
        uint64_t end = now_usec() + STOP_PATIENCE_USEC;

        /* Whoever waits for an answer gets it; without quorum there may be none. */
        while (d->engine && !engine_is_idle(d->engine) && now_usec() < end)
                if (sd_event_run(d->event, end - now_usec()) < 0)
                        break;
        d->engine = engine_free(d->engine);
        d->fs = fusefs_free(d->fs);
        d->notify = notify_free(d->notify);
        handover_deinit(&d->handover);
        status_deinit(&d->status);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        (void) si, (void) userdata;
        return sd_event_exit(sd_event_source_get_event(s), 0);
}

/* `ready_fd`: told with a byte when the mount is there; or -1. */
static int run(Daemon *d, int ready_fd)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        sigset_t mask;
        uint8_t byte = 1;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, on_signal, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_signal, d);
        if (r >= 0)
                r = start(d, &err);
        if (r >= 0) {
                (void) sd_notify(false, "READY=1");
                log_info("%s is mounted", d->options.mount);
                if (ready_fd >= 0)
                        (void) fs_write_all(ready_fd, &byte, sizeof(byte));
                r = sd_event_loop(d->event);
                (void) sd_notify(false, "STOPPING=1");
        } else {
                log_error("%s", err.text[0] ? err.text : strerror(-r));
        }
        stop(d);
        d->event = sd_event_unref(d->event);
        return r;
}

/* The parent ends when the child serves, so that who starts it may go on. */
static int become_daemon(void)
{
        int fds[2];
        char c;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid > 0) {
                (void) close(fds[1]);
                _exit(read(fds[0], &c, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        (void) close(fds[0]);
        (void) setsid();
        return fds[1];
}

int main(int argc, char **argv)
{
        Daemon d = { .options = { .mount = "/etc/pve",
                                  .state = "/var/lib/storaged/clusterfs",
                                  .run = "/run/clusterfs",
                                  .corosync_conf = "/etc/corosync/corosync.conf",
                                  .is_full = true,
                                  .max_mib = TREE_SIZE_MAX_DEFAULT >> 20,
                                  .lock_seconds = ENGINE_LOCK_USEC / USEC_PER_SEC,
                                  .verify_seconds = ENGINE_VERIFY_USEC / USEC_PER_SEC,
                                  .wire_max = FRAME_VERSION,
                                  .wire_min = FRAME_VERSION_MIN } };
        struct storaged_error err = STORAGED_ERROR_INIT;
        int r = parse_options(argc, argv, &d.options), lock;
        AUTO(closep) int ready_fd = -EBADF;

        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        log_open("clusterfs", d.options.is_debug ? LOG_DEBUG : LOG_INFO);
        if (d.options.is_recovery)
                return recover(&d.options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (!d.options.is_foreground) {
                ready_fd = become_daemon();
                if (ready_fd < 0)
                        return EXIT_FAILURE;
        }
        lock = lock_state(d.options.state, &err);
        if (lock < 0) {
                log_error("%s", err.text);
                return EXIT_FAILURE;
        }
        r = run(&d, ready_fd);
        (void) close(lock);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
