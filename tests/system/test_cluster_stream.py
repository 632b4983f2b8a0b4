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


if __name__ == "__main__":
    main(namespace=True)
