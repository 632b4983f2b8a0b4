/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tickets: each decision by itself, and all states three nodes can come to: every operation on every node, cut off
 * after each of its steps, from every state that this leads to. The steps are those of core/activation.c; the plugin of
 * the model forbids nothing, so that what keeps two nodes apart is the records alone.
 */
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

#include "base/clock.h"
#include "base/fs.h"
#include "core/ticket.h"
#include "tests/unit/scratch.h"

#define VOLUME "st:100/vm-100-disk-0.raw"
#define NOW UINT64_C(1700000000)
#define AT (NOW * USEC_PER_SEC)
#define LIFE 60u

static const char *const nodes[] = { "n1", "n2", "n3" };
#define N_NODES 3u

/* --- the model: records, and what is active where */

enum { OFF, SHARED, EXCLUSIVE, N_MODES };

typedef struct Model {
        Lease lease;
        Ticket ticket;
        unsigned active[N_NODES];
        bool is_expired;
} Model;

static unsigned index_of(const char *node)
{
        for (unsigned i = 0; i < N_NODES; i++)
                if (strcmp(nodes[i], node) == 0)
                        return i;
        return N_NODES; /* nobody */
}

#define N_KEYS (4u * 4 * 4 * 4 * 4 * 2 * 27 * 2)

/* A number for all that makes a difference. */
static unsigned model_key(const Model *m)
{
        unsigned key = index_of(m->lease.node);

        key = key * 4 + index_of(m->lease.partner);
        key = key * 4 + m->ticket.state;
        key = key * 4 + (m->ticket.state ? index_of(m->ticket.source) : N_NODES);
        key = key * 4 + (m->ticket.state ? index_of(m->ticket.target) : N_NODES);
        key = key * 2 + (m->ticket.state && lease_is_held(&m->lease) && m->ticket.generation == m->lease.generation);
        for (unsigned i = 0; i < N_NODES; i++)
                key = key * 3 + m->active[i];
        return key * 2 + m->is_expired;
}

/* Generations that only count up would make every state new: what matters is whether they are the same. */
static void normalise(Model *m)
{
        bool is_same = lease_is_held(&m->lease) && m->ticket.generation == m->lease.generation;

        if (lease_is_held(&m->lease)) {
                m->lease.generation = 2;
                m->lease.since = NOW;
        } else {
                m->lease = LEASE_INIT;
                (void) snprintf(m->lease.volume, sizeof(m->lease.volume), "%s", VOLUME);
        }
        if (m->ticket.state == TICKET_NONE) {
                m->ticket = TICKET_INIT;
                (void) snprintf(m->ticket.volume, sizeof(m->ticket.volume), "%s", VOLUME);
                m->is_expired = false;
        } else {
                m->ticket.generation = is_same ? 2 : 1;
                m->ticket.created = NOW;
                m->ticket.expires = NOW + LIFE;
        }
}

static uint64_t model_now(const Model *m)
{
        return m->is_expired ? NOW + LIFE : NOW;
}

enum op {
        ACTIVATE,
        ACTIVATE_REFUSED, /* by the plugin */
        DEACTIVATE,
        PREPARE,
        PREPARE_OTHER,
        COMMIT,
        ABORT,
        RECOVER,
        TAKE_OVER,  /* from nodes that are down */
        POWER_LOSS, /* of the node */
        EXPIRE,
        N_OPS
};

/* Each step is a write or a call of the plugin; the process dies behind the last one `left` allows. */
#define STEP(what)                  \
        do {                        \
                if ((*left)-- == 0) \
                        return;     \
                what;               \
        } while (0)

