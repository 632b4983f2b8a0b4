#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks that fall apart: each minority, no majority anywhere, loss in one direction, flapping; three and five nodes.

While the network is broken and healed clients on all nodes read and write. At the end every register was one (recorder.py),
no acknowledged write is lost, all trees are the same, and every node can write. COUNT_SCALE of the cases are run (at
least one of each kind), others each time: the seed is printed, PARTITION_SEED=N repeats it; `make soak` runs all.
"""
import errno
import itertools
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import is_errno, wait_until
from clustercase import SCALE, ClusterCase, get, put, scaled
from harness import main, slow
from recorder import Recorder
from yardstick import Yardstick

SEED = int(os.environ.get("PARTITION_SEED", time.time_ns() % 100000))


def some(cases, rng):
    """COUNT_SCALE of them."""
    cases = list(cases)
    return cases if SCALE >= 1 else rng.sample(cases, scaled(len(cases)))


class Partitions(ClusterCase):
    def setUp(self):
        self.rng = random.Random(SEED)
        self.tell(f"COUNT_SCALE={SCALE:g}, PARTITION_SEED={SEED}")

    def others(self, nodes):
        return [n for n in self.c.nodes if n not in nodes]

    def names(self, nodes):
        return "+".join(n.name for n in nodes)

    def recorded(self, what, fault, quorate, cut):
        """`fault()` breaks the network; `quorate` must go on, `cut` must refuse, until it is healed."""
        put(self.c[0].path("before"), "1")
        with Recorder(self.c.nodes) as rec:
            rec.wait_for_writes()
            begun = time.monotonic()
            fault()
            for n in cut:
                wait_until(f"{what}: {n.name} is read-only", lambda n=n: not n.is_quorate(), 30)
            for n in cut:
                with Yardstick(self.tmp) as yard:
                    t = time.monotonic()
                    self.assertTrue(is_errno(lambda n=n: put(n.path("before"), "2"), errno.EACCES, errno.EPERM), n.name)
                    refused = time.monotonic() - t
                self.assertLess(refused, yard.allows(0.1))
                self.assertEqual(get(n.path("before")), "1")
            for n in quorate:
                n.wait_writable(40)
            time.sleep(1)  # of reading and writing in this state
            lasted = time.monotonic() - begun
            self.c.join()
            begun = time.monotonic()
            for n in self.c.nodes:
                n.wait_writable(60)
            healed = time.monotonic() - begun
            rec.wait_for_writes()
        self.whole()
        self.same_versions()
        peace = quorate if quorate and cut else ()
        self.tell(f"{what}: {rec.check(peace)}; broken for {lasted:.1f} s, writable everywhere {healed:.1f} s after healing")

    def same_versions(self):
        """What .version counts per file may differ (counters are each daemon's), what .members and .vmlist say may not."""
        lists = [json.loads(get(n.path(".vmlist"))).get("ids", {}) for n in self.c.nodes]
        places = [{vmid: (e["node"], e["type"]) for vmid, e in ids.items()} for ids in lists]
        self.assertTrue(all(p == places[0] for p in places), places)
        for n in self.c.nodes:
            m = json.loads(get(n.path(".members")))
            self.assertEqual((m["cluster"]["quorate"], m["cluster"]["nodes"]), (1, len(self.c.nodes)))
            self.assertTrue(all(e["online"] for e in m["nodelist"].values()), m)

    def minorities(self):
        nodes = self.c.nodes
        return [list(m) for k in range(1, (len(nodes) + 1) // 2) for m in itertools.combinations(nodes, k)]

    def each_minority(self):
        for m in some(self.minorities(), self.rng):
            self.recorded(f"without {self.names(m)}", lambda m=m: self.c.split(self.others(m), m), self.others(m), m)

    def no_majority(self, *parts):
        for _ in range(scaled(3)):
            nodes = self.c.nodes[:]
            self.rng.shuffle(nodes)
            groups, rest = [], nodes
            for k in parts:
                groups.append(rest[:k])
                rest = rest[k:]
            self.recorded("|".join(map(self.names, groups)), lambda g=groups: self.c.split(*g), [], self.c.nodes)

    def one_way(self):
        """What is sent to a node is lost; or what it sends; or only what one other sends to it."""
        kinds = [(n, kind) for n in self.c.nodes for kind in ("deaf", "mute", "pair")]
        for n, kind in some(kinds, self.rng):
            def fault(n=n, kind=kind):
                if kind == "deaf":
                    n.deafen(self.others([n]))
                elif kind == "mute":
                    for o in self.others([n]):
                        o.deafen([n])
                else:
                    n.deafen(self.others([n])[:1])
                if kind == "pair":  # whom Corosync leaves out then is its own matter: a majority must go on
                    time.sleep(5)
                    wait_until("a majority goes on", lambda: sum(x.is_quorate() for x in self.c.nodes) > len(self.c.nodes) / 2, 30)
            lost = [n] if kind != "pair" else []
            self.recorded(f"{n.name} {kind}", fault, self.others([n]) if lost else [], lost)

    def flapping(self):
        for _ in range(scaled(5)):
            n = self.rng.choice(self.c.nodes)

            def fault(n=n):
                for _ in range(6):
                    pause = self.rng.choice((0.2, 0.8, 1.5, 2.5))
                    n.cut()
                    time.sleep(pause)  # how long the cable is out is the fault itself
                    n.heal()
                    time.sleep(self.rng.choice((0.1, 0.7, 1.5)))
            self.recorded(f"{n.name} flaps", fault, self.c.nodes, [])


class Three(Partitions):
    def test_3_each_minority(self):
        self.each_minority()

    def test_3_nobody_has_a_majority(self):
        self.no_majority(1, 1, 1)

    def test_3_loss_in_one_direction(self):
        self.one_way()

    @slow()
    def test_3_flapping(self):
        self.flapping()


@slow()
class Five(Partitions):
    N = 5

    def test_5_each_minority(self):
        self.each_minority()

    def test_5_nobody_has_a_majority(self):
        self.no_majority(2, 2, 1)

    def test_5_loss_in_one_direction(self):
        self.one_way()

    def test_5_flapping(self):
        self.flapping()


del Partitions

if __name__ == "__main__":
    main(namespace=True)
