/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One row of the table of commands: parameters, the API call behind it, how its answer is shown. Parser, help,
 * manual and completion read the same rows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/str.h"

typedef struct Cli Cli;

enum param_type {
        PARAM_STRING,
        PARAM_BOOLEAN, /* a bare flag means 1 */
        PARAM_INTEGER,
        PARAM_LIST,   /* given several times: joined by commas */
        PARAM_SECRET, /* bare or empty: asked on the terminal */
        PARAM_FILE,   /* names a file of ours whose content is sent */
};

enum param_flags {
        PARAM_POSITIONAL = 1 << 0,
        PARAM_OPTIONAL = 1 << 1, /* a positional one that may be left out */
        PARAM_REQUIRED = 1 << 2, /* an option that may not be left out */
        PARAM_LOCAL = 1 << 3,    /* meant for pvesm itself, never sent */
        PARAM_AUTOGEN = 1 << 4,  /* the word `autogen` instead of a file */
        PARAM_KEEP = 1 << 5,     /* a keep-… option: becomes part of prune-backups */
};

typedef struct Param {
        const char *name;
        uint8_t type;         /* enum param_type */
        uint8_t flags;        /* enum param_flags */
        const char *hint;     /* what a value looks like; NULL: from the type */
        const char *complete; /* what bash offers: storage, volume, file, type, node, task, or words; NULL: nothing */
        const char *text;     /* one sentence for help */
} Param;

enum verb_flags {
        VERB_PVE = 1 << 0,     /* Proxmox VE has it: prefixes prefer it */
        VERB_ALIAS = 1 << 1,   /* an old name: only when written out, not in the overview */
        VERB_OPEN = 1 << 2,    /* takes any --key value; the daemon knows which are right */
        VERB_OFFLINE = 1 << 3, /* answered without a running daemon, too */
        VERB_SYNC = 1 << 4,    /* asks for the result instead of a task */
        VERB_DATA = 1 << 5,    /* prints data though it has no `show` */
};

typedef struct Verb {
        const char *name;    /* "status", "scan nfs" */
        const char *text;    /* one or two sentences */
        const Param *params; /* ends with name NULL; the positional ones come first */
        uint32_t flags;      /* enum verb_flags */
        const char *method;  /* of the call behind it; NULL if `run` is all there is */
        const char *path;    /* behind /api2/json; {storage} and {volume} come from the parameters */
        void (*show)(Cli *c, json_object *data); /* the answer as text; NULL: prints nothing */
        int (*run)(Cli *c);                      /* instead of the plain call; gives the exit code */
} Verb;

/* All commands in the order of the overview: tables that end with name NULL, then NULL. */
extern const Verb *const verb_tables[];
#define VERB_EACH(v)                                                              \
        for (const Verb *const *v##_table = verb_tables; *v##_table; v##_table++) \
                for (const Verb *v = *v##_table; v->name; v++)

enum verb_answer {
        VERB_FOUND = 0,
        VERB_E_NONE,      /* no command at all */
        VERB_E_UNKNOWN,   /* nothing of that name */
        VERB_E_AMBIGUOUS, /* a prefix of several */
        VERB_E_GROUP,     /* a group without, or with an unknown, subcommand */
};

/*
 * The command that the first words mean. *ret_used: how many words it took; with VERB_E_AMBIGUOUS and
 * VERB_E_GROUP `candidates` (may be NULL) gets the names that would do.
 */
int verb_find(const char *const *words, size_t n_words, const Verb **ret, size_t *ret_used, StrBuf *candidates);
const Param *verb_find_param(const Verb *v, const char *name);
/* "pvesm alloc <storage> <vmid> <filename> <size> [OPTIONS]"; the caller's to free; NULL if out of memory. */
char *verb_usage(const Verb *v);
/* True if it has options of its own, so that usage says so. */
bool verb_has_options(const Verb *v);
/* True if --output-format makes a difference. */
bool verb_prints_data(const Verb *v);
/* What help shows as a parameter's value: its hint, or a word for its type. */
const char *param_hint(const Param *p);
