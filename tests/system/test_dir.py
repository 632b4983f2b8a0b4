#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The dir storage on real image files: what storaged does, qemu-img and qemu-io read back."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, GiB, KiB, MiB, main, needs_root, qemu_img_info, qemu_reads, qemu_write, run, tmpfs


class Dir(DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = self.d.add_dir("st", content="images,rootdir,iso,backup,snippets,vztmpl,import")
        self.at = self.d.at("st")

    def qcow2(self, vmid=100, size="4M"):
        return self.d.alloc("st", vmid, f"vm-{vmid}-disk-0.qcow2", size)

    def do(self, method, what, **params):
        return self.d.call(method, f"{self.at}/{what}", sync=1, **params)

    def info(self, volid):
        return qemu_img_info(self.d.path(volid))

    def sound(self, volid):
        r = run("qemu-img", "check", "-q", self.d.path(volid), check=False)
        self.assertIn(r.rc, (0, 63), repr(r))

    def test_activation_makes_the_folders(self):
        for name in ("images", "private", "template/iso", "template/cache", "dump", "snippets", "import"):
            self.assertTrue(os.path.isdir(f"{self.path}/{name}"), name)
        self.d.post("/storage", type="dir", storage="own", path=self.tmp + "/own", content="iso,backup",
                    content_dirs="iso=cds,backup=saved/here")
        self.assertTrue(os.path.isdir(self.tmp + "/own/cds"))
        self.assertTrue(os.path.isdir(self.tmp + "/own/saved/here"))
        open(self.tmp + "/own/cds/a.iso", "wb").close()
        self.assertEqual(self.d.volids("own"), ["own:iso/a.iso"])
        self.d.post("/storage", type="dir", storage="bare", path=self.tmp, content="iso", create_subdirs=0)
        self.assertFalse(os.path.exists(self.tmp + "/template"))

    def test_two_contents_in_one_folder_are_refused(self):
        r = self.d.request("POST", "/storage", {"type": "dir", "storage": "two", "path": self.tmp + "/two",
                                                "content": "iso,backup", "content-dirs": "iso=x,backup=x"})
        self.refused(r, tuple(range(400, 600)))
        self.assertNotIn(b"two", self.d.config_text())

    def test_no_base_path(self):
        r = self.d.request("POST", "/storage", {"type": "dir", "storage": "no", "path": self.tmp + "/deep/no",
                                                "create-base-path": 0})
        self.refused(r, tuple(range(400, 600)))
        self.assertFalse(os.path.exists(self.tmp + "/deep"))
        self.assertNotIn(b"dir: no", self.d.config_text())

    def test_formats_and_preallocation(self):
        raw = self.d.alloc("st", 100, "", "8M")
        s = os.stat(self.d.path(raw))
        self.assertEqual((s.st_size, s.st_blocks), (8 * MiB, 0), "raw is sparse")
        self.assertEqual(s.st_mode & 0o037, 0, "nobody else reads it")
        for how in ("off", "metadata", "falloc", "full"):
            self.d.put("/storage/st", preallocation=how)
            raw = self.d.alloc("st", 100, f"vm-100-{how}.raw", "2M")
            qcow2 = self.d.alloc("st", 100, f"vm-100-{how}.qcow2", "2M")
            self.assertEqual((self.info(raw)["format"], self.info(raw)["virtual-size"]), ("raw", 2 * MiB))
            self.assertEqual((self.info(qcow2)["format"], self.info(qcow2)["virtual-size"]), ("qcow2", 2 * MiB))
            if how in ("falloc", "full"):
                self.assertGreaterEqual(os.stat(self.d.path(raw)).st_blocks * 512, 2 * MiB, how)
                self.assertGreaterEqual(os.stat(self.d.path(qcow2)).st_blocks * 512, 2 * MiB, how)
            self.sound(qcow2)
        self.assertEqual(self.info(self.d.alloc("st", 100, "vm-100-a.vmdk", "2M"))["format"], "vmdk")

    def test_large_sparse_sizes(self):
        self.d.put("/storage/st", preallocation="off")  # else all tables of it are written: half a gigabyte
        volid = self.d.alloc("st", 100, "vm-100-big.qcow2", "4096G")
        row = [r for r in self.d.content("st") if r["volid"] == volid][0]
        self.assertEqual(row["size"], 4096 * GiB)
        self.assertEqual(self.info(volid)["virtual-size"], 4096 * GiB)

    def test_listing_agrees_with_qemu_img(self):
        os.makedirs(self.path + "/images/100", exist_ok=True)
        at = self.path + "/images/100/vm-100-"
        run("qemu-img", "create", "-q", "-f", "qcow2", at + "a.qcow2", "5M")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", at + "b.qcow2", "6M")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on,cluster_size=128k", at + "c.qcow2", "7M")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "vm-100-a.qcow2", "-F", "qcow2", at + "d.qcow2")
        run("qemu-img", "create", "-q", "-f", "vmdk", at + "e.vmdk", "8M")
        run("qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=streamOptimized", at + "f.vmdk", "9M")
        run("qemu-img", "create", "-q", "-f", "raw", at + "g.raw", "10M")
        expected = {"a.qcow2": 5, "b.qcow2": 6, "c.qcow2": 7, "d.qcow2": 5, "e.vmdk": 8, "f.vmdk": 9, "g.raw": 10}
        rows = {r["volid"].rsplit("-", 1)[1]: r for r in self.d.content("st")}
        self.assertEqual({k: r["size"] for k, r in rows.items()}, {k: v * MiB for k, v in expected.items()})
        self.assertIn("vm-100-a.qcow2", rows["d.qcow2"].get("parent", ""))
        # the cache follows what changes on disk
        run("qemu-img", "resize", "-q", at + "a.qcow2", "50M")
        run("qemu-img", "resize", "-q", "-f", "raw", at + "g.raw", "60M")
        os.unlink(at + "e.vmdk")
        rows = {r["volid"].rsplit("-", 1)[1]: r["size"] for r in self.d.content("st")}
        self.assertEqual((rows["a.qcow2"], rows["g.raw"]), (50 * MiB, 60 * MiB))
        self.assertNotIn("e.vmdk", rows)

    def test_listing_opens_no_process(self):
        self.qcow2()
        self.d.content("st")
        self.d.env["PATH"] = "/nonexistent"
        self.d.stop()
        os.makedirs(self.tmp + "/empty")
        d = self.start_daemon(env={"PATH": self.tmp + "/empty"})
        self.assertEqual(d.volids("st"), ["st:100/vm-100-disk-0.qcow2"])
        r = d.request("POST", d.at("st", "/content"), {"vmid": 100, "filename": "vm-100-x.qcow2", "size": "4M"})
        self.refused(r, tuple(range(400, 600)))
        self.assertIn("qemu-img", r.message)
        self.assertEqual(d.volids("st"), ["st:100/vm-100-disk-0.qcow2"])

    def test_snapshot_and_rollback(self):
        vol = self.qcow2()
        file = self.d.path(vol)
        qemu_write(file, 0x11, 0, MiB, "qcow2")
        self.do("POST", "snapshot", volume=vol, snapname="first")
        qemu_write(file, 0x22, 0, MiB, "qcow2")
        self.do("POST", "snapshot", volume=vol, snapname="second")
        qemu_write(file, 0x33, 0, MiB, "qcow2")
        names = [s["name"] for s in self.d.get(self.at + "/snapshot", volume=vol) if s["name"] != "current"]
        self.assertEqual(names, ["first", "second"])
        self.do("POST", "rollback", volume=vol, snapname="second")
        self.assertTrue(qemu_reads(file, 0x22, 0, MiB, "qcow2"))
        self.do("POST", "rollback", volume=vol, snapname="first")
        self.assertTrue(qemu_reads(file, 0x11, 0, MiB, "qcow2"))
        self.assertFalse(qemu_reads(file, 0x22, 0, MiB, "qcow2"))
        self.do("DELETE", "snapshot", volume=vol, snapname="first")
        self.assertEqual([s["name"] for s in self.info(vol).get("snapshots", [])], ["second"])
        r = self.d.request("POST", self.at + "/snapshot", {"volume": vol, "snapname": "second", "sync": 1})
        self.refused(r, tuple(range(400, 600)))
        self.refused(self.d.request("POST", self.at + "/rollback", {"volume": vol, "snapname": "gone", "sync": 1}),
                     tuple(range(400, 600)))
        self.sound(vol)

    def test_what_raw_cannot_is_said_before_it_is_tried(self):
        raw = self.d.alloc("st", 100, "", "1M")
        r = self.d.request("POST", self.at + "/snapshot", {"volume": raw, "snapname": "a1", "sync": 1})
        self.refused(r, (501, 500, 400))
        self.assertIn("raw", r.message + str(r.errors))
        self.refused(self.d.request("POST", self.at + "/clone", {"volume": raw, "vmid": 200, "sync": 1}), (501, 500, 400))

    def test_template_and_linked_clone(self):
        vol = self.qcow2()
        qemu_write(self.d.path(vol), 0x44, 0, MiB, "qcow2")
        base = self.do("POST", "template", volume=vol)
        self.assertEqual(base, "st:100/base-100-disk-0.qcow2")
        self.assertEqual(os.stat(self.d.path(base)).st_mode & 0o222, 0, "a template is read-only")
        clone = self.do("POST", "clone", volume=base, vmid=200)
        self.assertEqual(clone, "st:100/base-100-disk-0.qcow2/200/vm-200-disk-0.qcow2")
        file = self.d.path(clone)
        self.assertEqual(file, f"{self.path}/images/200/vm-200-disk-0.qcow2")
        info = qemu_img_info(file)
        self.assertEqual(info["backing-filename"], "../100/base-100-disk-0.qcow2", "relative, so that the store can move")
        self.assertTrue(qemu_reads(file, 0x44, 0, MiB, "qcow2"))
        qemu_write(file, 0x55, 0, MiB, "qcow2")
        self.assertTrue(qemu_reads(self.d.path(base), 0x44, 0, MiB, "qcow2"))
        self.assertIn(clone, self.d.volids("st"))
        self.assertIn("base-100-disk-0.qcow2", self.fails(self.d.request("DELETE", self.d.at("st", "/content/" + base))))
        self.d.pvesm("free", clone)
        self.d.pvesm("free", base)
        self.assertEqual(self.d.volids("st"), [])
        self.sound(self.qcow2())

    def test_raw_template_and_clone(self):
        raw = self.d.alloc("st", 100, "", "2M")
        qemu_write(self.d.path(raw), 0x66, 0, MiB, "raw")
        base = self.do("POST", "template", volume=raw)
        self.assertEqual(base, "st:100/base-100-disk-0.raw")
        clone = self.do("POST", "clone", volume=base, vmid=201)
        self.assertTrue(clone.endswith(".qcow2"))
        self.assertEqual(qemu_img_info(self.d.path(clone))["backing-filename-format"], "raw")
        self.assertTrue(qemu_reads(self.d.path(clone), 0x66, 0, MiB, "qcow2"))

    def test_clone_wants_a_template(self):
        vol = self.qcow2()
        self.refused(self.d.request("POST", self.at + "/clone", {"volume": vol, "vmid": 200, "sync": 1}),
                     tuple(range(400, 600)))

    def test_template_with_snapshots_is_refused(self):
        vol = self.qcow2()
        self.do("POST", "snapshot", volume=vol, snapname="aa")
        r = self.d.request("POST", self.at + "/template", {"volume": vol, "sync": 1})
        if r.status == 200:
            self.assertEqual(self.d.volids("st"), [r.data])
        else:
            self.assertEqual(self.d.volids("st"), [vol])

    def test_resize_raw_and_qcow2(self):
        raw, qcow2 = self.d.alloc("st", 100, "", "1M"), self.d.alloc("st", 100, "vm-100-q.qcow2", "1M")
        for vol, fmt in ((raw, "raw"), (qcow2, "qcow2")):
            qemu_write(self.d.path(vol), 0x77, 0, MiB, fmt)
            self.do("PUT", "resize", volume=vol, size="3M")
            self.assertEqual(self.info(vol)["virtual-size"], 3 * MiB)
            self.assertTrue(qemu_reads(self.d.path(vol), 0x77, 0, MiB, fmt))
            self.do("PUT", "resize", volume=vol, size="+1024")
            self.assertEqual(self.info(vol)["virtual-size"], 4 * MiB)
            r = self.d.request("PUT", self.at + "/resize", {"volume": vol, "size": "1M", "sync": 1})
            self.refused(r, (400, 409, 500))
            self.assertEqual(self.info(vol)["virtual-size"], 4 * MiB, "never smaller")

    def test_copy_between_storages(self):
        self.d.add_dir("other")
        for name, fmt in (("vm-100-a.raw", "raw"), ("vm-100-b.qcow2", "qcow2")):
            vol = self.d.alloc("st", 100, name, "2M")
            qemu_write(self.d.path(vol), 0x12, 64 * KiB, 64 * KiB, fmt)
            upid = self.d.post(self.d.at("st", "/content/" + vol), target="other")
            self.d.done(upid)
        copies = self.d.volids("other")
        self.assertEqual(len(copies), 2)
        for vol in copies:
            fmt = vol.rsplit(".", 1)[1]
            self.assertEqual(self.info(vol)["virtual-size"], 2 * MiB)
            self.assertTrue(qemu_reads(self.d.path(vol), 0x12, 64 * KiB, 64 * KiB, fmt))
            self.assertTrue(qemu_reads(self.d.path(vol), 0, 0, 64 * KiB, fmt))
        with open(self.path + "/template/iso/a.iso", "wb") as f:
            f.write(b"iso" * 1000)
        self.d.put("/storage/other", content="images,iso")
        self.d.done(self.d.post(self.d.at("st", "/content/iso%2Fa.iso"), target="other"))
        self.assertIn("other:iso/a.iso", self.d.volids("other"))

    def test_copy_of_a_clone_stands_alone(self):
        vol = self.qcow2()
        qemu_write(self.d.path(vol), 0x13, 0, MiB, "qcow2")
        clone = self.do("POST", "clone", volume=self.do("POST", "template", volume=vol), vmid=200)
        self.d.add_dir("other")
        self.d.done(self.d.post(self.d.at("st", "/content/" + clone), target="other"))
        copy = self.d.volids("other")[0]
        self.assertNotIn("backing-filename", self.info(copy))
        self.assertTrue(qemu_reads(self.d.path(copy), 0x13, 0, MiB, copy.rsplit(".", 1)[1]))

    def test_rename(self):
        vol = self.qcow2()
        moved = self.do("POST", "rename", volume=vol, vmid=101)
        self.assertEqual(moved, "st:101/vm-101-disk-0.qcow2")
        named = self.do("POST", "rename", volume=moved, vmid=101, name="vm-101-data.qcow2")
        self.assertEqual(self.d.volids("st"), [named])
        self.d.alloc("st", 101, "vm-101-taken.qcow2", "1M")
        r = self.d.request("POST", self.at + "/rename", {"volume": named, "vmid": 101, "name": "vm-101-taken.qcow2", "sync": 1})
        self.refused(r, (400, 409, 500))
        self.assertEqual(sorted(self.d.volids("st")), sorted([named, "st:101/vm-101-taken.qcow2"]))

    def test_subvol(self):
        volid = self.d.alloc("st", 100, "", "0", format="subvol")
        self.assertEqual(volid, "st:100/subvol-100-disk-0.subvol")
        path = self.d.path(volid)
        with open(path + "/file", "w", encoding="ascii") as f:
            f.write("content")
        os.makedirs(path + "/sub/dir")
        os.symlink("/etc/passwd", path + "/sub/link")
        stream = self.tmp + "/stream"
        self.d.pvesm("export", volid, "tar+size", stream)
        self.d.pvesm("import", "st:200/subvol-200-disk-0.subvol", "tar+size", stream)
        copy = self.d.path("st:200/subvol-200-disk-0.subvol")
        self.assertEqual(os.readlink(copy + "/sub/link"), "/etc/passwd")
        with open(copy + "/file", encoding="ascii") as f:
            self.assertEqual(f.read(), "content")
        self.d.pvesm("free", volid)
        self.assertFalse(os.path.exists(path))
        self.assertTrue(os.path.exists("/etc/passwd"))

    def test_numbers_count_over_all_formats(self):
        self.assertEqual(self.d.alloc("st", 100, "", "4"), "st:100/vm-100-disk-0.raw")
        self.assertEqual(self.d.alloc("st", 100, "", "1M", format="qcow2"), "st:100/vm-100-disk-1.qcow2")
        self.do("POST", "template", volume="st:100/vm-100-disk-0.raw")
        self.assertEqual(self.d.alloc("st", 100, "", "4"), "st:100/vm-100-disk-2.raw", "a template keeps its number")

    def test_notes_are_listed(self):
        name = "backup/vzdump-qemu-100-2026_01_01-10_00_00.vma"
        open(f"{self.path}/dump/{name.split('/')[1]}", "wb").close()
        self.d.put(self.d.at("st", "/content/" + name), notes="a\nb")
        row = self.d.content("st")[0]
        self.assertTrue(row["notes"].startswith("a"))
        self.assertEqual(row["vmid"], 100)

    def test_qcow2_with_an_evil_backing_file_reveals_nothing(self):
        secret = self.tmp + "/secret"
        with open(secret, "wb") as f:
            f.write(b"S" * MiB)
        os.makedirs(self.path + "/images/100")
        evil = self.path + "/images/100/vm-100-evil.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", evil)
        rows = self.d.content("st")
        self.assertEqual(len(rows), 1)
        r = self.d.pvesm("export", "st:100/vm-100-evil.qcow2", "raw+size", self.tmp + "/out", check=False)
        out = b""
        if os.path.exists(self.tmp + "/out"):
            with open(self.tmp + "/out", "rb") as f:
                out = f.read()
        self.assertNotIn(b"SSSS", out, repr(r))

    def test_snapshot_as_volume_chain(self):
        self.d.add_dir("chain", snapshot_as_volume_chain=1)
        at = self.d.at("chain")
        vol = self.d.alloc("chain", 100, "vm-100-disk-0.qcow2", "4M")
        file = self.d.path(vol)
        qemu_write(file, 0x11, 0, MiB, "qcow2")
        self.d.post(at + "/snapshot", volume=vol, snapname="one", sync=1)
        self.assertIn("backing-filename", qemu_img_info(file))
        qemu_write(file, 0x22, 0, MiB, "qcow2")
        self.d.post(at + "/snapshot", volume=vol, snapname="two", sync=1)
        qemu_write(file, 0x33, 0, MiB, "qcow2")
        self.assertEqual(self.d.volids("chain"), [vol], "the parts of a chain are no volumes")
        names = [s["name"] for s in self.d.get(at + "/snapshot", volume=vol) if s["name"] != "current"]
        self.assertEqual(names, ["one", "two"])
        r = self.d.request("POST", at + "/rollback", {"volume": vol, "snapname": "one", "sync": 1})
        self.refused(r, tuple(range(400, 600)))  # only to the newest
        self.d.post(at + "/rollback", volume=vol, snapname="two", sync=1)
        self.assertTrue(qemu_reads(file, 0x22, 0, MiB, "qcow2"))
        self.d.delete(at + "/snapshot", volume=vol, snapname="one", sync=1)
        self.assertTrue(qemu_reads(file, 0x22, 0, MiB, "qcow2"))
        self.d.delete(at + "/snapshot", volume=vol, snapname="two", sync=1)
        self.assertNotIn("backing-filename", qemu_img_info(file))
        self.assertTrue(qemu_reads(file, 0x22, 0, MiB, "qcow2"))
        self.assertEqual(os.listdir(os.path.dirname(file)), ["vm-100-disk-0.qcow2"])
        self.d.post(at + "/snapshot", volume=vol, snapname="last", sync=1)
        self.d.pvesm("free", vol)
        self.assertEqual([f for _, _, files in os.walk(os.path.dirname(os.path.dirname(file))) for f in files], [])

    @needs_root()
    def test_is_mountpoint(self):
        point = self.tmp + "/mnt"
        os.makedirs(point)
        r = self.d.request("POST", "/storage", {"type": "dir", "storage": "mp", "path": point, "is_mountpoint": "yes"})
        self.refused(r, tuple(range(400, 600)))
        self.assertEqual(os.listdir(point), [], "nothing is made below an absent mount")
        self.assertNotIn(b"dir: mp", self.d.config_text())
        with tmpfs(point, "16m"):
            self.d.post("/storage", type="dir", storage="mp", path=point, is_mountpoint="yes")
            self.assertEqual(self.d.status("mp")["active"], 1)
            self.d.alloc("mp", 100, "", "4")
        r = self.d.request("POST", self.d.at("mp", "/content"), {"vmid": 100, "filename": "", "size": "4"})
        self.refused(r, tuple(range(400, 600)))
        self.assertEqual(os.listdir(point), [])


if __name__ == "__main__":
    main()
