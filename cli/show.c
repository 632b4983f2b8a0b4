/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answers as text. Tables that Proxmox VE has come out in its widths to the letter, since scripts cut
 * them by column; ours are as wide as they need to be.
 */
#include "cli/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/json.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void table(const Column *columns, size_t n_columns, json_object *array, bool without_header)
{
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        if (output_rows(array, &rows, &n) < 0 || output_table(stdout, columns, n_columns, rows, n, without_header) < 0)
                (void) cli_oom();
}

static void print_line(const char *s)
{
        output_text(stdout, s);
        (void) fputc('\n', stdout);
}

/* "2026-07-24 10:11:12", local time */
static const char *time_text(json_object *v, char buf[OUTPUT_CELL_SIZE])
{
        time_t t = (time_t) json_object_get_int64(v);
        struct tm tm;

        if (!v || t == 0 || !localtime_r(&t, &tm))
                return "-";
        (void) strftime(buf, OUTPUT_CELL_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
        return buf;
}

/* --- status */

static bool is_enabled(json_object *row)
{
        return json_get_bool(row, "enabled", true);
}

static const char *status_state(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *state = json_get_string(row, "state");

        (void) buf;
        if (state)
                return state;
        return !is_enabled(row) ? "disabled" : json_get_bool(row, "active", false) ? "active" : "inactive";
}

static const char *status_kib(json_object *row, const char *key, char buf[OUTPUT_CELL_SIZE])
{
        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%" PRIu64, json_get_uint(row, key, 0) / 1024);
        return buf;
}

static const char *status_total(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return status_kib(row, "total", buf);
}

static const char *status_used(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return status_kib(row, "used", buf);
}

static const char *status_avail(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return status_kib(row, "avail", buf);
}

static const char *status_percent(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        uint64_t total = json_get_uint(row, "total", 0);
        double used = (double) json_get_uint(row, "used", 0);

        if (!is_enabled(row))
                return "N/A";
        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%.2f%%", total > 0 ? used * 100 / (double) total : 0.0);
        return buf;
}

static int by_storage(const void *a, const void *b)
{
        const char *x = json_get_string(*(json_object *const *) a, "storage");
        const char *y = json_get_string(*(json_object *const *) b, "storage");

        return strcmp(x ? x : "", y ? y : "");
}

static void warn_about(json_object *row)
{
        const char *reason = json_get_string(row, "reason"), *id = json_get_string(row, "storage");
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        if (!reason || !*reason || !is_enabled(row))
                return;
        strbuf_addf(&b, "storage '%s': ", id ? id : "?");
        output_escape(&b, reason, false);
        (void) fprintf(stderr, "%s\n", b.data ? b.data : "");
}

void show_status(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Name", .key = "storage", .extra = 1 },
                { .title = "Type", .key = "type", .width = 10, .is_fixed = true, .is_right = true },
                { .title = "Status", .cell = status_state, .width = 10, .is_fixed = true, .is_right = true },
                { .title = "Total (KiB)", .cell = status_total, .width = 15, .is_fixed = true, .is_right = true },
                { .title = "Used (KiB)", .cell = status_used, .width = 15, .is_fixed = true, .is_right = true },
                { .title = "Available (KiB)", .cell = status_avail, .width = 15, .is_fixed = true, .is_right = true },
                { .title = "%", .cell = status_percent, .width = 8, .is_fixed = true, .is_right = true },
        };
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        (void) c;
        if (output_rows(data, &rows, &n) < 0) {
                (void) cli_oom();
                return;
        }
        qsort(rows, n, sizeof(*rows), by_storage);
        for (size_t i = 0; i < n; i++)
                warn_about(rows[i]);
        if (output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
}

/* --- scan */

/* What a row of a kind begins and ends with; a kind that is not here shows all it has. */
static const struct {
        const char *verb, *first, *second;
} scan_rows[] = {
        { "scan nfs", "path", "options" },    { "scan cifs", "share", "description" },
        { "scan iscsi", "target", "portal" }, { "scan lvm", "vg", NULL },
        { "scan lvmthin", "lv", NULL },       { "scan zfs", "pool", NULL },
        { "nfsscan", "path", "options" },     { "cifsscan", "share", "description" },
        { "iscsiscan", "target", "portal" },  { "lvmscan", "vg", NULL },
        { "lvmthinscan", "lv", NULL },        { "zfsscan", "pool", NULL },
};

void show_scan(Cli *c, json_object *data)
{
        for (size_t i = 0; i < N(scan_rows); i++)
                if (str_eq(c->verb->name, scan_rows[i].verb)) {
                        const Column columns[] = {
                                { .title = "", .key = scan_rows[i].first },
                                { .title = "", .key = scan_rows[i].second },
                        };

                        table(columns, scan_rows[i].second ? 2 : 1, data, true);
                        return;
                }
        show_object(c, data);
}

/* --- prune-backups */

static const char *backup_id(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *type = json_get_string(row, "type");
        char number[OUTPUT_CELL_SIZE];
        json_object *vmid = json_get(row, "vmid");

        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%.24s%s%s", type ? type : "unknown", vmid ? "/" : "",
                        output_scalar(vmid, number));
        return buf;
}

