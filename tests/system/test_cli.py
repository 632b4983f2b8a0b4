#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pvesm as an administrator types it: each verb, prefixes, option spellings, exit codes, output formats."""
import os
import re
import struct
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, MiB, main, qemu_img_info, qemu_reads, qemu_write, run


class Verbs(DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = self.d.add_dir("st", content="images,iso,backup,snippets,vztmpl,import")

    def test_alloc_path_list_free(self):
        r = self.d.pvesm("alloc", "st", "100", "", "1G")
        self.assertEqual(r.lines[-1], "successfully created 'st:100/vm-100-disk-0.raw'")
        r = self.d.pvesm("path", "st:100/vm-100-disk-0.raw")
        self.assertEqual(r.out, f"{self.path}/images/100/vm-100-disk-0.raw\n")
        self.assertEqual(os.path.getsize(r.out.strip()), 1 << 30)
        r = self.d.pvesm("free", "st:100/vm-100-disk-0.raw")
        self.assertEqual(r.lines[-1], "Removed volume 'st:100/vm-100-disk-0.raw'")
        self.assertFalse(os.path.exists(f"{self.path}/images/100/vm-100-disk-0.raw"))
        self.assertEqual(len(self.d.pvesm("list", "st").lines), 1)

    def test_alloc_size_spellings(self):
        for n, (size, expected) in enumerate({"4": 4096, "1024": MiB, "3M": 3 * MiB, "1G": 1 << 30}.items()):
            r = self.d.pvesm("alloc", "st", "100", f"vm-100-x{n}.raw", size)
            self.assertEqual(r.lines[-1], f"successfully created 'st:100/vm-100-x{n}.raw'")
            self.assertEqual(os.path.getsize(f"{self.path}/images/100/vm-100-x{n}.raw"), expected)

    def test_alloc_names_and_formats(self):
        def alloc(*args, **kw):
            return self.d.pvesm("alloc", "st", *args, **kw).lines[-1].split("'")[1]
        self.assertEqual(alloc("100", "", "4"), "st:100/vm-100-disk-0.raw")
        self.assertEqual(alloc("100", "", "4"), "st:100/vm-100-disk-1.raw")
        self.assertEqual(alloc("100", "", "1M", "--format", "qcow2"), "st:100/vm-100-disk-2.qcow2")
        self.assertEqual(alloc("100", "vm-100-data.qcow2", "1M"), "st:100/vm-100-data.qcow2")
        self.assertEqual(alloc("101", "", "1M", "--format", "vmdk"), "st:101/vm-101-disk-0.vmdk")
        self.assertEqual(alloc("101", "", "0", "--format", "subvol"), "st:101/subvol-101-disk-1.subvol")
        self.d.pvesm("free", "st:100/vm-100-disk-0.raw")
        self.assertEqual(alloc("100", "", "4"), "st:100/vm-100-disk-0.raw", "the lowest free number")
        self.assertEqual(qemu_img_info(f"{self.path}/images/100/vm-100-data.qcow2")["format"], "qcow2")
        self.assertEqual(qemu_img_info(f"{self.path}/images/101/vm-101-disk-0.vmdk")["virtual-size"], MiB)
        self.assertTrue(os.path.isdir(f"{self.path}/images/101/subvol-101-disk-1.subvol"))

    def test_alloc_refusals(self):
        before = self.state()
        for args, rc in ((("100", "vm-100-x.qcow2", "1M", "--format", "raw"), None), (("100", "", "1T"), 2),
                         (("100", "", "1.5G"), 2), (("99", "", "4"), 2), (("0100", "", "4"), 2), (("100", "", "-4"), 2),
                         (("100", "../x.raw", "4"), None), (("100", "x.iso", "4"), None), (("100", ""), 2),
                         (("100", "", "4", "--format", "zip"), 2)):
            with self.subTest(args=args):
                self.cli_refused(self.d.pvesm("alloc", "st", *args, check=False), rc)
        self.cli_refused(self.d.pvesm("alloc", "nosuch", "100", "", "4", check=False), None, "nosuch")
        self.assertEqual(self.state(), before)

    def test_alloc_refuses_a_used_name(self):
        self.d.pvesm("alloc", "st", "100", "vm-100-x.raw", "4")
        before = self.state()
        self.cli_refused(self.d.pvesm("alloc", "st", "100", "vm-100-x.raw", "4", check=False), None, "vm-100-x.raw")
        self.assertEqual(self.state(), before)

    def test_free_is_honest(self):
        self.cli_refused(self.d.pvesm("free", "st:100/vm-100-disk-0.raw", check=False), None, "vm-100-disk-0.raw")
        self.cli_refused(self.d.pvesm("free", "nosuch:100/vm-100-disk-0.raw", check=False), None, "nosuch")
        name = "vzdump-qemu-100-2026_01_01-10_00_00.vma"
        os.makedirs(f"{self.path}/dump", exist_ok=True)
        open(f"{self.path}/dump/{name}", "wb").close()
        open(f"{self.path}/dump/{name}.protected", "wb").close()
        self.cli_refused(self.d.pvesm("free", f"st:backup/{name}", check=False), None, "protected")
        self.d.pvesm("protect", f"st:backup/{name}", "0")
        self.d.pvesm("free", f"st:backup/{name}")
        self.assertEqual(os.listdir(f"{self.path}/dump"), [])

    def test_free_refuses_a_base_in_use(self):
        self.d.pvesm("alloc", "st", "100", "vm-100-disk-0.qcow2", "1M")
        self.d.pvesm("template", "st:100/vm-100-disk-0.qcow2")
        self.d.pvesm("clone", "st:100/base-100-disk-0.qcow2", "200")
        before = self.state()
        self.cli_refused(self.d.pvesm("free", "st:100/base-100-disk-0.qcow2", check=False), None, "base-100-disk-0.qcow2")
        self.assertEqual(self.state(), before)

    def test_free_with_the_storage_as_option(self):
        self.d.pvesm("alloc", "st", "100", "", "4")
        r = self.d.pvesm("free", "100/vm-100-disk-0.raw", "--storage", "st")
        self.assertEqual(r.lines[-1], "Removed volume 'st:100/vm-100-disk-0.raw'")

    def test_path_is_only_computed(self):
        self.d.pvesm("set", "st", "--disable", "1")
        self.assertEqual(self.d.pvesm("path", "st:iso/none.iso").out, f"{self.path}/template/iso/none.iso\n")
        self.cli_refused(self.d.pvesm("path", "st:nonsense", check=False), None, "nonsense")
        self.cli_refused(self.d.pvesm("path", "nosuch:iso/a.iso", check=False), None, "nosuch")

    def test_add_set_remove(self):
        other = os.path.join(self.tmp, "other")
        self.assertEqual(self.d.pvesm("add", "dir", "oo", "--path", other, "--content", "iso,images").out, "")
        self.assertTrue(os.path.isdir(os.path.join(other, "template/iso")))
        text = self.d.config_text().decode()
        self.assertIn(f"dir: oo\n\tpath {other}\n", text)
        self.assertEqual(self.d.pvesm("set", "oo", "--content", "iso", "--nodes", "n1,n2").out, "")
        text = self.d.config_text().decode()
        self.assertIn("\tcontent iso\n", text)
        self.assertRegex(text, r"\tnodes (n1,n2|n2,n1)\n")
        self.d.pvesm("set", "oo", "--delete", "nodes")
        self.assertNotIn("nodes", self.d.config_text().decode())
        self.assertEqual(self.d.pvesm("remove", "oo").out, "")
        self.assertNotIn("dir: oo", self.d.config_text().decode())
        self.assertTrue(os.path.isdir(other), "the data stays")

    def test_add_refusals(self):
        before = self.state()
        other = os.path.join(self.tmp, "oo")
        os.makedirs(other)
        cases = [
            (("dir", "st", "--path", other), None, "st"),
            (("dir", "x1"), 2, "path"),
            (("nosuchtype", "x1", "--path", other), 2, "nosuchtype"),
            (("dir", "1x", "--path", other), 2, "storage"),
            (("dir", "x", "--path", other), 2, "storage"),
            (("dir", "x1", "--path", "relative"), 2, "path"),
            (("dir", "x1", "--path", other, "--content", "nonsense"), 2, "content"),
            (("dir", "x1", "--path", other, "--vgname", "vg"), 2, "vgname"),
            (("dir", "x1", "--path", other, "--preallocation", "maybe"), 2, "preallocation"),
            (("dir", "x1", "--path", other, "--nodes", "a b/c"), 2, "nodes"),
        ]
        for args, rc, text in cases:
            with self.subTest(args=args):
                self.cli_refused(self.d.pvesm("add", *args, check=False), rc, text)
        self.assertEqual(self.state(), before)
        self.assertEqual(os.listdir(other), [])

    def test_set_refusals(self):
        before = self.state()
        cases = [(("st", "--path", "/elsewhere"), None, "path"), (("st", "--delete", "path"), None, "path"),
                 (("st", "--nodes", "n1", "--delete", "nodes"), None, "nodes"), (("nosuch", "--disable", "1"), None, "nosuch"),
                 (("st", "--digest", "0" * 40, "--disable", "1"), None, "detected modified configuration"),
                 (("st", "--delete", "nonsense"), None, "nonsense")]
        for args, rc, text in cases:
            with self.subTest(args=args):
                self.cli_refused(self.d.pvesm("set", *args, check=False), rc, text)
        self.cli_refused(self.d.pvesm("remove", "nosuch", check=False), None, "nosuch")
        self.assertEqual(self.state(), before)

    def test_boolean_spellings(self):
        for word, expected in (("1", True), ("0", False), ("yes", True), ("off", False), ("true", True), ("no", False),
                               ("on", True), ("false", False)):
            self.d.pvesm("set", "st", "--disable", word)
            self.assertEqual(self.d.status("st").get("enabled", 0) == 0, expected, word)
        self.d.pvesm("set", "st", "--disable")
        self.assertEqual(self.d.status("st").get("enabled", 0), 0)
        self.cli_refused(self.d.pvesm("set", "st", "--disable=maybe", check=False), 2, "disable")

    def test_option_spellings_and_prefixes(self):
        for args in (("--content", "iso"), ("-content", "iso"), ("--content=iso",), ("-content=iso",)):
            for verb in ("list", "lis", "li"):
                self.assertEqual(len(self.d.pvesm(verb, "st", *args).lines), 1)
        self.assertEqual(self.d.pvesm("sta").out.split()[0], "Name")
        self.cli_refused(self.d.pvesm("s", check=False), 255)
        self.cli_refused(self.d.pvesm("scan", check=False), None)

    def test_exit_codes(self):
        self.cli_refused(self.d.pvesm(check=False), 255)
        self.cli_refused(self.d.pvesm("nosuchverb", check=False), 255)
        self.cli_refused(self.d.pvesm("list", check=False), 2)
        self.cli_refused(self.d.pvesm("list", "st", "extra", check=False), 2)
        r = self.cli_refused(self.d.pvesm("list", "st", "--nosuch", "1", check=False), 2, "nosuch")
        self.assertIn("400", r.err)
        self.assertIn("pvesm list", r.err, "the usage line comes along")
        self.cli_refused(self.d.pvesm("list", "st", "--vmid", "abc", check=False), 2, "vmid")
        self.cli_refused(self.d.pvesm("list", "st", "--content", check=False), 2, "content")

    def test_apiinfo_and_help(self):
        self.assertEqual(self.d.pvesm("apiinfo").out, "APIVER 15\nAPIAGE 6\n")
        text = self.d.pvesm("help").out
        for verb in ("add", "alloc", "free", "list", "status", "path", "scan", "export", "import", "prune-backups", "set",
                     "remove", "apiinfo", "info", "config", "resize", "clone", "template", "snapshot", "rollback"):
            self.assertIn(f"pvesm {verb}", text)
        text = self.d.pvesm("help", "add", "--verbose").out
        for word in ("--path", "--content", "--nodes", "--preallocation", "--server", "--export"):
            self.assertIn(word, text)
        self.assertIn("pvesm alloc", self.d.pvesm("help", "alloc").out)
        self.cli_refused(self.d.pvesm("help", "nosuch", check=False))

    def test_manuals_have_the_options_of_the_programs(self):
        top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        for program in ("storaged", "clusterfs"):
            with self.subTest(program=program):
                told = subprocess.run([os.path.join(self.d.build, program), "--help"], capture_output=True, text=True, check=True).stdout
                with open(os.path.join(top, "docs", "man", program + ".8"), encoding="utf-8") as f:
                    written = f.read().replace("\\-", "-")
                options = lambda text: set(re.findall(r"--[a-z][a-z-]+", text)) - {"--help", "--version"}
                self.assertEqual(options(told), options(written) & options(told), "missing in the manual")
                self.assertEqual(options(written) - options(told), set(), "unknown to the program")

    def test_output_formats(self):
        self.d.pvesm("alloc", "st", "100", "", "1M")
        rows = self.d.pvesm("list", "st", "--output-format", "json").json
        self.assertEqual([(r["volid"], r["size"], r["format"], r["vmid"]) for r in rows],
                         [("st:100/vm-100-disk-0.raw", MiB, "raw", 100)])
        pretty = self.d.pvesm("list", "st", "--output-format", "json-pretty")
        self.assertEqual(pretty.json, rows)
        self.assertGreater(len(pretty.lines), 3)
        yaml = self.d.pvesm("list", "st", "--output-format", "yaml").out
        self.assertIn("volid: ", yaml)
        self.assertIn("st:100/vm-100-disk-0.raw", yaml)
        self.assertEqual(self.d.pvesm("list", "st", "--output-format", "text").out, self.d.pvesm("list", "st").out)
        status = {row["storage"]: row for row in self.d.pvesm("status", "--output-format", "json").json}
        self.assertEqual(status["st"]["active"], 1)
        self.cli_refused(self.d.pvesm("list", "st", "--output-format", "xml", check=False), 2, "output-format")

    def test_resize_rename_copy(self):
        self.d.pvesm("alloc", "st", "100", "vm-100-disk-0.qcow2", "1M")
        file = f"{self.path}/images/100/vm-100-disk-0.qcow2"
        self.d.pvesm("resize", "st:100/vm-100-disk-0.qcow2", "4M")
        self.assertEqual(qemu_img_info(file)["virtual-size"], 4 * MiB)
        self.d.pvesm("resize", "st:100/vm-100-disk-0.qcow2", "+1M")
        self.assertEqual(qemu_img_info(file)["virtual-size"], 5 * MiB)
        self.cli_refused(self.d.pvesm("resize", "st:100/vm-100-disk-0.qcow2", "1M", check=False))
        self.assertEqual(qemu_img_info(file)["virtual-size"], 5 * MiB)
        qemu_write(file, 0x5A, 0, 65536, "qcow2")
        self.d.add_dir("tt")
        self.d.pvesm("copy", "st:100/vm-100-disk-0.qcow2", "tt")
        copied = self.d.volids("tt")
        self.assertEqual(len(copied), 1)
        self.assertTrue(qemu_reads(self.d.path(copied[0]), 0x5A, 0, 65536, copied[0].rsplit(".", 1)[1]))
        self.d.pvesm("rename", "st:100/vm-100-disk-0.qcow2", "--vmid", "300")
        self.assertEqual(self.d.volids("st"), ["st:300/vm-300-disk-0.qcow2"])

    def test_snapshot_verbs(self):
        vol = "st:100/vm-100-disk-0.qcow2"
        self.d.pvesm("alloc", "st", "100", "vm-100-disk-0.qcow2", "1M")
        self.d.pvesm("snapshot", vol, "before")
        self.assertIn("before", self.d.pvesm("snapshots", vol).out)
        self.d.pvesm("rollback", vol, "before")
        self.cli_refused(self.d.pvesm("rollback", vol, "nosuch", check=False), None, "nosuch")
        self.d.pvesm("delsnapshot", vol, "before")
        self.assertNotIn("before", self.d.pvesm("snapshots", vol).out)

    def test_repair_without_a_code_repairs_all_that_can_be(self):
        self.d.alloc("st", 100, "vm-100-x.raw", "4")
        left = f"{self.path}/images/100/.storaged-{self.d.node}~99999999-1-1-vm-100-y.raw"
        open(left, "wb").close()
        self.assertIn("STALE_TEMPORARY", self.d.pvesm("repair", "st", "--dry-run").out)
        self.assertTrue(os.path.exists(left))
        self.assertIn("STALE_TEMPORARY", self.d.pvesm("repair", "st").out)
        self.assertFalse(os.path.exists(left))
        self.assertNotIn("STALE_TEMPORARY", self.d.pvesm("repair", "st").out)

    def test_notes_and_protection(self):
        name = "vzdump-qemu-100-2026_01_01-10_00_00.vma"
        os.makedirs(f"{self.path}/dump", exist_ok=True)
        open(f"{self.path}/dump/{name}", "wb").close()
        self.d.pvesm("notes", f"st:backup/{name}", "before the upgrade")
        self.assertEqual(self.d.pvesm("notes", f"st:backup/{name}").out.strip(), "before the upgrade")
        with open(f"{self.path}/dump/{name}.notes", encoding="utf-8") as f:
            self.assertEqual(f.read().strip(), "before the upgrade")
        self.d.pvesm("protect", f"st:backup/{name}", "1")
        self.assertTrue(os.path.exists(f"{self.path}/dump/{name}.protected"))
        self.assertEqual(self.d.content("st")[0]["protected"], 1)

    def test_upload(self):
        source = os.path.join(self.tmp, "my image.iso")
        with open(source, "wb") as f:
            f.write(os.urandom(200000))
        self.d.pvesm("upload", "st", source, "--content", "iso")
        self.assertEqual(self.d.volids("st"), ["st:iso/my_image.iso"])
        with open(source, "rb") as a, open(f"{self.path}/template/iso/my_image.iso", "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_tasks_are_listed(self):
        self.d.pvesm("alloc", "st", "100", "vm-100-disk-0.qcow2", "1M")
        self.d.pvesm("snapshot", "st:100/vm-100-disk-0.qcow2", "one")
        rows = self.d.pvesm("task", "list", "--output-format", "json").json
        self.assertTrue(rows)
        upid = rows[0]["upid"]
        self.assertIn("OK", self.d.pvesm("task", "status", upid).out)
        self.assertIn("TASK OK", self.d.pvesm("task", "log", upid).out)
        self.cli_refused(self.d.pvesm("task", "status", "UPID:nonsense", check=False))

    def test_root_option_and_no_daemon(self):
        program = os.path.join(self.d.build, "pvesm")
        env = {k: v for k, v in self.d.env.items() if k != "STORAGED_ROOT"}
        self.assertIn("local", run(program, "--root", self.root, "status", env=env).out)
        self.d.stop()
        r = self.cli_refused(self.d.pvesm("status", check=False))
        self.assertIn("storaged", r.err, "it says what does not run")
        self.assertEqual(self.d.pvesm("info", "st:100/vm-100-disk-0.raw", "--output-format", "json").json["vmid"], 100)


class Streams(DaemonTest):
    """Byte format of pvesm.md section 6: virtual size as 64-bit little-endian integer, then the image."""

    def setUp(self):
        super().setUp()
        self.path = self.d.add_dir("st")
        self.d.alloc("st", 100, "vm-100-disk-0.raw", "2M")
        self.file = f"{self.path}/images/100/vm-100-disk-0.raw"
        with open(self.file, "r+b") as f:
            f.seek(4096)
            f.write(b"hello" * 1000)

    def content(self):
        with open(self.file, "rb") as f:
            return f.read()

    def test_export_to_a_file_and_import(self):
        stream = os.path.join(self.tmp, "stream")
        self.d.pvesm("export", "st:100/vm-100-disk-0.raw", "raw+size", stream)
        with open(stream, "rb") as f:
            data = f.read()
        self.assertEqual(struct.unpack("<Q", data[:8])[0], 2 * MiB)
        self.assertEqual(data[8:], self.content())
        self.assertLess(os.stat(stream).st_blocks * 512, len(data), "zeros are holes in the file")
        r = self.d.pvesm("import", "st:200/vm-200-disk-0.raw", "raw+size", stream)
        self.assertEqual(r.lines[-1], "successfully imported 'st:200/vm-200-disk-0.raw'")
        with open(f"{self.path}/images/200/vm-200-disk-0.raw", "rb") as f:
            self.assertEqual(f.read(), data[8:])

    def test_export_that_ends_in_zeros_and_one_behind_other_bytes(self):
        vol = self.d.alloc("st", 102, "vm-102-disk-0.raw", "1M")
        stream = os.path.join(self.tmp, "zeros")
        self.d.pvesm("export", vol, "raw+size", stream)
        self.assertEqual(os.path.getsize(stream), MiB + 8)
        program = os.path.join(self.d.build, "pvesm")
        run("bash", "-c", f"(echo before; '{program}' export {vol} raw+size -; echo after) >'{stream}'", env=self.d.env)
        with open(stream, "rb") as f:
            self.assertEqual(f.read(), b"before\n" + struct.pack("<Q", MiB) + bytes(MiB) + b"after\n")

    def test_through_a_pipe(self):
        program = os.path.join(self.d.build, "pvesm")
        r = run("bash", "-o", "pipefail", "-c", f"'{program}' export st:100/vm-100-disk-0.raw raw+size - | "
                f"'{program}' import st:300/vm-300-disk-0.raw raw+size -", env=self.d.env)
        self.assertIn("successfully imported 'st:300/vm-300-disk-0.raw'", r.out)
        with open(f"{self.path}/images/300/vm-300-disk-0.raw", "rb") as f:
            self.assertEqual(f.read(), self.content())

    def test_qcow2_with_snapshots(self):
        vol = self.d.alloc("st", 101, "vm-101-disk-0.qcow2", "1M")
        file = f"{self.path}/images/101/vm-101-disk-0.qcow2"
        qemu_write(file, 0x11, 0, 65536, "qcow2")
        self.d.pvesm("snapshot", vol, "first")
        qemu_write(file, 0x22, 0, 65536, "qcow2")
        stream = os.path.join(self.tmp, "q")
        self.d.pvesm("export", vol, "qcow2+size", stream, "--with-snapshots", "1")
        self.d.pvesm("import", "st:201/vm-201-disk-0.qcow2", "qcow2+size", stream, "--with-snapshots", "1")
        self.assertIn("first", self.d.pvesm("snapshots", "st:201/vm-201-disk-0.qcow2").out)
        copy = f"{self.path}/images/201/vm-201-disk-0.qcow2"
        self.assertTrue(qemu_reads(copy, 0x22, 0, 65536, "qcow2"))
        self.d.pvesm("rollback", "st:201/vm-201-disk-0.qcow2", "first")
        self.assertTrue(qemu_reads(copy, 0x11, 0, 65536, "qcow2"))

    def test_taken_name(self):
        stream = os.path.join(self.tmp, "stream")
        self.d.pvesm("export", "st:100/vm-100-disk-0.raw", "raw+size", stream)
        before = self.state()
        self.cli_refused(self.d.pvesm("import", "st:100/vm-100-disk-0.raw", "raw+size", stream, check=False), None,
                         "vm-100-disk-0.raw")
        self.assertEqual(self.state(), before)
        r = self.d.pvesm("import", "st:100/vm-100-disk-0.raw", "raw+size", stream, "--allow-rename", "1")
        self.assertEqual(r.lines[-1], "successfully imported 'st:100/vm-100-disk-1.raw'")

    def test_broken_streams_leave_nothing(self):
        cases = {"empty": b"", "no-image": struct.pack("<Q", MiB), "short": struct.pack("<Q", MiB) + b"x" * 1000,
                 "huge": struct.pack("<Q", 1 << 63) + b"x" * 4096, "header-cut": b"\0\0\0", "zero": struct.pack("<Q", 0)}
        before = self.state()
        for name, data in cases.items():
            with self.subTest(name):
                stream = os.path.join(self.tmp, name)
                with open(stream, "wb") as f:
                    f.write(data)
                self.cli_refused(self.d.pvesm("import", "st:400/vm-400-disk-0.raw", "raw+size", stream, check=False))
                self.assertEqual(self.d.volids("st", vmid=400), [])
        after = {k: v for k, v in self.state().items() if not k.endswith("images/400")}
        self.assertEqual(after, before)

    def test_format_refusals(self):
        self.cli_refused(self.d.pvesm("export", "st:100/vm-100-disk-0.raw", "zfs", "-", check=False))
        self.cli_refused(self.d.pvesm("export", "st:100/vm-100-disk-0.raw", "nonsense", "-", check=False), 2)
        self.cli_refused(self.d.pvesm("export", "st:100/nosuch.raw", "raw+size", "-", check=False))


class Info(DaemonTest):
    """What a volume id means, for every naming scheme of the reference, plugin or not."""

    def before_start(self):
        self.write_config("""dir: dd
	path %s/stores/d

lvm: san
	vgname ibm

lvmthin: thin
	thinpool t
	vgname vg

rbd: ceph
	pool kube

zfspool: tank
	pool tank

iscsi: isc
	portal 127.0.0.1
	target iqn.x

iscsidirect: isd
	portal 127.0.0.1
	target iqn.x

pbs: pbs
	datastore a
	server 127.0.0.1
""" % self.root)

    CASES = {
        # volid: vtype, name, vmid, basename, basevmid, isBase, format
        "dd:100/vm-100-disk-0.raw": ("images", "vm-100-disk-0.raw", 100, None, None, 0, "raw"),
        "dd:100/base-100-disk-0.qcow2": ("images", "base-100-disk-0.qcow2", 100, None, None, 1, "qcow2"),
        "dd:100/base-100-disk-0.qcow2/200/vm-200-disk-0.qcow2":
            ("images", "vm-200-disk-0.qcow2", 200, "base-100-disk-0.qcow2", 100, 0, "qcow2"),
        "dd:iso/debian.iso": ("iso", "debian.iso", None, None, None, None, None),
        "dd:backup/vzdump-qemu-100-2026_01_01-10_00_00.vma.zst":
            ("backup", "vzdump-qemu-100-2026_01_01-10_00_00.vma.zst", 100, None, None, None, None),
        "san:vm-100-disk-0": ("images", "vm-100-disk-0", 100, None, None, 0, "raw"),
        "san:vm-100-disk-0.qcow2": ("images", "vm-100-disk-0.qcow2", 100, None, None, 0, "qcow2"),
        "thin:base-100-disk-0": ("images", "base-100-disk-0", 100, None, None, 1, "raw"),
        "ceph:vm-100-disk-0": ("images", "vm-100-disk-0", 100, None, None, 0, "raw"),
        "ceph:base-100-disk-0/vm-200-disk-0": ("images", "vm-200-disk-0", 200, "base-100-disk-0", 100, 0, "raw"),
        "tank:subvol-100-disk-0": ("images", "subvol-100-disk-0", 100, None, None, 0, "subvol"),
        "isc:0.0.1.scsi-3600": ("images", "0.0.1.scsi-3600", None, None, None, None, "raw"),
        "isd:lun1": ("images", "1", None, None, None, None, "raw"),
        "pbs:backup/vm/100/2026-01-01T10:00:00Z": ("backup", "vm/100/2026-01-01T10:00:00Z", 100, None, None, None, None),
    }

    def test_every_naming_scheme(self):
        for volid, (vtype, name, vmid, basename, basevmid, is_base, fmt) in self.CASES.items():
            with self.subTest(volid):
                info = self.d.pvesm("info", volid, "--output-format", "json").json
                self.assertEqual(set(info) & {"volid", "storage", "volname", "vtype", "name", "vmid", "basename", "basevmid",
                                              "isBase", "format"},
                                 {"volid", "storage", "volname", "vtype", "name", "vmid", "basename", "basevmid", "isBase",
                                  "format"})
                self.assertEqual((info["volid"], info["storage"], info["volname"]), (volid, *volid.split(":", 1)))
                self.assertEqual((info["vtype"], info["basename"], info["basevmid"]), (vtype, basename, basevmid))
                if vmid is not None:
                    self.assertEqual(info["vmid"], vmid)
                if fmt:
                    self.assertEqual(info["format"], fmt)
                if is_base is not None:
                    self.assertEqual(bool(info["isBase"]), bool(is_base))
                if "/" not in name and info["format"] and not volid.startswith("is"):
                    self.assertEqual(info["name"], name)

    def test_text(self):
        out = self.d.pvesm("info", "dd:100/vm-100-disk-0.raw").out
        for word in ("images", "vm-100-disk-0.raw", "100", "raw", f"{self.root}/stores/d/images/100/vm-100-disk-0.raw"):
            self.assertIn(word, out)

    def test_names_that_mean_nothing(self):
        for volid in ("dd:nonsense", "dd:100/snap-x.qcow2", "dd:100/x.exe", "san:base-100-disk-0", "isd:lun", "dd:iso/a/b.iso",
                      "dd:../etc/passwd", "dd:99/vm-99-disk-0.raw", "ceph:foo", "pbs:backup/x/1/y", "dd:", ":x", "novolid",
                      "dd:100/../200/vm-200-disk-0.raw"):
            with self.subTest(volid):
                self.cli_refused(self.d.pvesm("info", volid, check=False), 2)


if __name__ == "__main__":
    main()
