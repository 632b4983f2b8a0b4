/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract suite: what the daemon relies on in every plugin, asked of a real worker over a real socket. The same
 * tests run for each plugin; what a plugin does not declare is skipped, and then must answer "not supported".
 */
#include "harness.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static Harness h;

/* --- what most tests do */

/*
 * A storage that outlives its test ("is_lasting" in contract.json: a pool, a volume group) is emptied before the next
 * one. Clones go before their bases, and what a killed worker had open may be held for a while.
 */
static int empty_storage(void)
{
        for (unsigned tries = 0; tries < 400; tries++) {
                json_object *rows;

                if (harness_call(&h, "list", "{}") < 0)
                        return -1;
                rows = json_object_get(h.reply);
                if (json_object_array_length(rows) == 0) {
                        (void) json_object_put(rows);
                        return 0;
                }
                for (size_t i = 0; i < json_object_array_length(rows); i++)
                        (void) harness_call(&h, "free", "{\"volume\":\"%s\"}",
                                            strchr(json_get_string(json_object_array_get_idx(rows, i), "volid"), ':') +
                                                    1);
                (void) json_object_put(rows);
                (void) poll(NULL, 0, 50);
        }
        return -1;
}

static int setup(void **state)
{
        (void) state;
        harness_dir_make(&h);
        harness_spawn(&h);
        if (harness_start(&h, true) < 0 || harness_call(&h, "activate", NULL) < 0 ||
            (h.contract && json_get_bool(h.contract, "is_lasting", false) && empty_storage() < 0)) {
                print_error("%s\n", h.text);
                return -1;
        }
        return 0;
}

static int setup_without_start(void **state)
{
        (void) state;
        harness_dir_make(&h);
        harness_spawn(&h);
        return 0;
}

static int teardown(void **state)
{
        int status = harness_end(&h);

        (void) state;
        harness_dir_remove(&h);
        if (status != 0)
                print_error("the worker ended with status %d\n", status);
        return status;
}

/* A new worker on the same storage, as after a crash. */
static void restart(void)
{
        harness_spawn(&h);
        assert_int_equal(harness_start(&h, true), 0);
        assert_int_equal(harness_call(&h, "activate", NULL), 0);
}

static void assert_ok(int r)
{
        if (r < 0)
                fail_msg("%d: %s", r, h.text);
}

/* The volume of the last reply, for the test to keep. */
static void take_volume(char ret[static 1100])
{
        const char *v = json_get_string(h.reply, "volume");

        assert_non_null(v);
        (void) snprintf(ret, 1100, "%s", v);
}

static void alloc(char ret[static 1100], const char *format, unsigned vmid, uint64_t bytes)
{
        assert_ok(harness_call(&h, "alloc", "{\"vmid\":%u,\"format\":\"%s\",\"size\":%llu}", vmid, format,
                               (unsigned long long) bytes));
        take_volume(ret);
}

static const char *default_format(void)
{
        return json_get_string(h.description, "default-format");
}

/* The name within its guest or directory: what `alloc` takes as name. */
static const char *last_part(const char *volume)
{
        const char *slash = strrchr(volume, '/');

        return slash ? slash + 1 : volume;
}

/* The same name with another disk number: a volume that does not exist. */
static void other_volume(const char *volume, const char *number, char ret[static 1100])
{
        const char *at = strstr(volume, "-disk-");
        size_t digits;

        assert_non_null(at);
        at += strlen("-disk-");
        digits = strspn(at, "0123456789");
        (void) snprintf(ret, 1100, "%.*s%s%s", (int) (at - volume), volume, number, at + digits);
}

static size_t list_count(const char *args)
{
        assert_ok(harness_call(&h, "list", "%s", args));
        assert_true(json_object_is_type(h.reply, json_type_array));
        return json_object_array_length(h.reply);
}

static json_object *list_find(const char *volume)
{
        char volid[1200];

        (void) snprintf(volid, sizeof(volid), "Test-1:%s", volume);
        for (size_t i = 0; i < json_object_array_length(h.reply); i++) {
                json_object *row = json_object_array_get_idx(h.reply, i);

                if (str_eq(json_get_string(row, "volid"), volid))
                        return row;
        }
        return NULL;
}

static json_object *feature_row(const char *format, bool is_base)
{
        json_object *rows = json_get(h.description, "features");

        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                if (str_eq(json_get_string(row, "format"), format) && json_get_bool(row, "base", false) == is_base)
                        return row;
        }
        return NULL;
}

/* A format whose live volumes (or templates) can do `feature`, or the test is skipped. */
static const char *format_with(const char *feature, const char *operation, bool is_base)
{
        json_object *formats = json_get(h.description, "formats");

        for (size_t i = 0; harness_has(&h, operation) && i < json_object_array_length(formats); i++) {
                const char *format = json_object_get_string(json_object_array_get_idx(formats, i));
                json_object *row = feature_row(format, is_base);

                if (row && has_word(row, "current", feature))
                        return format;
        }
        skip();
        return NULL;
}

static void volume_path(const char *volume, char ret[static 4096])
{
        assert_ok(harness_call(&h, "path", "{\"volume\":\"%s\"}", volume));
        assert_non_null(json_get_string(h.reply, "path"));
        (void) snprintf(ret, 4096, "%s", json_get_string(h.reply, "path"));
        if (harness_has(&h, "activate_volume"))
                assert_ok(harness_call(&h, "activate_volume", "{\"volume\":\"%s\",\"mode\":\"exclusive\"}", volume));
}

