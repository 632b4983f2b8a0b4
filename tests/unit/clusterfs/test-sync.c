/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterfs/sync, history, resync: who is right, which version is spoken, handing a tree over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/history.h"
#include "clusterfs/resync.h"
#include "clusterfs/sync.h"

static MemberState member(uint32_t id, uint64_t term, uint64_t quorate, uint64_t index, bool local)
{
        return (MemberState){ .nodeid = id,
                              .wire_max = 1,
                              .wire_min = 1,
                              .is_quorate = true,
                              .is_local = local,
                              .last = { .term = term, .nonce = term },
                              .quorate_index = quorate,
                              .index = index,
                              .max_bytes = 100 + id,
                              .random = id };
}

static uint32_t leader_of(MemberState a, MemberState b, MemberState c)
{
        const MemberState orders[][3] = { { a, b, c }, { c, b, a }, { b, a, c } };
        SyncDecision d[3];

        for (size_t i = 0; i < 3; i++)
                sync_decide(orders[i], 3, &d[i]);
        for (size_t i = 1; i < 3; i++) { /* the same answer in whatever order */
                assert_int_equal(d[0].leader, d[i].leader);
                assert_true(d[0].term.term == d[i].term.term && d[0].term.nonce == d[i].term.nonce);
                assert_int_equal(d[0].wire, d[i].wire);
        }
        return d[0].leader;
}

static void the_newest_quorate_history_wins(void **state)
{
        (void) state;
        assert_int_equal(
                leader_of(member(1, 5, 100, 100, false), member(2, 6, 90, 90, false), member(3, 5, 120, 120, false)),
                2);
        assert_int_equal(
                leader_of(member(1, 5, 100, 100, false), member(2, 5, 101, 101, false), member(3, 5, 99, 99, false)),
                2);
        assert_int_equal(leader_of(member(1, 5, 9, 9, false), member(2, 5, 9, 9, false), member(3, 5, 9, 9, false)), 1);
}

static void no_number_of_local_changes_wins(void **state)
{
        (void) state;
        assert_int_equal(leader_of(member(1, 5, 100, 100000, true), member(2, 5, 100, 100, false),
                                   member(3, 5, 100, 100, false)),
                         2);
        assert_int_equal(
                leader_of(member(1, 4, 99, 100000, true), member(2, 5, 1, 1, false), member(3, 4, 99, 99, false)), 2);
        /* All have edited: one of them, the one with most. */
        assert_int_equal(
                leader_of(member(1, 5, 100, 101, true), member(2, 5, 100, 150, true), member(3, 5, 100, 120, true)), 2);
}

static void before_any_history_the_larger_tree_wins(void **state)
{
        (void) state;
        assert_int_equal(leader_of(member(1, 0, 0, 1, false), member(2, 0, 0, 500, true), member(3, 0, 0, 2, true)), 2);
}

static void the_new_term_is_above_all_and_the_limit_is_the_smallest(void **state)
{
        MemberState s[2] = { member(7, 3, 5, 5, false), member(4, 9, 1, 1, false) };
        SyncDecision d;

        (void) state;
        sync_decide(s, 2, &d);
        assert_true(d.term.term == 10 && d.term.start == 1 && d.term.nonce == (7 ^ 4));
        assert_true(d.max_bytes == 104);
        assert_false(d.in_sync[0]);
        assert_true(d.in_sync[1]);
}

static void same_numbers_with_another_checksum_are_not_in_sync(void **state)
{
        MemberState s[2] = { member(1, 3, 5, 5, false), member(2, 3, 5, 5, false) };
        SyncDecision d;

        (void) state;
        s[1].checksum[0] = 1;
        sync_decide(s, 2, &d);
        assert_true(d.in_sync[0] && !d.in_sync[1]);
        s[1] = member(2, 3, 5, 5, false);
        s[1].last.nonce = 99;
        sync_decide(s, 2, &d);
        assert_true(d.in_sync[0] && !d.in_sync[1]);
}

