#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The nfs storage against a real nfs-ganesha: scan, status and listing through libnfs; a server that dies and comes back.

Runs in a network and mount namespace of its own: NFSv3 needs a portmapper, and nothing here may reach the machine's.
"""
import json
import os
import statistics
import sys
import time
import unittest
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, MiB, REPO, main, needs_program, needs_root, qemu_reads, qemu_write, run, slow, wait_until

FAILED = tuple(range(400, 600))


def kernel_has_nfs():
    with open("/proc/filesystems", encoding="ascii") as f:
        return any(line.split()[-1] in ("nfs", "nfs4") for line in f)


class Server:
    def __init__(self, directory, *args):
        self.dir, self.args = directory, args
        self.start()

    def do(self, command, *args):
        r = run(os.path.join(REPO, "tests/lib/nfs-server"), command, "--dir", self.dir, *args, check=False)
        if r.rc == 77:
            raise unittest.SkipTest(r.err.strip())
        if r.rc != 0:
            raise AssertionError(repr(r))
        return json.loads(r.out)

    def start(self):
        self.state = self.do("start", *self.args)

    def file(self, export, name, size=0, data=None):
        path = os.path.join(self.state["exports"][export], name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data) if data is not None else f.truncate(size)
        return path


@needs_root()
@needs_program("unshare")
class Nfs(DaemonTest):
    flavour = "v3"
    server_args = ("--v3",)
    options = "vers=3"

    def setUp(self):
        super().setUp()
        self.server = None
        try:
            self.server = Server(self.tmp + "/nfs", *self.server_args)
        except BaseException:
            super().tearDown()
            raise

    def tearDown(self):
        try:
            super().tearDown()
        finally:
            if self.server:
                self.server.do("stop")

    def define(self, *ids, export="/x", more=""):
        """By the file, as another node would have: whether this kernel can mount does not matter then."""
        self.write_config("".join(f"nfs: {i}\n\tserver 127.0.0.1\n\texport {export}\n\tpath {self.root}/mnt/pve/{i}\n"
                                  f"\toptions {self.options}\n\tcontent images,iso,backup,snippets\n{more}\n" for i in ids))
        wait_until(lambda: {r["storage"] for r in self.d.get("/storage")} >= set(ids), "the definitions are read", 5)

    def test_scan(self):
        r = self.d.pvesm("scan", "nfs", "127.0.0.1")
        rows = sorted(line.split() for line in r.lines)
        self.assertEqual([row[0] for row in rows], ["/x", "/y"])
        self.assertTrue(all(len(row) >= 2 for row in rows), r.out)
        self.assertEqual(len({line.index(line.split(None, 1)[1]) for line in r.lines}), 1, "the clients stand in one column")
        api = self.d.get("/nodes/n1/scan/nfs", server="127.0.0.1")
        self.assertEqual(sorted(row["path"] for row in api), ["/x", "/y"])
        self.assertTrue(all("options" in row for row in api))
        self.assertEqual(self.d.pvesm("nfsscan", "127.0.0.1").out, r.out)
        by_name = self.d.pvesm("scan", "nfs", "localhost", check=False)
        self.assertEqual(by_name.rc, 0, repr(by_name))

    def test_scan_of_a_dead_or_absent_server(self):
        yard, begun = self.yard(), time.monotonic()
        for how in ("pause", "kill"):
            self.server.do(how)
            self.cli_refused(self.d.pvesm("scan", "nfs", "127.0.0.1", check=False), None, "127.0.0.1")
        self.cli_refused(self.d.pvesm("scan", "nfs", "no.such.host.invalid", check=False), None, "no.such.host.invalid")
        took = time.monotonic() - begun
        self.assertLess(took, yard.allows(30))

    def test_status_and_listing_without_a_mount(self):
        self.server.file("/x", "images/100/vm-100-disk-0.raw", 3 * MiB)
        run("qemu-img", "create", "-q", "-f", "qcow2", self.server.file("/x", "images/101/vm-101-disk-0.qcow2"), "7M")
        self.server.file("/x", "template/iso/debian.iso", 5000)
        self.server.file("/x", "dump/vzdump-qemu-100-2026_01_01-10_00_00.vma", 100)
        self.server.file("/x", "dump/vzdump-qemu-100-2026_01_01-10_00_00.vma.notes", data=b"a note")
        self.server.file("/x", "dump/vzdump-qemu-100-2026_01_01-10_00_00.vma.protected")
        self.define("filer")
        rows = wait_until(lambda: self.d.request("GET", self.d.at("filer", "/content")).status == 200 and
                          self.d.content("filer"), "the listing comes")
        found = {r["volid"]: (r["format"], r["size"]) for r in rows}
        self.assertEqual(found, {
            "filer:100/vm-100-disk-0.raw": ("raw", 3 * MiB), "filer:101/vm-101-disk-0.qcow2": ("qcow2", 7 * MiB),
            "filer:iso/debian.iso": ("iso", 5000), "filer:backup/vzdump-qemu-100-2026_01_01-10_00_00.vma": ("vma", 100)})
        backup = [r for r in rows if r["content"] == "backup"][0]
        self.assertEqual((backup["notes"], backup["protected"], backup["vmid"]), ("a note", 1, 100))
        wait_until(lambda: self.d.status("filer")["state"] in ("active", "inactive"), "the server is known")
        row = self.d.status("filer")
        if row["active"]:
            stat = os.statvfs(self.server.state["exports"]["/x"])
            self.assertAlmostEqual(row["total"] / (stat.f_blocks * stat.f_frsize), 1.0, places=2)
        else:
            self.assertIn("kernel", row["reason"], "without a mount guests can't use it, and it says why")
        with open("/proc/self/mounts", encoding="utf-8") as f:
            if not kernel_has_nfs():
                self.assertNotIn(self.root + "/mnt", f.read())

    def test_add_on_a_kernel_without_nfs(self):
        if kernel_has_nfs():
            self.skipTest("this kernel has an NFS client")
        before = self.state()
        r = self.cli_refused(self.d.pvesm("add", "nfs", "filer", "--server", "127.0.0.1", "--export", "/x", "--options",
                                          self.options, check=False))
        self.assertRegex(r.err, "kernel")
        self.assertEqual(self.state(), before, "nothing is left behind")
        self.assertEqual([s["storage"] for s in self.d.get("/storage")], ["local"])
        self.define("filer")
        r = self.refused(self.d.request("POST", self.d.at("filer", "/content"), {"vmid": 100, "filename": "", "size": "4"}),
                         FAILED)
        self.assertRegex(r.message, "kernel")
        self.assertEqual(os.listdir(self.server.state["exports"]["/x"]), [])

    def test_add_disabled_asks_nobody(self):
        self.d.pvesm("add", "nfs", "later", "--server", "127.0.0.77", "--export", "/x", "--disable", "1", "--content", "iso")
        text = self.d.config_text().decode()
        self.assertIn("nfs: later\n\tdisable\n\texport /x\n\tpath /mnt/pve/later\n\tserver 127.0.0.77\n\tcontent iso\n", text)
        self.assertEqual(self.d.status("later")["state"], "disabled")
        self.d.delete("/storage/later")

    def test_add_with_a_dead_server_is_refused(self):
        before = self.state()
        yard, begun = self.yard(), time.monotonic()
        for how in ("pause", "kill"):
            self.server.do(how)
            self.cli_refused(self.d.pvesm("add", "nfs", "filer", "--server", "127.0.0.1", "--export", "/x", "--options",
                                          self.options, check=False), None, "127.0.0.1")
        took = time.monotonic() - begun
        self.assertLess(took, yard.allows(40))
        self.assertEqual(self.state(), before)

    def test_add_of_an_export_that_is_not_there(self):
        before = self.state()
        r = self.cli_refused(self.d.pvesm("add", "nfs", "filer", "--server", "127.0.0.1", "--export", "/nosuch", "--options",
                                          self.options, check=False))
        self.assertIn("/nosuch", r.err)
        self.assertEqual(self.state(), before)

    def timed(self):
        begun = time.monotonic()
        self.d.get("/nodes/n1/storage")
        self.d.content("good")
        return time.monotonic() - begun

    def dies_and_comes_back(self, down, up):
        self.d.add_dir("good")  # in the file from now on
        good = self.d.config_text().decode()
        self.define("filer")
        self.write_config(self.d.config_text().decode() + good)
        wait_until(lambda: "good" in [r["storage"] for r in self.d.get("/storage")], "read")
        wait_until(lambda: self.d.status("filer")["state"] in ("active", "inactive"), "the server is known")
        alive = self.d.status("filer")["state"]
        before = [self.timed() for _ in range(40)]
        yard = self.yard()
        self.server.do(down)
        begun = time.monotonic()
        wait_until(lambda: self.d.status("filer")["state"] == "unresponsive", "unresponsive")
        took = time.monotonic() - begun
        self.assertLess(took, yard.allows(10))
        yard = self.yard()
        after = [self.timed() for _ in range(40)]
        self.assertLess(statistics.median(after), max(5 * statistics.median(before), yard.allows(0.25, 0.5)), f"{before[:5]} {after[:5]}")
        r = self.within(2.0, lambda: self.d.pvesm("status"))
        self.assertIn("filer", r.out)
        self.refused(self.within(6.0, lambda: self.d.request("GET", self.d.at("filer", "/content"))), FAILED)
        if up == "start":
            self.server.start()
        else:
            self.server.do(up)
        wait_until(lambda: self.d.status("filer")["state"] == alive, "it comes back by itself", 30)
        wait_until(lambda: self.d.request("GET", self.d.at("filer", "/content")).status == 200, "and lists", 30)
        return took

    def test_a_stopped_server(self):
        self.dies_and_comes_back("pause", "resume")

    def test_a_killed_server(self):
        self.dies_and_comes_back("kill", "start")

    @slow()
    def test_three_dead_servers_do_not_add_up(self):
        self.define("f1", "f2", "f3")
        for i in ("f1", "f2", "f3"):
            wait_until(lambda: self.d.status(i)["state"] in ("active", "inactive"), "known")
        self.server.do("pause")
        for i in ("f1", "f2", "f3"):
            wait_until(lambda: self.d.status(i)["state"] == "unresponsive", i)
        for _ in range(5):
            self.within(1.0, lambda: self.d.pvesm("status"))
        self.server.do("resume")

    def test_a_daemon_that_starts_while_the_server_is_dead(self):
        self.define("filer")
        self.d.stop()
        self.server.do("pause")
        self.within(8.0, self.start_daemon)
        wait_until(lambda: self.d.status("filer")["state"] == "unresponsive", "unresponsive")
        self.server.do("resume")
        wait_until(lambda: self.d.status("filer")["state"] in ("active", "inactive"), "back", 30)

    def test_a_hostile_server_tree(self):
        os.symlink("/etc", os.path.join(self.server.state["exports"]["/x"], "images"))
        os.makedirs(os.path.join(self.server.state["exports"]["/x"], "template/iso"))
        os.symlink("/etc/passwd", os.path.join(self.server.state["exports"]["/x"], "template/iso/p.iso"))
        self.server.file("/x", "template/iso/good.iso", 10)
        self.server.file("/x", "template/iso/bad\nname.iso", 10)
        self.server.file("/x", "template/iso/" + "l" * 251 + ".iso", 10)
        self.define("filer")
        r = wait_until(lambda: [x for x in [self.d.request("GET", self.d.at("filer", "/content"))]
                                if x.status == 200 or "images" in x.message], "an answer")[0]
        if r.status == 200:
            volids = [row["volid"] for row in r.data]
            self.assertIn("filer:iso/good.iso", volids)
            self.assertEqual([v for v in volids if "\n" in v or "passwd" in v], [])

    def test_everything_on_a_mount(self):
        if not kernel_has_nfs():
            self.skipTest("this kernel has no NFS client: mounting can't be shown here")
        port = self.server.state["port"]
        self.d.pvesm("add", "nfs", "filer", "--server", "127.0.0.1", "--export", "/x", "--content", "images,iso,backup",
                     "--options", f"vers=3,port={port},mountport={self.server.state['mountport']}")
        vol = self.d.alloc("filer", 100, "vm-100-disk-0.qcow2", "4M")
        file = self.d.path(vol)
        qemu_write(file, 0x11, 0, MiB, "qcow2")
        self.d.pvesm("snapshot", vol, "one")
        qemu_write(file, 0x22, 0, MiB, "qcow2")
        self.d.pvesm("rollback", vol, "one")
        self.assertTrue(qemu_reads(file, 0x11, 0, MiB, "qcow2"))
        self.d.pvesm("free", vol)
        self.assertEqual(self.d.volids("filer"), [])
        self.d.pvesm("remove", "filer")


class NfsV4(Nfs):
    """The same, with NFSv4: no portmapper, no MOUNT protocol, a port of its own."""
    flavour = "v4"

    def setUp(self):
        super().setUp()
        self.options = f"vers=4,port={self.server.state['port']}"


if __name__ == "__main__":
    main(namespace=True)
