/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members and quorum, with a source of our own in the place of Corosync's connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "cluster/member-source.h"
#include "cluster/membership.h"
#include "tests/unit/scratch.h"

/* membership.c calls these; here they are the test's. */
int __wrap_member_source_new(MemberSource **ret, const MemberEvents *e, sd_event *event);
MemberSource *__wrap_member_source_free(MemberSource *s);
void __wrap_member_source_reread(MemberSource *s);

static MemberEvents events;
static int source_error;
static unsigned n_sources, n_rereads, n_changes;

int __wrap_member_source_new(MemberSource **ret, const MemberEvents *e, sd_event *event)
{
        (void) event;
        if (source_error < 0)
                return source_error;
        events = *e;
        n_sources++;
        *ret = (MemberSource *) &events;
        return 0;
}

MemberSource *__wrap_member_source_free(MemberSource *s)
{
        n_sources -= s ? 1 : 0;
        return NULL;
}

void __wrap_member_source_reread(MemberSource *s)
{
        (void) s;
        n_rereads++;
}

typedef struct Fixture {
        char dir[SCRATCH_MAX], conf[96];
        Membership *m;
} Fixture;

static void on_change(void *userdata)
{
        (void) userdata;
        n_changes++;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        const char *conf[] = { f->conf, NULL };

        if (!scratch_make(f->dir))
                return -1;
        (void) snprintf(f->conf, sizeof(f->conf), "%s/corosync.conf", f->dir);
        log_set_max_level(LOG_ERR);
        source_error = 0;
        n_sources = n_rereads = n_changes = 0;
        *state = f;
        if (membership_new(&f->m, "n2", conf, NULL) < 0)
                return -1;
        membership_watch(f->m, on_change, f);
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        f->m = membership_free(f->m);
        (void) unlink(f->conf);
        (void) rmdir(f->dir);
        free(f);
        return n_sources == 0 ? 0 : -1;
}

static void configure(Fixture *f, const char *text)
{
        assert_int_equal(fs_write_atomic(f->conf, text, strlen(text), 0644), 0);
        membership_refresh(f->m);
}

/* Not in the order of their ids. */
static void give_list(unsigned n)
{
        MemberList list = { .name = "testbed", .version = 4, .local_id = 2 };

        for (unsigned i = n; i >= 1; i--) {
                Member m = { .id = i, .is_local = i == 2 };

                (void) snprintf(m.name, sizeof(m.name), "n%u", i);
                assert_int_equal(VEC_PUSH(&list.nodes, m), 0);
        }
        events.list(events.userdata, &list);
        VEC_DEINIT(&list.nodes);
}

static void without_a_cluster_this_node_is_all(void **state)
{
        Fixture *f = *state;
        size_t n = 0;
        const Member *members = membership_get_members(f->m, &n);

        assert_int_equal(n, 1);
        assert_string_equal(members[0].name, "n2");
        assert_true(members[0].is_online && members[0].is_local);
        assert_true(membership_is_quorate(f->m) && membership_is_settled(f->m));
        assert_false(membership_is_cluster(f->m));
        assert_null(membership_get_name(f->m));
        assert_int_equal(membership_check_quorum(f->m, NULL), 0);
}

static void not_quorate_before_corosync_has_spoken(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Fixture *f = *state;

        configure(f, "totem {}");
        assert_true(membership_is_cluster(f->m));
        assert_false(membership_is_settled(f->m));
        assert_int_equal(membership_check_quorum(f->m, &err), -EROFS);
        assert_ptr_equal(strstr(err.text, "no quorum"), err.text);
        assert_non_null(membership_find(f->m, "n2"));
}

static void members_are_sorted_and_known_by_name(void **state)
{
        const uint32_t online[] = { 1, 2 };
        Fixture *f = *state;
        size_t n = 0;

        configure(f, "totem {}");
        events.quorum(events.userdata, true, online, 2);
        give_list(3);
        assert_true(membership_is_settled(f->m) && membership_is_quorate(f->m));
        assert_int_equal(membership_get_members(f->m, &n)[0].id, 1);
        assert_int_equal(n, 3);
        assert_true(membership_find(f->m, "n1")->is_online);
        assert_false(membership_find(f->m, "n3")->is_online);
        assert_null(membership_find(f->m, "n4"));
        assert_string_equal(membership_get_name(f->m), "testbed");
        assert_int_equal(membership_get_version(f->m), 4);
        assert_true(n_changes >= 2);
}