/* The first 64 KiB of a volume become `byte`. */
static void fill(const char *volume, const char *format, unsigned char byte)
{
        char path[4096], data[65536], command[64];

        volume_path(volume, path);
        if (!str_eq(format, "raw") || path[0] != '/') { /* what is no file QEMU knows how to reach */
                (void) snprintf(command, sizeof(command), "write -P %u 0 64k", byte);
                if (run_program((const char *[]){ "qemu-io", "-f", format, "-c", command, path, NULL }, NULL, NULL) !=
                    0)
                        fail_msg("qemu-io can't write to %s", path);
                return;
        }
        AUTO(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        memset(data, byte, sizeof(data));
        assert_int_equal(pwrite(fd, data, sizeof(data), 0), sizeof(data));
}

/* Exports into memory; the descriptor is the caller's. */
static int export_volume(const char *volume, const char *stream_format)
{
        int fd = memfd_create("export", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_ok(harness_call_fd(&h, fd, "export", "{\"volume\":\"%s\",\"format\":\"%s\"}", volume, stream_format));
        return fd;
}

static unsigned char first_byte(const char *volume, const char *format)
{
        AUTO(closep) int fd = -EBADF;
        unsigned char byte = 0;
        char path[4096];

        volume_path(volume, path);
        if (str_eq(format, "raw") && path[0] == '/') {
                fd = open(path, O_RDONLY | O_CLOEXEC);
                assert_true(fd >= 0);
                assert_int_equal(pread(fd, &byte, 1, 0), 1);
        } else {
                fd = export_volume(volume, "raw+size");
                assert_int_equal(pread(fd, &byte, 1, 8), 1);
        }
        return byte;
}

/* --- what it says about itself */

static void description_is_sound(void **state)
{
        static const char *const required[] = { "list", "path" };
        json_object *properties = json_get(h.description, "properties");

        (void) state;
        assert_int_equal(json_get_int(h.description, "abi", 0), 1);
        assert_non_null(json_get_string(h.description, "name"));
        assert_non_null(json_get_string(h.description, "summary"));
        assert_non_null(json_get_string(h.description, "naming"));
        assert_true(has_word(h.description, "formats", default_format()));
        assert_true(json_object_array_length(json_get(h.description, "default-contents")) > 0);
        for (size_t i = 0; i < LENGTH(required); i++)
                assert_true(harness_has(&h, required[i]));
        for (size_t i = 0; i < json_object_array_length(properties); i++)
                for (size_t k = i + 1; k < json_object_array_length(properties); k++)
                        assert_string_not_equal(json_get_string(json_object_array_get_idx(properties, i), "name"),
                                                json_get_string(json_object_array_get_idx(properties, k), "name"));
}

static void features_need_their_operations(void **state)
{
        static const char *const pairs[][2] = {
                { "snapshot", "snapshot" },       { "snapshot", "rollback" }, { "snapshot", "delete_snapshot" },
                { "snapshot", "list_snapshots" }, { "clone", "clone" },       { "template", "template" },
                { "rename", "rename" },           { "resize", "resize" },
        };
        json_object *rows = json_get(h.description, "features");

        (void) state;
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                for (size_t k = 0; k < LENGTH(pairs); k++)
                        if (has_word(row, "current", pairs[k][0]))
                                assert_true(harness_has(&h, pairs[k][1]));
                if (json_object_array_length(json_get(row, "exports")) > 0)
                        assert_true(harness_has(&h, "export_stream"));
        }
}

/* --- protocol */

static void first_call_must_be_start(void **state)
{
        (void) state;
        assert_int_equal(harness_call(&h, "list", "{}"), -EINVAL);
        assert_int_equal(harness_end(&h), EXIT_FAILURE);
}

static void start_without_storage_serves_no_storage(void **state)
{
        (void) state;
        assert_int_equal(harness_start(&h, false), 0);
        assert_int_equal(harness_call(&h, "list", "{}"), -EINVAL);
}

static void broken_frame_ends_the_worker(void **state)
{
        (void) state;
        assert_int_equal(send(h.socket, "garbage garbage garbage", 23, 0), 23);
        assert_int_equal(harness_end(&h), EXIT_FAILURE);
}

static void call_that_is_not_json_is_answered(void **state)
{
        (void) state;
        assert_int_equal(frame_send(h.socket, FRAME_CALL, ++h.call, "{\"op\":", 6, -1), 0);
        assert_int_equal(harness_receive(&h), -EINVAL);
        assert_ok(harness_call(&h, "status", "{}"));
}

static void unknown_call_is_not_supported(void **state)
{
        (void) state;
        assert_int_equal(harness_call(&h, "no_such_thing", "{}"), -EOPNOTSUPP);
        assert_non_null(strstr(h.text, "does not support no_such_thing"));
        assert_int_equal(harness_call(&h, "", "{}"), -EOPNOTSUPP);
        assert_int_equal(harness_call(&h, "start", "{}"), -EOPNOTSUPP);
}

static void absent_operations_are_not_supported(void **state)
{
        static const char *const pairs[][2] = {
                { "check_config", "check_config" },
                { "scan", "scan" },
                { "probe", "probe" },
                { "health", "health" },
                { "repair", "repair" },
                { "stat", "stat" },
                { "alloc", "alloc" },
                { "free", "free" },
                { "resize", "resize" },
                { "activate_volume", "activate_volume" },
                { "deactivate_volume", "deactivate_volume" },
                { "holders", "holders" },
                { "snapshot", "snapshot" },
                { "rollback", "rollback" },
                { "delete_snapshot", "delete_snapshot" },
                { "list_snapshots", "list_snapshots" },
                { "clone", "clone" },
                { "template", "template" },
                { "rename", "rename" },
                { "export", "export_stream" },
                { "import", "import_stream" },
                { "upload", "upload" },
                { "set_notes", "set_notes" },
                { "set_protected", "set_protected" },
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(pairs); i++)
                if (!harness_has(&h, pairs[i][1]))
                        assert_int_equal(harness_call(&h, pairs[i][0], "{}"), -EOPNOTSUPP);
}

static void end_of_the_socket_ends_the_worker(void **state)
{
        (void) state;
        assert_int_equal(harness_end(&h), 0);
}

/* --- the storage */

static void check_config_accepts_what_start_gets(void **state)
{
        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

        (void) state;
        if (!harness_has(&h, "check_config"))
                skip();
        harness_add_config(&h, &b);
        assert_int_equal(strbuf_error(&b), 0);
        assert_int_equal(harness_start(&h, false), 0);
        assert_ok(harness_call(&h, "check_config", "{\"storage\":\"Test-1\",\"config\":%s}", b.data));
}

static void activate_twice(void **state)
{
        (void) state;
        assert_ok(harness_call(&h, "activate", NULL));
        assert_ok(harness_call(&h, "activate", NULL));
}

static void status_of_an_active_storage(void **state)
{
        (void) state;
        assert_ok(harness_call(&h, "status", "{}"));
        assert_int_equal(json_get_int(h.reply, "active", -1), 1);
        assert_true(json_get_uint(h.reply, "total", 0) > 0);
        assert_true(json_get_uint(h.reply, "avail", UINT64_MAX) <= json_get_uint(h.reply, "total", 0));
        assert_true(json_get_uint(h.reply, "used", UINT64_MAX) <= json_get_uint(h.reply, "total", 0));
        assert_non_null(json_get_string(h.reply, "reason"));
}

static void probe_of_an_active_storage(void **state)
{
        (void) state;
        if (!harness_has(&h, "probe"))
                skip();
        assert_ok(harness_call(&h, "probe", "{}"));
}

static void health_gives_sound_findings(void **state)
{
        (void) state;
        if (!harness_has(&h, "health"))
                skip();
        assert_ok(harness_call(&h, "health", "{}"));
        for (size_t i = 0; i < json_object_array_length(h.reply); i++) {
                json_object *row = json_object_array_get_idx(h.reply, i);

                assert_non_null(json_get_string(row, "code"));
                assert_non_null(json_get_string(row, "severity"));
                assert_non_null(json_get_string(row, "summary"));
        }
}

/* --- volumes */

static void list_of_an_empty_storage(void **state)
{
        (void) state;
        assert_int_equal(list_count("{}"), 0);
}

static void life_of_a_volume(void **state)
{
        char volume[1100], path[4096];
        json_object *row;

        (void) state;
        if (!harness_has(&h, "alloc") || !harness_has(&h, "free"))
                skip();
        alloc(volume, default_format(), 100, 4 * MIB);
        assert_int_equal(list_count("{}"), 1);
        row = list_find(volume);
        assert_non_null(row);
        assert_string_equal(json_get_string(row, "content"), "images");
        assert_string_equal(json_get_string(row, "format"), default_format());
        assert_int_equal(json_get_uint(row, "size", 0), 4 * MIB);
        assert_int_equal(json_get_uint(row, "vmid", 0), 100);
        volume_path(volume, path);
        assert_true(path[0] == '/' || strchr(path, ':'));
        if (harness_has(&h, "stat")) {
                assert_ok(harness_call(&h, "stat", "{\"volume\":\"%s\"}", volume));
                assert_int_equal(json_get_uint(h.reply, "size", 0), 4 * MIB);
                assert_string_equal(json_get_string(h.reply, "path"), path);
        }
        if (harness_has(&h, "deactivate_volume")) {
                assert_ok(harness_call(&h, "deactivate_volume", "{\"volume\":\"%s\"}", volume));
                assert_ok(harness_call(&h, "deactivate_volume", "{\"volume\":\"%s\"}", volume)); /* make it so */
        }
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", volume));
        assert_int_equal(list_count("{}"), 0);
        assert_int_equal(harness_call(&h, "free", "{\"volume\":\"%s\"}", volume), -ENOENT);
        if (harness_has(&h, "stat"))
                assert_int_equal(harness_call(&h, "stat", "{\"volume\":\"%s\"}", volume), -ENOENT);
        /* Computed, so it still has a path. */
        assert_ok(harness_call(&h, "path", "{\"volume\":\"%s\"}", volume));
}

static void alloc_of_each_format(void **state)
{
        json_object *formats = json_get(h.description, "formats");
        char volume[1100];

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        for (size_t i = 0; i < json_object_array_length(formats); i++) {
                const char *format = json_object_get_string(json_object_array_get_idx(formats, i));

                assert_non_null(format);
                if (!format)
                        return;
                alloc(volume, format, 100, str_eq(format, "subvol") ? 0 : 4 * MIB);
                (void) list_count("{}");
                assert_non_null(list_find(volume));
                assert_string_equal(json_get_string(list_find(volume), "format"), format);
                if (!str_eq(format, "subvol"))
                        assert_int_equal(json_get_uint(list_find(volume), "size", 0), 4 * MIB);
                assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", volume));
        }
        assert_int_equal(list_count("{}"), 0);
}

static void alloc_takes_the_lowest_free_number(void **state)
{
        char volumes[3][1100], again[1100];

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        for (int i = 0; i < 3; i++) {
                char want[32];

                alloc(volumes[i], default_format(), 100, MIB);
                (void) snprintf(want, sizeof(want), "vm-100-disk-%d", i);
                assert_non_null(strstr(volumes[i], want));
        }
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", volumes[1]));
        alloc(again, default_format(), 100, MIB);
        assert_string_equal(again, volumes[1]);
}

static void alloc_of_a_taken_name(void **state)
{
        char volume[1100];

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        alloc(volume, default_format(), 100, 2 * MIB);
        assert_int_equal(harness_call(&h, "alloc", "{\"vmid\":100,\"name\":\"%s\",\"format\":\"%s\",\"size\":%llu}",
                                      last_part(volume), default_format(), (unsigned long long) MIB),
                         -EEXIST);
        assert_int_equal(list_count("{}"), 1);
        assert_int_equal(json_get_uint(list_find(volume), "size", 0), 2 * MIB);
}

static void alloc_with_a_wanted_name(void **state)
{
        char volume[1100], wanted[1100], made[1100];

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        alloc(volume, default_format(), 100, MIB);
        other_volume(volume, "7", wanted);
        assert_ok(harness_call(&h, "alloc", "{\"vmid\":100,\"name\":\"%s\",\"format\":\"%s\",\"size\":%llu}",
                               last_part(wanted), default_format(), (unsigned long long) MIB));
        take_volume(made);
        assert_string_equal(made, wanted);
}

static void alloc_with_bad_arguments(void **state)
{
        static const struct {
                const char *args, *param;
        } rows[] = {
                { "{\"format\":\"raw\",\"size\":1048576}", "vmid" },
                { "{\"vmid\":99,\"size\":1048576}", "vmid" },
                { "{\"vmid\":-1,\"size\":1048576}", "vmid" },
                { "{\"vmid\":1000000000,\"size\":1048576}", "vmid" },
                { "{\"vmid\":\"100\",\"size\":1048576}", "vmid" },
                { "{\"vmid\":100}", "size" },
                { "{\"vmid\":100,\"size\":0}", "size" },
                { "{\"vmid\":100,\"size\":-1024}", "size" },
                { "{\"vmid\":100,\"size\":1025}", "size" },
                { "{\"vmid\":100,\"size\":9223372036854775808}", "size" },
                { "{\"vmid\":100,\"size\":18446744073709551615}", "size" },
                { "{\"vmid\":100,\"size\":\"1048576\"}", "size" },
                { "{\"vmid\":100,\"size\":1048576,\"format\":\"floppy\"}", "format" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\".\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"..\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"../vm-100-disk-0\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"a/b\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"-rf\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"vm-100-disk-0\\n\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":\"vm-100-disk-0\\u0000.raw\"}", "name" },
                { "{\"vmid\":100,\"size\":1048576,\"name\":7}", "name" },
        };

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (harness_call(&h, "alloc", "%s", rows[i].args) != -EINVAL || !str_eq(h.param, rows[i].param))
                        fail_msg("%s: code %d, param '%s', %s", rows[i].args, h.code, h.param, h.text);
        }
        assert_int_equal(list_count("{}"), 0);
}

