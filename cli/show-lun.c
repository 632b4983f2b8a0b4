/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LUNs as text. The matrix says for each node how many of the paths it has are usable, "4/4"; "-" where a node does not
 * see the LUN, "?" where the node could not be asked. What is wrong stands below, in whole sentences.
 */
#include "cli/show-lun.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/output.h"
#include "wire/json.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *text_of(json_object *o, const char *key)
{
        const char *s = json_get_string(o, key);

        return s && *s ? s : "-";
}

static const char *size_text(uint64_t bytes, char buf[OUTPUT_CELL_SIZE])
{
        static const char *const units[] = { "B", "K", "M", "G", "T", "P" };
        double v = (double) bytes;
        size_t u = 0;

        for (; v >= 1024 && u + 1 < N(units); u++)
                v /= 1024;
        (void) snprintf(buf, OUTPUT_CELL_SIZE, v == (double) (uint64_t) v ? "%.0f%s" : "%.2f%s", v, units[u]);
        return buf;
}

static const char *cell_size(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        return size_text(json_get_uint(row, "size", 0), buf);
}

static const char *cell_model(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *vendor = json_get_string(row, "vendor"), *product = json_get_string(row, "product");

        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%s%s%s", vendor ? vendor : "", vendor && product ? " " : "",
                        product  ? product
                        : vendor ? ""
                                 : "-");
        return buf;
}

/* What is on it, in few words: "VG ibm", "xfs", "empty". */
static const char *cell_content(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        const char *kind = text_of(row, "content"), *vg = json_get_string(row, "vg");

        if (strcmp(kind, "pv") == 0)
                (void) snprintf(buf, OUTPUT_CELL_SIZE, vg && *vg ? "VG %.50s" : "PV without VG", vg ? vg : "");
        else if (strcmp(kind, "none") == 0)
                (void) snprintf(buf, OUTPUT_CELL_SIZE, "empty");
        else
                (void) snprintf(
                        buf, OUTPUT_CELL_SIZE, "%.50s",
                        strcmp(kind, "unknown") == 0 || !json_get(row, "signature") ? "?" : text_of(row, "signature"));
        return buf;
}

static const char *cell_state(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        return json_get(row, "held") ? "removing" : text_of(row, "state");
}

/* "n1 4/4, n2 4/4, n3 -" */
static void add_nodes_text(json_object *row, json_object *nodes)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        for (size_t i = 0; nodes && i < json_object_array_length(nodes); i++) {
                json_object *node = json_object_array_get_idx(nodes, i);
                const char *name = text_of(node, "node");
                json_object *lun = json_get(json_get(row, "nodes"), name);

                strbuf_addf(&b, "%s%s ", i > 0 ? ", " : "", name);
                if (lun)
                        strbuf_addf(&b, "%" PRId64 "/%" PRId64, json_get_int(lun, "n_active", 0),
                                    json_get_int(lun, "n_paths", 0));
                else
                        strbuf_adds(&b, json_get_bool(node, "online", false) ? "-" : "?");
        }
        (void) json_add_string(row, "_nodes", b.data ? b.data : "-");
}

static void print_findings(json_object *row)
{
        json_object *findings = json_get(row, "findings");

        for (size_t i = 0; findings && i < json_object_array_length(findings); i++) {
                (void) printf("%s: ", text_of(row, "wwid"));
                output_text(stdout, json_object_get_string(json_object_array_get_idx(findings, i)));
                (void) fputc('\n', stdout);
        }
}

void show_luns(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "WWID", .key = "wwid", .fits_title = true },
                { .title = "Size", .cell = cell_size, .fits_title = true, .is_right = true },
                { .title = "Device", .cell = cell_model, .fits_title = true },
                { .title = "Way", .key = "transport", .fits_title = true },
                { .title = "State", .cell = cell_state, .fits_title = true },
                { .title = "Content", .cell = cell_content, .fits_title = true },
                { .title = "Paths usable/seen", .key = "_nodes" },
        };
        json_object *luns = json_get(data, "luns"), *nodes = json_get(data, "nodes");
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        (void) c;
        if (output_rows(luns, &rows, &n) < 0) {
                (void) cli_oom();
                return;
        }
        for (size_t i = 0; i < n; i++)
                add_nodes_text(rows[i], nodes);
        if (output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
        for (size_t i = 0; i < n; i++)
                print_findings(rows[i]);
        for (size_t i = 0; nodes && i < json_object_array_length(nodes); i++) {
                json_object *node = json_object_array_get_idx(nodes, i);

                if (json_get(node, "error"))
                        (void) fprintf(stderr, "node %s: %s\n", text_of(node, "node"), text_of(node, "error"));
        }
}

