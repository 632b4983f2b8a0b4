/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A host for tests of plugins without a worker: real programs, the real naming rules, and a fault point that fails,
 * or kills the process, at the name the test says.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <storaged/plugin.h>

#include "base/proc.h"
#include "wire/volname.h"

typedef struct HostFake {
        struct storaged_host host;
        const char *fault;  /* name of the point */
        int fault_error;    /* negative errno; 0: SIGKILL to itself */
        uint64_t cancel_at; /* progress() says stop from so many bytes on; 0: never */
        unsigned n_progress, n_logged, n_run;
} HostFake;

static inline void host_fake_log(void *handle, int level, const char *fmt, ...)
{
        HostFake *h = handle;
        char line[2048];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        if (getenv("HOST_FAKE_LOG"))
                fprintf(stderr, "<%d> %s\n", level, line);
        h->n_logged++;
}

static inline int host_fake_progress(void *handle, uint64_t done, uint64_t total)
{
        HostFake *h = handle;

        (void) total;
        h->n_progress++;
        return h->cancel_at && done >= h->cancel_at ? -ECANCELED : 0;
}

static inline int host_fake_proc_run(void *handle, const struct storaged_proc *proc, struct storaged_proc_result *ret,
                                     struct storaged_error *err)
{
        HostFake *h = handle;
        ProcSpec spec = PROC_SPEC_INIT;
        ProcResult result = PROC_RESULT_INIT;
        int r;

        h->n_run++;
        spec.argv = proc->argv;
        spec.stdin_fd = proc->stdin_fd;
        spec.stdout_fd = proc->stdout_fd;
        spec.keep_fds = proc->keep_fds;
        spec.deadline_ms = proc->deadline_ms;
        spec.progress = proc->progress;
        spec.userdata = proc->userdata;
        r = proc_run(&spec, &result, err);
        if (r < 0)
                return r;
        ret->status = result.status;
        ret->timed_out = result.timed_out;
        ret->out = result.out;
        ret->out_len = result.out_len;
        (void) snprintf(ret->last_error, sizeof(ret->last_error), "%s", result.last_error);
        return 0;
}

static inline int host_fake_fault(void *handle, const char *name)
{
        HostFake *h = handle;

        if (!h->fault || strcmp(h->fault, name) != 0)
                return 0;
        if (h->fault_error == 0)
                (void) raise(SIGKILL);
        return h->fault_error;
}

static inline int host_fake_parse(void *handle, const char *volname, struct storaged_volname *ret,
                                  struct storaged_error *err)
{
        (void) handle;
        return volname_parse(STORAGED_NAMING_FILE, volname, ret, err);
}

static inline int host_fake_next(void *handle, uint32_t vmid, const char *prefix, const char *const *used,
                                 size_t n_used, char *ret, size_t ret_size, struct storaged_error *err)
{
        (void) handle;
        return volname_next_disk(vmid, prefix, "", used, n_used, ret, ret_size, err);
}

static inline void host_fake_init(HostFake *h, const char *node)
{
        *h = (HostFake){ .host = {
                                 .size = sizeof(struct storaged_host),
                                 .node = node,
                                 .root = "",
                                 .run_dir = "/tmp",
                                 .log = host_fake_log,
                                 .progress = host_fake_progress,
                                 .proc_run = host_fake_proc_run,
                                 .fault = host_fake_fault,
                                 .parse_volname = host_fake_parse,
                                 .next_disk_name = host_fake_next,
                         } };
        h->host.handle = h;
}