static void play_advance(Model *m, unsigned node, const char *guest, unsigned *left)
{
        for (;;)
                switch (ticket_next(&m->ticket, &m->lease, nodes[node], guest, model_now(m))) {
                case TICKET_WAIT:
                        return;
                case TICKET_COMMIT:
                        STEP(m->ticket.state = TICKET_COMMITTING);
                        break;
                case TICKET_ABORT:
                        STEP(m->ticket.state = TICKET_ABORTING);
                        break;
                case TICKET_LEAVE:
                        STEP(m->active[node] = OFF);
                        STEP(assert_true(lease_leave(&m->lease, nodes[node])));
                        break;
                case TICKET_SETTLE:
                        STEP(m->active[node] = EXCLUSIVE);
                        STEP(m->ticket.state = TICKET_NONE);
                        break;
                case TICKET_DROP:
                        STEP(m->ticket.state = TICKET_NONE);
                        break;
                }
}

static void play_activate(Model *m, unsigned node, bool is_refused, unsigned *left)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        bool was_mine = lease_holds(&m->lease, nodes[node]), is_shared;

        if (!was_mine && !lease_is_held(&m->lease))
                STEP(lease_take(&m->lease, VOLUME, nodes[node], AT));
        else if (!was_mine && ticket_admit(&m->ticket, &m->lease, nodes[node], model_now(m), &err) < 0)
                return;
        else if (!was_mine)
                STEP(assert_int_equal(lease_join(&m->lease, nodes[node]), 0));
        is_shared = lease_is_shared(&m->lease) ||
                    (m->ticket.state == TICKET_PREPARED && ticket_is_for(&m->ticket, &m->lease));
        if (!is_refused)
                STEP(m->active[node] = is_shared ? SHARED : EXCLUSIVE);
        else if (!was_mine)
                STEP(assert_true(lease_leave(&m->lease, nodes[node])));
}

static void play_take_over(Model *m, unsigned node, unsigned *left)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strlist_deinit) StrList dead = STRLIST_INIT;
        Lease l = m->lease;

        for (unsigned i = 0; i < N_NODES; i++)
                if (i != node && m->active[i] == OFF)
                        assert_int_equal(strlist_adds(&dead, nodes[i]), 0);
        if (!lease_is_held(&l) || (lease_holds(&l, nodes[node]) && !lease_is_shared(&l)) ||
            lease_take_over(&l, nodes[node], &dead, AT, &err) < 0)
                return;
        STEP(m->lease = l);
        if (m->ticket.state != TICKET_NONE)
                STEP(m->ticket.state = TICKET_NONE);
        STEP(m->active[node] = EXCLUSIVE);
}

static void play_decision(Model *m, unsigned node, enum ticket_state decision, unsigned *left)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Ticket t = m->ticket;

        if (ticket_decide(&t, &m->lease, decision, NULL, &err) < 0)
                return;
        if (t.state != m->ticket.state)
                STEP(m->ticket = t);
        play_advance(m, node, NULL, left);
}

static void play_prepare(Model *m, unsigned node, unsigned target, unsigned *left)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Ticket t = m->ticket;

        if (ticket_prepare(&t, &m->lease, nodes[node], nodes[target], NOW, LIFE, &err) < 0)
                return;
        STEP(m->active[node] = SHARED);
        STEP(m->ticket = t; m->is_expired = false);
}

static void play(Model *m, enum op op, unsigned node, unsigned *left)
{
        switch (op) {
        case ACTIVATE:
        case ACTIVATE_REFUSED:
                play_activate(m, node, op == ACTIVATE_REFUSED, left);
                return;
        case DEACTIVATE:
                if (lease_holds(&m->lease, nodes[node]) && ticket_is_for(&m->ticket, &m->lease))
                        return;
                STEP(m->active[node] = OFF);
                if (lease_holds(&m->lease, nodes[node]))
                        STEP((void) lease_leave(&m->lease, nodes[node]));
                return;
        case PREPARE:
        case PREPARE_OTHER:
                play_prepare(m, node, (node + (op == PREPARE ? 1 : 2)) % N_NODES, left);
                return;
        case COMMIT:
                play_decision(m, node, TICKET_COMMITTING, left);
                return;
        case ABORT:
                play_decision(m, node, TICKET_ABORTING, left);
                return;
        case RECOVER:
                play_advance(m, node, NULL, left);
                return;
        case TAKE_OVER:
                play_take_over(m, node, left);
                return;
        case POWER_LOSS:
                STEP(m->active[node] = OFF);
                return;
        case EXPIRE:
                STEP(m->is_expired = m->ticket.state != TICKET_NONE);
                return;
        case N_OPS:
                return;
        }
}

