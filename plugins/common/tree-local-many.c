/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many small directories of the local tree, read by a few threads while the caller works on what was read before.
 * Nearly all the time a listing takes is the kernel's, looking at one file after the other; that part needs no order.
 *
 * A window of slots goes over the list of directories: directory i belongs to slot i % n_slots, from the moment
 * somebody takes it to read until the caller has given its entries out, in order. Whoever is free takes the next
 * one; also the caller, when the directory that is due is not there yet. So the caller never waits but for one that
 * is being read at that moment, and without helpers (one processor, few directories) it does all by itself.
 *
 * Memory is bounded: a slot's buffers have a fixed size. Of a directory that does not fit, the slot keeps the
 * beginning and the open directory, and the caller goes on from there. The helpers allocate nothing, take no signals
 * and have ended when the call returns. The lock guards `next`, `n_given`, `is_stopped` and the slots' states; a slot's
 * contents belong to the thread that took it, and to the caller once it is full.
 */
#include "common/tree-local.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define THREADS_MAX 4u /* with the caller's */
#define SLOTS_MAX 32u
#define ROWS_SIZE ((size_t) 16 * 1024)
#define DIRS_PER_THREAD 4u /* fewer are not worth a thread */
#define STACK_SIZE ((size_t) 256 * 1024)

/* An entry in a slot; the next one behind the name, aligned. */
typedef struct Row {
        TreeAttr attr;
        char name[];
} Row;

#define ROW_ALIGN(n) (((n) + _Alignof(Row) - 1) & ~(_Alignof(Row) - 1))
#define ROW_MAX ROW_ALIGN(sizeof(Row) + TREE_NAME_MAX)

typedef struct Slot {
        bool is_full;    /* read, and not yet given out */
        bool is_partial; /* there may be more in `dir`, which is open */
        int error;       /* behind the rows */
        size_t used;     /* of `rows` */
        LocalDir dir;
        _Alignas(Row) char rows[ROWS_SIZE];
} Slot;

typedef struct Reading {
        Tree *tree;
        TreeMany *many;
        int fd; /* of many->dir */
        size_t n_slots;
        Slot *slots;

        pthread_mutex_t lock;
        pthread_cond_t has_room; /* for helpers: the window moved, or it is over */
        pthread_cond_t is_read;  /* for the caller: the directory that is due */
        size_t next;             /* first directory that nobody took */
        size_t n_given;          /* done with */
        unsigned n_resting;      /* helpers that wait for room */
        atomic_bool is_stopped;  /* read without the lock between two entries */
} Reading;

static Slot *slot_of(Reading *rd, size_t index)
{
        return &rd->slots[index % rd->n_slots];
}

static bool has_next(const Reading *rd)
{
        return rd->next < rd->many->n && rd->next < rd->n_given + rd->n_slots && !rd->is_stopped;
}

/* Fills the slot with the directory, as far as it fits. */
static void slot_read(Reading *rd, Slot *s, size_t index)
{
        int r = tree_local_dir_open(&s->dir, rd->tree, rd->fd, rd->many->names[index]);

        s->used = 0;
        s->is_partial = false;
        while (r >= 0 && !atomic_load_explicit(&rd->is_stopped, memory_order_relaxed)) {
                Row *row = (Row *) (s->rows + s->used);
                const char *name;
                size_t n;

                if (ROWS_SIZE - s->used < ROW_MAX) {
                        s->is_partial = true;
                        break;
                }
                r = tree_local_dir_next(&s->dir, &name, &row->attr);
                if (r <= 0)
                        break;
                n = strlen(name) + 1;
                if (n > TREE_NAME_MAX) { /* no file system of Linux has such names */
                        r = -ENAMETOOLONG;
                        break;
                }
                memcpy(row->name, name, n);
                s->used += ROW_ALIGN(offsetof(Row, name) + n);
        }
        s->error = r < 0 ? r : 0;
        if (!s->is_partial)
                tree_local_dir_close(&s->dir);
}

/* Gives the directory's entries out. Non-zero ends the call. */
static int slot_give(TreeMany *many, Slot *s)
{
        int r = 0;

        for (size_t at = 0; r == 0 && at < s->used;) {
                const Row *row = (const Row *) (s->rows + at);

                r = many->fn(many->userdata, many->n_listed, row->name, &row->attr);
                at += ROW_ALIGN(offsetof(Row, name) + strlen(row->name) + 1);
        }
        while (r == 0 && s->is_partial) {
                const char *name;
                TreeAttr attr;
                int k = tree_local_dir_next(&s->dir, &name, &attr);

                s->is_partial = k > 0;
                s->error = k < 0 ? k : 0;
                if (k > 0)
                        r = many->fn(many->userdata, many->n_listed, name, &attr);
        }
        if (r == 0 && s->error && !tree_is_no_directory(s->error))
                r = s->error;
        return r;
}

