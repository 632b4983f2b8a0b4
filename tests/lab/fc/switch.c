/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Fibre Channel switch of the lab: passes Ethernet frames (FCoE) between the ports of QEMU machines, which connect
 * with `-netdev stream` over Unix sockets and send each frame after its length, u32 big endian.
 *
 * As on a real switch two ports hear of each other only if a zone says so; without zones nothing passes. A port that is
 * down passes nothing in either direction, and the machine behind it is not told. Multicasts go to every zoned port,
 * a unicast to the port that last sent from that address, or to every zoned port while none did. Nothing is dropped
 * that Fibre Channel would not drop: frames wait in the receiving port's queue, up to QUEUE_MAX.
 *
 * A path can be cut between two SCSI commands: `hold` drops new ones, `busy` tells how many are not answered yet. The
 * array's kernel needs that (tcm_fc, Linux 6.1): the end of a session waits, with locks that all sessions share, for a
 * write whose data was lost on the way, which is for ever; no real array hangs because a cable was pulled.
 *
 *   fc-switch CONTROL NAME=SOCKET...
 *
 * CONTROL is a Unix socket that takes commands, a line each, and answers each with a line `ok` or `error: ...`:
 * zone A B, unzone A B, hold A B, release A B, up A, down A. `busy A B` answers with a number, `show` with a line a
 * port (name, up|down, connected|free, frames in, frames out, frames dropped, zoned ports...), then `ok`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORTS_MAX 16
#define ADDRESSES_MAX 8 /* a port's own and those of its Fibre Channel side */
#define HEAD 4          /* the length before a frame */
#define FRAME_MIN 14
#define INPUT_MAX (256u << 10)
#define QUEUE_MAX (32u << 20)
#define SOCKET_BUFFER (4 << 20)
#define LINE_LEN 256
#define EXCHANGES_MAX 4096
/* A frame's offsets: Ethernet's type, then 14 bytes of FCoE, then the header of Fibre Channel (FC-FS-3, 9). */
#define ETHER_TYPE 12
#define FC_HEADER 28
#define FC_TYPE (FC_HEADER + 8)
#define FC_OX_ID (FC_HEADER + 16)
#define FC_PAYLOAD (FC_HEADER + 24)
#define TYPE_FCOE 0x8906
#define TYPE_ELS 0x01
#define TYPE_FCP 0x08

typedef struct Address {
        uint8_t byte[6];
} Address;

typedef struct Port {
        const char *name;
        int listener;
        int fd; /* -1: no machine */
        bool is_up;
        bool zoned[PORTS_MAX], held[PORTS_MAX];
        Address addresses[ADDRESSES_MAX]; /* the latest first */
        size_t n_addresses;
        uint64_t received, sent, dropped;
        uint8_t *input;
        size_t input_len;
        uint8_t *queue;
        size_t queue_begin, queue_end, queue_size;
} Port;

/* A SCSI command between two ports that was passed on, and whose status has not come back. */
typedef struct Exchange {
        const Port *initiator, *target;
        uint16_t id;
} Exchange;

static Port ports[PORTS_MAX];
static size_t n_ports;
static Exchange exchanges[EXCHANGES_MAX];
static size_t n_exchanges;

static void die(const char *what)
{
        perror(what);
        exit(1);
}

static int listen_at(const char *path)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(a.sun_path)) {
                errno = ENAMETOOLONG;
                die(path);
        }
        memcpy(a.sun_path, path, strlen(path) + 1);
        (void) unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 8) < 0)
                die(path);
        return fd;
}

/* --- ports */

static Port *port_find(const char *name)
{
        for (size_t i = 0; i < n_ports; i++)
                if (strcmp(ports[i].name, name) == 0)
                        return &ports[i];
        return NULL;
}

static void port_hang_up(Port *p)
{
        if (p->fd >= 0)
                (void) close(p->fd);
        p->fd = -1;
        p->n_addresses = p->input_len = p->queue_begin = p->queue_end = 0;
}

