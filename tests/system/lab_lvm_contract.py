#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract suite on the lvm plugin, with volume chains and zeroing, in a node that has device-mapper (tests/lib/lvm-kernel)."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BUILD, REPO, main
from labcase import machine

PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M)


@unittest.skipIf(machine.missing(), machine.missing())
class Contract(unittest.TestCase):
    def test_contract_on_a_volume_group(self):
        r = subprocess.run([os.path.join(REPO, "tests", "lib", "lvm-kernel"), BUILD], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace", timeout=540, check=False)
        if r.returncode == 77:
            self.skipTest(r.stdout.strip().splitlines()[-1])
        self.assertEqual(r.returncode, 0, r.stdout)
        passed = int(PASSED.search(r.stdout)[1])
        self.assertGreater(passed, 30, f"hardly anything was tested: {r.stdout}")
        print(f"      {passed} tests of the contract on a volume group", flush=True)


if __name__ == "__main__":
    main()
