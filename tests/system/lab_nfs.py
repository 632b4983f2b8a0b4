#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""storaged on a node with an NFS storage that the node's kernel mounts: a day with it, and a server that hangs.

All through pvesm on the node, as an administrator would; the server is the lab's first (nfs-ganesha).
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

MOUNT = "/mnt/pve/vm"
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


class Nfs(LabCase):
    KIND = "nf"
    UP = ("--nodes", "1", "--luns", "0", "--lock", "none", "--nfs", "--storaged")

    def setUp(self):
        self.must(1, f"pvesm add nfs vm --server {nfs.ADDRESSES[1]} --export /vm1 --path {MOUNT} --content images,iso --options vers=4.2")
        self.addCleanup(self.drop)
        self.wait_state("active")

    def drop(self):
        """Also after a failure: the server answers, nothing of the storage is left on the node, or of volumes on the server."""
        nfs.resume(self.lab, 1)
        self.on(1, f"pvesm remove vm; umount -f {MOUNT} || umount -l {MOUNT}", timeout=60)
        self.on(1, "mkdir -p /mnt/drop && mount -t nfs -o vers=4.2 " + nfs.source(1) + " /mnt/drop && rm -rf /mnt/drop/images && umount /mnt/drop", timeout=60)

    # --- what pvesm says
    def state(self):
        rows = [line.split() for line in self.must(1, "pvesm status", timeout=30).splitlines()]
        return {row[0]: row[2] for row in rows[1:]}.get("vm")

    def wait_state(self, state, deadline=30):
        begun = time.monotonic()
        wait_until(lambda: self.state() == state, f"storage vm is {state}", deadline, 0.05)
        return time.monotonic() - begun

    def volumes(self):
        return {line.split()[0]: line.split()[1:] for line in self.must(1, "pvesm list vm").splitlines()[1:]}

    def mounts(self):
        return self.must(1, f"grep -c ' {MOUNT} nfs' /proc/self/mounts || true")

    def quickness(self):
        """The median time of a call to another storage, on the node, in s."""
        seconds = []
        for _ in range(7):
            begun = time.monotonic()
            self.must(1, "pvesm list local > /dev/null", timeout=20)
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
            before = self.quickness()
            self.tell("before", f"a call to another storage takes {before * 1000:.0f} ms")
            self.fault("nfs-stop", 1)
            seconds = self.wait_state("unresponsive", 15)
            during = self.quickness()
            status, words = self.on(1, "pvesm list vm 2>&1 > /dev/null", timeout=20)
            self.tell("during", f"nfs-stop 1: unresponsive after {seconds:.1f} s; another storage takes {during * 1000:.0f} ms")
            self.assertLess(seconds, 5.5, "unresponsive within 5 s, and a look")
            self.assertLess(during, before * 2 + 0.1)
            self.assertNotEqual(status, 0)
            self.assertIn("unresponsive", words)
            self.assertEqual(self.state(), "unresponsive")
            self.fault("nfs-resume", 1)
            self.tell("after", f"nfs-resume 1: active after {self.wait_state('active'):.1f} s, by itself")
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
