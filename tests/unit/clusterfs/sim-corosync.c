/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual synchrony as Totem and CPG give it, reduced to what a daemon can see of it.
 *
 * Hosts that reach each other form a ring, which has a log: what was sent in it, in one order. Each host receives the
 * log at its own pace. When the network changes, hosts that stay together first receive the same rest of the old log:
 * all that any of them has received, and beyond that what they themselves have sent; what only others had is lost to
 * them. Then they are told who left, who joined, and the new ring; what they had handed to Corosync and it had not yet
 * put into a log goes into the new one. The quorum is told separately, at a time of its own. A daemon that comes or
 * goes is an entry of the log.
 */
#include "sim-corosync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterfs/corosync.h"

#define OUT_MAX 100u /* then Corosync is busy */

typedef struct Packet {
        unsigned refs;
        Member from;
        size_t len;
        uint8_t data[];
} Packet;

/* A daemon in the group. `life` is another each time it joins. */
typedef struct Seat {
        unsigned host, life;
        Member member;
} Seat;

typedef VEC(Seat) Seats;

enum entry_kind { ENTRY_MESSAGE, ENTRY_JOIN, ENTRY_LEAVE };

typedef struct Entry {
        enum entry_kind kind;
        Seat seat; /* whose */
        Packet *packet;
} Entry;

typedef VEC(Entry) Entries;

typedef struct Ring {
        uint64_t seq;
        uint32_t node;
        unsigned n_hosts;
        Entries log;
} Ring;

/* What waits for the daemon to dispatch it. */
enum item_kind { ITEM_MESSAGE, ITEM_MEMBERS, ITEM_RING };

typedef struct Item {
        enum item_kind kind;
        Packet *packet;
        Seats seats;
        uint64_t ring_seq;
        uint32_t ring_node;
} Item;

struct Corosync {
        unsigned host, life;
        size_t n_members;
        uint32_t pid;
        CorosyncEvents events;
        ClusterInfo info;
        bool wants_join, is_joined, is_lost, is_quorate;
        uint32_t ring_node, quorum_node;
        uint64_t ring_seq, quorum_seq;
};

typedef struct Host {
        Ring *ring;
        size_t received; /* of the ring's log */
        Entries out;     /* sent, in no log yet */
        VEC(Item) inbox;
        size_t head;
        Seats seats; /* of the group, as far as received */
        Corosync *port;
        bool has_quorum_news, is_frozen;
        uint32_t told_node; /* the ring as the daemon was, or would have been, told */
        uint64_t told_seq;
        unsigned life;
} Host;

static struct {
        Host hosts[SIM_HOSTS_MAX];
        unsigned n, next;
        uint64_t random, ring_seq;
        uint32_t pid;
} sim;

uint64_t sim_random(uint64_t n)
{
        sim.random ^= sim.random << 13;
        sim.random ^= sim.random >> 7;
        sim.random ^= sim.random << 17;
        return sim.random * UINT64_C(0x2545f4914f6cdd1d) % n;
}

static void must(int r)
{
        if (r < 0)
                abort(); /* out of memory in a test */
}

/* --- packets, rings, items ------------------------------------------------------------------------------ */

static Packet *packet_ref(Packet *p)
{
        if (p)
                p->refs++;
        return p;
}

static void packet_unref(Packet *p)
{
        if (p && --p->refs == 0)
                free(p);
}

static void entries_clear(Entries *e)
{
        for (size_t i = 0; i < e->n; i++)
                packet_unref(e->items[i].packet);
        VEC_DEINIT(e);
}

static void ring_leave(Host *h)
{
        Ring *r = h->ring;

        h->ring = NULL;
        h->received = 0;
        if (!r || --r->n_hosts > 0)
                return;
        entries_clear(&r->log);
        free(r);
}

static Seats seats_copy(const Seats *from)
{
        Seats to = { 0 };

        for (size_t i = 0; i < from->n; i++)
                must(VEC_PUSH(&to, from->items[i]));
        return to;
}

static void item_clear(Item *i)
{
        packet_unref(i->packet);
        VEC_DEINIT(&i->seats);
}

static void tell(Host *h, Item item)
{
        must(VEC_PUSH(&h->inbox, item));
}

static void tell_members(Host *h)
{
        tell(h, (Item){ .kind = ITEM_MEMBERS, .seats = seats_copy(&h->seats) });
}

/* --- the network ---------------------------------------------------------------------------------------- */

