#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever comes in wrong: refused with a 4xx that names the parameter, exit 2 of pvesm, and nothing has changed."""
import os
import subprocess
import sys
import urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, MiB, main

LONG = "a" * 4096


class BadInput(DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = self.d.add_dir("st", content="images,iso,backup,snippets")
        self.d.content("local")
        self.d.alloc("st", 100, "vm-100-disk-0.qcow2", "1M")
        self.outside = os.path.join(self.tmp, "outside")
        os.makedirs(self.outside)
        with open(self.outside + "/secret.iso", "w", encoding="ascii") as f:
            f.write("not yours")
        self.before = self.state(), os.listdir(self.outside)

    def tearDown(self):
        try:
            if self.d.is_running():
                self.assertEqual((self.state(), os.listdir(self.outside)), self.before, "something has changed")
                self.assertEqual(self.d.get("/version")["apiver"], 15, "it still answers")
        finally:
            super().tearDown()

    def bad(self, method, path, params, param=None, status=None, **kwargs):
        with self.subTest(path=path[:80], params=str(params)[:120]):
            r = self.d.request(method, path, params, **kwargs)
            self.assertTrue(400 <= r.status < 500 if status is None else r.status in status, repr(r))
            self.assertIsNone(r.json["data"], repr(r))
            if param:
                self.assertIn(param, r.errors, repr(r))
                self.assertTrue(r.errors[param])

    def test_definitions(self):
        good = {"type": "dir", "storage": "new", "path": self.tmp + "/new", "disable": 1}
        for key, value in [("type", "floppy"), ("type", ""), ("storage", "st"), ("storage", "S"), ("storage", ""),
                           ("storage", "x"), ("storage", "1a"), ("storage", "a/b"), ("storage", "a b"), ("storage", "../x"),
                           ("storage", "a."), ("storage", LONG + "\n"), ("storage", LONG), ("path", "relative"), ("path", ""),
                           ("path", "/a/../b"), ("path", "/a;b"), ("path", "/" + LONG), ("path", "/a\nb"), ("path", "/a\0b"),
                           ("content", "nonsense"), ("content", "none,iso"), ("nodes", "a/b"), ("nodes", "a\nb"),
                           ("preallocation", "maybe"), ("shared", "perhaps"), ("max-protected-backups", "-2"),
                           ("max-protected-backups", "x"), ("max-protected-backups", str(1 << 63)),
                           ("prune-backups", "keep-some=1"), ("prune-backups", "keep-last=-1"), ("format", "zip"),
                           ("bwlimit", "fast=1"), ("content-dirs", "iso=../../etc"), ("content-dirs", "iso=/etc"),
                           ("is_mountpoint", "a\nb"), ("nosuch", "1"), ("vgname", "vg"), ("server", "127.0.0.1")]:
            self.bad("POST", "/storage", dict(good, **{key: value}), key)
        for missing in ("type", "storage", "path"):
            self.bad("POST", "/storage", {k: v for k, v in good.items() if k != missing}, missing)
        for missing in ("server", "export"):
            nfs = {"type": "nfs", "storage": "new", "server": "127.0.0.1", "export": "/x", "disable": 1}
            self.bad("POST", "/storage", {k: v for k, v in nfs.items() if k != missing}, missing)
        for key, value in (("server", "a b"), ("server", "a;b"), ("server", "-x"), ("export", "relative"), ("export", "/a;b"),
                           ("options", "vers=3\nrw"), ("options", "a\0b")):
            self.bad("POST", "/storage", dict(nfs, **{"export": "/x", key: value}), key)

    def test_updates(self):
        for params, param in (({"path": "/elsewhere"}, "path"), ({"delete": "path"}, "delete"), ({"delete": "nosuch"}, "delete"),
                              ({"content": "nonsense"}, "content"), ({"nodes": "n1", "delete": "nodes"}, None),
                              ({"type": "nfs"}, "type"), ({"nosuch": "1"}, "nosuch"), ({"disable": "maybe"}, "disable"),
                              ({"digest": "0" * 40, "disable": "1"}, None), ({"digest": LONG}, None)):
            self.bad("PUT", "/storage/st", params, param if param != "delete" else None)
        self.bad("PUT", "/storage/nosuch", {"disable": 1}, status=(404, 400, 500))
        self.bad("DELETE", "/storage/nosuch", None, status=(404, 400, 500))
        for name in ("..", "%2e%2e", "a%00b", "a%0ab", LONG):
            self.bad("PUT", f"/storage/{name}", {"disable": 1})
            self.bad("DELETE", f"/storage/{name}", None)

    def test_sizes(self):
        for size in ("0", "-1", "-4", str(1 << 63), str((1 << 64) - 1), str(1 << 64), "9" * 40, "1T", "1.5G", "1e3", "0x10",
                     " 4", "4 ", "", "M", "4MM", "4\n", "4\0", "٤"):
            self.bad("POST", self.d.at("st", "/content"), {"vmid": 100, "filename": "", "size": size}, "size")
        for size in ("0", "-1", str(1 << 63), "+0", "+-1", "1T", "", "+" + str(1 << 63), "4\n"):
            self.bad("PUT", self.d.at("st", "/resize"), {"volume": "st:100/vm-100-disk-0.qcow2", "size": size, "sync": 1}, "size")

    def test_vmids(self):
        for vmid in ("0", "99", "0100", "-100", "1000000000", "1e3", "", "a", "100 ", "100\n", "100\0", str((1 << 32) + 100)):
            self.bad("POST", self.d.at("st", "/content"), {"vmid": vmid, "filename": "", "size": "4"}, "vmid")
            self.bad("GET", self.d.at("st", "/content"), {"vmid": vmid}, "vmid")

    def test_file_names(self):
        for name in ("../x.raw", "..", ".", "/etc/passwd", "a/b.raw", "vm-100-x.exe", "vm-100-x", "snap-x-vm-100.qcow2",
                     LONG, LONG + ".raw", "a\nb.raw", "a\0.raw", "vm-100-x.raw\0.iso", "-x.raw ", "\x7f.raw", "x\x1b[0m.raw"):
            self.bad("POST", self.d.at("st", "/content"), {"vmid": 100, "filename": name, "size": "4"}, "filename")
        self.bad("POST", self.d.at("st", "/content"), {"vmid": 100, "filename": "", "size": "4", "format": "zip"}, "format")
        self.bad("POST", self.d.at("st", "/content"), {"vmid": 100, "filename": "vm-100-x.raw", "size": "4", "format": "qcow2"})
        for missing in ("vmid", "size", "filename"):
            params = {k: v for k, v in {"vmid": 100, "filename": "", "size": "4"}.items() if k != missing}
            self.bad("POST", self.d.at("st", "/content"), params, missing)

    def test_volume_names(self):
        for name in ("../../../outside/secret.iso", "iso/../../../outside/secret.iso", "iso/..", "100/../100/vm-100-disk-0.qcow2",
                     "nonsense", "100/" + LONG + ".raw", LONG, "iso/a\nb.iso", "iso/a\0b.iso", "99/vm-99-disk-0.raw",
                     "local:iso/a.iso", "st:st:iso/a.iso"):
            quoted = urllib.parse.quote(name, safe="")
            for method in ("GET", "DELETE"):
                self.bad(method, self.d.at("st", "/content/" + quoted), None)
            self.bad("PUT", self.d.at("st", "/content/" + quoted), {"notes": "x"})
            self.bad("GET", self.d.at("st", "/path"), {"volume": name})
            self.bad("POST", self.d.at("st", "/snapshot"), {"volume": name, "snapname": "a1", "sync": 1})

    def test_names_longer_than_the_file_system_takes(self):
        at = self.d.at("st", "/content/iso%2F" + "x" * 300 + ".iso")
        self.refused(self.d.request("GET", at), tuple(range(400, 500)))
        self.fails(self.d.request("DELETE", at))

    def test_snapshot_names(self):
        for name in ("", "a b", "../x", "a/b", LONG, "a\nb", "a\0b", "-x", "a;b", "a'b"):
            self.bad("POST", self.d.at("st", "/snapshot"),
                     {"volume": "st:100/vm-100-disk-0.qcow2", "snapname": name, "sync": 1}, "snapname")

    def test_streams(self):
        stream = os.path.join(self.outside, "x")
        at, vol = self.d.at("st"), "st:100/vm-100-disk-0.qcow2"
        for to in ("", "relative", "tcp://x", "unix://relative", "unix://" + "/" + LONG, "unix:///a\nb"):
            self.bad("POST", at + "/export", {"volume": vol, "format": "raw+size", "to": to, "sync": 1}, "to")
            self.bad("POST", at + "/import", {"volume": "st:300/vm-300-disk-0.raw", "format": "raw+size", "from": to, "sync": 1},
                     "from")
        self.bad("POST", at + "/export", {"volume": vol, "format": "zip", "to": "unix://" + stream, "sync": 1}, "format")
        self.bad("POST", at + "/copy", {"volume": vol}, status=(400, 404, 405, 501))

    def test_filters(self):
        self.bad("GET", self.d.at("st", "/content"), {"content": "nonsense"}, "content")
        self.bad("GET", "/nodes/n1/storage", {"content": "nonsense"}, "content")
        self.bad("GET", "/nodes/n1/storage", {"enabled": "maybe"}, "enabled")
        self.bad("GET", "/nodes/n1/tasks", {"limit": "-1"}, "limit")
        self.bad("GET", "/nodes/n1/tasks", {"start": "x"}, "start")
        self.bad("GET", "/nodes/n1/tasks/UPID:nonsense/status", None)
        self.bad("GET", "/nodes/n1/tasks/" + urllib.parse.quote("../../etc/passwd", safe="") + "/log", None)
        self.bad("GET", "/nodes/n1/tasks/" + LONG + "/log", None)
        self.bad("GET", "/nodes/n1/scan/nfs", {"server": "a;b"}, "server")
        self.bad("GET", "/nodes/n1/scan/nfs", {"server": LONG}, "server")
        self.bad("GET", "/nodes/n1/scan/nfs", {"server": ""}, "server")
        for node in ("n2", "..", "a b", LONG):
            self.bad("GET", f"/nodes/{urllib.parse.quote(node, safe='')}/storage", None, status=tuple(range(400, 600)))

    def test_symlinks_lead_nowhere(self):
        os.symlink(self.outside, self.path + "/images/200")
        os.symlink(self.outside + "/secret.iso", self.path + "/template/iso/link.iso")
        os.makedirs(self.path + "/images/300")
        os.symlink(self.outside + "/secret.iso", self.path + "/images/300/vm-300-disk-0.raw")
        os.symlink("../../../../outside/new.raw", self.path + "/images/300/vm-300-disk-1.raw")
        os.symlink(self.outside, self.path + "/images/300/subvol-300-disk-5.subvol")
        self.before = self.state(), os.listdir(self.outside)
        anything = tuple(range(400, 600))
        self.bad("POST", self.d.at("st", "/content"), {"vmid": 200, "filename": "", "size": "4"}, status=anything)
        self.bad("POST", self.d.at("st", "/content"), {"vmid": 300, "filename": "vm-300-disk-1.raw", "size": "4"}, status=anything)
        self.bad("PUT", self.d.at("st", "/resize"), {"volume": "300/vm-300-disk-0.raw", "size": "8M", "sync": 1}, status=anything)
        self.bad("POST", self.d.at("st", "/template"), {"volume": "300/vm-300-disk-0.raw", "sync": 1}, status=anything)
        self.fails(self.d.request("POST", self.d.at("st", "/content/iso%2Flink.iso"), {"target": "local"}))
        self.fails(self.d.request("POST", self.d.at("st", "/content/300%2Fvm-300-disk-0.raw"), {"target": "local"}))
        self.d.request("DELETE", self.d.at("st", "/content/200%2Fsecret.iso"))
        with open(self.outside + "/secret.iso", encoding="ascii") as f:
            self.assertEqual(f.read(), "not yours")
        # What is only a link may be listed or not, and removed as a link; what it points to stays.
        self.d.request("DELETE", self.d.at("st", "/content/300%2Fsubvol-300-disk-5.subvol"))
        self.d.request("DELETE", self.d.at("st", "/content/iso%2Flink.iso"))
        self.d.get("/version")
        self.assertEqual(os.listdir(self.outside), ["secret.iso"])
        with open(self.outside + "/secret.iso", encoding="ascii") as f:
            self.assertEqual(f.read(), "not yours")
        self.before = self.state(), os.listdir(self.outside)

    def test_bodies_over_the_limit(self):
        for size in (MiB + 1, 8 * MiB):
            r = self.d.raw(b"POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                           b"Content-Length: %d\r\n\r\n" % size + b"a=" + b"x" * (size - 2), half_close=False)
            self.assertRegex(r.split(b"\r\n")[0], rb"^HTTP/1.1 413 ")
        big = {"type": "dir", "storage": "new", "path": "/x", "options": "y" * (MiB + 1)}
        self.bad("POST", "/storage", big, status=(413,), form=False)
        r = self.d.raw(b"POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nabc")
        self.assertRegex(r.split(b"\r\n")[0] or b"closed", rb"^(HTTP/1\.\d 4\d\d |closed)")

    def test_truncated_http(self):
        body = b"type=dir&storage=cut&disable=1&path=/tmp/cut-xxxxxxxxxxxxxxxx"
        whole = (b"POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(body)) + body
        for n in (1, 5, 20, 40, 90, len(whole) - 40, len(whole) - 1):
            r = self.d.raw(whole[:n])
            self.assertNotRegex(r.split(b"\r\n")[0], rb" 200 ", f"cut after {n}")
        self.assertNotIn(b"cut", self.d.config_text())

    def test_wrong_content_length(self):
        body = b"type=dir&storage=cut&disable=1&path=/tmp/cut"
        head = b"POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        for length in (b"100", b"-5", b"abc", b"0x10", b""):
            r = self.d.raw(head + b"Content-Length: " + length + b"\r\n\r\n" + body)
            self.assertNotRegex(r.split(b"\r\n")[0], rb" 200 ", length)
        r = self.d.raw(head + b"Content-Length: 10\r\n\r\n" + body)
        self.assertRegex(r.split(b"\r\n")[0], rb" 4\d\d ")
        r = self.d.raw(head + b"\r\n" + body)
        self.assertNotRegex(r.split(b"\r\n")[0], rb" 200 ")
        self.assertNotIn(b"cut", self.d.config_text())

    def test_nonsense_http(self):
        for data in (b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 100000, b"GET /" + b"a" * 100000 +
                     b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /api2/json/version HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
                     b"GET /api2/json/%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /api2/json/version%00x HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET /api2/json/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"POST /api2/json/storage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            with self.subTest(data[:40]):
                r = self.d.raw(data)
                self.assertNotRegex(r.split(b"\r\n")[0], rb" 200 ")

    def test_duplicate_parameters_and_strange_bodies(self):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for body in (b"type=dir&type=nfs&storage=new&path=/x&disable=1", b"%", b"=x", b"a", b"type=%ff%fe&storage=new&path=/x",
                     b"&&&&", b"type=dir&storage=new&path=/x&disable=1&%00=1", b"type[]=dir"):
            with self.subTest(body):
                r = self.d.request("POST", "/storage", body=body, headers=form)
                self.assertTrue(400 <= r.status < 500, repr(r))
        js = {"Content-Type": "application/json"}
        for body in (b'{"type":{"a":1}}', b'{"type":null,"storage":"new"}', b"[" * 100000, b'{"a":' * 5000, b'"x"', b"",
                     b'{"type":"dir","type":"nfs","storage":"new","path":"/x"}', b'{"type":"d\\u0000ir","storage":"new"}',
                     b'{"type":"dir","storage":"new","path":["/x"]}', b'{"type":"\xff","storage":"new","path":"/x"}'):
            with self.subTest(body[:40]):
                r = self.d.request("POST", "/storage", body=body, headers=js)
                self.assertTrue(400 <= r.status < 500, repr(r))
        r = self.d.request("POST", "/storage", body=b"<xml/>", headers={"Content-Type": "text/xml"})
        self.assertTrue(400 <= r.status < 500, repr(r))

    def test_slow_clients_do_not_hold_up_others(self):
        import socket
        stuck = []
        for _ in range(20):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.d.socket)
            s.sendall(b"POST /api2/json/storage HTTP/1.1\r\nContent-Length: 100\r\n\r\nty")
            stuck.append(s)
        self.assertEqual(self.d.get("/version")["apiver"], 15)
        for s in stuck:
            s.close()

    def test_the_command_line(self):
        cases = [("alloc", "st", "100", "", "0"), ("alloc", "st", "100", "", "-1"), ("alloc", "st", "100", "", str(1 << 63)),
                 ("alloc", "st", "100", LONG + ".raw", "4"), ("alloc", "st", "100", "a\nb.raw", "4"), ("alloc", "st", "abc", "", "4"),
                 ("alloc", "st", "100", "../x.raw", "4"), ("add", "floppy", "new", "--path", "/x"),
                 ("add", "dir", "new"), ("add", "dir", "s\n", "--path", "/x"), ("add", "dir", "new", "--path", "/x\ny"),
                 ("add", "dir", LONG, "--path", "/x"), ("add", "dir", "new", "--nosuch", "1"), ("set", "st", "--content", "junk"),
                 ("list", "st", "--content", "junk"), ("list", "..",), ("status", "--enabled", "maybe"),
                 ("free", "nonsense"), ("path", "st:../../etc/passwd"), ("resize", "st:100/vm-100-disk-0.qcow2", "0"),
                 ("snapshot", "st:100/vm-100-disk-0.qcow2", "a b"), ("scan", "nfs"), ("scan", "nfs", "a;b")]
        for args in cases:
            with self.subTest(args=[a[:40] for a in args]):
                self.cli_refused(self.d.pvesm(*args, check=False), 2)

    def test_the_daemons_own_options(self):
        start = lambda root, node: subprocess.run([os.path.join(self.d.build, "storaged"), "--root", root, "--node", node],
                                                  capture_output=True, text=True, timeout=60, check=False)
        other = os.path.join(self.tmp, "other")
        for name in ("a b", "", "../x", "-x", "x-", "a" * 64):
            with self.subTest(node=name):
                r = start(other, name)
                self.assertEqual(r.returncode, 2, r.stderr)
                self.assertIn(f"--node takes the first part of a host name (letters, digits, '-', at most 63), not '{name}'", r.stderr)
                self.assertFalse(os.path.exists(other))
        r = start(self.d.root, "n1")
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertRegex(r.stderr, "another storaged runs here: .*/storaged.lock is locked\n")

    def test_the_sentence_names_what_is_missing(self):
        gone, qcow2, backup = "st:100/vm-100-disk-9.raw", "st:100/vm-100-disk-9.qcow2", "st:backup/vzdump-qemu-100-2020_01_01-00_00_00.vma"
        out = os.path.join(self.tmp, "stream")
        for args in [("free", gone), ("resize", gone, "4M"), ("activate", gone), ("holders", gone), ("export", gone, "raw+size", out),
                     ("rename", gone, "--vmid", "101"), ("template", gone), ("copy", gone, "local"), ("clone", "st:100/base-100-disk-9.raw", "101"),
                     ("snapshot", qcow2, "a1"), ("snapshots", qcow2), ("rollback", qcow2, "a1"), ("notes", backup, "x"), ("protect", backup, "1")]:
            with self.subTest(args=args):
                volname = args[1].split(":", 1)[1]
                self.cli_refused(self.d.pvesm(*args, check=False), 255, f'dir storage "st" has no volume "{volname}"')
        for args, status, words in [(("add", "floppy", "new"), 2, "here are plugins for cephfs, dir,"),
                                    (("lun",), 255, "command 'pvesm lun' needs one of these words behind it"),
                                    (("lun", "nosuch"), 255, "unknown command 'pvesm lun nosuch'"),
                                    (("lun", "extend-vg", "3600"), 2, "vgname: property is missing"),
                                    (("lun", "reduce-vg", "3600"), 2, "vgname: property is missing"),
                                    (("lun", "scan", "--lun", "5"), 2, "give the target, too"),
                                    (("extractconfig", backup), 255, "does not look into backups"),
                                    (("repair", "st", "--code", "NOSUCH"), 255, 'no safe repair for "NOSUCH"')]:
            with self.subTest(args=args):
                self.cli_refused(self.d.pvesm(*args, check=False), status, words)


if __name__ == "__main__":
    main()
