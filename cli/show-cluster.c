/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What concerns all nodes as text: members, their storages as each sees them, what the doctor found. */
#include "cli/show-cluster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void table(const Column *columns, size_t n_columns, json_object *array)
{
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        if (output_rows(array, &rows, &n) < 0 || output_table(stdout, columns, n_columns, rows, n, false) < 0)
                (void) cli_oom();
}

/* "quorate"/"no quorum" in the cluster's row, what a node is in its own. */
static const char *cell_cluster_state(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        if (str_eq(json_get_string(row, "type"), "cluster"))
                return json_get_bool(row, "quorate", false) ? "quorate" : "no quorum";
        if (json_get_bool(row, "local", false))
                return "online, this one";
        return json_get_bool(row, "online", false) ? "online" : "offline";
}

static const char *cell_cluster_id(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        int64_t id = json_get_int(row, "nodeid", 0);

        if (id == 0)
                return "-";
        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%" PRId64, id);
        return buf;
}

static const char *cell_cluster_ip(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *ip = json_get_string(row, "ip");

        (void) buf;
        return ip ? ip : "-";
}

static void show_members(json_object *data)
{
        static const Column columns[] = {
                { .title = "Type", .key = "type", .fits_title = true },
                { .title = "Name", .key = "name", .fits_title = true },
                { .title = "Id", .cell = cell_cluster_id, .is_right = true, .fits_title = true },
                { .title = "Address", .cell = cell_cluster_ip, .fits_title = true },
                { .title = "State", .cell = cell_cluster_state },
        };

        table(columns, N(columns), data);
}

/* --- storages of all nodes */

static const char *cell_age(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        json_object *age = json_get(row, "age");

        if (!age)
                return "-";
        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%.0f s", json_object_get_double(age));
        return buf;
}

static const char *cell_identity(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *s = json_get_string(row, "identity");

        (void) buf;
        return s ? s : "-";
}

/* The most telling of what may be wrong. */
static const char *cell_reason(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        static const char *const keys[] = { "node_reason", "reason", "identity_reason" };

        (void) buf;
        for (size_t i = 0; i < N(keys); i++)
                if (json_get_string(row, keys[i]))
                        return json_get_string(row, keys[i]);
        return "";
}

static int compare_rows(const void *a, const void *b)
{
        const char *x = json_get_string(*(json_object *const *) a, "storage"),
                   *y = json_get_string(*(json_object *const *) b, "storage");
        int r = strcmp(x ? x : "", y ? y : "");

        if (r != 0)
                return r;
        x = json_get_string(*(json_object *const *) a, "node");
        y = json_get_string(*(json_object *const *) b, "node");
        return strcmp(x ? x : "", y ? y : "");
}

static void show_storages(json_object *data)
{
        static const Column columns[] = {
                { .title = "Storage", .key = "storage", .fits_title = true },
                { .title = "Type", .key = "type", .fits_title = true },
                { .title = "Node", .key = "node", .fits_title = true },
                { .title = "State", .key = "state", .fits_title = true },
                { .title = "Age", .cell = cell_age, .is_right = true, .fits_title = true },
                { .title = "Identity", .cell = cell_identity, .fits_title = true },
                { .title = "Reason", .cell = cell_reason },
        };

        json_object_array_sort(data, compare_rows);
        table(columns, N(columns), data);
}

void show_cluster(Cli *c, json_object *data)
{
        json_object *members = json_get(data, "cluster"), *storages = json_get(data, "storages"),
                    *conflicts = json_get(data, "conflicts");

        (void) c;
        show_members(members);
        if (json_object_is_type(storages, json_type_array) && json_object_array_length(storages) > 0) {
                (void) fputc('\n', stdout);
                show_storages(storages);
        }
        for (size_t i = 0; json_object_is_type(conflicts, json_type_array) && i < json_object_array_length(conflicts);
             i++) {
                output_text(
                        stdout,
                        i == 0 ? "\nSet aside by this node's cluster file system, because the majority's history is "
                                 "another one:\n"
                               : "");
                output_text(stdout, json_get_string(json_object_array_get_idx(conflicts, i), "path"));
                (void) fputc('\n', stdout);
        }
}

/* --- the doctor */

static const char *cell_object(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *s = json_get_string(row, "object");

        (void) buf;
        return s ? s : "-";
}

static const char *cell_finding(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *s = json_get_string(row, "summary");

        (void) buf;
        return s ? s : "";
}

bool finding_is_problem(json_object *row)
{
        const char *severity = json_get_string(row, "severity");

        return severity && (strcmp(severity, "warning") == 0 || strcmp(severity, "error") == 0);
}

void show_doctor(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Node", .key = "node", .fits_title = true },
                { .title = "Check", .key = "check", .fits_title = true },
                { .title = "Result", .key = "severity", .fits_title = true },
                { .title = "Code", .key = "code", .fits_title = true },
                { .title = "Object", .cell = cell_object, .fits_title = true },
                { .title = "Finding", .cell = cell_finding },
        };
        size_t n = json_object_is_type(data, json_type_array) ? json_object_array_length(data) : 0, n_problems = 0;

        (void) c;
        table(columns, N(columns), data);
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(data, i);
                const char *action = json_get_string(row, "action"), *object = json_get_string(row, "object");
                AUTO(strbuf_deinit) StrBuf line = STRBUF_INIT;

                if (!finding_is_problem(row))
                        continue;
                n_problems++;
                if (!action)
                        continue;
                strbuf_addf(&line, "%s %s%s%s: %s\n", json_get_string(row, "node"), json_get_string(row, "code"),
                            object ? " " : "", object ? object : "", action);
                if (n_problems == 1)
                        (void) puts("\nWhat to do:");
                output_text(stdout, line.data ? line.data : "");
        }
        (void) printf("\n%zu problem%s\n", n_problems, n_problems == 1 ? "" : "s");
}
