/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterfs/tree and op: each change, its refusals, limits, VMIDs, locks, checksum; decoding of broken changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/op.h"
#include "clusterfs/tree.h"

static uint64_t ino;

/* Through the wire form, as in life. */
static int apply(Tree *t, Op op)
{
        StrBuf b = STRBUF_INIT;
        uint32_t writer = op.writer;
        Op got;
        int r;

        op.name_len = op.name ? strlen(op.name) : 0;
        op.name2_len = op.name2 ? strlen(op.name2) : 0;
        op_encode(&b, &op);
        r = op_decode(b.data, b.len, &got);
        got.writer = writer;
        if (r == 0)
                r = tree_apply(t, &got, 1, &ino);
        strbuf_deinit(&b);
        return r;
}

static uint64_t make_dir(Tree *t, uint64_t parent, const char *name)
{
        assert_int_equal(apply(t, (Op){ .type = OP_MKDIR, .ino = parent, .name = name }), 0);
        return ino;
}

static uint64_t make_path(Tree *t, const char *path)
{
        uint64_t dir = TREE_ROOT_INO;

        while (*path) {
                size_t n = strcspn(path, "/");
                char name[256] = { 0 };
                Node *have;

                memcpy(name, path, n);
                have = tree_lookup(t, tree_find(t, dir), name, n);
                dir = have ? have->ino : make_dir(t, dir, name);
                path += n + (path[n] == '/');
        }
        return dir;
}

static int put(Tree *t, uint64_t dir, const char *name, const char *text)
{
        return apply(t, (Op){ .type = OP_PUT,
                              .ino = dir,
                              .name = name,
                              .data = (const uint8_t *) text,
                              .data_len = strlen(text) });
}

static int rename_file(Tree *t, uint64_t from, const char *name, uint64_t to, const char *name2)
{
        return apply(t, (Op){ .type = OP_RENAME, .ino = from, .name = name, .ino2 = to, .name2 = name2 });
}

static void assert_content(const Tree *t, const char *path, const char *text)
{
        const Node *n = tree_resolve(t, path);

        assert_non_null(n);
        assert_int_equal(n->content->size, strlen(text));
        assert_memory_equal(n->content->data, text, strlen(text));
}

static void files_and_directories(void **state)
{
        Tree *t = tree_new();
        uint64_t d = make_dir(t, TREE_ROOT_INO, "d");
        char *path;

        (void) state;
        assert_int_equal(apply(t, (Op){ .type = OP_CREATE, .ino = d, .name = "f" }), 0);
        path = node_path(tree_find(t, ino));
        assert_string_equal(path, "d/f");
        free(path);
        assert_int_equal(apply(t, (Op){ .type = OP_CREATE, .ino = d, .name = "f" }), -EEXIST);
        assert_int_equal(apply(t, (Op){ .type = OP_CREATE, .ino = 99, .name = "f" }), -ESTALE);
        assert_int_equal(apply(t, (Op){ .type = OP_CREATE, .ino = ino, .name = "f" }), -ENOTDIR);
        assert_int_equal(apply(t, (Op){ .type = OP_RMDIR, .ino = TREE_ROOT_INO, .name = "d" }), -ENOTEMPTY);
        assert_int_equal(apply(t, (Op){ .type = OP_UNLINK, .ino = TREE_ROOT_INO, .name = "d" }), -EISDIR);
        assert_int_equal(apply(t, (Op){ .type = OP_RMDIR, .ino = d, .name = "f" }), -ENOTDIR);
        assert_int_equal(apply(t, (Op){ .type = OP_UNLINK, .ino = d, .name = "f" }), 0);
        assert_int_equal(apply(t, (Op){ .type = OP_RMDIR, .ino = TREE_ROOT_INO, .name = "d" }), 0);
        assert_int_equal(t->n_nodes, 1);
        assert_int_equal(t->bytes, 0);
        t = tree_free(t);
}