/* The text as JSON, quotes included. */
static void quoted(StrBuf *b, const char *s)
{
        jsonw_string(b, s);
}

static void hostile_volume_names(void **state)
{
        static const char *const calls[] = {
                "path", "stat", "free", "resize", "list_snapshots", "template", "holders"
        };
        static char long_name[4097];
        const char *const names[] = {
                "",
                ".",
                "..",
                "/",
                "/etc/passwd",
                "../vm-100-disk-0",
                "../../etc/passwd",
                "100/../vm-100-disk-0.raw",
                "100/..",
                "100//vm-100-disk-0.raw",
                "100/./vm-100-disk-0.raw",
                "./100/vm-100-disk-0.raw",
                "100/vm-100-disk-0.raw/",
                "images/100/x.raw",
                "vm-100-disk-0/../../x",
                "vm-100-disk-0\n",
                "100/vm-100-disk-0.raw\n",
                "\x01",
                "vm-99-disk-0",
                "vm-0100-disk-0",
                "99/vm-99-disk-0.raw",
                "vm-4294967396-disk-0",
                "-rf",
                "iso/../../x.iso",
                "iso/",
                "snippets/..",
                "backup/../x.tar",
                "base-100-disk-0/../vm-100-disk-1",
                "lun",
                "0.0.0.",
                "Test-1:vm-100-disk-0",
                long_name,
        };

        (void) state;
        memset(long_name, 'a', sizeof(long_name) - 1);
        memcpy(long_name, "vm-100-", 7);
        for (size_t i = 0; i < LENGTH(names); i++)
                for (size_t k = 0; k < LENGTH(calls); k++) {
                        AUTO(strbuf_deinit) StrBuf b = STRBUF_INIT;

                        if (!harness_has(&h, calls[k]))
                                continue;
                        quoted(&b, names[i]);
                        if (harness_call(&h, calls[k], "{\"volume\":%s,\"size\":1048576}", b.data) != -EINVAL)
                                fail_msg("%s of volume %.80s: code %d", calls[k], names[i], h.code);
                }
        assert_int_equal(harness_call(&h, "path", "{}"), -EINVAL);
        assert_int_equal(harness_call(&h, "path", "{\"volume\":7}"), -EINVAL);
        assert_int_equal(harness_call(&h, "path", "{\"volume\":\"vm-100-disk-0\\u0000\"}"), -EINVAL);
        assert_int_equal(list_count("{}"), 0);
}

