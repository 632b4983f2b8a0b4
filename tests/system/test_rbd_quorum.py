#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rbd storage on a cluster of three monitors: one lost, the quorum lost and found; OSDs on disk, daemons killed."""
import http.client
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import ceph, scaled
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
            self.assertLess(seconds, 5)
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
