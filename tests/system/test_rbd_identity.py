#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two nodes whose monitors' address leads to two real Ceph clusters, each with a pool of that name: it is not one storage.

Each node runs in the network namespace of a Ceph cluster of its own, which is on its loopback; between them are Corosync and
storaged's own requests. The user and its key are the same in both clusters: nothing but their identity tells them apart.
"""
import os
import shutil
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import PRELUDE, SCALE, Lab, ceph
from cluster import ClusterTest, Node, cluster_is_possible
from harness import REPO, main, run, wait_until

IMPORT = """
with open('/share/ceph/import') as f:
    r, _, text = cluster.mon_command(json.dumps({'prefix': 'auth import'}), f.read().encode())
assert r == 0, text
"""
USER = "[client.both]\n\tkey = {key}\n\tcaps mon = \"profile rbd\"\n\tcaps osd = \"profile rbd\"\n\tcaps mgr = \"profile rbd\"\n"


class CephNode(Node):
    """Where a cluster of Ceph is on loopback; the other node is behind that namespace's first bridge."""

    def make_network(self):
        self.netns = self.lab.labs[self.id - 1].netns
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "peer0", "netns", self.netns)
        run("ip", "link", "set", self.link, "master", "br0", "up")
        for words in ("addr flush dev br0", f"addr add {self.ip}/24 dev br0", "link set peer0 master br0 up"):
            run("ip", "-n", self.netns, *words.split())

    def end_network(self):
        run("ip", "link", "del", self.link, check=False)


@unittest.skipUnless(cluster_is_possible() and shutil.which("mmdebstrap"), "needs root, corosync and mmdebstrap")
class TwoClusters(ClusterTest):
    n_nodes = 2
    node_class = CephNode
    quorum = "    two_node: 1"

    def setUp(self):
        self.labs = []
        self.addCleanup(self.end_labs)
        for pools in (["vms"], ["other", "vms"]):  # of one name, and not even of one number
            lab = Lab(f"id{os.getpid()}x{len(self.labs)}")
            lab.own()
            self.labs.append(lab)
            seconds, state = ceph.up(lab, addresses=ceph.LOOPBACK, pools=pools)
            print(f"      Ceph in {seconds:.1f} s: {state}", flush=True)
        super().setUp()
        self.keyring = os.path.join(self.tmp, "both.keyring")
        key = ceph.command(self.labs[0], {"prefix": "auth get-key", "entity": "client.admin"})[0]
        key = key["key"] if isinstance(key, dict) else key
        with open(self.keyring, "w", encoding="utf-8") as f:
            f.write(f"[client.both]\n\tkey = {key}\n")
        for lab in self.labs:
            self.import_user(lab, USER.format(key=key))

    def end_labs(self):
        for lab in self.labs:
            run(os.path.join(REPO, "tests/lab/lab"), "--name", lab.name, "down", check=False)

    def import_user(self, lab, text):
        folder = os.path.join(lab.share, "ceph")
        for name, content in (("import", text), ("script.py", PRELUDE + IMPORT + "\nsys.stdout.flush()\nos._exit(0)\n")):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(content)
        ceph.server.once(lab, ["timeout", "60", "python3", "/share/ceph/script.py"], root=ceph.facts(lab)["root"])

    def add(self, node, *more, check=True):
        return node.d.pvesm("add", "rbd", "vms", "--monhost", ceph.LOOPBACK[0], "--pool", "vms", "--username", "both", "--keyring", self.keyring,
                            *more, check=check)

    def test_a_pool_of_the_same_name_in_another_cluster(self):
        n1, n2 = self.start_all()
        for n, m in ((n1, n2), (n2, n1)):
            wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200, f"{n.name} can ask {m.name}")
        with self.subTest("each for itself is well"):
            for n in self.nodes:
                self.add(n, "--nodes", n.name)
                n.d.settled("vms", "active")
                n.d.delete("/storage/vms")
                wait_until(lambda: not [r for m in self.nodes for r in m.d.get("/storage") if r["storage"] == "vms"], "all know that it is gone")
        with self.subTest("together they are refused, whoever is asked, and the other one is named"):
            for asked, other in ((n1, n2), (n2, n1)):
                r = self.add(asked, check=False)
                self.assertNotEqual(r.rc, 0, repr(r))
                self.assertIn(f"node '{other.name}' reaches another one", r.err)
                self.assertIn("--force", r.err)
                self.assertNotIn("vms", [s["storage"] for s in asked.d.get("/storage")])
        with self.subTest("who does not reach it at first is asked again"):
            seen = n2.d.log.count("/identity: 504")
            ceph.mon_stop(self.labs[1], "a")
            try:
                with ThreadPoolExecutor(1) as pool:
                    adding = pool.submit(self.add, n1, check=False)
                    wait_until(lambda: n2.d.log.count("/identity: 504") > seen, "n2 says that no monitor answers")
                    ceph.mon_resume(self.labs[1], "a")
                    self.assertIn("node 'n2' reaches another one", adding.result().err)
            finally:
                ceph.mon_resume(self.labs[1], "a")
        with self.subTest("--force, and the doctor"):
            self.add(n1, "--force")
            for n in self.nodes:
                wait_until(lambda n=n: "vms" in [r["storage"] for r in n.d.get("/storage")], f"{n.name} has it")
                n.d.settled("vms", "active")
            rows = {(r["node"], r["code"]): r["summary"] for r in n1.d.get("/cluster/doctor") if r.get("object") == "vms"}
            self.assertIn(("n2", "IDENTITY_DIFFERS"), rows)
            self.assertIn("ceph-pool", rows["n2", "IDENTITY_DIFFERS"])
            self.assertNotIn(("n1", "IDENTITY_DIFFERS"), rows)
        if SCALE >= 1:
            self.joins_again(n1, n2)

    def joins_again(self, n1, n2):
        """It is looked at then, without that anybody asks."""
        n1.d.stop()
        n1.start()  # what it knew is forgotten
        n2.d.stop()
        n2.kill_corosync()
        wait_until(lambda: n1.online() == ["n1"] and n1.quorate(), "n1 is alone")
        n2.start_corosync()
        n2.start()

        def differs():
            rows = {(r["node"], r["storage"]): r.get("identity") for n in self.nodes for r in n.d.get("/cluster/storages")}
            return "differs" in (rows.get(("n1", "vms")), rows.get(("n2", "vms")))
        wait_until(differs, "somebody finds out that they differ", 60, 0.2)


if __name__ == "__main__":
    main(namespace=True)
