#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's I/O oracle (tests/lab/oracle.c) finds each kind of damage, made on a plain file; no lab is needed."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import REPO, main, needs_program, run

BLOCK = 4096
BLOCKS = 16
FINDS = ("errors", "lost", "torn", "stale", "corrupt", "misplaced")


@needs_program("gcc")
class Oracle(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="storaged-oracle-")
        self.addCleanup(self.folder.cleanup)
        self.program = os.path.join(self.folder.name, "oracle")
        run("gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2", "-o", self.program, os.path.join(REPO, "tests/lab/oracle.c"))
        self.device, self.log = (os.path.join(self.folder.name, n) for n in ("device", "log"))
        with open(self.device, "wb") as f:
            f.truncate(BLOCK * BLOCKS)

    def argv(self, role, *more):
        return [self.program, role, self.device, "--log", self.log, "--blocks", str(BLOCKS), *more]

    def write(self, seconds=0.1, **kwargs):
        """Until a run has written each block twice; how many that are in a tenth of a second is the disk's to say."""
        while True:
            written = run(*self.argv("write", "--seconds", str(seconds)), **kwargs).json
            if written["writes"] >= 2 * BLOCKS or kwargs:
                return written
            seconds *= 4

    def block(self, number):
        with open(self.device, "rb") as f:
            f.seek(number * BLOCK)
            return f.read(BLOCK)

    def put(self, number, data):
        with open(self.device, "r+b") as f:
            f.seek(number * BLOCK)
            f.write(data)

    def two_versions(self, number):
        """(what an earlier write put there, what is there now)"""
        self.write()
        older = self.block(number)
        self.write()
        self.assertNotEqual(self.block(number), older)
        return older, self.block(number)

    def finds(self, **wanted):
        """The verifier finds exactly this, and says so with its exit status."""
        r = run(*self.argv("verify"), check=False)
        self.assertEqual({k: r.json[k] for k in FINDS}, {k: wanted.get(k, 0) for k in FINDS}, r)
        self.assertEqual(r.rc, 1 if wanted else 0, r)
        self.assertEqual(r.json["logged"], BLOCKS)
        return r

    def test_clean(self):
        self.assertGreater(self.write()["writes"], BLOCKS)
        r = self.finds()
        self.assertEqual(r.json["reads"], BLOCKS)
        self.assertEqual(r.err, "")

    def test_lost_an_older_version(self):
        older, _now = self.two_versions(5)
        self.put(5, older)
        self.assertIn("block 5 ", self.finds(lost=1).err)

    def test_lost_nothing_there(self):
        self.write()
        self.put(3, bytes(BLOCK))
        self.finds(lost=1)

    def test_torn(self):
        older, now = self.two_versions(7)
        self.put(7, older[:BLOCK // 2] + now[BLOCK // 2:])
        self.assertIn("torn", self.finds(torn=1).err)

    def test_torn_by_one_sector(self):
        older, now = self.two_versions(7)
        self.put(7, now[:BLOCK - 512] + older[BLOCK - 512:])
        self.finds(torn=1)

    def test_corrupt_one_bit_in_the_middle(self):
        self.write()
        data = bytearray(self.block(2))
        data[2000] ^= 1
        self.put(2, bytes(data))
        self.finds(corrupt=1)

    def test_corrupt_a_sector_of_another_write(self):
        older, now = self.two_versions(4)
        self.put(4, now[:1024] + older[1024:1536] + now[1536:])
        self.finds(corrupt=1)

    def test_corrupt_strange_data(self):
        self.write()
        self.put(0, b"file system" + bytes(BLOCK - 11))
        self.finds(corrupt=1)

    def test_misplaced(self):
        self.write()
        self.put(6, self.block(9))
        self.finds(misplaced=1)

    def test_each_is_counted(self):
        older, now = self.two_versions(1)
        self.put(1, older)
        self.put(2, bytes(BLOCK))
        self.put(8, self.block(9))
        self.finds(lost=2, misplaced=1)

    def test_stale(self):
        """A read that gave an old version, and the next gives the right one: no loss, but somebody lied."""
        older, now = self.two_versions(5)
        self.put(5, older)
        p = subprocess.Popen(self.argv("verify", "--seconds", "30"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("block 5 ", p.stderr.readline())
            self.put(5, now)
            p.terminate()
            out, _err = p.communicate(timeout=20)
        finally:
            p.kill()
            p.wait()
        self.assertEqual({k: json.loads(out)[k] for k in FINDS}, dict.fromkeys(FINDS, 0) | {"stale": 1})
        self.assertEqual(p.returncode, 1)

    def test_a_later_write_that_nobody_acknowledged_is_no_loss(self):
        self.write()
        with open(self.log, "rb") as f:
            before = f.read()
        self.write()
        with open(self.log, "wb") as f:
            f.write(before)
        self.finds()

    def test_another_writer_goes_on(self):
        self.write()
        run(*self.argv("write", "--seconds", "0.1", "--writer", "2"))
        self.finds()

    def test_the_verifier_does_not_write(self):
        self.write()
        before = [self.block(i) for i in range(BLOCKS)]
        self.finds()
        self.assertEqual([self.block(i) for i in range(BLOCKS)], before)

    def test_device_too_small_is_an_error(self):
        self.write()
        os.truncate(self.device, BLOCK * 4)
        r = run(*self.argv("verify"), check=False)
        self.assertEqual((r.rc, r.json["errors"]), (1, BLOCKS - 4), r)

    def test_usage(self):
        for words in ((), ("look", "x"), ("write",), ("verify", self.device), ("write", self.device, "--log", self.log, "--blocks", "0")):
            self.assertEqual(run(self.program, *words, check=False).rc, 2, words)


if __name__ == "__main__":
    main()
