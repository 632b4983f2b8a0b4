/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's I/O oracle: writes blocks that say what they are, and knows later whether the storage kept its word.
 *
 *   oracle write  DEV --log FILE [--first B] [--blocks N] [--seconds S] [--writer ID] [--pause MS]
 *   oracle verify DEV --log FILE [--first B] [--blocks N] [--seconds S] [--pause MS]
 *
 * A block is 4096 bytes: a head, a pattern made of what the head says, and the head once more as tail. The head holds
 * magic, block number, run, writer, sequence number and a checksum of all between head and tail. The log is a file of
 * one entry a block, apart from DEV: what was acknowledged, put there after the write returned and before the next.
 * It has to survive what is done to DEV, and it may be handed to another node: `write` goes on where it ends, so a
 * second writer takes over from a first one, and `verify` on any node knows what must be there.
 *
 * What is found, each counted once per block and pass, in this order:
 *   torn       head and tail are whole but of two different writes: half of one, half of another
 *   corrupt    it is no block of the oracle, or its checksum does not fit
 *   misplaced  it is whole, but of another block number
 *   stale      a read gave an older version than was acknowledged (or seen before), and a later read gave the right
 * one: somewhere a cache lies lost       an acknowledged write is not there, at the last look: an older version is, or
 * nothing (zeroes)
 *
 * `write` reads each block back after each write; `verify` looks at all logged blocks, with --seconds again and again
 * (by the side of a writer, on another node), and a last time at the end. All I/O on block devices is O_DIRECT. The
 * result is one JSON object on stdout; each find is told on stderr at once. Exit status: 0 clean, 1 finds or I/O
 * errors, 2 usage or a file that can't be opened. SIGTERM and SIGINT end it early, with its result.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define MAGIC UINT64_C(0x656c6361726f2021)
#define FINDS_TOLD 200u /* on stderr; all are counted */

/* At both ends of a block; in the byte order of the machine, as no other ever reads it. */
typedef struct Mark {
        uint64_t magic, block, run, sequence, sum;
        uint32_t writer, check; /* check: of the fields before it */
} Mark;

typedef struct Entry {
        uint64_t run, sequence;
} Entry;

typedef enum Verdict { FINE, TORN, CORRUPT, MISPLACED, OLD } Verdict;

typedef struct Oracle {
        const char *device, *log_path;
        int is_writer, fd, log;
        uint64_t first, blocks, run, sequence;
        uint32_t writer;
        double seconds, pause_ms;
        Entry *known; /* what must be there at least: from the log, later also from what was read */
        uint8_t *is_suspect, *buffer, *again;
        uint64_t writes, reads, errors, lost, torn, corrupt, misplaced, stale;
        unsigned told;
        double longest;
} Oracle;

static volatile sig_atomic_t is_told_to_end;

static void end(int sig)
{
        (void) sig;
        is_told_to_end = 1;
}

