/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engines of up to 24 nodes over a simulated Corosync (sim-corosync.c): changes by all of them while the network
 * falls apart and heals, daemons are ended, killed and frozen, and some are changed in local mode. After each round of
 * chaos everything is connected again and must come to one tree that has lost no acknowledged change; what was changed
 * alone is in the tree or kept. Or the changes are fenced ones, and daemons come back as older ones that do not know
 * them: then the answers must be true. All chance is of one seed, which is printed when something is wrong:
 *   SIM_SEED=N SIM_NODES=N build/tests/unit/clusterfs/test-sim
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "clusterfs/db.h"
#include "clusterfs/engine.h"
#include "clusterfs/frame.h"
#include "sim-corosync.h"

#define FILES 12u
#define ALONE "by one alone"
#define DRAIN_MAX 400000u
#define OLDER (OP_FENCED_VERSION - 1u)

typedef struct Write {
        unsigned file;
        uint64_t begun, ended; /* steps; ended 0: not yet */
        int result;
} Write;

/* A change under a lock, to a file of its own. */
typedef struct Fenced {
        bool is_over;
        int result;
} Fenced;

typedef struct Computer {
        Engine *engine;
        char dir[64];
        unsigned alone; /* files made in local mode so far */
        uint16_t wire_max;
} Computer;

static struct {
        Computer computers[SIM_HOSTS_MAX];
        unsigned n;
        uint64_t seed, step;
        sd_event *event;
        VEC(Write *) writes; /* the content of a file names its writer */
        VEC(Fenced *) fenced;
        unsigned acked, refused;
        bool is_killing, is_fencing;
} world;

/* --- what would bring in chance or time ----------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
        (void) id; /* a microsecond a step: nobody loses patience */
        ret->tv_sec = (time_t) (1000000 + world.step / 1000000);
        ret->tv_nsec = (long) (world.step % 1000000) * 1000;
        return 0;
}

ssize_t __wrap_getrandom(void *to, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t len, unsigned flags)
{
        (void) flags;
        for (size_t i = 0; i < len; i++)
                ((uint8_t *) to)[i] = (uint8_t) sim_random(256);
        return (ssize_t) len;
}

int __real_db_open(const char *dir, bool full, Db **ret, struct storaged_error *err);
int __wrap_db_open(const char *dir, bool full, Db **ret, struct storaged_error *err);
int __wrap_db_open(const char *dir, bool full, Db **ret, struct storaged_error *err)
{
        (void) full; /* no thread: a batch ends when it was begun */
        return __real_db_open(dir, false, ret, err);
}

