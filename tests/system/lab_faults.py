#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each fault of the lab's SAN, nodes and networks bites and heals: before, during and after, seen from the nodes.

(NFS servers: lab_nfs_servers.py; Ceph: lab_ceph.py.) All on one lab; each test leaves it as it found it.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase
from labkit import agent, cluster, fault, net, node, san

NODES = (1, 2, 3)


class Faults(LabCase):
    KIND = "fa"
    UP = ("--nodes", "3", "--luns", "2", "--size", "256", "--lock", "none")

    # --- what nodes see
    def paths(self, n, serial=1):
        return san.paths(self.lab, n).get(san.wwid(serial))

    def wait_paths(self, n, count, serial=1):
        """Gives the seconds it took."""
        begun = time.monotonic()
        san.wait_paths(self.lab, n, count, [serial])
        return time.monotonic() - begun

    def reads(self, n, device, timeout=30):
        """(whether a direct read of a block works, how long it took) as timed on the node."""
        status, out = self.on(n, f"a=$(cut -d' ' -f1 /proc/uptime); dd if={device} of=/dev/null bs=4096 count=1 iflag=direct; "
                                 "r=$?; echo $a $(cut -d' ' -f1 /proc/uptime); exit $r", timeout=timeout)
        words = out.split()
        return status == 0, float(words[1]) - float(words[0])

    def assert_members(self, n, members, quorate=True):
        begun = time.monotonic()
        cluster.wait_quorum(self.lab, n, quorate, members)
        return time.monotonic() - begun

    def new_lun(self, number, serial, megabytes=64):
        """A LUN of the test's own, seen by node 1 and forgotten at its end."""
        self.fault("lun-add", number, serial, megabytes)
        self.addCleanup(self.drop_lun, number, serial)
        self.fault("rescan", 1)
        self.wait_paths(1, san.PATHS, serial)
        return san.device(serial)

    def drop_lun(self, number, serial):
        if number in san.mapped(self.lab):
            self.fault("lun-remove", number)
        san.forget(self.lab, 1, serial)

    # --- SAN
    def test_path_down(self):
        self.assertEqual([self.paths(n) for n in NODES], [4, 4, 4])
        self.tell("before", "4 paths on each node")
        self.fault("path-down", 1, net.FABRIC_A)
        self.addCleanup(self.fault, "path-up", 1, net.FABRIC_A)
        seconds = self.wait_paths(1, 2)
        self.assertEqual(self.paths(2), 4)
        self.assertTrue(self.reads(1, san.device(1))[0])
        self.tell("during", f"node 1: 2 paths after {seconds:.1f} s, reads go on; node 2: 4 paths")
        self.fault("path-up", 1, net.FABRIC_A)
        self.tell("after", f"4 paths after {self.wait_paths(1, 4):.1f} s")

    def test_portal_off(self):
        portal = net.PORTALS[3]
        self.tell("before", f"paths on the nodes: {[self.paths(n) for n in NODES]}")
        self.fault("portal-off", portal)
        self.addCleanup(self.fault, "portal-on", portal)
        seconds = [self.wait_paths(n, 3) for n in NODES]
        self.assertTrue(self.reads(1, san.device(1))[0])
        self.tell("during", f"{portal} off: 3 paths on every node after {sum(seconds):.1f} s, reads go on")
        self.fault("portal-on", portal)
        self.tell("after", f"4 paths after {sum(self.wait_paths(n, 4) for n in NODES):.1f} s")

    def test_lun_added_and_unmapped(self):
        self.assertIsNone(self.paths(1, 70))
        self.tell("before", "no such LUN on node 1")
        self.new_lun(7, 70)
        self.assertTrue(self.reads(1, san.device(70))[0])
        self.tell("during", "lun-add 7, rescan: 4 paths, reads work")
        self.fault("lun-remove", 7)
        wait_until(lambda: san.path_states(self.lab, 1).get(san.wwid(70)) == ["failed"] * 4, "four failed paths", 30, 0.2)
        self.assertEqual(self.paths(1), 4)
        san.forget(self.lab, 1, 70)
        self.assertIsNone(self.paths(1, 70))
        self.tell("after", "lun-remove 7: its 4 paths are failed, other LUNs' are not; san-forget: gone")

    def test_lun_resized(self):
        device = self.new_lun(8, 80, 64)
        size = lambda: int(self.must(1, f"blockdev --getsize64 {device}")) >> 20
        self.assertEqual(size(), 64)
        self.must(1, f"head -c 4096 /dev/urandom > /run/mark; dd if=/run/mark of={device} bs=4096 oflag=direct 2> /dev/null")
        self.fault("lun-resize", 8, 96)
        self.assertEqual(size(), 64)
        self.wait_paths(1, 4, 80)
        self.tell("before", "64 MB, also after the array made it 96 MB")
        self.fault("rescan", 1)
        self.assertEqual(wait_until(lambda: size() == 96 and size(), "96 MB on node 1", 20, 0.2), 96)
        self.must(1, f"dd if={device} bs=4096 count=1 iflag=direct 2> /dev/null | cmp - /run/mark")
        self.must(1, f"dd if=/run/mark of={device} bs=1M seek=95 oflag=direct 2> /dev/null")
        self.tell("after", "rescan: 96 MB, its last MB takes data, the old data are there")

    def test_lun_renumbered(self):
        self.new_lun(9, 90)
        before = san.identity(self.lab, 1, 9)
        self.assertEqual(set(before.values()), {san.wwid(90)})
        self.assertEqual(len(before), 4)
        self.tell("before", f"LUN 9 is ...{san.wwid(90)[-4:]} on 4 paths")
        self.fault("lun-renumber", 9, 91, 64)
        self.assertEqual(set(san.identity(self.lab, 1, 9).values()), {san.wwid(91)})
        self.assertIn(san.wwid(90), san.path_states(self.lab, 1))
        self.tell("during", f"LUN 9 says ...{san.wwid(91)[-4:]} on the same paths; the map still has the old name")
        self.fault("lun-renumber", 9, 90)
        self.assertEqual(san.identity(self.lab, 1, 9), before)
        self.wait_paths(1, 4, 90)
        self.assertTrue(self.reads(1, san.device(90))[0])
        self.tell("after", "renumbered back: the old identity, 4 paths, reads work")

    # --- LUNs that are there and not well
    def over(self):
        """LUN 2 on node 1, with the faults' device over it."""
        self.fault("lun-good", 1, 2)
        self.addCleanup(self.fault, "lun-good", 1, 2)
        works, seconds = self.reads(1, "/dev/mapper/lun2")
        self.assertTrue(works)
        return "/dev/mapper/lun2", seconds

    def test_lun_slow(self):
        device, seconds = self.over()
        self.assertLess(seconds, 2.5)
        self.tell("before", f"a block is read in {seconds:.2f} s")
        self.fault("lun-slow", 1, 2, 3000)
        works, seconds = self.reads(1, device)
        self.assertTrue(works)
        self.assertGreater(seconds, 2.5)
        self.assertLess(self.reads(2, san.device(2))[1], 2.5)
        self.tell("during", f"lun-slow 1 2 3000: {seconds:.2f} s; node 2 is as quick as before")
        self.fault("lun-good", 1, 2)
        works, seconds = self.reads(1, device)
        self.assertTrue(works)
        self.assertLess(seconds, 2.5)
        self.tell("after", f"{seconds:.2f} s")

    def test_lun_fails(self):
        device, _seconds = self.over()
        self.must(1, f"head -c 4096 /dev/urandom > /run/mark; dd if=/run/mark of={device} oflag=direct bs=4096 2> /dev/null")
        self.tell("before", "a block is written and read")
        self.fault("lun-fail", 1, 2)
        self.assertFalse(self.reads(1, device)[0])
        self.assertTrue(self.reads(2, san.device(2))[0])
        self.tell("during", "lun-fail 1 2: a read fails at once on node 1, works on node 2")
        self.fault("lun-good", 1, 2)
        self.must(1, f"dd if={device} bs=4096 count=1 iflag=direct 2> /dev/null | cmp - /run/mark")
        self.tell("after", "it reads what was written before")

    def test_lun_flaky(self):
        device, _seconds = self.over()
        self.tell("before", "reads work")
        self.fault("lun-flaky", 1, 2, 1, 1)
        seen = []
        wait_until(lambda: seen.append(self.reads(1, device)[0]) or len(set(seen)) == 2, "reads that work and reads that fail", 30, 0.1)
        self.tell("during", f"lun-flaky 1 2 1 1: of {len(seen)} reads {seen.count(False)} failed")
        self.fault("lun-good", 1, 2)
        end = time.monotonic() + 2.5  # longer than a whole turn
        while time.monotonic() < end:
            self.assertTrue(self.reads(1, device)[0])
        self.tell("after", "no read fails through more than a turn")

    def test_disk_full(self):
        device = self.new_lun(6, 60, 32)
        self.must(1, f"mkdir -p /mnt/small /mnt/tmp && mkfs.ext4 -q {device} && mount {device} /mnt/small && mount -t tmpfs -o size=4M tmpfs /mnt/tmp")
        self.addCleanup(self.must, 1, "umount /mnt/small; umount /mnt/tmp")
        for where in ("/mnt/small", "/mnt/tmp"):
            write = f"head -c 100000 /dev/zero > {where}/file && sync {where}/file"
            with self.subTest(where):
                self.must(1, write + f" && rm {where}/file")
                self.fault("disk-full", 1, where)
                status, words = self.on(1, write)
                self.assertNotEqual(status, 0)
                self.assertIn("No space left", words)
                free = self.must(1, f"df --output=avail -k {where} | tail -1")
                self.fault("disk-free", 1, where)
                self.must(1, write)
                self.tell("told", f"{where}: takes 100 kB; disk-full: {free.strip()} kB free, 'No space left'; disk-free: takes them again")
        refused = self.command("fault", "disk-full", "1", "/usr")
        self.assertIn("no mount point", refused.stderr)

    # --- nodes and the cluster network
    def test_node_frozen(self):
        self.assert_members(1, NODES)
        self.tell("before", "members 1,2,3")
        self.fault("freeze", 3)
        self.addCleanup(node.thaw, self.lab, 3)
        seconds = self.assert_members(1, (1, 2))
        with self.assertRaises(agent.AgentError):
            node.execute(self.lab, 3, "true", timeout=1)
        self.tell("during", f"freeze 3: members 1,2 after {seconds:.1f} s; node 3 does not answer")
        self.fault("thaw", 3)
        seconds = max(self.assert_members(n, NODES) for n in NODES)
        self.wait_paths(3, 4)
        self.tell("after", f"thaw 3: members 1,2,3 on all after {seconds:.1f} s, 4 paths")

    def test_network_split(self):
        for n in NODES:
            self.assert_members(n, NODES)
        self.tell("before", "all three quorate, members 1,2,3")
        self.fault("split", "2,3", "1")
        self.addCleanup(self.fault, "heal")
        seconds = self.assert_members(1, (1,), quorate=False)
        self.assert_members(2, (2, 3))
        self.assert_members(3, (2, 3))
        self.assertEqual(self.paths(1), 4)
        self.tell("during", f"split 2,3 1: after {seconds:.1f} s node 1 is alone and not quorate, 2 and 3 are; SAN as before")
        self.fault("split", "1", "2", "3")
        for n in NODES:
            self.assert_members(n, (n,), quorate=False)
        self.tell("during", "split 1 2 3: each is alone, none is quorate")
        self.fault("heal")
        seconds = max(self.assert_members(n, NODES) for n in NODES)
        self.tell("after", f"heal: members 1,2,3 on all after {seconds:.1f} s")

    def test_node_power_cut(self):
        self.assert_members(1, NODES)
        self.tell("before", "members 1,2,3")
        self.fault("power-cut", 2)
        seconds = self.assert_members(1, (1, 3))
        self.assertFalse(node.is_up(self.lab, 2))
        self.assertIn("is off already", self.command("fault", "power-cut", "2").stderr)
        self.tell("during", f"power-cut 2: members 1,3 after {seconds:.1f} s")
        begun = time.monotonic()
        self.fault("boot", 2)
        for n in NODES:
            self.assert_members(n, NODES)
        self.assertEqual(self.paths(2), 4)
        self.tell("after", f"boot 2: after {time.monotonic() - begun:.1f} s members 1,2,3 and 4 paths")

    # --- the command itself
    def test_every_fault_has_a_self_test(self):
        """Its name is in one of the files, as a word of a command or of labkit."""
        files = [os.path.join(os.path.dirname(os.path.abspath(__file__)), f"lab_{name}.py") for name in ("faults", "nfs_servers", "ceph", "san")]
        text = "".join(open(f, encoding="utf-8").read() for f in files)
        missing = [name for name in fault.FAULTS if f'"{name}"' not in text]
        self.assertEqual(missing, [])

    def test_wrong_words_are_refused(self):
        for words, says in ((("no-such",), "no fault 'no-such'"), (("path-down", "1"), "takes: NODE FABRIC"), (("freeze", "9"), "no node '9'"),
                            (("lun-remove", "55"), "maps no LUN 55"), (("split", "1,2"), "at least two groups"),
                            (("lun-resize", "1", "1"), "does not shrink"), (("path-down", "1", "x"), "invalid literal")):
            r = self.command("fault", *words)
            self.assertEqual(r.returncode, 1, words)
            self.assertIn(says, r.stderr)


if __name__ == "__main__":
    main()