static void versions(void **state)
{
        MemberState s[3] = { member(1, 3, 5, 5, false), member(2, 3, 5, 5, false), member(3, 1, 1, 1, false) };
        SyncDecision d;

        (void) state;
        s[0].wire_max = s[1].wire_max = 3;
        s[0].wire_min = s[1].wire_min = 2;
        s[2].wire_max = 1; /* the old one comes to the new ones: it stays out, they go on */
        sync_decide(s, 3, &d);
        assert_true(d.admitted[0] && d.admitted[1] && !d.admitted[2]);
        assert_int_equal(d.wire, 3);
        s[0].wire_min = s[1].wire_min = 1; /* they can still speak with it */
        sync_decide(s, 3, &d);
        assert_true(d.admitted[0] && d.admitted[1] && d.admitted[2]);
        assert_int_equal(d.wire, 1);
}

static void state_comes_back(void **state)
{
        MemberState s = member(3, 4, 5, 6, true), got = { 0 };
        StrBuf b = STRBUF_INIT;

        (void) state;
        s.ring_node = 8;
        s.ring_seq = 9;
        s.checksum[31] = 7;
        member_state_encode(&b, &s);
        assert_int_equal(member_state_decode(b.data, b.len, &got), 0);
        got.nodeid = 3;
        assert_memory_equal(&got, &s, sizeof(s));
        for (size_t i = 0; i < b.len; i++)
                assert_int_equal(member_state_decode(b.data, i, &got), -EPROTO);
        strbuf_deinit(&b);
}

static void histories(void **state)
{
        History own = { 0 }, other = { 0 };

        (void) state;
        assert_int_equal(history_add(&own, (Term){ 1, 11, 0 }), 0);
        assert_int_equal(history_add(&own, (Term){ 2, 22, 100 }), 0);
        assert_int_equal(history_add(&other, (Term){ 1, 11, 0 }), 0);
        assert_int_equal(history_add(&other, (Term){ 2, 22, 100 }), 0);
        assert_int_equal(history_add(&other, (Term){ 3, 33, 150 }), 0);
        other.quorate_index = 200;
        assert_true(history_has(&other, &own, (Version){ 1, 50 }));
        assert_true(history_has(&other, &own, (Version){ 2, 150 }));
        assert_false(history_has(&other, &own, (Version){ 2, 151 })); /* made when the others had gone on */
        assert_false(history_has(&other, &own, (Version){ 2 | TREE_TERM_LOCAL, 120 }));
        assert_false(history_has(&other, &own, (Version){ 9, 1 }));
        own.quorate_index = 130; /* cut off then: what came after is nobody else's, whatever its number */
        own.is_local = true;
        assert_true(history_has(&other, &own, (Version){ 2, 130 }));
        assert_false(history_has(&other, &own, (Version){ 2, 131 }));
        own.is_local = false;
        own.terms.items[1].nonce = 5; /* another term of the same number */
        assert_false(history_has(&other, &own, (Version){ 2, 120 }));
        history_deinit(&own);
        history_deinit(&other);
}

static void old_terms_are_forgotten(void **state)
{
        History h = { 0 };

        (void) state;
        for (uint64_t i = 1; i <= HISTORY_TERMS_MAX + 5; i++)
                assert_int_equal(history_add(&h, (Term){ i, i, i }), 0);
        assert_int_equal(h.terms.n, HISTORY_TERMS_MAX);
        assert_true(h.terms.items[0].term == 6);
        history_deinit(&h);
}

/* --- handing over --- */

typedef struct Mail {
        StrBuf bodies[64];
        size_t n;
} Mail;

static int collect(void *userdata, StrBuf *body)
{
        Mail *m = userdata;

        assert_true(m->n < 64);
        m->bodies[m->n++] = *body;
        *body = STRBUF_INIT;
        return 0;
}

static void fill(Tree *t, int n, const char *text)
{
        char name[32];

        for (int i = 0; i < n; i++) {
                Op op = { .type = OP_PUT,
                          .ino = TREE_ROOT_INO,
                          .name = name,
                          .data = (const uint8_t *) text,
                          .data_len = strlen(text) };
                uint64_t ino;

                (void) snprintf(name, sizeof(name), "file%d", i);
                op.name_len = strlen(name);
                assert_int_equal(tree_apply(t, &op, 1, &ino), 0);
        }
}

