#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""No space left: of a storage, and of the root with storage.cfg. A clear error, nothing left behind, and it works once there is room."""
import os
import struct
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, KiB, MiB, main, needs_root, qemu_reads, qemu_write, tmpfs, tree

FAILED = tuple(range(400, 600))


def fill(path, leave):
    """Takes all room but `leave` bytes with a ballast file; gives its path."""
    ballast = os.path.join(path, "ballast")
    stat = os.statvfs(path)
    with open(ballast, "wb") as f:
        left = stat.f_bavail * stat.f_frsize - leave
        while left > 0:
            n = min(left, MiB)
            f.write(b"b" * n)
            left -= n
    return ballast


@needs_root()
class StorageFull(DaemonTest):
    def setUp(self):
        super().setUp()
        self.mount = self.tmp + "/small"
        self.fs = tmpfs(self.mount, "24m")
        self.fs.__enter__()
        self.d.add_dir("st", path=self.mount, content="images,iso,backup", preallocation="full")
        self.at = self.d.at("st")

    def tearDown(self):
        try:
            super().tearDown()
        finally:
            self.fs.__exit__(None, None, None)

    def full(self, method, path, params, **kwargs):
        """Fails for want of room, says so, and leaves the storage as it was."""
        before = tree(self.mount)
        r = self.d.request(method, path, params, timeout=60, **kwargs)
        text = r.message
        if r.status == 200 and isinstance(r.data, str) and r.data.startswith("UPID"):
            status = self.d.wait_task(r.data)
            self.assertNotEqual(status["exitstatus"], "OK")
            text = status["exitstatus"]
        else:
            self.refused(r, FAILED)
        self.assertRegex(text.lower(), "space|full")
        after = tree(self.mount)
        self.assertEqual({k: v for k, v in after.items() if k not in before and not os.path.isdir(f"{self.mount}/{k}")}, {})
        self.assertEqual({k: after.get(k) for k in before}, before)
        return r

    def test_alloc(self):
        ballast = fill(self.mount, 4 * MiB)
        for name in ("vm-100-disk-0.raw", "vm-100-disk-0.qcow2"):
            self.full("POST", self.at + "/content", {"vmid": 100, "filename": name, "size": "16M"})
        os.unlink(ballast)
        for name in ("vm-100-disk-0.raw", "vm-100-disk-1.qcow2"):
            self.d.alloc("st", 100, name, "4M")
        self.assertEqual(len(self.d.volids("st")), 2)

    def test_alloc_without_any_room(self):
        os.makedirs(self.mount + "/images/100")
        fill(self.mount, 0)
        self.full("POST", self.at + "/content", {"vmid": 100, "filename": "", "size": "64"})

    def test_import(self):
        stream = self.tmp + "/stream"
        with open(stream, "wb") as f:
            f.write(struct.pack("<Q", 16 * MiB) + os.urandom(16 * MiB))
        ballast = fill(self.mount, 4 * MiB)
        before = tree(self.mount)
        r = self.cli_refused(self.d.pvesm("import", "st:100/vm-100-disk-0.raw", "raw+size", stream, check=False))
        self.assertRegex(r.err.lower(), "space|full")
        self.assertEqual({k for k in tree(self.mount) if k not in before and k != "images/100"}, set())
        os.unlink(ballast)
        self.d.pvesm("import", "st:100/vm-100-disk-0.raw", "raw+size", stream)
        with open(stream, "rb") as a, open(self.mount + "/images/100/vm-100-disk-0.raw", "rb") as b:
            a.seek(8)
            self.assertEqual(a.read(), b.read())

    def test_resize_and_snapshot(self):
        self.d.put("/storage/st", preallocation="off")
        vol = self.d.alloc("st", 100, "vm-100-disk-0.qcow2", "16M")
        file = self.d.path(vol)
        qemu_write(file, 0x42, 0, 4 * MiB, "qcow2")
        ballast = fill(self.mount, 0)
        r = self.d.request("POST", self.at + "/snapshot", {"volume": vol, "snapname": "aa", "sync": 1})
        self.refused(r, FAILED)
        self.assertTrue(qemu_reads(file, 0x42, 0, 4 * MiB, "qcow2"), "the content is unharmed")
        self.assertNotIn("aa", [s["name"] for s in self.d.get(self.at + "/snapshot", volume=vol)])
        os.unlink(ballast)
        self.d.post(self.at + "/snapshot", volume=vol, snapname="aa", sync=1)
        self.assertTrue(qemu_reads(file, 0x42, 0, 4 * MiB, "qcow2"))

    def test_upload(self):
        ballast = fill(self.mount, MiB)
        body = (b'--bound-ary\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n--bound-ary\r\nContent-Disposition: form-data; '
                b'name="filename"; filename="a.iso"\r\n\r\n' + b"x" * (8 * MiB) + b"\r\n--bound-ary--\r\n")
        self.full("POST", self.at + "/upload", None, body=body, headers={"Content-Type": "multipart/form-data; boundary=bound-ary"})
        os.unlink(ballast)
        r = self.d.request("POST", self.at + "/upload", body=body, headers={"Content-Type": "multipart/form-data; boundary=bound-ary"})
        self.d.done(r.data)
        self.assertEqual(os.path.getsize(self.mount + "/template/iso/a.iso"), 8 * MiB)

    def test_notes(self):
        name = "vzdump-qemu-100-2026_01_01-10_00_00.vma"
        open(f"{self.mount}/dump/{name}", "wb").close()
        self.d.put(self.at + "/content/backup/" + name, notes="old")
        fill(self.mount, 0)
        self.full("PUT", self.at + "/content/backup/" + name, {"notes": "n" * 4000})
        self.assertEqual(self.d.get(self.at + "/content/backup/" + name)["notes"], "old")

    def test_copy_to_a_full_storage(self):
        source = self.d.add_dir("src")
        vol = self.d.alloc("src", 100, "vm-100-disk-0.raw", "16M")
        with open(f"{source}/images/100/vm-100-disk-0.raw", "r+b") as f:
            f.write(os.urandom(16 * MiB))
        fill(self.mount, 2 * MiB)
        self.full("POST", self.d.at("src", "/content/" + vol), {"target": "st"})