static void hostile_snapshot_names(void **state)
{
        static const char *const names[] = { "", ".", "..", "../x", "a/b", "a b", "-x", "a\\n", "a@b", "a\\u0000" };
        static const char *const calls[] = { "snapshot", "rollback", "delete_snapshot" };
        char volume[1100];

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        alloc(volume, default_format(), 100, MIB);
        for (size_t i = 0; i < LENGTH(names); i++)
                for (size_t k = 0; k < LENGTH(calls); k++) {
                        if (!harness_has(&h, calls[k]))
                                continue;
                        if (harness_call(&h, calls[k], "{\"volume\":\"%s\",\"snapshot\":\"%s\"}", volume, names[i]) !=
                            -EINVAL)
                                fail_msg("%s '%s': code %d", calls[k], names[i], h.code);
                }
}

static void list_is_filtered_and_sorted(void **state)
{
        char volume[1100], previous[1200] = "";
        size_t n;

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        for (int i = 0; i < 12; i++)
                alloc(volume, default_format(), i % 2 ? 300 : 200, MIB);
        n = list_count("{}");
        assert_int_equal(n, 12);
        for (size_t i = 0; i < n; i++) {
                const char *volid = json_get_string(json_object_array_get_idx(h.reply, i), "volid");

                assert_true(strcasecmp(previous, volid) < 0);
                (void) snprintf(previous, sizeof(previous), "%s", volid);
        }
        assert_int_equal(list_count("{\"vmid\":300}"), 6);
        assert_int_equal(list_count("{\"vmid\":301}"), 0);
        assert_int_equal(list_count("{\"contents\":[\"images\"]}"), 12);
        assert_int_equal(list_count("{\"contents\":[\"iso\",\"backup\"]}"), 0);
        assert_int_equal(harness_call(&h, "list", "{\"contents\":[\"floppies\"]}"), -EINVAL);
        if (has_word(h.description, "contents", "rootdir")) {
                assert_int_equal(list_count("{\"contents\":[\"rootdir\"],\"ct_vmids\":[300,101]}"), 6);
                assert_string_equal(json_get_string(json_object_array_get_idx(h.reply, 0), "content"), "rootdir");
                assert_int_equal(list_count("{\"contents\":[\"images\"],\"ct_vmids\":[300]}"), 6);
        }
}