static void port_accept(Port *p)
{
        int fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), size = SOCKET_BUFFER;

        if (fd < 0)
                return;
        port_hang_up(p);
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        p->fd = fd;
}

static void port_flush(Port *p)
{
        while (p->queue_begin < p->queue_end) {
                ssize_t n = send(p->fd, p->queue + p->queue_begin, p->queue_end - p->queue_begin,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0)
                        return; /* full: poll tells; gone: the reading side finds out */
                p->queue_begin += (size_t) n;
        }
        p->queue_begin = p->queue_end = 0;
}

/* Makes room for len more bytes at the end of the queue. */
static bool port_reserve(Port *p, size_t len)
{
        size_t used = p->queue_end - p->queue_begin;
        uint8_t *more;

        if (used + len > QUEUE_MAX)
                return false;
        if (p->queue_end + len <= p->queue_size)
                return true;
        if (used > 0)
                memmove(p->queue, p->queue + p->queue_begin, used);
        p->queue_begin = 0;
        p->queue_end = used;
        if (used + len <= p->queue_size)
                return true;
        more = realloc(p->queue, 2 * (used + len));
        if (!more)
                return false;
        p->queue = more;
        p->queue_size = 2 * (used + len);
        return true;
}

static void port_send(Port *p, const uint8_t *data, size_t len)
{
        if (p->fd < 0 || !p->is_up || !port_reserve(p, len)) {
                p->dropped++;
                return;
        }
        memcpy(p->queue + p->queue_end, data, len);
        p->queue_end += len;
        p->sent++;
}

static bool port_has_address(const Port *p, const uint8_t *address)
{
        for (size_t i = 0; i < p->n_addresses; i++)
                if (memcmp(p->addresses[i].byte, address, sizeof(Address)) == 0)
                        return true;
        return false;
}

/* The address is that port's from now on, and no other's. */
static void port_learn(Port *p, const uint8_t *address)
{
        if (port_has_address(p, address))
                return;
        for (size_t i = 0; i < n_ports; i++)
                for (size_t k = 0; k < ports[i].n_addresses; k++)
                        if (memcmp(ports[i].addresses[k].byte, address, sizeof(Address)) == 0)
                                ports[i].addresses[k] = ports[i].addresses[--ports[i].n_addresses];
        if (p->n_addresses < ADDRESSES_MAX)
                p->n_addresses++;
        memmove(p->addresses + 1, p->addresses, (p->n_addresses - 1) * sizeof(Address));
        memcpy(p->addresses[0].byte, address, sizeof(Address));
}

/* --- SCSI commands on their way */

static void exchange_end(const Port *initiator, const Port *target, uint16_t id)
{
        for (size_t i = 0; i < n_exchanges; i++)
                if (exchanges[i].initiator == initiator && exchanges[i].target == target && exchanges[i].id == id)
                        exchanges[i--] = exchanges[--n_exchanges];
}

/* A login or logoff between two ports ends all that was between them. */
static void exchange_end_all(const Port *a, const Port *b)
{
        for (size_t i = 0; i < n_exchanges; i++)
                if ((exchanges[i].initiator == a && exchanges[i].target == b) ||
                    (exchanges[i].initiator == b && exchanges[i].target == a))
                        exchanges[i--] = exchanges[--n_exchanges];
}

static unsigned exchange_count(const Port *a, const Port *b)
{
        unsigned n = 0;

        for (size_t i = 0; i < n_exchanges; i++)
                if ((exchanges[i].initiator == a && exchanges[i].target == b) ||
                    (exchanges[i].initiator == b && exchanges[i].target == a))
                        n++;
        return n;
}

