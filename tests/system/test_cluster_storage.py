#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes and their shared storages: a change acted on everywhere, the proof that all reach the same, the doctor."""
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible
from harness import main, wait_until

needs_corosync = unittest.skipUnless(cluster_is_possible(), "needs root and corosync")


class Nodes(ClusterTest):
    def setUp(self):
        super().setUp()
        self.pool = os.path.join(self.tmp, "pool")
        os.makedirs(self.pool)

    def connected(self):
        for n in self.nodes:
            for m in self.nodes:
                if n != m and m.d.is_running():
                    wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200,
                               f"{n.name} can ask {m.name}")
        return self.nodes

    def no_marks(self):
        """What the proof leaves: nothing. A node that has just joined may be at its own."""
        wait_until(lambda: not [n for n in os.listdir(self.pool) if n.startswith(".storaged-mark-")], "no mark is left")

    def problems(self, rows):
        return {(r["node"], r["code"]) for r in rows if r["severity"] in ("warning", "error")}


@needs_corosync
class Publication(Nodes):
    def running(self, node):
        return node.d.get("/nodes/localhost/workers")["running"]

    def used_by(self, nodes, before):
        for n in nodes:
            wait_until(lambda n=n: self.running(n) == before[n] + 1, f"{n.name} has a worker for it")

    def let_go_by(self, nodes, before):
        for n in nodes:
            wait_until(lambda n=n: self.running(n) == before[n], f"{n.name} has let go of it")

    def test_change_is_acted_on_by_all_within_a_second(self):
        self.start_all()
        n1, n2, n3 = self.connected()
        before = {n: self.running(n) for n in self.nodes}
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool, shared=1)
        self.no_marks()
        self.within(5, lambda: self.used_by(self.nodes, before), "1 s is promised")  # nobody has asked for it
        for n in self.nodes:
            n.d.settled("pool", "active")
        n3.d.put("/storage/pool", disable=1)
        self.let_go_by((n1, n2), before)
        for n in (n1, n2):
            self.assertEqual(n.d.status("pool")["state"], "disabled")
        n2.d.put("/storage/pool", delete="disable")
        for n in (n1, n3):
            n.d.settled("pool", "active")
        n2.d.put("/storage/pool", nodes="n1,n2")
        self.let_go_by((n3,), before)
        n2.d.delete("/storage/pool")
        self.let_go_by((n1, n2), before)
        for n in (n1, n3):
            self.assertNotIn("pool", [r["storage"] for r in n.d.get("/storage")])

    def test_status_of_all_nodes(self):
        self.start_all()
        n1, n2, n3 = self.connected()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool, shared=1)
        n1.d.post("/storage", type="dir", storage="own", path=os.path.join(self.tmp, "own"), nodes="n2")

        def states(asked=n1):
            return {(r["node"], r["storage"]): r["state"] for r in asked.d.get("/cluster/storages")}
        wait_until(lambda: states().get(("n2", "own")) == "active" and states().get(("n3", "pool")) == "active",
                   "n1 sees the others'")
        self.assertEqual(states()["n3", "own"], "disabled")
        rows = n3.d.pvesm("status", "--target", "n1").lines
        self.assertEqual([r.split()[0] for r in rows[1:] if r.startswith(("own", "pool"))], ["pool"])
        with self.subTest("a node that does not answer holds up nobody, and what it said last is told with its age"):
            os.kill(n2.d.pid, signal.SIGSTOP)
            for _ in range(2):
                rows = self.within(2, lambda: n1.d.get("/cluster/storages"))
            rows = {(r["node"], r["storage"]): r for r in rows}
            self.assertEqual(rows["n2", "own"]["state"], "active")
            self.assertIn("n2", rows["n2", "own"]["node_reason"])
            self.assertNotIn("node_reason", rows["n3", "pool"])
            out = n1.d.pvesm("cluster", "status").out
            self.assertIn("quorate", out)
            self.assertRegex(out, r"own +dir +n2 +active +\d+ s")
            os.kill(n2.d.pid, signal.SIGCONT)
        with self.subTest("a node that is off"):
            n2.kill_corosync()
            wait_until(lambda: n3.online() == ["n1", "n3"], "n3 sees that n2 is gone")
            rows = {(r["node"], r["storage"]): r for r in n3.d.get("/cluster/storages")}
            self.assertEqual(rows["n2", "own"]["state"], "unknown")
            self.assertIn("offline", rows["n2", "own"]["node_reason"])


