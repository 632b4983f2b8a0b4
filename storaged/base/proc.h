/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The one door to other programs. argv vector, never a shell; LC_ALL=C.UTF-8; stdin from /dev/null or
 * a descriptor; stdout and stderr drained together; deadline, then SIGTERM, then SIGKILL to the group.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/error.h>

typedef struct ProcSpec {
        const char *const *argv;                            /* ends with NULL; argv[0] is looked up in PATH */
        int stdin_fd;                                       /* borrowed; -1: /dev/null */
        int stdout_fd;                                      /* borrowed; -1: collected into the result */
        const int *keep_fds;                                /* more descriptors to inherit, ends with -1; or NULL */
        uint64_t deadline_ms;                               /* 0: none */
        void (*progress)(void *userdata, const char *line); /* each piece of stdout up to \r or \n; or NULL */
        int (*cancelled)(void *userdata); /* asked a few times a second; non-zero ends the child; or NULL */
        void *userdata;
} ProcSpec;

#define PROC_SPEC_INIT                          \
        (ProcSpec)                              \
        {                                       \
                .stdin_fd = -1, .stdout_fd = -1 \
        }
#define PROC_OUTPUT_MAX (64u << 20)

typedef struct ProcResult {
        int status; /* exit status, or 128 + signal */
        bool timed_out;
        char *out; /* collected stdout, NUL-terminated */
        size_t out_len;
        char last_error[512]; /* last line of stderr */
} ProcResult;

#define PROC_RESULT_INIT \
        (ProcResult)     \
        {                \
                0        \
        }

void proc_result_deinit(ProcResult *r);
/*
 * 0 if the program ran: look at status. -ENOENT: no such program; -ETIMEDOUT: past its deadline (timed_out is
 * set, else a failure leaves *ret alone); -ECANCELED; -EFBIG: it printed more than PROC_OUTPUT_MAX.
 */
int proc_run(const ProcSpec *spec, ProcResult *ret, struct storaged_error *err);
