/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One run of pvesm: what was typed, where the daemon is, how to ask it and what to say when it refuses. */
#include <stdbool.h>
#include <stdio.h>

#include "base/paths.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/verb.h"

enum {
        CLI_OK = 0,
        CLI_FOUND = 1,   /* config check, doctor: they have looked, and something is wrong */
        CLI_USAGE = 2,   /* a parameter is wrong */
        CLI_FAILED = 255 /* no or unknown command, or it failed */
};

#define CLI_NODE "/nodes/localhost"

struct Cli {
        const Verb *verb;
        Args args;
        Paths paths;
        enum output_format format;
        Client *client; /* made with the first request */
};

/* The whole program: parses, runs, prints; gives the exit code. */
int cli_main(int argc, char **argv);

/*
 * One request. 0 with *ret filled if it succeeded; else the reason is on stderr and the exit code is what
 * comes back. `params` may be NULL.
 */
int cli_call(Cli *c, const char *method, const char *path, const StrBuf *params, Answer *ret);
/* The same for an answer of many rows: success comes as text. */
int cli_call_text(Cli *c, const char *path, const StrBuf *params, Answer *ret);
int cli_call_upload(Cli *c, const char *path, const Upload *upload, Answer *ret);
/* The same without a word on stderr: negative errno with `err` if nobody answers; *ret of any status else. */
int cli_try_call(Cli *c, const Request *rq, Answer *ret, struct storaged_error *err);

/* Path and parameters of the command's own call, from its row and the arguments. 0 or an exit code. */
int cli_build(Cli *c, StrBuf *ret_path, StrBuf *ret_params);
/* The beginning of a path of this node, or of the one that --node names. */
void cli_add_node(Cli *c, StrBuf *path);
/* The command's own call. Gives what cli_call gives. */
int cli_call_verb(Cli *c, Answer *ret);
/* Prints the data in the wanted format; as text with the command's `show`. Gives an exit code. */
int cli_show(Cli *c, json_object *data);

/* The storage of the parameter `volume` (or --storage); *ret_id has room for STORAGE_ID_MAX. 0 or an exit code. */
int cli_volume_storage(Cli *c, char *ret_id);
/* "STOREID:VOLNAME" of the parameter `volume`; the caller's to free; NULL if out of memory. */
char *cli_volume_id(Cli *c);

/* Say it on stderr. The first gives CLI_USAGE, with the usage line behind; the second CLI_FAILED. */
int cli_param_error(Cli *c, const char *param, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_oom(void);
/* Says why the daemon refused; gives the exit code. */
int cli_refused(Cli *c, const Answer *a);
