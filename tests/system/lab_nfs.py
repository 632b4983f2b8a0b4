#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""storaged on three nodes with an NFS storage that their kernels mount: a day with it, and a server that hangs.

All through pvesm on the nodes, as an administrator would; the server is the lab's first (nfs-ganesha).
"""
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import MiB, main, wait_until
from labcase import LabCase, scaled
from labkit import nfs

NODES = (1, 2, 3)
MOUNT = "/mnt/pve/vm"
ADD = f"pvesm add nfs vm --server {nfs.ADDRESSES[1]} --export /vm1 --path {MOUNT} --content images,iso --options vers=4.2"
# GET of the daemon's API on its socket; curl is not on the nodes.
API = r"""
import http.client, json, socket, sys
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/storaged/api.sock")
c = Unix("localhost")
c.request("GET", "/api2/json" + sys.argv[1])
r = c.getresponse()
print(json.dumps(json.load(r)["data"]))
"""

# A stream of 256 MB (its size, then data) that takes a while: the server is to stop in the middle of it.
FEEDER = r"printf '\0\0\0\20\0\0\0\0'; i=0; while [ $i -lt 256 ]; do head -c 1M /dev/zero | tr '\0' x || break; sleep 0.05; i=$((i + 1)); done"


def told(seconds):
    return ", ".join(f"{s * 1000:.0f} ms on node {n}" for n, s in seconds.items())


class Nfs(LabCase):
    KIND = "nf"
    UP = ("--nodes", "3", "--luns", "0", "--lock", "none", "--cluster", "--nfs", "--storaged")

    def setUp(self):
        self.addCleanup(self.drop)
        self.must(1, ADD)
        for n in NODES[1:]:
            if not self.shares_config(n):
                self.must(n, ADD)
        for n in NODES:
            self.wait_state("active", n=n)

    def shares_config(self, n):
        """Whether the node has node 1's storage.cfg, by a cluster file system."""
        return self.on(n, "mountpoint -q /etc/pve")[0] == 0

    def drop(self):
        """Also after a failure: the server answers, nothing of the storage is left on the nodes, or of volumes on the server."""
        nfs.resume(self.lab, 1)
        for n in NODES:
            self.on(n, f"[ {n} != 1 ] || rm -rf {MOUNT}/images/*; pvesm remove vm; umount -f {MOUNT} || umount -l {MOUNT}", timeout=60)

    # --- what pvesm says
    def state(self, n=1):
        rows = [line.split() for line in self.must(n, "pvesm status", timeout=30).splitlines()]
        return {row[0]: row[2] for row in rows[1:]}.get("vm")

    def wait_state(self, state, deadline=30, n=1):
        begun = time.monotonic()
        wait_until(lambda: self.state(n) == state, f"storage vm is {state} on node {n}", deadline, 0.05)
        return time.monotonic() - begun

    def volumes(self):
        return {line.split()[0]: line.split()[1:] for line in self.must(1, "pvesm list vm").splitlines()[1:]}

    def mounts(self, n=1):
        return self.must(n, f"grep -c ' {MOUNT} nfs' /proc/self/mounts || true")

    def quickness(self, n=1):
        """The median time of a call to another storage on a node, in s."""
        seconds = []
        for _ in range(7):
            begun = time.monotonic()
            self.must(n, "pvesm list local > /dev/null", timeout=20)
            seconds.append(time.monotonic() - begun)
        return statistics.median(seconds)

    def on_server(self):
        """Bytes of guests' images, finished or not, that the server has."""
        found = 0
        for folder, _dirs, files in os.walk(os.path.join(nfs.exports(self.lab, 1), "images")):
            found += sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in files)
        return found

    def workers(self):
        return json.loads(self.must(1, "python3 - /nodes/n1/workers", stdin=API.encode()))

    # --- the stories
    def test_active_on_every_node(self):
        self.assertEqual([self.mounts(n) for n in NODES], ["1"] * 3)
        self.tell("told", f"added{' on node 1' if self.shares_config(2) else ''}: active and mounted by the kernels of nodes 1, 2, 3")
        self.must(1, "pvesm alloc vm 200 vm-200-disk-0.raw 4M")
        path = self.must(1, "pvesm path vm:200/vm-200-disk-0.raw")
        digest = self.must(1, f"head -c {4 * MiB} /dev/urandom > {path}; sync {path}; sha256sum < {path}")
        for n in NODES[1:]:
            self.assertIn("vm:200/vm-200-disk-0.raw", self.must(n, "pvesm list vm"))
            self.assertEqual(self.must(n, "sha256sum < $(pvesm path vm:200/vm-200-disk-0.raw)"), digest)
        self.tell("told", "allocated and written on node 1: listed on 2 and 3, which read the same data")
        self.must(3, "pvesm free vm:200/vm-200-disk-0.raw")
        self.assertEqual(self.volumes(), {})
        self.tell("told", "freed on node 3: gone on node 1")

    def test_a_day_with_a_storage(self):
        self.assertEqual(self.mounts(), "1")
        kind = self.must(1, f"stat -f -c %T {MOUNT}")
        self.assertEqual(kind, "nfs")
        self.must(1, "pvesm alloc vm 100 vm-100-disk-0.raw 16M && pvesm alloc vm 100 vm-100-disk-1.qcow2 32M --format qcow2")
        self.assertEqual({v: (row[0], int(row[2])) for v, row in self.volumes().items()},
                         {"vm:100/vm-100-disk-0.raw": ("raw", 16 * MiB), "vm:100/vm-100-disk-1.qcow2": ("qcow2", 32 * MiB)})
        self.tell("told", "raw and qcow2 allocated and listed, over a kernel mount")
        path = self.must(1, "pvesm path vm:100/vm-100-disk-0.raw")
        self.assertTrue(path.startswith(MOUNT + "/"), path)
        digest = self.must(1, f"head -c {16 * MiB} /dev/urandom > {path}; sync {path}; sha256sum < {path}")
        self.must(1, "pvesm export vm:100/vm-100-disk-0.raw raw+size /run/stream && pvesm import vm:101/vm-101-disk-0.raw raw+size /run/stream && rm /run/stream",
                  timeout=120)
        copy = self.must(1, "pvesm path vm:101/vm-101-disk-0.raw")
        self.assertEqual(self.must(1, f"sha256sum < {copy}"), digest)
        self.tell("told", "exported, imported as another guest's: the same data")
        for volume in list(self.volumes()):
            self.must(1, f"pvesm free {volume}")
        self.assertEqual(self.volumes(), {})
        self.must(1, "pvesm remove vm")
        self.assertIsNone(self.state())
        self.assertNotIn("vm", self.must(1, "pvesm status | tail -n +2 | cut -d' ' -f1").split())
        self.on(1, f"umount {MOUNT}")
        self.assertEqual(self.mounts(), "0")
        self.tell("told", "volumes freed, storage removed, unmounted")

    def test_server_hangs_and_goes_on(self):
        for _round in range(scaled(10)):
            before = {n: self.quickness(n) for n in NODES}
            self.tell("before", f"a call to another storage takes {told(before)}")
            self.fault("nfs-stop", 1)
            begun = time.monotonic()
            for n in NODES:
                self.wait_state("unresponsive", 20, n)
            seconds = time.monotonic() - begun
            during = {n: self.quickness(n) for n in NODES}
            self.tell("during", f"nfs-stop 1: unresponsive on all nodes after {seconds:.1f} s; another storage takes {told(during)}")
            self.assertLess(seconds, 12, "unresponsive within 5 s, on a machine that does nothing else")
            for n in NODES:
                self.assertLess(during[n], before[n] * 3 + 0.3)
                status, words = self.on(n, "pvesm list vm 2>&1 > /dev/null", timeout=20)
                self.assertNotEqual(status, 0)
                self.assertIn("unresponsive", words)
                self.assertEqual(self.state(n), "unresponsive")
            self.fault("nfs-resume", 1)
            seconds = max(self.wait_state("active", n=n) for n in NODES)
            self.tell("after", f"nfs-resume 1: active on all nodes after {seconds:.1f} s, by itself")
            self.volumes()

    def test_worker_that_hangs_in_the_kernel(self):
        """A write that waits in the kernel when the server stops: the daemon answers, and counts what it gave up."""
        self.must(1, f"rm -f /run/import.*; {{ {{ {FEEDER}; }} | pvesm import vm:102/vm-102-disk-0.raw raw+size - > /run/import.log 2>&1; "
                     "echo $? > /run/import.rc; } > /dev/null 2>&1 < /dev/null &")
        wait_until(lambda: self.on_server() > 2 * MiB, "data of the import on the server", 30)
        self.assertEqual(self.workers()["abandoned"], 0)
        self.fault("nfs-stop", 1)
        seconds = self.wait_state("unresponsive", 15)
        before = self.workers()
        self.tell("before", f"an import writes; nfs-stop 1: unresponsive after {seconds:.1f} s; workers: {before}")
        task = self.must(1, "pvesm task list | grep -o 'UPID:[^ ]*:import:102[^ ]*'")
        self.on(1, f"pvesm task stop '{task}'", timeout=30)
        states = self.must(1, "ps axo stat,args | grep '[s]toraged-worker' | cut -c1").split()
        wait_until(lambda: self.workers()["abandoned"] or self.workers()["running"] < before["running"],
                   "the import's worker is gone, or counted as abandoned", 30, 0.2)
        self.tell("during", f"task stopped; workers' states {states}, counted a little later: {self.workers()}")
        begun = time.monotonic()
        self.must(1, "pvesm list local")
        self.assertLess(time.monotonic() - begun, 5)
        self.fault("nfs-resume", 1)
        self.wait_state("active")
        wait_until(lambda: self.workers()["abandoned"] == 0, "no worker is counted as abandoned any more", 60, 0.2)
        wait_until(lambda: self.on(1, "cat /run/import.rc")[0] == 0, "the import ends", 60, 0.2)
        self.tell("after", f"nfs-resume 1: workers: {self.workers()}; the import said {self.must(1, 'tail -1 /run/import.log')[:100]!r}")


if __name__ == "__main__":
    main()
