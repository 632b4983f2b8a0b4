#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Actions: what a plugin can do beside volumes is declared, offered, checked and run like the rest."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, main

BASE = "/nodes/localhost/actions"


class Actions(DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.tmp, "ex")
        self.d.request("POST", "/storage", {"type": "example", "storage": "ex", "path": self.path})

    def refused(self, answer, status, word):
        self.assertEqual(answer.status, status, answer)
        self.assertIn(word, answer.json["message"])

    def test_they_are_listed_as_declared(self):
        rows = {(r["type"], r["name"]): r for r in self.d.get(BASE)}
        self.assertEqual([p["name"] for p in rows["example", "room"]["params"]], ["path"])
        self.assertTrue(rows["example", "verify"]["task"])

    def test_without_a_storage(self):
        got = self.d.get(f"{BASE}/example/room?path={self.tmp}")
        v = os.statvfs(self.tmp)
        self.assertEqual(got["total"], v.f_blocks * v.f_frsize)

    def test_about_a_storage_and_long_is_a_task(self):
        for _ in range(3):
            self.d.alloc("ex", 100, "", "1M")
        upid = self.d.get(f"{BASE}/example/verify?storage=ex")
        status = self.d.wait_task(upid)
        self.assertEqual(status["exitstatus"], "OK")
        self.assertEqual(status["result"], {"volumes": 3, "bytes": 3 << 20})
        log = [row["t"] for row in self.d.get(f"/nodes/localhost/tasks/{upid}/log")]
        self.assertIn("volume vm-100-disk-1 can be read", log)

    def test_what_is_not_declared_never_reaches_it(self):
        ask = self.d.request
        self.refused(ask("GET", f"{BASE}/example/nothing"), 404, "no action 'nothing'")
        self.refused(ask("GET", f"{BASE}/nosuch/room"), 404, "no action 'room'")
        for query, name in (("", "path"), ("?path=relative", "path"), ("?path=/&more=1", "more")):
            answer = ask("GET", f"{BASE}/example/room{query}")
            self.assertEqual((answer.status, list(answer.json["errors"])), (400, [name]))
        self.refused(ask("POST", f"{BASE}/example/room", {"path": "/"}), 405, "GET")
        self.refused(ask("GET", f"{BASE}/example/verify"), 404, "storage")
        answer = ask("GET", f"{BASE}/example/verify?storage=local")
        self.assertIn("is of type 'dir'", answer.json["errors"]["storage"])

    def test_a_failure_is_the_plugins_sentence(self):
        answer = self.d.request("GET", f"{BASE}/example/room?path={self.tmp}/absent")
        self.refused(answer, 404, "absent")


if __name__ == "__main__":
    main()
