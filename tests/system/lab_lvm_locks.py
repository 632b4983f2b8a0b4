#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A shared volume group on a four-path LUN: who holds a volume exclusively holds it alone, until it loses its power.

With DLM over Corosync, and with sanlock, whose leases are on the LUN itself.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase, only_soak
from laboracle import Oracle, finds
from labkit import cluster, san

HOLDER, OTHER = 1, 2
REFUSED = 5
VOLUME = "shared/disk"


class Locks(LabCase):
    """What both lock managers have to do; the tests are in the order of their names, on one volume group."""

    def start_locks(self, n):
        """Once more if need be: on a busy machine lvmlockd may look for the lease volume before udev has named it."""
        wait_until(lambda: self.on(n, "vgchange --lock-start shared", timeout=120)[0] == 0, f"locks of node {n}", 120, 0.5)

    def make_volume(self):
        self.must(HOLDER, f"vgcreate -q --shared shared {san.device(1)}", timeout=120)
        cluster.on_all((HOLDER, OTHER), self.start_locks)
        self.must(HOLDER, "lvcreate -q -an -n disk -L 32M shared", timeout=60)

    def activate(self, n, how="-aey"):
        return self.on(n, f"lvchange {how} {VOLUME}", timeout=60)

    def assert_refused(self, n, how="-aey"):
        begun = time.monotonic()
        status, _out = self.activate(n, how)
        self.assertEqual(status, REFUSED, f"lvchange {how} on node {n} while node {HOLDER} holds it")
        return time.monotonic() - begun

    def hold_and_refuse(self):
        self.make_volume()
        self.assertEqual(self.activate(HOLDER)[0], 0)
        self.tell("before", f"node {HOLDER} holds {VOLUME} exclusively")
        seconds = self.assert_refused(OTHER)
        self.assert_refused(OTHER, "-asy")
        self.assertEqual(self.on(OTHER, f"test -e /dev/{VOLUME}")[0], 1)
        self.tell("during", f"node {OTHER} is refused after {seconds:.1f} s, exclusive and shared")
        self.assertEqual(self.activate(HOLDER, "-an")[0], 0)
        self.assertEqual(self.activate(OTHER)[0], 0)
        self.assertEqual(self.activate(OTHER, "-an")[0], 0)
        self.tell("after", f"node {HOLDER} gave it up: node {OTHER} gets it")

    def cut_and_take_over(self, deadline):
        """The holder writes and loses its power; the other gets the volume and finds all of it."""
        self.assertEqual(self.activate(HOLDER)[0], 0)
        oracle = Oracle(self.lab, "locks", f"/dev/{VOLUME}", blocks=64)
        oracle.write(HOLDER)
        oracle.watch(HOLDER, seconds=1).wait()
        self.assert_refused(OTHER)
        self.tell("before", f"node {HOLDER} holds {VOLUME} and writes; node {OTHER} is refused")
        begun = time.monotonic()
        self.fault("power-cut", HOLDER)
        wait_until(lambda: self.activate(OTHER)[0] == 0, f"takeover by node {OTHER}", deadline, 0.5)
        seconds = time.monotonic() - begun
        last = oracle.verify(OTHER)
        self.assertEqual(finds(last), {}, last)
        self.tell("during", f"power-cut {HOLDER}: node {OTHER} took over after {seconds:.1f} s and finds all {last['logged']} acknowledged blocks")
        self.fault("boot", HOLDER)
        self.start_locks(HOLDER)
        seconds = self.assert_refused(HOLDER)
        self.tell("after", f"boot {HOLDER}: rejoined, and now refused itself, after {seconds:.1f} s")
        self.assertEqual(self.activate(OTHER, "-an")[0], 0)


@only_soak("lab_lvm.py shows the same through storaged")
class Dlm(Locks):
    KIND = "dl"
    UP = ("--nodes", "3", "--luns", "1", "--size", "512", "--lock", "dlm")

    def test_dlm_1_second_node_is_refused(self):
        self.hold_and_refuse()

    def test_dlm_2_takeover_after_a_power_cut(self):
        self.cut_and_take_over(90)


@only_soak("lab_lvm_sanlock.py shows the same through storaged")
class Sanlock(Locks):
    KIND = "sl"
    UP = ("--nodes", "2", "--luns", "1", "--size", "1024", "--lock", "sanlock")

    def test_sanlock_1_second_node_is_refused(self):
        self.hold_and_refuse()

    def test_sanlock_2_takeover_after_a_power_cut(self):
        """sanlock waits 80 s for a dead holder's lease."""
        self.cut_and_take_over(240)


del Locks

if __name__ == "__main__":
    main()
