/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of types against the reference's, the checks of values, and types that plugins bring. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "core/schema.h"
#include "wire/json.h"
#include "wire/volname.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static Schema *schema;

static int setup(void **state)
{
        (void) state;
        return schema_new(&schema);
}

static int teardown(void **state)
{
        (void) state;
        schema_free(schema);
        return 0;
}

/* The lines of a data file that are no comments, split at tabs; calls `fn` with the fields. */
static void for_each_row(const char *path, size_t n_fields, void (*fn)(char **fields))
{
        AUTO(freep) char *text = NULL;
        char *rest, *line;

        assert_int_equal(fs_read_file(path, 1 << 20, &text, NULL), 0);
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                char *fields[16] = { NULL };
                size_t n = 0;

                if (line[0] == '#' || line[0] == '\0')
                        continue;
                while (n < LENGTH(fields) && (fields[n] = strsep(&line, "\t")))
                        n++;
                assert_int_equal(n, n_fields);
                fn(fields);
        }
}

static unsigned n_rows;

/* The properties of `t` with exactly these required/fixed flags, and nothing else. */
static void compare_properties(const Type *t, const char *words, uint32_t flags)
{
        StrList l = STRLIST_INIT;
        size_t n = 0;

        if (!str_eq(words, "-"))
                assert_int_equal(strlist_split(&l, words, " "), 0);
        for (size_t i = 0; i < t->n_properties; i++) {
                const Property *p = &t->properties[i];

                if ((p->flags & (STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED)) != flags)
                        continue;
                if (!strlist_has(&l, p->name))
                        fail_msg("%s.%s is not in the reference with these flags", t->name, p->name);
                n++;
        }
        if (n != l.n)
                fail_msg("%s has %zu properties, the reference %zu: %s", t->name, n, l.n, words);
        strlist_deinit(&l);
}

static void compare_type(char **f)
{
        static const char *const sharing[] = { "no", "flag", "always" };
        const Type *t = schema_find(schema, f[0]);
        StrList words = STRLIST_INIT;
        uint32_t contents = 0, defaults = 0, formats = 0;

        n_rows++;
        assert_non_null(t);
        assert_false(t->has_plugin);
        assert_string_equal(sharing[t->sharing], f[1]);
        compare_properties(t, f[2], STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED);
        compare_properties(t, f[3], STORAGED_PROPERTY_REQUIRED);
        compare_properties(t, f[4], STORAGED_PROPERTY_FIXED);
        compare_properties(t, f[5], 0);
        assert_int_equal(strlist_split(&words, f[6], " "), 0);
        for (size_t i = 0; i < words.n; i++) {
                char *w = words.items[i], *star = strchr(w, '*');

                if (star)
                        *star = '\0';
                assert_int_not_equal(content_from_string(w), 0);
                contents |= content_from_string(w);
                defaults |= star ? content_from_string(w) : 0;
        }
        assert_int_equal(t->contents, contents);
        assert_int_equal(t->default_contents, defaults);
        strlist_deinit(&words);
        assert_int_equal(strlist_split(&words, f[7], " "), 0);
        for (size_t i = 0; i < words.n; i++)
                formats |= format_from_string(words.items[i]);
        assert_int_equal(t->formats, formats);
        assert_string_equal(format_to_string(t->default_format), words.items[0]);
        strlist_deinit(&words);
        if (!str_eq(f[8], "-"))
                assert_int_equal(strlist_split(&words, f[8], " "), 0);
        for (size_t i = 0; i < t->n_properties; i++)
                assert_int_equal((t->properties[i].flags & STORAGED_PROPERTY_SECRET) != 0,
                                 strlist_has(&words, t->properties[i].name));
        strlist_deinit(&words);
}

static void types_are_those_of_the_reference(void **state)
{
        size_t n;

        (void) state;
        n_rows = 0;
        for_each_row("tests/data/config/types.tsv", 9, compare_type);
        (void) schema_get_types(schema, &n);
        assert_int_equal(n, n_rows);
        assert_int_equal(n, 14);
}