static double now(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

static uint64_t sum_of(const uint8_t *block)
{
        uint64_t sum = MAGIC, word;

        for (size_t i = sizeof(Mark); i < BLOCK - sizeof(Mark); i += sizeof(word)) {
                memcpy(&word, block + i, sizeof(word));
                sum = mix(sum ^ word);
        }
        return sum;
}

static uint32_t check_of(const Mark *m)
{
        return (uint32_t) mix(m->magic ^ mix(m->block ^ mix(m->run ^ mix(m->sequence ^ mix(m->sum ^ m->writer)))));
}

static void block_make(uint8_t *block, const Oracle *o, uint64_t number)
{
        Mark m = { .magic = MAGIC, .block = number, .run = o->run, .sequence = o->sequence, .writer = o->writer };
        uint64_t word = mix(number ^ mix(o->run ^ mix(o->sequence)));

        for (size_t i = sizeof(m); i < BLOCK - sizeof(m); i += sizeof(word)) {
                word = mix(word);
                memcpy(block + i, &word, sizeof(word));
        }
        m.sum = sum_of(block);
        m.check = check_of(&m);
        memcpy(block, &m, sizeof(m));
        memcpy(block + BLOCK - sizeof(m), &m, sizeof(m));
}

static int is_zero(const uint8_t *block)
{
        return block[0] == 0 && memcmp(block, block + 1, BLOCK - 1) == 0;
}

static int is_whole(const Mark *m)
{
        return m->magic == MAGIC && m->check == check_of(m);
}

/* A run is a time, so that a later one is newer. */
static int is_older(uint64_t run, uint64_t sequence, const Entry *than)
{
        return run < than->run || (run == than->run && sequence < than->sequence);
}

static Verdict block_judge(const uint8_t *block, uint64_t number, const Entry *known, Entry *ret_is)
{
        Mark head, tail;

        memcpy(&head, block, sizeof(head));
        memcpy(&tail, block + BLOCK - sizeof(tail), sizeof(tail));
        *ret_is = (Entry){ 0 };
        if (is_zero(block))
                return known->sequence > 0 ? OLD : FINE;
        if (is_whole(&head) && is_whole(&tail) && memcmp(&head, &tail, sizeof(head)) != 0)
                return TORN;
        if (!is_whole(&head) || !is_whole(&tail) || head.sum != sum_of(block))
                return CORRUPT;
        if (head.block != number)
                return MISPLACED;
        *ret_is = (Entry){ head.run, head.sequence };
        return is_older(head.run, head.sequence, known) ? OLD : FINE;
}

static void tell(Oracle *o, const char *what, uint64_t number, const Entry *is)
{
        const Entry *k = &o->known[number - o->first];

        if (o->told++ < FINDS_TOLD)
                (void) fprintf(stderr,
                               "oracle: block %" PRIu64 " of %s: %s; has %" PRIu64 ".%" PRIu64 ", known is %" PRIu64
                               ".%" PRIu64 "\n",
                               number, o->device, what, is->run, is->sequence, k->run, k->sequence);
}

/* One I/O, timed. False and counted on failure. */
static int block_io(Oracle *o, int is_write, uint64_t number, uint8_t *buffer)
{
        off_t at = (off_t) (number * BLOCK);
        double begun = now(), took;
        ssize_t n = is_write ? pwrite(o->fd, buffer, BLOCK, at) : pread(o->fd, buffer, BLOCK, at);

        took = now() - begun;
        if (took > o->longest)
                o->longest = took;
        if (n == (ssize_t) BLOCK) {
                if (is_write)
                        o->writes++;
                else
                        o->reads++;
                return 1;
        }
        o->errors++;
        if (o->told++ < FINDS_TOLD)
                (void) fprintf(stderr, "oracle: block %" PRIu64 " of %s: %s: %s\n", number, o->device,
                               is_write ? "write" : "read", n < 0 ? strerror(errno) : "short");
        return 0;
}

/* Reads and judges one block. What is too old is stale if it is right later: who calls settles that. */
static Verdict look(Oracle *o, uint64_t number)
{
        Entry is, *known = &o->known[number - o->first];
        Verdict v;

        if (!block_io(o, 0, number, o->again))
                return FINE; /* counted as an error; nothing was seen */
        v = block_judge(o->again, number, known, &is);
        switch (v) {
        case TORN:
                o->torn++;
                tell(o, "torn", number, &is);
                break;
        case CORRUPT:
                o->corrupt++;
                tell(o, "corrupt", number, &is);
                break;
        case MISPLACED:
                o->misplaced++;
                tell(o, "misplaced", number, &is);
                break;
        case OLD:
                tell(o, "older than acknowledged", number, &is);
                break;
        case FINE:
                if (is.sequence > 0 && !is_older(is.run, is.sequence, known))
                        *known = is;
                break;
        }
        return v;
}

static void pause_a_little(const Oracle *o)
{
        struct timespec t = { .tv_sec = (time_t) (o->pause_ms / 1000),
                              .tv_nsec = (long) (o->pause_ms * 1e6) % 1000000000L };

        if (o->pause_ms > 0)
                (void) nanosleep(&t, NULL);
}

static int log_read(Oracle *o)
{
        size_t size = (size_t) o->blocks * sizeof(Entry);
        Entry *on_file = calloc(o->blocks, sizeof(Entry));
        ssize_t n = on_file ? pread(o->log, on_file, size, (off_t) (o->first * sizeof(Entry))) : -1;

        for (uint64_t i = 0; n > 0 && i < (uint64_t) n / sizeof(Entry); i++)
                if (!is_older(on_file[i].run, on_file[i].sequence, &o->known[i]))
                        o->known[i] = on_file[i];
        free(on_file);
        return n < 0 ? -EIO : 0;
}

/* Down to the log's disk: the machine may lose its power before the next write. */
static int log_write(Oracle *o, uint64_t number)
{
        const Entry *e = &o->known[number - o->first];

        if (pwrite(o->log, e, sizeof(*e), (off_t) (number * sizeof(*e))) != (ssize_t) sizeof(*e) ||
            fdatasync(o->log) < 0) {
                perror("oracle: log");
                return -EIO;
        }
        return 0;
}

/*
 * A block that is too old is looked at again at the end: the place for a verdict of lost is then. Until then it is a
 * suspect, and if it was right at the end it was stale.
 */
static void settle(Oracle *o)
{
        for (uint64_t i = 0; i < o->blocks; i++) {
                if (!o->is_suspect[i])
                        continue;
                if (look(o, o->first + i) == OLD)
                        o->lost++;
                else
                        o->stale++;
        }
}

static int run_writer(Oracle *o)
{
        double until = now() + o->seconds;

        for (uint64_t i = 0; i < o->blocks; i++) /* goes on where the log ends */
                if (o->known[i].run > o->run)
                        o->run = o->known[i].run;
        for (uint64_t i = 0; !is_told_to_end && now() < until; i = (i + 1) % o->blocks) {
                o->sequence++;
                block_make(o->buffer, o, o->first + i);
                if (block_io(o, 1, o->first + i, o->buffer)) {
                        o->known[i] = (Entry){ o->run, o->sequence };
                        if (log_write(o, o->first + i) < 0)
                                return -EIO;
                        o->is_suspect[i] |= look(o, o->first + i) == OLD;
                }
                pause_a_little(o);
        }
        settle(o);
        return 0;
}

static int run_verifier(Oracle *o)
{
        double until = now() + o->seconds;
        int is_last;

        do {
                is_last = is_told_to_end || now() >= until;
                /* Read before the blocks: what is in it by then must be in them. */
                if (log_read(o) < 0)
                        return -EIO;
                for (uint64_t i = 0; i < o->blocks && (is_last || !is_told_to_end); i++) {
                        if (o->known[i].sequence == 0)
                                continue;
                        if (!is_last || !o->is_suspect[i])
                                o->is_suspect[i] |= look(o, o->first + i) == OLD;
                        pause_a_little(o);
                }
        } while (!is_last);
        settle(o);
        return 0;
}

static void print_result(const Oracle *o)
{
        uint64_t logged = 0;

        for (uint64_t i = 0; i < o->blocks; i++)
                logged += o->known[i].sequence > 0;
        printf("{ \"role\": \"%s\", \"writer\": %" PRIu32 ", \"blocks\": %" PRIu64 ", \"logged\": %" PRIu64
               ", \"writes\": %" PRIu64 ", \"reads\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"lost\": %" PRIu64
               ", \"torn\": %" PRIu64 ", \"stale\": %" PRIu64 ", \"corrupt\": %" PRIu64 ", \"misplaced\": %" PRIu64
               ", \"longest_stall_ms\": %.0f }\n",
               o->is_writer ? "write" : "verify", o->writer, o->blocks, logged, o->writes, o->reads, o->errors, o->lost,
               o->torn, o->stale, o->corrupt, o->misplaced, o->longest * 1000);
}

static int usage(void)
{
        (void) fprintf(stderr, "usage: oracle write|verify DEV --log FILE [--first B] [--blocks N] [--seconds S] "
                               "[--writer ID] [--pause MS]\n");
        return 2;
}

static int parse(Oracle *o, int argc, char **argv)
{
        static const struct option options[] = { { "log", 1, NULL, 'l' },
                                                 { "first", 1, NULL, 'f' },
                                                 { "blocks", 1, NULL, 'b' },
                                                 { "seconds", 1, NULL, 's' },
                                                 { "writer", 1, NULL, 'w' },
                                                 { "pause", 1, NULL, 'p' },
                                                 { 0 } };

        for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
                switch (c) {
                case 'l':
                        o->log_path = optarg;
                        break;
                case 'f':
                        o->first = strtoull(optarg, NULL, 10);
                        break;
                case 'b':
                        o->blocks = strtoull(optarg, NULL, 10);
                        break;
                case 's':
                        o->seconds = strtod(optarg, NULL);
                        break;
                case 'w':
                        o->writer = (uint32_t) strtoul(optarg, NULL, 10);
                        break;
                case 'p':
                        o->pause_ms = strtod(optarg, NULL);
                        break;
                default:
                        return -EINVAL;
                }
        }
        if (argc - optind != 2 || !o->log_path || o->blocks == 0 || o->blocks > (UINT64_C(1) << 28))
                return -EINVAL;
        o->is_writer = strcmp(argv[optind], "write") == 0;
        o->device = argv[optind + 1];
        return o->is_writer || strcmp(argv[optind], "verify") == 0 ? 0 : -EINVAL;
}

