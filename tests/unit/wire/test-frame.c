/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire/frame: packets of a broken peer, messages in pieces, descriptors. Over a real socketpair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <storaged/cleanup.h>

#include "wire/frame.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define HEADER(...)                                                                             \
        {                                                                                       \
                .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_CALL, __VA_ARGS__ \
        }

typedef struct Packet {
        FrameHeader header;
        char piece[64];
} Packet;

static size_t open_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static void decode_of_a_good_packet(void **state)
{
        Packet p = { HEADER(.call = 7, .length = 3), "abc" };
        const char *piece = NULL;
        FrameHeader h;

        (void) state;
        assert_int_equal(frame_decode(&p, sizeof(h) + 3, &h, &piece), 0);
        assert_int_equal(h.call, 7);
        assert_ptr_equal(piece, p.piece);
}

static void decode_of_broken_packets(void **state)
{
        static const struct {
                Packet p;
                size_t len;
        } rows[] = {
                { { HEADER(.length = 0) }, 0 },
                { { HEADER(.length = 0) }, 15 },
                { { HEADER(.length = 1) }, 16 },
                { { HEADER(.length = 1) }, 18 },
                { { HEADER(.length = UINT32_MAX) }, 80 },
                { { { .magic = 1, .version = FRAME_VERSION, .type = FRAME_CALL } }, 16 },
                { { { .magic = FRAME_MAGIC, .version = 2, .type = FRAME_CALL } }, 16 },
                { { { .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = 0 } }, 16 },
                { { { .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_TYPE_MAX } }, 16 },
                { { HEADER(.flags = 2) }, 16 },
                { { HEADER(.reserved = 1) }, 16 },
                { { HEADER(.flags = FRAME_MORE) }, 16 }, /* an endless row of nothing */
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                const char *piece = NULL;
                FrameHeader h = { 0 };

                assert_int_equal(frame_decode(&rows[i].p, rows[i].len, &h, &piece), -EPROTO);
                assert_null(piece);
                assert_int_equal(h.magic, 0);
        }
}

static void pieces_must_belong_together(void **state)
{
        static const FrameHeader second[] = {
                { FRAME_MAGIC, FRAME_VERSION, FRAME_REPLY, 0, 0, 5, 1 },
                { FRAME_MAGIC, FRAME_VERSION, FRAME_CALL, 0, 0, 6, 1 },
        };

        (void) state;
        for (size_t i = 0; i < LENGTH(second); i++) {
                AUTO(frame_assembler_deinit) FrameAssembler a = FRAME_ASSEMBLER_INIT;
                AUTO(frame_deinit) Frame f = FRAME_INIT;
                Packet p = { HEADER(.call = 5, .length = 2, .flags = FRAME_MORE), "ab" }, q = { second[i], "c" };

                assert_int_equal(frame_assembler_feed(&a, &p, 18, -EBADF, &f), 0);
                assert_int_equal(frame_assembler_feed(&a, &q, 17, -EBADF, &f), -EPROTO);
                assert_false(a.has_partial);
                assert_null(f.body.data);
                /* Begins anew. */
                p.header.flags = 0;
                assert_int_equal(frame_assembler_feed(&a, &p, 18, -EBADF, &f), 1);
                assert_string_equal(f.body.data, "ab");
        }
}

static void descriptor_only_with_the_first_piece(void **state)
{
        AUTO(frame_assembler_deinit) FrameAssembler a = FRAME_ASSEMBLER_INIT;
        AUTO(frame_deinit) Frame f = FRAME_INIT;
        Packet p = { HEADER(.length = 2, .flags = FRAME_MORE), "ab" };
        size_t before = open_fds();

        (void) state;
        assert_int_equal(frame_assembler_feed(&a, &p, 18, open("/dev/null", O_RDONLY | O_CLOEXEC), &f), 0);
        assert_int_equal(open_fds(), before + 1);
        assert_int_equal(frame_assembler_feed(&a, &p, 18, open("/dev/null", O_RDONLY | O_CLOEXEC), &f), -EPROTO);
        assert_int_equal(open_fds(), before); /* both closed */
}

static void too_long_a_message(void **state)
{
        AUTO(frame_assembler_deinit) FrameAssembler a = FRAME_ASSEMBLER_INIT;
        AUTO(frame_deinit) Frame f = FRAME_INIT;
        static char packet[sizeof(FrameHeader) + FRAME_PIECE_MAX];
        FrameHeader h = HEADER(.length = FRAME_PIECE_MAX, .flags = FRAME_MORE);
        int r = 0;

        (void) state;
        memcpy(packet, &h, sizeof(h));
        for (size_t i = 0; i < FRAME_BODY_MAX / FRAME_PIECE_MAX; i++)
                assert_int_equal(frame_assembler_feed(&a, packet, sizeof(packet), -EBADF, &f), 0);
        r = frame_assembler_feed(&a, packet, sizeof(packet), -EBADF, &f);
        assert_int_equal(r, -EFBIG);
        assert_false(a.has_partial);
        assert_null(a.partial.body.data);
        assert_int_equal(frame_send(-1, FRAME_CALL, 1, packet, (size_t) FRAME_BODY_MAX + 1, -1), -EFBIG);
}

