/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pruning from the list to the last removal, with the storage replaced by a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "core/prune.h"
#include "core/task.h"
#include "core/volume.h"
#include "wire/json.h"
#include "tests/unit/scratch.h"

#define NAME(vmid, day) "backup/vzdump-qemu-" vmid "-2026_03_" day "-10_00_00.vma.zst"
#define ROW(volname, more) "{\"volid\":\"s1:" volname "\",\"content\":\"backup\",\"ctime\":1" more "}"

static const char *list_text; /* NULL: the list fails */
static bool is_list_data;     /* as a tree and not as text */
static bool is_slow;          /* removals are answered by hand */
static const char *rule_of_storage;
static const char *fails; /* this volume can't be removed */
static StrList removed;
static reply_fn slow_fn;
static void *slow_userdata;
static StorageConfig storage;

const StorageConfig *__wrap_core_find_usable(Core *c, const char *id, struct storaged_error *err);
const StorageConfig *__wrap_core_find_usable(Core *c, const char *id, struct storaged_error *err)
{
        (void) c;
        if (strcmp(id, "s1") == 0)
                return &storage;
        (void) error_set_param(err, -ENOENT, "storage", "storage '%s' does not exist", id);
        return NULL;
}

const char *__wrap_storage_config_get(const StorageConfig *s, const char *key);
const char *__wrap_storage_config_get(const StorageConfig *s, const char *key)
{
        (void) s;
        return strcmp(key, "prune-backups") == 0 ? rule_of_storage : NULL;
}

static void answer_list(const VolumeCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Reply reply = { 0 };
        AUTO_JSON *data = NULL;

        assert_string_equal(json_object_get_string(json_object_array_get_idx(json_get(call->args, "contents"), 0)),
                            "backup");
        if (!list_text) {
                (void) error_set(&err, -EIO, "the disk is gone");
                fn(userdata, NULL, &err);
                return;
        }
        if (is_list_data) {
                assert_int_equal(json_parse(list_text, strlen(list_text), &data), 0);
                reply.data = data;
        } else {
                reply.raw = list_text;
                reply.raw_len = strlen(list_text);
        }
        fn(userdata, &reply, NULL);
}

void __wrap_volume_call(Core *c, const VolumeCall *call, reply_fn fn, void *userdata);
void __wrap_volume_call(Core *c, const VolumeCall *call, reply_fn fn, void *userdata)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Reply reply = { 0 };

        (void) c;
        assert_string_equal(call->storage, "s1");
        if (call->op == VOLUME_LIST) {
                answer_list(call, fn, userdata);
                return;
        }
        assert_int_equal(call->op, VOLUME_FREE);
        assert_true(call->is_sync);
        assert_int_equal(strlist_adds(&removed, call->volname), 0);
        if (is_slow) {
                slow_fn = fn;
                slow_userdata = userdata;
                return;
        }
        if (fails && strcmp(call->volname, fails) == 0) {
                (void) error_set(&err, -EBUSY, "in use");
                fn(userdata, NULL, &err);
                return;
        }
        fn(userdata, &reply, NULL);
}

typedef struct Fixture {
        char root[SCRATCH_MAX];
        Core core;
        json_object *reply;
        struct storaged_error err;
        int n_replies;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        log_set_max_level(LOG_CRIT);
        (void) setenv("TZ", "UTC", 1);
        assert_non_null(scratch_make(f->root));
        assert_int_equal(paths_init(&f->core.paths, f->root), 0);
        assert_true(sd_event_new(&f->core.event) >= 0);
        f->err = (struct storaged_error) STORAGED_ERROR_INIT;
        assert_int_equal(task_store_new(&f->core.tasks, &f->core.paths, "n1", f->core.event, &f->err), 0);
        list_text = "[]";
        is_list_data = is_slow = false;
        rule_of_storage = fails = NULL;
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        (void) json_object_put(f->reply);
        (void) task_store_free(f->core.tasks);
        (void) sd_event_unref(f->core.event);
        (void) scratch_remove(f->root);
        paths_deinit(&f->core.paths);
        strlist_deinit(&removed);
        removed = STRLIST_INIT;
        free(f);
        return 0;
}

static void on_reply(void *userdata, const Reply *reply, const struct storaged_error *err)
{
        Fixture *f = userdata;

        f->n_replies++;
        if (err)
                f->err = *err;
        else
                f->reply = json_object_get(reply->data);
}

