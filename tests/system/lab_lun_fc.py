#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LUNs of a Fibre Channel array, by storaged: real fc_hosts and remote ports, found by WWPN, grown, taken away.

One node speaks here (the machines are emulated and slow); what several nodes do together is lab_lun's.
"""
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LAB, LabCase
from labkit import fc

NODE = "n1"


def plain(port):
    """Its WWPN as the API writes it: digits only."""
    return fc.wwpn(port).replace(":", "")


class FibreChannelLuns(LabCase):
    KIND = "lf"

    @classmethod
    def bring_up(cls):
        why = fc.missing()
        if why:
            raise unittest.SkipTest(why)
        r = subprocess.run([LAB, "--name", cls.lab.name, "fc", "up"], capture_output=True, text=True, timeout=900, check=False)
        if r.returncode != 0:
            raise AssertionError(f"lab fc up: {r.stderr.strip()}")
        fc.machine(cls.lab, NODE).must("/share/node/storaged-up", timeout=180)
        return r.stdout

    def must(self, script, **kwargs):
        """An emulated machine on a busy host may take longer to start a process than storaged waits for a worker: again, then."""
        kwargs.setdefault("timeout", 180)
        answers = []

        def succeeds():
            answers[:] = fc.machine(self.lab, NODE).execute(script, **kwargs)
            return answers[0] == 0 or b"did not get ready" not in answers[2]
        wait_until(succeeds, f"a worker for: {script}", 180, 1)
        self.assertEqual(answers[0], 0, f"{script}: {answers[2].decode(errors='replace')}")
        return answers[1].decode(errors="replace").strip()

    def array(self, *words):
        r = self.command("fc", "lun", *map(str, words))
        self.assertEqual(r.returncode, 0, f"lab fc lun {words}: {r.stderr}")

    def row(self, number, *options):
        rows = json.loads(self.must(f"pvesm scan fc --transport fc --output-format json {' '.join(options)}"))["luns"]
        found = [r for r in rows if r["wwid"] == fc.wwid(number)]
        return found[0] if found else None

    def test_ports_and_paths_are_told(self):
        ports = json.loads(self.must("pvesm lun ports --output-format json"))
        hosts = {p["wwpn"]: p["state"] for p in ports if p["kind"] == "fc-host"}
        self.assertEqual(hosts, {plain(p): "Online" for p in fc.PORTS if p.startswith(NODE)})
        targets = {p["wwpn"] for p in ports if p["kind"] == "fc-remote-port" and "FCP Target" in p["roles"]}
        self.assertEqual(targets, {plain(p) for p in fc.PORTS if p.startswith(fc.ARRAY)})
        for number in fc.LUNS:
            wait_until(lambda n=number: (self.row(n) or {}).get("state") == "ok", f"LUN {number} with all its paths", 120, 1)
            lun = self.row(number)["nodes"][NODE]
            self.assertEqual((lun["vendor"], lun["product"], lun["n_paths"]), ("IBM", "2145", fc.PATHS))
            self.assertEqual({p["target"] for p in lun["paths"]}, targets)
            self.assertEqual({p["initiator"] for p in lun["paths"]}, set(hosts))
            self.assertTrue({p["alua"] for p in lun["paths"]} <= {"active/optimized", "active/non-optimized"}, lun["paths"])
        self.tell("now", f"{len(hosts)} ports, {len(targets)} remote ports, {len(fc.LUNS)} LUNs over {fc.PATHS} paths with ALUA")

    def test_a_lun_lives_and_leaves(self):
        """Found over one target by its WWPN, then everywhere; grown; taken away, and proved gone."""
        self.array("add", 8, 128)
        self.addCleanup(self.command, "fc", "lun", "remove", "8")
        target = fc.wwpn(next(p for p in fc.PORTS if p.startswith(fc.ARRAY)))
        said = self.must(f"pvesm lun scan --target {target} --lun 8")
        self.assertIn(fc.wwid(8), said)
        wait_until(lambda: self.row(8), "the new LUN to be listed", 120, 1)
        self.assertEqual(self.row(8)["nodes"][NODE]["n_paths"], 2, "over one port of the array only")
        self.must("pvesm lun scan")
        wait_until(lambda: self.row(8)["nodes"][NODE]["n_active"] == fc.PATHS, "all paths", 120, 1)
        self.assertEqual((self.row(8)["size"], self.row(8, "--fresh")["content"]), (128 << 20, "none"))
        self.tell("found", f"LUN 8 by {target}, then over {fc.PATHS} paths")
        self.array("resize", 8, 192)
        self.assertIn("192M", self.must(f"pvesm lun resize {fc.wwid(8)}"))
        self.assertEqual(self.must(f"blockdev --getsize64 {fc.device(8)}"), str(192 << 20))
        self.assertIn("take the LUN away on the array", self.must(f"pvesm lun remove {fc.wwid(8)}"))
        self.assertIsNone(self.row(8))
        self.array("remove", 8)
        self.assertIn("gone from all nodes", self.must(f"pvesm lun remove {fc.wwid(8)}"))
        self.assertNotIn(fc.wwid(8), self.must("multipathd show maps; ls /dev/disk/by-id"))
        self.tell("gone", "resized to 192 MB, removed, proved absent")


if __name__ == "__main__":
    main()