static void receive(Host *h, const Entry *e)
{
        if (e->kind == ENTRY_MESSAGE) {
                tell(h, (Item){ .kind = ITEM_MESSAGE, .packet = packet_ref(e->packet) });
                return;
        }
        if (e->kind == ENTRY_JOIN) {
                must(VEC_PUSH(&h->seats, e->seat));
        } else {
                for (size_t i = 0; i < h->seats.n; i++)
                        if (h->seats.items[i].host == e->seat.host && h->seats.items[i].life == e->seat.life) {
                                VEC_REMOVE(&h->seats, i);
                                break;
                        }
        }
        tell_members(h);
}

static bool stays(const Ring *old, const unsigned *groups, unsigned host, unsigned group)
{
        return sim.hosts[host].ring == old && groups[host] == group;
}

/* The rest of the old log, for those of `old` who go to `group` together. */
static void recover(Ring *old, const unsigned *groups, unsigned group)
{
        size_t max = 0;

        for (unsigned i = 0; i < sim.n; i++)
                if (stays(old, groups, i, group) && sim.hosts[i].received > max)
                        max = sim.hosts[i].received;
        for (unsigned i = 0; i < sim.n; i++) {
                if (!stays(old, groups, i, group))
                        continue;
                for (size_t k = sim.hosts[i].received; k < old->log.n; k++)
                        if (k < max || stays(old, groups, old->log.items[k].seat.host, group))
                                receive(&sim.hosts[i], &old->log.items[k]);
                sim.hosts[i].received = old->log.n;
        }
}

/* Those of the group who are on hosts that come along. */
static void forget_left(Host *h, Ring *old, const unsigned *groups, unsigned group)
{
        size_t before = h->seats.n;

        for (size_t i = 0; i < h->seats.n;)
                if (stays(old, groups, h->seats.items[i].host, group))
                        i++;
                else
                        VEC_REMOVE(&h->seats, i);
        if (h->seats.n != before)
                tell_members(h);
}

static bool has_seat(const Seats *s, const Seat *seat)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->items[i].host == seat->host && s->items[i].life == seat->life)
                        return true;
        return false;
}

static void form_ring(const unsigned *groups, unsigned group)
{
        Ring *r = calloc(1, sizeof(*r));
        Seats all = { 0 };

        must(r ? 0 : -ENOMEM);
        r->seq = ++sim.ring_seq;
        for (unsigned i = 0; i < sim.n; i++)
                for (size_t k = 0; groups[i] == group && k < sim.hosts[i].seats.n; k++)
                        if (!has_seat(&all, &sim.hosts[i].seats.items[k]))
                                must(VEC_PUSH(&all, sim.hosts[i].seats.items[k]));
        for (unsigned i = 0; i < sim.n; i++) {
                Host *h = &sim.hosts[i];

                if (groups[i] != group)
                        continue;
                if (h->seats.n != all.n) {
                        VEC_DEINIT(&h->seats);
                        h->seats = seats_copy(&all);
                        tell_members(h);
                }
                ring_leave(h);
                if (r->node == 0)
                        r->node = i + 1;
                h->ring = r;
                r->n_hosts++;
                h->has_quorum_news = true;
                tell(h, (Item){ .kind = ITEM_RING, .ring_seq = r->seq, .ring_node = r->node });
        }
        VEC_DEINIT(&all);
}

static bool is_unchanged(const unsigned *groups, unsigned group)
{
        Ring *ring = NULL;
        unsigned n = 0;

        for (unsigned i = 0; i < sim.n; i++) {
                if (groups[i] != group)
                        continue;
                if (n++ > 0 && sim.hosts[i].ring != ring)
                        return false;
                ring = sim.hosts[i].ring;
        }
        return n == 0 || (ring && ring->n_hosts == n);
}

void sim_partition(const unsigned *groups)
{
        bool changes[SIM_HOSTS_MAX];

        for (unsigned g = 0; g < SIM_HOSTS_MAX; g++)
                changes[g] = !is_unchanged(groups, g);
        for (unsigned i = 0; i < sim.n; i++)
                if (changes[groups[i]] && sim.hosts[i].ring)
                        recover(sim.hosts[i].ring, groups, groups[i]);
        for (unsigned i = 0; i < sim.n; i++)
                if (changes[groups[i]])
                        forget_left(&sim.hosts[i], sim.hosts[i].ring, groups, groups[i]);
        for (unsigned g = 0; g < SIM_HOSTS_MAX; g++)
                if (changes[g])
                        form_ring(groups, g);
}

bool sim_has_quorum(unsigned host)
{
        return sim.hosts[host].ring->n_hosts * 2 > sim.n;
}

/* --- what a daemon is told ------------------------------------------------------------------------------ */

static void send_entry(Host *h, Entry e)
{
        must(VEC_PUSH(&h->out, e));
}

