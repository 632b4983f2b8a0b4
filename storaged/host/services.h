/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a worker does for its plugin: struct storaged_host over the socket to the daemon. */
#include <stdbool.h>
#include <stdint.h>

#include <storaged/cleanup.h>
#include <storaged/plugin.h>

typedef struct Services {
        struct storaged_host host; /* what the plugin sees; its handle is this struct */
        int socket;                /* borrowed; -EBADF: messages go to stderr */
        int log_level;
        uint32_t naming; /* enum storaged_naming of the plugin */

        /* the current call */
        uint32_t call;
        uint64_t deadline;      /* usec of CLOCK_MONOTONIC; UINT64_MAX: none */
        uint64_t next_progress; /* usec: not before, so that a fast plugin can't flood the daemon */
        bool is_cancelled;

        char *node, *root, *run_dir;
} Services;

/* Safe to deinit; the host's table is filled, its strings are empty until services_set_place(). */
void services_init(Services *s, int socket, int log_level, uint32_t naming);
void services_deinit(Services *s);
/* Which node and where; NULL leaves "". 0 or -ENOMEM. */
int services_set_place(Services *s, const char *node, const char *root, const char *run_dir);
/* A call begins: nothing of the one before it counts any more. deadline_ms 0: none. */
void services_begin(Services *s, uint32_t call, uint64_t deadline_ms);
/* Also for the worker itself: FRAME_LOG, or stderr as long as there is no socket. */
void services_log(void *handle, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
