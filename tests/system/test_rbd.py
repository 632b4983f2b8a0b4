#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rbd storage on a real Ceph cluster."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import CephTest
from harness import BUILD, GiB, MiB, main, wait_until

# Where a worker is killed by the contract suite: between two steps that change something.
FAULTS = ["rbd.alloc.before", "rbd.alloc.created", "rbd.resize.before", "rbd.free.marked", "rbd.free.in-trash"]


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
        wait_until(lambda: self.d.settled("kube", "active")["total"] > GiB, "the figures of the new pool")
        self.d.done(self.d.delete(self.d.at("kube", f"/content/{volid}")))
        self.assertEqual(self.d.volids("kube"), ["kube:vm-100-disk-1"])


class Contract(CephTest):
    """The suite of every plugin, on a pool."""
    wants_daemon = False

    def run_suite(self, **config):
        keyring = os.path.join(self.tmp, "keyring")
        with open(keyring, "w", encoding="utf-8") as f:
            f.write(self.admin_keyring())
        contract = os.path.join(self.tmp, "contract.json")
        with open(contract, "w", encoding="utf-8") as f:
            json.dump({"config": dict(config, pool="rbd", monhost="127.0.0.1", keyring=keyring), "is_lasting": True,
                       "faults": FAULTS}, f)
        suite = os.path.join(BUILD, "tests/contract/test-contract")
        if not os.path.exists(suite):
            self.skipTest("the contract suite is not built: make contract-binaries")
        r = self.inside("env", f"STORAGED_WORKER={BUILD}/storaged-worker", f"CONTRACT={contract}", f"PLUGIN={BUILD}/plugins/rbd.so",
                        suite, check=False, timeout=250)
        self.assertEqual(r.rc, 0, "\n".join(line for line in (r.out + r.err).splitlines() if "OK ]" not in line and "RUN" not in line))
        self.assertIn("PASSED", r.out + r.err)

    def test_contract(self):
        self.run_suite()


if __name__ == "__main__":
    main()
