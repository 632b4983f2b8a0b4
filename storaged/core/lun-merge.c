/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nodes' inventories put together. A LUN of a SAN should look the same from every node: what differs is a finding,
 * in the words of the node where it differs. A disk in the node itself (SATA, NVMe over PCIe, a virtual one) is nobody
 * else's to see.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/lun-cluster.h"
#include "wire/json.h"

/* From harmless to what must not be used. */
static const char *const states[] = { "ok", "nomap", "degraded", "missing", "failed", "changed" };

static size_t rank_of(const char *state)
{
        for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
                if (str_eq(states[i], state))
                        return i;
        return 0;
}

static bool is_shared(json_object *lun)
{
        static const char *const words[] = { "fc", "iscsi", "sas" };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (str_eq(json_get_string(lun, "transport"), words[i]))
                        return true;
        return json_get(lun, "dm") != NULL;
}

static void worsen(json_object *row, const char *state)
{
        if (rank_of(state) > rank_of(json_get_string(row, "state"))) {
                json_object_object_del(row, "state");
                (void) json_add_string(row, "state", state);
        }
}

static int add_finding(json_object *row, const char *node, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int add_finding(json_object *row, const char *node, const char *fmt, ...)
{
        char text[512], line[800];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        (void) snprintf(line, sizeof(line), "%.255s: %s", node, text);
        return json_object_array_add(json_get(row, "findings"), json_object_new_string(line)) < 0 ? -ENOMEM : 0;
}

/* What all nodes should agree on, from the first that has it. */
static int row_new(json_object *lun, json_object **ret)
{
        static const char *const keys[] = { "wwid",      "size",      "vendor",   "product", "serial",
                                            "transport", "name",      "device",   "content", "signature",
                                            "vg",        "lock_type", "storages", "held" };
        AUTO_JSON *row = json_object_new_object();
        int r = row ? json_add_string(row, "state", "ok") : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
                if (json_get(lun, keys[i]))
                        r = json_add(row, keys[i], json_object_get(json_get(lun, keys[i])));
        if (r >= 0)
                r = json_add(row, "findings", json_object_new_array());
        if (r >= 0)
                r = json_add(row, "nodes", json_object_new_object());
        if (r >= 0)
                *ret = TAKE(row);
        return r;
}

static json_object *find_row(json_object *rows, const char *wwid)
{
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                if (str_eq(json_get_string(json_object_array_get_idx(rows, i), "wwid"), wwid))
                        return json_object_array_get_idx(rows, i);
        return NULL;
}

static int take_lun(json_object *rows, const char *node, json_object *lun)
{
        json_object *row = find_row(rows, json_get_string(lun, "wwid"));
        int r = 0;

        if (!row) {
                r = row_new(lun, &row);
                if (r >= 0 && json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        r = -ENOMEM;
                }
        }
        return r < 0 ? r : json_add(json_get(row, "nodes"), node, json_object_get(lun));
}

static int64_t most_paths(json_object *row)
{
        int64_t most = 0;

        json_object_object_foreach (json_get(row, "nodes"), node, lun) {
                (void) node;
                if (json_get_int(lun, "n_paths", 0) > most)
                        most = json_get_int(lun, "n_paths", 0);
        }
        return most;
}

/* One node's view of one LUN against the row's. */
static int compare_node(json_object *row, const NodeAnswer *a, int64_t most)
{
        json_object *lun = json_get(json_get(row, "nodes"), a->node);
        const char *state = json_get_string(lun, "state"), *reason = json_get_string(lun, "reason");
        int r = 0;

        if (!lun && !a->data)
                return add_finding(row, a->node, "not known: %s", a->err.text);
        if (!lun) {
                worsen(row, "missing");
                return add_finding(row, a->node, "does not see it");
        }
        worsen(row, state);
        if (!str_eq(state, "ok"))
                r = add_finding(row, a->node, "%s: %s", state ? state : "?", reason ? reason : "?");
        if (r >= 0 && json_get_int(lun, "n_paths", 0) < most) {
                worsen(row, "degraded");
                r = add_finding(row, a->node, "%" PRId64 " paths, others have %" PRId64,
                                json_get_int(lun, "n_paths", 0), most);
        }
        if (r >= 0 && json_get_uint(lun, "size", 0) != json_get_uint(row, "size", 0)) {
                worsen(row, "changed");
                r = add_finding(row, a->node, "%" PRIu64 " bytes, others see %" PRIu64 "; run pvesm lun resize",
                                json_get_uint(lun, "size", 0), json_get_uint(row, "size", 0));
        }
        return r;
}

static int compare(json_object *row, const NodeAnswer *answers, size_t n)
{
        json_object *nodes = json_get(row, "nodes"), *first = NULL;
        int64_t most = most_paths(row);
        int r = 0;

        json_object_object_foreach (nodes, node, lun) {
                (void) node;
                first = first ? first : lun;
        }
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (is_shared(first) || json_get(nodes, answers[i].node))
                        r = compare_node(row, &answers[i], most);
        return r;
}

static int add_node(json_object *nodes, const NodeAnswer *a)
{
        json_object *o = json_object_new_object();
        const char *stale = json_get_string(a->data, "stale"), *mpathd;
        int r = o ? json_add_string(o, "node", a->node) : -ENOMEM;

        mpathd = json_get_string(json_get(a->data, "multipathd"), "error");
        if (r >= 0)
                r = json_add_bool01(o, "online", a->data != NULL);
        if (r >= 0 && (!a->data || stale || mpathd))
                r = json_add_string(o, "error", !a->data ? a->err.text : stale ? stale : mpathd);
        if (r >= 0)
                r = json_object_array_add(nodes, o) < 0 ? -ENOMEM : 0;
        if (r < 0)
                json_object_put(o);
        return r;
}

static int by_wwid(const void *a, const void *b)
{
        const char *x = json_get_string(*(json_object *const *) a, "wwid");
        const char *y = json_get_string(*(json_object *const *) b, "wwid");

        return strcmp(x ? x : "", y ? y : "");
}

static int take_node(json_object *rows, const NodeAnswer *a, const char *wwid)
{
        json_object *luns = json_get(a->data, "luns");
        int r = 0;

        if (!json_object_is_type(luns, json_type_array))
                return 0;
        for (size_t i = 0; r >= 0 && i < json_object_array_length(luns); i++) {
                json_object *lun = json_object_array_get_idx(luns, i);
                const char *name = json_get_string(lun, "wwid");

                if (name && (!wwid || str_eq(name, wwid)))
                        r = take_lun(rows, a->node, lun);
        }
        return r;
}

json_object *luns_merge(const NodeAnswer *answers, size_t n, const char *wwid)
{
        AUTO_JSON *o = json_object_new_object();
        json_object *nodes = json_object_new_array(), *rows = json_object_new_array();
        int r = o && nodes && rows ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = add_node(nodes, &answers[i]);
                if (r >= 0)
                        r = take_node(rows, &answers[i], wwid);
        }
        for (size_t i = 0; r >= 0 && i < json_object_array_length(rows); i++)
                r = compare(json_object_array_get_idx(rows, i), answers, n);
        if (r < 0) {
                json_object_put(nodes);
                json_object_put(rows);
                return NULL;
        }
        json_object_array_sort(rows, by_wwid);
        r = json_add(o, "nodes", nodes);
        if (json_add(o, "luns", rows) < 0 || r < 0)
                return NULL;
        return TAKE(o);
}
