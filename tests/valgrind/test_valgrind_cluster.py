#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three storaged under valgrind, each on its own clusterfs over real Corosync: a whole story, without an error, and without a block
that is lost or possibly lost."""
import glob
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from clusterfs import ClusterfsTest, clusterfs_is_possible
from harness import MiB, main, needs_program, run, wait_until

SLOW = 120.0  # of what takes a second without valgrind


@needs_program("valgrind")
class ClusterUnderValgrind(ClusterfsTest):
    def start_under_valgrind(self, node):
        node.start(deadline=SLOW * 2, env={"LD_PRELOAD": self.tmp + "/pidfd.so"}, wrapper=[
            "valgrind", "--leak-check=full", "--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible",
            "--child-silent-after-fork=yes", "--num-callers=30", f"--log-file={self.tmp}/vg.{node.name}.%p"])

    def start_all(self, *_args):
        here = os.path.dirname(os.path.abspath(__file__))
        run("cc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", self.tmp + "/pidfd.so", here + "/pidfd.c")
        for n in self.nodes:
            n.start_fs()
        for n in self.nodes:
            wait_until(n.is_writable, f"{n.name}: clusterfs is quorate", 60)
        for n in self.nodes:
            self.start_under_valgrind(n)
        for n in self.nodes:
            wait_until(lambda n=n: len(n.online()) == len(self.nodes) and n.quorate(), f"{n.name} sees all nodes", SLOW, 0.2)
        for n in self.nodes:
            for m in self.nodes:
                wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200, f"{n.name} can ask {m.name}", SLOW, 0.2)
        return self.nodes

    def has(self, node, storage):
        rows = [r for r in node.d.get(f"/nodes/{node.name}/storage") if r["storage"] == storage]
        return rows and rows[0]["active"] == 1

    def holders(self, node, volid):
        return [(r["node"], r["exclusive"]) for r in node.d.get(f"/nodes/{node.name}/storage/pool/holders", volume=volid)]

    def hand_over(self, source, target, volid, end):
        source.d.pvesm("migrate", "prepare", volid, "--target", target.name, timeout=SLOW)
        target.d.pvesm("activate", volid, "--mode", "shared", timeout=SLOW)
        source.d.pvesm("migrate", end, volid, timeout=SLOW)
        owner = target if end == "commit" else source
        wait_until(lambda: self.holders(owner, volid) == [(owner.name, 1)], f"{owner.name} alone holds it", SLOW, 0.2)
        wait_until(lambda: os.listdir(os.path.join(owner.pve, "priv/storaged/tickets")) == [], "the ticket is gone", SLOW, 0.2)

    def story_of_a_volume(self, n1, n2, n3):
        volids = [n.d.alloc("pool", 100 + i) for i, n in enumerate(self.nodes)]
        n1.d.pvesm("activate", volids[0], timeout=SLOW)
        self.assertNotEqual(n2.d.pvesm("activate", volids[0], check=False, timeout=SLOW).rc, 0)
        self.hand_over(n1, n2, volids[0], "abort")
        self.hand_over(n1, n2, volids[0], "commit")
        n2.d.pvesm("deactivate", volids[0], timeout=SLOW)
        source = os.path.join(self.tmp, "stream")
        with open(source, "wb") as f:
            f.write((4 * MiB).to_bytes(8, "little") + os.urandom(4 * MiB))
        # A node that does not answer within 2 s is given up, and so is what streams through it: below valgrind that may come to pass.
        wait_until(lambda: n1.d.pvesm("import", "pool:200/vm-200-disk-0.raw", "raw+size", source, "--node", "n3", check=False, timeout=SLOW).rc == 0,
                   "a stream goes through n3", SLOW, 0.5)
        n3.d.pvesm("free", "pool:200/vm-200-disk-0.raw", "--node", "n2", timeout=SLOW)
        for n in self.nodes:
            for words in (("cluster", "status"), ("cluster", "locks"), ("doctor", "--all"), ("status", "--node", "nn"), ("task", "list")):
                n.d.pvesm(*words, check=False, timeout=SLOW)
        return volids

    def story_of_faults(self, n1, n2, n3):
        # Not frozen: valgrind runs one thread at a time, and a call on a file system that hangs would stop them all.
        n3.stop_fs(signal.SIGKILL)
        self.refused(n3.d.request("PUT", "/storage/pool", {"content": "iso"}), (500, 502, 503, 504))
        n3.d.get("/nodes/n3/storage")
        n3.start_fs()
        wait_until(n3.is_writable, "clusterfs of n3 is back", SLOW, 0.2)
        wait_until(lambda: n3.d.request("PUT", "/storage/pool", {"content": "images,iso"}).status == 200, "n3 can change things", SLOW, 0.5)
        n3.stop_network()
        wait_until(lambda: not n3.quorate(), "n3 knows that it is alone", SLOW, 0.2)
        self.assertIn("no quorum", self.refused(n3.d.request("DELETE", "/storage/pool"), 503).message)
        wait_until(lambda: n1.is_writable() and n1.quorate(), "n1 and n2 go on", SLOW, 0.2)
        self.assertNotEqual(n1.d.pvesm("list", "pool", "--node", "n3", check=False, timeout=SLOW).rc, 0)
        n3.start_network()
        wait_until(n3.quorate, "n3 is back", SLOW, 0.2)
        n2.d.kill()
        self.start_under_valgrind(n2)
        wait_until(lambda: n2.quorate() and self.has(n2, "pool"), "n2 is back", SLOW, 0.2)

    def test_a_whole_story(self):
        n1, n2, n3 = self.start_all()
        path = os.path.join(self.tmp, "pool")
        os.makedirs(path)
        n1.d.pvesm("add", "dir", "pool", "--path", path, "--shared", "1", timeout=SLOW)
        for n in self.nodes:
            wait_until(lambda n=n: self.has(n, "pool"), f"{n.name} has the storage", SLOW, 0.2)
        volids = self.story_of_a_volume(n1, n2, n3)
        self.story_of_faults(n1, n2, n3)
        for n, volid in zip(self.nodes, volids):
            n.d.pvesm("free", volid, timeout=SLOW)
        n2.d.pvesm("remove", "pool", timeout=SLOW)
        for n in self.nodes:
            n.d.stop(deadline=SLOW)
        self.check_reports()

    def check_reports(self):
        ended = set()
        for report in sorted(glob.glob(self.tmp + "/vg.*")):
            with open(report, encoding="utf-8", errors="replace") as f:
                text = f.read()
            errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
            self.assertNotIn("Invalid ", text, report)
            self.assertNotIn("ninitialised", text, report)
            if errors:  # the killed one has no summary
                self.assertEqual(errors.group(1), "0", text[-8000:])
                ended.add(os.path.basename(report).split(".")[1])
        self.assertEqual(ended, {"n1", "n2", "n3"})


if __name__ == "__main__":
    if not clusterfs_is_possible():
        print("needs root, /dev/fuse, corosync and build/clusterfs")
        sys.exit(77)
    main(namespace=True)
