#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest on a shared LUN moves between nodes, and one of them loses its power on the way: that leaves one owner or none, and
no number that the guest has written is lost, torn or doubled. (That it moves at all is in lab_lvm.py.)
"""
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase, only_soak, scaled
from labguest import GUEST, Counter
from lablvm import LvmWords
from labmigrate import Moves
from labkit import cluster, san

WWID = os.path.basename(san.device(1))
GONE_S = 10  # seconds until a node counts as gone; the product's own figure would only make the test longer

# Who dies, and at which step of a migration; each comes once before any comes again.
DEATHS = [(who, step) for who in ("source", "target") for step in ("prepared", "activated", "moving", "committed")]

MOVES_TO_DEATH = 4

WAIT_S = 300  # a storage's lock that a node held when it died lives for two minutes (Proxmox VE's rule), and all wait for it


class Deaths(LvmWords, Moves, LabCase):
    """What both lock managers have to do."""
    LOCKING = ""

    @classmethod
    def bring_up(cls):
        told = super().bring_up()
        cls.script(1, f"echo --gone-after {GONE_S} > /share/storaged-options")
        cluster.on_all((1, 2, 3), lambda n: cluster.restart_storaged(cls.lab, n))
        return told

    def setUp(self):
        if self.on(1, "pvesm status --storage ibm")[0] != 0:
            self.on_lun(1, (1, 2, 3), f"pvesm lun create-vg {WWID} --vgname ibm --locking {self.LOCKING}")
            self.must(1, "pvesm add lvm ibm --vgname ibm --shared 1", timeout=60)
        # After a path that was pulled or a node that died the storage may need a moment.
        wait_until(lambda: self.on(1, "pvesm status --storage ibm | grep -q ' active '", timeout=60)[0] == 0, "the storage is well", 120, 0.5)
        self.volume = self.alloc(1, 200, "4M")
        self.name = self.volume.split(":")[1]
        self.path = f"/dev/ibm/{self.name}"

    def nodes_die_on_the_way(self):
        seed = os.environ.get("SEED", str(os.getpid()))
        count = int(os.environ.get("DEATHS", scaled(50)))
        for i in range(count):
            case = random.Random(f"{seed}-{i // len(DEATHS)}").sample(DEATHS, len(DEATHS))[i % len(DEATHS)]
            self.die_on_the_way(random.Random(f"{seed}-{i}"), i, *case, f"SEED={seed}, {i + 1} of {count}")

    def moves_and_deaths(self):
        """As clusters live: a guest moves back and forth, and every now and then a node dies on such a way."""
        seed, count = os.environ.get("SEED", str(os.getpid())), scaled(50)
        self.activations, guest = [], None
        deaths = [i for i in range(count) if i % MOVES_TO_DEATH == MOVES_TO_DEATH - 1]
        for i in range(count):
            rng, which = random.Random(f"{seed}-{i}"), f"SEED={seed}, {i + 1} of {count}"
            if i in deaths:
                self.end_well(guest)
                guest = self.die_on_the_way(rng, i, *rng.choice(DEATHS), which)
                continue
            if not guest:
                guest = Counter(self.lab, f"moving{i}", self.path, port=4600 + i)
                self.pvesm(1, f"activate {self.volume}")
                guest.start(1)
                guest.moves(1, "start")
            seconds, stood = self.hand_over(guest, self.volume, guest.n, 3 - guest.n, 3)
            guest.moves(guest.n, which)
            self.tell("during", f"{which}: it is on node {guest.n}; prepare and commit {seconds:.2f} s, it stood still {stood} ms")
        self.end_well(guest)
        self.tell("after", f"SEED={seed}: {count} migrations, in {len(deaths)} of them a node died: nothing lost, torn or doubled, one owner")

    def end_well(self, guest):
        if not guest:
            return
        count = guest.count(guest.n)
        guest.end(guest.n)
        self.assertEqual(guest.damage(guest.n), [])
        self.assertGreaterEqual(guest.count(guest.n), count)
        self.pvesm(guest.n, f"deactivate {self.volume}")

    def die_on_the_way(self, rng, i, who, step, which):
        source, target = (1, 2) if rng.random() < 0.5 else (2, 1)
        victim = source if who == "source" else target
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
            self.must(source, f"setsid pvesm migrate commit {self.volume} > /dev/null 2>&1 < /dev/null &")
        written = guest.count(target if step == "committed" else source)
        self.tell("before", f"{which}: node {victim}, the {who} of {self.volume}, dies when {step}")
        time.sleep(rng.random())  # the point within the step is any; a commit takes about as long
        self.fault("power-cut", victim)
        survivor = target if victim == source else source
        # Whoever is alive may have the volume or not; the guest's own state on it decides what is right now.
        if victim == target and step == "moving":  # what management does when the stream ends; TCP alone would wait for minutes
            self.on(survivor, f"{GUEST} qmp {guest.name} migrate_cancel", timeout=WAIT_S)
        runs = guest.is_running(survivor)
        others = [n for n in (1, 2, 3) if n != victim and n != survivor]
        self.assertFalse(any(self.name in self.active(n) for n in others), "a third node has it")
        if not runs:  # QEMU that waits for a guest which never comes, or whose guest has moved away
            guest.end(survivor)
        owner = survivor if runs else 3
        force = f"pvesm activate {self.volume} --force 1 --dead-node n{victim}"

        def settle():
            if self.on(owner, force, timeout=WAIT_S)[0] == 0:
                return True
            if owner != survivor:  # half of a hand-over whose other half is dead: it takes all of it, and lets go
                self.on(survivor, f"{force} && pvesm deactivate {self.volume}", timeout=WAIT_S)
            return False
        begun = time.monotonic()
        wait_until(settle, f"node {owner} gets the volume", 300, 1)
        seconds = time.monotonic() - begun
        holders = json.loads(self.must(3, f"pvesm holders {self.volume} --output-format json", timeout=WAIT_S))
        self.assertEqual({row["node"] for row in holders if row["what"] == "lease"}, {f"n{owner}"})
        if runs:
            guest.moves(survivor, "after the other node died")
            guest.end(survivor)
        self.assertEqual(guest.damage(owner), [])
        self.assertGreaterEqual(guest.count(owner), written)
        self.tell("during", f"node {victim} ({who}) lost its power when {step}: node {owner} is the only owner after {seconds:.0f} s, nothing lost")
        # A hand-over that nobody has decided ends with its ticket.
        wait_until(lambda: self.on(owner, f"pvesm deactivate {self.volume}", timeout=WAIT_S)[0] == 0, f"node {owner} lets go", 120, 1)
        begun = time.monotonic()
        self.fault("boot", victim)
        wait_until(lambda: self.on(victim, "pvesm list ibm", timeout=WAIT_S)[0] == 0, f"node {victim} has the storage again", 120, 0.5)
        self.tell("after", f"node {victim} booted and has the storage again after {time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.0f}")


@only_soak("each node that dies has to boot again")
class Dlm(Deaths):
    KIND, LOCKING = "lm", "dlm"
    UP = ("--nodes", "3", "--luns", "1", "--size", "512", "--lock", "dlm", "--storaged")

    def test_a_node_dies_on_the_way(self):
        self.nodes_die_on_the_way()

    def stopped(self, n):
        rows = json.loads(self.on(n, "pvesm doctor --output-format json", timeout=120)[1])
        return [row["summary"] for row in rows if row["code"] == "DLM_STOPPED"]

    def test_a_guest_moves_and_nodes_die(self):
        self.moves_and_deaths()

    def test_b_locks_that_stand_still_are_named(self):
        """A node alone, and one that has come back without having been fenced: LVM waits for ever, and the doctor says for what."""
        self.assertEqual([self.stopped(n) for n in (1, 2, 3)], [[], [], []])
        self.fault("split", "1,2", "3")
        self.addCleanup(self.fault, "heal")
        wait_until(lambda: self.stopped(3), "node 3 has no quorum", 120, 0.5)
        alone = self.stopped(3)
        self.assertTrue(all("quorum" in s or "messages" in s for s in alone), alone)
        self.assertIn("lvm_ibm", " ".join(alone))
        self.fault("heal")
        wait_until(lambda: self.on(1, "corosync-quorumtool -s | grep -q 'Nodes: *3'")[0] == 0, "one membership again", 60, 0.5)
        told = {n: self.stopped(n) for n in (1, 2, 3)}
        self.tell("during", f"node 3 alone: {alone[0]}; together again: {told}")
        self.fault("power-cut", 3)
        wait_until(lambda: not self.stopped(1) and not self.stopped(2), "the others have their locks again", 120, 0.5)
        self.fault("boot", 3)
        wait_until(lambda: self.on(3, "pvesm list ibm", timeout=WAIT_S)[0] == 0, "node 3 has the storage again", 120, 0.5)


@only_soak("each node that dies has to boot again, and the others wait until its leases are over")
class Sanlock(Deaths):
    KIND, LOCKING = "ln", "sanlock"
    UP = ("--nodes", "3", "--luns", "1", "--size", "1024", "--lock", "sanlock", "--storaged")

    def test_with_sanlock_a_node_dies_on_the_way(self):
        self.nodes_die_on_the_way()

    def test_with_sanlock_a_guest_moves_and_nodes_die(self):
        self.moves_and_deaths()


if __name__ == "__main__":
    main()