/* Takes the next directory and reads it; the lock is held before and after. */
static void read_next(Reading *rd)
{
        size_t index = rd->next++;
        Slot *s = slot_of(rd, index);

        (void) pthread_mutex_unlock(&rd->lock);
        slot_read(rd, s, index);
        (void) pthread_mutex_lock(&rd->lock);
        s->is_full = true;
        if (index == rd->n_given)
                (void) pthread_cond_signal(&rd->is_read);
}

static void *helper_main(void *userdata)
{
        Reading *rd = userdata;

        (void) pthread_mutex_lock(&rd->lock);
        while (!rd->is_stopped && rd->next < rd->many->n) {
                if (has_next(rd)) {
                        read_next(rd);
                        continue;
                }
                rd->n_resting++;
                (void) pthread_cond_wait(&rd->has_room, &rd->lock);
                rd->n_resting--;
        }
        (void) pthread_mutex_unlock(&rd->lock);
        return NULL;
}

/* All directories in their order; the lock is free before and after. */
static int give_all(Reading *rd)
{
        TreeMany *many = rd->many;
        int r = 0;

        (void) pthread_mutex_lock(&rd->lock);
        while (many->n_listed < many->n) {
                Slot *s = slot_of(rd, many->n_listed);

                while (!s->is_full) {
                        if (has_next(rd))
                                read_next(rd);
                        else
                                (void) pthread_cond_wait(&rd->is_read, &rd->lock);
                }
                (void) pthread_mutex_unlock(&rd->lock);
                r = slot_give(many, s);
                tree_local_dir_close(&s->dir);
                (void) pthread_mutex_lock(&rd->lock);
                s->is_full = false;
                if (r != 0)
                        break;
                rd->n_given = ++many->n_listed;
                /* woken for half a window of work, not for each directory */
                if (rd->n_resting > 0 && rd->next - rd->n_given <= rd->n_slots / 2)
                        (void) pthread_cond_broadcast(&rd->has_room);
        }
        rd->is_stopped = true;
        (void) pthread_cond_broadcast(&rd->has_room);
        (void) pthread_mutex_unlock(&rd->lock);
        return r;
}

/* How many threads besides the caller's are of use. */
static unsigned count_helpers(size_t n_dirs)
{
        cpu_set_t cpus;
        size_t n = THREADS_MAX; /* a machine with more processors than fit into a cpu_set_t */

        if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
                n = (size_t) CPU_COUNT(&cpus);
        if (n > THREADS_MAX)
                n = THREADS_MAX;
        if (n > n_dirs / DIRS_PER_THREAD)
                n = n_dirs / DIRS_PER_THREAD;
        return n > 1 ? (unsigned) n - 1 : 0;
}

/* Starts them with all signals blocked; those that cannot be started are done without. */
static unsigned start_helpers(Reading *rd, unsigned n, pthread_t ret[static THREADS_MAX])
{
        pthread_attr_t attr;
        sigset_t all, old;
        unsigned k = 0;

        if (n == 0 || pthread_attr_init(&attr) != 0)
                return 0;
        (void) pthread_attr_setstacksize(&attr, STACK_SIZE); /* else it has the default */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &old);
        while (k < n && pthread_create(&ret[k], &attr, helper_main, rd) == 0)
                k++;
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        (void) pthread_attr_destroy(&attr);
        return k;
}

static int read_all(Reading *rd, unsigned n_helpers)
{
        pthread_t helpers[THREADS_MAX];
        int r;

        (void) pthread_mutex_init(&rd->lock, NULL); /* these three cannot fail on Linux */
        (void) pthread_cond_init(&rd->has_room, NULL);
        (void) pthread_cond_init(&rd->is_read, NULL);
        n_helpers = start_helpers(rd, n_helpers, helpers);
        r = give_all(rd);
        for (unsigned i = 0; i < n_helpers; i++)
                (void) pthread_join(helpers[i], NULL);
        (void) pthread_cond_destroy(&rd->is_read);
        (void) pthread_cond_destroy(&rd->has_room);
        (void) pthread_mutex_destroy(&rd->lock);
        return r;
}

int tree_local_list_many(Tree *t, TreeMany *many)
{
        AUTO(closep) int fd = -EBADF;
        unsigned n_helpers = count_helpers(many->n);
        Reading rd = { .tree = t, .many = many, .n_slots = n_helpers ? SLOTS_MAX : 1 };
        int r;

        if (many->n == 0)
                return 0;
        fd = tree_local_openat(t, many->dir, O_PATH | O_DIRECTORY, 0);
        if (fd < 0)
                return tree_is_no_directory(fd) ? 0 : fd;
        rd.fd = fd;
        rd.slots = calloc(rd.n_slots, sizeof(*rd.slots));
        if (!rd.slots)
                return -ENOMEM;
        for (size_t i = 0; i < rd.n_slots; i++)
                rd.slots[i].dir.fd = -EBADF;
        r = read_all(&rd, n_helpers);
        for (size_t i = 0; i < rd.n_slots; i++) /* what was read ahead in vain */
                tree_local_dir_close(&rd.slots[i].dir);
        free(rd.slots);
        return r;
}
