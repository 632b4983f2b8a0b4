#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rbd storage on a real Ceph cluster."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import CephTest
from harness import GiB, MiB, main


class Volumes(CephTest):
    def test_life_of_a_volume(self):
        self.add_rbd()
        volid = self.d.alloc("kube", vmid=100, size="4096")
        self.assertEqual(volid, "kube:vm-100-disk-0")
        self.assertEqual(self.d.alloc("kube", vmid=100, size="4096"), "kube:vm-100-disk-1")
        rows = {r["volid"]: r for r in self.d.content("kube")}
        self.assertEqual(sorted(rows), ["kube:vm-100-disk-0", "kube:vm-100-disk-1"])
        self.assertEqual(rows[volid]["size"], 4 * MiB)
        self.assertEqual(rows[volid]["format"], "raw")
        status = self.d.settled("kube", "active")
        self.assertGreater(status["total"], GiB)
        self.d.done(self.d.delete(self.d.at("kube", f"/content/{volid}")))
        self.assertEqual(self.d.volids("kube"), ["kube:vm-100-disk-1"])


if __name__ == "__main__":
    main()