/* A property as the reference's table would say it. */
static char *describe(const Property *p)
{
        static const char *const types[] = { "", "string", "integer", "boolean", "string" };
        StrBuf b = STRBUF_INIT;
        const char *sep = "\t";

        strbuf_adds(&b, types[p->type]);
        if (str_eq(p->format, "bwlimit"))
                strbuf_adds(&b, " / {clone,default,migration,move,restore}");
        else if (str_eq(p->format, "prune-backups"))
                strbuf_adds(&b, " / prune-backups");
        else if (p->format && !str_eq(p->format, "fingerprint-sha256") && !str_eq(p->format, "is-mountpoint"))
                strbuf_addf(&b, " / pve-%s", p->format);
        if (str_eq(p->format, "fingerprint-sha256")) {
                strbuf_addf(&b, "%spattern ([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}", sep);
                sep = "; ";
        }
        if (p->values) {
                strbuf_addf(&b, "%sone of", sep);
                for (const char *const *v = p->values; *v; v++)
                        strbuf_addf(&b, " %s", *v);
                sep = "; ";
        }
        if (p->min || p->max) {
                strbuf_addf(&b, "%sminimum %lld", sep, (long long) p->min);
                sep = "; ";
                if (p->max != INT64_MAX)
                        strbuf_addf(&b, "; maximum %lld", (long long) p->max);
        }
        if (p->max_length) {
                strbuf_addf(&b, "%smaxLength %u", sep, p->max_length);
                sep = "; ";
        }
        if (p->dflt) {
                strbuf_addf(&b, "%sdefault %s", sep, p->dflt);
                sep = "; ";
        }
        if (str_eq(sep, "\t"))
                strbuf_adds(&b, "\t-");
        return strbuf_take(&b);
}

static void compare_property(char **f)
{
        const Property *p = schema_find_standard(schema, f[0]);
        AUTO(freep) char *text = NULL, *wanted = NULL;

        n_rows++;
        if (!p)
                fail_msg("no standard property %s", f[0]);
        assert_true(strlen(p->description) > 10);
        text = describe(p);
        assert_int_equal(str_printf(&wanted, "%s\t%s", f[1], f[2]), 0);
        if (!str_eq(text, wanted))
                fail_msg("%s: have '%s', want '%s'", f[0], text, wanted);
}

static void properties_are_those_of_the_reference(void **state)
{
        (void) state;
        n_rows = 0;
        for_each_row("tests/data/config/properties.tsv", 3, compare_property);
        assert_int_equal(n_rows, 61);
}

static void naming_of_types(void **state)
{
        static const char *const names[][2] = {
                { "dir", "file" },    { "nfs", "file" }, { "cifs", "file" },       { "btrfs", "file" },
                { "cephfs", "file" }, { "lvm", "lvm" },  { "lvmthin", "lvmthin" }, { "rbd", "rbd" },
                { "zfspool", "zfs" }, { "zfs", "zfs" },  { "iscsi", "iscsi" },     { "iscsidirect", "iscsidirect" },
                { "pbs", "pbs" },
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(names); i++)
                assert_string_equal(naming_to_string(schema_find(schema, names[i][0])->naming), names[i][1]);
        assert_int_equal(schema_find(schema, "esxi")->naming, 0);
        assert_null(schema_find(schema, "Dir"));
}