static void resize_grows_and_never_shrinks(void **state)
{
        const char *format = format_with("resize", "resize", false);
        char volume[1100], absent[1100];

        (void) state;
        alloc(volume, format, 100, 4 * MIB);
        assert_ok(harness_call(&h, "resize", "{\"volume\":\"%s\",\"size\":%llu}", volume,
                               (unsigned long long) (8 * MIB)));
        assert_int_equal(json_get_uint(h.reply, "size", 0), 8 * MIB);
        (void) list_count("{}");
        assert_int_equal(json_get_uint(list_find(volume), "size", 0), 8 * MIB);
        assert_true(harness_call(&h, "resize", "{\"volume\":\"%s\",\"size\":%llu}", volume, (unsigned long long) MIB) <
                    0);
        assert_int_equal(harness_call(&h, "resize", "{\"volume\":\"%s\",\"size\":0}", volume), -EINVAL);
        assert_int_equal(harness_call(&h, "resize", "{\"volume\":\"%s\",\"size\":1000}", volume), -EINVAL);
        (void) list_count("{}");
        assert_int_equal(json_get_uint(list_find(volume), "size", 0), 8 * MIB);
        other_volume(volume, "77", absent);
        assert_int_equal(
                harness_call(&h, "resize", "{\"volume\":\"%s\",\"size\":%llu}", absent, (unsigned long long) MIB),
                -ENOENT);
}

/* A volume that protection applies to: an image, or where only backups can be protected, one of those. */
static void protectable(char ret[static 1100])
{
        AUTO(closep) int fd = memfd_create("backup", MFD_CLOEXEC);

        alloc(ret, default_format(), 100, MIB);
        if (harness_call(&h, "set_protected", "{\"volume\":\"%s\",\"protected\":true}", ret) == 0)
                return;
        assert_true(h.code == -EOPNOTSUPP || h.code == -EINVAL);
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", ret));
        assert_true(harness_has(&h, "upload"));
        assert_int_equal(write(fd, "not a backup", 12), 12);
        assert_ok(harness_call_fd(
                &h, fd, "upload",
                "{\"content\":\"backup\",\"filename\":\"vzdump-qemu-100-2026_01_02-03_04_05.vma.zst\"}"));
        take_volume(ret);
        assert_ok(harness_call(&h, "set_protected", "{\"volume\":\"%s\",\"protected\":1}", ret));
}

static void free_of_a_protected_volume(void **state)
{
        char volume[1100];

        (void) state;
        if (!harness_has(&h, "set_protected") || !harness_has(&h, "alloc"))
                skip();
        protectable(volume);
        assert_int_equal(harness_call(&h, "free", "{\"volume\":\"%s\"}", volume), -EPERM);
        assert_int_equal(list_count("{}"), 1);
        assert_int_equal(json_get_int(list_find(volume), "protected", 0), 1);
        assert_int_equal(harness_call(&h, "set_protected", "{\"volume\":\"%s\",\"protected\":\"no\"}", volume),
                         -EINVAL);
        assert_ok(harness_call(&h, "set_protected", "{\"volume\":\"%s\",\"protected\":false}", volume));
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", volume));
        assert_int_equal(list_count("{}"), 0);
}

/* --- snapshots, clones, templates */

static void snapshot_and_rollback(void **state)
{
        const char *format = format_with("snapshot", "snapshot", false);
        char volume[1100];

        (void) state;
        alloc(volume, format, 100, MIB);
        fill(volume, format, 0xa1);
        assert_ok(harness_call(&h, "snapshot", "{\"volume\":\"%s\",\"snapshot\":\"one\"}", volume));
        fill(volume, format, 0xb2);
        assert_true(harness_call(&h, "snapshot", "{\"volume\":\"%s\",\"snapshot\":\"one\"}", volume) < 0); /* taken */
        assert_ok(harness_call(&h, "list_snapshots", "{\"volume\":\"%s\"}", volume));
        assert_int_equal(json_object_array_length(h.reply), 1);
        assert_string_equal(json_get_string(json_object_array_get_idx(h.reply, 0), "name"), "one");
        assert_int_equal(first_byte(volume, format), 0xb2);
        assert_ok(harness_call(&h, "rollback", "{\"volume\":\"%s\",\"snapshot\":\"one\"}", volume));
        assert_int_equal(first_byte(volume, format), 0xa1);
        assert_int_equal(harness_call(&h, "rollback", "{\"volume\":\"%s\",\"snapshot\":\"two\"}", volume), -ENOENT);
        assert_ok(harness_call(&h, "delete_snapshot", "{\"volume\":\"%s\",\"snapshot\":\"one\"}", volume));
        assert_ok(harness_call(&h, "list_snapshots", "{\"volume\":\"%s\"}", volume));
        assert_int_equal(json_object_array_length(h.reply), 0);
        assert_int_equal(first_byte(volume, format), 0xa1);
        assert_int_equal(list_count("{}"), 1);
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", volume));
        assert_int_equal(list_count("{}"), 0);
}