static void check_invariants(const Model *m)
{
        unsigned n_active = 0, n_exclusive = 0;

        for (unsigned i = 0; i < N_NODES; i++) {
                n_active += m->active[i] != OFF;
                n_exclusive += m->active[i] == EXCLUSIVE;
                if (m->active[i] != OFF)
                        assert_true(lease_holds(&m->lease, nodes[i])); /* the record never has one too few */
        }
        assert_true(n_active <= 2);
        if (n_exclusive > 0)
                assert_int_equal(n_active, 1);
        if (n_active == 2) {
                assert_true(ticket_is_for(&m->ticket, &m->lease));
                assert_int_not_equal(m->active[index_of(m->ticket.source)], OFF);
                assert_int_not_equal(m->active[index_of(m->ticket.target)], OFF);
        }
}

/* All come back and the ticket runs out: one owner or none, no ticket, and nobody else active. */
static void check_recovers(const Model *from, const char *guest)
{
        Model m = *from;

        m.is_expired = m.ticket.state != TICKET_NONE;
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 0; i < N_NODES; i++) {
                        unsigned left = UINT32_MAX;

                        play_advance(&m, N_NODES - 1 - i, guest, &left);
                        check_invariants(&m);
                }
        assert_int_equal(m.ticket.state, TICKET_NONE);
        assert_false(lease_is_shared(&m.lease));
        /* who owns it is not left to chance */
        if (ticket_is_for(&from->ticket, &from->lease) && lease_is_shared(&from->lease)) {
                bool to_target = from->ticket.state == TICKET_COMMITTING ||
                                 (from->ticket.state == TICKET_PREPARED && str_eq(guest, from->ticket.target));

                assert_string_equal(m.lease.node, to_target ? from->ticket.target : from->ticket.source);
        }
}

static void no_state_has_two_owners(void **state)
{
        static bool is_seen[N_KEYS];
        Model *queue = calloc(N_KEYS, sizeof(*queue));
        size_t n = 1, n_shared = 0, n_plays = 0;

        (void) state;
        assert_non_null(queue);
        normalise(&queue[0]);
        is_seen[model_key(&queue[0])] = true;
        for (size_t at = 0; at < n; at++) {
                n_shared += lease_is_shared(&queue[at].lease);
                check_recovers(&queue[at], NULL);
                for (unsigned i = 0; i < N_NODES; i++)
                        check_recovers(&queue[at], nodes[i]);
                for (unsigned op = 0; op < N_OPS; op++)
                        for (unsigned node = 0; node < N_NODES; node++)
                                for (unsigned allowed = 1, left = 0; left == 0; allowed++) {
                                        Model m = queue[at];

                                        left = allowed;
                                        play(&m, (enum op) op, node, &left);
                                        if (left > allowed) /* wrapped: it was cut off */
                                                left = 0;
                                        n_plays++;
                                        check_invariants(&m);
                                        normalise(&m);
                                        if (!is_seen[model_key(&m)]) {
                                                is_seen[model_key(&m)] = true;
                                                queue[n++] = m;
                                        }
                                }
        }
        free(queue);
        print_message("%zu states, %zu of them shared, %zu runs\n", n, n_shared, n_plays);
        assert_true(n > 300 && n_shared > 50); /* the model has not got stuck */
}

/* --- each decision by itself */

