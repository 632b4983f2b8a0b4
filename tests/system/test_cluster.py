#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes with real Corosync: who is there, what is refused without quorum, what one node does for another."""
import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible, timed
from harness import IS_ASAN, DaemonTest, main, run, wait_until

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
        self.assertLess(n1.rss(), 12 if not IS_ASAN else 10000)
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
            r = self.within(AT_ONCE, lambda call=call: node.d.request(*call))
            self.refused(r, 503)
            self.assertIn("no quorum", r.message, repr(r))
        self.assertEqual(self.shared_files(), before)
        if volid:
            yard = self.yard()
            took = sorted(timed(lambda call=call: node.d.request(*call))[0] for call in calls * 15)
            self.assertLess(took[int(len(took) * 0.99)], yard.allows(1), "100 ms are promised")

    def shared_files(self):
        return sorted(os.path.join(f, n) for f, _, names in os.walk(self.shared) for n in names)

    def test_stopped_corosync_stops_nobody(self):
        n1, _, n3 = self.start_all()
        os.kill(n3.corosync.pid, signal.SIGSTOP)
        wait_until(lambda: n1.online() == ["n1", "n2"], "n1 sees that n3 is gone")
        n3.d.stop()
        self.within(10, n3.start)
        r = self.within(AT_ONCE, lambda: n3.d.request("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}))
        self.assertIn("no quorum", self.refused(r, 503).message)
        os.kill(n3.corosync.pid, signal.SIGCONT)
        wait_until(lambda: len(n3.online()) == 3 and n3.quorate(), "n3 is back")


@needs_corosync
class NodeToNode(ClusterTest):
    def setUp(self):
        super().setUp()
        self.start_all()
        self.pool = os.path.join(self.tmp, "pool")
        os.makedirs(self.pool)
        for n in self.nodes:
            for m in self.nodes:
                if n != m:
                    wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200,
                               f"{n.name} can ask {m.name}")

    def test_requests_are_passed_on(self):
        n1, n2, n3 = self.nodes
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool, shared=1)
        n1.d.post("/storage", type="dir", storage="only2", path=os.path.join(self.tmp, "only2"), nodes="n2")
        wait_until(lambda: "only2" in [s["storage"] for s in n2.d.get("/storage")], "n2 has it")
        volid = n1.d.post("/nodes/n2/storage/only2/content", vmid=100, filename="", size="1024")
        self.assertEqual([r["volid"] for r in n3.d.get("/nodes/n2/storage/only2/content")], [volid])
        self.assertEqual(n1.d.get("/nodes/n2/storage/only2/content", vmid=101), [])
        self.assertEqual(n1.d.get(f"/nodes/n2/storage/only2/content/{volid}")["size"], 1 << 20)
        active = {n: {r["storage"]: r["active"] for r in n1.d.get(f"/nodes/{n}/storage")} for n in ("n1", "n2")}
        self.assertEqual((active["n1"]["only2"], active["n2"]["only2"]), (0, 1))
        r = n1.d.request("GET", "/nodes/n2/storage/none/status")
        self.refused(r, 404, "storage")
        self.refused(n1.d.request("POST", "/nodes/n2/storage/only2/content", {"vmid": 100}), 400, "filename")
        self.refused(n1.d.request("GET", "/nodes/n9/storage"), 404)
        upid = n1.d.request("DELETE", f"/nodes/n2/storage/only2/content/{volid}").data
        self.assertTrue(upid.startswith("UPID:n2:"), upid)
        path = "/nodes/n2/tasks/" + upid.replace(":", "%3A")
        wait_until(lambda: n1.d.get(path + "/status", wait=5)["status"] == "stopped", "the task on n2 ends")
        self.assertEqual(n1.d.get(path + "/status")["exitstatus"], "OK")
        self.assertLess(n1.rss(), 12 if not IS_ASAN else 10000)

    def test_dead_and_stopped_nodes(self):
        n1, n2, n3 = self.nodes
        with self.subTest("storaged stopped: its caller waits 3 s, nobody else at all"):
            os.kill(n2.d.pid, signal.SIGSTOP)
            yard = self.yard()
            with concurrent.futures.ThreadPoolExecutor() as pool:
                waits = pool.submit(timed, lambda: n1.d.request("GET", "/nodes/n2/storage"))
                seconds, _ = timed(lambda: [n1.d.get("/nodes/n3/workers") and n1.d.get("/nodes/n1/storage") is not None
                                            for _ in range(10)])
                self.assertFalse(waits.done() and seconds < 3)
                self.assertLess(seconds, yard.allows(2))
                seconds, r = waits.result()
            self.assertIn("n2", self.refused(r, 504).message)
            self.assertLess(seconds, yard.allows(3.5))
            os.kill(n2.d.pid, signal.SIGCONT)
            wait_until(lambda: n1.d.request("GET", "/nodes/n2/workers").status == 200, "n2 answers again")
        with self.subTest("storaged ended: told at once"):
            n2.d.stop()
            r = self.within(1, lambda: n1.d.request("GET", "/nodes/n2/storage"))
            self.refused(r, 595)
            n2.start()
            wait_until(lambda: n1.d.request("GET", "/nodes/n2/workers").status == 200, "n2 answers again")
        with self.subTest("machine gone"):
            n3.stop_network()
            r = self.within(3.5, lambda: n1.d.request("GET", "/nodes/n3/storage"))
            self.refused(r, (504, 595))
            wait_until(lambda: n1.online() == ["n1", "n2"], "n1 sees that n3 is gone")
            r = self.within(AT_ONCE, lambda: n1.d.request("GET", "/nodes/n3/storage"))
            self.assertIn("offline", self.refused(r, 595).message)
            n3.start_network()
            wait_until(lambda: n1.d.request("GET", "/nodes/n3/workers").status == 200, "n3 answers again")

    def test_node_that_freezes_in_the_middle_of_a_request(self):
        """The handshake is over, the other daemon works on it, and then it stops: pings find out."""
        n1, n2, n3 = self.nodes
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool, shared=1)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(os.path.join(self.tmp, "silent"))
            silent.listen()
            task = {}
            for n in (n2, n3):
                wait_until(lambda n=n: "pool" in [s["storage"] for s in n.d.get("/storage")], f"{n.name} has it")
                upid = n.d.request("POST", n.d.at("pool", "/import"),
                                   {"volume": f"{n.id}00/vm-{n.id}00-disk-0.raw", "format": "raw+size",
                                    "from": f"unix://{self.tmp}/silent"}).data
                task[n] = f"/nodes/{n.name}/tasks/" + upid.replace(":", "%3A")
            seq = {n: n1.d.get(task[n] + "/status", wait=5)["seq"] for n in (n2, n3)}
            news = {n: lambda n=n: n1.d.request("GET", task[n] + "/status", {"wait": 20, "seen": seq[n]})
                    for n in (n2, n3)}
            with concurrent.futures.ThreadPoolExecutor() as pool:
                frozen, alive = (pool.submit(timed, news[n]) for n in (n2, n3))
                time.sleep(2)  # several pings have been answered
                self.assertFalse(frozen.done() or alive.done())
                os.kill(n2.d.pid, signal.SIGSTOP)
                r = self.within(4, lambda: frozen.result()[1], "3 s are promised")
                self.assertIn("n2", self.refused(r, 504).message)
                self.assertFalse(alive.done(), "n3 lives: who waits for it goes on waiting")
                os.kill(n2.d.pid, signal.SIGCONT)
                n1.d.request("DELETE", task[n3])
                self.assertEqual(alive.result()[1].status, 200)

    def test_only_nodes_of_the_cluster_may_ask(self):
        n1, n2, _ = self.nodes
        keys = os.path.join(self.shared, "priv/storaged")
        for folder, _, names in os.walk(keys):
            for name in names:
                self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o777, 0o600, name)
        own = os.path.join(self.tmp, "foreign")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
            "-subj", "/O=storaged/CN=n2", "-keyout", own + ".key", "-out", own + ".crt")
        n2_pair = [os.path.join(keys, "nodes/n2." + end) for end in ("crt", "key")]

        def ask(crt=None, key=None, user="root@pam", path="/nodes/n1/storage"):
            words = ["curl", "-sk", "--max-time", "10", "-w", "%{http_code}", "-H", f"Storaged-User: {user}"]
            if crt:
                words += ["--cert", crt, "--key", key]
            return run("ip", "netns", "exec", "n2", *words, f"https://{n1.ip}:8016/api2/json{path}", check=False).out

        self.assertTrue(ask(*n2_pair).endswith("200"), "a node's own certificate is the way in")
        for what, answer in (("none", ask()), ("foreign", ask(own + ".crt", own + ".key")),
                             ("other user", ask(*n2_pair, user="joe@pve")), ("no user", ask(*n2_pair, user=""))):
            self.assertTrue(answer.endswith(("403", "000")), f"{what}: {answer}")
            self.assertNotIn("active", answer)
        self.assertTrue(ask(*n2_pair, path="/nodes/n3/storage").endswith("501"), "passed on once, not twice")
        # And the other way round: somebody else on n2's address is not believed.
        n2.d.stop()
        with subprocess.Popen(["ip", "netns", "exec", "n2", "openssl", "s_server", "-quiet", "-accept", "8016", "-cert",
                               own + ".crt", "-key", own + ".key", "-www"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            r = wait_until(lambda: (r := n1.d.request("GET", "/nodes/n2/storage")).status != 595 and r, "it listens")
            p.kill()
        self.assertIn("did not prove", self.refused(r, 403).message)

    def test_certificates_are_made_anew_when_they_are_broken(self):
        n1, n2, _ = self.nodes
        crt = os.path.join(self.shared, "priv/storaged/nodes/n2.crt")
        ca = os.path.join(self.shared, "priv/storaged/ca.crt")
        with open(ca, "rb") as f:
            before = f.read()
        n2.d.stop()
        os.truncate(crt, 100)
        n2.start()
        wait_until(lambda: n1.d.request("GET", "/nodes/n2/workers").status == 200, "n2 has a certificate again")
        with open(ca, "rb") as f:
            self.assertEqual(f.read(), before)


if __name__ == "__main__":
    main(namespace=True)