/* name | value | normalised, NULL: refused; `=`: as it is */
static const char *const values[][3] = {
        { "path", "/srv/x", "=" },
        { "path", "/srv/x///", "/srv/x" },
        { "path", "/", "=" },
        { "path", "srv", NULL },
        { "path", "", NULL },
        { "path", "/a;b", NULL },
        { "path", "/a(b", NULL },
        { "path", "/a\nb", NULL },
        { "path", " /a", NULL },
        { "path", "/a ", NULL },
        { "path", "/srv/../etc", NULL },
        { "path", "/..", NULL },
        { "path", "/srv/..x", "=" },
        { "export", "/srv/x", "=" },
        { "server", "10.0.0.1", "=" },
        { "server", "fd00::1", "=" },
        { "server", "nas.example.org", "=" },
        { "server", "nas", "=" },
        { "server", "nas_1", NULL },
        { "server", "-nas", NULL },
        { "server", "nas..x", NULL },
        { "server", "nas x", NULL },
        { "server", "nas;reboot", NULL },
        { "portal", "10.0.0.1", "=" },
        { "portal", "10.0.0.1:3260", "=" },
        { "portal", "san.example:3260", "=" },
        { "portal", "[fd00::1]:3260", "=" },
        { "portal", "[fd00::1]", "=" },
        { "portal", "fd00::1", "=" },
        { "portal", "san:0", NULL },
        { "portal", "san:65536", NULL },
        { "portal", "san:", NULL },
        { "portal", "[fd00::1", NULL },
        { "portal", "[fd00::1]x", NULL },
        { "monhost", "10.0.0.1 10.0.0.2,[fd00::1]:6789", "=" },
        { "monhost", "10.0.0.1\t10.0.0.2", "=" },
        { "monhost", ",", NULL },
        { "monhost", "10.0.0.1 !", NULL },
        { "vgname", "pve", "=" },
        { "vgname", "my-vg_1.x", "=" },
        { "vgname", "p", NULL },
        { "vgname", "-p", NULL },
        { "vgname", "a/b", NULL },
        { "fs-name", "cephfs", "=" },
        { "fs-name", "1x", NULL },
        { "base", "san:0.0.1.scsi-3600", "=" },
        { "base", "san", NULL },
        { "blocksize", "8k", "=" },
        { "blocksize", "4096", "=" },
        { "blocksize", "0", NULL },
        { "blocksize", "8kk", NULL },
        { "options", "vers=4.2,soft", "=" },
        { "options", "vers=4.2 soft", NULL },
        { "content", "iso;backup images,iso", "backup,images,iso" },
        { "content", "none", "=" },
        { "content", "iso,foo", NULL },
        { "content", ",", NULL },
        { "nodes", "pve2 pve1,pve2", "pve1,pve2" },
        { "nodes", "pve_1", NULL },
        { "nodes", "pve1.example", NULL },
        { "content-dirs", "iso=my/isos,backup=dumps", "=" },
        { "content-dirs", "iso=/abs", NULL },
        { "content-dirs", "iso=a/../b", NULL },
        { "content-dirs", "iso=", NULL },
        { "content-dirs", "none=x", NULL },
        { "content-dirs", "isos=x", NULL },
        { "content-dirs", "iso", NULL },
        { "prune-backups", "keep-last=3,keep-daily=7", "=" },
        { "prune-backups", "keep-all=1", "=" },
        { "prune-backups", "keep-all=1,keep-last=0", "=" },
        { "prune-backups", "keep-all=0,keep-last=2", "=" },
        { "prune-backups", "keep-all=1,keep-last=2", NULL },
        { "prune-backups", "keep-last=3,keep-last=4", NULL },
        { "prune-backups", "keep-last=-1", NULL },
        { "prune-backups", "keep-last", NULL },
        { "prune-backups", "keep-last=3,", NULL },
        { "prune-backups", "keep-forever=1", NULL },
        { "bwlimit", "clone=100,default=50,migration=1.5,move=0,restore=7", "=" },
        { "bwlimit", "clone=fast", NULL },
        { "bwlimit", "read=1", NULL },
        { "bwlimit", "clone=1,clone=2", NULL },
        { "disable", "1", "=" },
        { "disable", "yes", "1" },
        { "disable", "ON", "1" },
        { "disable", "false", "0" },
        { "disable", "2", NULL },
        { "disable", "", NULL },
        { "port", "8007", "=" },
        { "port", "0008007", "8007" },
        { "port", "0", NULL },
        { "port", "65536", NULL },
        { "port", "80x", NULL },
        { "port", "99999999999999999999", NULL },
        { "max-protected-backups", "-1", "=" },
        { "max-protected-backups", "-2", NULL },
        { "max-protected-backups", "9223372036854775807", "=" },
        { "max-protected-backups", "9223372036854775808", NULL },
        { "saferemove-stepsize", "16", "=" },
        { "saferemove-stepsize", "3", NULL },
        { "preallocation", "falloc", "=" },
        { "preallocation", "Full", NULL },
        { "format", "qcow2", "=" },
        { "format", "qcow3", NULL },
        { "smbversion", "3.11", "=" },
        { "smbversion", "1.0", NULL },
        { "is_mountpoint", "yes", "=" },
        { "is_mountpoint", "/mnt/x", "=" },
        { "is_mountpoint", "mnt", NULL },
        { "domain", "WORKGROUP", "=" },
        { "fingerprint",
          "AA:bb:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd", "=" },
        { "fingerprint", "AA:bb", NULL },
        { "fingerprint",
          "AA:bb:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:ddd", NULL },
        { "username", "a\tb", NULL },
        { "username", "a\x7f", NULL },
        { "username", "any thing", "=" },
};

