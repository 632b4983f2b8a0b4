/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Help out of the table of commands. */
#include <stdio.h>

#include "cli/cli.h"

/* The usage lines of all commands, or of a group's. */
void help_overview(FILE *f, const char *group);
/* One command: usage, what it does, its parameters. */
void help_verb(FILE *f, const Verb *v, bool is_verbose);
/* `pvesm help [COMMAND] [--verbose]`. An exit code. */
int help_run(Cli *c);
/* What a parameter may be, for people: "<1 .. 30>", "<qcow2 | raw>"; into `b`. */
void help_param_value(StrBuf *b, const Param *p);