static void minority_says_how_many_it_reaches(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        const uint32_t online[] = { 2 };
        Fixture *f = *state;

        configure(f, "totem {}");
        give_list(3);
        events.quorum(events.userdata, false, online, 1);
        assert_int_equal(membership_check_quorum(f->m, &err), -EROFS);
        assert_non_null(strstr(err.text, "1 of 3"));
        events.quorum(events.userdata, true, online, 1);
        assert_int_equal(membership_check_quorum(f->m, &err), 0);
}

static void lost_corosync_is_lost_quorum(void **state)
{
        const uint32_t online[] = { 1, 2, 3 };
        Fixture *f = *state;

        configure(f, "totem {}");
        give_list(3);
        events.quorum(events.userdata, true, online, 3);
        events.lost(events.userdata);
        assert_false(membership_is_quorate(f->m));
        assert_false(membership_find(f->m, "n1")->is_online);
        assert_true(membership_find(f->m, "n2")->is_online);
}

/* Only a quorate side knows that a node is out, and only as long as it is quorate. */
static void gone_counts_from_when_a_quorate_side_saw_it(void **state)
{
        const uint32_t three[] = { 1, 2, 3 }, two[] = { 1, 2 }, alone[] = { 2 };
        Fixture *f = *state;
        uint64_t since;

        configure(f, "totem {}");
        events.quorum(events.userdata, true, three, 3);
        give_list(3);
        assert_int_equal(membership_find(f->m, "n3")->gone_usec, 0);
        events.quorum(events.userdata, true, two, 2);
        since = membership_find(f->m, "n3")->gone_usec;
        assert_true(since > 0);
        give_list(3);
        events.quorum(events.userdata, true, two, 2);
        assert_int_equal(membership_find(f->m, "n3")->gone_usec, since);
        events.quorum(events.userdata, false, alone, 1);
        assert_int_equal(membership_find(f->m, "n3")->gone_usec, 0);
        assert_int_equal(membership_find(f->m, "n1")->gone_usec, 0);
        events.quorum(events.userdata, true, two, 2);
        assert_true(membership_find(f->m, "n3")->gone_usec >= since);
        events.quorum(events.userdata, true, three, 3);
        assert_int_equal(membership_find(f->m, "n3")->gone_usec, 0);
        events.quorum(events.userdata, true, two, 2);
        events.lost(events.userdata);
        assert_int_equal(membership_find(f->m, "n3")->gone_usec, 0);
}

static void list_without_this_node_is_not_taken(void **state)
{
        Fixture *f = *state;
        size_t n = 0;

        configure(f, "totem {}");
        give_list(1);
        assert_string_equal(membership_get_members(f->m, &n)->name, "n2");
        assert_int_equal(n, 1);
}

static void changed_configuration_is_read_again(void **state)
{
        Fixture *f = *state;

        configure(f, "totem {}");
        membership_refresh(f->m);
        assert_int_equal(n_rereads, 0);
        configure(f, "totem { version: 2 }");
        assert_int_equal(n_rereads, 1);
        assert_int_equal(n_sources, 1);
}

static void node_that_left_its_cluster_is_single(void **state)
{
        Fixture *f = *state;
        size_t n = 0;

        configure(f, "totem {}");
        give_list(3);
        assert_int_equal(unlink(f->conf), 0);
        membership_refresh(f->m);
        assert_int_equal(n_sources, 0);
        assert_true(membership_is_quorate(f->m));
        (void) membership_get_members(f->m, &n);
        assert_int_equal(n, 1);
}

static void build_without_corosync_leaves_it_to_the_file_system(void **state)
{
        Fixture *f = *state;

        source_error = -EOPNOTSUPP;
        configure(f, "totem {}");
        assert_false(membership_is_cluster(f->m));
        assert_true(membership_is_quorate(f->m) && membership_is_settled(f->m));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(without_a_cluster_this_node_is_all),   TEST(not_quorate_before_corosync_has_spoken),
                TEST(members_are_sorted_and_known_by_name), TEST(minority_says_how_many_it_reaches),
                TEST(lost_corosync_is_lost_quorum),         TEST(gone_counts_from_when_a_quorate_side_saw_it),
                TEST(list_without_this_node_is_not_taken),  TEST(changed_configuration_is_read_again),
                TEST(node_that_left_its_cluster_is_single), TEST(build_without_corosync_leaves_it_to_the_file_system),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