static void lease_of(Lease *l, const char *node, const char *partner)
{
        *l = LEASE_INIT;
        lease_take(l, VOLUME, node, AT);
        if (partner)
                assert_int_equal(lease_join(l, partner), 0);
}

static void ticket_of(Ticket *t, const Lease *l, enum ticket_state state)
{
        *t = (Ticket){ .source = "n1",
                       .target = "n2",
                       .created = NOW,
                       .expires = NOW + LIFE,
                       .state = state,
                       .generation = l->generation };
        (void) snprintf(t->volume, sizeof(t->volume), "%s", VOLUME);
}

static void next_steps(void **state)
{
        static const struct {
                enum ticket_state state;
                const char *node, *partner; /* of the lease */
                const char *guest;
                bool is_expired;
                enum ticket_step steps[N_NODES]; /* of n1, the source; n2, the target; n3 */
        } rows[] = {
                { TICKET_PREPARED, "n1", NULL, NULL, false, { TICKET_WAIT, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_PREPARED, "n1", "n2", NULL, false, { TICKET_WAIT, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_PREPARED, "n1", NULL, NULL, true, { TICKET_ABORT, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_PREPARED, "n1", NULL, "n2", true, { TICKET_ABORT, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_PREPARED, "n1", "n2", NULL, true, { TICKET_ABORT, TICKET_ABORT, TICKET_WAIT } },
                { TICKET_PREPARED, "n1", "n2", "n1", true, { TICKET_ABORT, TICKET_ABORT, TICKET_WAIT } },
                { TICKET_PREPARED, "n1", "n2", "n2", true, { TICKET_COMMIT, TICKET_COMMIT, TICKET_WAIT } },
                { TICKET_COMMITTING, "n1", "n2", NULL, true, { TICKET_LEAVE, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_COMMITTING, "n2", NULL, "n1", true, { TICKET_WAIT, TICKET_SETTLE, TICKET_WAIT } },
                { TICKET_COMMITTING, "n1", NULL, NULL, false, { TICKET_SETTLE, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_ABORTING, "n1", "n2", "n2", true, { TICKET_WAIT, TICKET_LEAVE, TICKET_WAIT } },
                { TICKET_ABORTING, "n1", NULL, NULL, false, { TICKET_SETTLE, TICKET_WAIT, TICKET_WAIT } },
                { TICKET_ABORTING, "n3", NULL, NULL, false, { TICKET_DROP, TICKET_DROP, TICKET_DROP } },
                { TICKET_NONE, "n1", NULL, NULL, true, { TICKET_WAIT, TICKET_WAIT, TICKET_WAIT } },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                Lease l;
                Ticket t;

                lease_of(&l, rows[i].node, rows[i].partner);
                ticket_of(&t, &l, rows[i].state);
                for (unsigned n = 0; n < N_NODES; n++)
                        assert_int_equal(ticket_next(&t, &l, nodes[n], rows[i].guest,
                                                     rows[i].is_expired ? NOW + LIFE : NOW + LIFE - 1),
                                         rows[i].steps[n]);
        }
}

static void ticket_of_an_earlier_lease_means_nothing(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Lease l;
        Ticket t;

        (void) state;
        lease_of(&l, "n1", NULL);
        ticket_of(&t, &l, TICKET_PREPARED);
        assert_int_equal(ticket_admit(&t, &l, "n2", NOW, &err), 0);
        lease_take(&l, VOLUME, "n1", AT); /* the same node, later */
        assert_int_equal(ticket_admit(&t, &l, "n2", NOW, &err), -EBUSY);
        assert_int_equal(ticket_decide(&t, &l, TICKET_COMMITTING, NULL, &err), -ENOENT);
        assert_int_equal(ticket_next(&t, &l, "n3", NULL, NOW), TICKET_DROP);
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n3", NOW, LIFE, &err), 0);
        assert_string_equal(t.target, "n3");
        l = LEASE_INIT;
        assert_int_equal(ticket_next(&t, &l, "n1", NULL, NOW), TICKET_DROP);
}

static void who_is_admitted(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Lease l;
        Ticket t;

        (void) state;
        lease_of(&l, "n1", NULL);
        ticket_of(&t, &l, TICKET_PREPARED);
        assert_int_equal(ticket_admit(&t, &l, "n3", NOW, &err), -EBUSY);
        assert_non_null(strstr(err.text, "'n1'"));
        assert_int_equal(ticket_admit(&t, &l, "n2", NOW + LIFE, &err), -EBUSY);
        assert_non_null(strstr(err.text, "expired"));
        t.state = TICKET_ABORTING;
        assert_int_equal(ticket_admit(&t, &l, "n2", NOW, &err), -EBUSY);
        t.state = TICKET_NONE;
        assert_int_equal(ticket_admit(&t, &l, "n2", NOW, &err), -EBUSY);
}

static void prepare_by_the_sole_holder_only(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Ticket t = TICKET_INIT;
        Lease l = LEASE_INIT;

        (void) state;
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n2", NOW, LIFE, &err), -EINVAL);
        lease_of(&l, "n1", NULL);
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n1", NOW, LIFE, &err), -EINVAL);
        assert_int_equal(ticket_prepare(&t, &l, "n2", "n3", NOW, LIFE, &err), -EBUSY);
        assert_int_equal(t.state, TICKET_NONE);
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n2", NOW, LIFE, &err), 0);
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n3", NOW, LIFE, &err), -EBUSY);
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n2", NOW + 5, LIFE, &err), 0);
        assert_int_equal(t.expires, NOW + 5 + LIFE);
        assert_int_equal(t.created, NOW);
}

static void decision_is_made_once(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Lease l;
        Ticket t;

        (void) state;
        lease_of(&l, "n1", NULL);
        ticket_of(&t, &l, TICKET_PREPARED);
        assert_int_equal(ticket_decide(&t, &l, TICKET_COMMITTING, NULL, &err), -EBUSY); /* nobody is there */
        assert_int_equal(lease_join(&l, "n2"), 0);
        assert_int_equal(ticket_decide(&t, &l, TICKET_COMMITTING, "n3", &err), -EBUSY);
        assert_int_equal(ticket_decide(&t, &l, TICKET_COMMITTING, "n2", &err), 0);
        assert_int_equal(ticket_decide(&t, &l, TICKET_COMMITTING, NULL, &err), 0);
        assert_int_equal(ticket_decide(&t, &l, TICKET_ABORTING, NULL, &err), -EBUSY);
        assert_int_equal(t.state, TICKET_COMMITTING);
        assert_int_equal(ticket_prepare(&t, &l, "n1", "n2", NOW, LIFE, &err), -EBUSY);
}

static void asking_twice(void **state)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        Lease l;

        (void) state;
        lease_of(&l, "n2", NULL);
        assert_int_equal(ticket_check_done(&l, TICKET_COMMITTING, "n2", &err), 0);
        assert_int_equal(ticket_check_done(&l, TICKET_COMMITTING, "n1", &err), -ENOENT);
        assert_int_equal(ticket_check_done(&l, TICKET_COMMITTING, NULL, &err), -ENOENT);
        assert_int_equal(ticket_check_done(&l, TICKET_ABORTING, "n2", &err), -EBUSY);
        assert_int_equal(ticket_check_done(&l, TICKET_ABORTING, "n1", &err), 0);
        assert_int_equal(ticket_check_done(&l, TICKET_ABORTING, NULL, &err), 0);
        l = LEASE_INIT;
        assert_int_equal(ticket_check_done(&l, TICKET_ABORTING, "n2", &err), 0);

        /* the lease itself tells that it was handed over: whoever does not name the target is understood, too */
        lease_of(&l, "n1", "n2");
        assert_true(lease_leave(&l, "n1"));
        assert_string_equal(l.from, "n1");
        assert_int_equal(ticket_check_done(&l, TICKET_COMMITTING, NULL, &err), 0);
        assert_int_equal(ticket_check_done(&l, TICKET_ABORTING, NULL, &err), -EBUSY);
        assert_int_equal(lease_join(&l, "n3"), 0);
        assert_string_equal(l.from, "");
        assert_true(lease_leave(&l, "n3"));
        assert_int_equal(ticket_check_done(&l, TICKET_COMMITTING, NULL, &err), -ENOENT);
        assert_int_equal(ticket_check_done(&l, TICKET_ABORTING, NULL, &err), 0);
}

/* --- records */

static void records_and_their_list(void **state)
{
        static const char *const bad[] = {
                "",
                "[]",
                "{\"volume\":\"" VOLUME
                "\",\"source\":\"n1\",\"target\":\"n1\",\"state\":\"prepared\",\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"source\":\"n1\",\"target\":\"n2\",\"state\":\"none\",\"generation\":1}",
                "{\"volume\":\"" VOLUME "\",\"source\":\"n1\",\"target\":\"n2\",\"state\":\"prepared\"}",
                "{\"volume\":\"" VOLUME "\",\"target\":\"n2\",\"state\":\"prepared\",\"generation\":1}",
        };
        struct storaged_error err = STORAGED_ERROR_INIT;
        AUTO(strlist_deinit) StrList list = STRLIST_INIT, again = STRLIST_INIT;
        char root[SCRATCH_MAX];
        AUTO(freep) char *path = NULL, *leftover = NULL;
        Ticket t, back;
        Paths paths;
        Lease l;

        (void) state;
        assert_non_null(scratch_make(root));
        assert_int_equal(paths_init(&paths, root), 0);
        assert_int_equal(ticket_list(&paths, &list), 0);
        assert_int_equal(list.n, 0);
        lease_of(&l, "n1", NULL);
        assert_true(ticket_path(&paths, VOLUME, &path) >= 0);
        for (unsigned s = TICKET_PREPARED; s <= TICKET_ABORTING; s++) {
                ticket_of(&t, &l, (enum ticket_state) s);
                assert_int_equal(ticket_store(path, &t, FENCE_NONE, &err), 0);
                assert_int_equal(ticket_load(path, VOLUME, &back, &err), 0);
                assert_memory_equal(&t, &back, sizeof(t));
        }
        assert_true(str_printf(&leftover, "%s.tmp.n1", path) >= 0);
        assert_int_equal(fs_write_atomic(leftover, "{", 1, 0600), 0);
        assert_int_equal(ticket_list(&paths, &list), 0);
        assert_int_equal(list.n, 1);
        assert_string_equal(list.items[0], VOLUME);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(fs_write_atomic(path, bad[i], strlen(bad[i]), 0600), 0);
                assert_int_equal(ticket_load(path, VOLUME, &back, &err), -EBADMSG);
                assert_non_null(strstr(err.text, path));
        }
        t.state = TICKET_NONE;
        assert_int_equal(ticket_store(path, &t, FENCE_NONE, &err), 0);
        assert_int_equal(ticket_load(path, VOLUME, &back, &err), 0);
        assert_int_equal(back.state, TICKET_NONE);
        assert_int_equal(ticket_list(&paths, &again), 0);
        assert_int_equal(again.n, 0);
        paths_deinit(&paths);
        (void) scratch_remove(root);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_state_has_two_owners),
                cmocka_unit_test(next_steps),
                cmocka_unit_test(ticket_of_an_earlier_lease_means_nothing),
                cmocka_unit_test(who_is_admitted),
                cmocka_unit_test(prepare_by_the_sole_holder_only),
                cmocka_unit_test(decision_is_made_once),
                cmocka_unit_test(asking_twice),
                cmocka_unit_test(records_and_their_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
