#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract suite on the nfs plugin over real kernel mounts, NFSv3 and NFSv4.2, in a node that is server and client
(tests/lib/nfs-kernel), where this machine's own kernel has no NFS client.
"""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BUILD, REPO, main
from labcase import machine

VERSION = re.compile(r"^== contract of nfs, vers=(\S+)\n(.*?)^mounts made: (\d+)$", re.M | re.S)
PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M)


@unittest.skipIf(machine.missing(), machine.missing())
class Contract(unittest.TestCase):
    def test_contract_over_kernel_mounts(self):
        r = subprocess.run([os.path.join(REPO, "tests", "lib", "nfs-kernel"), BUILD], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace", timeout=540, check=False)
        if r.returncode == 77:
            self.skipTest(r.stdout.strip().splitlines()[-1])
        self.assertEqual(r.returncode, 0, r.stdout)
        told = {version: (int(PASSED.search(text)[1]), int(mounts)) for version, text, mounts in VERSION.findall(r.stdout)}
        self.assertEqual(sorted(told), ["3", "4.2"], r.stdout)
        for version, (passed, mounts) in told.items():
            self.assertGreater(min(passed, mounts), 20, f"vers={version}: hardly anything was tested: {r.stdout}")
            print(f"      vers={version}: {passed} tests of the contract, {mounts} mounts made", flush=True)


if __name__ == "__main__":
    main()