static void a_tree_is_handed_over(void **state)
{
        Tree *source = tree_new(), *old = tree_new(), *taken;
        History h = { .quorate_index = 5 }, got = { 0 };
        uint8_t a[TREE_HASH_SIZE], b[TREE_HASH_SIZE];
        Mail index = { 0 };
        StrBuf need = STRBUF_INIT, data = STRBUF_INIT;
        Receiver *r = NULL;
        Donor *d = NULL;
        int ret = 0, rounds = 0;

        (void) state;
        fill(source, 8000,
             "some content of some length, so that there are several messages, surely more than one of them");
        fill(old, 10, "other");
        assert_int_equal(history_add(&h, (Term){ 1, 2, 3 }), 0);
        assert_int_equal(donor_new(source, &h, 1, collect, &index, &d), 0);
        assert_true(index.n > 2);
        assert_int_equal(receiver_new(old, source->version, &r), 0);
        for (size_t i = 0; i < index.n; i++) {
                assert_int_equal(receiver_index(r, index.bodies[i].data, index.bodies[i].len), i + 1 == index.n);
                strbuf_deinit(&index.bodies[i]);
        }
        receiver_need(r, &need);
        strbuf_adds(&need, "trailing bytes of a later version");
        assert_int_equal(donor_next(d, &data), 0);
        assert_int_equal(donor_ask(d, 3, need.data, need.len), 0);
        while (ret == 0) {
                assert_int_equal(donor_next(d, &data), 1);
                assert_int_equal(receiver_data(r, 4, data.data, data.len), 0); /* for another node */
                ret = receiver_data(r, 3, data.data, data.len);
                strbuf_deinit(&data);
                rounds++;
        }
        assert_int_equal(ret, 1);
        assert_true(rounds > 1);
        assert_true(donor_is_done(d));
        taken = receiver_take(r, &got);
        assert_int_equal(tree_checksum(source, a), 0);
        assert_int_equal(tree_checksum(taken, b), 0);
        assert_memory_equal(a, b, sizeof(a));
        assert_true(taken->bytes == source->bytes && got.terms.n == 1 && got.quorate_index == 5);
        strbuf_deinit(&need);
        d = donor_free(d);
        r = receiver_free(r);
        taken = tree_free(taken);
        source = tree_free(source);
        old = tree_free(old);
        history_deinit(&h);
        history_deinit(&got);
}

static void content_that_does_not_fit_its_hash_is_refused(void **state)
{
        Tree *source = tree_new(), *old = tree_new();
        History h = { 0 };
        Mail index = { 0 };
        StrBuf need = STRBUF_INIT, data = STRBUF_INIT;
        Receiver *r = NULL;
        Donor *d = NULL;

        (void) state;
        fill(source, 1, "right");
        assert_int_equal(donor_new(source, &h, 1, collect, &index, &d), 0);
        assert_int_equal(receiver_new(old, source->version, &r), 0);
        for (size_t i = 0; i < index.n; i++) {
                assert_true(receiver_index(r, index.bodies[i].data, index.bodies[i].len) >= 0);
                strbuf_deinit(&index.bodies[i]);
        }
        receiver_need(r, &need);
        assert_int_equal(donor_ask(d, 3, need.data, need.len), 0);
        assert_int_equal(donor_next(d, &data), 1);
        *(char *) memmem(data.data, data.len, "right", 5) = 'w';
        assert_int_equal(receiver_data(r, 3, data.data, data.len), -EPROTO);
        strbuf_deinit(&need);
        strbuf_deinit(&data);
        d = donor_free(d);
        r = receiver_free(r);
        source = tree_free(source);
        old = tree_free(old);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_newest_quorate_history_wins),
                cmocka_unit_test(no_number_of_local_changes_wins),
                cmocka_unit_test(before_any_history_the_larger_tree_wins),
                cmocka_unit_test(the_new_term_is_above_all_and_the_limit_is_the_smallest),
                cmocka_unit_test(same_numbers_with_another_checksum_are_not_in_sync),
                cmocka_unit_test(versions),
                cmocka_unit_test(state_comes_back),
                cmocka_unit_test(histories),
                cmocka_unit_test(old_terms_are_forgotten),
                cmocka_unit_test(a_tree_is_handed_over),
                cmocka_unit_test(content_that_does_not_fit_its_hash_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