@needs_root()
class RootFull(DaemonTest):
    wants_daemon = False

    def test_configuration(self):
        self.root = self.tmp + "/small"
        stores = self.tmp + "/stores"
        os.makedirs(stores)
        with tmpfs(self.root, "1m"):
            d = self.start_daemon()
            d.add_dir("st", path=stores + "/st")
            before = d.config_text()
            ballast = fill(self.root, 0)
            for method, path, params in (
                    ("POST", "/storage", {"type": "dir", "storage": "new", "path": stores + "/new", "nodes": ",".join(
                        f"node{i}" for i in range(400))}),
                    ("PUT", "/storage/st", {"nodes": ",".join(f"node{i}" for i in range(400)) + ",n1"})):
                r = self.refused(d.request(method, path, params), FAILED)
                self.assertRegex(r.message.lower(), "space|full")
                self.assertEqual(d.config_text(), before)
            self.assertEqual([f for f in os.listdir(self.root + "/etc/pve") if "tmp" in f], [])
            d.status("st")
            self.assertEqual(d.volids("st"), [], "reading goes on")
            os.unlink(ballast)
            d.add_dir("new", path=stores + "/new")
            d.delete("/storage/st")
            self.assertIn(b"dir: new", d.config_text())
            vol = d.alloc("new", 100, "vm-100-disk-0.raw", str(64 * KiB // 1024))
            self.assertEqual(vol, "new:100/vm-100-disk-0.raw")
            d.stop()


if __name__ == "__main__":
    main()
