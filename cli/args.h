/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The words behind a command, as names and values. */
#include <stdbool.h>
#include <stddef.h>

#include <storaged/error.h>

#include "base/vec.h"
#include "cli/verb.h"

typedef struct Arg {
        char *name, *value;
        const Param *param; /* NULL: an open command's, unknown here */
        bool is_bare;       /* came without a value */
} Arg;

typedef struct Args {
        VEC(Arg) list;
        char *root;   /* --root, or NULL */
        char *format; /* --output-format, or NULL */
        bool wants_help;
} Args;

#define ARGS_INIT \
        (Args)    \
        {         \
                0 \
        }

void args_deinit(Args *a);

/*
 * Options that may stand before the command: --root, --output-format and --help. *ret_first is the first
 * word that is none. -EINVAL with `err` else.
 */
int args_parse_global(Args *a, char **words, int n_words, int *ret_first, struct storaged_error *err);

/*
 * The words behind the command. Booleans become "1" or "0", repeated lists are joined, else the last one counts.
 * -EINVAL with `err`: err->param names the parameter, or is empty where the line as a whole is wrong.
 */
int args_parse(Args *a, const Verb *verb, char **words, int n_words, struct storaged_error *err);

/* NULL if it was not given. Borrowed. */
const char *args_get(const Args *a, const char *name);
bool args_get_bool(const Args *a, const char *name);
/* Gives a parameter a value of ours. 0 or -ENOMEM. */
int args_set(Args *a, const char *name, const char *value, const Param *param);
