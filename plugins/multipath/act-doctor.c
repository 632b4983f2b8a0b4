/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The action `doctor`: what is wrong with this node's LUNs and its multipath, a row a finding; all well is a row, too.
 */
#include <stdio.h>
#include <string.h>

#include "multipath/actions.h"
#include "multipath/js.h"

static void row(Act *a, const char *severity, const char *code, const char *object, const char *action,
                const char *summary)
{
        json_object *o = json_object_new_object();

        js_text(o, "code", code);
        js_text(o, "severity", severity);
        js_text(o, "object", object);
        js_text(o, "summary", summary);
        js_text(o, "action", action);
        js_push(a->reply, o);
}

/* "mpatha": multipathd's own names, which every node gives in its own order. */
static bool is_friendly(const char *name)
{
        return strncmp(name, "mpath", 5) == 0 && name[5] &&
               name[5 + strspn(name + 5, "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static bool is_san(json_object *lun)
{
        const char *t = act_text(lun, "transport");

        return *act_text(lun, "dm") || strcmp(t, "fc") == 0 || strcmp(t, "iscsi") == 0 || strcmp(t, "sas") == 0;
}

static size_t check_lun(Act *a, json_object *lun)
{
        const char *state = act_text(lun, "state"), *wwid = act_text(lun, "wwid"),
                   *queueing = act_text(lun, "queueing");
        size_t n = 0;

        if (strcmp(state, "ok") != 0) {
                bool is_error = strcmp(state, "failed") == 0 || strcmp(state, "changed") == 0;

                row(a, is_error ? "error" : "warning", is_error ? "LUN_BROKEN" : "LUN_DEGRADED", wwid,
                    "look at it with pvesm lun show", act_text(lun, "reason"));
                n++;
        }
        if (is_friendly(act_text(lun, "name"))) {
                row(a, "warning", "MULTIPATH_FRIENDLY_NAMES", wwid,
                    "set user_friendly_names no, or allow the LUN in multipath.cfg of the cluster (pvesm lun allow)",
                    "its map has a name that is another one on each node");
                n++;
        }
        if (strcmp(queueing, "on") == 0) {
                row(a, "warning", "MULTIPATH_QUEUES_FOR_EVER", wwid, "set no_path_retry to a number",
                    "without a path its I/O waits for ever: LVM and whoever uses it can't be ended then");
                n++;
        }
        return n;
}

int act_doctor(Act *a)
{
        AUTO_JS *all = NULL;
        json_object *luns = NULL, *v = NULL;
        size_t n_san = 0, n_found = 0;
        char text[128];
        int r = act_collect(a, NULL, false, &all);

        if (r < 0)
                return r;
        (void) json_object_object_get_ex(all, "luns", &luns);
        for (size_t i = 0; i < json_object_array_length(luns); i++) {
                json_object *lun = json_object_array_get_idx(luns, i);

                if (!is_san(lun))
                        continue;
                n_san++;
                n_found += check_lun(a, lun);
        }
        if (json_object_object_get_ex(all, "multipathd", &v) && *act_text(v, "error") && n_san > 0) {
                row(a, "error", "MULTIPATHD_DOWN", NULL, "install multipath-tools and start multipathd",
                    act_text(v, "error"));
                n_found++;
        }
        (void) snprintf(text, sizeof(text), "%zu LUNs of a SAN, each with all its paths", n_san);
        if (n_found == 0)
                row(a, "ok", "LUNS", NULL, NULL, text);
        return 0;
}
