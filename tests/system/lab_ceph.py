#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's Ceph cluster and its faults, seen from a node through librados and librbd: before, during and after each."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase
from labkit import ceph
from labkit.state import LabError

CLIENT = "/share/ceph/client"  # tests/lab/ceph/client
NO_ANSWER = 3  # its exit status


class CephCase(LabCase):
    KIND = "ce"
    POOL = "kube"

    def put(self, name, text, timeout=30):
        return self.on(1, f"{CLIENT} --timeout {timeout} put {self.POOL} {name}", stdin=text.encode(), timeout=120)

    def get(self, name, timeout=30):
        return self.on(1, f"{CLIENT} --timeout {timeout} get {self.POOL} {name}", timeout=120)

    def assert_works(self, name):
        """A node writes an object and reads it back."""
        self.assertEqual(self.put(name, f"this is {name}"), (0, ""))
        self.assertEqual(self.get(name), (0, f"this is {name}"))

    def assert_hangs(self, name):
        status, words = self.put(name, "nobody takes this", timeout=4)
        self.assertEqual(status, NO_ANSWER, words)
        return words

    def patient_put(self, name, text):
        """A write without a timeout, in the background of the node; gives how to ask for its exit status."""
        self.must(1, f"rm -f /run/{name}.rc; {{ printf %s '{text}' | {CLIENT} --timeout 0 put {self.POOL} {name}; echo $? > /run/{name}.rc; }}"
                     " > /dev/null 2>&1 &")
        return lambda: self.on(1, f"cat /run/{name}.rc 2> /dev/null")[1]


class Memory(CephCase):
    """One monitor, one OSD in memory: what most tests of the rbd plugin want."""
    UP = ("--nodes", "1", "--luns", "0", "--lock", "none", "--ceph")

    def test_1_pool_without_an_application_is_warned_of(self):
        ceph.make_pools(self.lab, [self.POOL], application=None)
        self.tell("before", f"an empty pool: {ceph.wait_healthy(self.lab)}")
        self.assert_works("first")
        since = time.monotonic()
        during = ceph.wait_checks(self.lab, has=["POOL_APP_NOT_ENABLED"])
        self.tell("during", f"{during} {time.monotonic() - since:.1f} s after its first object")
        since = time.monotonic()
        ceph.command(self.lab, {"prefix": "osd pool application enable", "pool": self.POOL, "app": "rbd"})
        after = ceph.wait_checks(self.lab, lacks=["POOL_APP_NOT_ENABLED"])
        self.tell("after", f"{after} {time.monotonic() - since:.1f} s after the application was enabled")
        self.assertEqual(ceph.checks(self.lab), [])

    def test_2_object_and_image_from_a_node(self):
        self.assert_works("object")
        self.assertEqual(ceph.client(self.lab, "get", self.POOL, "object").stdout, "this is object")
        self.must(1, f"{CLIENT} image-create {self.POOL} disk 64")
        text = "sector of an image, written on a node"
        self.must(1, f"{CLIENT} image-write {self.POOL} disk {5 << 20}", stdin=text.encode())
        self.assertEqual(self.must(1, f"{CLIENT} image-read {self.POOL} disk {5 << 20} {len(text)}"), text)
        self.assertEqual(ceph.client(self.lab, "image-read", self.POOL, "disk", str(5 << 20), str(len(text))).stdout, text)

    def test_3_refusals_name_the_object(self):
        status, words = self.on(1, f"{CLIENT} get {self.POOL} nothing-such")
        self.assertEqual(status, 1, words)
        self.assertIn("nothing-such", words)
        with self.assertRaisesRegex(LabError, "osd.0 .*memstore"):
            ceph.osd_start(self.lab, 0)
        with self.assertRaisesRegex(LabError, "no monitor 'b'"):
            ceph.mon_kill(self.lab, "b")
        with self.assertRaisesRegex(LabError, "that runs: ceph-mgr.x"):
            ceph.up(self.lab)


