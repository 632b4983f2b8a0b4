#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ceph's storages on nodes with real kernels: images as block devices (krbd), one node at a time; a file system mounted by the
kernel."""
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
from harness import main, wait_until
from labcase import LabCase, only_soak
from labkit import ceph


FAULTS = ["cephfs.alloc.created", "cephfs.alloc.linked", "cephfs.resize.before", "cephfs.free.before", "cephfs.free.unlinked"]


class Krbd(LabCase):
    KIND = "rk"
    UP = ("--nodes", "1", "--luns", "0", "--lock", "none", "--ceph", "--mds", "1", "--storaged")

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

    def test_a_file_system_mounted_by_the_kernel(self):
        if self.on(1, "modprobe ceph")[0] != 0:
            self.skipTest("the nodes' kernel has no module ceph")
        with open(f"{self.lab.share}/ceph/keyring", encoding="utf-8") as f:
            key = f.read().split("key = ")[1].split()[0]
        self.must(1, f"echo {key} > /tmp/secret")
        self.must(1, "pvesm add cephfs files --monhost 10.77.1.250 --keyring /tmp/secret --content iso,backup")
        mount = self.must(1, "grep ' ceph ' /proc/mounts")
        self.tell("mounted", mount)
        self.assertIn("/mnt/pve/files", mount)
        self.assertNotIn(key, mount)
        self.must(1, "head -c 100000 /dev/urandom > /mnt/pve/files/template/iso/a.iso")
        self.assertRegex(self.must(1, "pvesm list files"), r"files:iso/a.iso +iso +iso +100000")
        ceph.mds_stop(self.lab, "a")
        try:
            wait_until(lambda: "unresponsive" in self.must(1, "pvesm status"), "files is unresponsive", 60)
            self.must(1, "timeout 5 pvesm status")
        finally:
            ceph.mds_resume(self.lab, "a")
        wait_until(lambda: self.on(1, "pvesm list files")[0] == 0, "it is back", 60)
        self.must(1, "pvesm free files:iso/a.iso")
        self.assertEqual(self.must(1, "ls /mnt/pve/files/template/iso"), "")
        self.must(1, "pvesm remove files")
        wait_until(lambda: self.on(1, "grep ' ceph ' /proc/mounts")[0] != 0, "unmounted", 30)

    @only_soak("the suite takes a minute on a node")
    def test_contract_over_the_kernels_mount(self):
        """The suite of every plugin, unchanged, on the file system mounted by the kernel."""
        if self.on(1, "modprobe ceph")[0] != 0:
            self.skipTest("the nodes' kernel has no module ceph")
        share = self.lab.share
        with open(f"{share}/contract.json", "w", encoding="utf-8") as f:
            json.dump({"config": {"path": "@DIR@/mnt", "monhost": "10.77.1.250", "keyring": "/share/ceph/keyring",
                                  "content": "images,iso,vztmpl,backup,snippets,import"}, "is_lasting": True, "faults": FAULTS}, f)
        library = [line.split(" => ")[1] for line in harness.run("ldconfig", "-p").out.splitlines() if "libcmocka.so.0 " in line][0]
        os.makedirs(f"{share}/lib", exist_ok=True)
        shutil.copy(os.path.realpath(library), f"{share}/lib/libcmocka.so.0")
        status, told = self.on(1, "mount -t tmpfs tmpfs /mnt && cd /mnt && LD_LIBRARY_PATH=/share/lib STORAGED_WORKER=/build/storaged-worker TMPDIR=/mnt "
                               "CONTRACT=/share/contract.json PLUGIN=/build/plugins/cephfs.so /build/tests/contract/test-contract 2>&1", timeout=500)
        self.assertEqual(status, 0, "\n".join(line for line in told.splitlines() if "OK ]" not in line and "RUN" not in line))
        passed = re.search(r"\[  PASSED  \] (\d+) test", told)
        self.assertGreater(int(passed[1]), 30, told)
        self.tell("passed", f"{passed[1]} tests of the contract over the kernel's mount")


if __name__ == "__main__":
    main()
