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
        pool = self.add_rbd()
        identity = self.d.post("/nodes/n1/identity", storage="kube")  # what the nodes compare before they accept it
        known = self.python("print(cluster.get_fsid(), cluster.pool_lookup(sys.argv[1]), sep='/')", pool).stdout.strip()
        self.assertEqual((identity["kind"], identity["id"]), ("ceph-pool", known))
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

    def test_a_flattened_clone_needs_its_template_no_more(self):
        pool = self.add_rbd()
        base = self.d.alloc("kube", vmid=100, size="4096")
        self.python("rbd.Image(io(sys.argv[1]), 'vm-100-disk-0').write(b'of the template', 0)", pool)
        base = self.d.done(self.d.post(self.d.at("kube", "/template"), volume=base))
        clone = self.d.done(self.d.post(self.d.at("kube", "/clone"), volume=base, vmid=200))
        self.assertEqual(clone, "kube:base-100-disk-0/vm-200-disk-0")
        self.fails(self.d.request("DELETE", self.d.at("kube", "/content/" + base)))
        self.d.pvesm("rbd", "flatten", "kube", "base-100-disk-0/vm-200-disk-0")
        self.d.pvesm("rbd", "flatten", "kube", "vm-200-disk-0")  # again: it is as wanted
        self.assertIn("kube:vm-200-disk-0", self.d.volids("kube"))
        self.d.done(self.d.delete(self.d.at("kube", "/content/" + base)))
        out = self.python("print(rbd.Image(io(sys.argv[1]), 'vm-200-disk-0', read_only=True).read(0, 15).decode())", pool).stdout
        self.assertEqual(out.strip(), "of the template")
        self.cli_refused(self.d.pvesm("rbd", "flatten", "kube", "vm-999-disk-0", check=False), None, "vm-999-disk-0")


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
