/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One call under way: what the functions of the table in calls.c get, and what they share. Not for others. */
#include <stdint.h>

#include "host/args.h"
#include "host/calls.h"
#include "wire/json.h"

typedef struct Call {
        const CallTarget *target;
        const struct storaged_plugin *ops;
        void *self;
        json_object *args;
        int fd;     /* borrowed; -1: none came */
        int opened; /* owned; -EBADF: none was opened */
        StrBuf *reply;
        struct storaged_error *err;
} Call;

static inline void call_add_text(StrBuf *b, const char *key, const char *value)
{
        if (!value)
                return;
        jsonw_key(b, key);
        jsonw_string(b, value);
}

static inline void call_add_int(StrBuf *b, const char *key, int64_t value)
{
        jsonw_key(b, key);
        jsonw_int(b, value);
}

static inline void call_add_uint(StrBuf *b, const char *key, uint64_t value)
{
        jsonw_key(b, key);
        jsonw_uint(b, value);
}

/* The argument "volume", parsed. */
static inline int call_volume(Call *c, struct storaged_volname *ret)
{
        return args_volume(c->args, c->ops->naming, ret, c->err);
}

/* The answer of what makes or renames a volume. */
int call_reply_volume(Call *c, const char *volname);

/* call-storage.c */
int call_check_config(Call *c);
int call_scan(Call *c);
int call_activate(Call *c);
int call_deactivate(Call *c);
int call_probe(Call *c);
int call_status(Call *c);
int call_health(Call *c);
int call_repair(Call *c);
int call_identify(Call *c);

/* call-action.c */
int call_act(Call *c);

/* call-list.c */
int call_list(Call *c);
int call_stat(Call *c);

/* call-volume.c */
int call_alloc(Call *c);
int call_free(Call *c);
int call_resize(Call *c);
int call_path(Call *c);
int call_activate_volume(Call *c);
int call_deactivate_volume(Call *c);
int call_holders(Call *c);
int call_fence(Call *c);
int call_snapshot(Call *c);
int call_rollback(Call *c);
int call_delete_snapshot(Call *c);
int call_list_snapshots(Call *c);
int call_clone(Call *c);
int call_template(Call *c);
int call_rename(Call *c);
int call_set_notes(Call *c);
int call_set_protected(Call *c);

/* call-stream.c */
int call_export(Call *c);
int call_import(Call *c);
int call_upload(Call *c);
