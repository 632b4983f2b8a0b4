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
from labguest import GUEST, Counter
from labkit import cluster, san

WWID = os.path.basename(san.device(1))
GONE_S = 20  # seconds until a node counts as gone; the product's own figure would only make the test longer


def middle(figures):
    return sorted(figures)[len(figures) // 2]


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
        # After a path that was pulled or a node that died the storage may need a moment.
        wait_until(lambda: self.on(1, "pvesm status --storage ibm | grep -q ' active '", timeout=60)[0] == 0, "the storage is well", 120, 0.5)
        self.volume = re.search(r"'(\S+)'", self.must(1, "pvesm alloc ibm 200 '' 4M", timeout=120)).group(1)
        self.path = "/dev/ibm/" + self.volume.split(":")[1]

    def active(self, n):
        name = "ibm-" + self.volume.split(":")[1].replace("-", "--")
        return self.on(n, f"dmsetup info {name} > /dev/null 2>&1")[0] == 0

    def timed(self, n, command):
        """Seconds of a command that must succeed, as the node itself takes them."""
        return int(self.must(n, f"s=$(date +%s%N); {command} > /run/timed 2>&1 || {{ cat /run/timed >&2; exit 1; }}; echo $(($(date +%s%N) - s))", timeout=120)) / 1e9

    def pvesm(self, n, words):
        return self.timed(n, f"pvesm {words}")

    def bare(self, source, target):
        """What LVM's own commands take for the same, of another volume, while the guest runs on the source."""
        lv = "ibm/bare"
        self.must(source, "lvcreate -q -an -Wn -Zn -L 4M -n bare ibm", timeout=60)
        self.timed(source, f"lvchange -aey {lv}")
        prepare = self.timed(source, f"lvchange -asy {lv}")
        activate = self.timed(target, f"lvchange -asy {lv}")
        commit = self.timed(source, f"lvchange -an {lv}") + self.timed(target, f"lvchange -aey {lv}")
        self.timed(target, f"lvchange -an {lv}")
        self.must(source, f"lvremove -qq -y {lv}", timeout=60)
        return prepare + commit, activate

    def hand_over(self, guest, source, target, third):
        """One migration, step by step; gives (seconds of prepare and commit, milliseconds the guest stood still)."""
        storage = self.pvesm(source, f"migrate prepare {self.volume} --target n{target}")
        self.activations.append(self.pvesm(target, f"activate {self.volume}"))
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
        times, stood, self.activations = [], [], []
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
        bare, bare_activation = self.bare(holder, 3 - holder)
        count = guest.count(holder)
        guest.end(holder)
        self.assertEqual(guest.damage(holder), [])
        self.assertNotIn("E", self.must(holder, f"cat /run/{guest.name}.serial"))
        self.assertGreater(count, begun_at)
        self.tell("during", f"{len(times)} live migrations, {count} numbers written, none lost or torn; "
                  f"guest stood still {max(stood)} ms at most; node 3 was refused each time")
        self.pvesm(holder, f"deactivate {self.volume}")
        mine, activation = middle(times), middle(self.activations)
        self.tell("during", f"storage's part, prepare and commit: {mine:.2f} s, LVM's own commands for it {bare:.2f} s: {mine / bare:.2f} of them; "
                  f"activation on the target {activation:.2f} s, LVM's {bare_activation:.2f} s; load {os.getloadavg()[0]:.0f}")
        self.pvesm(1, f"free {self.volume}")

    @only_soak("each node that dies has to boot again")
    def test_2_a_node_dies_on_the_way(self):
        seed = os.environ.get("SEED", str(os.getpid()))
        count = int(os.environ.get("DEATHS", scaled(50)))
        for i in range(count):
            self.die_on_the_way(random.Random(f"{seed}-{i}"), i, f"SEED={seed}, {i + 1} of {count}")

    def die_on_the_way(self, rng, i, which):
        source, target = (1, 2) if i % 2 == 0 else (2, 1)
        victim = rng.choice((source, target))
        step = rng.choice(("prepared", "activated", "moving", "committed"))
        guest = Counter(self.lab, f"dying{i}", self.path, port=4500 + i)
        self.pvesm(source, f"activate {self.volume}")
        self.must(source, f"dd if=/dev/zero of={self.path} bs=32768 count=1 oflag=direct 2> /dev/null")
        guest.start(source)
        guest.moves(source, "start")
        self.pvesm(source, f"migrate prepare {self.volume} --target n{target} --timeout 20")
        if step != "prepared":
            self.pvesm(target, f"activate {self.volume}")
            guest.wait_incoming(target)
        if step in ("moving", "committed"):
            guest.qmp(source, "migrate", uri=f"tcp:10.77.1.{target}:{guest.port}")
        if step == "committed":
            wait_until(lambda: guest.qmp(source, "query-migrate").get("status") == "completed", "the guest's move", 120, 0.1)
            guest.end(source)
            self.on(source, f"pvesm migrate commit {self.volume}", timeout=60)
        self.tell("before", f"{which}: node {victim}, the {'source' if victim == source else 'target'} of {self.volume}, dies when {step}")
        self.fault("power-cut", victim)
        survivor = target if victim == source else source
        # Whoever is alive may have the volume or not; the guest's own state on it decides what is right now.
        if victim == target and step == "moving":  # what management does when the stream ends; TCP alone would wait for minutes
            self.on(survivor, f"{GUEST} qmp {guest.name} migrate_cancel", timeout=60)
        runs = guest.is_running(survivor)
        others = [n for n in (1, 2, 3) if n != victim and n != survivor]
        self.assertFalse(any(self.active(n) for n in others), "a third node has it")
        if not runs:  # QEMU that waits for a guest which never comes, or whose guest has moved away
            guest.end(survivor)
        owner = survivor if runs else 3
        force = f"pvesm activate {self.volume} --force 1 --dead-node n{victim}"

        def settle():
            if self.on(owner, force, timeout=60)[0] == 0:
                return True
            if owner != survivor:  # half of a hand-over whose other half is dead: it takes all of it, and lets go
                self.on(survivor, f"{force} && pvesm deactivate {self.volume}", timeout=60)
            return False
        wait_until(settle, f"node {owner} gets the volume", 300, 1)
        holders = json.loads(self.must(3, f"pvesm holders {self.volume} --output-format json", timeout=60))
        self.assertEqual({row["node"] for row in holders if row["what"] == "lease"}, {f"n{owner}"})
        if runs:
            guest.moves(survivor, "after the other node died")
            guest.end(survivor)
        self.assertEqual(guest.damage(owner), [])
        self.tell("during", f"node {victim} ({'source' if victim == source else 'target'}) lost its power when {step}: node {owner} is the only owner, nothing lost")
        # A hand-over that nobody has decided ends with its ticket.
        wait_until(lambda: self.on(owner, f"pvesm deactivate {self.volume}", timeout=60)[0] == 0, f"node {owner} lets go", 120, 1)
        self.fault("boot", victim)
        cluster.restart_storaged(self.lab, victim, f"--gone-after {GONE_S}")
        wait_until(lambda: self.on(victim, f"pvesm list ibm", timeout=60)[0] == 0, f"node {victim} has the storage again", 120, 0.5)


if __name__ == "__main__":
    main()
