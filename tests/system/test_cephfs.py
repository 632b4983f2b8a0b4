#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The cephfs storage on a real Ceph file system, mounted by ceph-fuse: what it keeps, its metadata servers, monitors and OSDs
failing, its mount dying."""
import hashlib
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import harness
from ceph import CephFsTest, ceph, mds_key
from harness import BUILD, GiB, main, run, wait_until

FAULTS = ["cephfs.alloc.created", "cephfs.alloc.linked", "cephfs.resize.before", "cephfs.free.before", "cephfs.free.unlinked"]
SOON = 5.0  # what is promised; a busy machine gets BUSY
BUSY = 3 * SOON


class Files(CephFsTest):
    def setUp(self):
        super().setUp()
        self.add_cephfs()
        self.d.settled("files", "active")
        self.on_mount("find", f"{self.tmp}/mnt/files", "!", "-type", "d", "-delete")

    def on_mount(self, *argv, **kwargs):
        """A program that sees what storaged has mounted."""
        return harness.run("nsenter", "-t", str(self.d.pid), "-m", *argv, **kwargs)

    def put(self, name, size=100):
        """An ISO file, by way of the mount."""
        self.on_mount("sh", "-c", f"head -c {size} /dev/urandom > {self.tmp}/mnt/files/template/iso/{name}")
        return f"files:iso/{name}"

    def test_life_of_a_file(self):
        volid = self.put("a.iso", 4096)
        rows = {r["volid"]: r for r in self.d.content("files")}
        self.assertEqual((rows[volid]["size"], rows[volid]["format"]), (4096, "iso"))
        status = self.d.status("files")
        self.assertGreater(status["total"], GiB)
        self.assertGreater(status["avail"], 0)
        backup = f"{self.tmp}/mnt/files/dump/vzdump-qemu-100-2026_01_01-10_00_00.vma"
        self.on_mount("sh", "-c", f"echo data > {backup}; echo a note > {backup}.notes")
        row = [r for r in self.d.content("files") if r["content"] == "backup"][0]
        self.assertEqual(row["notes"], "a note")
        self.d.request("PUT", self.d.at("files", "/content/" + row["volid"]), {"protected": 1, "notes": "another"})
        self.assertIn("another", self.on_mount("cat", backup + ".notes").out)
        self.fails(self.d.request("DELETE", self.d.at("files", "/content/" + row["volid"])))
        self.d.done(self.d.delete(self.d.at("files", "/content/" + volid)))
        self.assertEqual([r["volid"] for r in self.d.content("files")], [row["volid"]])
        self.assertEqual(self.on_mount("ls", f"{self.tmp}/mnt/files/template/iso").out, "")

    def test_what_the_journal_does_not_have_yet(self):
        """
        Another client moves a file, and the metadata server is in no hurry to write that down: mostly with its next tick, 5 s
        later. Who asks for the name meanwhile waits, and a healthy server looked silent (in one listing of three).
        """
        for i in range(8):
            self.on_mount("sh", "-c", f"cd {self.tmp}/mnt/files/template/iso && touch draft && mv draft {i}.iso")
            self.assertEqual(self.d.volids("files"), [f"files:iso/{k}.iso" for k in range(i + 1)])

    def test_streams(self):
        """Bytes go through the mount: import of an archive and its export."""
        data = os.urandom(300000)
        body = (b'--boundary7MA4YWxk\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n--boundary7MA4YWxk\r\nContent-Disposition: form-data; '
                b'name="filename"; filename="x.iso"\r\nContent-Type: application/octet-stream\r\n\r\n' + data + b"\r\n--boundary7MA4YWxk--\r\n")
        reply = self.d.request("POST", self.d.at("files", "/upload"), body=body, headers={"Content-Type": "multipart/form-data; boundary=boundary7MA4YWxk"})
        self.assertEqual(reply.status, 200, repr(reply))
        self.d.done(reply.data)
        self.assertEqual(self.on_mount("sha256sum", f"{self.tmp}/mnt/files/template/iso/x.iso").out.split()[0],
                         hashlib.sha256(data).hexdigest())

    def test_key_is_in_priv_only(self):
        secret = mds_key(self.admin_keyring())
        holders = run("grep", "-rlF", secret, self.root, check=False).out.split()
        self.assertEqual(holders, [os.path.join(self.root, "etc/pve/priv/ceph/files.secret")])
        self.assertEqual(os.stat(holders[0]).st_mode & 0o777, 0o600)
        self.assertNotIn(secret, self.d.get("/storage/files").__repr__())
        for pid in self.fuses() + self.d.workers():
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                self.assertNotIn(secret.encode(), f.read())

    def test_removed_is_unmounted(self):
        self.assertIn(f"{self.tmp}/mnt/files", self.on_mount("cat", "/proc/self/mounts").out)
        self.d.delete("/storage/files")
        wait_until(lambda: f"{self.tmp}/mnt/files" not in self.on_mount("cat", "/proc/self/mounts").out, "unmounted")
        wait_until(lambda: not self.fuses(), "ceph-fuse has ended")
        self.assertFalse(os.path.exists(os.path.join(self.root, "etc/pve/priv/ceph/files.secret")))

    def test_scan(self):
        keyring = os.path.join(self.tmp, "files.secret")
        out = self.d.pvesm("scan", "cephfs", "--monhost", "127.0.0.1", "--keyring", keyring).out
        self.assertEqual(out.split(), ["name:", "cephfs", "metadata-pool:", "cephfs_metadata", "data-pools:", "cephfs_data"])
        rows = self.d.get("/nodes/n1/scan/cephfs", monhost="127.0.0.1", keyring=keyring)
        self.assertEqual(rows, [{"name": "cephfs", "metadata-pool": "cephfs_metadata", "data-pools": "cephfs_data"}])
        self.cli_refused(self.d.pvesm("scan", "cephfs", "--monhost", "127.0.0.77", "--keyring", keyring, check=False), None, "mon unreachable")

    def test_what_is_not_there_is_said(self):
        before = self.state()
        for props, words in (({"fs_name": "nosuch"}, "it has: cephfs"), ({"subdir": "/no/such"}, "/no/such"),
                             ({"content": "images"}, "images"), ({"subdir": "/a/../.."}, "subdir"), ({"monhost": "127.0.0.77"}, "mon unreachable"),
                             ({"secret": "AQBnAAAAAAAAABAAnQWHdB5/hG8hMQMNTmBJdA==\n"}, "permission denied")):
            with self.assertRaises(AssertionError) as e:
                self.add_cephfs("other", **props)
            self.assertIn(words, str(e.exception))
        self.assertEqual(self.state(), before)

    def test_a_subdir_and_a_user_of_its_own(self):
        self.on_mount("mkdir", "-p", f"{self.tmp}/mnt/files/sub/dir")
        key = self.new_key("joe", mon="allow r", mds="allow rw path=/sub/dir", osd="allow rw tag cephfs data=cephfs")
        self.add_cephfs("sub", secret=mds_key(key) + "\n", username="joe", subdir="/sub/dir", fs_name="cephfs")
        self.d.settled("sub", "active")
        self.on_mount("sh", "-c", f"echo x > {self.tmp}/mnt/sub/template/iso/s.iso")
        self.assertEqual(self.d.volids("sub"), ["sub:iso/s.iso"])
        self.assertEqual(self.on_mount("ls", f"{self.tmp}/mnt/files/sub/dir/template/iso").out.split(), ["s.iso"])

    def test_links_lead_nowhere(self):
        self.on_mount("ln", "-s", "/etc/passwd", f"{self.tmp}/mnt/files/template/iso/p.iso")
        self.assertEqual(self.d.volids("files"), [])

    def test_a_mount_that_died_is_made_anew(self):
        volid = self.put("a.iso")
        ours = ceph.mds_sessions(self.lab, "a")
        self.end_fuses()
        wait_until(lambda: self.d.status("files")["state"] != "active" or self.fuses(), "it is noticed")
        for session in ours:  # as the metadata server does itself, after half a minute
            if "mount_point" in session["client_metadata"]:
                ceph.mds_evict(self.lab, "a", session["id"])
        wait_until(self.fuses, "a new ceph-fuse", 90)
        self.d.settled("files", "active", deadline=90)
        self.assertEqual(self.d.volids("files"), [volid])
        self.assertIn("a.iso", self.on_mount("ls", f"{self.tmp}/mnt/files/template/iso").out)

    def test_a_worker_killed_holds_nobody_up(self):
        """A client that dies without a word keeps its promises for a minute; its successor has it thrown out at once."""
        self.put("a.iso")
        for _ in range(3):
            self.d.content("files")
            for pid in self.d.workers():
                os.kill(pid, signal.SIGKILL)
            begun = time.monotonic()
            wait_until(lambda: self.d.request("GET", self.d.at("files", "/content")).status == 200, "a list", 60)
            self.put("b.iso")  # needs what the dead client held
            self.assertLess(time.monotonic() - begun, 20)


class Faults(CephFsTest):
    """Servers that hang: every call ends soon and says which; the other storage does not notice; it comes back by itself."""

    def setUp(self):
        super().setUp()
        self.add_cephfs()
        self.d.add_dir("other")
        self.d.settled("files", "active")

    def out_and_back(self, stop, resume, *words):
        stop()
        try:
            begun = time.monotonic()
            wait_until(lambda: self.d.status("files")["state"] == "unresponsive", "files is unresponsive", 60)
            noticed = time.monotonic() - begun
            self.assertLess(noticed, BUSY)
            wait_until(lambda: any(w in self.d.status("files").get("reason", "") for w in words), f"one of {words}", 60)
            begun = time.monotonic()
            said = self.fails(self.d.request("GET", self.d.at("files", "/content"), timeout=60))
            self.assertLess(time.monotonic() - begun, BUSY)
            self.assertRegex(said, "|".join(words) + "|unresponsive")
            begun = time.monotonic()
            self.d.done(self.d.delete(self.d.at("other", "/content/" + self.d.alloc("other", vmid=100, size="1024"))))
            self.d.pvesm("status")
            self.assertLess(time.monotonic() - begun, SOON)
        finally:
            resume()
        begun = time.monotonic()
        self.d.settled("files", "active", deadline=120)
        self.assertEqual(self.d.volids("files"), [])
        print(f"      noticed after {noticed:.1f} s, back after {time.monotonic() - begun:.1f} s: {words[0]}", flush=True)

    def test_a_metadata_server_that_hangs(self):
        self.out_and_back(lambda: ceph.mds_stop(self.lab, "a"), lambda: ceph.mds_resume(self.lab, "a"), "mds silent", "mds down")

    def test_a_metadata_server_that_is_killed(self):
        self.out_and_back(lambda: ceph.mds_kill(self.lab, "a"), lambda: ceph.mds_start(self.lab, "a"), "mds silent", "mds down")

    def test_a_monitor_that_hangs(self):
        self.out_and_back(lambda: ceph.mon_stop(self.lab, "a"), lambda: ceph.mon_resume(self.lab, "a"), "mon unreachable")

    def test_an_osd_that_hangs(self):
        self.out_and_back(lambda: ceph.osd_stop(self.lab, 0), lambda: ceph.osd_resume(self.lab, 0), "osd silent", "osd down")

    def test_a_daemon_that_starts_while_all_is_dead(self):
        self.d.stop()
        ceph.mds_stop(self.lab, "a")
        try:
            begun = time.monotonic()
            self.d = self.start_daemon()
            self.assertLess(time.monotonic() - begun, 8)
            self.d.settled("files", "unresponsive", deadline=60)
        finally:
            ceph.mds_resume(self.lab, "a")
        self.d.settled("files", "active", deadline=120)


class Contract(CephFsTest):
    """The suite of every plugin, on a file system."""
    wants_daemon = False

    def test_contract(self):
        keyring = os.path.join(self.tmp, "keyring")
        with open(keyring, "w", encoding="utf-8") as f:
            f.write(self.admin_keyring())
        contract = os.path.join(self.tmp, "contract.json")
        with open(contract, "w", encoding="utf-8") as f:
            json.dump({"config": {"path": "@DIR@/mnt", "fuse": "1", "monhost": "127.0.0.1", "keyring": keyring,
                                  "content": "images,iso,vztmpl,backup,snippets,import"}, "is_lasting": True, "faults": FAULTS}, f)
        suite = os.path.join(BUILD, "tests/contract/test-contract")
        if not os.path.exists(suite):
            self.skipTest("the contract suite is not built: make contract-binaries")
        r = self.inside("env", f"STORAGED_WORKER={BUILD}/storaged-worker", f"CONTRACT={contract}", f"PLUGIN={BUILD}/plugins/cephfs.so",
                        suite, check=False, timeout=250)
        self.assertEqual(r.rc, 0, "\n".join(line for line in (r.out + r.err).splitlines() if "OK ]" not in line and "RUN" not in line))
        self.assertIn("PASSED", r.out + r.err)


if __name__ == "__main__":
    main()
