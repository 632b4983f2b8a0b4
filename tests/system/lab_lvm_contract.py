#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract suite on lvm, with volume chains and zeroing, and on lvmthin, and stories of both on one node: in a kernel that
has device-mapper (tests/lib/lvm-kernel)."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BUILD, REPO, main
from labcase import SCALE, machine, scaled

STORY = os.path.join(REPO, "tests", "lib", "lvm-kernel-story.py")
PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M)


@unittest.skipIf(machine.missing(), machine.missing())
class Contract(unittest.TestCase):
    def kernel(self, story="", suite=""):
        r = subprocess.run([os.path.join(REPO, "tests", "lib", "lvm-kernel"), BUILD], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace", timeout=540, check=False,
                           env=dict(os.environ, KERNEL_SUITE=suite, KERNEL_STORY=f"{STORY} {story}" if story else ""))
        if r.returncode == 77:
            self.skipTest(r.stdout.strip().splitlines()[-1])
        self.assertEqual(r.returncode, 0, r.stdout)
        for line in r.stdout.splitlines():
            if line.startswith("      "):
                print(line, flush=True)
        return r.stdout

    def contract(self, suite, on):
        passed = [int(n) for n in PASSED.findall(self.kernel(suite=suite))]
        self.assertEqual(len(passed), 1, suite)
        self.assertGreater(passed[0], 30, f"hardly anything was tested: {passed}")
        print(f"      {passed[0]} tests of the contract on {on}", flush=True)

    def test_contract_on_a_thin_pool(self):
        self.contract("lvmthin", "a thin pool")

    def test_contract_on_a_volume_group(self):
        self.contract("lvm", "a volume group")

    def test_stories_on_one_node(self):
        """Thin volumes, removal with zeroing, the host's LVM kept out of guests' disks and its hints not trusted, many volumes."""
        boots = ("guard hints", "thin", "zeroing", "bench")  # each has its deadline
        for stories in boots[:None if SCALE >= 1 else 1]:
            told = self.kernel(f"{stories} --volumes {scaled(1000)}{' --all' if SCALE >= 1 else ''}")
            for story in stories.split():
                self.assertIn(f"      {story}: ok\n", told)


if __name__ == "__main__":
    main()
