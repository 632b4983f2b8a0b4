/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storage.cfg: golden files for reading and writing, and the edits with all they refuse. */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "core/config.h"
#include "wire/json.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define LOCAL_JSON                                                                     \
        "{\"type\":\"dir\",\"path\":\"/var/lib/vz\",\"prune-backups\":\"keep-all=1\"," \
        "\"content\":[\"backup\",\"images\",\"iso\",\"rootdir\",\"snippets\",\"vztmpl\"]}"

static Schema *schema;

/* Plugins for dir, nfs and lvm that declare what the built-in table says; the other types have none. */
static int add_plugin(Schema *s, const char *name)
{
        static const char *const sharing[] = { "no", "flag", "always" };
        const Type *t = schema_find(s, name);
        json_object *o, *properties = json_object_new_array();
        AUTO(freep) char *text = NULL;
        int r;

        assert_int_equal(
                str_printf(&text,
                           "{\"abi\":1,\"name\":\"%s\",\"naming\":\"file\",\"sharing\":\"%s\",\"contents\":[\"images\","
                           "\"rootdir\",\"iso\",\"backup\"%s],\"default-contents\":[\"images\"],\"formats\":[\"raw\","
                           "\"qcow2\"],"
                           "\"default-format\":\"raw\"}",
                           name, sharing[t->sharing], str_eq(name, "dir") ? ",\"none\",\"snippets\",\"vztmpl\"" : ""),
                0);
        assert_int_equal(json_parse(text, strlen(text), &o), 0);
        for (size_t i = 0; i < t->n_properties; i++) {
                json_object *p = json_object_new_object();

                (void) json_add_string(p, "name", t->properties[i].name);
                (void) json_add_string(p, "type", "standard");
                (void) json_add(p, "required",
                                json_object_new_boolean(t->properties[i].flags & STORAGED_PROPERTY_REQUIRED));
                (void) json_add(p, "fixed", json_object_new_boolean(t->properties[i].flags & STORAGED_PROPERTY_FIXED));
                (void) json_object_array_add(properties, p);
        }
        (void) json_add(o, "properties", properties);
        r = schema_add_plugin(s, "/x.so", o, NULL);
        json_object_put(o);
        return r;
}

static int setup(void **state)
{
        (void) state;
        if (schema_new(&schema) < 0 || add_plugin(schema, "dir") < 0 || add_plugin(schema, "nfs") < 0 ||
            add_plugin(schema, "lvm") < 0)
                return -1;
        return schema_set_plugin_dir(schema, "/usr/lib/storaged/plugins");
}

static int teardown(void **state)
{
        (void) state;
        schema_free(schema);
        return 0;
}

static Config *parse_with(const Schema *s, const char *text, size_t len)
{
        Config *c = NULL;

        assert_int_equal(config_parse(s, text, len, &c), 0);
        return c;
}

static Config *parse(const char *text)
{
        return parse_with(schema, text, strlen(text));
}

/* --- reading and writing */

static void compare_golden(const Schema *s, const char *path)
{
        AUTO(freep) char *text = NULL, *wanted_text = NULL, *json_path = NULL, *once = NULL, *twice = NULL;
        AUTO(config_freep) Config *c = NULL, *again = NULL;
        AUTO_JSON *got = NULL, *wanted = NULL;
        size_t len, wanted_len;

        assert_int_equal(fs_read_file(path, 1 << 20, &text, &len), 0);
        assert_int_equal(str_printf(&json_path, "%.*s.json", (int) (strlen(path) - 4), path), 0);
        assert_int_equal(fs_read_file(json_path, 1 << 20, &wanted_text, &wanted_len), 0);
        c = parse_with(s, text, len);
        got = config_check_to_json(c);
        assert_non_null(got);
        assert_int_equal(json_parse(wanted_text, wanted_len, &wanted), 0);
        if (!json_object_equal(got, wanted))
                fail_msg("%s reads as\n%s", path, json_object_to_json_string_ext(got, JSON_C_TO_STRING_PRETTY));

        /* What was written is read as the same storages, and written the same again. */
        once = config_write(c);
        again = parse_with(s, once, strlen(once));
        twice = config_write(again);
        assert_string_equal(once, twice);
        assert_int_equal(c->n_storages, again->n_storages);
        for (size_t i = 0; i < c->n_storages; i++) {
                const StorageConfig *a = c->storages[i], *b = config_find(again, a->id);
                AUTO_JSON *x = storage_config_to_json(a), *y = NULL;

                assert_non_null(b);
                y = storage_config_to_json(b);
                json_object_object_del(x, "disable"); /* `disable 0` is not written */
                json_object_object_del(y, "disable");
                if (!json_object_equal(x, y))
                        fail_msg("%s: %s was\n%s, is\n%s", path, a->id, json_object_to_json_string(x),
                                 json_object_to_json_string(y));
                assert_int_equal(a->is_disabled, b->is_disabled);
        }
}

