#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LUNs of a Fibre Channel array, by storaged: real fc_hosts and remote ports, found by WWPN, grown, taken away. On the
same node a SAS disk behind two adapters, and an NVMe namespace over two controllers: the same words for all.

One node speaks here (the machines are emulated and slow); what several nodes do together is lab_lun's.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from fccase import FcCase
from harness import main, wait_until
from labcase import only_soak
from labkit import fc, sas

NODE = "n1"
NVME_WWID = "uuid.01234567-89ab-4def-8123-456789abcdef"  # tests/lab/node/nvme-array


def plain(port):
    """Its WWPN as the API writes it: digits only."""
    return fc.wwpn(port).replace(":", "")


class FibreChannelLuns(FcCase):
    KIND = "lf"

    @classmethod
    def bring_up(cls):
        told = super().bring_up()
        fc.machine(cls.lab, NODE).must("/share/node/storaged-up", timeout=180)
        return told

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

    def lun(self, wwid):
        """The LUN as this node sees it, or nothing."""
        rows = json.loads(self.must("pvesm lun list --output-format json"))["luns"]
        return next((r["nodes"][NODE] for r in rows if r["wwid"] == wwid), None)

    def wait_lun(self, wwid, what, is_so):
        """The LUN once that is so."""
        found = []

        def look():
            found[:] = [self.lun(wwid)]
            return is_so(found[0])
        try:
            wait_until(look, f"LUN {wwid}: {what}", 120, 0.2)
        except AssertionError as e:
            raise AssertionError(f"{e}; {json.dumps(found)}") from None
        return found[0]

    def wait_active(self, wwid, active, paths):
        return self.wait_lun(wwid, f"{active} of {paths} paths", lambda l: l and (l["n_active"], l["n_paths"]) == (active, paths))

    def refused(self, script, *words):
        status, out, err = fc.machine(self.lab, NODE).execute(script, timeout=120)
        told = (out + err).decode(errors="replace")
        self.assertNotEqual(status, 0, f"{script}: {told}")
        for word in words:
            self.assertIn(word, told, script)

    def is_unplugged(self):
        """multipathd removes a map without paths, but not while somebody looks at it (udev after each change), and does not try again."""
        lun = self.lun(sas.WWID)
        if lun and lun["n_paths"] == 0:
            fc.machine(self.lab, NODE).execute(f"multipath -f {sas.WWID}", timeout=120)
        return lun is None

    def plug(self, megabytes):
        """The SAS disk, and what there is of it once it has its map; taken out at the end."""
        sas.plug(self.lab, NODE, megabytes)
        self.addCleanup(wait_until, self.is_unplugged, "the SAS disk to be gone", 120, 0.5)
        self.addCleanup(sas.unplug, self.lab, NODE)
        lun = self.wait_lun(sas.WWID, "its map", lambda l: l and l["state"] == "ok" and l["n_active"] == 2)
        self.tell("found", f"{lun['device']}: {', '.join(p['hctl'] for p in lun['paths'])}")
        return lun

    def test_a_sas_disk_behind_two_adapters(self):
        """multipathd over real SAS transport: found when it is plugged in; a path goes, comes, and goes for good."""
        lun = self.plug(256)
        self.assertEqual((lun["transport"], lun["device"], lun["size"], lun["product"], lun["serial"]),
                         ("sas", sas.DEVICE, 256 << 20, "SAS-DISK", "SAS1"))
        self.assertEqual([(p["transport"], p["target"], bool(p["initiator"])) for p in lun["paths"]], [("sas", f"{sas.WWN:x}", True)] * 2)
        self.assertEqual(len({p["hctl"].split(":")[0] for p in lun["paths"]}), 2, "two adapters")
        dev = lun["paths"][0]["dev"]
        self.must(f"echo offline > /sys/block/{dev}/device/state")
        lun = self.wait_active(sas.WWID, 1, 2)
        self.assertEqual([(p["state"], p["usable"]) for p in lun["paths"] if p["dev"] == dev], [("offline", 0)])
        self.must(f"echo running > /sys/block/{dev}/device/state")
        self.wait_active(sas.WWID, 2, 2)
        sas.pull(self.lab, NODE, 1)
        self.wait_active(sas.WWID, 1, 1)
        self.tell("done", "a path off and on, an adapter pulled")

    @only_soak("LVM takes its time on an emulated machine")
    def test_a_sas_disk_grows_and_carries_volumes(self):
        dev = self.plug(256)["paths"][0]["dev"]
        sas.resize(self.lab, NODE, 320)
        self.must(f"echo offline > /sys/block/{dev}/device/state")
        self.wait_active(sas.WWID, 1, 2)
        self.refused(f"pvesm lun resize {sas.WWID}", "1 of 2 paths are usable", "all paths must be up")
        self.must(f"echo running > /sys/block/{dev}/device/state")
        self.wait_active(sas.WWID, 2, 2)
        self.assertIn("320M, 256M before", self.must(f"pvesm lun resize {sas.WWID}"))
        self.must(f"pvesm lun create-vg {sas.WWID} --vgname sasvg --locking none")
        self.must("pvesm add lvm sas --vgname sasvg --content images")
        self.must("pvesm alloc sas 100 vm-100-disk-0 32M")
        self.assertIn("sas:vm-100-disk-0", self.must("pvesm list sas"))
        sas.pull(self.lab, NODE, 1)
        lun = self.wait_active(sas.WWID, 1, 1)
        self.assertEqual(lun["vg"], "sasvg")
        self.must("pvesm free sas:vm-100-disk-0 && pvesm remove sas && pvesm lun destroy-vg sasvg")
        self.tell("done", "grown to 320 MB, a volume on it, an adapter pulled below it")

    def start_nvme(self, megabytes):
        """The NVMe array on this node; the LUN once both controllers have it."""
        self.must(f"/share/node/nvme-array start {megabytes}")
        self.addCleanup(self.must, "/share/node/nvme-array stop")
        return self.wait_active(NVME_WWID, 2, 2)

    def test_an_nvme_namespace_over_two_controllers(self):
        """Native multipath over NVMe/TCP: one LUN, its controllers are paths, with the ANA states that the array tells."""
        lun = self.start_nvme(128)
        self.assertEqual((lun["transport"], lun["state"], lun["size"]), ("nvme", "ok", 128 << 20))
        self.assertEqual({p["portal"]: p["alua"] for p in lun["paths"]}, {f"127.0.0.{k}:4420": "optimized" for k in (1, 2)})
        self.assertEqual({p["target"] for p in lun["paths"]}, {"nqn.2026-01.lab:nvme"})
        self.tell("found", f"{lun['device']}, {NVME_WWID}: {', '.join(p['portal'] for p in lun['paths'])}")
        self.must("/share/node/nvme-array ana 2 inaccessible")
        lun = self.wait_active(NVME_WWID, 1, 2)
        self.assertEqual([p["portal"] for p in lun["paths"] if p["alua"] == "inaccessible"], ["127.0.0.2:4420"])
        self.assertEqual((lun["state"], lun["reason"]), ("degraded", "1 of 2 paths are usable"))
        self.must("/share/node/nvme-array cut 2")
        lun = self.wait_active(NVME_WWID, 1, 1)
        self.assertEqual([p["portal"] for p in lun["paths"]], ["127.0.0.1:4420"])
        self.tell("done", "one path inaccessible, then a controller less")

    @only_soak("an emulated machine takes its time")
    def test_an_nvme_namespace_grows_and_is_not_removed(self):
        self.start_nvme(128)
        self.must("/share/node/nvme-array ana 1 non-optimized")
        self.wait_lun(NVME_WWID, "port 1 non-optimized", lambda l: ("127.0.0.1:4420", "non-optimized", 1) in
                      [(p["portal"], p["alua"], p["usable"]) for p in l["paths"]])
        self.must("/share/node/nvme-array resize 192")
        self.assertIn(": 192M, ", self.must(f"pvesm lun resize {NVME_WWID}"))
        self.assertEqual(self.must("blockdev --getsize64 /dev/nvme0n1"), str(192 << 20))
        self.refused(f"pvesm lun remove {NVME_WWID}", "detach it on the array")
        self.tell("done", "grown to 192 MB over an optimized and a non-optimized path")

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
