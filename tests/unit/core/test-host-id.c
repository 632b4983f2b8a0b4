/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers at sanlock: one for each node, for ever, and what a node has by hand is respected or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/host-id.h"
#include "tests/unit/core/paths-fixture.h"

static const char *const three[] = { "n1", "n2", "n3" };

static void the_lowest_free_ones_are_given_and_kept(void **state)
{
        static const char *const others[] = { "n4", "n2" };
        unsigned ids[3] = { 0 }, again[2] = { 0 };
        Fixture *f = *state;

        assert_int_equal(host_ids_assign(&f->paths, three, 3, ids, FENCE_NONE, &f->err), 0);
        assert_int_equal(ids[0], 1);
        assert_int_equal(ids[1], 2);
        assert_int_equal(ids[2], 3);
        /* n1 has left the cluster: its number is not given again. */
        assert_int_equal(host_ids_assign(&f->paths, others, 2, again, FENCE_NONE, &f->err), 0);
        assert_int_equal(again[0], 4);
        assert_int_equal(again[1], 2);
}

static void what_a_node_has_by_hand_is_its_number(void **state)
{
        unsigned ids[3] = { 0, 0, 1 };
        Fixture *f = *state;

        assert_int_equal(host_ids_assign(&f->paths, three, 3, ids, FENCE_NONE, &f->err), 0);
        assert_int_equal(ids[2], 1);
        assert_int_equal(ids[0], 2);
        assert_int_equal(ids[1], 3);
}

static void two_nodes_never_have_one_number(void **state)
{
        unsigned first[3] = { 0 }, taken[3] = { 0, 0, 1 }, changed[3] = { 0, 9, 0 }, same[3] = { 5, 5, 0 };
        static const char *const new_ones[] = { "a", "b", "c" };
        Fixture *f = *state;

        assert_int_equal(host_ids_assign(&f->paths, three, 3, first, FENCE_NONE, &f->err), 0);
        assert_int_equal(host_ids_assign(&f->paths, three, 3, taken, FENCE_NONE, &f->err), -EEXIST);
        assert_non_null(strstr(f->err.text, "node n1's"));
        assert_int_equal(host_ids_assign(&f->paths, three, 3, changed, FENCE_NONE, &f->err), -EEXIST);
        assert_non_null(strstr(f->err.text, "was given 2"));
        assert_int_equal(host_ids_assign(&f->paths, new_ones, 3, same, FENCE_NONE, &f->err), -EEXIST);
        /* A refusal has written nothing. */
        memset(first, 0, sizeof(first));
        assert_int_equal(host_ids_assign(&f->paths, three, 3, first, FENCE_NONE, &f->err), 0);
        assert_int_equal(first[2], 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_lowest_free_ones_are_given_and_kept, setup, teardown),
                cmocka_unit_test_setup_teardown(what_a_node_has_by_hand_is_its_number, setup, teardown),
                cmocka_unit_test_setup_teardown(two_nodes_never_have_one_number, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