static void template_keeps_the_content(void **state)
{
        const char *format = format_with("template", "template", false);
        char volume[1100], base[1100], again[1100];

        (void) state;
        alloc(volume, format, 100, MIB);
        fill(volume, format, 0x3c);
        assert_ok(harness_call(&h, "template", "{\"volume\":\"%s\"}", volume));
        take_volume(base);
        assert_int_equal(strncmp(last_part(base), "base-100-", 9), 0);
        assert_int_equal(list_count("{}"), 1);
        assert_non_null(list_find(base));
        assert_int_equal(first_byte(base, format), 0x3c);
        /* Once more: it has another name now, or it is so already. Either way nothing changes. */
        if (harness_call(&h, "template", "{\"volume\":\"%s\"}", volume) >= 0) {
                take_volume(again);
                assert_string_equal(again, base);
        }
        assert_int_equal(list_count("{}"), 1);
        assert_int_equal(first_byte(base, format), 0x3c);
}

static void clone_of_a_template(void **state)
{
        const char *format = format_with("clone", "clone", true);
        char volume[1100], base[1100], clone[1100];

        (void) state;
        alloc(volume, format, 100, MIB);
        fill(volume, format, 0x5d);
        assert_ok(harness_call(&h, "template", "{\"volume\":\"%s\"}", volume));
        take_volume(base);
        assert_ok(harness_call(&h, "clone", "{\"volume\":\"%s\",\"vmid\":201}", base));
        take_volume(clone);
        assert_int_equal(list_count("{\"vmid\":201}"), 1);
        assert_non_null(list_find(clone));
        assert_int_equal(json_get_uint(list_find(clone), "size", 0), MIB);
        /* The base is in use, and stays what it is. */
        assert_int_equal(harness_call(&h, "free", "{\"volume\":\"%s\"}", base), -EBUSY);
        assert_int_equal(list_count("{}"), 2);
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", clone));
        assert_int_equal(first_byte(base, format), 0x5d);
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", base));
        assert_int_equal(list_count("{}"), 0);
}

static void rename_to_another_guest(void **state)
{
        const char *format = format_with("rename", "rename", false);
        char volume[1100], renamed[1100], taken[1100];

        (void) state;
        alloc(volume, format, 100, MIB);
        fill(volume, format, 0x6e);
        assert_ok(harness_call(&h, "rename", "{\"volume\":\"%s\",\"vmid\":300}", volume));
        take_volume(renamed);
        assert_non_null(strstr(renamed, "300"));
        assert_int_equal(first_byte(renamed, format), 0x6e);
        assert_int_equal(list_count("{\"vmid\":100}"), 0);
        assert_int_equal(list_count("{\"vmid\":300}"), 1);
        alloc(taken, format, 300, MIB);
        assert_true(harness_call(&h, "rename", "{\"volume\":\"%s\",\"vmid\":300,\"name\":\"%s\"}", renamed,
                                 last_part(taken)) < 0);
        assert_int_equal(list_count("{\"vmid\":300}"), 2);
        assert_int_equal(first_byte(renamed, format), 0x6e);
        assert_true(harness_call(&h, "rename", "{\"volume\":\"%s\",\"vmid\":300}", volume) < 0); /* gone */
}

/* --- streams */

/* A volume whose stream raw+size can go out and come in. */
static const char *stream_format_volume(char ret[static 1100])
{
        json_object *row = feature_row("raw", false);

        if (!row || !has_word(row, "exports", "raw+size") || !harness_has(&h, "export_stream") ||
            !harness_has(&h, "import_stream"))
                skip();
        alloc(ret, "raw", 100, 2 * MIB);
        fill(ret, "raw", 0x7f);
        return "raw";
}

static uint64_t stream_size(int fd)
{
        uint64_t size = 0;

        assert_int_equal(pread(fd, &size, sizeof(size), 0), sizeof(size));
        return le64toh(size);
}

static int compare_fds(int a, int b)
{
        for (off_t at = 0;;) {
                char x[65536], y[65536];
                ssize_t n = pread(a, x, sizeof(x), at), m = pread(b, y, sizeof(y), at);

                if (n != m || n < 0 || memcmp(x, y, (size_t) n) != 0)
                        return 1;
                if (n == 0)
                        return 0;
                at += n;
        }
}

static void export_and_import_again(void **state)
{
        AUTO(closep) int stream = -EBADF;
        AUTO(closep) int again = -EBADF;
        char volume[1100], wanted[1100], made[1100];

        (void) state;
        (void) stream_format_volume(volume);
        stream = export_volume(volume, "raw+size");
        assert_int_equal(stream_size(stream), 2 * MIB);
        assert_int_equal(lseek(stream, 0, SEEK_END), (off_t) (2 * MIB + 8));
        other_volume(volume, "5", wanted);
        assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
        assert_ok(harness_call_fd(&h, stream, "import", "{\"volume\":\"%s\",\"format\":\"raw+size\"}", wanted));
        take_volume(made);
        assert_string_equal(made, wanted);
        again = export_volume(made, "raw+size");
        assert_int_equal(compare_fds(stream, again), 0);
        assert_int_equal(list_count("{}"), 2);
        assert_int_equal(json_get_uint(list_find(made), "size", 0), 2 * MIB);
}

