/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The parameters of one request: taken from path, query and body into one list of texts, then held against the
 * route's table. What a handler sees has passed; it never checks shape itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <storaged/cleanup.h>
#include <storaged/error.h>

#include "wire/http.h"

#define PARAM_LENGTH_MAX 4096u /* of a value, unless its row says otherwise */
#define PARAM_NAME_MAX 63u
#define PARAMS_MAX 256u

typedef enum ParamType {
        PARAM_STRING,
        PARAM_INTEGER,
        PARAM_BOOLEAN, /* 1 yes on true, 0 no off false */
        PARAM_ENUM,
        PARAM_SIZE, /* as `pvesm alloc`: KiB, or with M or G behind it */
        PARAM_VMID,
        PARAM_NAME, /* letters, digits, - _ . and none of - . first: of snapshots and the like */
} ParamType;

enum {
        PARAM_REQUIRED = 1 << 0,
        PARAM_LIST = 1 << 1,        /* words separated by commas; a JSON array is taken too */
        PARAM_MULTILINE = 1 << 2,   /* line breaks and tabs are part of it */
        PARAM_EMPTY = 1 << 3,       /* "" is a value */
        PARAM_SIGNED_SIZE = 1 << 4, /* SIZE: a + in front makes it relative */
};

/* One row of a route's table; name NULL ends it. */
typedef struct ParamSpec {
        const char *name;
        ParamType type;
        unsigned flags;
        int64_t min, max;          /* INTEGER; both 0: no limits */
        uint32_t max_length;       /* STRING; 0: PARAM_LENGTH_MAX */
        const char *const *values; /* ENUM; ends with NULL */
        const char *description;
        const char *arg;   /* the name core calls it by, for handlers that pass all on; NULL: not passed */
        const char *alias; /* another name core or a plugin has for it in errors; or NULL */
} ParamSpec;

typedef struct Param {
        char *name, *value;
        bool is_array; /* came as a JSON array; value is joined by commas */
} Param;

typedef struct Params {
        Param *items;
        size_t n, size;
} Params;

#define PARAMS_INIT \
        (Params)    \
        {           \
                0   \
        }

void params_deinit(Params *p);
/* NULL if it was not given. Borrowed. */
const char *params_get(const Params *p, const char *name);
/* Copies both; -EINVAL for a bad name or one that is there already. */
int params_add(Params *p, const char *name, const char *value, struct storaged_error *err);
/* name=value&… of a query or a form body. */
int params_add_form(Params *p, const char *text, size_t len, struct storaged_error *err);
/* A JSON object of strings, integers, booleans and arrays of these. */
int params_add_json(Params *p, const char *text, size_t len, struct storaged_error *err);

/* One value against one row; -EINVAL with the parameter named. */
int param_check(const ParamSpec *spec, const char *value, struct storaged_error *err);
const ParamSpec *param_spec_find(const ParamSpec *specs, const char *name);
/*
 * All given against the table: the required are there, each is of its type. Those not in the table are refused, or
 * with `any_other` taken as plain text.
 */
int params_check(const Params *p, const ParamSpec *specs, bool any_other, struct storaged_error *err);

/* Values that passed params_check(); `dflt` if not given. */
bool params_get_bool(const Params *p, const char *name, bool dflt);
int64_t params_get_int(const Params *p, const char *name, int64_t dflt);
/* The given ones whose row has `arg`, typed, as an object; lists become arrays. New reference, NULL if out of memory.
 */
json_object *params_to_args(const Params *p, const ParamSpec *specs);
/* The row as GET /schema shows it. New reference, NULL if out of memory. */
json_object *param_spec_to_json(const ParamSpec *spec);