static void prune(Fixture *f, PruneCall call)
{
        if (!call.storage)
                call.storage = "s1";
        prune_call(&f->core, &call, on_reply, f);
        assert_int_equal(f->n_replies, 1);
}

static const char *exit_status(Fixture *f)
{
        static char text[256];
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO_JSON *o = NULL;
        const char *s;

        assert_int_equal(task_store_status(f->core.tasks, json_object_get_string(f->reply), &o, &err), 0);
        s = json_get_string(o, "exitstatus");
        (void) snprintf(text, sizeof(text), "%s", s ? s : "(running)");
        return text;
}

static const char three[] =
        "[" ROW(NAME("100", "03"), "") "," ROW(NAME("100", "01"), "") "," ROW(NAME("100", "02"), "") "," ROW(
                "backup/vzdump-qemu-100-mine.vma",
                ",\"vmid\":100") "," ROW(NAME("099", "02"),
                                         "") "," ROW(NAME("101", "05"),
                                                     ",\"protected\":1") ",{\"volid\":\"s1:iso/"
                                                                         "x.iso\",\"content\":\"iso\"},{\"content\":"
                                                                         "\"backup\"}]";

static void dry_run_shows_marks_by_guest_and_time(void **state)
{
        static const struct {
                const char *volid, *mark;
        } want[] = {
                { "s1:" NAME("099", "02"), "renamed" }, /* no valid guest */
                { "s1:backup/vzdump-qemu-100-mine.vma", "renamed" },
                { "s1:" NAME("100", "01"), "remove" },
                { "s1:" NAME("100", "02"), "remove" },
                { "s1:" NAME("100", "03"), "keep" },
                { "s1:" NAME("101", "05"), "protected" },
        };
        Fixture *f = *state;

        for (int as_data = 0; as_data < 2; as_data++) {
                f->n_replies = 0;
                (void) json_object_put(f->reply);
                list_text = three;
                is_list_data = as_data;
                prune(f, (PruneCall){ .rule = "keep-last=1", .is_dry_run = true });
                assert_int_equal(json_object_array_length(f->reply), 6);
                for (size_t i = 0; i < 6; i++) {
                        json_object *row = json_object_array_get_idx(f->reply, i);

                        assert_string_equal(json_get_string(row, "volid"), want[i].volid);
                        assert_string_equal(json_get_string(row, "mark"), want[i].mark);
                }
                assert_string_equal(json_get_string(json_object_array_get_idx(f->reply, 2), "type"), "qemu");
                assert_int_equal(json_get_int(json_object_array_get_idx(f->reply, 2), "ctime", 0), 1772359200);
        }
        assert_int_equal(removed.n, 0);
}

static void run_removes_what_is_marked_and_nothing_else(void **state)
{
        Fixture *f = *state;

        list_text = three;
        rule_of_storage = "keep-last=1";
        prune(f, (PruneCall){ 0 });
        assert_true(strncmp(json_object_get_string(f->reply), "UPID:n1:", 8) == 0);
        assert_string_equal(exit_status(f), "OK");
        assert_int_equal(removed.n, 2);
        assert_string_equal(removed.items[0], NAME("100", "01"));
        assert_string_equal(removed.items[1], NAME("100", "02"));
}

static void filters_by_guest_and_type(void **state)
{
        Fixture *f = *state;

        list_text = three;
        prune(f, (PruneCall){ .rule = "keep-last=1", .is_dry_run = true, .vmid = 101 });
        assert_int_equal(json_object_array_length(f->reply), 1);
        (void) json_object_put(f->reply);
        f->n_replies = 0;
        prune(f, (PruneCall){ .rule = "keep-last=1", .is_dry_run = true, .type = "lxc" });
        assert_int_equal(json_object_array_length(f->reply), 0);
}

static void one_failure_does_not_stop_the_others(void **state)
{
        Fixture *f = *state;

        list_text = three;
        fails = NAME("100", "01");
        prune(f, (PruneCall){ .rule = "keep-last=1" });
        assert_int_equal(removed.n, 2);
        assert_non_null(strstr(exit_status(f), "1 of 2 backups could not be removed"));
}

