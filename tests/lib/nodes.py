# SPDX-License-Identifier: GPL-2.0-or-later
"""Some storaged on one cluster directory and one shared storage: leases, tickets, and what is left when one dies.

Each node is a root of its own whose etc/pve is a link to the same directory.
"""
import http.client
import json
import os

from harness import Daemon, DaemonTest, wait_until

VOLUME = "sh:100/vm-100-disk-0.raw"
SECOND = "sh:100/vm-100-disk-1.raw"


class Nodes(DaemonTest):
    """n1, n2, n3; the storage `sh` is shared, `own` is a directory of each."""

    wants_daemon = False
    volumes = (VOLUME, SECOND)

    def setUp(self):
        super().setUp()
        self.cluster = self.tmp + "/cluster"
        os.makedirs(self.cluster)
        os.makedirs(self.tmp + "/sh")
        for n in ("n1", "n2", "n3"):
            os.makedirs(f"{self.tmp}/{n}/etc")
            os.symlink(self.cluster, f"{self.tmp}/{n}/etc/pve")
        self.nodes = {}

    def node(self, name, faults=""):
        d = Daemon(f"{self.tmp}/{name}", node=name, args=self.daemon_args, env={"STORAGED_FAULTS": faults})
        self.daemons.append(d)
        self.nodes[name] = d
        return d

    def begin(self, *names):
        for n in names or ("n1", "n2"):
            self.node(n)
        self.add_storage()
        for d in self.nodes.values():  # a definition is read by all before they are asked
            wait_until(lambda d=d: [s for s in d.get("/storage") if s["storage"] == "sh"], "all know the storage")
        for volume in self.volumes:
            self.nodes["n1"].alloc("sh", 100, volume.split(":")[1].split("/")[-1])

    def add_storage(self):
        self.nodes["n1"].add_dir("sh", self.tmp + "/sh", shared=1)

    def ask(self, node, verb, volume=None, **more):
        d, volume = self.nodes[node], volume or self.volumes[0]
        return d.request("POST", d.at(volume.split(":")[0], "/" + verb), {"volume": volume, **more})

    def must(self, node, verb, volume=None, **more):
        r = self.ask(node, verb, volume, **more)
        self.assertEqual(r.status, 200, repr(r))
        return r

    def ask_dying(self, node, verb, **more):
        """The status of the answer, or "died"."""
        try:
            return self.ask(node, verb, **more).status
        except (OSError, http.client.HTTPException):
            self.nodes[node].wait_dead()
            return "died"

    def migrate(self, node, op, what=None, **more):
        what = what or self.volumes[0]
        key = "volume" if ":" in str(what) else "vmid"
        return self.nodes[node].request("POST", "/cluster/migrate", {"op": op, key: what, **more})

    def hand(self, node, op, what=None, **more):
        r = self.migrate(node, op, what, **more)
        self.assertEqual(r.status, 200, repr(r))
        return r.data

    def holders(self, node="n1", volume=None):
        d, volume = self.nodes[node], volume or self.volumes[0]
        rows = d.get(d.at("sh", "/holders"), volume=volume)
        return {r["node"]: "exclusive" if r["exclusive"] else "shared" for r in rows if r["what"] == "lease"}

    def records(self, kind):
        found = []
        for folder, _, files in os.walk(f"{self.cluster}/priv/storaged/{kind}"):
            for name in files:
                if ".tmp." in name:
                    continue
                try:
                    with open(os.path.join(folder, name), encoding="utf-8") as f:
                        found.append(json.load(f))
                except FileNotFoundError:
                    pass  # removed since it was listed
        return found

    def record(self):
        """The first volume's lease, as another program would read it; None: there is none."""
        return next((r for r in self.records("leases") if r["volume"] == self.volumes[0]), None)

    def lease(self):
        """{node: mode} out of the record."""
        r = self.record()
        return {n: r["mode"] for n in (r["node"], r.get("partner")) if n} if r else {}

    def settles(self, deadline=30.0):
        wait_until(lambda: not self.records("tickets"), "no ticket is left", deadline)
        return self.lease()
