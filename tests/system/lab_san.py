#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A LUN over four paths keeps its word while paths go and come: written on one node, watched from another.

Every acknowledged block is looked for, by the I/O oracle with O_DIRECT: nothing lost, torn or stale, no I/O error.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main
from labcase import LabCase, scaled
from laboracle import Oracle, finds
from labkit import net, san

WRITER, WATCHER = 1, 2


class San(LabCase):
    KIND = "sa"
    UP = ("--nodes", "2", "--luns", "2", "--size", "64", "--lock", "none")

    def begin(self, name, serial):
        oracle = Oracle(self.lab, name, san.device(serial))
        writer = oracle.write(WRITER)
        return oracle, writer, oracle.watch(WATCHER)

    def conclude(self, oracle, writer, watcher):
        """No find by the writer, the watcher, or a last look from the other node."""
        wrote, watched, last = writer.end(), watcher.end(), oracle.verify(WATCHER)
        for who, verdict in (("writer", wrote), ("watcher", watched), ("last look", last)):
            self.assertEqual(finds(verdict), {}, f"{who}: {verdict}")
        self.assertGreater(wrote["writes"], 100)
        self.assertGreater(watched["reads"], 100)
        self.assertEqual(last["reads"], last["logged"])
        self.tell("verdict", f"{wrote['writes']} writes on node {WRITER}, {watched['reads']} reads on node {WATCHER}: 0 errors, 0 lost, 0 torn, 0 stale; "
                             f"longest stall {wrote['longest_stall_ms'] / 1000:.1f} s writing, {watched['longest_stall_ms'] / 1000:.1f} s reading")
        return wrote

    def test_paths_pulled_one_by_one_and_put_back(self):
        """Down to the last path, and back to four."""
        story = self.begin("paths", 1)
        for _round in range(scaled(10)):
            for left, portal in ((3, net.PORTALS[0]), (2, net.PORTALS[2]), (1, net.PORTALS[3])):
                self.fault("portal-off", portal)
                self.addCleanup(san.portal_on, self.lab, portal)
                san.wait_paths(self.lab, WRITER, left, [1])
                self.tell("during", f"{portal} off: {left} of 4 paths")
            for portal in (net.PORTALS[0], net.PORTALS[2], net.PORTALS[3]):
                self.fault("portal-on", portal)
            for n in (WRITER, WATCHER):
                san.wait_paths(self.lab, n, 4, [1])
        self.conclude(*story)

    def test_a_fabric_lost_and_back(self):
        """The writer's cable to fabric A, then to fabric B: two paths at once."""
        story = self.begin("fabric", 2)
        for _round in range(scaled(10)):
            for fabric in (net.FABRIC_A, net.FABRIC_B):
                self.fault("path-down", WRITER, fabric)
                self.addCleanup(net.link, self.lab, WRITER, fabric, "up")
                san.wait_paths(self.lab, WRITER, 2, [2])
                self.fault("path-up", WRITER, fabric)
                san.wait_paths(self.lab, WRITER, 4, [2])
        wrote = self.conclude(*story)
        # noop 2+2 s and replacement_timeout 5 s, and a busy machine
        self.assertLess(wrote["longest_stall_ms"], 30000)

    def test_writer_loses_its_power(self):
        """Whatever it was told is written is there for the node that takes over."""
        oracle = Oracle(self.lab, "power", san.device(1), blocks=64)
        oracle.write(WRITER)
        self.tell("before", f"node {WRITER} writes")
        watched = oracle.watch(WATCHER, seconds=2).wait()
        self.assertEqual(finds(watched), {}, watched)
        self.fault("power-cut", WRITER)
        last = oracle.verify(WATCHER)
        self.assertEqual(finds(last), {}, last)
        self.tell("during", f"power-cut {WRITER}: node {WATCHER} finds all {last['logged']} acknowledged blocks")
        verdict = oracle.write(WATCHER, seconds=1).wait()
        self.assertEqual(finds(verdict), {}, verdict)
        self.fault("boot", WRITER)
        back = oracle.verify(WRITER)
        self.assertEqual(finds(back), {}, back)
        self.tell("after", f"boot {WRITER}: it finds what node {WATCHER} wrote meanwhile, {verdict['writes']} writes")


if __name__ == "__main__":
    main()
