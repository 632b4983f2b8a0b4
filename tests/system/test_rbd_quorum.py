#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rbd storage on a cluster of three monitors: one lost, the quorum lost and found; OSDs on disk, daemons killed."""
import http.client
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import SCALE, ceph, scaled
from harness import MiB, main, wait_until
from test_rbd_faults import FaultCase


class ThreeMonitors(FaultCase):
    CEPH = {"mons": 3, "store": "bluestore"}

    def test_one_of_three_is_not_missed(self):
        self.volume()  # the first one in a pool makes librbd ask the monitors for a snapshot
        ceph.mon_stop(self.lab, "a")
        try:
            ceph.wait_quorum(self.lab, "bc", 60)
            self.d.settled("kube", "degraded", deadline=60)
            self.assertIn("MON_DOWN", self.d.status("kube")["reason"])
            self.volume()
        finally:
            ceph.mon_resume(self.lab, "a")
            ceph.wait_quorum(self.lab, "abc", 60)

    def test_quorum_lost_and_found(self):
        self.volume()
        for name in "bc":
            ceph.mon_kill(self.lab, name)
        try:
            ceph.wait_quorum(self.lab, "", 60)
            noticed = self.goes_out("no quorum")
            words, seconds = self.reason_of("POST", self.d.at("kube", "/content"), vmid=100, filename="", size="4096")
            self.assertIn("no quorum", words)
            self.assertLess(seconds, self.watch.allows(5))
        finally:
            for name in "bc":
                ceph.mon_start(self.lab, name)
        ceph.wait_quorum(self.lab, "abc", 60)
        print(f"      noticed after {noticed:.1f} s, back after {self.comes_back():.1f} s", flush=True)

    def test_an_osd_that_is_killed_and_started(self):
        volid = self.volume()
        ceph.osd_kill(self.lab, 0)
        try:
            self.goes_out("osd down", "osd silent")
        finally:
            ceph.osd_start(self.lab, 0)
        self.comes_back()
        self.assertIn(volid, self.d.volids("kube"))

    def test_an_osd_that_is_killed_during_each_operation(self):
        """It dies while the call runs: the call ends soon, done or refused with the reason; then all is whole, and the same call goes through."""
        at = self.d.at
        other, snapped, base = self.volume(), self.volume(), self.volume()
        base = self.d.done(self.d.post(at("kube", "/template"), volume=base))
        self.d.done(self.d.post(at("kube", "/snapshot"), volume=snapped, snapname="s1"))
        calls = [("alloc", "POST", "/content", dict(vmid=400, filename="", size="4096")),
                 ("resize", "PUT", "/resize", dict(volume=other, size="8192")),
                 ("snapshot", "POST", "/snapshot", dict(volume=other, snapname="s2")),
                 ("clone", "POST", "/clone", dict(volume=base, vmid=401)),
                 ("rollback", "POST", "/rollback", dict(volume=snapped, snapname="s1")),
                 ("delsnapshot", "DELETE", "/snapshot", dict(volume=snapped, snapname="s1")),
                 ("free", "DELETE", "/content/" + other, {})]
        step = 1 if SCALE >= 1 else 4
        for name, method, path, params in calls[::step]:
            with self.subTest(name):
                ended = []
                thread = threading.Thread(target=lambda m=method, p=path, q=params: ended.append(self.end_of(m, p, q)))
                self.watch, begun = self.yard(), time.monotonic()
                thread.start()
                ceph.osd_kill(self.lab, 0)
                thread.join(90)
                self.assertTrue(ended, f"{name} does not end")
                self.assert_soon(time.monotonic() - begun, f"{name}: {ended[0]}")
                if ended[0] != "OK":
                    self.assertRegex(ended[0], "osd (silent|down)|mon unreachable|unresponsive|gave up|not answer", name)
                ceph.osd_start(self.lab, 0)
                ceph.wait_healthy(self.lab)
                wait_until(lambda: self.end_of("POST", "/content", dict(vmid=402, filename="", size="4096")) == "OK", "an alloc", 90, 0.5)
                if ended[0] != "OK":
                    wait_until(lambda m=method, p=path, q=params: self.end_of(m, p, q) == "OK" or self.is_done(name, q), f"{name} again", 90, 1)
        self.comes_back()
        rows = {r["volid"]: r["size"] for r in self.d.content("kube")}
        self.assertIn(base, rows)
        self.assertLessEqual(set(rows.values()), {4 * MiB, 8 * MiB}, "whole volumes only")

    def end_of(self, method, path, params):
        """"OK" or the reason, once it is over."""
        reply = self.d.request(method, self.d.at("kube", path), params or None, timeout=90)
        if reply.status != 200:
            return reply.message + " ".join(reply.errors.values())
        if isinstance(reply.data, str) and reply.data.startswith("UPID:"):
            return self.d.wait_task(reply.data)["exitstatus"]
        return "OK"

    def is_done(self, name, params):
        """What was refused the second time because the first had gone through after all."""
        snaps = [s.get("name") for s in self.d.get(self.d.at("kube", "/snapshot"), volume=params["volume"])] if "snap" in name else []
        return {"snapshot": "s2" in snaps, "delsnapshot": "s1" not in snaps}.get(name, False)

    def test_a_daemon_killed_in_the_middle(self):
        """storaged is killed while it makes and frees volumes; the next one finds whole ones only."""
        for _ in range(scaled(10)):
            made, ended, d = [], [], self.d

            def work():
                try:
                    while True:
                        made.append(d.alloc("kube", vmid=300, size="4096"))
                        d.done(d.post(d.at("kube", "/snapshot"), volume=made[-1], snapname="s1"))
                        d.done(d.delete(d.at("kube", "/content/" + made[-1])))
                except (AssertionError, OSError, http.client.HTTPException) as e:
                    ended.append(e)
            thread = threading.Thread(target=work)
            thread.start()
            wait_until(lambda: len(made) > 2 or ended, "work", 60)
            self.assertGreater(len(made), 2, ended)
            d.kill()
            thread.join(60)
            self.d = self.start_daemon()
            self.d.settled("kube", "active", deadline=60)
            for row in self.d.content("kube", vmid=300):
                self.assertEqual(row["size"], 4 * MiB)
                wait_until(lambda v=row["volid"]: self.d.wait_task(self.d.delete(self.d.at("kube", "/content/" + v)))["exitstatus"] == "OK",
                           f"free of {row['volid']}", 90, 1)
            self.assertEqual(self.d.content("kube", vmid=300), [])


if __name__ == "__main__":
    main()