static int compare_int(json_object *a, json_object *b, const char *key)
{
        int64_t x = json_object_get_int64(json_get(a, key)), y = json_object_get_int64(json_get(b, key));

        return (x > y) - (x < y);
}

static int by_guest_and_time(const void *a, const void *b)
{
        json_object *x = *(json_object *const *) a, *y = *(json_object *const *) b;
        int r = compare_int(x, y, "vmid");

        return r != 0 ? r : compare_int(x, y, "ctime");
}

void show_backups(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Backup", .key = "volid", .extra = 1 },
                { .title = "Backup-ID", .cell = backup_id, .width = 15, .is_fixed = true, .is_right = true },
                { .title = "Prune-Mark", .key = "mark", .width = 10, .is_fixed = true, .is_right = true },
        };
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        (void) c;
        (void) puts("NOTE: a look ahead, nothing was removed. Backups made or removed\n"
                    "until the real run can change what it does.\n");
        if (output_rows(data, &rows, &n) < 0) {
                (void) cli_oom();
                return;
        }
        qsort(rows, n, sizeof(*rows), by_guest_and_time);
        if (output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
}

/* --- lines */

void show_apiinfo(Cli *c, json_object *data)
{
        (void) c;
        (void) printf("APIVER %" PRId64 "\nAPIAGE %" PRId64 "\n", json_get_int(data, "apiver", 0),
                      json_get_int(data, "apiage", 0));
}

void show_path(Cli *c, json_object *data)
{
        const char *path = json_get_string(data, "path");

        (void) c;
        print_line(path ? path : "");
}

void show_created(Cli *c, json_object *data)
{
        const char *volid = json_object_is_type(data, json_type_object) ? json_get_string(data, "volid")
                            : data                                      ? json_object_get_string(data)
                                                                        : NULL;

        (void) c;
        if (!volid)
                return;
        (void) fputs("successfully created '", stdout);
        output_text(stdout, volid);
        (void) puts("'");
}

void show_text(Cli *c, json_object *data)
{
        char buf[OUTPUT_CELL_SIZE];
        const char *s = output_scalar(data, buf);

        (void) c;
        if (*s)
                print_line(s);
}

void show_object(Cli *c, json_object *data)
{
        (void) c;
        if (json_object_is_type(data, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(data); i++) {
                        if (i > 0)
                                (void) fputc('\n', stdout);
                        (void) output_object(stdout, json_object_array_get_idx(data, i));
                }
                return;
        }
        (void) output_object(stdout, data);
}

/* --- our own tables */

static const char *cell_ctime(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return time_text(json_get(row, "ctime"), buf);
}