static void a_refused_change_takes_no_version(void **state)
{
        Tree *t = tree_new();
        uint64_t before = t->version.index;

        (void) state;
        assert_int_equal(apply(t, (Op){ .type = OP_UNLINK, .ino = TREE_ROOT_INO, .name = "x" }), -ENOENT);
        assert_true(t->version.index == before);
        (void) make_dir(t, TREE_ROOT_INO, "x");
        assert_true(t->version.index == before + 1);
        t = tree_free(t);
}

static void writes(void **state)
{
        Tree *t = tree_new();
        uint64_t f;

        (void) state;
        assert_int_equal(put(t, TREE_ROOT_INO, "f", "hello"), 0);
        f = ino;
        assert_int_equal(apply(t, (Op){ .type = OP_WRITE,
                                        .ino = f,
                                        .n_extents = 2,
                                        .extents = { { 0, 1 }, { 4, 2 } },
                                        .data = (const uint8_t *) "J0!",
                                        .data_len = 3 }),
                         0);
        assert_content(t, "f", "Jell0!");
        assert_int_equal(apply(t, (Op){ .type = OP_WRITE,
                                        .flags = OP_APPEND,
                                        .ino = f,
                                        .data = (const uint8_t *) "??",
                                        .data_len = 2 }),
                         0);
        assert_content(t, "f", "Jell0!??");
        assert_int_equal(apply(t, (Op){ .type = OP_WRITE,
                                        .flags = OP_REPLACE,
                                        .ino = f,
                                        .data = (const uint8_t *) "x",
                                        .data_len = 1 }),
                         0);
        assert_content(t, "f", "x");
        assert_int_equal(apply(t, (Op){ .type = OP_TRUNCATE, .ino = f, .size = 3 }), 0);
        assert_memory_equal(tree_find(t, f)->content->data, "x\0\0", 3);
        assert_int_equal(t->bytes, 3);
        assert_int_equal(apply(t, (Op){ .type = OP_TRUNCATE, .ino = f, .size = OP_FILE_MAX + 1 }), -EFBIG);
        assert_int_equal(apply(t, (Op){ .type = OP_WRITE, .flags = OP_REPLACE, .ino = 1 }), -EISDIR);
        assert_int_equal(apply(t, (Op){ .type = OP_WRITE, .flags = OP_REPLACE, .ino = 77 }),
                         0); /* removed while open */
        t = tree_free(t);
}

static void an_old_reader_keeps_its_content(void **state)
{
        Tree *t = tree_new();
        Content *c;

        (void) state;
        assert_int_equal(put(t, TREE_ROOT_INO, "f", "old"), 0);
        c = content_ref(tree_find(t, ino)->content);
        assert_int_equal(put(t, TREE_ROOT_INO, "f", "newer"), 0);
        assert_memory_equal(c->data, "old", 3);
        assert_content(t, "f", "newer");
        (void) content_unref(c);
        t = tree_free(t);
}

static void total_size_is_enforced(void **state)
{
        Tree *t = tree_new();

        (void) state;
        t->max_bytes = 10;
        assert_int_equal(put(t, TREE_ROOT_INO, "a", "123456"), 0);
        assert_int_equal(put(t, TREE_ROOT_INO, "b", "12345"), -ENOSPC);
        assert_null(tree_resolve(t, "b"));
        assert_int_equal(put(t, TREE_ROOT_INO, "b", "1234"), 0);
        assert_int_equal(put(t, TREE_ROOT_INO, "a", "1234567"), -ENOSPC);
        assert_content(t, "a", "123456");
        assert_int_equal(put(t, TREE_ROOT_INO, "a", "1"), 0);
        t = tree_free(t);
}

