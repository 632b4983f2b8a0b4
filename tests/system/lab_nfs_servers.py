#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's two NFS servers and their faults, seen from a node's kernel: before, during and after each."""
import hashlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main
from labcase import LOST, LabCase, Writer, wrong_blocks
from labkit import nfs

# What a node can mount; v3 without locks, as nothing in a node answers for the lock manager.
WAYS = {"v3 of server 1": (1, "vers=3,nolock"), "v4 of server 1": (1, "vers=4.2"), "v4 of server 2": (2, "vers=4.2")}


class Servers(LabCase):
    KIND = "ns"
    UP = ("--nodes", "1", "--luns", "0", "--lock", "none", "--nfs")

    def mount(self, way):
        """A hard mount, which is what a guest's image is on; unmounted by force at the end of the test."""
        server, options = WAYS[way]
        where = f"/mnt/{way.replace(' ', '-')}"
        self.must(1, f"mkdir -p {where} && mount -t nfs -o {options} {nfs.source(server)} {where}", timeout=30)
        self.addCleanup(self.on, 1, f"umount -f {where} || umount -l {where}", timeout=30)
        return server, where

    def export(self, server, name):
        return os.path.join(nfs.exports(self.lab, server), name)

    def look(self, where):
        """A bounded look at a mount that may hang: exit status of statfs(2), after 2 s SIGKILL's."""
        return self.on(1, f"timeout -s KILL 2 stat -f {where}", timeout=20)[0]

    def check_file(self, writer, server, name):
        """What was acknowledged to the node is in the server's folder."""
        last = writer.end()
        with open(self.export(server, name), "rb") as f:
            self.assertEqual(wrong_blocks(f.read(), last), [])
        return max(last.values())

    def test_written_and_read_back(self):
        for way in WAYS:
            with self.subTest(way):
                server, where = self.mount(way)
                name = f"data-{way[:2]}"
                digest = self.must(1, f"head -c 3000001 /dev/urandom > {where}/{name} && sync {where}/{name} && sha256sum < {where}/{name}")
                with open(self.export(server, name), "rb") as f:
                    self.assertEqual(hashlib.sha256(f.read()).hexdigest(), digest.split()[0])
                with open(self.export(server, name + "-host"), "wb") as f:
                    f.write(way.encode())
                self.assertEqual(self.must(1, f"cat {where}/{name}-host"), way)

    def test_server_2_has_no_v3(self):
        status, words = self.on(1, f"mkdir -p /mnt/no && timeout 20 mount -t nfs -o vers=3,nolock,retry=0 {nfs.source(2)} /mnt/no", timeout=30)
        self.assertNotEqual(status, 0)
        self.assertIn("mount.nfs", words)

    def stall(self, way, begin, end):
        """A fault of the server of that mount, and its end: the writer stops, loses nothing, and goes on."""
        server, where = self.mount(way)
        writer = Writer(self.lab, 1, f"{where}/counted")
        self.assertEqual(self.look(where), 0)
        self.tell("before", f"{way}: writes, statfs answers; {writer.count()} blocks")
        self.fault(begin, server)
        self.assertEqual(self.look(where), LOST, "statfs answered")
        stopped = writer.count()
        self.assertEqual(self.look(where), LOST, "statfs answered")
        self.assertEqual(writer.count(), stopped, f"{begin} does not bite")
        self.tell("during", f"{begin} {server}: statfs had to be killed after 2 s; stands at {stopped} blocks")
        since = time.monotonic()
        self.fault(end, server)
        writer.moves(f"after {end}")
        seconds = time.monotonic() - since
        self.assertEqual(self.look(where), 0)
        self.tell("after", f"{end} {server}: goes on after {seconds:.1f} s; {self.check_file(writer, server, 'counted')} blocks, none lost")

    def test_stopped_and_resumed(self):
        for way in WAYS:
            with self.subTest(way):
                self.stall(way, "nfs-stop", "nfs-resume")

    def test_killed_and_started(self):
        for way in ("v3 of server 1", "v4 of server 2"):
            with self.subTest(way):
                server, where = self.mount(way)
                digest = self.must(1, f"head -c 100000 /dev/urandom > {where}/kept && sync {where}/kept && sha256sum < {where}/kept")
                self.stall(way, "nfs-kill", "nfs-start")
                self.must(1, "echo 3 > /proc/sys/vm/drop_caches")
                self.assertEqual(self.must(1, f"sha256sum < {where}/kept"), digest)

    def test_one_server_down_leaves_the_other(self):
        _server, one = self.mount("v4 of server 1")
        _server, two = self.mount("v4 of server 2")
        self.fault("nfs-stop", 2)
        try:
            self.assertEqual(self.look(two), LOST)
            self.assertEqual(self.look(one), 0)
        finally:
            self.fault("nfs-resume", 2)
        self.assertEqual(self.look(two), 0)


if __name__ == "__main__":
    main()