static void receive_message(int socket, Frame *ret)
{
        AUTO(frame_assembler_deinit) FrameAssembler a = FRAME_ASSEMBLER_INIT;
        static char buf[sizeof(FrameHeader) + FRAME_PIECE_MAX];
        int r;

        do {
                int fd = -EBADF;

                r = frame_recv_packet(socket, buf, sizeof(buf), &fd);
                assert_true(r > 0);
                r = frame_assembler_feed(&a, buf, (size_t) r, fd, ret);
                assert_true(r >= 0);
        } while (r == 0);
}

static void messages_of_all_sizes(void **state)
{
        static const size_t sizes[] = {
                0, 1, FRAME_PIECE_MAX - 1, FRAME_PIECE_MAX, FRAME_PIECE_MAX + 1, 3 * FRAME_PIECE_MAX, 1000000
        };
        static char data[1000000];
        int pair[2], status;
        pid_t pid;

        (void) state;
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char) (i * 7 + i / 251);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        pid = fork();
        if (pid == 0) {
                int r = 0;

                for (size_t i = 0; r == 0 && i < LENGTH(sizes); i++)
                        r = frame_send(pair[1], FRAME_REPLY, (uint32_t) i, data, sizes[i], -1);
                _exit(r == 0 ? 0 : 1);
        }
        (void) close(pair[1]);
        for (size_t i = 0; i < LENGTH(sizes); i++) {
                AUTO(frame_deinit) Frame f = FRAME_INIT;

                receive_message(pair[0], &f);
                assert_int_equal(f.type, FRAME_REPLY);
                assert_int_equal(f.call, i);
                assert_int_equal(f.body.len, sizes[i]);
                assert_true(sizes[i] == 0 || memcmp(f.body.data, data, sizes[i]) == 0);
                assert_true(f.fd < 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        (void) close(pair[0]);
}

static void descriptor_goes_along(void **state)
{
        AUTO(frame_deinit) Frame f = FRAME_INIT;
        int pair[2], fd = memfd_create("x", MFD_CLOEXEC);
        char got[4] = "";
        static char big[2 * FRAME_PIECE_MAX];

        (void) state;
        assert_int_equal(write(fd, "abc", 3), 3);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(frame_send(pair[1], FRAME_CALL, 3, big, sizeof(big), fd), 0);
        (void) close(fd);
        receive_message(pair[0], &f);
        assert_true(f.fd >= 0);
        assert_int_equal(pread(f.fd, got, 3, 0), 3);
        assert_string_equal(got, "abc");
        assert_true(fcntl(f.fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(f.body.len, sizeof(big));
        (void) close(pair[0]);
        (void) close(pair[1]);
}

static void several_descriptors_are_closed_and_refused(void **state)
{
        int pair[2], fds[3] = { 0, 0, 0 }, fd = -EBADF;
        union {
                char bytes[CMSG_SPACE(sizeof(fds))];
                struct cmsghdr align;
        } control = { 0 };
        char buf[64] = "x";
        struct iovec iov = { buf, 16 };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
        };
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        size_t before;

        (void) state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(c), fds, sizeof(fds));
        before = open_fds();
        assert_int_equal(sendmsg(pair[1], &m, 0), 16);
        assert_int_equal(frame_recv_packet(pair[0], buf, sizeof(buf), &fd), -EPROTO);
        assert_int_equal(fd, -EBADF);
        assert_int_equal(open_fds(), before);
        (void) close(pair[0]);
        (void) close(pair[1]);
}

static void packet_larger_than_the_buffer(void **state)
{
        char buf[32];
        int pair[2], fd = -EBADF;

        (void) state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(frame_send(pair[1], FRAME_CALL, 1, "0123456789abcdef0123456789abcdef", 32, -1), 0);
        assert_int_equal(frame_recv_packet(pair[0], buf, sizeof(buf), &fd), -EPROTO);
        (void) close(pair[1]);
        assert_int_equal(frame_recv_packet(pair[0], buf, sizeof(buf), &fd), 0);
        assert_int_equal(frame_send(pair[0], FRAME_CALL, 1, "x", 1, -1), -EPIPE); /* and no SIGPIPE */
        (void) close(pair[0]);
}

static void nothing_to_read(void **state)
{
        char buf[32];
        int pair[2], fd = -EBADF;

        (void) state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(frame_recv_packet(pair[0], buf, sizeof(buf), &fd), -EAGAIN);
        (void) close(pair[0]);
        (void) close(pair[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(decode_of_a_good_packet),
                cmocka_unit_test(decode_of_broken_packets),
                cmocka_unit_test(pieces_must_belong_together),
                cmocka_unit_test(descriptor_only_with_the_first_piece),
                cmocka_unit_test(too_long_a_message),
                cmocka_unit_test(messages_of_all_sizes),
                cmocka_unit_test(descriptor_goes_along),
                cmocka_unit_test(several_descriptors_are_closed_and_refused),
                cmocka_unit_test(packet_larger_than_the_buffer),
                cmocka_unit_test(nothing_to_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
