#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What pvesm prints, column by column: scripts out there cut these tables by position."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, MiB, main, needs_root, tmpfs, wait_until

STATUS_ROW = "{:<%d} {:>10} {:>10} {:>15} {:>15} {:>15} {:>8}"
STATUS_WORDS = ("Name", "Type", "Status", "Total (KiB)", "Used (KiB)", "Available (KiB)", "%")


class Tables(DaemonTest):
    def expect_status(self, r, ids):
        """Checks header and widths; gives the rows as lists of words."""
        row = STATUS_ROW % (max(len(i) for i in ids) + 1)
        self.assertEqual(r.lines[0], row.format(*STATUS_WORDS))
        words = [line.split() for line in r.lines[1:]]
        self.assertEqual([w[0] for w in words], ids, "sorted by id")
        for line, w in zip(r.lines[1:], words):
            self.assertEqual(line, row.format(*w))
        return {w[0]: w for w in words}

    def test_status_columns_and_order(self):
        self.d.add_dir("zebra")
        self.d.add_dir("a-much-longer-name", content="iso")
        self.d.settled("zebra", "active")
        rows = self.expect_status(self.d.pvesm("status"), ["a-much-longer-name", "local", "zebra"])
        self.assertEqual(rows["zebra"][1:3], ["dir", "active"])
        total, used, avail = (int(n) for n in rows["zebra"][3:6])
        stat = os.statvfs(self.root)
        self.assertEqual(total, stat.f_blocks * stat.f_frsize // 1024)
        self.assertLessEqual(used + avail, total)
        self.assertRegex(rows["zebra"][6], r"^\d+\.\d\d%$")

    def test_status_of_a_single_storage(self):
        self.d.add_dir("one")
        self.d.add_dir("two-is-longer")
        self.d.settled("one", "active")
        rows = self.expect_status(self.d.pvesm("status", "--storage", "one"), ["one"])
        self.assertEqual(rows["one"][2], "active")

    def test_status_disabled_and_other_nodes(self):
        self.d.add_dir("off", disable=1)
        self.d.add_dir("far", nodes="n7,n8")
        self.d.add_dir("here", nodes=f"n9,{self.d.node}")
        self.d.settled("here", "active")
        rows = self.expect_status(self.d.pvesm("status"), ["far", "here", "local", "off"])
        self.assertEqual(rows["off"][2:], ["disabled", "0", "0", "0", "N/A"])
        self.assertEqual(rows["far"][2:], ["disabled", "0", "0", "0", "N/A"])
        self.assertEqual(rows["here"][2], "active")

    def test_status_inactive_is_zeros(self):
        self.d.add_dir("gone", path=os.path.join(self.tmp, "nowhere"), disable=1, is_mountpoint=1)
        self.d.put("/storage/gone", disable=0)
        r = self.d.pvesm("status")
        rows = self.expect_status(r, ["gone", "local"])
        self.assertEqual(rows["gone"][2:], ["inactive", "0", "0", "0", "0.00%"])

    def test_status_filters(self):
        self.d.add_dir("images", content="images")
        self.d.add_dir("isos", content="iso")
        self.d.add_dir("off", content="iso", disable=1)
        names = lambda *args: [line.split()[0] for line in self.d.pvesm("status", *args).lines[1:]]
        self.assertEqual(names("--content", "iso"), ["isos", "local", "off"])
        self.assertEqual(names("--content", "iso", "--enabled", "1"), ["isos", "local"])
        self.assertEqual(names("--content", "import"), [])

    @needs_root()
    def test_status_percentage(self):
        with tmpfs(os.path.join(self.tmp, "full"), "10m") as path:
            self.d.add_dir("full", path=path, create_subdirs=0)
            with open(os.path.join(path, "ballast"), "wb") as f:
                f.write(b"x" * (4 * MiB))
            row = lambda: self.d.pvesm("status", "--storage", "full").lines[1].split()[3:]
            wait_until(lambda: row() == ["10240", "4096", "6144", "40.00%"], f"the figures follow, {row()}", 5)
            self.d.delete("/storage/full")

    def test_list_columns(self):
        path = self.d.add_dir("st", content="images,iso,vztmpl,backup,snippets,import")
        for name, size in {"template/iso/debian.iso": 5000, "template/cache/alpine.tar.zst": 4000,
                           "dump/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst": 123456, "snippets/hello.yaml": 1000,
                           "import/a.ova": 2000}.items():
            os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
            with open(os.path.join(path, name), "wb") as f:
                f.truncate(size)
        first = self.d.alloc("st", 100, "", "1M")
        second = self.d.alloc("st", 200, "vm-200-disk-0.qcow2", "3M")
        r = self.d.pvesm("list", "st")
        width = max(len(line.split()[0]) for line in r.lines)
        rows = [
            ("st:100/vm-100-disk-0.raw", "raw", "images", str(MiB), "100"),
            ("st:200/vm-200-disk-0.qcow2", "qcow2", "images", str(3 * MiB), "200"),
            ("st:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst", "vma.zst", "backup", "123456", "100"),
            ("st:iso/debian.iso", "iso", "iso", "5000", ""),
            ("st:import/a.ova", "ova", "import", "2000", ""),
            ("st:snippets/hello.yaml", "snippet", "snippets", "1000", ""),
            ("st:vztmpl/alpine.tar.zst", "tzst", "vztmpl", "4000", ""),
        ]
        self.assertEqual(first, rows[0][0])
        table = "{:<%d} {:<7} {:<9} {:>7} {}" % max(len(row[0]) for row in rows)
        self.assertEqual(r.lines[0], table.format("Volid", "Format", "Type", "Size", "VMID"))
        self.assertEqual([line.rstrip() for line in r.lines[1:]], [table.format(*row).rstrip() for row in rows])
        self.assertEqual(width, max(len(row[0]) for row in rows))

    def test_list_empty_has_a_header(self):
        self.d.add_dir("st")
        self.assertEqual(self.d.pvesm("list", "st").out, "Volid Format  Type      Size VMID\n")

    def test_list_by_content_and_vmid(self):
        self.d.add_dir("st", content="images,iso")
        self.d.alloc("st", 100)
        self.d.alloc("st", 101)
        volids = lambda *args: [line.split()[0] for line in self.d.pvesm("list", "st", *args).lines[1:]]
        self.assertEqual(volids("--vmid", "101"), ["st:101/vm-101-disk-0.raw"])
        self.assertEqual(volids("--content", "iso"), [])
        self.assertEqual(len(volids("--content", "images")), 2)

    def test_list_order_is_without_case(self):
        self.d.add_dir("st")
        for name in ("vm-100-B.raw", "vm-100-a.raw", "vm-100-C.raw"):
            self.d.alloc("st", 100, name)
        names = [line.split()[0].split("/")[1] for line in self.d.pvesm("list", "st").lines[1:]]
        self.assertEqual(names, ["vm-100-a.raw", "vm-100-B.raw", "vm-100-C.raw"])

    def test_list_unreadable_header_is_invalid(self):
        path = self.d.add_dir("st")
        os.makedirs(os.path.join(path, "images/100"))
        with open(os.path.join(path, "images/100/vm-100-disk-0.qcow2"), "wb") as f:
            f.write(b"this is no qcow2 header" * 100)
        words = self.d.pvesm("list", "st").lines[1].split()
        self.assertEqual(words[:3], ["st:100/vm-100-disk-0.qcow2", "invalid", "images"])

    def test_prune_dry_run(self):
        path = self.d.add_dir("st", content="backup")
        os.makedirs(os.path.join(path, "dump"), exist_ok=True)
        stamps = ["2026_01_01-10_00_00", "2026_01_02-10_00_00", "2026_01_03-10_00_00"]
        names = [f"vzdump-qemu-100-{s}.vma.zst" for s in stamps] + [f"vzdump-lxc-99999-{stamps[0]}.tar.gz"]
        for name in names:
            with open(os.path.join(path, "dump", name), "wb") as f:
                f.write(b"backup")
        open(os.path.join(path, "dump", names[0] + ".protected"), "wb").close()
        r = self.d.pvesm("prune-backups", "st", "--dry-run", "1", "--keep-last", "1")
        self.assertTrue(r.lines[0].startswith("NOTE:") and r.lines[1].strip(), "two lines of notes")
        self.assertEqual(r.lines[2], "")
        rows = [(f"st:backup/{names[0]}", "qemu/100", "protected"), (f"st:backup/{names[1]}", "qemu/100", "remove"),
                (f"st:backup/{names[2]}", "qemu/100", "keep"), (f"st:backup/{names[3]}", "lxc/99999", "keep")]
        table = "{:<%d} {:>15} {:>10}" % (max(len(row[0]) for row in rows) + 1)
        self.assertEqual(r.lines[3], table.format("Backup", "Backup-ID", "Prune-Mark"))
        self.assertEqual(r.lines[4:], [table.format(*row) for row in rows])
        self.assertEqual(len(os.listdir(os.path.join(path, "dump"))), 5, "a dry run removes nothing")


if __name__ == "__main__":
    main()