static void stop_ends_it_after_the_removal_under_way(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;
        Reply reply = { 0 };

        list_text = three;
        is_slow = true;
        prune(f, (PruneCall){ .rule = "keep-last=1" });
        assert_int_equal(removed.n, 1);
        assert_int_equal(task_store_stop(f->core.tasks, json_object_get_string(f->reply), &err), 0);
        assert_string_equal(exit_status(f), "(running)");
        slow_fn(slow_userdata, &reply, NULL);
        assert_int_equal(removed.n, 1);
        assert_string_equal(exit_status(f), "received interrupt");
}

static void slow_removals_come_one_after_the_other(void **state)
{
        Fixture *f = *state;
        Reply reply = { 0 };

        list_text = three;
        is_slow = true;
        prune(f, (PruneCall){ .rule = "keep-last=1" });
        assert_int_equal(removed.n, 1);
        slow_fn(slow_userdata, &reply, NULL);
        assert_int_equal(removed.n, 2);
        slow_fn(slow_userdata, &reply, NULL);
        assert_string_equal(exit_status(f), "OK");
}

static void ten_thousand_removals_need_no_stack(void **state)
{
        Fixture *f = *state;
        AUTO(freep) char *text = NULL;
        StrBuf b = STRBUF_INIT;

        for (int i = 0; i < 10000; i++)
                strbuf_addf(&b,
                            "%c{\"volid\":\"s1:backup/"
                            "vzdump-lxc-100-20%02d_%02d_%02d-%02d_00_00.tar\",\"content\":\"backup\"}",
                            i ? ',' : '[', i / 2520 % 100, i / 210 % 12 + 1, i / 10 % 21 + 1, i % 10);
        strbuf_adds(&b, "]");
        text = strbuf_take(&b);
        list_text = text;
        prune(f, (PruneCall){ .rule = "keep-last=1" });
        assert_int_equal(removed.n, 9999);
        assert_string_equal(exit_status(f), "OK");
}

static void list_that_fails_ends_the_task(void **state)
{
        Fixture *f = *state;

        list_text = NULL;
        prune(f, (PruneCall){ .rule = "keep-last=1" });
        assert_string_equal(exit_status(f), "the disk is gone");
}

static void list_that_fails_is_the_answer_of_a_dry_run(void **state)
{
        Fixture *f = *state;

        list_text = NULL;
        prune(f, (PruneCall){ .rule = "keep-last=1", .is_dry_run = true });
        assert_int_equal(f->err.code, -EIO);
}

static void bad_lists_remove_nothing(void **state)
{
        static const char *const bad[] = {
                "{}",
                "null",
                "[1]",
                "[\"x\"]",
                "[{\"volid\":1}]",
                "[{",
                "[{\"volid\":\"vzdump-qemu-100-2026_03_03-10_00_00.vma\",\"content\":\"backup\"}]",
                "[{\"volid\":\"s2:backup/vzdump-qemu-100-2026_03_03-10_00_00.vma\",\"content\":\"backup\"}]"
        };
        Fixture *f = *state;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                (void) json_object_put(f->reply);
                f->reply = NULL;
                f->n_replies = 0;
                list_text = bad[i];
                prune(f, (PruneCall){ .rule = "keep-last=1", .is_dry_run = true });
                assert_true(!f->reply || json_object_array_length(f->reply) == 0);
                assert_int_equal(removed.n, 0);
        }
}

static void no_rule_and_bad_rules_are_refused_before_anything(void **state)
{
        Fixture *f = *state;

        prune(f, (PruneCall){ 0 });
        assert_int_equal(f->err.code, -EINVAL);
        assert_string_equal(f->err.param, "prune-backups");
        f->n_replies = 0;
        prune(f, (PruneCall){ .rule = "keep=1" });
        assert_int_equal(f->err.code, -EINVAL);
        f->n_replies = 0;
        prune(f, (PruneCall){ .storage = "nope", .rule = "keep-last=1" });
        assert_int_equal(f->err.code, -ENOENT);
        assert_null(f->reply);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(dry_run_shows_marks_by_guest_and_time),
                TEST(run_removes_what_is_marked_and_nothing_else),
                TEST(filters_by_guest_and_type),
                TEST(one_failure_does_not_stop_the_others),
                TEST(stop_ends_it_after_the_removal_under_way),
                TEST(slow_removals_come_one_after_the_other),
                TEST(ten_thousand_removals_need_no_stack),
                TEST(list_that_fails_ends_the_task),
                TEST(list_that_fails_is_the_answer_of_a_dry_run),
                TEST(bad_lists_remove_nothing),
                TEST(no_rule_and_bad_rules_are_refused_before_anything),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