static const char *cell_starttime(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return time_text(json_get(row, "starttime"), buf);
}

static const char *cell_parent(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *s = json_get_string(row, "parent");

        (void) buf;
        return s && *s ? s : "-";
}

static const char *cell_node(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *s = json_get_string(row, "node");

        (void) buf;
        return s && *s ? s : "-";
}

static const char *cell_exclusive(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        return json_get_bool(row, "exclusive", false) ? "exclusive" : "shared";
}

static const char *cell_end(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *end = json_get_string(row, "exitstatus"), *status = json_get_string(row, "status");

        (void) buf;
        return end ? end : status && *status ? status : "running";
}

static const char *cell_action(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *s = json_get_string(row, "action");

        (void) buf;
        return s && *s ? s : NULL;
}

void show_snapshots(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Name", .key = "name", .fits_title = true },
                { .title = "Created", .cell = cell_ctime, .fits_title = true },
                { .title = "Parent", .cell = cell_parent, .fits_title = true },
        };

        (void) c;
        table(columns, N(columns), data, false);
}

void show_holders(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Node", .cell = cell_node, .fits_title = true },
                { .title = "Mode", .cell = cell_exclusive, .fits_title = true },
                { .title = "Holder", .key = "what", .fits_title = true },
        };

        (void) c;
        table(columns, N(columns), data, false);
}

void show_migration(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Volume", .key = "volume", .fits_title = true },
                { .title = "State", .key = "state", .fits_title = true },
                { .title = "Active on", .cell = cell_node, .fits_title = true },
                { .title = "And on", .key = "partner" },
        };

        (void) c;
        table(columns, N(columns), data, false);
}

void show_findings(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Severity", .key = "severity", .fits_title = true },
                { .title = "Code", .key = "code", .fits_title = true },
                { .title = "Finding", .key = "summary", .fits_title = true },
                { .title = "What to do", .cell = cell_action },
        };

        (void) c;
        table(columns, N(columns), data, false);
}

void show_tasks(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Start", .cell = cell_starttime, .fits_title = true },
                { .title = "Type", .key = "type", .fits_title = true },
                { .title = "Id", .key = "id", .fits_title = true },
                { .title = "UPID", .key = "upid", .fits_title = true },
                { .title = "Status", .cell = cell_end },
        };

        (void) c;
        table(columns, N(columns), data, false);
}

void show_task_log(Cli *c, json_object *data)
{
        (void) c;
        for (size_t i = 0; json_object_is_type(data, json_type_array) && i < json_object_array_length(data); i++) {
                const char *s = json_get_string(json_object_array_get_idx(data, i), "t");

                print_line(s ? s : "");
        }
}

void show_locks(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Name", .key = "name", .fits_title = true },
                { .title = "Node", .cell = cell_node, .fits_title = true },
                { .title = "Held", .key = "held_for", .is_right = true, .fits_title = true },
                { .title = "Age", .key = "age", .is_right = true, .fits_title = true },
                { .title = "Waiting", .key = "waiting", .is_right = true, .fits_title = true },
                { .title = "Reason", .key = "reason" },
        };

        (void) c;
        table(columns, N(columns), data, false);
}

static const char *type_plugin(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        return json_get_bool(row, "plugin", false) ? "yes" : "no";
}

void show_schema(Cli *c, json_object *data)
{
        static const Column routes[] = {
                { .title = "Method", .key = "method", .fits_title = true },
                { .title = "Path", .key = "path", .fits_title = true },
                { .title = "Description", .key = "description" },
        };
        static const Column types[] = {
                { .title = "Type", .key = "type", .fits_title = true },
                { .title = "Plugin", .cell = type_plugin, .fits_title = true },
                { .title = "Summary", .key = "summary" },
        };

        (void) c;
        table(routes, N(routes), json_get(data, "routes"), false);
        (void) fputc('\n', stdout);
        table(types, N(types), json_get(data, "types"), false);
}
