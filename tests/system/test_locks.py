#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cluster locks between nodes, and between storaged and other programs that make directories in priv/lock."""
import concurrent.futures
import os
import sys
import threading
import time
import unittest
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible
from harness import DaemonTest, main, wait_until

ALLOCS = 200


class Foreign(DaemonTest):
    """Other programs: mkdir takes, rmdir gives back, and after 120 s without a sign of life anybody may."""

    def setUp(self):
        super().setUp()
        os.makedirs(self.tmp + "/sh")
        self.d.add_dir("sh", self.tmp + "/sh", shared=1)
        self.lock = self.root + "/etc/pve/priv/lock/storage-sh"

    def take(self, age=0):
        os.makedirs(self.lock)
        when = time.time() - age
        os.utime(self.lock, (when, when))

    def alloc(self, **more):
        return self.d.request("POST", self.d.at("sh", "/content"), {"vmid": 100, "filename": "", "size": "1M", **more}, timeout=90)

    def test_it_is_waited_for(self):
        self.take()
        answers = []
        t = threading.Thread(target=lambda: answers.append(self.alloc()))
        t.start()
        wait_until(lambda: [r for r in self.d.get("/cluster/locks") if r["waiting"]], "the alloc waits")
        row = self.d.get("/cluster/locks")[0]
        self.assertEqual((row["name"], row.get("node"), row["waiting"]), ("storage-sh", None, 1))
        self.assertGreaterEqual(row["age"], 0)
        self.assertIn("storage-sh", self.d.pvesm("cluster", "locks").out)
        self.assertEqual(answers, [])
        os.rmdir(self.lock)
        t.join(60)
        self.assertEqual(answers[0].status, 200, repr(answers))
        wait_until(lambda: not os.path.exists(self.lock), "the lock is given back")

    def test_a_dead_holders_lock_is_taken_after_its_life(self):
        self.take(age=125)
        self.assertEqual(self.alloc().status, 200)

    def test_a_living_holders_lock_is_not(self):
        self.take(age=60)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(self.alloc)
            with self.assertRaises(concurrent.futures.TimeoutError):
                answer.result(timeout=3)
            self.assertTrue(os.path.isdir(self.lock))
            os.rmdir(self.lock)
            self.assertEqual(answer.result().status, 200)

    def test_others_see_ours(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            seen = 0
            for _ in range(20):
                answer = pool.submit(self.alloc)
                while not answer.done():
                    try:
                        os.mkdir(self.lock)
                        os.rmdir(self.lock)
                    except OSError:
                        seen += 1
                self.assertEqual(answer.result().status, 200)
        self.assertGreater(seen, 0, "a program that takes the same lock never met it")


@unittest.skipUnless(cluster_is_possible(), "needs root and corosync")
class Together(ClusterTest):
    def test_200_allocs_on_three_nodes_at_a_time(self):
        nodes = self.start_all()
        os.makedirs(self.tmp + "/pool")
        nodes[0].d.post("/storage", type="dir", storage="pool", path=self.tmp + "/pool", shared=1)
        for n in nodes:
            wait_until(lambda n=n: "pool" in [r["storage"] for r in n.d.get("/storage")], f"{n.name} sees the storage")

        def alloc(i):
            d = nodes[i % 3].d
            return d.request("POST", d.at("pool", "/content"), {"vmid": 100, "filename": "", "size": "1M"}, timeout=120)

        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(max_workers=ALLOCS) as pool:
            waiting = [pool.submit(alloc, i) for i in range(ALLOCS)]
            rows = []
            while not all(w.done() for w in waiting):
                rows += [r for r in nodes[1].d.get("/cluster/locks") if r.get("node")]
            answers = [w.result() for w in waiting]
        seconds = time.monotonic() - begun
        print(f"      {ALLOCS} allocs on 3 nodes: {seconds:.1f} s, {1000 * seconds / ALLOCS:.0f} ms each", flush=True)
        self.assertEqual([repr(a) for a in answers if a.status != 200], [])
        self.assertEqual(len({a.data for a in answers}), ALLOCS, "each got a volume of its own")
        self.assertEqual(len(nodes[2].d.volids("pool")), ALLOCS)
        self.assertEqual({r["node"] for r in rows} - {"n1", "n2", "n3"}, set())
        self.assertIn("alloc", {r.get("reason") for r in rows})
        self.assertGreater(len({r["node"] for r in rows}), 1, "one node shows who of all of them holds it")


if __name__ == "__main__":
    main(namespace=True)