static void renames(void **state)
{
        Tree *t = tree_new();
        uint64_t d = make_dir(t, 1, "d"), e = make_dir(t, 1, "e");

        (void) state;
        assert_int_equal(put(t, d, "f", "1"), 0);
        assert_int_equal(put(t, 1, "g", "2"), 0);
        assert_int_equal(rename_file(t, 1, "g", d, "f"), 0);
        assert_content(t, "d/f", "2");
        assert_null(tree_resolve(t, "g"));
        assert_int_equal(rename_file(t, 1, "d", 1, "x"), -ENOTEMPTY);
        assert_int_equal(rename_file(t, d, "f", 1, "e"), -EISDIR);
        assert_int_equal(rename_file(t, 1, "e", d, "f"), -ENOTDIR);
        assert_int_equal(rename_file(t, 1, "e", e, "inside"), -EINVAL);
        assert_int_equal(rename_file(t, 1, "e", 1, "d"), -ENOTEMPTY);
        assert_int_equal(rename_file(t, 1, "none", 1, "y"), -ENOENT);
        assert_int_equal(rename_file(t, d, "f", d, "f"), 0);
        assert_int_equal(
                apply(t,
                      (Op){ .type = OP_RENAME, .flags = OP_NOREPLACE, .ino = 1, .name = "e", .ino2 = 1, .name2 = "d" }),
                -EEXIST);
        assert_int_equal(rename_file(t, 1, "e", 1, "h"), 0);
        assert_int_equal(t->bytes, 1);
        t = tree_free(t);
}

static void vmids_are_unique(void **state)
{
        Tree *t = tree_new();
        uint64_t a = make_path(t, "nodes/a/qemu-server"), b = make_path(t, "nodes/b/lxc"),
                 other = make_path(t, "x/y/qemu-server");

        (void) state;
        assert_int_equal(put(t, a, "100.conf", "1"), 0);
        assert_int_equal(put(t, b, "100.conf", "2"), -EEXIST);
        assert_int_equal(put(t, other, "100.conf", "3"), 0);
        assert_int_equal(put(t, b, "0100.conf", "4"), 0);
        assert_int_equal(put(t, b, "100.conf.tmp", "5"), 0);
        assert_int_equal(rename_file(t, b, "100.conf.tmp", b, "100.conf"), -EEXIST);
        assert_int_equal(rename_file(t, a, "100.conf", b, "100.conf"), 0);
        assert_int_equal(rename_file(t, b, "100.conf.tmp", b, "100.conf"), 0); /* replaces its own */
        assert_content(t, "nodes/b/lxc/100.conf", "5");
        assert_int_equal(apply(t, (Op){ .type = OP_UNLINK, .ino = b, .name = "100.conf" }), 0);
        assert_int_equal(put(t, a, "100.conf", "6"), 0);
        t = tree_free(t);
}

static void locks(void **state)
{
        Tree *t = tree_new();
        uint64_t dir = make_path(t, "priv/lock"), lock;
        Version v;

        (void) state;
        assert_int_equal(apply(t, (Op){ .type = OP_MKDIR, .ino = dir, .name = "l", .writer = 2 }), 0);
        lock = ino;
        assert_true(node_is_lock(tree_find(t, lock)));
        assert_int_equal(rename_file(t, dir, "l", dir, "m"), -EACCES);
        assert_int_equal(apply(t, (Op){ .type = OP_UTIME, .ino = lock, .mtime = 5, .writer = 1 }), -EACCES);
        v = tree_find(t, lock)->version;
        assert_int_equal(apply(t, (Op){ .type = OP_UTIME, .ino = lock, .mtime = 5, .writer = 2 }), 0);
        assert_int_equal(apply(t, (Op){ .type = OP_LOCK_DROP, .ino = lock, .term = v.term, .index = v.index }),
                         -EAGAIN); /* renewed since */
        v = tree_find(t, lock)->version;
        assert_int_equal(apply(t, (Op){ .type = OP_LOCK_DROP, .ino = lock, .term = v.term, .index = v.index }), 0);
        assert_null(tree_find(t, lock));
        t = tree_free(t);
}

