/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Commands that are more than one call and one answer. Each is the `run` of rows of the table of commands. */
#include "cli/cli.h"

int run_add(Cli *c);
int run_cluster_status(Cli *c);
int run_config_check(Cli *c);
int run_doctor(Cli *c);
int run_export(Cli *c);
int run_extractconfig(Cli *c);
int run_free(Cli *c);
int run_help(Cli *c);
int run_import(Cli *c);
int run_info(Cli *c);
int run_list(Cli *c);
int run_migrate(Cli *c);
int run_notes(Cli *c);
int run_prune(Cli *c);
int run_task(Cli *c); /* the row's call, followed if it is a task; the result is shown */
int run_tasks(Cli *c);
int run_upload(Cli *c);
int run_warned(Cli *c); /* the row's call; warnings in its answer go to standard error */