static void values_of_properties(void **state)
{
        (void) state;
        for (size_t i = 0; i < LENGTH(values); i++) {
                const Property *p = schema_find_standard(schema, values[i][0]);
                const char *value = values[i][1], *want = values[i][2];
                struct storaged_error err = STORAGED_ERROR_INIT;
                AUTO(freep) char *got = NULL;
                int r = property_normalize(p, value, &got, &err);

                if (!want) {
                        if (r != -EINVAL)
                                fail_msg("%s '%s' was accepted", values[i][0], value);
                        assert_string_equal(err.param, values[i][0]);
                        assert_false(str_has_control(err.text));
                        assert_null(got);
                        continue;
                }
                if (r < 0)
                        fail_msg("%s '%s': %s", values[i][0], value, err.text);
                assert_string_equal(got, str_eq(want, "=") ? value : want);
                /* What goes to the file is also what the file may hold. */
                assert_int_equal(property_check(p, got, &err), 0);
        }
}

static void the_file_has_booleans_as_1_and_0_only(void **state)
{
        const Property *p = schema_find_standard(schema, "disable");

        (void) state;
        assert_int_equal(property_check(p, "1", NULL), 0);
        assert_int_equal(property_check(p, "0", NULL), 0);
        assert_int_equal(property_check(p, "yes", NULL), -EINVAL);
        assert_int_equal(property_check(p, "on", NULL), -EINVAL);
        /* `..` in a path is for the file to have and for nobody to add. */
        assert_int_equal(property_check(schema_find_standard(schema, "path"), "/a/../b", NULL), 0);
}

static void long_values(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char text[5000];

        (void) state;
        memset(text, 'a', sizeof(text));
        text[4096] = '\0';
        assert_int_equal(property_check(schema_find_standard(schema, "username"), text, &err), 0);
        text[4096] = 'a';
        text[4097] = '\0';
        assert_int_equal(property_check(schema_find_standard(schema, "username"), text, &err), -EINVAL);
        text[256] = '\0';
        assert_int_equal(property_check(schema_find_standard(schema, "domain"), text, &err), 0);
        text[256] = 'a';
        text[257] = '\0';
        assert_int_equal(property_check(schema_find_standard(schema, "domain"), text, &err), -EINVAL);
        assert_true(strlen(err.text) < 400);
}

static void secrets_are_not_repeated_in_errors(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const Property *p = type_find_property(schema_find(schema, "cifs"), "password");

        (void) state;
        assert_int_equal(property_check(p, "hunter2\n", &err), -EINVAL);
        assert_null(strstr(err.text, "hunter2"));
}

/* --- plugins */