class Faults(CephCase):
    """Three monitors, one OSD on disk."""
    UP = ("--nodes", "1", "--luns", "0", "--lock", "none", "--ceph", "--mons", "3", "--store", "bluestore")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ceph.make_pools(cls.lab, [cls.POOL])

    def setUp(self):
        ceph.wait_healthy(self.lab)

    def test_monitors_one_lost(self):
        self.assertEqual(ceph.quorum(self.lab), list("abc"))
        self.assert_works("before-one")
        for begin, end in (("ceph-mon-stop", "ceph-mon-resume"), ("ceph-mon-kill", "ceph-mon-start")):
            with self.subTest(begin):
                self.tell("before", f"quorum {','.join(ceph.quorum(self.lab))}")
                since = time.monotonic()
                self.fault(begin, "a")
                ceph.wait_quorum(self.lab, "bc")
                seconds = time.monotonic() - since
                self.assert_works(begin)
                self.tell("during", f"{begin} a, the leader: quorum b,c after {seconds:.1f} s; a node writes and reads; "
                                    + ceph.wait_checks(self.lab, has=["MON_DOWN"]))
                since = time.monotonic()
                self.fault(end, "a")
                ceph.wait_quorum(self.lab, "abc")
                self.tell("after", f"{end} a: {ceph.wait_healthy(self.lab)} after {time.monotonic() - since:.1f} s")

    def test_monitors_two_lost(self):
        self.assert_works("before-two")
        self.tell("before", f"quorum {','.join(ceph.quorum(self.lab))}")
        self.fault("ceph-mon-kill", "b")
        ceph.wait_quorum(self.lab, "ac")
        self.fault("ceph-mon-kill", "c")
        ceph.wait_quorum(self.lab, "")
        words = self.assert_hangs("without-quorum")
        self.tell("during", f"ceph-mon-kill b, c: no quorum; a new client on a node: {words}")
        since = time.monotonic()
        self.fault("ceph-mon-start", "b")
        ceph.wait_quorum(self.lab, "ab")
        seconds = time.monotonic() - since
        self.assert_works("with-two")
        self.tell("after", f"ceph-mon-start b: quorum a,b after {seconds:.1f} s, a node writes and reads")
        self.fault("ceph-mon-start", "c")
        ceph.wait_quorum(self.lab, "abc")
        self.assertEqual(self.get("before-two"), (0, "this is before-two"))

    def test_osd_stopped_and_resumed(self):
        self.assert_works("before-stop")
        self.tell("before", "a node writes and reads")
        self.fault("ceph-osd-stop", 0)
        status = self.patient_put("patient", "written in the end")
        words = self.assert_hangs("impatient")
        self.assertEqual(status(), "")
        self.tell("during", f"ceph-osd-stop 0: a write without a timeout stands; one with 4 s: {words}")
        since = time.monotonic()
        self.fault("ceph-osd-resume", 0)
        self.assertEqual(wait_until(status, "the patient write after ceph-osd-resume", 60, 0.1), "0")
        self.assertEqual(self.get("patient"), (0, "written in the end"))
        self.assertEqual(self.get("before-stop"), (0, "this is before-stop"))
        self.tell("after", f"ceph-osd-resume 0: the patient write is done after {time.monotonic() - since:.1f} s")

    def test_osd_killed_and_started(self):
        self.assert_works("before-kill")
        self.tell("before", ceph.wait_healthy(self.lab))
        since = time.monotonic()
        self.fault("ceph-osd-kill", 0)
        words = self.assert_hangs("to-a-dead-one")
        during = ceph.wait_checks(self.lab, has=["OSD_DOWN"], timeout=60)
        self.tell("during", f"ceph-osd-kill 0: {words}; {during} after {time.monotonic() - since:.1f} s")
        since = time.monotonic()
        self.fault("ceph-osd-start", 0)
        self.assertEqual(self.get("before-kill"), (0, "this is before-kill"))
        seconds = time.monotonic() - since
        self.assert_works("after-kill")
        self.tell("after", f"ceph-osd-start 0: the same data after {seconds:.1f} s; {ceph.wait_healthy(self.lab)}")


class WithoutNodes(LabCase):
    """On plain loopback, for tests that need a cluster and no more."""
    KIND = "ca"

    @classmethod
    def bring_up(cls):
        seconds, state = ceph.up(cls.lab, addresses=ceph.LOOPBACK, pools=["one", "two"])
        return f"{seconds:6.1f} s  {state}\n"

    def test_pools_with_their_application(self):
        pools, = ceph.command(self.lab, {"prefix": "osd dump"})
        self.assertEqual({p["pool_name"]: list(p["application_metadata"]) for p in pools["pools"]}, {"one": ["rbd"], "two": ["rbd"]})
        with open(ceph.host_conf(self.lab), encoding="utf-8") as f:
            self.assertIn("mon_host = [v2:127.0.0.1:3300,v1:127.0.0.1:6789]", f.read())

    def test_again_after_down(self):
        ceph.down(self.lab)
        self.assertEqual(ceph.running(self.lab), [])
        with self.assertRaisesRegex(LabError, "has no Ceph cluster"):
            ceph.checks(self.lab)
        self.bring_up()
        self.assertEqual(ceph.checks(self.lab), [])


if __name__ == "__main__":
    main()