@needs_corosync
class Proof(Nodes):
    def test_node_that_reaches_another_directory_is_named(self):
        for n in self.nodes[:2]:
            n.start()
        self.nodes[2].start(mounts=f"mount -t tmpfs other {self.pool}")
        n1, n2, n3 = self.nodes
        wait_until(lambda: len(n1.online()) == 3 and n1.quorate(), "n1 sees all")
        self.connected()
        definition = {"type": "dir", "storage": "pool", "path": self.pool, "shared": 1}
        for n in (n1, n3):
            message = self.fails(n.d.request("POST", "/storage", definition))
            self.assertIn("n3", message)
            self.assertIn("--force", message)
            self.assertEqual(n.d.get("/storage", type="dir"), [s for s in n.d.get("/storage") if s["storage"] == "local"])
            self.no_marks()
        n1.d.post("/storage", **definition, nodes="n1,n2")
        self.assertIn("n3", self.fails(n1.d.request("PUT", "/storage/pool", {"nodes": "n1,n2,n3"})))
        self.assertEqual(n1.d.get("/storage/pool")["nodes"], "n1,n2")
        n1.d.put("/storage/pool", content="images,iso")  # leads nowhere else: not asked
        n1.d.put("/storage/pool", nodes="n1,n2,n3", force=1)
        n3.d.settled("pool", "active")
        rows = n2.d.get("/cluster/doctor")
        self.assertIn(("n3", "IDENTITY_DIFFERS"), self.problems(rows))
        self.assertNotIn(("n1", "IDENTITY_DIFFERS"), self.problems(rows))
        self.no_marks()
        n1.d.delete("/storage/pool")

    def test_node_that_is_away_is_told_and_looked_at_when_it_joins(self):
        n1, n2, n3 = self.start_all()
        self.connected()
        n3.d.stop()
        n3.kill_corosync()
        wait_until(lambda: n1.online() == ["n1", "n2"], "n1 sees that n3 is gone")
        r = n1.d.pvesm("add", "dir", "pool", "--path", self.pool, "--shared", "1")
        self.assertIn("n3", r.err)
        self.assertEqual(r.rc, 0)
        n3.start_corosync()
        n3.start(mounts=f"mount -t tmpfs other {self.pool}")

        def identity():
            rows = {(r["node"], r["storage"]): r for r in n1.d.get("/cluster/storages")}
            return rows.get(("n3", "pool"), {}).get("identity")
        wait_until(lambda: identity() == "differs", "n3 finds out that it reaches another one")
        self.assertIn("differs", n1.d.pvesm("cluster", "status").out)

    def test_another_mount_of_the_same_directory_is_the_same(self):
        self.start_all()
        n1, _, n3 = self.connected()
        own = os.path.join(self.tmp, "own")
        n3.d.stop()
        n3.start(mounts=f"mkdir -p {own} && mount --bind {own} {own} && mkdir {own}/x && rmdir {own}/x")
        self.connected()
        r = n1.d.request("POST", "/storage", {"type": "dir", "storage": "there", "path": os.path.join(own, "deep"),
                                              "shared": 1})
        self.assertEqual(r.status, 200, repr(r))  # one file system, one directory: the same for all


@needs_corosync
class Doctor(Nodes):
    def test_healthy_cluster_has_no_problems_and_a_sick_one_has(self):
        self.start_all()
        n1, n2, n3 = self.connected()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool, shared=1)
        for n in self.nodes:
            wait_until(lambda n=n: n.d.request("GET", n.d.at("pool", "/status")).status == 200, f"{n.name} has it")
            n.d.settled("pool", "active")
        r = n1.d.pvesm("doctor", "--all", check=False)
        self.assertEqual(r.rc, 0, r.out + r.err)
        self.assertIn("0 problems", r.out)
        codes = {(row["node"], row["code"]) for row in n1.d.get("/cluster/doctor")}
        for n in ("n1", "n2", "n3"):
            for code in ("QUORATE", "CLUSTER_DIRECTORY", "CERTIFICATE", "LOCKS", "LEASES", "TICKETS", "CONFIG", "WORKERS",
                         "ACTIVE", "CLOCK", "VERSION", "IDENTITY"):
                self.assertIn((n, code), codes)

        with self.subTest("a lock without owner, a conflict, a line nobody understands"):
            os.makedirs(os.path.join(self.shared, "priv/lock/storage-gone"))
            os.utime(os.path.join(self.shared, "priv/lock/storage-gone"), (1, time.time() - 1000))
            os.makedirs(os.path.join(n2.root, "var/lib/storaged/clusterfs/conflicts/2026-01-01T00:00:00"))
            with open(os.path.join(self.shared, "storage.cfg"), "a", encoding="utf-8") as f:
                f.write("\nmoon: base\n\tpath /moon\n")
            wait_until(lambda: "base" in [s["storage"] for s in n1.d.get("/storage")], "n1 has read it")
            found = self.problems(n1.d.get("/cluster/doctor"))
            self.assertLessEqual({("n1", "STALE_LOCK"), ("n2", "CONFLICT"), ("n1", "NO_PLUGIN")}, found)
            self.assertNotIn(("n1", "CONFLICT"), found)
            self.assertEqual(n2.d.pvesm("doctor", check=False).rc, 1)
            self.assertIn("2026-01-01T00:00:00", n2.d.pvesm("cluster", "status").out)

        with self.subTest("a node that does not answer, a node that is off"):
            os.kill(n3.d.pid, signal.SIGSTOP)
            rows = self.within(20, lambda: n1.d.get("/cluster/doctor"))
            self.assertIn(("n3", "NODE_UNREACHABLE"), self.problems(rows))
            os.kill(n3.d.pid, signal.SIGCONT)
            n3.kill_corosync()
            wait_until(lambda: n1.online() == ["n1", "n2"], "n1 sees that n3 is gone")
            self.assertIn(("n1", "NODE_OFFLINE"), self.problems(n1.d.get("/cluster/doctor")))
            wait_until(lambda: not n3.quorate(), "n3 knows that it is alone")
            self.assertIn(("n3", "NO_QUORUM"), self.problems(n3.d.get("/cluster/doctor")))


if __name__ == "__main__":
    main(namespace=True)