static const char plugin_dir_text[] =
        "{\"abi\":1,\"name\":\"dir\",\"version\":\"1.0\",\"summary\":\"A "
        "directory\",\"probed\":true,\"naming\":\"file\","
        "\"sharing\":\"flag\",\"contents\":[\"images\",\"iso\"],\"default-contents\":[\"images\"],"
        "\"formats\":[\"raw\",\"qcow2\"],\"default-format\":\"raw\",\"properties\":["
        "{\"name\":\"path\",\"type\":\"standard\",\"required\":true,\"fixed\":true,\"secret\":false},"
        "{\"name\":\"colour\",\"type\":\"enum\",\"required\":false,\"fixed\":false,\"secret\":false,\"values\":["
        "\"red\",\"blue\"],"
        "\"default\":\"red\",\"description\":\"Colour of the door\"},"
        "{\"name\":\"level\",\"type\":\"integer\",\"min\":1,\"max\":9}],"
        "\"features\":[{\"format\":\"raw\",\"base\":false,\"current\":[\"resize\",\"copy\"],\"snap\":[],"
        "\"exports\":[\"raw+size\",\"qcow2+size\"],\"exports-with-snapshots\":[],\"snapshot-method\":\"qemu\"}],"
        "\"operations\":[\"list\",\"alloc\",\"check_config\",\"made_up\"]}";

static int add_text(Schema *s, const char *text, struct storaged_error *err)
{
        AUTO_JSON *o = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o), 0);
        return schema_add_plugin(s, "/usr/lib/storaged/x.so", o, err);
}

static void plugin_replaces_a_builtin_type(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(schema_freep) Schema *s = NULL;
        const Property *p;
        const Feature *f;
        const Type *t;
        size_t n;

        (void) state;
        assert_int_equal(schema_new(&s), 0);
        assert_int_equal(add_text(s, plugin_dir_text, &err), 0);
        t = schema_find(s, "dir");
        assert_true(t->has_plugin && t->is_probed && t->has_check_config);
        assert_string_equal(t->plugin_path, "/usr/lib/storaged/x.so");
        assert_int_equal(t->contents, STORAGED_CONTENT_IMAGES | STORAGED_CONTENT_ISO);
        p = type_find_property(t, "path");
        assert_int_equal(p->type, STORAGED_PROPERTY_STRING);
        assert_string_equal(p->format, "storage-path");
        assert_int_equal(p->flags, STORAGED_PROPERTY_REQUIRED | STORAGED_PROPERTY_FIXED);
        assert_int_equal(property_check(type_find_property(t, "colour"), "blue", &err), 0);
        assert_int_equal(property_check(type_find_property(t, "colour"), "green", &err), -EINVAL);
        assert_non_null(strstr(err.text, "red, blue"));
        assert_int_equal(property_check(type_find_property(t, "level"), "10", &err), -EINVAL);
        /* What the daemon itself acts on is there without being declared. */
        assert_non_null(type_find_property(t, "nodes"));
        assert_non_null(type_find_property(t, "disable"));
        assert_non_null(type_find_property(t, "content"));
        assert_non_null(type_find_property(t, "shared"));
        assert_null(type_find_property(t, "mkdir"));
        f = type_find_feature(t, "raw", false);
        assert_int_equal(f->current, STORAGED_FEATURE_RESIZE | STORAGED_FEATURE_COPY);
        assert_string_equal(f->exports, "raw+size qcow2+size");
        assert_string_equal(f->snapshot_method, "qemu");
        assert_null(type_find_feature(t, "raw", true));
        assert_true(type_has_op(t, SCHEMA_OP_ALLOC));
        assert_false(type_has_op(t, SCHEMA_OP_FREE));
        (void) schema_get_types(s, &n);
        assert_int_equal(n, 14);
        /* Only one plugin for a type. */
        assert_int_equal(add_text(s, plugin_dir_text, &err), -EEXIST);
}

static void plugin_of_a_new_type_is_sorted_in(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(schema_freep) Schema *s = NULL;
        AUTO_JSON *json = NULL;
        const Type *const *types;
        size_t n;

        (void) state;
        assert_int_equal(schema_new(&s), 0);
        assert_int_equal(
                add_text(
                        s,
                        "{\"abi\":1,\"name\":\"example\",\"naming\":\"file\",\"sharing\":\"no\",\"contents\":[\"iso\"],"
                        "\"default-contents\":[\"iso\"],\"formats\":[]}",
                        &err),
                0);
        types = schema_get_types(s, &n);
        assert_int_equal(n, 15);
        for (size_t i = 1; i < n; i++)
                assert_true(strcmp(types[i - 1]->name, types[i]->name) < 0);
        assert_null(type_find_property(schema_find(s, "example"), "shared"));
        json = schema_to_json(s);
        assert_int_equal(json_object_array_length(json_get(json, "types")), 15);
}

