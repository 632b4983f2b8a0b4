#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest on a shared LUN moves between nodes: its volume is active on both for the hand-over only, no third node gets it,
no number it writes is lost, torn or doubled; and a node that dies on the way leaves one owner or none.
"""
import json
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase, only_soak, scaled
from labguest import Counter
from labkit import cluster, san

WWID = os.path.basename(san.device(1))
GONE_S = 20  # seconds until a node counts as gone; the product's own figure would only make the test longer


class Migrate(LabCase):
    KIND = "lm"
    UP = ("--nodes", "3", "--luns", "1", "--size", "512", "--lock", "dlm", "--storaged")

    @classmethod
    def bring_up(cls):
        told = super().bring_up()
        cluster.on_all((1, 2, 3), lambda n: cluster.restart_storaged(cls.lab, n, f"--gone-after {GONE_S}"))
        return told

    def setUp(self):
        if self.on(1, "pvesm status --storage ibm")[0] != 0:
            self.must(1, f"pvesm lun create-vg {WWID} --vgname ibm --locking dlm", timeout=240)
            self.must(1, "pvesm add lvm ibm --vgname ibm --shared 1", timeout=60)
        self.volume = re.search(r"'(\S+)'", self.must(1, "pvesm alloc ibm 200 '' 4M", timeout=120)).group(1)
        self.path = "/dev/ibm/" + self.volume.split(":")[1]

    def active(self, n):
        name = "ibm-" + self.volume.split(":")[1].replace("-", "--")
        return self.on(n, f"dmsetup info {name} > /dev/null 2>&1")[0] == 0

    def pvesm(self, n, words):
        begun = time.monotonic()
        self.must(n, f"pvesm {words}", timeout=120)
        return time.monotonic() - begun

    def hand_over(self, guest, source, target, third):
        """One migration, step by step; gives (seconds of the storage's part, milliseconds the guest stood still)."""
        storage = self.pvesm(source, f"migrate prepare {self.volume} --target n{target}")
        storage += self.pvesm(target, f"activate {self.volume}")
        guest.wait_incoming(target)
        self.assertNotEqual(self.on(third, f"pvesm activate {self.volume} 2> /dev/null", timeout=60)[0], 0, "a third node, during the hand-over")
        self.assertFalse(self.active(third))
        downtime = guest.migrate(target)
        storage += self.pvesm(source, f"migrate commit {self.volume}")
        wait_until(lambda: not self.active(source), f"node {source} lets go", 60, 0.1)
        self.assertTrue(self.active(target))
        return storage, downtime

    def test_1_back_and_forth(self):
        guest = Counter(self.lab, "counter", self.path)
        self.pvesm(1, f"activate {self.volume}")
        guest.start(1)
        guest.moves(1, "start")
        begun_at = guest.count(1)
        times, stood = [], []
        for i in range(scaled(50)):
            source, target = (1, 2) if i % 2 == 0 else (2, 1)
            if i == 1:  # a path is pulled while it moves
                self.fault("path-down", source, 2)
                self.addCleanup(self.fault, "path-up", source, 2)
            seconds, downtime = self.hand_over(guest, source, target, 3)
            times.append(seconds)
            stood.append(downtime)
            guest.moves(target, f"after migration {i + 1}")
        holder = guest.n
        count = guest.count(holder)
        guest.end(holder)
        self.assertEqual(guest.damage(holder), [])
        self.assertNotIn("E", self.must(holder, f"cat /run/{guest.name}.serial"))
        self.assertGreater(count, begun_at)
        self.tell("during", f"{len(times)} live migrations, {count} numbers written, none lost or torn; storage's part {sorted(times)[len(times) // 2]:.2f} s, "
                  f"guest stood still {max(stood)} ms at most; node 3 was refused each time")
        self.pvesm(holder, f"deactivate {self.volume}")
        self.pvesm(1, f"free {self.volume}")

    @only_soak("each node that dies has to boot again")
    def test_2_a_node_dies_on_the_way(self):
        for i in range(max(1, scaled(50) // 10)):
            self.die_on_the_way(random.Random(f"{os.getpid()}-{i}"), i)

    def die_on_the_way(self, rng, i):
        source, target = (1, 2) if i % 2 == 0 else (2, 1)
        victim = rng.choice((source, target))
        step = rng.choice(("prepared", "activated", "moving", "committed"))
        guest = Counter(self.lab, f"dying{i}", self.path, port=4500 + i)
        self.pvesm(source, f"activate {self.volume}")
        guest.start(source)
        guest.moves(source, "start")
        self.pvesm(source, f"migrate prepare {self.volume} --target n{target} --life 20")
        if step != "prepared":
            self.pvesm(target, f"activate {self.volume}")
            guest.wait_incoming(target)
        if step in ("moving", "committed"):
            guest.qmp(source, "migrate", uri=f"tcp:10.77.1.{target}:{guest.port}")
        if step == "committed":
            wait_until(lambda: guest.qmp(source, "query-migrate").get("status") == "completed", "the guest's move", 120, 0.1)
            guest.end(source)
            self.on(source, f"pvesm migrate commit {self.volume}", timeout=60)
        self.fault("power-cut", victim)
        survivor = target if victim == source else source
        # Whoever is alive may have the volume or not; the guest's own state on it decides what is right now.
        runs = guest.is_running(survivor)
        others = [n for n in (1, 2, 3) if n != victim and n != survivor]
        self.assertFalse(any(self.active(n) for n in others), "a third node has it")
        if not runs:  # QEMU that waits for a guest which never comes, or whose guest has moved away
            guest.end(survivor)
        owner = survivor if runs else 3
        wait_until(lambda: self.on(owner, f"pvesm activate {self.volume} --force 1 --dead-node n{victim}", timeout=60)[0] == 0 or
                   self.on(survivor, f"pvesm deactivate {self.volume}", timeout=60) is None, f"node {owner} gets the volume", 300, 1)
        holders = json.loads(self.must(3, f"pvesm holders {self.volume} --output-format json", timeout=60))
        self.assertEqual({row["node"] for row in holders if row["what"] == "lease"}, {f"n{owner}"})
        if runs:
            guest.moves(survivor, "after the other node died")
            guest.end(survivor)
        self.assertEqual(guest.damage(owner), [])
        self.tell("during", f"node {victim} ({'source' if victim == source else 'target'}) lost its power when {step}: node {owner} is the only owner, nothing lost")
        self.pvesm(owner, f"deactivate {self.volume}")
        self.fault("boot", victim)
        cluster.restart_storaged(self.lab, victim, f"--gone-after {GONE_S}")
        wait_until(lambda: self.on(victim, f"pvesm list ibm", timeout=60)[0] == 0, f"node {victim} has the storage again", 120, 0.5)


if __name__ == "__main__":
    main()