/* Follows the commands by the routing control of their frames (FC-FS-3, 9.3); false: the frame is held back. */
static bool exchange_follow(const Port *from, const Port *to, const uint8_t *frame, size_t len)
{
        enum { COMMAND = 0x06, STATUS = 0x07, LINK_SERVICE = 0x22, ABORT_TAKEN = 0x84, ABORT_REFUSED = 0x85 };
        enum { PLOGI = 0x03, LOGO = 0x05 };
        uint16_t id;

        if (len <= FC_PAYLOAD || (frame[ETHER_TYPE] << 8 | frame[ETHER_TYPE + 1]) != TYPE_FCOE)
                return true;
        id = (uint16_t) (frame[FC_OX_ID] << 8 | frame[FC_OX_ID + 1]);
        switch (frame[FC_HEADER]) {
        case COMMAND:
                if (frame[FC_TYPE] != TYPE_FCP)
                        break;
                if (from->held[to - ports])
                        return false;
                exchange_end(from, to, id); /* a number is used again only after its last command */
                if (n_exchanges < EXCHANGES_MAX)
                        exchanges[n_exchanges++] = (Exchange){ from, to, id };
                break;
        case LINK_SERVICE:
                if (frame[FC_TYPE] == TYPE_ELS && (frame[FC_PAYLOAD] == PLOGI || frame[FC_PAYLOAD] == LOGO))
                        exchange_end_all(from, to);
                break;
        case STATUS:
        case ABORT_TAKEN:
        case ABORT_REFUSED:
                exchange_end(to, from, id);
                break;
        default:
                break;
        }
        return true;
}

/* --- frames */

/* One frame, with its length before it, from a port to whom it is for. */
static void pass(Port *from, const uint8_t *data, size_t len)
{
        const uint8_t *to = data + HEAD, *source = to + sizeof(Address);
        Port *known = NULL;

        from->received++;
        if (!from->is_up || len < HEAD + FRAME_MIN) {
                from->dropped++;
                return;
        }
        if (!(source[0] & 1))
                port_learn(from, source);
        for (size_t i = 0; i < n_ports && !known && !(to[0] & 1); i++)
                if (port_has_address(&ports[i], to))
                        known = &ports[i];
        if (known && from->zoned[known - ports] && !exchange_follow(from, known, to, len - HEAD)) {
                from->dropped++;
                return;
        }
        for (size_t i = 0; i < n_ports; i++)
                if (from->zoned[i] && (!known || known == &ports[i]))
                        port_send(&ports[i], data, len);
}

static void port_receive(Port *p)
{
        ssize_t n = read(p->fd, p->input + p->input_len, INPUT_MAX - p->input_len);
        size_t done = 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                port_hang_up(p);
                return;
        }
        p->input_len += (size_t) n;
        while (p->input_len - done >= HEAD) {
                uint32_t len;

                memcpy(&len, p->input + done, HEAD);
                len = ntohl(len);
                if (len > INPUT_MAX - HEAD) {
                        fprintf(stderr, "%s: a frame of %u bytes; hung up\n", p->name, len);
                        port_hang_up(p);
                        return;
                }
                if (p->input_len - done < HEAD + len)
                        break;
                pass(p, p->input + done, HEAD + len);
                done += HEAD + len;
        }
        p->input_len -= done;
        memmove(p->input, p->input + done, p->input_len);
}

/* --- commands */

static void answer(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void answer(int fd, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void) vdprintf(fd, format, ap);
        va_end(ap);
}

static void show(int fd)
{
        for (size_t i = 0; i < n_ports; i++) {
                const Port *p = &ports[i];

                answer(fd, "%s %s %s %llu %llu %llu", p->name, p->is_up ? "up" : "down",
                       p->fd >= 0 ? "connected" : "free", (unsigned long long) p->received,
                       (unsigned long long) p->sent, (unsigned long long) p->dropped);
                for (size_t k = 0; k < n_ports; k++)
                        if (p->zoned[k])
                                answer(fd, " %s", ports[k].name);
                answer(fd, "\n");
        }
        answer(fd, "ok\n");
}