static Seat own_seat(const Corosync *c)
{
        return (Seat){ .host = c->host, .life = c->life, .member = { c->host + 1, c->pid } };
}

static void disconnect(Corosync *c)
{
        if (c->life)
                send_entry(&sim.hosts[c->host], (Entry){ .kind = ENTRY_LEAVE, .seat = own_seat(c) });
        c->life = 0;
        c->is_joined = c->is_lost = c->is_quorate = false;
        c->ring_seq = c->quorum_seq = 0;
        c->ring_node = c->quorum_node = 0;
}

static void settled(Corosync *c)
{
        if (c->is_lost) {
                disconnect(c);
                c->wants_join = true;
                c->events.members(c->events.userdata, NULL, 0);
        }
        c->events.settled(c->events.userdata);
}

/* While the quorum of the present ring is still to come nothing is taken back. */
static void tell_quorum(Corosync *c)
{
        c->events.quorum(c->events.userdata, corosync_quorum_is_current(c) ? corosync_is_quorate(c) : c->is_quorate);
}

static void dispatch_members(Corosync *c, const Item *item)
{
        Member members[SIM_HOSTS_MAX];
        bool is_in = false, is_first = !c->is_joined;

        for (size_t i = 0; i < item->seats.n; i++) {
                members[i] = item->seats.items[i].member;
                is_in |= item->seats.items[i].host == c->host && item->seats.items[i].life == c->life;
        }
        if (!is_in)
                return;
        c->is_joined = true;
        c->n_members = item->seats.n;
        c->events.members(c->events.userdata, members, item->seats.n);
        if (is_first) {
                c->ring_seq = sim.hosts[c->host].told_seq;
                c->ring_node = sim.hosts[c->host].told_node;
        }
        tell_quorum(c);
}

static void dispatch_item(Host *h)
{
        Item item = h->inbox.items[h->head++];
        Corosync *c = h->port;

        if (h->head == h->inbox.n)
                h->head = h->inbox.n = 0;
        if (item.kind == ITEM_RING) {
                h->told_seq = item.ring_seq;
                h->told_node = item.ring_node;
        }
        if (c && item.kind == ITEM_MEMBERS) {
                dispatch_members(c, &item);
        } else if (c && c->is_joined && item.kind == ITEM_RING) {
                c->ring_seq = item.ring_seq;
                c->ring_node = item.ring_node;
                tell_quorum(c);
        } else if (c && c->is_joined && item.kind == ITEM_MESSAGE) {
                c->events.message(c->events.userdata, item.packet->from, item.packet->data, item.packet->len);
        }
        item_clear(&item);
}

/* Several at once, as cpg_dispatch() gives them to a daemon that was busy. */
static void dispatch(Host *h)
{
        for (size_t n = 1 + sim_random(40); n > 0 && h->head < h->inbox.n && !(h->port && h->port->is_lost); n--)
                dispatch_item(h);
        if (h->port)
                settled(h->port);
}

static void dispatch_quorum(Host *h)
{
        Corosync *c = h->port;

        h->has_quorum_news = false;
        c->quorum_seq = h->ring->seq;
        c->quorum_node = h->ring->node;
        c->is_quorate = sim_has_quorum(c->host);
        for (unsigned i = 0; i < sim.n; i++)
                c->info.nodes.items[i].is_online = sim.hosts[i].ring == h->ring;
        tell_quorum(c);
        settled(c);
}