static void golden_files(void **state)
{
        AUTO(schema_freep) Schema *s = NULL;
        glob_t g;

        (void) state;
        assert_int_equal(schema_new(&s), 0);
        assert_int_equal(glob("tests/data/config/*.cfg", 0, NULL, &g), 0);
        assert_true(g.gl_pathc >= 14);
        for (size_t i = 0; i < g.gl_pathc; i++)
                compare_golden(s, g.gl_pathv[i]);
        globfree(&g);
}

static void file_in_normal_form_is_rewritten_byte_for_byte(void **state)
{
        AUTO(freep) char *text = NULL, *written = NULL;
        AUTO(schema_freep) Schema *s = NULL;
        AUTO(config_freep) Config *c = NULL;
        size_t len;

        (void) state;
        assert_int_equal(schema_new(&s), 0);
        assert_int_equal(fs_read_file("tests/data/config/every-type.cfg", 1 << 20, &text, &len), 0);
        c = parse_with(s, text, len);
        assert_int_equal(c->n_warnings, 0);
        written = config_write(c);
        assert_string_equal(written, text);
}

static void digest_is_of_the_raw_text(void **state)
{
        AUTO(config_freep) Config *empty = parse_with(schema, NULL, 0), *c = parse("dir: ab\n\tpath /x\n");

        (void) state;
        assert_string_equal(empty->digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_string_equal(c->digest, "1345f05cf58b79ae22659027d5638c366af521b6");
}

static void implied_local_is_there_and_not_written(void **state)
{
        AUTO(config_freep) Config *c = parse("");
        AUTO(freep) char *text = config_write(c);
        AUTO_JSON *json = storage_config_to_json(config_find(c, "local"));

        (void) state;
        assert_string_equal(text, "");
        assert_int_equal(c->storages[0]->line, 0);
        assert_true(storage_config_is_enabled_on(c->storages[0], "any"));
        assert_string_equal(
                json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                LOCAL_JSON);
}

static void enabled_by_flag_and_by_node(void **state)
{
        AUTO(config_freep)
        Config *c = parse("dir: aa\n\tpath /a\n\tnodes n2,n1\n\ndir: bb\n\tpath /b\n\tdisable\n\n"
                          "dir: cc\n\tpath /c\n\tdisable 0\n\nwhat: dd\n\tdisable\n");

        (void) state;
        assert_true(storage_config_is_enabled_on(config_find(c, "aa"), "n1"));
        assert_false(storage_config_is_enabled_on(config_find(c, "aa"), "n3"));
        assert_false(storage_config_is_enabled_on(config_find(c, "bb"), "n1"));
        assert_true(storage_config_is_enabled_on(config_find(c, "cc"), "n1"));
        assert_false(storage_config_is_enabled_on(config_find(c, "dd"), "n1"));
        assert_string_equal(config_find(c, "aa")->nodes.items[0], "n1");
}

static void shared_by_flag_and_by_nature(void **state)
{
        AUTO(config_freep)
        Config *c = parse(
                "dir: aa\n\tpath /a\n\ndir: bb\n\tpath /b\n\tshared\n\n"
                "nfs: cc\n\tpath /c\n\texport /e\n\tserver h\n\nlvmthin: dd\n\tvgname vg\n\tthinpool tp\n\tshared 1\n");

        (void) state;
        assert_false(config_find(c, "aa")->is_shared);
        assert_true(config_find(c, "bb")->is_shared);
        assert_true(config_find(c, "cc")->is_shared);
        assert_string_equal(storage_config_get(config_find(c, "cc"), "shared"), "1");
        assert_false(config_find(c, "dd")->is_shared);
        assert_null(storage_config_get(config_find(c, "dd"), "shared"));
}

static void api_form_has_lists_as_text(void **state)
{
        AUTO(config_freep)
        Config *c = parse("nfs: n1\n\tpath /p\n\texport /e\n\tserver h\n\tnodes b;a\n\tcontent iso,backup\n\tdisable\n"
                          "\tmax-protected-backups 5\n\tbogus x\n");
        AUTO_JSON *json = storage_config_to_api(config_find(c, "n1"), "abc");

        (void) state;
        assert_string_equal(
                json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                "{\"storage\":\"n1\",\"type\":\"nfs\",\"digest\":\"abc\",\"content\":\"backup,iso\",\"disable\":1,"
                "\"export\":\"/e\",\"max-protected-backups\":5,\"nodes\":\"a,b\",\"path\":\"/"
                "p\",\"server\":\"h\",\"shared\":1}");
}

static void thousands_of_sections_are_no_trouble(void **state)
{
        StrBuf b = STRBUF_INIT;
        AUTO(config_freep) Config *c = NULL;

        (void) state;
        for (unsigned i = 0; i < 40000; i++)
                strbuf_addf(&b, "a: s%u\n", i % 30000);
        c = parse_with(schema, b.data, b.len);
        assert_int_equal(c->n_storages, 30001);
        assert_int_equal(c->n_warnings, SECTION_WARNINGS_MAX + 1);
        strbuf_deinit(&b);
}

/* --- edits */

static const char two[] = "dir: d1\n\tpath /d1\n\tcontent iso\n\nlvm: l1\n\tvgname vg\n\n";

typedef struct Given {
        struct storaged_pair p[6];
} Given;

static size_t count(const Given *g)
{
        size_t n = 0;

        while (n < LENGTH(g->p) && g->p[n].key)
                n++;
        return n;
}

static void add_writes_the_new_section_last(void **state)
{
        AUTO(config_freep) Config *c = parse(two);
        Given g = { { { "path", "/srv/new//" },
                      { "disable", "yes" },
                      { "nodes", "pve2 pve1" },
                      { "max-protected-backups", "07" } } };
        AUTO(freep) char *text = NULL;

        (void) state;
        assert_int_equal(config_add(c, schema, "dir", "new", g.p, count(&g), &text, NULL), 0);
        /* The others' default content becomes explicit, the new one's does not yet. */
        assert_string_equal(text,
                            "dir: d1\n\tpath /d1\n\tcontent iso\n\nlvm: l1\n\tvgname vg\n\tcontent images\n\n"
                            "dir: new\n\tdisable\n\tpath /srv/new\n\tmax-protected-backups 7\n\tnodes pve1,pve2\n\n");
}

static void add_to_an_empty_file(void **state)
{
        AUTO(config_freep) Config *c = parse("");
        Given g = { { { "server", "nas" },
                      { "export", "/srv" },
                      { "content", "iso backup" },
                      { "prune-backups", "keep-last=2" } } };
        AUTO(freep) char *text = NULL;

        (void) state;
        assert_int_equal(config_add(c, schema, "nfs", "nas1", g.p, count(&g), &text, NULL), 0);
        assert_string_equal(text, "nfs: nas1\n\texport /srv\n\tpath /mnt/pve/nas1\n\tserver nas\n\tcontent backup,iso\n"
                                  "\tprune-backups keep-last=2\n\n");
}

static const struct {
        const char *type, *id;
        Given g;
        int code;
        const char *param;
} bad_adds[] = {
        { "nonsense", "new", { { { "path", "/x" } } }, -EINVAL, "type" },
        { "cifs", "new", { { { "server", "h" }, { "share", "s" } } }, -EOPNOTSUPP, "type" },
        { "dir", "n", { { { "path", "/x" } } }, -EINVAL, "storage" },
        { "dir", "new/x", { { { "path", "/x" } } }, -EINVAL, "storage" },
        { "dir", "new\n\tpath /y", { { { "path", "/x" } } }, -EINVAL, "storage" },
        { "dir", "d1", { { { "path", "/x" } } }, -EEXIST, "storage" },
        { "dir", "local", { { { "path", "/var/lib/vz" } } }, -EEXIST, "storage" },
        { "dir", "new", { { { NULL } } }, -EINVAL, "path" },
        { "dir", "new", { { { "content", "iso" } } }, -EINVAL, "path" },
        { "nfs", "new", { { { "server", "h" } } }, -EINVAL, "export" },
        { "dir", "new", { { { "path", "x" } } }, -EINVAL, "path" },
        { "dir", "new", { { { "path", "/" } } }, -EINVAL, "path" },
        { "dir", "new", { { { "path", "/a/../b" } } }, -EINVAL, "path" },
        { "dir", "new", { { { "path", "/a b" } } }, -EINVAL, "path" },
        { "dir", "new", { { { "path", "/a\n\ndir: evil\n\tpath /e" } } }, -EINVAL, "path" },
        { "dir", "new", { { { "path", "/x" }, { "path", "/y" } } }, -EINVAL, "path" },
        { "dir", "new", { { { "path", "/x" }, { "vgname", "vg" } } }, -EINVAL, "vgname" },
        { "dir", "new", { { { "path", "/x" }, { "bad\nkey", "1" } } }, -EINVAL, "bad?key" },
        { "dir", "new", { { { "path", "/x" }, { "type", "lvm" } } }, -EINVAL, "type" },
        { "dir", "new", { { { "path", "/x" }, { "storage", "b" } } }, -EINVAL, "storage" },
        { "dir", "new", { { { "path", "/x" }, { "content", "import" } } }, -EINVAL, "content" },
        { "dir", "new", { { { "path", "/x" }, { "content", "films" } } }, -EINVAL, "content" },
        { "dir", "new", { { { "path", "/x" }, { "content", "none,iso" } } }, -EINVAL, "content" },
        { "dir", "new", { { { "path", "/x" }, { "content", "" } } }, -EINVAL, "content" },
        { "dir", "new", { { { "path", "/x" }, { "format", "vmdk" } } }, -EINVAL, "format" },
        { "dir", "new", { { { "path", "/x" }, { "nodes", "a_b" } } }, -EINVAL, "nodes" },
        { "dir", "new", { { { "path", "/x" }, { "disable", "maybe" } } }, -EINVAL, "disable" },
        { "dir",
          "new",
          { { { "path", "/x" }, { "prune-backups", "keep-all=1,keep-last=1" } } },
          -EINVAL,
          "prune-backups" },
        { "dir", "new", { { { "path", "/x" }, { "bwlimit", "all=1" } } }, -EINVAL, "bwlimit" },
        { "nfs", "new", { { { "server", "h" }, { "export", "/e" }, { "shared", "1" } } }, -EINVAL, "shared" },
};

static void add_refuses(void **state)
{
        AUTO(config_freep) Config *c = parse(two);

        (void) state;
        for (size_t i = 0; i < LENGTH(bad_adds); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                char *text = NULL;
                int r = config_add(c, schema, bad_adds[i].type, bad_adds[i].id, bad_adds[i].g.p, count(&bad_adds[i].g),
                                   &text, &err);

                if (r != bad_adds[i].code || !str_eq(err.param, bad_adds[i].param))
                        fail_msg("case %zu: %d, param %s: %s", i, r, err.param, err.text);
                assert_null(text);
                assert_false(str_has_control(err.text));
        }
}

static void add_tells_where_plugins_were_looked_for(void **state)
{
        AUTO(config_freep) Config *c = parse("");
        struct storaged_error err = STORAGED_ERROR_INIT;
        char *text = NULL;

        (void) state;
        assert_int_equal(config_add(c, schema, "pbs", "new", NULL, 0, &text, &err), -EOPNOTSUPP);
        assert_string_equal(
                err.text,
                "storage type 'pbs' is known but no plugin for it is installed (looked in /usr/lib/storaged/plugins)");
}

static void update_sets_and_deletes_in_place(void **state)
{
        AUTO(config_freep)
        Config *c = parse(
                "dir: d1\n\tpath /d1\n\tshared 1\n\tnodes a\n\tfuture x\n\nlvm: l1\n\tvgname vg\n\tcontent images\n");
        Given g = { { { "content", "iso,backup" }, { "disable", "on" } } };
        StrList remove = STRLIST_INIT;
        AUTO(freep) char *text = NULL, *undone = NULL, *bare = NULL;
        AUTO(config_freep) Config *next = NULL;

        (void) state;
        assert_int_equal(strlist_split(&remove, "nodes future preallocation", " "), 0);
        assert_int_equal(config_update(c, schema, "d1", g.p, count(&g), &remove, &text, NULL), 0);
        assert_string_equal(text, "dir: d1\n\tdisable\n\tpath /d1\n\tcontent backup,iso\n\tshared 1\n\nlvm: "
                                  "l1\n\tvgname vg\n\tcontent images\n\n");
        strlist_deinit(&remove);

        next = parse(text);
        assert_int_equal(strlist_split(&remove, "disable content", " "), 0);
        assert_int_equal(config_update(next, schema, "d1", NULL, 0, &remove, &undone, NULL), 0);
        assert_string_equal(undone, "dir: d1\n\tpath /d1\n\tshared 1\n\nlvm: l1\n\tvgname vg\n\tcontent images\n\n");
        strlist_deinit(&remove);
        /* Nothing to change still rewrites. */
        assert_int_equal(config_update(c, schema, "l1", NULL, 0, NULL, &bare, NULL), 0);
        assert_string_equal(
                bare,
                "dir: d1\n\tpath /d1\n\tcontent images\n\tfuture x\n\tnodes a\n\tshared 1\n\nlvm: l1\n\tvgname vg\n"
                "\tcontent images\n\n");
}

static void update_replaces_a_line_without_effect(void **state)
{
        AUTO(config_freep) Config *c = parse("dir: d1\n\tpath /d1\n\tcontent films\n\tshared yes\n");
        Given g = { { { "content", "iso" } } };
        AUTO(freep) char *text = NULL;

        (void) state;
        assert_int_equal(config_update(c, schema, "d1", g.p, count(&g), NULL, &text, NULL), 0);
        assert_string_equal(text, "dir: d1\n\tpath /d1\n\tcontent iso\n\tshared yes\n\n");
}

static void update_mends_a_broken_storage(void **state)
{
        AUTO(config_freep) Config *c = parse("nfs: n1\n\tserver h\n\texport /e\n\n");
        Given path = { { { "path", "/mnt/pve/n1" } } }, other = { { { "content", "iso" } } };
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *text = NULL;

        (void) state;
        assert_non_null(config_find(c, "n1")->broken);
        assert_int_equal(config_update(c, schema, "n1", other.p, count(&other), NULL, &text, &err), -EINVAL);
        assert_string_equal(err.param, "path");
        assert_int_equal(config_update(c, schema, "n1", path.p, count(&path), NULL, &text, &err), 0);
        assert_string_equal(text, "nfs: n1\n\texport /e\n\tpath /mnt/pve/n1\n\tserver h\n\tcontent images\n\n");
}

static void update_of_local_makes_it_explicit(void **state)
{
        AUTO(config_freep)
        Config *c = parse("lvm: l1\n\tvgname vg\n\tcontent images\n"),
               *other = parse("dir: local\n\tpath /srv\n\tshared 1\n\nlvm: l1\n\tvgname vg\n\tcontent images\n");
        Given g = { { { "content", "iso" } } }, nodes = { { { "nodes", "pve1" } } };
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *text = NULL, *replaced = NULL, *none = NULL;

        (void) state;
        assert_int_equal(config_update(c, schema, "local", g.p, count(&g), NULL, &text, &err), 0);
        assert_string_equal(text, "lvm: l1\n\tvgname vg\n\tcontent images\n\n"
                                  "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\tprune-backups keep-all=1\n\n");
        assert_int_equal(config_update(other, schema, "local", g.p, count(&g), NULL, &replaced, &err), 0);
        assert_string_equal(replaced, "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\tprune-backups keep-all=1\n\n"
                                      "lvm: l1\n\tvgname vg\n\tcontent images\n\n");
        assert_int_equal(config_update(c, schema, "local", nodes.p, count(&nodes), NULL, &none, &err), -EINVAL);
        assert_string_equal(err.param, "nodes");
}

static const struct {
        const char *id;
        Given g;
        const char *remove;
        int code;
        const char *param;
} bad_updates[] = {
        { "absent", { { { NULL } } }, "", -ENOENT, "storage" },
        { "u1", { { { NULL } } }, "", -EOPNOTSUPP, "storage" },
        { "d1", { { { "path", "/d1" } } }, "", -EINVAL, "path" },
        { "d1", { { { "snapshot-as-volume-chain", "1" } } }, "", -EINVAL, "snapshot-as-volume-chain" },
        { "d1", { { { NULL } } }, "path", -EINVAL, "delete" },
        { "d1", { { { NULL } } }, "snapshot-as-volume-chain", -EINVAL, "delete" },
        { "d1", { { { NULL } } }, "colour", -EINVAL, "delete" },
        { "d1", { { { "nodes", "a" } } }, "nodes", -EINVAL, "delete" },
        { "d1", { { { "colour", "a" } } }, "", -EINVAL, "colour" },
        { "d1", { { { "content", "import" } } }, "", -EINVAL, "content" },
        { "d1", { { { "nodes", "a\nb" } } }, "", -EINVAL, "nodes" },
};

static void update_refuses(void **state)
{
        AUTO(config_freep) Config *c = parse("dir: d1\n\tpath /d1\n\nwhat: u1\n");

        (void) state;
        for (size_t i = 0; i < LENGTH(bad_updates); i++) {
                struct storaged_error err = STORAGED_ERROR_INIT;
                StrList remove = STRLIST_INIT;
                char *text = NULL;
                int r;

                assert_int_equal(strlist_split(&remove, bad_updates[i].remove, " "), 0);
                r = config_update(c, schema, bad_updates[i].id, bad_updates[i].g.p, count(&bad_updates[i].g), &remove,
                                  &text, &err);
                strlist_deinit(&remove);
                if (r != bad_updates[i].code || !str_eq(err.param, bad_updates[i].param))
                        fail_msg("case %zu: %d, param %s: %s", i, r, err.param, err.text);
                assert_null(text);
        }
}

static void remove_takes_out_one_section(void **state)
{
        AUTO(config_freep)
        Config *c = parse("dir: d1\n\n\nwhat: u1\n\tk v\n\nlvm: l1\n\tvgname vg\n\tcontent images\n\tbase san:lun\n\n"
                          "iscsi: san\n\tportal h\n\ttarget t\n\ndir: local\n\tpath /x\n");
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(freep) char *no_broken = NULL, *no_unknown = NULL, *no_local = NULL, *text = NULL;

        (void) state;
        assert_non_null(config_find(c, "d1")->broken);
        assert_int_equal(config_remove(c, "d1", &no_broken, &err), 0);
        assert_string_equal(
                no_broken,
                "what: u1\n\tk v\n\nlvm: l1\n\tvgname vg\n\tbase san:lun\n\tcontent images\n\n"
                "iscsi: san\n\tportal h\n\ttarget t\n\tcontent images\n\ndir: local\n\tpath /x\n\tcontent images\n\n");
        assert_int_equal(config_remove(c, "u1", &no_unknown, &err), 0);
        assert_null(strstr(no_unknown, "u1"));
        assert_non_null(strstr(no_unknown, "dir: d1\n\n"));
        assert_int_equal(config_remove(c, "local", &no_local, &err), 0);
        assert_null(strstr(no_local, "local"));
        assert_int_equal(config_remove(c, "absent", &text, &err), -ENOENT);
        assert_string_equal(err.param, "storage");
        assert_int_equal(config_remove(c, "san", &text, &err), -EBUSY);
        assert_non_null(strstr(err.text, "'l1'"));
        assert_null(text);
}

static void removed_local_comes_back(void **state)
{
        AUTO(config_freep) Config *c = parse("dir: local\n\tpath /var/lib/vz\n\tcontent iso\n"), *after = NULL;
        AUTO(freep) char *text = NULL, *again = NULL;

        (void) state;
        assert_int_equal(config_remove(c, "local", &text, NULL), 0);
        assert_string_equal(text, "");
        after = parse(text);
        assert_non_null(config_find(after, "local"));
        assert_int_equal(config_remove(after, "local", &again, NULL), 0);
        assert_string_equal(again, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(golden_files),
                cmocka_unit_test(file_in_normal_form_is_rewritten_byte_for_byte),
                cmocka_unit_test(digest_is_of_the_raw_text),
                cmocka_unit_test(implied_local_is_there_and_not_written),
                cmocka_unit_test(enabled_by_flag_and_by_node),
                cmocka_unit_test(shared_by_flag_and_by_nature),
                cmocka_unit_test(api_form_has_lists_as_text),
                cmocka_unit_test(thousands_of_sections_are_no_trouble),
                cmocka_unit_test(add_writes_the_new_section_last),
                cmocka_unit_test(add_to_an_empty_file),
                cmocka_unit_test(add_refuses),
                cmocka_unit_test(add_tells_where_plugins_were_looked_for),
                cmocka_unit_test(update_sets_and_deletes_in_place),
                cmocka_unit_test(update_replaces_a_line_without_effect),
                cmocka_unit_test(update_mends_a_broken_storage),
                cmocka_unit_test(update_of_local_makes_it_explicit),
                cmocka_unit_test(update_refuses),
                cmocka_unit_test(remove_takes_out_one_section),
                cmocka_unit_test(removed_local_comes_back),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
