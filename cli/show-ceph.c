/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Ceph cluster as text: its checks, each as a paragraph that a person can act on; its pools as a table. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/output.h"
#include "cli/show.h"
#include "wire/json.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void print_field(const char *name, const char *value)
{
        if (!value || !*value)
                return;
        (void) printf("  %-8s ", name);
        output_text(stdout, value);
        (void) fputc('\n', stdout);
}

static void print_words(const char *name, json_object *array)
{
        size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;

        for (size_t i = 0; i < n; i++)
                print_field(i == 0 ? name : "", json_object_get_string(json_object_array_get_idx(array, i)));
}

static void print_check(json_object *check)
{
        const char *code = json_get_string(check, "code"), *severity = json_get_string(check, "severity");

        output_text(stdout, code ? code : "?");
        (void) printf(" (%s%s)\n", severity && str_eq(severity, "HEALTH_ERR") ? "error" : "warning",
                      json_get_bool(check, "muted", false) ? ", muted" : "");
        print_field("what", json_get_string(check, "summary"));
        print_words("detail", json_get(check, "detail"));
        print_field("means", json_get_string(check, "meaning"));
        print_words("pools", json_get(check, "pools"));
        print_words("storages", json_get(check, "storages"));
        print_field("do", json_get_string(check, "advice"));
}

void show_ceph_health(Cli *c, json_object *data)
{
        json_object *checks = json_get(data, "checks");
        size_t n = json_object_is_type(checks, json_type_array) ? json_object_array_length(checks) : 0;
        const char *status = json_get_string(data, "status");

        (void) c;
        output_text(stdout, status ? status : "?");
        (void) fputc('\n', stdout);
        for (size_t i = 0; i < n; i++)
                print_check(json_object_array_get_idx(checks, i));
}

static const char *cell_applications(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        json_object *all = json_get(row, "application_metadata");
        size_t used = 0;

        buf[0] = '\0';
        if (json_object_is_type(all, json_type_object)) {
                json_object_object_foreach (all, key, value) {
                        (void) value;
                        if (used < OUTPUT_CELL_SIZE)
                                used += (size_t) snprintf(buf + used, OUTPUT_CELL_SIZE - used, "%s%s", used ? "," : "",
                                                          key);
                }
        }
        return buf[0] ? buf : "-";
}

static const char *cell_mib(json_object *row, const char *key, char buf[OUTPUT_CELL_SIZE])
{
        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%" PRIu64, json_get_uint(row, key, 0) >> 20);
        return buf;
}

static const char *cell_used(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return cell_mib(row, "bytes_used", buf);
}

static const char *cell_avail(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return cell_mib(row, "max_avail", buf);
}

void show_ceph_pools(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Name", .key = "pool_name", .fits_title = true },
                { .title = "Type", .key = "type", .fits_title = true },
                { .title = "Size", .key = "size", .fits_title = true, .is_right = true },
                { .title = "Min", .key = "min_size", .fits_title = true, .is_right = true },
                { .title = "PGs", .key = "pg_num", .fits_title = true, .is_right = true },
                { .title = "Objects", .key = "objects", .fits_title = true, .is_right = true },
                { .title = "Used (MiB)", .cell = cell_used, .fits_title = true, .is_right = true },
                { .title = "Available (MiB)", .cell = cell_avail, .fits_title = true, .is_right = true },
                { .title = "Application", .cell = cell_applications },
        };
        json_object **rows = NULL;
        size_t n = 0;

        (void) c;
        if (output_rows(data, &rows, &n) < 0 || output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
        free(rows);
}
