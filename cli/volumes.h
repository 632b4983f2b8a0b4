/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The table of `pvesm list`, straight from the text of the answer. */
#include <stdio.h>

#include "cli/span.h"

/* `rows`: the JSON array of volumes, and anything behind it. 0, -ENOMEM, or -EINVAL if it is none. */
int volumes_print(FILE *f, Span rows);