static void command_pair(int fd, const char *verb, Port *p, Port *q)
{
        bool *zoned[] = { &p->zoned[q - ports], &q->zoned[p - ports] };
        bool *held[] = { &p->held[q - ports], &q->held[p - ports] };

        if (strcmp(verb, "zone") == 0 || strcmp(verb, "unzone") == 0) {
                *zoned[0] = *zoned[1] = verb[0] == 'z';
        } else if (strcmp(verb, "hold") == 0 || strcmp(verb, "release") == 0) {
                *held[0] = *held[1] = verb[0] == 'h';
        } else if (strcmp(verb, "busy") == 0) {
                answer(fd, "%u\n", exchange_count(p, q));
        } else {
                answer(fd, "error: no command '%s'\n", verb);
                return;
        }
        answer(fd, "ok\n");
}

static void command(int fd, const char *line)
{
        char verb[16] = "", a[32] = "", b[32] = "";
        Port *p, *q;

        (void) sscanf(line, "%15s %31s %31s", verb, a, b);
        p = port_find(a);
        q = port_find(b);
        if (strcmp(verb, "show") == 0) {
                show(fd);
        } else if (strcmp(verb, "up") == 0 || strcmp(verb, "down") == 0) {
                if (p)
                        p->is_up = verb[0] == 'u';
                answer(fd, p ? "ok\n" : "error: no port '%s'\n", a);
        } else if (!p || !q || p == q) {
                answer(fd, "error: '%s' and '%s' are not two ports\n", a, b);
        } else {
                command_pair(fd, verb, p, q);
        }
}

/* One connection: lines until its end. Who connects is the lab's own command, which does not dawdle. */
static void serve(int listener)
{
        struct timeval patience = { .tv_sec = 2 };
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        char line[LINE_LEN];
        FILE *f;

        if (fd < 0)
                return;
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        f = fdopen(fd, "r");
        if (!f) {
                (void) close(fd);
                return;
        }
        while (fgets(line, sizeof(line), f))
                command(fd, line);
        (void) fclose(f);
}

static void step(int control)
{
        struct pollfd p[1 + 2 * PORTS_MAX] = { { control, POLLIN, 0 } };

        for (size_t i = 0; i < n_ports; i++) {
                short events = ports[i].queue_begin < ports[i].queue_end ? POLLIN | POLLOUT : POLLIN;

                p[1 + 2 * i] = (struct pollfd){ ports[i].listener, POLLIN, 0 };
                p[2 + 2 * i] = (struct pollfd){ ports[i].fd, events, 0 };
        }
        if (poll(p, 1 + 2 * n_ports, -1) < 0)
                return;
        if (p[0].revents)
                serve(control);
        for (size_t i = 0; i < n_ports; i++) {
                if (p[1 + 2 * i].revents)
                        port_accept(&ports[i]); /* a new machine ends the old one's connection */
                else if (ports[i].fd >= 0 && p[2 + 2 * i].revents & (POLLIN | POLLHUP | POLLERR))
                        port_receive(&ports[i]);
        }
        for (size_t i = 0; i < n_ports; i++)
                if (ports[i].fd >= 0)
                        port_flush(&ports[i]);
}

int main(int argc, char **argv)
{
        int control;

        if (argc < 3 || argc - 2 > PORTS_MAX) {
                fprintf(stderr, "usage: fc-switch CONTROL NAME=SOCKET... (up to %d)\n", PORTS_MAX);
                return 2;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        for (int i = 2; i < argc; i++) {
                char *path = strchr(argv[i], '=');
                uint8_t *input = malloc(INPUT_MAX);

                if (!path || !input) {
                        fprintf(stderr, "fc-switch: '%s' is not NAME=SOCKET\n", argv[i]);
                        return 2;
                }
                *path++ = '\0';
                ports[n_ports++] =
                        (Port){ .name = argv[i], .listener = listen_at(path), .fd = -1, .is_up = true, .input = input };
        }
        control = listen_at(argv[1]); /* last: who finds it finds all ports */
        for (;;)
                step(control);
}
