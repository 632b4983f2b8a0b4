/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking around: one worker that loads the plugin without a storage, asks, and ends. */
#include "core/scan.h"

#include <stdlib.h>

#include "base/clock.h"
#include "core/storage.h"
#include "wire/json.h"

#define SCAN_TIMEOUT_USEC (15 * USEC_PER_SEC)

typedef struct ScanCall {
        reply_fn fn;
        void *userdata;
} ScanCall;

static void on_scanned(void *userdata, const char *body, size_t len, const struct storaged_error *err)
{
        Reply reply = { .raw = body, .raw_len = len };
        ScanCall *call = userdata;

        call->fn(call->userdata, err ? NULL : &reply, err);
        free(call);
}

static int scan_args(const struct storaged_pair *args, size_t n_args, json_object **ret)
{
        AUTO_JSON *o = json_object_new_object();
        int r = o ? 0 : -ENOMEM;

        for (size_t i = 0; i < n_args && r >= 0; i++)
                r = json_add_string(o, args[i].key, args[i].value);
        if (r < 0)
                return r;
        *ret = TAKE(o);
        return 0;
}

static int scan_begin(Core *c, const char *kind, const struct storaged_pair *args, size_t n_args, ScanCall *scan,
                      struct storaged_error *err)
{
        const Type *type = schema_find(c->schema, kind);
        AUTO_JSON *params = NULL;
        StorageCall call = {
                .op = "scan", .fd = -1, .timeout_usec = SCAN_TIMEOUT_USEC, .done = on_scanned, .userdata = scan
        };

        if (!type || !type->has_plugin || !type_has_op(type, SCHEMA_OP_SCAN))
                return error_set(err, -EOPNOTSUPP, "scan %s: no plugin on node '%s' can scan for it", kind, c->node);
        if (scan_args(args, n_args, &params) < 0)
                return error_set(err, -ENOMEM, "scan %s: out of memory", kind);
        call.args = params;
        return oneshot_run(c, type, NULL, &call, NULL, err);
}

void scan_run(Core *c, const char *kind, const struct storaged_pair *args, size_t n_args, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        ScanCall *scan = calloc(1, sizeof(*scan));

        if (scan) {
                *scan = (ScanCall){ fn, userdata };
                if (scan_begin(c, kind, args, n_args, scan, &err) >= 0)
                        return;
        } else {
                (void) error_set(&err, -ENOMEM, "scan %s: out of memory", kind);
        }
        free(scan);
        fn(userdata, NULL, &err);
}
