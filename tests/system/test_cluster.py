#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes with real Corosync: who is there, what is refused without quorum, what one node does for another."""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible, timed
from harness import DaemonTest, main, wait_until

needs_corosync = unittest.skipUnless(cluster_is_possible(), "needs root and corosync")
AT_ONCE = 0.5  # 100 ms are promised; this machine has other work, too


class Alone(DaemonTest):
    def test_single_node_is_quorate_and_no_cluster(self):
        rows = self.d.get("/cluster/status")
        self.assertEqual([(r["type"], r["name"], r["online"], r["local"]) for r in rows], [("node", "n1", 1, 1)])
        self.assertEqual([r["node"] for r in self.d.get("/nodes")], ["n1"])
        self.d.add_dir("first")

    def test_configured_cluster_without_corosync_is_not_quorate(self):
        self.d.add_dir("own", shared=0)
        folder = os.path.join(self.root, "etc/corosync")
        os.makedirs(folder)
        with open(os.path.join(folder, "corosync.conf"), "w", encoding="utf-8") as f:
            f.write("totem {\n}\n")
        r = self.refused(self.d.request("POST", "/storage", {"type": "dir", "storage": "second", "path": self.tmp}), 503)
        self.assertIn("no quorum", r.message)
        self.d.alloc("own", 100)
        os.unlink(os.path.join(folder, "corosync.conf"))
        self.d.add_dir("second")


@needs_corosync
class Members(ClusterTest):
    def test_members_quorum_and_their_loss(self):
        n1, n2, n3 = self.start_all()
        shared, own = os.path.join(self.tmp, "pool"), os.path.join(self.tmp, "own")
        os.makedirs(shared)
        os.makedirs(own)
        n1.d.post("/storage", type="dir", storage="pool", path=shared, shared=1)
        n1.d.post("/storage", type="dir", storage="own", path=own, nodes="n1")
        self.check_rows(n1)
        wait_until(lambda: "pool" in [r["storage"] for r in n3.d.get("/storage")], "n3 sees the new storage")

        with self.subTest("one node lost: the others go on"):
            n3.kill_corosync()
            wait_until(lambda: n1.online() == ["n1", "n2"], "n1 sees that n3 is gone")
            self.assertTrue(n1.quorate())
            volid = n1.d.alloc("pool", 100)
            wait_until(lambda: not n3.quorate(), "n3 knows that it is alone")
            self.refused_at_once(n3)

        with self.subTest("two lost: no quorum"):
            n2.kill_corosync()
            wait_until(lambda: not n1.quorate(), "n1 has no quorum")
            self.refused_at_once(n1, volid)
            self.assertIn(volid, n1.d.volids("pool"))
            self.assertTrue(n1.d.path(volid).startswith(shared))
            n1.d.alloc("own", 101)
            self.assertIn("no quorum", n1.d.pvesm("cluster", "status").out)

        with self.subTest("they come back"):
            n2.start_corosync()
            n3.start_corosync()
            for n in self.nodes:
                wait_until(lambda n=n: n.online() == ["n1", "n2", "n3"] and n.quorate(), f"{n.name} is whole again")
                n.d.alloc("pool", 110 + n.id)

    def check_rows(self, n1):
        rows = n1.d.get("/cluster/status")
        self.assertEqual({k: rows[0][k] for k in ("type", "name", "nodes", "quorate", "version")},
                         {"type": "cluster", "name": "testbed", "nodes": 3, "quorate": 1, "version": 7})
        self.assertEqual([(r["name"], r["nodeid"], r["ip"], r["online"], r["local"]) for r in rows[1:]],
                         [(f"n{i}", i, f"10.77.0.{i}", 1, int(i == 1)) for i in (1, 2, 3)])
        out = n1.d.pvesm("cluster", "status").out
        self.assertIn("quorate", out)
        self.assertIn("10.77.0.3", out)

    def refused_at_once(self, node, volid=None):
        before = self.shared_files()
        calls = [("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}),
                 ("PUT", "/storage/pool", {"content": "images"}), ("DELETE", "/storage/pool", None),
                 ("POST", node.d.at("pool", "/content"), {"vmid": 107, "filename": "", "size": "1M"})]
        if volid:
            calls += [("DELETE", node.d.at("pool", "/content/") + volid, None),
                      ("PUT", node.d.at("pool", "/resize"), {"volume": volid, "size": "2M"})]
        for call in calls:
            seconds, r = timed(lambda call=call: node.d.request(*call))
            self.refused(r, 503)
            self.assertIn("no quorum", r.message, repr(r))
            self.assertLess(seconds, AT_ONCE, repr(r))
        self.assertEqual(self.shared_files(), before)

    def shared_files(self):
        return sorted(os.path.join(f, n) for f, _, names in os.walk(self.shared) for n in names)

    def test_stopped_corosync_stops_nobody(self):
        n1, _, n3 = self.start_all()
        os.kill(n3.corosync.pid, signal.SIGSTOP)
        wait_until(lambda: n1.online() == ["n1", "n2"], "n1 sees that n3 is gone")
        n3.d.stop()
        seconds, _ = timed(n3.start)
        self.assertLess(seconds, 10)
        seconds, r = timed(lambda: n3.d.request("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}))
        self.assertIn("no quorum", self.refused(r, 503).message)
        self.assertLess(seconds, AT_ONCE)
        os.kill(n3.corosync.pid, signal.SIGCONT)
        wait_until(lambda: len(n3.online()) == 3 and n3.quorate(), "n3 is back")


if __name__ == "__main__":
    main(namespace=True)