Db *__real_db_free(Db *db);
Db *__wrap_db_free(Db *db);
Db *__wrap_db_free(Db *db)
{
        if (db && world.is_killing)
                db_discard(db);
        return __real_db_free(db);
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

static void start(unsigned i, bool local)
{
        struct storaged_error err = STORAGED_ERROR_INIT;
        char name[16];
        const EngineOptions options = { .state_dir = world.computers[i].dir,
                                        .node = name,
                                        .is_local = local,
                                        .is_full = true,
                                        .max_bytes = TREE_SIZE_MAX_DEFAULT,
                                        .lock_usec = ENGINE_LOCK_USEC,
                                        .wire_max = world.computers[i].wire_max,
                                        .wire_min = FRAME_VERSION_MIN };
        const EngineEvents events = { 0 };
        int r;

        (void) snprintf(name, sizeof(name), "n%u", i + 1);
        sim_use(i);
        r = engine_new(world.event, &options, &events, &world.computers[i].engine, &err);
        if (r < 0)
                fail_msg("node %u does not start: %s (%s), seed %llu", i + 1, err.text, strerror(-r),
                         (unsigned long long) world.seed);
}

/* Of that wire version, from now on. */
static void start_as(unsigned i, uint16_t wire_max)
{
        world.computers[i].wire_max = wire_max;
        start(i, false);
}

static void stop(unsigned i, bool killed)
{
        world.computers[i].wire_max = world.is_fencing && sim_random(12) == 0 ? OLDER : FRAME_VERSION;
        world.is_killing = killed;
        world.computers[i].engine = engine_free(world.computers[i].engine);
        world.is_killing = false;
}

static void settle_all(void)
{
        for (unsigned i = 0; i < world.n; i++)
                if (world.computers[i].engine && !sim_is_frozen(i))
                        engine_settle(world.computers[i].engine);
}

/* --- changes -------------------------------------------------------------------------------------------- */

static void written(void *userdata, int result, uint64_t ino)
{
        Write *w = userdata;

        (void) ino;
        w->ended = world.step;
        w->result = result;
        if (result == 0)
                world.acked++;
        else
                world.refused++;
}

static void put(Engine *e, const char *name, const char *text, engine_done_fn done, void *userdata)
{
        Op op = { .type = OP_PUT, .ino = TREE_ROOT_INO, .name = name, .name_len = strlen(name), .mtime = 1 };

        op.data = (const uint8_t *) text;
        op.data_len = strlen(text);
        engine_submit(e, &op, done, userdata);
}

static void write_file(unsigned i)
{
        Write *w = calloc(1, sizeof(*w));
        char name[32], text[64];

        assert_non_null(w);
        w->file = (unsigned) sim_random(FILES);
        w->begun = world.step;
        (void) snprintf(name, sizeof(name), "f%u", w->file);
        (void) snprintf(text, sizeof(text), "%zu by n%u", world.writes.n, i + 1);
        assert_int_equal(VEC_PUSH(&world.writes, w), 0);
        put(world.computers[i].engine, name, text, written, w);
}

/* Things that may fail: what matters is that they fail, or not, on all nodes alike. */
static void change_tree(unsigned i)
{
        Engine *e = world.computers[i].engine;
        char dir[16], a[16], b[16];
        const Node *parent;
        Op op = { .type = (uint8_t) (OP_CREATE + sim_random(OP_RENAME - OP_CREATE + 1)), .mtime = 1 };

        (void) snprintf(dir, sizeof(dir), "d%u", (unsigned) sim_random(4));
        (void) snprintf(a, sizeof(a), "x%u", (unsigned) sim_random(6));
        (void) snprintf(b, sizeof(b), "x%u", (unsigned) sim_random(6));
        parent = tree_resolve(engine_tree(e), dir);
        op.ino = op.ino2 = parent ? parent->ino : TREE_ROOT_INO;
        if (!parent)
                op.type = OP_MKDIR;
        op.name = parent ? a : dir;
        op.name_len = strlen(op.name);
        op.name2 = b;
        op.name2_len = op.type == OP_RENAME ? strlen(b) : 0;
        engine_submit(e, &op, NULL, NULL);
}

/* --- fenced changes ------------------------------------------------------------------------------------- */

#define LOCK "priv/lock/l"

static void make_dir(Engine *e, const char *parent, const char *name)
{
        const Node *n = tree_resolve(engine_tree(e), parent);
        Op op = { .type = OP_MKDIR, .name = name, .name_len = strlen(name), .mtime = 1 };

        op.ino = n ? n->ino : TREE_ROOT_INO;
        engine_submit(e, &op, NULL, NULL);
}

/* It is another one then, if somebody has it already. */
static void take_lock(Engine *e)
{
        const Node *dir = tree_resolve(engine_tree(e), "priv/lock");
        Op op = { .type = OP_RMDIR, .name = "l", .name_len = 1, .mtime = 1 };

        if (!dir) {
                make_dir(e, "", "priv");
                make_dir(e, "priv", "lock");
                return;
        }
        op.ino = dir->ino;
        engine_submit(e, &op, NULL, NULL);
        make_dir(e, "priv/lock", "l");
}

static void fenced_done(void *userdata, int result, uint64_t ino)
{
        Fenced *f = userdata;

        (void) ino;
        f->is_over = true;
        f->result = result;
}

static void write_fenced(Engine *e)
{
        const Node *lock = tree_resolve(engine_tree(e), LOCK);
        Fenced *f = calloc(1, sizeof(*f));
        char name[32];
        Op op = { .type = OP_PUT, .flags = OP_FENCED, .ino = TREE_ROOT_INO, .name = name, .mtime = 1 };

        assert_non_null(f);
        op.name_len = (size_t) snprintf(name, sizeof(name), "p%zu", world.fenced.n);
        op.lock = lock ? lock->ino : 1;
        assert_int_equal(VEC_PUSH(&world.fenced, f), 0);
        engine_submit(e, &op, fenced_done, f);
}

/* The daemon is ended, changed in local mode, and comes back. */
static void change_alone(unsigned i)
{
        Computer *c = &world.computers[i];

        if (c->engine)
                stop(i, false);
        start(i, true);
        for (unsigned k = 0, n = 1 + (unsigned) sim_random(30); k < n; k++) {
                char name[48];

                (void) snprintf(name, sizeof(name), "alone-n%u-%u", i + 1, c->alone++);
                put(c->engine, name, name, NULL, NULL);
                engine_settle(c->engine);
        }
        put(c->engine, "f0", ALONE, NULL, NULL);
        stop(i, false);
        start(i, false);
}

/* --- chaos ---------------------------------------------------------------------------------------------- */

static void split(void)
{
        unsigned groups[SIM_HOSTS_MAX], n = 1 + (unsigned) sim_random(3);

        for (unsigned i = 0; i < world.n; i++)
                groups[i] = (unsigned) sim_random(n);
        if (sim_random(2) == 0) { /* one alone */
                memset(groups, 0, sizeof(groups));
                groups[sim_random(world.n)] = 1;
        }
        sim_partition(groups);
}

static void disturb(void)
{
        unsigned i = (unsigned) sim_random(world.n);

        switch (sim_random(8)) {
        case 0:
        case 1:
                split();
                break;
        case 2:
                if (world.computers[i].engine)
                        stop(i, sim_random(2) == 0);
                else
                        start(i, false);
                break;
        case 3:
                sim_freeze(i, !sim_is_frozen(i));
                break;
        case 4:
                if (!world.is_fencing && sim_random(4) == 0)
                        change_alone(i);
                break;
        default:
                for (unsigned k = 0; k < world.n; k++) {
                        sim_freeze(k, false);
                        if (!world.computers[k].engine)
                                start(k, false);
                }
        }
}

static void chaos(unsigned steps)
{
        for (unsigned s = 0; s < steps; s++) {
                unsigned i = (unsigned) sim_random(world.n);

                world.step++;
                if (sim_random(130 * world.n) == 0)
                        disturb();
                if (sim_random(3) == 0 && world.computers[i].engine && !sim_is_frozen(i)) {
                        if (world.is_fencing)
                                sim_random(200) == 0 ? take_lock(world.computers[i].engine)
                                                     : write_fenced(world.computers[i].engine);
                        else if (sim_random(3) == 0)
                                change_tree(i);
                        else
                                write_file(i);
                        if (sim_random(4) == 0)
                                engine_settle(world.computers[i].engine);
                }
                (void) sim_step();
        }
}

/* --- what must be true after it ------------------------------------------------------------------------- */

static void complain(const char *what, unsigned i)
{
        StrBuf b = STRBUF_INIT;

        for (unsigned k = 0; k < world.n; k++) {
                strbuf_addf(&b, "\n  n%u: ", k + 1);
                if (world.computers[k].engine)
                        engine_describe(world.computers[k].engine, &b);
        }
        print_error("%s (n%u), step %llu, SIM_SEED=%llu SIM_NODES=%u%s\n", what, i + 1, (unsigned long long) world.step,
                    (unsigned long long) world.seed, world.n, b.data ? b.data : "");
        strbuf_deinit(&b); /* the folders stay: they are evidence */
        fail();
}

static void settle_and_drain(void)
{
        unsigned quiet = 0;

        for (unsigned s = 0; quiet < 3; s++) {
                world.step++;
                quiet = sim_step() ? 0 : quiet + 1;
                if (quiet || s % 16 == 0)
                        settle_all();
                if (s > DRAIN_MAX)
                        complain("the members talk without end", 0);
        }
}

static void heal(void)
{
        unsigned groups[SIM_HOSTS_MAX] = { 0 };

        for (unsigned i = 0; i < world.n; i++) {
                sim_freeze(i, false);
                if (!world.computers[i].engine)
                        start(i, false);
        }
        sim_partition(groups);
        settle_and_drain();
}

/* In the tree, or in what was put aside when this node's was given up. */
static bool is_kept(const Computer *c, const Tree *t, const char *name)
{
        AUTO(freep) char *pattern = NULL;
        glob_t found = { 0 };
        bool is_there = tree_resolve(t, name) != NULL;

        assert_true(str_printf(&pattern, "%s/conflicts/*/tree/%s", c->dir, name) >= 0);
        if (!is_there) {
                is_there = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;
                globfree(&found);
        }
        return is_there;
}

static void check_register(unsigned file)
{
        const Tree *t = engine_tree(world.computers[0].engine);
        const Write *last = NULL;
        const Node *n;
        char name[16];

        (void) snprintf(name, sizeof(name), "f%u", file);
        n = tree_resolve(t, name);
        if (n && n->content->size == strlen(ALONE) && memcmp(n->content->data, ALONE, strlen(ALONE)) == 0)
                return; /* changed in local mode on top of the newest history that there was */
        if (n && n->content->size > 0 && n->content->data[0] >= '0' && n->content->data[0] <= '9') {
                AUTO(freep) char *text = strndup((const char *) n->content->data, n->content->size);

                last = world.writes.items[strtoul(text, NULL, 10)];
        }
        for (size_t i = 0; i < world.writes.n; i++) {
                const Write *w = world.writes.items[i];

                if (w->file != file || w->result < 0)
                        continue;
                if (!last || (last->ended && last->ended < w->begun)) {
                        print_error("%s: write %zu of steps %llu to %llu was acknowledged; the file holds %.*s\n", name,
                                    i, (unsigned long long) w->begun, (unsigned long long) w->ended,
                                    n ? (int) n->content->size : 0, n ? (const char *) n->content->data : "");
                        complain("an acknowledged write is lost", 0);
                }
        }
}

static void check(void)
{
        const Tree *first = engine_tree(world.computers[0].engine);
        uint8_t sum[TREE_HASH_SIZE], other[TREE_HASH_SIZE];

        assert_int_equal(tree_checksum(first, sum), 0);
        for (unsigned i = 0; i < world.n; i++) {
                const Engine *e = world.computers[i].engine;

                if (engine_can_write(e) < 0)
                        complain("not at work again", i);
                if (tree_checksum(engine_tree(e), other) < 0 || memcmp(sum, other, sizeof(sum)) != 0 ||
                    engine_tree(e)->version.index != first->version.index)
                        complain("another tree", i);
        }
        for (size_t i = 0; i < world.writes.n; i++)
                if (!world.writes.items[i]->ended)
                        complain("a change is never answered", 0);
        for (unsigned f = 0; f < FILES; f++)
                check_register(f);
        for (unsigned i = 0; i < world.n; i++)
                for (unsigned k = 0; k < world.computers[i].alone; k++) {
                        char name[48];

                        (void) snprintf(name, sizeof(name), "alone-n%u-%u", i + 1, k);
                        if (!is_kept(&world.computers[i], first, name))
                                complain("what was changed alone is gone", i);
                }
}

/* What is known of the outcome is true. Counted: made, no lock, not understood, unknown but made, unknown. */
static void check_fenced(unsigned counts[static 5])
{
        const Tree *t = engine_tree(world.computers[0].engine);

        for (size_t i = 0; i < world.fenced.n; i++) {
                const Fenced *f = world.fenced.items[i];
                char name[32];
                bool is_made;

                (void) snprintf(name, sizeof(name), "p%zu", i);
                is_made = tree_resolve(t, name) != NULL;
                if (!f->is_over)
                        complain("a fenced change is never answered", 0);
                if (f->result == 0 ? !is_made : is_made && (f->result == -ESTALE || f->result == -ENOTTY)) {
                        print_error("%s: %s, and the file is %sthere\n", name, strerror(-f->result),
                                    is_made ? "" : "not ");
                        complain("a fenced change's answer is not true", 0);
                }
                counts[0] += f->result == 0;
                counts[1] += f->result == -ESTALE;
                counts[2] += f->result == -ENOTTY;
                counts[3] += f->result == -ETIMEDOUT && is_made;
                counts[4] += f->result == -ETIMEDOUT && !is_made;
        }
}

/* --- runs ----------------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        (void) st, (void) kind, (void) ftw;
        return remove(path);
}

static void begin(unsigned n, uint64_t seed)
{
        memset(&world, 0, sizeof(world));
        world.n = n;
        world.seed = seed;
        sim_init(n, seed);
        assert_true(sd_event_new(&world.event) >= 0);
        for (unsigned i = 0; i < n; i++) {
                /* In memory where possible: a power cut of the machine that tests is no part of it. */
                (void) snprintf(world.computers[i].dir, sizeof(world.computers[i].dir), "%s/clusterfs-sim-XXXXXX",
                                access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
                assert_non_null(mkdtemp(world.computers[i].dir));
                start_as(i, FRAME_VERSION);
        }
}

