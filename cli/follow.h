/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Watching a task until it is over. */
#include <stdio.h>

#include "cli/cli.h"

/*
 * Prints the task's log to `log` (NULL: nowhere) as it grows and a progress bar on a terminal. ^C once asks the task to
 * stop, twice leaves it alone. An exit code: 0 if it ended well (*ret_result, a new reference or NULL, is its
 * result; may be NULL), else the reason is on stderr.
 */
int follow_task(Cli *c, const char *upid, FILE *log, json_object **ret_result);
/* The answer of a call that may be a task: follows it if it is a UPID. */
int follow_answer(Cli *c, json_object *data, FILE *log, json_object **ret_result);
/* Where log lines go: stdout, unless that is for data. */
FILE *follow_log_file(const Cli *c);
