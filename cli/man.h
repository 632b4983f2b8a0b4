/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include <stdio.h>

/* The manual page pvesm(1), out of the table of commands. 0 or -ENOMEM. */
int man_write(FILE *f);