static void end(void)
{
        for (unsigned i = 0; i < world.n; i++) {
                stop(i, false);
                (void) nftw(world.computers[i].dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        }
        for (size_t i = 0; i < world.writes.n; i++)
                free(world.writes.items[i]);
        VEC_DEINIT(&world.writes);
        for (size_t i = 0; i < world.fenced.n; i++)
                free(world.fenced.items[i]);
        VEC_DEINIT(&world.fenced);
        world.event = sd_event_unref(world.event);
        sim_deinit();
}

static void power_cut(void)
{
        for (unsigned i = 0; i < world.n; i++)
                stop(i, true);
        heal();
        check();
}

/* Gives the sum of the tree at the end. */
static void run(unsigned n, uint64_t seed, unsigned rounds, unsigned steps, uint8_t ret[static TREE_HASH_SIZE])
{
        begin(n, seed);
        heal();
        check();
        for (unsigned r = 0; r < rounds; r++) {
                chaos(steps);
                heal();
                check();
        }
        power_cut();
        assert_int_equal(tree_checksum(engine_tree(world.computers[0].engine), ret), 0);
        assert_true(world.acked > rounds);
        print_message("%u nodes, seed %llu: %u changes acknowledged, %u refused\n", n, (unsigned long long) seed,
                      world.acked, world.refused);
        end();
}

/* COUNT_SCALE of `full`, at least one; SIM_SEED and SIM_NODES: that run alone. */
static void run_seeds(unsigned n, unsigned full, unsigned rounds, unsigned steps)
{
        const char *scale = getenv("COUNT_SCALE"), *seed = getenv("SIM_SEED"), *nodes = getenv("SIM_NODES");
        unsigned runs = (unsigned) (full * (scale ? strtod(scale, NULL) : 0.1));
        uint8_t sum[TREE_HASH_SIZE];

        if (nodes && strtoul(nodes, NULL, 10) != n)
                skip();
        if (seed) {
                run(n, strtoull(seed, NULL, 10), rounds, steps, sum);
                return;
        }
        for (unsigned i = 0; i == 0 || i < runs; i++)
                run(n, i + 1, rounds, steps, sum);
}

static void three_nodes_come_to_one_tree(void **state)
{
        (void) state;
        run_seeds(3, 60, 6, 4000);
}

static void five_nodes_come_to_one_tree(void **state)
{
        (void) state;
        run_seeds(5, 60, 6, 4000);
}

static void twenty_four_nodes_come_to_one_tree(void **state)
{
        (void) state;
        run_seeds(24, 10, 3, 40000);
}

static void the_same_seed_gives_the_same_run(void **state)
{
        uint8_t a[TREE_HASH_SIZE], b[TREE_HASH_SIZE];

        (void) state;
        run(5, 7, 2, 2000, a);
        run(5, 7, 2, 2000, b);
        assert_memory_equal(a, b, sizeof(a));
}

static void begin_fenced(unsigned n, uint64_t seed)
{
        begin(n, seed);
        world.is_fencing = true;
        for (unsigned i = 0; i < 3; i++) { /* each goes on from what the one before has made */
                heal();
                take_lock(world.computers[0].engine);
        }
        heal();
}

static void members_of_an_older_version_come_and_go(unsigned counts[static 5])
{
        for (uint64_t seed = 1; seed <= 6; seed++) {
                begin_fenced(5, seed);
                for (unsigned r = 0; r < 4; r++) {
                        chaos(4000);
                        heal();
                        check();
                }
                check_fenced(counts);
                end();
        }
}

/*
 * A node is cut off for a moment and does not even notice: its change is still under way when it has to take the tree
 * of the others, to whom an older member may have come meanwhile.
 */
static void others_went_on_meanwhile(unsigned counts[static 5])
{
        const unsigned alone[SIM_HOSTS_MAX] = { 1 }, together[SIM_HOSTS_MAX] = { 0 };

        for (uint64_t seed = 1; seed <= 20; seed++) {
                begin_fenced(3, seed);
                write_fenced(world.computers[0].engine);
                engine_settle(world.computers[0].engine);
                for (uint64_t steps = sim_random(6); steps > 0; steps--)
                        (void) sim_step();
                sim_freeze(0, true);
                sim_partition(alone);
                if (seed % 2) {
                        stop(2, false);
                        start_as(2, OLDER);
                }
                settle_and_drain();
                put(world.computers[1].engine, "meanwhile", "x", NULL, NULL);
                settle_and_drain();
                sim_freeze(0, false);
                sim_partition(together);
                for (unsigned s = 0; s < 60; s++) { /* users who know of nothing */
                        (void) sim_step();
                        write_fenced(world.computers[0].engine);
                }
                heal();
                check();
                check_fenced(counts);
                end();
        }
}

static void what_is_said_of_fenced_changes_is_true(void **state)
{
        unsigned counts[5] = { 0 };

        (void) state;
        members_of_an_older_version_come_and_go(counts);
        others_went_on_meanwhile(counts);
        print_message("fenced changes: %u made, %u without their lock, %u not understood, of %u unknown %u made\n",
                      counts[0], counts[1], counts[2], counts[3] + counts[4], counts[3]);
        assert_true(counts[0] > 0 && counts[1] > 0 && counts[2] > 0 && counts[3] + counts[4] > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(three_nodes_come_to_one_tree),
                                            cmocka_unit_test(five_nodes_come_to_one_tree),
                                            cmocka_unit_test(twenty_four_nodes_come_to_one_tree),
                                            cmocka_unit_test(the_same_seed_gives_the_same_run),
                                            cmocka_unit_test(what_is_said_of_fenced_changes_is_true) };

        log_open("sim", getenv("SIM_LOG") ? LOG_DEBUG : LOG_CRIT);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
