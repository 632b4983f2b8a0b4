/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `pvesm scan lvm`: the volume groups this node sees. */
#include <stdlib.h>

#include "lvm/lvm.h"

static const struct storaged_property no_params[] = { { 0 } };
static const char *const columns[] = { "vg", NULL };

const struct storaged_scan lvm_scan_schema = { .params = no_params, .columns = columns };

int lvm_scan(const struct storaged_host *host, const struct storaged_config *args, storaged_scan_fn fn, void *userdata,
             struct storaged_error *err)
{
        LvmCmd cmd = { .what = "scan lvm" };
        json_object *report = NULL, *rows;
        int r = lvm_cmd_report(&cmd, "list volume groups", &report, err,
                               "vgs --reportformat json --units b --nosuffix -o vg_name,vg_size,vg_free,lv_count");

        (void) host;
        (void) args;
        lvm_cmd_deinit(&cmd);
        if (r < 0)
                return r;
        rows = json_object_object_get(json_object_array_get_idx(json_object_object_get(report, "report"), 0), "vg");
        for (size_t i = 0; r == 0 && rows && i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);
                const struct storaged_pair pairs[] = {
                        { "vg", json_object_get_string(json_object_object_get(row, "vg_name")) },
                        { "size", json_object_get_string(json_object_object_get(row, "vg_size")) },
                        { "free", json_object_get_string(json_object_object_get(row, "vg_free")) },
                        { "lvcount", json_object_get_string(json_object_object_get(row, "lv_count")) },
                };

                r = fn(userdata, pairs, sizeof(pairs) / sizeof(pairs[0]));
        }
        json_object_put(report);
        return r;
}
