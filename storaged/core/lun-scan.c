/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking for new LUNs, on all nodes at once. A node that could not look is named; the others' finds stand. */
#include <errno.h>
#include <inttypes.h>

#include "core/lun-steps.h"
#include "core/task.h"
#include "wire/json.h"

static void log_words(LunJob *j, const char *node, json_object *words, const char *what)
{
        for (size_t i = 0; words && i < json_object_array_length(words); i++)
                task_log(j->task, "%s: %s %s", node, what, json_object_get_string(json_object_array_get_idx(words, i)));
}

static void on_scanned(void *userdata, const NodeAnswer *answers, size_t n)
{
        AUTO_JSON *result = json_object_new_object();
        LunJob *j = userdata;
        const NodeAnswer *failed = lun_job_find_failure(j, answers, n);

        for (size_t i = 0; i < n; i++) {
                const NodeAnswer *a = &answers[i];

                if (!a->data)
                        continue;
                task_log(j->task, "%s: %" PRId64 " LUNs after %" PRId64 " scans", a->node,
                         json_get_int(a->data, "luns", 0), json_get_int(a->data, "scans", 0));
                log_words(j, a->node, json_get(a->data, "new"), "new LUN");
                log_words(j, a->node, json_get(a->data, "lost"), "no longer there: LUN");
                log_words(j, a->node, json_get(a->data, "replaced"), "led to another LUN and was replaced: path");
                log_words(j, a->node, json_get(a->data, "gone"), "the array has no LUN any more behind path");
                log_words(j, a->node, json_get(a->data, "failed"), "not scanned:");
                (void) json_add(result, a->node, json_object_get(a->data));
        }
        lun_job_end(j, result, failed ? &failed->err : NULL);
}

static void scan_run(LunJob *j)
{
        if (j->node && strlist_adds(&j->nodes, j->node) < 0) {
                lun_job_fail(j, -ENOMEM, "out of memory");
                return;
        }
        lun_job_arg(j, "target", j->target);
        lun_job_arg(j, "lun", j->lun);
        lun_job_step(j, "lun-scan", on_scanned);
}

void lun_scan(Core *c, const LunRequest *rq, reply_fn fn, void *userdata)
{
        lun_job_begin(c, "lunscan", rq, false, scan_run, fn, userdata);
}