static int oracle_open(Oracle *o)
{
        struct stat st;
        struct timespec t;

        (void) clock_gettime(CLOCK_REALTIME, &t);
        o->run = (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
        o->fd = open(o->device, (o->is_writer ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        if (o->fd < 0 || fstat(o->fd, &st) < 0 || (S_ISBLK(st.st_mode) && fcntl(o->fd, F_SETFL, O_DIRECT) < 0)) {
                (void) fprintf(stderr, "oracle: %s: %s\n", o->device, strerror(errno));
                return -EIO;
        }
        o->log = open(o->log_path, (o->is_writer ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0644);
        if (o->log < 0) {
                (void) fprintf(stderr, "oracle: %s: %s\n", o->log_path, strerror(errno));
                return -EIO;
        }
        o->known = calloc(o->blocks, sizeof(Entry));
        o->is_suspect = calloc(o->blocks, 1);
        if (!o->known || !o->is_suspect || posix_memalign((void **) &o->buffer, BLOCK, BLOCK) != 0 ||
            posix_memalign((void **) &o->again, BLOCK, BLOCK) != 0)
                return -ENOMEM;
        return log_read(o);
}

int main(int argc, char **argv)
{
        Oracle o = { .blocks = 256, .writer = 1 };
        struct sigaction action = { .sa_handler = end };
        int r;

        if (parse(&o, argc, argv) < 0)
                return usage();
        (void) sigaction(SIGTERM, &action, NULL);
        (void) sigaction(SIGINT, &action, NULL);
        if (oracle_open(&o) < 0)
                return 2;
        r = o.is_writer ? run_writer(&o) : run_verifier(&o);
        print_result(&o);
        return r < 0 ? 2 : o.errors + o.lost + o.torn + o.stale + o.corrupt + o.misplaced > 0;
}
