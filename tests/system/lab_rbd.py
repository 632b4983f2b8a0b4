#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An rbd storage on nodes with real kernels: images as block devices (krbd), one node at a time."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main
from labcase import LabCase
from labkit import ceph


class Krbd(LabCase):
    KIND = "rk"
    UP = ("--nodes", "1", "--luns", "0", "--lock", "none", "--ceph", "--storaged")

    def test_an_image_is_a_block_device_while_it_is_active(self):
        if self.on(1, "modprobe rbd")[0] != 0:
            self.skipTest("the nodes' kernel has no module rbd")
        ceph.make_pools(self.lab, ["kube"])
        self.must(1, "pvesm add rbd kube --pool kube --monhost 10.77.1.250 --keyring /share/ceph/keyring --krbd 1")
        self.must(1, "pvesm alloc kube 100 '' 64M")
        path = self.must(1, "pvesm path kube:vm-100-disk-0")
        self.assertRegex(path, "^/dev/rbd-pve/[0-9a-f-]{36}/kube/vm-100-disk-0$")
        self.assertEqual(self.on(1, f"test -e {path}")[0], 1, "not before it is active")
        self.must(1, "pvesm activate kube:vm-100-disk-0")
        self.must(1, "pvesm activate kube:vm-100-disk-0")
        self.tell("active", self.must(1, f"readlink {path}; ls /sys/bus/rbd/devices"))
        self.must(1, f"printf 'written through the kernel' | dd of={path} bs=512 seek=8 conv=sync,fsync 2> /dev/null")
        self.assertEqual(ceph.client(self.lab, "image-read", "kube", "vm-100-disk-0", "4096", "26").stdout, "written through the kernel")
        self.assertIn("10.77.1.1", self.must(1, "pvesm holders kube:vm-100-disk-0"))
        status, words = self.on(1, f"exec 3< {path}; pvesm deactivate kube:vm-100-disk-0")
        self.assertNotEqual(status, 0)
        self.assertIn("open", words)
        self.must(1, "pvesm deactivate kube:vm-100-disk-0")
        self.assertEqual(self.must(1, "ls /sys/bus/rbd/devices"), "")
        self.assertEqual(self.on(1, f"test -e {path}")[0], 1)
        self.must(1, "pvesm free kube:vm-100-disk-0")


if __name__ == "__main__":
    main()