static void private_places(void **state)
{
        static const struct {
                const char *path;
                bool is_private;
        } cases[] = {
                { "priv", true },           { "priv/lock", true }, { "nodes/a/priv", true },
                { "nodes/a/priv/x", true }, { "nodes", false },    { "nodes/priv", false },
                { "x/priv", false },        { "x/a/priv", false }, { "privat", false },
        };
        Tree *t = tree_new();

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_int_equal(node_is_private(tree_find(t, make_path(t, cases[i].path))), cases[i].is_private);
        t = tree_free(t);
}

static void same_changes_same_checksum(void **state)
{
        uint8_t a[TREE_HASH_SIZE], b[TREE_HASH_SIZE];
        Tree *t[2] = { tree_new(), tree_new() };

        (void) state;
        for (int k = 0; k < 2; k++) {
                uint64_t d = make_dir(t[k], 1, "d");
                char name[16];

                for (int i = 0; i < 500; i++) {
                        (void) snprintf(name, sizeof(name), "f%d", i);
                        assert_int_equal(put(t[k], d, name, name), 0);
                }
        }
        assert_int_equal(tree_checksum(t[0], a), 0);
        assert_int_equal(tree_checksum(t[1], b), 0);
        assert_memory_equal(a, b, sizeof(a));
        assert_int_equal(put(t[1], 1, "one-more", ""), 0);
        assert_int_equal(tree_checksum(t[1], b), 0);
        assert_memory_not_equal(a, b, sizeof(a));
        t[0] = tree_free(t[0]);
        t[1] = tree_free(t[1]);
}

static void names_that_are_none(void **state)
{
        (void) state;
        assert_false(op_name_is_valid("", 0));
        assert_false(op_name_is_valid(".", 1));
        assert_false(op_name_is_valid("..", 2));
        assert_false(op_name_is_valid("a/b", 3));
        assert_false(op_name_is_valid("a\0b", 3));
        assert_true(op_name_is_valid("...", 3));
        assert_true(op_name_is_valid(".version", 8));
}

static void every_shorter_change_is_refused(void **state)
{
        StrBuf b = STRBUF_INIT;
        Op op = { .type = OP_WRITE,
                  .ino = 5,
                  .n_extents = 1,
                  .extents = { { 3, 4 } },
                  .data = (const uint8_t *) "1234",
                  .data_len = 4 },
           got;

        (void) state;
        op_encode(&b, &op);
        assert_int_equal(op_decode(b.data, b.len, &got), 0);
        for (size_t i = 0; i < b.len; i++)
                assert_int_equal(op_decode(b.data, i, &got), -EPROTO);
        strbuf_addc(&b, 'x'); /* of a later version */
        assert_int_equal(op_decode(b.data, b.len, &got), 0);
        strbuf_deinit(&b);
}

static void a_write_to_a_name_needs_the_file_to_have_it(void **state)
{
        Op op = { .type = OP_WRITE, .flags = OP_NAMED | OP_APPEND, .ino2 = TREE_ROOT_INO, .name = "f" };
        Tree *t = tree_new();
        uint64_t before;

        (void) state;
        op.data = (const uint8_t *) "x";
        op.data_len = 1;
        assert_int_equal(apply(t, (Op){ .type = OP_CREATE, .ino = TREE_ROOT_INO, .name = "f" }), 0);
        op.ino = ino;
        assert_int_equal(apply(t, op), 0);
        assert_content(t, "f", "x");
        assert_int_equal(rename_file(t, 1, "f", 1, "g"), 0);
        before = t->version.index;
        assert_int_equal(apply(t, op), -ESTALE); /* moved away */
        assert_int_equal(apply(t, (Op){ .type = OP_CREATE, .ino = TREE_ROOT_INO, .name = "f" }), 0);
        assert_int_equal(apply(t, op), -ESTALE); /* and another has its name */
        op.ino2 = 77;
        assert_int_equal(apply(t, op), -ESTALE); /* its directory is gone */
        assert_int_equal(t->version.index, before + 1);
        assert_content(t, "g", "x");
        t = tree_free(t);
}

