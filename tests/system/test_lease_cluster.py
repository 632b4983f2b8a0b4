#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Leases where a real Corosync knows who is there: who is dead is not a matter of opinion."""
import os
import sys
import time
import unittest
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible
from harness import REPO, main, run, wait_until

GONE_AFTER = 8


@unittest.skipUnless(cluster_is_possible(), "needs root and corosync")
class Proof(ClusterTest):
    def ask(self, node, **more):
        return node.d.request("POST", node.d.at("pool", "/activate"), {"volume": self.volid, **more})

    def holders(self, node):
        rows = node.d.get(node.d.at("pool", "/holders"), volume=self.volid)
        return [r["node"] for r in rows if r["what"] == "lease"]

    def hook(self, node, *words, check=True):
        xml = f"<domain><devices><disk type='file' device='disk'><source file='{node.d.path(self.volid)}'/></disk></devices></domain>"
        env = dict(os.environ, STORAGED_ROOT=node.root, STORAGED_NODE=node.name)
        return run(f"{REPO}/hooks/libvirt/qemu", "web", *words, env=env, check=check, stdin=xml.encode())

    def test_libvirt_migrates_and_nobody_has_to_prepare(self):
        n1, n2, n3 = self.start_all()
        os.makedirs(self.tmp + "/pool")
        n1.d.post("/storage", type="dir", storage="pool", path=self.tmp + "/pool", shared=1)
        for n in (n2, n3):
            wait_until(lambda n=n: "pool" in [r["storage"] for r in n.d.get("/storage")], f"{n.name} sees the storage")
        self.volid = n1.d.alloc("pool", 100)
        for n, m in ((n2, n1), (n3, n2)):
            wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200, f"{n.name} can ask {m.name}")
        self.hook(n1, "prepare", "begin", "-")
        self.hook(n1, "started", "begin", "-")
        self.assertEqual(self.hook(n2, "prepare", "begin", "-", check=False).rc, 1, "no migration: a second start")

        with self.subTest("it goes well"):
            self.assertEqual(self.hook(n2, "migrate", "begin", "-").out, "", "the domain stays as it is")
            self.hook(n2, "prepare", "begin", "-")
            self.assertEqual(self.holders(n3), ["n1", "n2"])
            self.hook(n2, "started", "begin", "-")
            self.hook(n1, "release", "end", "migrated")
            wait_until(lambda: self.holders(n3) == ["n2"], "n2 has it alone")

        with self.subTest("it fails on the target"):
            self.hook(n3, "migrate", "begin", "-")
            self.hook(n3, "prepare", "begin", "-")
            self.hook(n3, "release", "end", "failed")
            wait_until(lambda: self.holders(n1) == ["n2"], "n2 has it alone again")
            self.hook(n2, "release", "end", "shutdown")
            self.assertEqual(self.holders(n1), [])

    def test_a_lease_is_taken_only_from_a_node_that_is_proven_gone(self):
        n1, n2, n3 = self.start_all("--gone-after", str(GONE_AFTER))
        os.makedirs(self.tmp + "/pool")
        n1.d.post("/storage", type="dir", storage="pool", path=self.tmp + "/pool", shared=1)
        wait_until(lambda: "pool" in [r["storage"] for r in n3.d.get("/storage")], "n3 sees the storage")
        self.volid = n1.d.alloc("pool", 100)
        self.assertEqual(self.ask(n3).status, 200)

        with self.subTest("it lives"):
            for more in ({"force": 1}, {"force": 1, "dead-node": "n3"}):
                self.assertIn("not gone", self.refused(self.ask(n1, **more), 409).message)
            self.assertEqual(self.holders(n1), ["n3"])

        with self.subTest("cut off: too early to know"):
            n3.kill_corosync()
            wait_until(lambda: n1.online() == ["n1", "n2"] and n2.online() == ["n1", "n2"], "n3 is out")
            left = time.monotonic()
            self.assertIn("fenced", self.refused(self.ask(n1, force=1, **{"dead-node": "n3"}), 409).message)
            self.assertIn("no quorum", self.refused(self.ask(n3), 503).message)
            self.assertEqual(self.holders(n2), ["n3"])

        with self.subTest("a break in this side's quorum begins the count anew"):
            n2.kill_corosync()
            wait_until(lambda: not n1.quorate(), "n1 has no quorum")
            self.assertIn("no quorum", self.refused(self.ask(n1, force=1), 503).message)
            n2.start_corosync()
            wait_until(lambda: n1.quorate() and n1.online() == ["n1", "n2"], "n1 is quorate again")
            again = time.monotonic()

        with self.subTest("proven"):
            wait_until(lambda: self.ask(n1, force=1).status == 200, "n1 takes the lease over", 60)
            self.assertGreaterEqual(time.monotonic() - left, GONE_AFTER)
            self.assertGreater(time.monotonic() - again, GONE_AFTER - 2)
            self.assertEqual(self.holders(n2), ["n1"])
            n3.start_corosync()
            wait_until(lambda: n3.quorate() and len(n3.online()) == 3, "n3 is back")
            self.assertIn("'n1'", self.refused(self.ask(n3), 409).message)


if __name__ == "__main__":
    main(namespace=True)
