#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Leases on a storage that enforces them itself (plugins/example/access.c): it refuses whatever comes in the wrong order.

So a hand-over that works here asks the plugin on the right node, in the right mode, at the right time; and a lease is
taken over only when the dead node's client has been fenced.
"""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main
from nodes import Nodes


class Enforced(Nodes):
    volumes = ("sh:vm-100-disk-0", "sh:vm-100-disk-1")

    def add_storage(self):
        self.nodes["n1"].request("POST", "/storage", {"type": "example", "storage": "sh", "path": self.tmp + "/sh", "shared": 1})

    def access(self):
        """{node: mode} as the storage has it."""
        prefix = ".access@vm-100-disk-0@"
        found = {}
        for name in os.listdir(self.tmp + "/sh"):
            if name.startswith(prefix):
                with open(f"{self.tmp}/sh/{name}", encoding="ascii") as f:
                    found[name[len(prefix):]] = {"x": "exclusive", "s": "shared"}[f.read(1)]
        return found

    def access_file(self, node):
        return f"{self.tmp}/sh/.access@vm-100-disk-0@{node}"

    def both(self, expected):
        self.assertEqual((self.lease(), self.access()), (expected, expected))

    def test_commit_in_order(self):
        self.begin("n1", "n2", "n3")
        self.must("n1", "activate")
        self.both({"n1": "exclusive"})
        self.hand("n1", "prepare", target="n2")
        self.assertEqual(self.access(), {"n1": "shared"}, "the source makes room before the target may come")
        self.must("n2", "activate")
        self.both({"n1": "shared", "n2": "shared"})
        self.hand("n1", "commit")
        self.assertEqual(self.settles(), {"n2": "exclusive"})
        self.both({"n2": "exclusive"})
        self.must("n2", "deactivate")
        self.both({})

    def test_abort_in_order(self):
        self.begin()
        self.must("n1", "activate")
        self.hand("n1", "prepare", target="n2")
        self.must("n2", "activate")
        self.hand("n1", "abort")
        self.assertEqual(self.settles(), {"n1": "exclusive"})
        self.both({"n1": "exclusive"})
        self.hand("n1", "prepare", target="n2")
        self.hand("n1", "abort")
        self.both({"n1": "exclusive"})

    def test_the_lease_tells_who_the_client_is(self):
        self.begin()
        self.must("n1", "activate")
        with open(self.access_file("n1"), encoding="ascii") as f:
            client = f.read()[1:]
        self.assertEqual(self.record()["client"], {"client": client})
        self.hand("n1", "prepare", target="n2")
        self.must("n2", "activate")
        r = self.record()
        self.assertEqual(r["client"], {"client": client})
        self.assertTrue(r["partner_client"]["client"].startswith("n2/"))
        self.hand("n1", "commit")
        self.settles()
        self.assertTrue(self.record()["client"]["client"].startswith("n2/"))
        self.assertNotIn("partner_client", self.record())

    def dead_holder(self):
        self.begin()
        self.must("n1", "activate")
        self.nodes["n1"].kill()

    def take(self, node="n2", dead="n1"):
        return self.ask(node, "activate", force=1, **{"dead-node": dead})

    def test_the_dead_client_is_fenced_first(self):
        self.dead_holder()
        self.assertEqual(self.take().status, 200)
        self.both({"n2": "exclusive"})
        self.assertIn("node 'n1' is fenced", self.nodes["n2"].log)

    def test_a_client_that_came_back_is_not_fenced(self):
        self.dead_holder()
        with open(self.access_file("n1"), "w", encoding="ascii") as f:
            f.write("xn1/another")
        r = self.take()
        self.assertIn("come back", r.message)
        self.assertIn("'n1'", r.message)
        self.both({"n1": "exclusive"})

    def test_killed_before_the_client_was_recorded(self):
        self.begin()
        self.node("n3", "lease.before-write=kill@2")  # entered, active, not told who
        self.assertEqual(self.ask_dying("n3", "activate"), "died")
        self.assertNotIn("client", self.record())
        self.both({"n3": "exclusive"})
        self.node("n3").kill()  # its start gives back the storage's lock, which else lives for 120 s
        self.assertEqual(self.take(dead="n3").status, 200)
        self.both({"n2": "exclusive"})

    def test_both_holders_of_a_hand_over_are_fenced(self):
        self.begin("n1", "n2", "n3")
        self.must("n1", "activate")
        self.hand("n1", "prepare", target="n2")
        self.must("n2", "activate")
        for n in ("n1", "n2"):
            self.nodes[n].kill()
        self.refused(self.take("n3", "n1"), 409, "dead-node")
        self.both({"n1": "shared", "n2": "shared"})
        self.assertEqual(self.take("n3", "n1,n2").status, 200)
        self.assertEqual(self.settles(), {"n3": "exclusive"})
        self.both({"n3": "exclusive"})

    def test_killed_between_fencing_and_taking(self):
        self.dead_holder()
        self.nodes["n2"].stop()
        self.node("n2", "takeover.fenced=kill@1")
        self.assertEqual(self.ask_dying("n2", "activate", force=1, **{"dead-node": "n1"}), "died")
        self.assertEqual(self.lease(), {"n1": "exclusive"}, "a lease of a fenced node is safe")
        self.node("n2")
        self.assertEqual(self.take().status, 200)
        self.both({"n2": "exclusive"})

    def test_what_the_storage_refuses_changes_no_lease(self):
        self.dead_holder()
        before = self.record()
        with open(self.access_file("n9"), "w", encoding="ascii") as f:
            f.write("xn9/foreign")
        self.assertIn("n9", self.take().message)
        self.assertEqual(self.record(), before)
        self.refused(self.ask("n2", "activate"), 409)

    def test_without_a_cluster_somebody_has_to_say_who_is_dead(self):
        self.dead_holder()
        self.refused(self.ask("n2", "activate", force=1), 400, "dead-node")
        self.refused(self.take(dead="n2"), 409, "dead-node")
        self.both({"n1": "exclusive"})


if __name__ == "__main__":
    main()