static void join(Host *h)
{
        Corosync *c = h->port;

        c->wants_join = false;
        c->life = ++h->life;
        h->has_quorum_news = true;
        send_entry(h, (Entry){ .kind = ENTRY_JOIN, .seat = own_seat(c) });
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static void put_in_order(Host *h)
{
        size_t n = 1 + sim_random(8);

        n = n < h->out.n ? n : h->out.n;
        for (size_t i = 0; i < n; i++)
                must(VEC_PUSH(&h->ring->log, h->out.items[i]));
        memmove(h->out.items, h->out.items + n, (h->out.n - n) * sizeof(*h->out.items));
        h->out.n -= n;
}

static void receive_some(Host *h)
{
        size_t end = h->received + 1 + sim_random(8);

        while (h->received < h->ring->log.n && h->received < end)
                receive(h, &h->ring->log.items[h->received++]);
}

static bool host_step(Host *h)
{
        bool is_awake = h->port && !h->is_frozen;
        void (*can[5])(Host * h);
        size_t n = 0;

        if (h->out.n)
                can[n++] = put_in_order;
        if (h->received < h->ring->log.n)
                can[n++] = receive_some;
        if (h->head < h->inbox.n && (is_awake || !h->port))
                can[n++] = dispatch;
        if (is_awake && h->has_quorum_news && (h->port->life || h->port->wants_join))
                can[n++] = dispatch_quorum;
        if (is_awake && h->port->wants_join)
                can[n++] = join;
        if (n)
                can[sim_random(n)](h);
        return n > 0;
}

bool sim_step(void)
{
        unsigned first = (unsigned) sim_random(sim.n);

        for (unsigned i = 0; i < sim.n; i++)
                if (host_step(&sim.hosts[(first + i) % sim.n]))
                        return true;
        return false;
}

void sim_freeze(unsigned host, bool frozen)
{
        sim.hosts[host].is_frozen = frozen;
}

bool sim_is_frozen(unsigned host)
{
        return sim.hosts[host].is_frozen;
}

void sim_use(unsigned host)
{
        sim.next = host;
}

void sim_init(unsigned n_hosts, uint64_t seed)
{
        unsigned groups[SIM_HOSTS_MAX] = { 0 };

        memset(&sim, 0, sizeof(sim));
        sim.n = n_hosts;
        sim.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        sim.pid = 1000;
        for (unsigned i = n_hosts; i < SIM_HOSTS_MAX; i++)
                groups[i] = SIM_HOSTS_MAX;
        sim_partition(groups);
}

void sim_deinit(void)
{
        for (unsigned i = 0; i < sim.n; i++) {
                Host *h = &sim.hosts[i];

                ring_leave(h);
                entries_clear(&h->out);
                for (size_t k = h->head; k < h->inbox.n; k++)
                        item_clear(&h->inbox.items[k]);
                VEC_DEINIT(&h->inbox);
                VEC_DEINIT(&h->seats);
        }
}

/* --- clusterfs/corosync.h ------------------------------------------------------------------------------- */

int corosync_new(sd_event *event, const char *group, const CorosyncEvents *events, Corosync **ret)
{
        Corosync *c = calloc(1, sizeof(*c));

        (void) event, (void) group;
        must(c ? 0 : -ENOMEM);
        c->host = sim.next;
        c->pid = ++sim.pid;
        c->events = *events;
        c->wants_join = true;
        c->info.nodeid = c->host + 1;
        for (unsigned i = 0; i < sim.n; i++) {
                ClusterNode n = { .nodeid = i + 1 };

                (void) snprintf(n.name, sizeof(n.name), "n%u", i + 1);
                must(VEC_PUSH(&c->info.nodes, n));
        }
        sim.hosts[c->host].port = c;
        *ret = c;
        return 0;
}

Corosync *corosync_free(Corosync *c)
{
        if (!c)
                return NULL;
        disconnect(c);
        sim.hosts[c->host].port = NULL;
        VEC_DEINIT(&c->info.nodes);
        free(c);
        return NULL;
}

int corosync_send(Corosync *c, const void *header, size_t header_len, const void *data, size_t len)
{
        Host *h = &sim.hosts[c->host];
        Packet *p;

        if (!c->is_joined)
                return -ENOTCONN;
        if (h->out.n >= OUT_MAX)
                return -EAGAIN;
        p = malloc(sizeof(*p) + header_len + len);
        must(p ? 0 : -ENOMEM);
        p->refs = 1;
        p->from = own_seat(c).member;
        p->len = header_len + len;
        memcpy(p->data, header, header_len);
        if (len)
                memcpy(p->data + header_len, data, len);
        send_entry(h, (Entry){ .kind = ENTRY_MESSAGE, .seat = own_seat(c), .packet = p });
        return 0;
}

void corosync_restart(Corosync *c)
{
        c->is_lost = true;
}

void corosync_is_well(Corosync *c)
{
        (void) c;
}

bool corosync_is_joined(const Corosync *c)
{
        return c->is_joined;
}

bool corosync_quorum_is_current(const Corosync *c)
{
        return c->is_joined && c->ring_seq == c->quorum_seq && c->ring_node == c->quorum_node;
}

bool corosync_is_quorate(const Corosync *c)
{
        return corosync_quorum_is_current(c) && c->is_quorate && corosync_is_enough(c, c->n_members);
}

bool corosync_is_enough(const Corosync *c, size_t n_members)
{
        (void) c;
        return n_members * 2 > sim.n;
}

void corosync_ring(const Corosync *c, uint32_t *ret_node, uint64_t *ret_seq)
{
        *ret_node = c->ring_node;
        *ret_seq = c->ring_seq;
}

const ClusterInfo *corosync_info(const Corosync *c)
{
        return &c->info;
}

void corosync_reload(void)
{
}