/* The nodes of a cluster: each applies each change, and all come to the same answer. */
typedef struct Nodes {
        Tree *tree[4];
} Nodes;

static int apply_on_all(Nodes *n, Op op)
{
        int r = apply(n->tree[0], op);

        for (size_t i = 1; i < 4; i++) {
                n->tree[i]->now_usec = i * 1000000000; /* no clock of a node's has a say */
                assert_int_equal(apply(n->tree[i], op), r);
                assert_int_equal(n->tree[i]->version.index, n->tree[0]->version.index);
        }
        return r;
}

static void assert_all_same(const Nodes *n)
{
        uint8_t first[TREE_HASH_SIZE], other[TREE_HASH_SIZE];

        assert_int_equal(tree_checksum(n->tree[0], first), 0);
        for (size_t i = 1; i < 4; i++) {
                assert_int_equal(tree_checksum(n->tree[i], other), 0);
                assert_memory_equal(first, other, sizeof(first));
        }
}

static Op put_op(const char *name, const char *text)
{
        return (Op){ .type = OP_PUT,
                     .ino = TREE_ROOT_INO,
                     .name = name,
                     .data = (const uint8_t *) text,
                     .data_len = strlen(text) };
}

static void a_change_under_a_lock_needs_that_lock(void **state)
{
        Op commit = { .type = OP_RENAME, .flags = OP_FENCED, .ino = 1, .ino2 = 1, .name = "tmp", .name2 = "f" };
        Op removal = { .type = OP_UNLINK, .flags = OP_FENCED, .ino = 1, .name = "f" };
        Op put = put_op("f", "put");
        Op take = { .type = OP_MKDIR, .name = "l" }, give = { .type = OP_RMDIR, .name = "l" };
        Nodes n;
        uint64_t locks = 0, first;

        (void) state;
        for (size_t i = 0; i < 4; i++) {
                n.tree[i] = tree_new();
                locks = make_path(n.tree[i], "priv/lock");
        }
        take.ino = give.ino = locks;
        assert_int_equal(apply_on_all(&n, put_op("f", "old")), 0);
        assert_int_equal(apply_on_all(&n, put_op("tmp", "new")), 0);
        assert_int_equal(apply_on_all(&n, take), 0);
        first = commit.lock = put.lock = ino;
        put.flags = OP_FENCED;
        assert_int_equal(apply_on_all(&n, (Op){ .type = OP_UTIME, .ino = first, .mtime = 5 }), 0); /* renewed */
        assert_int_equal(apply_on_all(&n, commit), 0);
        assert_content(n.tree[3], "f", "new");
        assert_int_equal(apply_on_all(&n, put), 0);
        assert_content(n.tree[3], "f", "put");

        assert_int_equal(apply_on_all(&n, put_op("tmp", "late")), 0);
        assert_int_equal(apply_on_all(&n, give), 0);
        assert_int_equal(apply_on_all(&n, commit), -ESTALE); /* there is none */
        put.name = "fresh";
        assert_int_equal(apply_on_all(&n, put), -ESTALE);
        assert_int_equal(apply_on_all(&n, take), 0);
        assert_int_not_equal(ino, first);
        removal.lock = first;
        assert_int_equal(apply_on_all(&n, commit), -ESTALE); /* there is another one */
        assert_int_equal(apply_on_all(&n, removal), -ESTALE);
        assert_int_equal(apply_on_all(&n, put), -ESTALE);
        assert_null(tree_resolve(n.tree[0], "fresh"));
        assert_content(n.tree[0], "f", "put");
        assert_content(n.tree[0], "tmp", "late");
        commit.lock = locks;
        assert_int_equal(apply_on_all(&n, commit), -ESTALE); /* a directory, but no lock */
        removal.lock = put.lock = ino;
        assert_int_equal(apply_on_all(&n, put), 0);
        assert_content(n.tree[0], "fresh", "put");
        assert_int_equal(apply_on_all(&n, removal), 0);
        assert_int_equal(apply_on_all(&n, removal), -ENOENT);
        assert_null(tree_resolve(n.tree[2], "f"));
        assert_all_same(&n);
        for (size_t i = 0; i < 4; i++)
                n.tree[i] = tree_free(n.tree[i]);
}

