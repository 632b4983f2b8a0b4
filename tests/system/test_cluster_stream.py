#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes: uploads, exports and imports of another node's storage go through, at the pace of the slowest end."""
import itertools
import os
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible
from harness import IS_ASAN, MiB, main, wait_until

needs_corosync = unittest.skipUnless(cluster_is_possible(), "needs root and corosync")
SIZE = 24 * MiB


@needs_corosync
class Streams(ClusterTest):
    def setUp(self):
        super().setUp()
        self.start_all()
        self.n1, self.n2, self.n3 = self.nodes
        self.numbers = itertools.count()
        self.own = os.path.join(self.tmp, "own")
        for n in self.nodes:
            for m in self.nodes:
                if n != m:
                    wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200,
                               f"{n.name} can ask {m.name}")
        self.n1.d.post("/storage", type="dir", storage="own", path=self.own, nodes="n2", content="images,iso")
        wait_until(lambda: self.n2.d.request("GET", self.n2.d.at("own", "/status")).status == 200, "n2 has it")
        self.n2.d.settled("own", "active")
        self.data = os.urandom(MiB) * (SIZE // MiB)

    def done(self, upid):
        """Waits for a task of n2, asked by n1."""
        self.assertTrue(upid.startswith("UPID:n2:"), upid)
        path = "/nodes/n2/tasks/" + upid.replace(":", "%3A") + "/status"
        wait_until(lambda: self.n1.d.get(path, wait=5)["status"] == "stopped", "the task ends", 60)
        return self.n1.d.get(path)["exitstatus"]

    def client(self, serve):
        """A socket of a client on n1's machine; serve(connection) runs beside."""
        path = os.path.join(self.tmp, f"client{next(self.numbers)}")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen()

        def run():
            with listener.accept()[0] as c:
                serve(c)
        t = threading.Thread(target=run, daemon=True)
        t.start()
        return "unix://" + path, t

    def stream(self, what, url, volume):
        r = self.n1.d.request("POST", f"/nodes/n2/storage/own/{what}",
                              {"volume": volume, "format": "raw+size", "to" if what == "export" else "from": url})
        self.assertEqual(r.status, 200, repr(r))
        return r.data

    def test_import_and_export_for_a_client_on_another_node(self):
        def give(c):
            c.sendall(struct.pack("<Q", SIZE) + self.data)
        url, t = self.client(give)
        self.assertEqual(self.done(self.stream("import", url, "100/vm-100-disk-0.raw")), "OK")
        t.join()
        path = os.path.join(self.own, "images/100/vm-100-disk-0.raw")
        with open(path, "rb") as f:
            self.assertTrue(f.read() == self.data, "what was sent is there")

        got, go_on = bytearray(), threading.Event()

        def take(c):
            go_on.wait()
            while piece := c.recv(1 << 20):
                got.extend(piece)
        url, t = self.client(take)
        before = [n.rss() for n in self.nodes]
        upid = self.stream("export", url, "100/vm-100-disk-0.raw")
        wait_until(lambda: "running" == self.n1.d.get("/nodes/n2/tasks/" + upid.replace(":", "%3A") + "/status")["status"],
                   "it waits for the client")
        go_on.set()
        self.assertEqual(self.done(upid), "OK")
        t.join()
        self.assertTrue(bytes(got) == struct.pack("<Q", SIZE) + self.data, "what is there was sent")
        for n, was in zip(self.nodes, before):
            self.assertLess(n.rss() - was, 4 if not IS_ASAN else 10000, f"{n.name} holds pieces only")
            self.assertLess(n.rss(), 14 if not IS_ASAN else 10000)

    def test_client_that_goes_away_leaves_no_volume(self):
        def give_half(c):
            c.sendall(struct.pack("<Q", SIZE) + self.data[:SIZE // 2])
        url, t = self.client(give_half)
        self.assertNotEqual(self.done(self.stream("import", url, "100/vm-100-disk-0.raw")), "OK")
        t.join()
        self.assertEqual(self.n1.d.get("/nodes/n2/storage/own/content"), [])
        r = self.n1.d.request("POST", "/nodes/n2/storage/own/import",
                              {"volume": "100/vm-100-disk-1.raw", "format": "raw+size", "from": "unix:///nobody"})
        self.assertIn("/nobody", self.refused(r, 400).message)

    def test_upload_to_another_node(self):
        body = (b'--b1\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n--b1\r\nContent-Disposition: form-data; '
                b'name="filename"; filename="a.iso"\r\nContent-Type: application/octet-stream\r\n\r\n' + self.data
                + b"\r\n--b1--\r\n")
        before = self.n1.rss()
        r = self.n1.d.request("POST", "/nodes/n2/storage/own/upload", body=body,
                              headers={"Content-Type": "multipart/form-data; boundary=b1"})
        self.assertEqual(r.status, 200, repr(r))
        self.assertEqual(self.done(r.data), "OK")
        with open(os.path.join(self.own, "template/iso/a.iso"), "rb") as f:
            self.assertTrue(f.read() == self.data)
        self.assertLess(self.n1.rss() - before, 4 if not IS_ASAN else 10000)
        r = self.n1.d.request("POST", "/nodes/n2/storage/own/upload", body=body.replace(b"a.iso", b"a.exe", 1),
                              headers={"Content-Type": "multipart/form-data; boundary=b1"})
        self.refused(r, 400)

    def copied(self, node, upid, deadline=60):
        """Waits for a copy's task, of the node it was asked of; (exit status, result)."""
        path = f"/nodes/{node.name}/tasks/" + upid.replace(":", "%3A") + "/status"
        wait_until(lambda: node.d.get(path, wait=5)["status"] == "stopped", "the copy ends", deadline)
        status = node.d.get(path)
        return status["exitstatus"], status.get("result")

    def test_copy_to_a_storage_of_another_node(self):
        """From n1's own storage to one that n2 alone has: the data, a name that is taken, a node that does not have it."""
        mine = os.path.join(self.tmp, "mine")
        self.n1.d.post("/storage", type="dir", storage="mine", path=mine, nodes="n1", content="images")
        volid = self.n1.d.alloc("mine", size="24M")
        with open(self.n1.d.path(volid), "r+b") as f:
            f.write(self.data)
        volume = f"/nodes/n1/storage/mine/content/{volid}"
        before = [n.rss() for n in self.nodes]
        ends = [self.copied(self.n1, self.n1.d.post(volume, target="own", target_node="n2")) for _ in range(2)]
        self.assertEqual(ends, [("OK", "own:100/vm-100-disk-0.raw"), ("OK", "own:100/vm-100-disk-1.raw")])
        for i in range(2):
            with open(os.path.join(self.own, f"images/100/vm-100-disk-{i}.raw"), "rb") as f:
                self.assertTrue(f.read() == self.data, "what was sent is there")
        for n, was in zip(self.nodes, before):
            self.assertLess(n.rss() - was, 4 if not IS_ASAN else 10000, f"{n.name} holds pieces only")
        r = self.n1.d.request("POST", volume, {"target": "own", "target_node": "n3"})
        end = self.copied(self.n1, r.data)[0] if r.status == 200 else r.message + str(r.errors)
        self.assertIn("not available on node 'n3'", end)
        r = self.n1.d.request("POST", volume, {"target": "own", "target_node": "n9"})
        self.assertIn("no such node", self.copied(self.n1, r.data)[0] if r.status == 200 else r.message + str(r.errors))
        # What the other node refuses is the reason, not the pipe that broke here.
        end, result = self.copied(self.n1, self.n1.d.post(volume, target="own:100/vm-100-disk-0.raw", target_node="n2"))
        self.assertIn("n2", end)
        self.assertIn("exist", end)
        self.assertIsNone(result)
        self.assertEqual(sorted(self.n2.d.volids("own")), ["own:100/vm-100-disk-0.raw", "own:100/vm-100-disk-1.raw"])

    def test_copy_ends_with_either_node(self):
        """The target stands still with all of it: cancelled, nothing stays there. The target's daemon dies then: told, nothing stays."""
        self.n2.d.stop()
        self.n2.start(env={"STORAGED_FAULTS": "dir.import.written=stop"})
        wait_until(lambda: self.n1.d.request("GET", "/nodes/n2/storage/own/status").status == 200, "n1 can ask n2 again")
        mine = os.path.join(self.tmp, "mine")
        self.n1.d.post("/storage", type="dir", storage="mine", path=mine, nodes="n1", content="images")
        volid = self.n1.d.alloc("mine", size="4M")
        upid = self.n1.d.post(f"/nodes/n1/storage/mine/content/{volid}", target="own", target_node="n2")
        wait_until(self.files_of_own, "n2 takes", 60)
        self.n1.d.delete("/nodes/n1/tasks/" + upid.replace(":", "%3A"))
        self.assertNotEqual(self.copied(self.n1, upid)[0], "OK")
        wait_until(lambda: self.n2.d.volids("own") == [] and self.files_of_own() == [], "nothing is left on n2", 60)

        upid = self.n1.d.post(f"/nodes/n1/storage/mine/content/{volid}", target="own", target_node="n2")
        wait_until(self.files_of_own, "n2 takes", 60)
        self.n2.d.kill()
        self.assertNotEqual(self.copied(self.n1, upid)[0], "OK")
        self.n2.start()
        wait_until(lambda: self.n2.d.request("GET", self.n2.d.at("own", "/content")).status == 200 and self.n2.d.volids("own") == [],
                   "n2 has none of it", 60)

    def files_of_own(self):
        return [name for _top, _dirs, names in os.walk(os.path.join(self.own, "images")) for name in names]

    def test_commands_for_another_node(self):
        """`--node`: typed on n1, done on n2, whose storage n1 does not have."""
        source = os.path.join(self.tmp, "stream")
        with open(source, "wb") as f:
            f.write(struct.pack("<Q", SIZE) + self.data)
        pvesm = self.n1.d.pvesm
        self.assertIn("own:100/vm-100-disk-0.raw", pvesm("alloc", "own", "100", "", "8M", "--node", "n2").out)
        self.assertIn("own:101/vm-101-disk-0.raw", pvesm("import", "own:101/vm-101-disk-0.raw", "raw+size", source, "--node", "n2").out)
        self.assertIn("own:101/vm-101-disk-0.raw", pvesm("list", "own", "--node", "n2").out)
        self.assertEqual(pvesm("path", "own:101/vm-101-disk-0.raw", "--node", "n2").out.strip(),
                         os.path.join(self.own, "images/101/vm-101-disk-0.raw"))
        self.assertIn("own", pvesm("status", "--node", "n2").out)
        back = os.path.join(self.tmp, "back")
        pvesm("export", "own:101/vm-101-disk-0.raw", "raw+size", back, "--node", "n2")
        with open(back, "rb") as f:
            self.assertTrue(f.read() == struct.pack("<Q", SIZE) + self.data, "what comes back is what was sent")
        self.assertIn("Removed", pvesm("free", "own:100/vm-100-disk-0.raw", "--node", "n2").out)
        self.assertEqual(self.n2.d.volids("own"), ["own:101/vm-101-disk-0.raw"])
        self.assertIn("not available on node 'n1'", pvesm("list", "own", check=False).err)
        pvesm("lun", "ports", "--node", "n2")
        self.assertIn("vm-100-disk-0.raw", pvesm("info", "own:100/vm-100-disk-0.raw", "--node", "n2").out)
        self.a_node_that_is_not_there_is_said_in_one_way()

    def a_node_that_is_not_there_is_said_in_one_way(self):
        verbs = (("list", "own"), ("status",), ("info", "own:100/vm-100-disk-0.raw"), ("scan", "nfs", "10.77.0.9"), ("scan", "cephfs"), ("scan", "lvm"),
                 ("lun", "ports"), ("lun", "multipath"), ("ceph", "health"), ("ceph", "pool", "list"), ("ceph", "repair"),
                 ("vg", "guard"), ("doctor",), ("task", "list"))
        pvesm = self.n1.d.pvesm
        for words in verbs:
            r = pvesm(*words, "--node", "nn", check=False)
            self.assertEqual((r.rc != 0, r.err.count("no such node 'nn': this is 'n1'")), (True, 1), repr(r))
        self.n2.stop_network()
        wait_until(lambda: self.n1.online() == ["n1", "n3"], "n1 knows that n2 is gone", 60)
        for words in verbs:
            r = pvesm(*words, "--node", "n2", check=False)
            self.assertEqual((r.rc != 0, r.err.count("node 'n2' is offline: it can't be asked")), (True, 1), repr(r))


if __name__ == "__main__":
    main(namespace=True)
