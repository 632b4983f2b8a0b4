/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A daemon's side of a worker, for tests: real process, real socket, real frames. Any breach of protocol fails the
 * test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/str.h"
#include "wire/frame.h"
#include "wire/json.h"

#define PATIENCE_MSEC 60000 /* no answer for so long fails the test */

typedef struct Harness {
        const char *plugin, *worker;
        json_object *contract;    /* {"config": …} as read, or NULL */
        json_object *description; /* what --describe printed */
        char dir[256];            /* fresh for each test, gone after it */
        pid_t pid;
        int socket;
        uint32_t call;
        FrameAssembler assembler;
        unsigned n_progress, n_log;
        const char *faults; /* STORAGED_FAULTS of the next worker, which may then die: code -EPIPE; or NULL */

        /* of the last call */
        int code; /* 0, or the negative errno of FRAME_ERROR */
        char param[64], text[1100];
        json_object *reply; /* owned; NULL after an error and for null */
} Harness;

/* Environment: PLUGIN, CONTRACT, STORAGED_WORKER. Exits with a message if they are of no use. */
void harness_init(Harness *h, const char *plugin, const char *contract);
void harness_deinit(Harness *h);

void harness_dir_make(Harness *h);
void harness_dir_remove(Harness *h);
/* The process, not yet the plugin. */
void harness_spawn(Harness *h);
/* The configuration of the test: that of contract.json, with the test's own directory for @DIR@. */
void harness_add_config(const Harness *h, StrBuf *b);
/* Calls `start` with the contract's configuration (or without a storage): 0 and FRAME_READY, or the code. */
int harness_start(Harness *h, bool with_storage);
/* Closes the socket and gives the exit status (128 + signal). */
int harness_end(Harness *h);
void harness_kill(Harness *h);

/* `args`: printf pattern of a JSON object, or NULL. Sends, waits, fills code … reply; gives the code. */
int harness_call(Harness *h, const char *op, const char *args, ...) __attribute__((format(printf, 3, 4)));
/* The same with a descriptor that goes along. */
int harness_call_fd(Harness *h, int fd, const char *op, const char *args, ...) __attribute__((format(printf, 4, 5)));
/* The two halves. */
void harness_send(Harness *h, int fd, const char *op, const char *args_text);
int harness_receive(Harness *h);

bool harness_has(const Harness *h, const char *operation);
/* Whether `word` is in the array `key` of `o`. */
bool has_word(json_object *o, const char *key, const char *word);
/* Runs a program to its end; its stdout is the caller's to free. The exit status. */
int run_program(const char *const *argv, char **ret_out, char **ret_err);