static void a_change_under_a_lock_is_of_a_later_version(void **state)
{
        Op op = { .type = OP_RENAME, .ino = 1, .ino2 = 1, .name = "a", .name_len = 1, .name2 = "b", .name2_len = 1 };
        StrBuf b = STRBUF_INIT;
        Op got;

        (void) state;
        assert_int_equal(op_version(&op), 1);
        op.flags = OP_FENCED;
        op.lock = 7;
        assert_int_equal(op_version(&op), OP_FENCED_VERSION);
        op_encode(&b, &op);
        assert_int_equal(op_decode(b.data, b.len, &got), 0);
        assert_int_equal(got.lock, 7);
        for (size_t i = 0; i < b.len; i++)
                assert_int_equal(op_decode(b.data, i, &got), -EPROTO);
        strbuf_deinit(&b);
        op.type = OP_UNLINK;
        assert_int_equal(op_version(&op), OP_FENCED_VERSION);
        op.type = OP_PUT;
        assert_int_equal(op_version(&op), OP_FENCED_VERSION);
        op.type = OP_MKDIR; /* it has no such flag */
        assert_int_equal(op_version(&op), 1);
}

static void changes_that_make_no_sense_are_refused(void **state)
{
        static const Op bad[] = {
                { .type = 0 },
                { .type = OP_TYPE_MAX + 1 },
                { .type = OP_MKDIR, .ino = 1 },
                { .type = OP_UTIME, .name = "x" },
                { .type = OP_RENAME, .name = "x" },
                { .type = OP_CREATE, .name = "a/b" },
                { .type = OP_CREATE, .name = ".." },
                { .type = OP_WRITE, .n_extents = 1, .extents = { { 0, 1 } } },
                { .type = OP_WRITE,
                  .n_extents = 1,
                  .extents = { { OP_FILE_MAX, 1 } },
                  .data = (const uint8_t *) "x",
                  .data_len = 1 },
                { .type = OP_WRITE, .flags = OP_REPLACE | OP_APPEND },
                { .type = OP_WRITE, .flags = OP_REPLACE | OP_NAMED },
                { .type = OP_WRITE, .flags = OP_REPLACE, .name = "x" },
                { .type = OP_TRUNCATE,
                  .n_extents = 1,
                  .extents = { { 0, 1 } },
                  .data = (const uint8_t *) "x",
                  .data_len = 1 },
        };
        Tree *t = tree_new();

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(apply(t, bad[i]), -EPROTO);
        t = tree_free(t);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_and_directories),
                cmocka_unit_test(a_refused_change_takes_no_version),
                cmocka_unit_test(writes),
                cmocka_unit_test(a_write_to_a_name_needs_the_file_to_have_it),
                cmocka_unit_test(an_old_reader_keeps_its_content),
                cmocka_unit_test(total_size_is_enforced),
                cmocka_unit_test(renames),
                cmocka_unit_test(vmids_are_unique),
                cmocka_unit_test(locks),
                cmocka_unit_test(private_places),
                cmocka_unit_test(same_changes_same_checksum),
                cmocka_unit_test(names_that_are_none),
                cmocka_unit_test(every_shorter_change_is_refused),
                cmocka_unit_test(a_change_under_a_lock_needs_that_lock),
                cmocka_unit_test(a_change_under_a_lock_is_of_a_later_version),
                cmocka_unit_test(changes_that_make_no_sense_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