/* --- one */

/* Of the map, of its checker, of the device; the first two have only paths of multipathd. */
static const char *cell_path_state(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        if (json_get(row, "dm_state") || json_get(row, "checker"))
                (void) snprintf(buf, OUTPUT_CELL_SIZE, "%.20s %.20s %.20s", text_of(row, "dm_state"),
                                text_of(row, "checker"), text_of(row, "state"));
        else
                (void) snprintf(buf, OUTPUT_CELL_SIZE, "%.40s", text_of(row, "state"));
        return buf;
}

/* ALUA's state of a SCSI path, ANA's of an NVMe one. */
static const char *cell_access(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) snprintf(buf, OUTPUT_CELL_SIZE, "%.40s", text_of(row, "alua"));
        return buf;
}

/* The target with its port, where several have its name. */
static int add_target(json_object *path)
{
        const char *portal = json_get_string(path, "portal");
        AUTO(freep) char *text = NULL;

        if (str_printf(&text, "%s%s%s", text_of(path, "target"), portal ? " " : "", portal ? portal : "") < 0)
                return -ENOMEM;
        return json_add_string(path, "_target", text);
}

/* The paths of all nodes in one list, each with its node. */
static json_object *paths_of(json_object *lun)
{
        AUTO_JSON *rows = json_object_new_array();

        json_object_object_foreach (json_get(lun, "nodes"), node, view) {
                json_object *paths = json_get(view, "paths");

                for (size_t i = 0; paths && i < json_object_array_length(paths); i++) {
                        json_object *path = json_object_get(json_object_array_get_idx(paths, i));

                        (void) json_add_string(path, "_node", node);
                        (void) add_target(path);
                        if (json_object_array_add(rows, path) < 0)
                                json_object_put(path);
                }
        }
        return TAKE(rows);
}

static void print_field(const char *name, const char *value)
{
        (void) printf("%-10s ", name);
        output_text(stdout, value);
        (void) fputc('\n', stdout);
}

void show_lun(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Node", .key = "_node", .fits_title = true },
                { .title = "Path", .key = "dev", .fits_title = true },
                { .title = "H:C:T:L", .key = "hctl", .fits_title = true },
                { .title = "Size", .cell = cell_size, .fits_title = true, .is_right = true },
                { .title = "State", .cell = cell_path_state, .fits_title = true },
                { .title = "ALUA", .cell = cell_access, .fits_title = true },
                { .title = "Target", .key = "_target" },
        };
        char buf[OUTPUT_CELL_SIZE];
        AUTO_JSON *paths = paths_of(data);
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        (void) c;
        print_field("WWID", text_of(data, "wwid"));
        print_field("State", cell_state(data, buf));
        print_field("Size", cell_size(data, buf));
        print_field("Device", cell_model(data, buf));
        print_field("Serial", text_of(data, "serial"));
        print_field("Way", text_of(data, "transport"));
        print_field("Used as", text_of(data, "device"));
        print_field("Content", cell_content(data, buf));
        print_findings(data);
        (void) fputc('\n', stdout);
        if (output_rows(paths, &rows, &n) < 0 || output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
}

/* --- what was done */

void show_lun_result(Cli *c, json_object *data)
{
        const char *message = json_get_string(data, "message");
        char old[OUTPUT_CELL_SIZE], new[OUTPUT_CELL_SIZE];

        (void) c;
        if (message) {
                output_text(stdout, message);
                (void) fputc('\n', stdout);
        } else if (json_get(data, "size")) {
                (void) printf("%s: %s, %s before\n", text_of(data, "wwid"),
                              size_text(json_get_uint(data, "size", 0), new),
                              size_text(json_get_uint(data, "old", 0), old));
        }
}

/* --- multipath.cfg */

static void print_words(json_object *data, const char *key, const char *what)
{
        json_object *words = json_get(data, key);

        for (size_t i = 0; words && i < json_object_array_length(words); i++)
                (void) printf("%s%s\n", what, json_object_get_string(json_object_array_get_idx(words, i)));
}

