#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LUNs from a recorded tree of /sys, and the cluster's multipath configuration on a node, below --root.

The real things are lab_lun, lab_lun_many and lab_lun_fc; here is what no lab is needed for.
"""
import contextlib
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import REPO, DaemonTest, main, wait_until

DATA = os.path.join(REPO, "tests", "data", "san")
FIRST = "36000000000000000000000000ab00001"


def plant(root):
    """What tests/data/san/record has written down of a lab node."""
    with open(os.path.join(DATA, "iscsi.tree"), encoding="ascii") as f:
        for line in f:
            kind, path, *value = line.split()
            path = os.path.join(root, "sys", path)
            os.makedirs(path if kind == "D" else os.path.dirname(path), exist_ok=True)
            if kind == "L":
                os.symlink(value[0], path)
            elif kind == "F":
                with open(path, "wb") as out:
                    out.write(b"" if value[0] == "-" else bytes.fromhex(value[0]))
    os.makedirs(os.path.join(root, "run"), exist_ok=True)


class Recorded(DaemonTest):
    """Two LUNs over four iSCSI paths each, as a node of the lab had them."""
    wants_daemon = False

    def begin(self, change=lambda maps: None):
        plant(self.root)
        with open(os.path.join(DATA, "iscsi.json"), encoding="ascii") as f:
            maps = json.load(f)
        change(maps)
        with open(os.path.join(self.root, "run", "multipath-maps.json"), "w", encoding="ascii") as f:
            json.dump(maps, f)
        self.start_daemon()

    def lun(self, wwid=FIRST):
        return self.d.get(f"/nodes/localhost/luns/{wwid}")

    def test_all_that_was_recorded_is_told(self):
        self.begin()
        luns = self.d.get("/nodes/localhost/luns")
        self.assertEqual([lun["wwid"] for lun in luns], [FIRST, FIRST[:-1] + "2"])
        lun = luns[0]
        self.assertEqual((lun["state"], lun["size"], lun["n_paths"], lun["n_active"]), ("ok", 1 << 30, 4, 4))
        self.assertEqual((lun["vendor"], lun["product"], lun["serial"], lun["transport"]), ("LABARRAY", "LUN", "SN00000001", "iscsi"))
        self.assertEqual({p["hctl"] for p in lun["paths"]}, {f"{h}:0:0:1" for h in range(4)})
        self.assertEqual({p["target"] for p in lun["paths"]}, {"iqn.2026-01.lab:array"})
        self.assertEqual(len({p["portal"] for p in lun["paths"]}), 4)
        self.assertEqual(len(self.d.get("/nodes/localhost/ports")), 4)
        self.assertIn(FIRST, self.d.pvesm("lun", "list").out)
        shown = self.d.pvesm("lun", "show", FIRST).out
        self.assertIn("2:0:0:1", shown)
        self.assertEqual(len(set(re.findall(r"iqn.2026-01.lab:array (\S+:3260)$", shown, re.M))), 4, shown)

    def test_a_failed_path_degrades(self):
        def fail(maps):
            maps["maps"][0]["path_groups"][0]["paths"][0].update(dm_st="failed", chk_st="faulty")
        self.begin(fail)
        self.assertEqual((self.lun()["state"], self.lun()["n_active"]), ("degraded", 3))
        self.assertIn("3 of 4", self.lun()["reason"])

    def test_a_path_that_is_another_lun_is_never_ok(self):
        def confuse(maps):
            one, two = (m["path_groups"][0]["paths"] for m in maps["maps"])
            one[0], two[0] = two[0], one[0]
        self.begin(confuse)
        self.assertEqual(self.lun()["state"], "changed")
        self.assertIn("given to another LUN", self.lun()["reason"])
        rows = self.d.get("/nodes/localhost/actions/multipath/doctor")
        self.assertEqual({r["code"] for r in rows if r["severity"] == "error"}, {"LUN_BROKEN"})

    def test_allowing_says_who_sees_the_lun(self):
        self.begin()
        os.makedirs(os.path.join(self.root, "etc/pve"), exist_ok=True)
        self.assertEqual(self.d.put(f"/cluster/multipath/{FIRST}"), {"wwid": FIRST, "seen": [self.d.get("/cluster/luns")["nodes"][0]["node"]]})
        other = self.d.put("/cluster/multipath/3600a")
        self.assertEqual((other["seen"], len(other["warnings"])), ([], 1))
        self.assertIn("no node sees a LUN 3600a now", other["warnings"][0])

    def test_storages_on_a_lun_are_named(self):
        plant(self.root)
        self.write_config(f"lvm: far\n\tvgname x\n\tbase san:{FIRST}\n\tcontent images\n")
        self.begin_again()
        self.assertEqual(self.lun()["storages"], ["far"])

    def begin_again(self):
        shutil.copy(os.path.join(DATA, "iscsi.json"), os.path.join(self.root, "run", "multipath-maps.json"))
        self.start_daemon()

    def test_refusals_name_what_is_wrong(self):
        self.begin()
        self.refused(self.d.request("GET", "/nodes/localhost/luns/3600"), 404, "wwid")
        self.refused(self.d.request("GET", "/nodes/localhost/luns", params={"transport": "pigeon"}), 400, "transport")
        task = self.d.wait_task(self.d.delete("/cluster/luns/3600"))
        self.assertIn("no node sees a LUN 3600", json.dumps(task))
        self.refused(self.d.request("DELETE", "/cluster/luns/..%20x"), 400)


class Config(DaemonTest):
    """multipath.cfg of the cluster becomes drop-ins; below --root multipathd is not told."""

    def conf(self, name="storaged.conf"):
        path = os.path.join(self.root, "etc/multipath/conf.d", name)
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as f:
            return f.read()
        return None

    def write(self, name, text):
        os.makedirs(os.path.join(self.root, "etc/pve"), exist_ok=True)
        path = os.path.join(self.root, "etc/pve", name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)

    def state(self):
        return self.d.get("/nodes/localhost/multipath")

    def test_allowed_luns_get_a_drop_in_and_lose_it(self):
        self.assertIsNone(self.conf())
        said = self.d.pvesm("lun", "allow", "3600a", "--alias", "data1")
        self.assertRegex(said.err, "warning: no node sees a LUN 3600a now; it is allowed for when it appears")
        self.assertEqual(said.out, "")
        wait_until(lambda: self.conf() and "data1" in self.conf(), "the drop-in")
        self.assertRegex(self.conf(), r'find_multipaths "strict"')
        self.assertRegex(self.conf(), r'user_friendly_names "no"')
        self.assertRegex(self.conf(), r'wwid "3600a"\n +alias "data1"')
        wait_until(lambda: self.state().get("added") == ["3600a"], "the LUN to be allowed")
        self.d.pvesm("lun", "allow", "3600b")
        wait_until(lambda: "3600b" in self.conf(), "the second LUN")
        self.d.pvesm("lun", "disallow", "3600a")
        wait_until(lambda: "3600a" not in self.conf(), "the first LUN to go")
        self.d.pvesm("lun", "disallow", "3600b")
        wait_until(lambda: self.conf() is None, "the drop-in to go with its last line")
        self.cli_refused(self.d.pvesm("lun", "disallow", "3600b", check=False), text="not in multipath.cfg")

    def test_a_mistake_changes_nothing_and_is_told_by_line(self):
        self.write("multipath.cfg", "defaults: all\n\tpolling-interval 7\n\nwwid: 3600a\n")
        wait_until(lambda: self.conf() and 'polling_interval "7"' in self.conf(), "the drop-in")
        before = self.conf()
        for bad, why in (("defaults: all\n\tno-path-retry queue\n", "line 2.*no-path-retry"),
                         ("wwid: 3600a\n\tpolling-interval 5\n", "line 2.*polling-interval"),
                         ("wwid: ../x\n", "line 1.*no WWID"), ("devices: x\n", "line 1.*unknown section"),
                         ("wwid: 3600a\n\nwwid: 3600a\n", "line 3.*second time"), ("\talias x\n", "line 1.*before any section")):
            self.write("multipath.cfg", bad)
            wait_until(lambda w=why: re.search(w, self.state().get("error", "")), f"the refusal of {bad!r}")
            self.assertEqual(self.conf(), before)

    def test_what_the_node_has_by_hand_stays_and_is_reported(self):
        os.makedirs(os.path.join(self.root, "etc/multipath"), exist_ok=True)
        with open(os.path.join(self.root, "etc/multipath.conf"), "w", encoding="ascii") as f:
            f.write('defaults {\n find_multipaths "greedy" # boot from SAN\n polling_interval 5\n}\n')
        with open(os.path.join(self.root, "etc/multipath/wwids"), "w", encoding="ascii") as f:
            f.write("# Valid WWIDs:\n/3600boot/\n")
        self.write("multipath.cfg", "wwid: 3600boot\n\nwwid: 3600a\n")
        wait_until(lambda: self.conf(), "the drop-in")
        self.assertNotIn("find_multipaths", self.conf())
        wait_until(lambda: self.state().get("applied"), "the application")
        self.assertEqual(len(self.state()["differences"]), 1)
        self.assertIn("find_multipaths greedy", self.state()["differences"][0])
        self.assertEqual(self.state()["added"], ["3600a"], "what was there before is not adopted")
        self.write("multipath.cfg", "")
        wait_until(lambda: self.conf() is None, "the drop-in to go")
        wait_until(lambda: self.state().get("pruned") == ["3600a"], "only our own to be pruned")

    def test_overrides_have_a_file_of_their_own(self):
        self.write("multipath-overrides.conf", 'devices {\n device {\n vendor "IBM"\n product "2145"\n no_path_retry 5\n }\n}\n')
        wait_until(lambda: self.conf("storaged-overrides.conf"), "the drop-in")
        self.assertIsNone(self.conf())
        self.write("multipath-overrides.conf", "defaults {\n find_multipaths no\n}\n")
        wait_until(lambda: "can't stand there" in self.state().get("error", ""), "the refusal")
        self.assertIn("IBM", self.conf("storaged-overrides.conf"))
        self.write("multipath-overrides.conf", "devices {\n")
        wait_until(lambda: "has no end" in self.state().get("error", ""), "the refusal")

    def test_what_could_not_be_put_back_is_not_replaced(self):
        place = os.path.join(self.root, "etc/multipath/conf.d")
        os.makedirs(os.path.join(place, "storaged-overrides.conf"))
        self.write("multipath.cfg", "defaults: all\n\tpolling-interval 7\n")
        wait_until(lambda: f"can't read the drop-ins in {place}: Is a directory" in self.state().get("error", ""), "the refusal")
        self.assertEqual(os.listdir(place), ["storaged-overrides.conf"])


if __name__ == "__main__":
    main()
