/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames on a SOCK_SEQPACKET socket. The kernel keeps the packets apart, so a header never has to be searched
 * for: a packet is a header and exactly the piece it announces, or the peer is broken. A message of several pieces
 * keeps type and call number in all of them, has no empty piece but the last, and its descriptor comes with the first.
 */
#include "wire/frame.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <storaged/cleanup.h>

#define FDS_MAX 8 /* room for more than the one allowed, so that superfluous ones are seen and closed */

void frame_deinit(Frame *f)
{
        strbuf_deinit(&f->body);
        closep(&f->fd);
        *f = FRAME_INIT;
}

int frame_decode(const void *packet, size_t len, FrameHeader *ret_header, const char **ret_piece)
{
        FrameHeader h;

        if (len < sizeof(h))
                return -EPROTO;
        memcpy(&h, packet, sizeof(h));
        if (h.magic != FRAME_MAGIC || h.version != FRAME_VERSION || h.reserved != 0)
                return -EPROTO;
        if (h.type < FRAME_CALL || h.type >= FRAME_TYPE_MAX || (h.flags & ~FRAME_MORE))
                return -EPROTO;
        if (h.length != len - sizeof(h) || h.length > FRAME_PIECE_MAX)
                return -EPROTO;
        if ((h.flags & FRAME_MORE) && h.length == 0)
                return -EPROTO;

        *ret_header = h;
        *ret_piece = (const char *) packet + sizeof(h);
        return 0;
}

void frame_assembler_deinit(FrameAssembler *a)
{
        frame_deinit(&a->partial);
        a->has_partial = false;
}

static int assembler_add(FrameAssembler *a, const void *packet, size_t len, int *fd)
{
        Frame *p = &a->partial;
        FrameHeader h;
        const char *piece;
        int r;

        r = frame_decode(packet, len, &h, &piece);
        if (r < 0)
                return r;
        if (a->has_partial) {
                if (h.type != p->type || h.call != p->call || *fd >= 0)
                        return -EPROTO;
        } else {
                p->type = h.type;
                p->call = h.call;
                p->fd = TAKE_FD(*fd);
                a->has_partial = true;
        }
        if (h.length > FRAME_BODY_MAX - p->body.len)
                return -EFBIG;
        strbuf_add(&p->body, piece, h.length);
        r = strbuf_error(&p->body);
        return r < 0 ? r : !(h.flags & FRAME_MORE);
}

/* `fd` is the assembler's from here on, also on failure. */
int frame_assembler_feed(FrameAssembler *a, const void *packet, size_t len, int fd, Frame *ret)
{
        AUTO(closep) int owned = fd;
        int r = assembler_add(a, packet, len, &owned);

        if (r < 0)
                frame_assembler_deinit(a);
        if (r <= 0)
                return r;

        *ret = a->partial;
        *a = FRAME_ASSEMBLER_INIT;
        return 1;
}

static int send_packet(int socket, const FrameHeader *h, const char *piece, int fd)
{
        struct iovec iov[] = { { (void *) h, sizeof(*h) }, { (void *) piece, h->length } };
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
        ssize_t n;

        if (fd >= 0) {
                struct cmsghdr *c;

                m.msg_control = control.bytes;
                m.msg_controllen = sizeof(control.bytes);
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(int));
        }
        do
                n = sendmsg(socket, &m, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

int frame_send(int socket, uint8_t type, uint32_t call, const void *body, size_t len, int fd)
{
        const char *p = body;

        if (len > FRAME_BODY_MAX)
                return -EFBIG;
        do {
                size_t n = len < FRAME_PIECE_MAX ? len : FRAME_PIECE_MAX;
                FrameHeader h = {
                        .magic = FRAME_MAGIC,
                        .version = FRAME_VERSION,
                        .type = type,
                        .flags = n < len ? FRAME_MORE : 0,
                        .call = call,
                        .length = (uint32_t) n,
                };
                int r = send_packet(socket, &h, p, fd);

                if (r < 0)
                        return r;
                fd = -1;
                len -= n;
                if (n > 0)
                        p += n;
        } while (len > 0);
        return 0;
}

/* The descriptors of a message, at most `max`; all that came are the caller's. */
static size_t take_fds(struct msghdr *m, int *fds, size_t max)
{
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                size_t k;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < k && n < max; i++)
                        memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
        return n;
}

int frame_recv_packet(int socket, void *buf, size_t size, int *ret_fd)
{
        struct iovec iov = { buf, size };
        union {
                char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control;
        struct msghdr m = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        int fds[FDS_MAX];
        size_t n_fds;
        ssize_t n;

        do
                n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        n_fds = take_fds(&m, fds, FDS_MAX);
        if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n_fds > 1 || (n == 0 && n_fds > 0)) {
                for (size_t i = 0; i < n_fds; i++)
                        (void) close(fds[i]);
                return -EPROTO;
        }

        *ret_fd = n_fds == 1 ? fds[0] : -EBADF;
        return (int) n;
}