static void import_of_a_taken_name(void **state)
{
        AUTO(closep) int stream = -EBADF;
        char volume[1100], made[1100];

        (void) state;
        (void) stream_format_volume(volume);
        stream = export_volume(volume, "raw+size");
        assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
        assert_int_equal(harness_call_fd(&h, stream, "import", "{\"volume\":\"%s\",\"format\":\"raw+size\"}", volume),
                         -EEXIST);
        assert_int_equal(list_count("{}"), 1);
        assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
        assert_ok(harness_call_fd(&h, stream, "import",
                                  "{\"volume\":\"%s\",\"format\":\"raw+size\",\"allow_rename\":true}", volume));
        take_volume(made);
        assert_string_not_equal(made, volume);
        assert_int_equal(list_count("{}"), 2);
}

static void import_of_a_cut_stream_leaves_nothing(void **state)
{
        char volume[1100], wanted[1100];

        (void) state;
        (void) stream_format_volume(volume);
        other_volume(volume, "5", wanted);
        for (uint64_t cut = 0; cut < 3; cut++) {
                AUTO(closep) int stream = export_volume(volume, "raw+size");

                assert_int_equal(ftruncate(stream, (off_t[]){ 0, 5, MIB }[cut]), 0);
                assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
                assert_true(harness_call_fd(&h, stream, "import", "{\"volume\":\"%s\",\"format\":\"raw+size\"}",
                                            wanted) < 0);
                assert_int_equal(list_count("{}"), 1);
        }
}

static void import_of_a_hostile_size(void **state)
{
        uint64_t size = htole64(UINT64_MAX);
        AUTO(closep) int stream = memfd_create("stream", MFD_CLOEXEC);
        char volume[1100], wanted[1100];

        (void) state;
        (void) stream_format_volume(volume);
        other_volume(volume, "5", wanted);
        assert_int_equal(write(stream, &size, sizeof(size)), sizeof(size));
        assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
        assert_true(harness_call_fd(&h, stream, "import", "{\"volume\":\"%s\",\"format\":\"raw+size\"}", wanted) < 0);
        assert_int_equal(list_count("{}"), 1);
}

static void unknown_stream_formats(void **state)
{
        AUTO(closep) int stream = memfd_create("stream", MFD_CLOEXEC);
        char volume[1100];

        (void) state;
        (void) stream_format_volume(volume);
        assert_true(harness_call_fd(&h, stream, "export", "{\"volume\":\"%s\",\"format\":\"floppy+size\"}", volume) <
                    0);
        assert_int_equal(harness_call_fd(&h, stream, "export", "{\"volume\":\"%s\",\"format\":\"; rm\"}", volume),
                         -EINVAL);
        assert_int_equal(harness_call(&h, "export", "{\"volume\":\"%s\",\"format\":\"raw+size\"}", volume), -EINVAL);
        assert_int_equal(harness_call(&h, "export",
                                      "{\"volume\":\"%s\",\"format\":\"raw+size\",\"to\":\"unix://relative\"}", volume),
                         -EINVAL);
        assert_true(harness_call(&h, "export", "{\"volume\":\"%s\",\"format\":\"raw+size\",\"to\":\"unix:///nowhere\"}",
                                 volume) < 0);
}

static int listen_unix(char ret_path[static 300])
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(ret_path, 300, "%s/../%s.sock", h.dir, strrchr(h.dir, '/') + 1);
        assert_true(strlen(ret_path) < sizeof(a.sun_path));
        (void) unlink(ret_path);
        memcpy(a.sun_path, ret_path, strlen(ret_path) + 1);
        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

static int accept_soon(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int r;

        assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
        r = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(r >= 0);
        return r;
}

static void export_to_a_socket(void **state)
{
        AUTO(closep) int listener = -EBADF;
        AUTO(closep) int peer = -EBADF;
        AUTO(closep) int direct = -EBADF;
        AUTO(closep) int copy = memfd_create("copy", MFD_CLOEXEC);
        AUTO(strbuf_deinit) StrBuf args = STRBUF_INIT;
        char volume[1100], path[300], buf[65536];
        ssize_t n;

        (void) state;
        (void) stream_format_volume(volume);
        direct = export_volume(volume, "raw+size");
        listener = listen_unix(path);
        strbuf_addf(&args, "{\"volume\":\"%s\",\"format\":\"raw+size\",\"to\":\"unix://%s\"}", volume, path);
        harness_send(&h, -1, "export", args.data);
        peer = accept_soon(listener);
        while ((n = read(peer, buf, sizeof(buf))) > 0)
                assert_int_equal(write(copy, buf, (size_t) n), n);
        assert_int_equal(n, 0);
        assert_ok(harness_receive(&h));
        (void) unlink(path);
        assert_int_equal(compare_fds(direct, copy), 0);
}

/* Sends until the other end closes or all is sent. */
static void feed(int fd, uint64_t bytes)
{
        static const char zero[65536] = { 1 };

        while (bytes > 0) {
                size_t n = bytes < sizeof(zero) ? (size_t) bytes : sizeof(zero);

                if (send(fd, zero, n, MSG_NOSIGNAL) < 0)
                        return;
                bytes -= n;
        }
}

static void cancelled_import_leaves_nothing(void **state)
{
        AUTO(closep) int listener = -EBADF;
        AUTO(closep) int peer = -EBADF;
        AUTO(strbuf_deinit) StrBuf args = STRBUF_INIT;
        uint64_t size = htole64(64 * MIB);
        char volume[1100], wanted[1100], path[300];

        (void) state;
        (void) stream_format_volume(volume);
        other_volume(volume, "5", wanted);
        listener = listen_unix(path);
        strbuf_addf(&args, "{\"volume\":\"%s\",\"format\":\"raw+size\",\"from\":\"unix://%s\"}", wanted, path);
        harness_send(&h, -1, "import", args.data);
        peer = accept_soon(listener);
        assert_int_equal(write(peer, &size, sizeof(size)), sizeof(size));
        feed(peer, 4 * MIB);
        assert_int_equal(frame_send(h.socket, FRAME_CANCEL, h.call, NULL, 0, -1), 0);
        feed(peer, 60 * MIB);
        assert_int_equal(harness_receive(&h), -ECANCELED);
        (void) unlink(path);
        assert_int_equal(list_count("{}"), 1); /* and the next call is not cancelled */
}