static void unusable_descriptions(void **state)
{
        /* What is replaced in the good description, and by what. */
        static const char *const changes[][2] = {
                { "\"abi\":1", "\"abi\":2" },
                { "\"name\":\"dir\"", "\"name\":\"Dir\"" },
                { "\"name\":\"dir\"", "\"name\":7" },
                { "\"name\":\"dir\"", "\"name\":\"../x\"" },
                { "\"naming\":\"file\"", "\"naming\":\"files\"" },
                { "\"sharing\":\"flag\"", "\"sharing\":\"maybe\"" },
                { "\"contents\":[\"images\",\"iso\"]", "\"contents\":[\"image\"]" },
                { "\"contents\":[\"images\",\"iso\"]", "\"contents\":[]" },
                { "\"contents\":[\"images\",\"iso\"]", "\"contents\":\"iso\"" },
                { "\"default-contents\":[\"images\"]", "\"default-contents\":[\"backup\"]" },
                { "\"default-format\":\"raw\"", "\"default-format\":\"vmdk\"" },
                { "\"name\":\"path\"", "\"name\":\"paths\"" },  /* no standard property of that name */
                { "\"name\":\"colour\"", "\"name\":\"path\"" }, /* twice */
                { "\"name\":\"colour\"", "\"name\":\"digest\"" },
                { "\"name\":\"colour\"", "\"name\":\"co lour\"" },
                { "\"type\":\"enum\"", "\"type\":\"list\"" },
                { "\"values\":[\"red\",\"blue\"],", "" },
                { "\"values\":[\"red\",\"blue\"]", "\"values\":[1]" },
                { "\"min\":1", "\"min\":10" },
                { "[\"resize\",\"copy\"]", "[\"fly\"]" },
        };
        AUTO(schema_freep) Schema *s = NULL;

        (void) state;
        assert_int_equal(schema_new(&s), 0);
        for (size_t i = 0; i < LENGTH(changes); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                const char *at = strstr(plugin_dir_text, changes[i][0]);
                AUTO(freep) char *text = NULL;

                assert_non_null(at);
                assert_int_equal(str_printf(&text, "%.*s%s%s", (int) (at - plugin_dir_text), plugin_dir_text,
                                            changes[i][1], at + strlen(changes[i][0])),
                                 0);
                if (add_text(s, text, &err) != -EINVAL)
                        fail_msg("accepted: %s", text);
                assert_non_null(strstr(err.text, "/usr/lib/storaged/x.so"));
                assert_false(schema_find(s, "dir")->has_plugin);
        }
        assert_int_equal(schema_add_plugin(s, "x", NULL, NULL), -EINVAL);
}

static void where_plugins_are_looked_for(void **state)
{
        AUTO(schema_freep) Schema *s = NULL;

        (void) state;
        assert_int_equal(schema_new(&s), 0);
        assert_string_equal(schema_get_plugin_dir(s), "");
        assert_int_equal(schema_set_plugin_dir(s, "/a"), 0);
        assert_int_equal(schema_set_plugin_dir(s, "/b"), 0);
        assert_string_equal(schema_get_plugin_dir(s), "/b");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(types_are_those_of_the_reference),
                cmocka_unit_test(properties_are_those_of_the_reference),
                cmocka_unit_test(naming_of_types),
                cmocka_unit_test(values_of_properties),
                cmocka_unit_test(the_file_has_booleans_as_1_and_0_only),
                cmocka_unit_test(long_values),
                cmocka_unit_test(secrets_are_not_repeated_in_errors),
                cmocka_unit_test(plugin_replaces_a_builtin_type),
                cmocka_unit_test(plugin_of_a_new_type_is_sorted_in),
                cmocka_unit_test(unusable_descriptions),
                cmocka_unit_test(where_plugins_are_looked_for),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