void show_multipath(Cli *c, json_object *data)
{
        (void) c;
        (void) printf("multipath.cfg of the cluster: %s\n",
                      json_get_bool(data, "applied", false) ? "applied" : "not applied");
        if (json_get_string(data, "error"))
                (void) printf("error: %s\n", text_of(data, "error"));
        print_words(data, "differences", "differs: ");
        print_words(data, "added", "allowed: ");
        print_words(data, "pruned", "no longer allowed: ");
}

static void print_devices(json_object *data, const char *key, const char *before)
{
        json_object *list = json_get(data, key);

        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                json_object *row = json_object_array_get_idx(list, i);

                (void) printf("%s %s (%s)\n", before, text_of(row, "device"), text_of(row, "vg"));
        }
}

void show_guard(Cli *c, json_object *data)
{
        (void) c;
        if (json_get_string(data, "reason"))
                (void) printf("nothing was changed: %s; what was set by hand stays\n", text_of(data, "reason"));
        else
                (void) printf("limit: %s\n", text_of(data, "state"));
        print_devices(data, "devices", "listed:");
        print_devices(data, "left-out", "left out:");
}

/* --- ports */

static const char *cell_port(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        return json_get(row, "wwpn") ? text_of(row, "wwpn") : text_of(row, "target");
}

static const char *cell_speed(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        return text_of(row, "speed");
}

static const char *cell_roles(json_object *row, char buf[OUTPUT_CELL_SIZE])
{
        (void) buf;
        return text_of(row, "roles");
}

void show_ports(Cli *c, json_object *data)
{
        static const Column columns[] = {
                { .title = "Kind", .key = "kind", .fits_title = true },
                { .title = "Name", .key = "name", .fits_title = true },
                { .title = "State", .key = "state", .fits_title = true },
                { .title = "Speed", .cell = cell_speed, .fits_title = true },
                { .title = "Roles", .cell = cell_roles, .fits_title = true },
                { .title = "WWPN or target", .cell = cell_port },
        };
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        (void) c;
        if (output_rows(data, &rows, &n) < 0 || output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
}

/* --- a volume group */

/* "a, b", or "-" */
static char *joined(json_object *words)
{
        StrBuf b = STRBUF_INIT;
        size_t n = json_object_is_type(words, json_type_array) ? json_object_array_length(words) : 0;

        for (size_t i = 0; i < n; i++)
                strbuf_addf(&b, "%s%s", i ? ", " : "", json_object_get_string(json_object_array_get_idx(words, i)));
        if (n == 0)
                strbuf_addc(&b, '-');
        return strbuf_take(&b);
}

static void print_vg_nodes(json_object *nodes)
{
        static const Column columns[] = {
                { .title = "Node", .key = "node", .fits_title = true },
                { .title = "Active there", .key = "what" },
        };
        AUTO_JSON *table = json_object_new_array();
        AUTO(freep) json_object **rows = NULL;
        size_t n = 0;

        if (!json_object_is_type(nodes, json_type_object))
                return;
        json_object_object_foreach (nodes, node, one) {
                AUTO(freep) char *active = joined(json_get(one, "active"));
                const char *error = json_get_string(one, "error");
                json_object *row = json_object_new_object();

                (void) json_add_string(row, "node", node);
                (void) json_add_string(row, "what", error ? error : active);
                (void) json_object_array_add(table, row);
        }
        if (output_rows(table, &rows, &n) < 0 || output_table(stdout, columns, N(columns), rows, n, false) < 0)
                (void) cli_oom();
}

void show_vg(Cli *c, json_object *data)
{
        AUTO(freep) char *pvs = joined(json_get(data, "pvs"));
        char size[OUTPUT_CELL_SIZE], unused[OUTPUT_CELL_SIZE], line[128];
        unsigned missing = (unsigned) json_get_uint(data, "missing", 0);

        (void) c;
        if (!pvs) {
                (void) cli_oom();
                return;
        }
        (void) snprintf(line, sizeof(line), "%s, %s of it free, %u logical volumes",
                        size_text(json_get_uint(data, "size", 0), size),
                        size_text(json_get_uint(data, "free", 0), unused), (unsigned) json_get_uint(data, "lvs", 0));
        print_field("VG", text_of(data, "vg"));
        print_field("UUID", text_of(data, "uuid"));
        print_field("Locking", text_of(data, "locking"));
        print_field("Size", line);
        print_field("On", pvs);
        (void) snprintf(line, sizeof(line), "%u physical volume%s can't be found", missing, missing == 1 ? "" : "s");
        if (missing > 0)
                print_field("Missing", line);
        (void) fputc('\n', stdout);
        print_vg_nodes(json_get(data, "nodes"));
}
