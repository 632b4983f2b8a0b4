#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 in the middle of everything: at each named step of each operation, of the worker and of storaged.

The named steps are read from the sources, so a new one that no operation here passes fails the test `every_step_is_passed`.
After each death: storaged starts, no half volume is there, what was there before still is, and the operation works.
"""
import glob
import hashlib
import http.client
import os
import re
import socket
import struct
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import FAST, DaemonTest, MiB, REPO, main, qemu_write, run, start_time, wait_until


def named_steps():
    """All fault points of the daemon and of the dir storage, as the sources name them."""
    found = set()
    for path in glob.glob(f"{REPO}/storaged/**/*.c", recursive=True) + glob.glob(f"{REPO}/plugins/common/*.c"):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        found |= set(re.findall(r'\bfault_point\("([^"]+)"\)', text))
        found |= {"dir." + name for name in re.findall(r'\bstore_fault\([a-z_>-]+, "([^"]+)"', text)}
    elsewhere = ("lease.", "ticket.", "takeover.", "lun.", "ceph.")  # test_migrate, test_takeover, lab_lun, test_ceph_admin
    return sorted(s for s in found if not s.startswith(elsewhere))


class Stream:
    """Serves one import: virtual size, then the image."""

    def __init__(self, path, data):
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.data = data
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
                with c:
                    c.sendall(struct.pack("<Q", len(self.data)) + self.data)
            except OSError:
                return


class Kill(DaemonTest):
    wants_daemon = False

    # --- operations: name -> (steps it can pass, how it is done). Each works on what `prepare` made.
    def op_alloc_raw(self, d):
        return d.request("POST", d.at("st", "/content"), {"vmid": 300, "filename": "vm-300-disk-0.raw", "size": "1M"})

    def op_alloc_qcow2(self, d):
        return d.request("POST", d.at("st", "/content"), {"vmid": 300, "filename": "vm-300-disk-0.qcow2", "size": "1M"})

    def op_alloc_subvol(self, d):
        return d.request("POST", d.at("st", "/content"), {"vmid": 300, "filename": "", "size": "0", "format": "subvol"})

    def op_free(self, d):
        return d.request("DELETE", d.at("st", "/content/100/vm-100-disk-0.qcow2"))

    def op_free_backup(self, d):
        return d.request("DELETE", d.at("st", "/content/backup/vzdump-qemu-100-2026_01_01-10_00_00.vma"))

    def op_free_subvol(self, d):
        return d.request("DELETE", d.at("st", "/content/100/subvol-100-disk-9.subvol"))

    def op_resize(self, d):
        return d.request("PUT", d.at("st", "/resize"), {"volume": "100/vm-100-disk-0.qcow2", "size": "8M", "sync": 1})

    def op_snapshot(self, d):
        return d.request("POST", d.at("st", "/snapshot"), {"volume": "100/vm-100-disk-0.qcow2", "snapname": "new", "sync": 1})

    def op_rollback(self, d):
        return d.request("POST", d.at("st", "/rollback"), {"volume": "101/vm-101-disk-0.qcow2", "snapname": "old", "sync": 1})

    def op_delsnapshot(self, d):
        return d.request("DELETE", d.at("st", "/snapshot"), {"volume": "101/vm-101-disk-0.qcow2", "snapname": "old", "sync": 1})

    def op_chain_snapshot(self, d):
        return d.request("POST", d.at("chain", "/snapshot"), {"volume": "100/vm-100-disk-0.qcow2", "snapname": "new", "sync": 1})

    def op_chain_rollback(self, d):
        return d.request("POST", d.at("chain", "/rollback"), {"volume": "101/vm-101-disk-0.qcow2", "snapname": "two", "sync": 1})

    def op_chain_delete_first(self, d):
        return d.request("DELETE", d.at("chain", "/snapshot"), {"volume": "101/vm-101-disk-0.qcow2", "snapname": "one", "sync": 1})

    def op_chain_delete_last(self, d):
        return d.request("DELETE", d.at("chain", "/snapshot"), {"volume": "101/vm-101-disk-0.qcow2", "snapname": "two", "sync": 1})

    def op_chain_free(self, d):
        return d.request("DELETE", d.at("chain", "/content/101/vm-101-disk-0.qcow2"))

    def op_template(self, d):
        return d.request("POST", d.at("st", "/template"), {"volume": "100/vm-100-disk-0.qcow2", "sync": 1})

    def op_clone(self, d):
        return d.request("POST", d.at("st", "/clone"), {"volume": "102/base-102-disk-0.qcow2", "vmid": 300, "sync": 1})

    def op_rename(self, d):
        return d.request("POST", d.at("st", "/rename"), {"volume": "100/vm-100-disk-0.qcow2", "vmid": 300, "sync": 1})

    def op_import(self, d):
        return d.request("POST", d.at("st", "/import"), {"volume": "300/vm-300-disk-0.raw", "format": "raw+size",
                                                         "from": "unix://" + self.stream.path, "sync": 1})

    def op_copy(self, d):
        return d.request("POST", d.at("st", "/content/100/vm-100-disk-0.qcow2"), {"target": "chain"})

    def op_upload(self, d):
        head = ('--bound-ary\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n--bound-ary\r\nContent-Disposition: form-data; '
                'name="filename"; filename="up.iso"\r\n\r\n')
        return d.request("POST", d.at("st", "/upload"), body=head.encode() + b"data" * 1000 + b"\r\n--bound-ary--\r\n",
                         headers={"Content-Type": "multipart/form-data; boundary=bound-ary"})

    def op_config_add(self, d):
        return d.request("POST", "/storage", {"type": "dir", "storage": "new", "path": self.root + "/stores/new"})

    def op_config_set(self, d):
        return d.request("PUT", "/storage/st", {"preallocation": "off"})

    def op_config_remove(self, d):
        return d.request("DELETE", "/storage/st")

    OPS = [name[3:] for name in dir() if name.startswith("op_")]

    def prepare(self):
        """The state before: volumes with content in `st` and `chain`. Made once, copied for each death."""
        d = self.start_daemon(env={})
        for storage, more in (("st", {}), ("chain", {"snapshot_as_volume_chain": 1})):
            path = d.add_dir(storage, content="images,rootdir,backup,iso", **more)
            for vmid in (100, 101):
                d.alloc(storage, vmid, f"vm-{vmid}-disk-0.qcow2", "4M")
                qemu_write(f"{path}/images/{vmid}/vm-{vmid}-disk-0.qcow2", 0x42, 0, MiB, "qcow2")
        d.post(d.at("st", "/snapshot"), volume="101/vm-101-disk-0.qcow2", snapname="old", sync=1)
        d.post(d.at("chain", "/snapshot"), volume="101/vm-101-disk-0.qcow2", snapname="one", sync=1)
        d.post(d.at("chain", "/snapshot"), volume="101/vm-101-disk-0.qcow2", snapname="two", sync=1)
        d.alloc("st", 102, "vm-102-disk-0.qcow2", "4M")
        d.post(d.at("st", "/template"), volume="102/vm-102-disk-0.qcow2", sync=1)
        d.post(d.at("st", "/clone"), volume="102/base-102-disk-0.qcow2", vmid=103, sync=1)
        d.alloc("st", 100, "subvol-100-disk-9.subvol", "0", format="subvol")
        stores = self.root + "/stores/st"
        with open(stores + "/images/100/subvol-100-disk-9.subvol/file", "w", encoding="ascii") as f:
            f.write("inside")
        backup = stores + "/dump/vzdump-qemu-100-2026_01_01-10_00_00.vma"
        for end, text in (("", "backup"), (".notes", "old")):
            with open(backup + end, "w", encoding="ascii") as f:
                f.write(text)
        d.stop()
        self.volumes = {s: self.listing(s) for s in ("st", "chain")}
        self.config = d.config_text()
        self.original = self.tmp + "/original"
        os.rename(self.root, self.original)
        self.stream = Stream(self.tmp + "/peer", b"imported" * 10000)

    def fresh(self):
        run("rm", "-rf", "--", self.root)
        run("cp", "-a", "--", self.original, self.root)

    def listing(self, storage):
        d = self.start_daemon(env={})
        found = set(d.volids(storage))
        d.stop()
        return found

    def candidates(self, op):
        """The named steps that lie on the way of an operation, by their names."""
        word = {"alloc": r"(dir\.(alloc|activate|new)|lock|commit)", "free": r"dir\.free", "resize": r"dir\.resize", "template": r"dir\.template",
                "clone": r"dir\.clone", "rename": r"(dir\.rename|commit)", "import": r"dir\.(import|alloc)", "upload": r"dir\.upload",
                "copy": r"dir\.(import|export|alloc)", "config": r"(fs|config|lock|fence)\.",
                "snapshot": r"dir\.snapshot", "rollback": r"dir\.rollback", "delsnapshot": r"dir\.(delete|snapshot)",
                "chain": r"dir\.(chain|snapshot|rollback|delete|free)"}[op.split("_")[0]]
        return [s for s in named_steps() if re.match(word, s)] + (["task.before-end"] if op in ("free", "import", "copy") else [])

    def die(self, op, step, action):
        """Runs `op` with the fault; gives whether the step was passed. Daemon and workers are gone afterwards."""
        self.fresh()
        d = self.start_daemon(env={"STORAGED_FAULTS": f"{step}={action}"})
        box = []
        asker = threading.Thread(target=lambda: box.append(self.ask(op, d)))
        asker.start()
        if action == "stop":
            frozen = []

            def frozen_or_done():
                frozen[:] = [p for p in [d.pid, *d.workers()] if self.is_frozen(p)]
                return frozen or not asker.is_alive()
            wait_until(frozen_or_done, f"{op} at {step}: passed or done")
            workers = [(p, start_time(p)) for p in d.workers()]
            d.kill()  # -9, with the worker in the middle of it
            asker.join()
            wait_until(lambda: not [w for w in workers if start_time(w[0]) == w[1]], "workers die with storaged")
            return bool(frozen)
        asker.join()
        if box[0] == "died":
            self.assertEqual(d.wait_dead(), -9)
        else:
            d.stop()  # with exit status 0: the death of a worker is not storaged's
        return box[0] != "well"

    def ask(self, op, d):
        """How the operation ends: "well", "failed" (with a reason), or "died": storaged itself is gone."""
        try:
            answer = getattr(self, "op_" + op)(d)
            if answer.status != 200:
                return "failed" if answer.message or answer.errors else "failed without a reason"
            if isinstance(answer.data, str) and answer.data.startswith("UPID"):
                return "well" if d.wait_task(answer.data)["exitstatus"] == "OK" else "failed"
            return "well"
        except (OSError, http.client.HTTPException):
            return "died"

    @staticmethod
    def is_frozen(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                return f.read().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    def check_after(self, op, step):
        """What must hold after any death: the operation happened or did not; nothing in between; nothing else changed."""
        what = f"{op} killed at {step}"
        d = self.start_daemon(env={})
        config = d.config_text()
        findings = d.post("/nodes/n1/config/check")
        self.assertEqual(findings["warnings"], [], what)
        self.assertLessEqual({"chain"} if op == "config_remove" else {"st", "chain"}, set(findings["ids"]), f"{what}: lost")
        if not op.startswith("config"):
            self.assertEqual(config, self.config, what)
        temporary = [f for folder, _, files in os.walk(self.root + "/etc/pve") for f in files if "tmp" in f]
        self.assertEqual(temporary, [], f"{what}: temporary files of the configuration")
        for storage in ("st", "chain"):
            if storage in findings["ids"]:
                self.check_storage(d, op, storage, what)
        if not self.is_done(op, d):
            self.assertEqual(self.ask(op, d), "well", f"{what}: and then it works")
        d.stop()

    # what an operation may have taken away
    GONE = {"free": {"st:100/vm-100-disk-0.qcow2"}, "free_subvol": {"st:100/subvol-100-disk-9.subvol"},
            "free_backup": {"st:backup/vzdump-qemu-100-2026_01_01-10_00_00.vma"}, "rename": {"st:100/vm-100-disk-0.qcow2"},
            "template": {"st:100/vm-100-disk-0.qcow2"}, "chain_free": {"chain:101/vm-101-disk-0.qcow2"}}
    # and what it may have made
    MADE = {"alloc_raw": {"st:300/vm-300-disk-0.raw"}, "alloc_qcow2": {"st:300/vm-300-disk-0.qcow2"},
            "alloc_subvol": {"st:300/subvol-300-disk-0.subvol"}, "clone": {"st:102/base-102-disk-0.qcow2/300/vm-300-disk-0.qcow2"},
            "rename": {"st:300/vm-300-disk-0.qcow2"}, "template": {"st:100/base-100-disk-0.qcow2"},
            "import": {"st:300/vm-300-disk-0.raw"}, "upload": {"st:iso/up.iso"}}

    def check_storage(self, d, op, storage, what):
        rows = {r["volid"]: r for r in d.content(storage)}
        before = self.volumes[storage]
        made = {v for v in rows if v not in before}
        gone = before - set(rows)
        self.assertLessEqual(gone, self.GONE.get(op, set()), f"{what}: lost")
        if op == "copy" and storage == "chain":
            self.assertLessEqual(len(made), 1, what)
        else:
            self.assertLessEqual(made, self.MADE.get(op, set()), f"{what}: too many")
        if op in ("rename", "template") and storage == "st":
            self.assertEqual(bool(made), bool(gone), f"{what}: the volume is there under one name, {made} {gone}")
        known = {d.path(v) for v in rows}
        top = f"{self.root}/stores/{storage}"
        backing = set()
        for volid, row in rows.items():
            path = d.path(volid)
            self.assertNotEqual(row["format"], "invalid", f"{what}: {volid}")
            if path.endswith(".qcow2"):
                r = run("qemu-img", "check", "-q", "-U", path, check=False)
                self.assertIn(r.rc, (0, 3), f"{what}: {r!r}")  # 3: leaked clusters, which cost room and nothing else
                chain = run("qemu-img", "info", "--backing-chain", "-U", "--output=json", path).json
                backing |= {os.path.realpath(link["filename"]) for link in chain}
        for volid in ("st:101/vm-101-disk-0.qcow2", "chain:100/vm-100-disk-0.qcow2", "st:100/vm-100-disk-0.qcow2",
                      "chain:101/vm-101-disk-0.qcow2"):
            if volid in rows:
                r = run("qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P 0x42 0 {MiB}", d.path(volid), check=False)
                self.assertNotIn("verification failed", r.out, f"{what}: {volid} lost its content")
        if op == "import" and "st:300/vm-300-disk-0.raw" in rows:
            with open(d.path("st:300/vm-300-disk-0.raw"), "rb") as f:
                self.assertEqual(hashlib.sha1(f.read()).digest(), hashlib.sha1(self.stream.data).digest(), f"{what}: half a volume")
        strangers = [os.path.join(folder, f) for part in ("images", "template", "dump") for folder, dirs, files in
                     os.walk(f"{top}/{part}") for f in files + [x for x in dirs if x.startswith(".")]
                     if ".subvol/" not in folder + "/"]
        for volid in rows:  # a snapshot that is still listed can be removed again
            if storage == "chain" and volid.endswith(".qcow2"):
                folder, name = os.path.split(d.path(volid))
                known |= {f"{folder}/snap-{x['name']}-{name}" for x in d.get(d.at(storage, "/snapshot"), volume=volid)}
        strangers = [p for p in strangers if p not in known and os.path.realpath(p) not in backing and not p.endswith(".notes")]
        self.assertEqual(strangers, [], f"{what}: left behind")
        notes = f"{top}/dump/vzdump-qemu-100-2026_01_01-10_00_00.vma.notes"
        if os.path.exists(notes) and op != "free_backup":
            with open(notes, encoding="ascii") as f:
                self.assertEqual(f.read().strip(), "old", what)

    def is_done(self, op, d):
        """Whether the operation took place before the death, so that asking again would be refused."""
        rows = {r["volid"]: r for s in ("st", "chain") if s in {x["storage"] for x in d.get("/storage")} for r in d.content(s)}
        if op in self.GONE and op not in self.MADE:
            return not self.GONE[op] <= set(rows)
        if op in self.MADE:
            return op != "upload" and self.MADE[op] <= set(rows)
        names = lambda s, v: [x["name"] for x in d.get(d.at(s, "/snapshot"), volume=v)]
        if op == "snapshot":
            return "new" in names("st", "100/vm-100-disk-0.qcow2")
        if op == "chain_snapshot":
            return "new" in names("chain", "100/vm-100-disk-0.qcow2")
        if op == "delsnapshot":
            return "old" not in names("st", "101/vm-101-disk-0.qcow2")
        if op.startswith("chain_delete"):
            return ("one" if op.endswith("first") else "two") not in names("chain", "101/vm-101-disk-0.qcow2")
        ids = {x["storage"] for x in d.get("/storage")}
        return {"config_add": "new" in ids, "config_remove": "st" not in ids,
                "copy": len(d.volids("chain")) > 2}.get(op, False)

    def story(self, op):
        self.prepare()
        steps = self.candidates(op)
        passed = []
        for step in steps if not FAST else steps[:2]:
            for action in ("kill", "stop") if not FAST else ("kill",):
                if action == "stop" and step not in passed:
                    continue
                with self.subTest(step=step, action=action):
                    if self.die(op, step, action):
                        passed.append(step)
                        self.check_after(op, step)
        if not passed and steps:
            self.skipTest(f"passes none of {', '.join(steps)}")
        elif not steps:
            self.skipTest("no named steps")
        Kill.PASSED |= set(passed)

    PASSED = set()

    def test_zz_every_step_is_passed(self):
        if FAST:
            self.skipTest("slow: left out by check-fast")
        self.assertEqual([s for s in named_steps() if s not in Kill.PASSED], [], "named steps that no operation here passes")


for _op in Kill.OPS:
    setattr(Kill, "test_" + _op, lambda self, op=_op: self.story(op))


if __name__ == "__main__":
    main()