/* --- crashes */

static void volumes_survive_a_killed_worker(void **state)
{
        char volumes[4][1100];

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        for (int i = 0; i < 4; i++) {
                alloc(volumes[i], default_format(), 100, MIB);
                harness_kill(&h);
                restart();
                assert_int_equal(list_count("{}"), i + 1);
                for (int k = 0; k <= i; k++)
                        assert_non_null(list_find(volumes[k]));
        }
        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", volumes[0]));
        harness_kill(&h);
        restart();
        assert_int_equal(list_count("{}"), 3);
}

/* Killed at some point of an alloc, the volume is there as a whole or not at all. */
static void no_half_volume_after_a_kill_during_alloc(void **state)
{
        size_t before = 0;

        (void) state;
        if (!harness_has(&h, "alloc"))
                skip();
        for (int i = 0; i < 20; i++) {
                AUTO(strbuf_deinit) StrBuf args = STRBUF_INIT;
                size_t n;

                strbuf_addf(&args, "{\"vmid\":100,\"format\":\"%s\",\"size\":%llu}", default_format(),
                            (unsigned long long) MIB);
                harness_send(&h, -1, "alloc", args.data);
                (void) usleep((useconds_t) (i * 50)); /* another point each time */
                harness_kill(&h);
                restart();
                n = list_count("{}");
                assert_true(n == before || n == before + 1);
                for (size_t k = 0; k < n; k++)
                        assert_int_equal(json_get_uint(json_object_array_get_idx(h.reply, k), "size", 0), MIB);
                before = n;
        }
}

/* The life of a volume in short; ends when the worker dies. */
static void live_until_death(void)
{
        static const char *const calls[] = { "resize", "snapshot", "rollback", "delete_snapshot", "free" };
        char volume[1100];

        if (harness_call(&h, "alloc", "{\"vmid\":100,\"format\":\"%s\",\"size\":%llu}", default_format(),
                         (unsigned long long) MIB) < 0)
                return;
        take_volume(volume);
        for (size_t i = 0; i < LENGTH(calls) && h.code != -EPIPE; i++)
                (void) harness_call(&h, calls[i], "{\"volume\":\"%s\",\"snapshot\":\"one\",\"size\":1048576}", volume);
}

/* The places are the plugin's: "faults" in its contract.json. */
static void killed_at_each_named_fault(void **state)
{
        json_object *faults = h.contract ? json_get(h.contract, "faults") : NULL;

        (void) state;
        if (!faults || !harness_has(&h, "alloc"))
                skip();
        for (size_t i = 0; i < json_object_array_length(faults); i++) {
                const char *name = json_object_get_string(json_object_array_get_idx(faults, i));
                char rule[128];
                size_t n;

                assert_int_equal(harness_end(&h), 0);
                (void) snprintf(rule, sizeof(rule), "%s=kill", name);
                h.faults = rule;
                restart();
                live_until_death();
                if (harness_end(&h) != 128 + SIGKILL)
                        fail_msg("fault point %s was never passed", name);
                h.faults = NULL;
                restart();
                n = list_count("{}");
                for (size_t k = 0; k < n; k++)
                        assert_int_equal(json_get_uint(json_object_array_get_idx(h.reply, k), "size", 0), MIB);
                while (list_count("{}") > 0) { /* and what is there can be freed */
                        AUTO(freep)
                        char *volid = strdup(json_get_string(json_object_array_get_idx(h.reply, 0), "volid"));

                        assert_non_null(volid);
                        assert_ok(harness_call(&h, "free", "{\"volume\":\"%s\"}", strchr(volid, ':') + 1));
                }
        }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define RAW(f) cmocka_unit_test_setup_teardown(f, setup_without_start, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(description_is_sound),
                cmocka_unit_test(features_need_their_operations),
                RAW(first_call_must_be_start),
                RAW(start_without_storage_serves_no_storage),
                RAW(check_config_accepts_what_start_gets),
                T(broken_frame_ends_the_worker),
                T(call_that_is_not_json_is_answered),
                T(unknown_call_is_not_supported),
                T(absent_operations_are_not_supported),
                T(end_of_the_socket_ends_the_worker),
                T(activate_twice),
                T(status_of_an_active_storage),
                T(probe_of_an_active_storage),
                T(health_gives_sound_findings),
                T(list_of_an_empty_storage),
                T(life_of_a_volume),
                T(alloc_of_each_format),
                T(alloc_takes_the_lowest_free_number),
                T(alloc_of_a_taken_name),
                T(alloc_with_a_wanted_name),
                T(alloc_with_bad_arguments),
                T(hostile_volume_names),
                T(hostile_snapshot_names),
                T(list_is_filtered_and_sorted),
                T(resize_grows_and_never_shrinks),
                T(free_of_a_protected_volume),
                T(snapshot_and_rollback),
                T(template_keeps_the_content),
                T(clone_of_a_template),
                T(rename_to_another_guest),
                T(export_and_import_again),
                T(import_of_a_taken_name),
                T(import_of_a_cut_stream_leaves_nothing),
                T(import_of_a_hostile_size),
                T(unknown_stream_formats),
                T(export_to_a_socket),
                T(cancelled_import_leaves_nothing),
                T(volumes_survive_a_killed_worker),
                T(no_half_volume_after_a_kill_during_alloc),
                T(killed_at_each_named_fault),
        };
        int r;

        (void) signal(SIGPIPE, SIG_IGN);
        harness_init(&h, getenv("PLUGIN"), getenv("CONTRACT"));
        r = cmocka_run_group_tests_name("contract", tests, NULL, NULL);
        harness_deinit(&h);
        return r;
}
