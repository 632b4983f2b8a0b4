#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""storaged is killed and frozen at every kind of request between nodes, on the node that asks and on the one that is asked.

n1 asks n2; a fault point of the kind (node.MOMENT.KIND, storaged/cluster/message.c) strikes one of them: before the request is
sent, when it has come, before its answer is sent, when that has come. Whoever waits for a struck node is told within 3 s, nobody
else waits at all, nothing is left half done, and all goes on by itself. Records (locks, leases, tickets) are no messages: they
are files of the cluster directory, struck at each step in test_migrate.py, test_fencing.py and test_frozen.py.
"""
import http.client
import os
import re
import signal
import socket
import sys
import threading
import time
import unittest
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible
from harness import REPO, main, wait_until
from yardstick import Yardstick

SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # `make soak` has 1
TOLD = 3.5         # 3 s are promised
TOLD_OF_SOME = 12  # where who can't be asked yet is asked again for 5 s: a storage is proved
PROVING = ("identity", "doctor", "clock")
VOLUME = "pool:100/vm-100-disk-0.raw"


def named_kinds():
    with open(f"{REPO}/storaged/cluster/message.c", encoding="utf-8") as f:
        table = f.read().split("kinds[] = {")[1].split("};")[0]
    return sorted(re.findall(r'"(\w+)" \}', table)) + ["ping"]


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


@unittest.skipUnless(cluster_is_possible(), "needs root and corosync")
class Messages(ClusterTest):
    def setUp(self):
        super().setUp()
        self.n1, self.n2, self.n3 = self.start_all()
        self.n_asked = 0
        self.longest = 0.0
        for name in ("pool", "own"):
            os.makedirs(os.path.join(self.tmp, name))
        self.connected()
        self.n1.d.post("/storage", type="dir", storage="pool", path=self.tmp + "/pool", shared=1)
        self.n1.d.post("/storage", type="dir", storage="own", path=self.tmp + "/own", nodes="n2")
        for n in self.nodes:
            wait_until(lambda n=n: {"pool", "own"} <= {r["storage"] for r in n.d.get("/storage")}, f"{n.name} has the storages")
        self.n2.d.alloc("pool", 100, "vm-100-disk-0.raw")
        self.n2.d.pvesm("activate", VOLUME)
        self.silent = socket.socket(socket.AF_UNIX)
        self.silent.bind(self.tmp + "/silent")
        self.silent.listen(100)
        self.addCleanup(self.silent.close)

    def connected(self):
        for n in self.nodes:
            for m in self.nodes:
                if n != m:
                    wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200, f"{n.name} can ask {m.name}", 60)

    # --- what makes n1 ask n2
    def ask(self, kind):
        """The answer of n1; None: it died."""
        simple = {"status": "/cluster/storages", "read": "/nodes/n2/storage/pool/content", "locks": "/cluster/locks", "doctor": "/cluster/doctor",
                  "clock": "/cluster/doctor", "tasks": "/nodes/n2/tasks", "luns": "/cluster/luns", "action": "/nodes/n2/actions/example/room?path=/"}
        n1, self.n_asked = self.n1.d, self.n_asked + 1
        try:
            if kind in simple:
                return n1.request("GET", simple[kind])
            if kind == "change":
                return n1.request("POST", "/nodes/n2/storage/pool/content", {"vmid": 200, "filename": "", "size": "1M"})
            if kind == "migrate":
                return n1.request("POST", "/nodes/n2/migrate", {"op": "prepare", "volume": VOLUME, "target": "n3"})
            if kind == "identity":
                return n1.request("POST", "/storage", {"type": "dir", "storage": f"new{self.n_asked}", "path": self.tmp + "/pool", "shared": 1})
            if kind == "stream":
                return n1.request("POST", f"/nodes/n1/storage/pool/content/{VOLUME}", {"target": "own", "target_node": "n2"})
            return self.ask_of_a_task(kind)
        except (OSError, http.client.HTTPException):
            return None

    def ask_of_a_task(self, kind):
        """One that waits for somebody who says nothing."""
        upid = self.n2.d.request("POST", self.n2.d.at("own", "/import"), {"volume": f"300/vm-300-disk-{self.n_asked}.raw", "format": "raw+size",
                                                                       "from": f"unix://{self.tmp}/silent"}).data
        path = "/nodes/n2/tasks/" + upid.replace(":", "%3A")
        if kind == "task":
            return self.n1.d.request("GET", path + "/status")
        seq = self.n2.d.get(path + "/status", wait=5)["seq"]
        return self.n1.d.request("GET", path + "/status", {"wait": 20, "seen": seq})

    def struck_by(self, kind, victim):
        """n1 asks, in a thread, until the victim is struck; (the thread, its answers)."""
        answers, is_struck = [], threading.Event()

        def go():
            while not is_struck.is_set() and not self.is_struck(victim):
                answers.append((self.ask(kind), time.monotonic()))
        t = threading.Thread(target=go, daemon=True)
        t.start()
        try:
            wait_until(lambda: self.is_struck(victim), f"{victim.name} is struck at {kind}", 60, 0.002)
        finally:
            is_struck.set()
        return t, answers

    def is_struck(self, victim):
        try:
            return not victim.d.is_running() or is_stopped(victim.d.pid)
        except FileNotFoundError:  # just now
            return True

    # --- what holds
    def nobody_else_waits(self, others):
        self.within(5, lambda: [n.d.get(f"/nodes/{n.name}/storage/pool/content") for n in others for _ in range(3)], "they do not wait for it")
        self.within(5, lambda: others[-1].d.alloc("pool", 400), "nor does a change")

    def told(self, kind, thread, answers, since, watch):
        thread.join(TOLD_OF_SOME * 5)
        self.assertFalse(thread.is_alive(), "who asked is told")
        answer, at = [a for a in answers if a[0]][-1]  # n2 may have been asked once more by the test itself
        self.assertGreaterEqual(at, since - 1)
        self.assertLess(at - since, watch.allows(TOLD_OF_SOME if kind in PROVING else TOLD), repr(answer))
        if kind not in PROVING:
            self.longest = max(self.longest, at - since)
        if kind not in ("status", "locks", "luns", "stream", *PROVING) and answer.status != 200:
            self.assertIn("n2", answer.message, repr(answer))

    def whole(self, kind):
        """The marks of proofs may stay: they go a day later (plugins/common/mark.c)."""
        for n in self.nodes:
            if not n.d.is_running():
                n.d.wait_dead()
                n.start()
        self.connected()
        if kind == "migrate":
            self.n2.d.request("POST", "/cluster/migrate", {"op": "abort", "volume": VOLUME})
            wait_until(lambda: not self.files("shared/priv/storaged/tickets"), "no ticket is left", 60)
        rows = self.n3.d.get(self.n3.d.at("pool", "/holders"), volume=VOLUME)
        self.assertEqual([(r["node"], r["exclusive"]) for r in rows if r["what"] == "lease"], [("n2", 1)])
        if kind in ("stream", "task", "ping"):
            self.end_tasks()
        for storage, node in (("pool", self.n1), ("own", self.n2)):
            wait_until(lambda s=storage, n=node: self.files(f"{s}/images") == sorted(v.split("/")[-1] for v in n.d.volids(s)),
                       f"nothing half is left in {storage}", 60)
        configs = [sorted(r["storage"] for r in n.d.get("/storage")) for n in self.nodes]
        self.assertEqual(configs[0], configs[1])
        for name in configs[0]:
            if name.startswith("new"):
                self.n3.d.delete(f"/storage/{name}")
        wait_until(lambda: all("new" not in r["storage"] for n in self.nodes for r in n.d.get("/storage")), "all know that it is gone")
        self.n1.d.alloc("pool", 500)
        for n in self.nodes:
            n.d.alloc("pool", 500)

    def end_tasks(self):
        for n in self.nodes:
            for row in n.d.get("/nodes/localhost/tasks", source="active"):
                n.d.request("DELETE", "/nodes/localhost/tasks/" + row["upid"].replace(":", "%3A"))
        for n in self.nodes:
            wait_until(lambda n=n: not n.d.get("/nodes/localhost/tasks", source="active"), f"no task runs on {n.name}", 60)

    def files(self, folder):
        return sorted(name for _top, _dirs, names in os.walk(os.path.join(self.tmp, folder)) for name in names if ".tmp." not in name)

    # --- the strikes
    def restart(self, victim, faults):
        if victim.d.is_running():
            os.kill(victim.d.pid, signal.SIGCONT)
            victim.d.stop()
        else:  # after a strike that failed
            victim.d.wait_dead()
        victim.start(env={"STORAGED_FAULTS": faults})
        self.connected()

    def strike(self, victim, kind, action):
        others = [n for n in self.nodes if n is not victim and (n is not self.n1 or victim is self.n1)]
        thread, answers = self.struck_by(kind, victim)
        since = time.monotonic()
        with Yardstick(self.tmp) as watch:  # beside the one of those that don't wait
            self.nobody_else_waits(others)
            if victim is self.n2:
                self.told(kind, thread, answers, since, watch)
        if action == "stop":
            os.kill(victim.d.pid, signal.SIGCONT)
        thread.join(60)
        self.assertFalse(thread.is_alive(), "an answer, or an end")
        self.whole(kind)

    def strike_all(self, action):
        for victim, moment in ((self.n2, "asked"), (self.n2, "answer"), (self.n1, "ask"), (self.n1, "answered")):
            for kind in self.chosen(moment, action):
                with self.subTest(node=victim.name, moment=moment, kind=kind):
                    begun = time.monotonic()
                    self.restart(victim, f"node.{moment}.{kind}={action}@1")
                    self.strike(victim, kind, action)
                    print(f"      {moment} {kind} {time.monotonic() - begun:.1f} s")
        print(f"      told after {self.longest:.1f} s at most", flush=True)

    def test_killed(self):
        self.strike_all("kill")

    def test_frozen(self):
        self.strike_all("stop")

    def chosen(self, moment, action):
        if SCALE >= 1:
            return named_kinds()
        return {("asked", "kill"): ("change",), ("answered", "kill"): ("identity",), ("asked", "stop"): ("read",),
                ("answer", "stop"): ("change",)}.get((moment, action), ())


if __name__ == "__main__":
    main(namespace=True)
