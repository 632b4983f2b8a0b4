/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include <stdio.h>

/* The completion for bash, out of the table of commands. 0 or -ENOMEM. */
int complete_write(FILE *f);
