#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Long work as tasks: UPID, log, progress, waiting for news, stopping, and what a restart makes of them."""
import os
import socket
import struct
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, MiB, UnixConnection, main, wait_until

UPID = r"^UPID:n1:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[a-z]+:[^:]*:root@pam:$"


class Peer:
    """The other end of an import or export stream."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.listener.settimeout(20)

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(20)
        return self.connection

    def close(self):
        self.listener.close()
        if hasattr(self, "connection"):
            self.connection.close()


class Tasks(DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = self.d.add_dir("st", content="images,iso")
        self.peers = []

    def tearDown(self):
        for p in self.peers:
            p.close()
        super().tearDown()

    def begin_import(self, size=8 * MiB, sent=MiB, name="300/vm-300-disk-0.raw"):
        """An import that hangs in the middle: `sent` bytes of `size` have come."""
        peer = Peer(f"{self.tmp}/peer{len(self.peers)}.sock")
        self.peers.append(peer)
        # "import" and "from" are no names for keyword arguments
        r = self.d.request("POST", self.d.at("st", "/import"), {"volume": name, "format": "raw+size", "from": "unix://" + peer.path})
        self.assertEqual(r.status, 200, repr(r))
        connection = peer.accept()
        connection.sendall(struct.pack("<Q", size) + b"x" * sent)
        return r.data, peer

    def left(self):
        """Files below images/ that are no volumes in the listing."""
        known = {self.d.path(v) for v in self.d.volids("st")}
        return [os.path.join(d, f) for d, _, files in os.walk(self.path + "/images") for f in files
                if os.path.join(d, f) not in known]

    def test_a_task_from_begin_to_end(self):
        upid, peer = self.begin_import()
        self.assertRegex(upid, UPID)
        status = self.d.get(self.d.task(upid) + "/status")
        self.assertEqual((status["status"], status["upid"], status["node"], status["user"]), ("running", upid, "n1", "root@pam"))
        self.assertNotIn("exitstatus", status)
        self.assertIn(upid, [t["upid"] for t in self.d.get("/nodes/n1/tasks", source="active")])
        self.assertIn("log", {x.get("name") or x.get("subdir") for x in self.d.get(self.d.task(upid))})
        peer.connection.sendall(b"y" * 7 * MiB)
        peer.close()
        self.assertEqual(self.d.done(upid), "st:300/vm-300-disk-0.raw")
        self.assertIn("TASK OK", self.d.task_log(upid))
        self.assertEqual([t["upid"] for t in self.d.get("/nodes/n1/tasks", source="active")], [])
        row = [t for t in self.d.get("/nodes/n1/tasks") if t["upid"] == upid][0]
        self.assertEqual(row["status"], "OK")
        self.assertGreaterEqual(row["endtime"], row["starttime"])
        with open(self.path + "/images/300/vm-300-disk-0.raw", "rb") as f:
            self.assertEqual(f.read(), b"x" * MiB + b"y" * 7 * MiB)

    def test_progress_and_waiting_for_news(self):
        upid, peer = self.begin_import(size=64 * MiB)
        seen = self.d.get(self.d.task(upid) + "/status")["seq"]
        seen_progress = []

        def feed():
            for _ in range(63):
                peer.connection.sendall(b"z" * MiB)
                time.sleep(0.01)  # so that there is something to be seen of the way
            peer.connection.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        while True:
            status = self.d.get(self.d.task(upid) + "/status", wait=5, seen=seen)
            if status.get("progress"):
                seen_progress.append(status["progress"]["done"])
                self.assertLessEqual(status["progress"]["done"], status["progress"]["total"])
            if status["status"] == "stopped":
                break
            self.assertGreater(status["seq"], seen, "an answer without news")
            seen = status["seq"]
        feeder.join()
        self.assertEqual(status["exitstatus"], "OK")
        self.assertEqual(seen_progress, sorted(seen_progress))
        self.assertGreater(len(set(seen_progress)), 2)

    def test_waiting_ends_without_news(self):
        upid, _ = self.begin_import()
        wait_until(lambda: "seq" in self.d.get(self.d.task(upid) + "/status"), "status")
        seq = -1
        while seq != self.d.get(self.d.task(upid) + "/status")["seq"]:
            seq = self.d.get(self.d.task(upid) + "/status", wait=1)["seq"]
        begun = time.monotonic()
        self.d.get(self.d.task(upid) + "/status", wait=1, seen=seq)
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.refused(self.d.request("GET", self.d.task(upid) + "/status", {"wait": 31}), 400, "wait")
        self.d.delete(self.d.task(upid))
        self.d.wait_task(upid)

    def test_stopping_leaves_no_half_volume(self):
        upid, _ = self.begin_import()
        self.assertIsNone(self.d.delete(self.d.task(upid)))
        status = self.d.wait_task(upid, deadline=20)
        self.assertNotEqual(status["exitstatus"], "OK")
        self.assertEqual(self.d.volids("st"), [])
        wait_until(lambda: self.left() == [], f"no temporary file stays ({self.left()})")
        self.d.alloc("st", 300, "vm-300-disk-0.raw", "4")
        self.d.request("DELETE", self.d.task(upid))  # a second time does no harm
        self.assertNotEqual(self.d.get(self.d.task(upid) + "/status")["exitstatus"], "OK")

    def test_stopping_a_copy(self):
        self.d.add_dir("other")
        vol = self.d.alloc("st", 100, "vm-100-big.raw", "1G")
        with open(self.d.path(vol), "r+b") as f:
            for offset in range(0, 256 * MiB, MiB):
                f.seek(offset)
                f.write(os.urandom(4096))
        upid = self.d.post(self.d.at("st", "/content/" + vol), target="other")
        self.d.request("DELETE", self.d.task(upid))
        status = self.d.wait_task(upid, deadline=30)
        if status["exitstatus"] != "OK":
            self.assertEqual(self.d.volids("other"), [])
            files = [f for _, _, fs in os.walk(self.root + "/stores/other/images") for f in fs]
            self.assertEqual(files, [], "nothing half stays")
        self.assertEqual(self.d.volids("st"), [vol])

    def test_the_peer_hangs_up(self):
        upid, peer = self.begin_import()
        peer.close()
        status = self.d.wait_task(upid)
        self.assertNotEqual(status["exitstatus"], "OK")
        self.assertEqual((self.d.volids("st"), self.left()), ([], []))

    def test_nobody_listens(self):
        r = self.d.request("POST", self.d.at("st", "/import"), {"volume": "300/vm-300-disk-0.raw", "format": "raw+size",
                                                                 "from": f"unix://{self.tmp}/nobody"})
        if r.status == 200:
            self.assertNotEqual(self.d.wait_task(r.data)["exitstatus"], "OK")
        self.assertEqual((self.d.volids("st"), self.left()), ([], []))

    def test_other_calls_go_on_meanwhile(self):
        upid, peer = self.begin_import()
        begun = time.monotonic()
        for i in range(20):
            self.d.alloc("st", 100, "", "4")
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(len(self.d.volids("st", vmid=100)), 20)
        self.assertEqual(self.d.get(self.d.task(upid) + "/status")["status"], "running")
        peer.connection.sendall(b"y" * 7 * MiB)
        peer.close()
        self.d.done(upid)

    def test_a_killed_daemon_interrupts_its_tasks(self):
        upid, peer = self.begin_import()
        self.d.kill()
        peer.close()
        d = self.start_daemon()
        status = d.get(d.task(upid) + "/status")
        self.assertEqual(status["status"], "stopped")
        self.assertRegex(status["exitstatus"], "interrupted|unexpected")
        self.assertEqual([t["upid"] for t in d.get("/nodes/n1/tasks", source="active")], [])
        self.assertIn(upid, [t["upid"] for t in d.get("/nodes/n1/tasks", errors=1)])
        self.assertEqual((d.volids("st"), self.left()), ([], []))

    def test_a_stopped_daemon_interrupts_its_tasks(self):
        upid, peer = self.begin_import()
        self.d.stop()
        peer.close()
        d = self.start_daemon()
        status = d.get(d.task(upid) + "/status")
        self.assertEqual(status["status"], "stopped")
        self.assertNotEqual(status["exitstatus"], "OK")
        self.assertEqual((d.volids("st"), self.left()), ([], []))

    def test_finished_tasks_survive_a_restart(self):
        upid, peer = self.begin_import()
        peer.connection.sendall(b"y" * 7 * MiB)
        peer.close()
        self.d.done(upid)
        log = self.d.task_log(upid)
        self.d.stop()
        d = self.start_daemon()
        self.assertEqual(d.get(d.task(upid) + "/status")["exitstatus"], "OK")
        self.assertEqual(d.task_log(upid), log)

    def test_list_filters_and_log_pages(self):
        upids = []
        for vmid in (100, 101, 102):
            vol = self.d.alloc("st", vmid, f"vm-{vmid}-a.qcow2", "1M")
            upids.append(self.d.post(self.d.at("st", "/snapshot"), volume=vol, snapname="a1"))
            self.d.done(upids[-1])
            upids.append(self.d.post(self.d.at("st", "/snapshot"), volume=vol, snapname="a1"))
            self.assertNotEqual(self.d.wait_task(upids[-1])["exitstatus"], "OK", "the name is taken")
        r = self.d.request("GET", "/nodes/n1/tasks", {"limit": 2})
        self.assertEqual((len(r.data), r.json["total"]), (2, 6))
        everything = [t["upid"] for t in self.d.get("/nodes/n1/tasks")]
        self.assertEqual(set(everything), set(upids))
        self.assertEqual(len(self.d.get("/nodes/n1/tasks", errors=1)), 3)
        self.assertEqual(self.d.get("/nodes/n1/tasks", typefilter="imgcopy"), [])
        self.assertEqual(self.d.get("/nodes/n1/tasks", userfilter="nobody@pam"), [])
        r = self.d.request("GET", self.d.task(upids[0]) + "/log", {"start": 0, "limit": 1})
        self.assertEqual(r.data[0]["n"], 1)
        self.assertEqual(len(r.data), 1)
        self.assertGreaterEqual(r.json["total"], 1)

    def test_many_wait_at_once(self):
        upid, peer = self.begin_import()
        connections = []
        seq = self.d.get(self.d.task(upid) + "/status")["seq"]
        for _ in range(30):
            c = UnixConnection(self.d.socket)
            c.request("GET", f"/api2/json{self.d.task(upid)}/status?wait=20&seen={seq + 100000}")
            connections.append(c)
        self.assertEqual(self.d.get("/version")["apiver"], 15, "30 waiting clients hold nobody up")
        peer.connection.sendall(b"y" * 7 * MiB)
        peer.close()
        self.d.done(upid)
        for c in connections:
            self.assertEqual(c.getresponse().status, 200)
            c.close()


if __name__ == "__main__":
    main()
