#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The REST API over its Unix socket: envelope, parameters, routes, errors, as Proxmox VE's clients know them."""
import hashlib
import json
import os
import pwd
import socket
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BUILD, DaemonTest, MiB, UnixConnection, main, needs_root, run, wait_until


class Envelope(DaemonTest):
    def test_version(self):
        r = self.d.request("GET", "/version")
        self.assertEqual(r.status, 200)
        self.assertIn("application/json", r.headers["Content-Type"])
        self.assertEqual(set(r.json), {"data"})
        self.assertEqual((r.data["apiver"], r.data["apiage"]), (15, 6))
        self.assertTrue(r.data["version"])

    def test_errors_have_a_reason(self):
        r = self.refused(self.d.request("GET", "/nosuch"), (404, 501))
        r = self.refused(self.d.request("GET", "/storage/nosuch"), (404, 500))
        self.assertIn("nosuch", r.message)
        self.refused(self.d.request("DELETE", "/version"), (404, 405, 501))
        r = self.refused(self.d.request("POST", "/storage", {"storage": "x1"}), 400, "type")
        self.assertTrue(all(isinstance(v, str) for v in r.errors.values()))

    def test_extjs_speaks_in_the_body(self):
        r = self.d.request("GET", "/version", base="/api2/extjs")
        self.assertEqual((r.status, r.json["success"], r.json["data"]["apiver"]), (200, 1, 15))
        r = self.d.request("GET", "/storage/nosuch", base="/api2/extjs")
        self.assertEqual((r.status, r.json["success"]), (200, 0))
        self.assertIn("nosuch", r.json["message"])
        self.assertGreaterEqual(r.json["status"], 400)
        r = self.d.request("POST", "/storage", {"storage": "x1"}, base="/api2/extjs")
        self.assertEqual((r.status, r.json["success"], r.json["status"]), (200, 0, 400))
        self.assertIn("type", r.json["errors"])

    def test_one_connection_many_requests(self):
        c = UnixConnection(self.d.socket)
        for i in range(20):
            c.request("GET", "/api2/json/version" if i % 2 else "/api2/json/nosuch")
            r = c.getresponse()
            r.read()
            self.assertEqual(r.status == 200, i % 2 == 1)
        c.close()

    def test_parameters_in_query_form_and_json(self):
        path = os.path.join(self.tmp, "x")
        self.assertEqual(len(self.d.get("/storage", type="dir")), 1)
        r = self.d.request("POST", "/storage", {"type": "dir", "storage": "form", "path": path + "1", "disable": 1})
        self.assertEqual((r.status, r.data["storage"], r.data["type"]), (200, "form", "dir"))
        r = self.d.request("POST", "/storage", {"type": "dir", "storage": "json", "path": path + "2", "disable": True},
                           form=False)
        self.assertEqual(r.status, 200, repr(r))
        r = self.d.request("PUT", "/storage/json", {"max-protected-backups": 3}, form=False)
        self.assertEqual(r.status, 200, repr(r))
        self.assertEqual(int(self.d.get("/storage/json")["max-protected-backups"]), 3)
        self.refused(self.d.request("POST", "/storage", body=b"{broken", headers={"Content-Type": "application/json"}), 400)
        self.refused(self.d.request("POST", "/storage", body=b"[1,2]", headers={"Content-Type": "application/json"}), 400)

    def test_unknown_parameters_are_named(self):
        r = self.refused(self.d.request("GET", "/storage", {"colour": "blue"}), 400, "colour")
        self.assertIn("not defined in schema", r.errors["colour"])

    def test_schema_describes_itself(self):
        schema = self.d.get("/schema")
        routes = {(r["method"], r["path"]): r for r in schema["routes"]}
        for key in (("GET", "/version"), ("POST", "/storage"), ("GET", "/nodes/{node}/storage"),
                    ("POST", "/nodes/{node}/storage/{storage}/content"), ("GET", "/nodes/{node}/tasks/{upid}/status")):
            self.assertIn(key, routes)
        self.assertTrue(all(r.get("description") for r in schema["routes"]))
        types = {t.get("type") or t.get("name"): t for t in schema["types"]}
        self.assertLessEqual({"dir", "nfs", "lvm", "rbd", "pbs"}, set(types))
        names = json.dumps(types["nfs"])
        for word in ("server", "export", "options", "preallocation"):
            self.assertIn(f'"{word}"', names)

    @needs_root()
    def test_callers_without_rights(self):
        nobody = pwd.getpwnam("nobody")
        os.chmod(self.root, 0o755)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
                try:
                    r = self.d.request("GET", "/storage")
                    code = 0 if r.status in (401, 403) else 2
                except (PermissionError, socket.error):
                    code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "a stranger is refused")


class Storages(DaemonTest):
    def test_create_read_update_delete(self):
        path = os.path.join(self.tmp, "store")
        self.d.post("/storage", type="dir", storage="st", path=path, content="iso,images")
        s = self.d.get("/storage/st")
        self.assertEqual((s["type"], s["path"], s["storage"]), ("dir", path, "st"))
        self.assertEqual(set(s["content"].split(",")), {"iso", "images"})
        self.assertEqual(s["digest"], hashlib.sha1(self.d.config_text()).hexdigest())
        self.assertTrue(os.path.isdir(os.path.join(path, "template/iso")), "adding activates")
        self.d.put("/storage/st", content="backup", prune_backups="keep-last=3")
        s = self.d.get("/storage/st")
        self.assertEqual((s["content"], s["prune-backups"]), ("backup", "keep-last=3"))
        self.d.put("/storage/st", delete="prune-backups")
        self.assertNotIn("prune-backups", self.d.get("/storage/st"))
        self.assertEqual(sorted(row["storage"] for row in self.d.get("/storage")), ["local", "st"])
        self.assertIsNone(self.d.delete("/storage/st"))
        self.refused(self.d.request("GET", "/storage/st"), (404, 500))

    def test_digest_guards_against_a_lost_update(self):
        self.d.add_dir("st")
        old = self.d.get("/storage/st")["digest"]
        self.d.put("/storage/st", digest=old, disable=1)
        before = self.d.config_text()
        r = self.refused(self.d.request("PUT", "/storage/st", {"digest": old, "disable": 0}), (400, 409, 412, 500))
        self.assertIn("detected modified configuration", r.message + str(r.errors))
        self.assertEqual(self.d.config_text(), before)
        self.refused(self.d.request("PUT", "/storage/st", {"digest": "no-sha", "disable": 0}), (400, 409, 412, 500))

    def test_filter_by_type(self):
        self.d.add_dir("st")
        self.assertEqual([s["storage"] for s in self.d.get("/storage", type="dir")], ["local", "st"])
        self.assertEqual(self.d.get("/storage", type="lvm"), [])
        self.refused(self.d.request("GET", "/storage", {"type": "floppy"}), 400, "type")

    def test_types_without_a_plugin_are_kept_and_unsupported(self):
        self.write_config("zfspool: ceph\n\tpool kube\n\tcontent images\n\n")
        wait_until(lambda: "ceph" in [s["storage"] for s in self.d.get("/storage")], "the definition is read", 5)
        self.assertEqual(self.d.get("/storage/ceph")["pool"], "kube")
        row = self.d.status("ceph")
        self.assertEqual((row["active"], row["state"]), (0, "unsupported"))
        self.assertIn("zfspool", row.get("reason", ""))
        r = self.refused(self.d.request("GET", self.d.at("ceph", "/content")), 501)
        self.assertIn("zfspool", r.message)
        before = self.d.config_text()
        r = self.refused(self.d.request("POST", "/storage", {"type": "zfspool", "storage": "san", "pool": "tank"}), 501)
        self.assertIn("zfspool", r.message)
        self.assertEqual(self.d.config_text(), before)
        self.d.add_dir("st")
        self.assertIn(b"zfspool: ceph\n\tpool kube\n\tcontent images\n", self.d.config_text())
        self.d.delete("/storage/ceph")


class Nodes(DaemonTest):
    def test_nodes(self):
        rows = self.d.get("/nodes")
        self.assertEqual([(r["node"], r["status"], r["type"]) for r in rows], [("n1", "online", "node")])
        rows = self.d.get("/nodes/localhost/storage")
        self.assertEqual([r["storage"] for r in rows], ["local"])
        names = {row.get("name") or row.get("subdir") for row in self.d.get("/nodes/n1")}
        self.assertLessEqual({"storage", "scan", "tasks"}, names)
        r = self.d.request("GET", "/nodes/elsewhere/storage")
        self.refused(r, tuple(range(400, 600)))
        self.assertIn("elsewhere", r.message + str(r.errors))

    def test_status_rows(self):
        self.d.add_dir("st", content="images,iso", shared=1)
        row = self.d.settled("st", "active")
        for key in ("storage", "type", "content", "active", "enabled", "shared", "total", "used", "avail", "used_fraction"):
            self.assertIn(key, row)
        self.assertEqual((row["type"], row["active"], row["enabled"], row["shared"]), ("dir", 1, 1, 1))
        self.assertAlmostEqual(row["used_fraction"], row["used"] / row["total"], places=3)
        one = self.d.get(self.d.at("st", "/status"))
        self.assertEqual((one["type"], one["total"]), ("dir", row["total"]))
        rows = self.d.get("/nodes/n1/storage", storage="st", format=1)
        self.assertEqual([r["storage"] for r in rows], ["st"])
        self.assertEqual(rows[0]["formats"]["default"], "raw")
        self.assertIn("qcow2", rows[0]["formats"]["supported"])
        self.assertEqual(self.d.get("/nodes/n1/storage", content="vztmpl", storage="st"), [])
        self.assertIn("content", {r["subdir"] for r in self.d.get(self.d.at("st"))})

    def test_scan_index(self):
        self.assertIn("nfs", {row["method"] for row in self.d.get("/nodes/n1/scan")})
        self.refused(self.d.request("GET", "/nodes/n1/scan/nfs"), 400, "server")
        self.refused(self.d.request("GET", "/nodes/n1/scan/floppy"), (400, 404, 501))


class Content(DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = self.d.add_dir("st", content="images,iso,backup,snippets,import,vztmpl")

    def test_life_of_a_volume(self):
        volid = self.d.alloc("st", 100, "", "1M")
        self.assertEqual(volid, "st:100/vm-100-disk-0.raw")
        rows = self.d.content("st")
        self.assertEqual(len(rows), 1)
        self.assertEqual({k: rows[0][k] for k in ("volid", "content", "format", "size", "vmid")},
                         {"volid": volid, "content": "images", "format": "raw", "size": MiB, "vmid": 100})
        # {volume} with or without the storage, slashes encoded or not
        for name in ("100/vm-100-disk-0.raw", "100%2Fvm-100-disk-0.raw", "st:100/vm-100-disk-0.raw", "st%3A100%2Fvm-100-disk-0.raw"):
            one = self.d.get(self.d.at("st", "/content/" + name))
            self.assertEqual((one["path"], one["size"], one["format"]),
                             (f"{self.path}/images/100/vm-100-disk-0.raw", MiB, "raw"))
        self.refused(self.d.request("GET", self.d.at("st", "/content/local:100/vm-100-disk-0.raw")), 400)
        self.refused(self.d.request("GET", self.d.at("st", "/content/100/vm-100-disk-7.raw")), 404)
        upid = self.d.delete(self.d.at("st", "/content/" + volid))
        if upid:
            self.d.done(upid)
        self.assertEqual(self.d.content("st"), [])
        self.assertIn("vm-100-disk-0.raw", self.fails(self.d.request("DELETE", self.d.at("st", "/content/" + volid))))

    def test_notes_and_protection(self):
        name = "vzdump-qemu-100-2026_01_01-10_00_00.vma"
        os.makedirs(self.path + "/dump", exist_ok=True)
        open(f"{self.path}/dump/{name}", "wb").close()
        at = self.d.at("st", "/content/backup/" + name)
        self.assertIsNone(self.d.put(at, notes="first line\nsecond: ä€😀", protected=1))
        one = self.d.get(at)
        self.assertEqual((one["notes"], one["protected"]), ("first line\nsecond: ä€😀", 1))
        self.assertIn("protected", self.fails(self.d.request("DELETE", at)))
        self.d.put(at, protected=0, notes="")
        self.assertFalse(os.path.exists(f"{self.path}/dump/{name}.notes"))
        upid = self.d.delete(at)
        if upid:
            self.d.done(upid)
        self.assertEqual(os.listdir(self.path + "/dump"), [])

    def upload(self, content, filename, data, **fields):
        boundary = "----boundary7MA4YWxk"
        parts = b""
        for key, value in dict(content=content, **fields).items():
            parts += f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        parts += (f'--{boundary}\r\nContent-Disposition: form-data; name="filename"; filename="{filename}"\r\n'
                  "Content-Type: application/octet-stream\r\n\r\n").encode() + data + f"\r\n--{boundary}--\r\n".encode()
        return self.d.request("POST", self.d.at("st", "/upload"), body=parts,
                              headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def test_upload(self):
        data = os.urandom(3 * MiB + 17)
        r = self.upload("iso", "debian 12.iso", data)
        self.assertEqual(r.status, 200, repr(r))
        self.assertRegex(r.data, r"^UPID:n1:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:")
        self.d.done(r.data)
        self.assertEqual(self.d.volids("st"), ["st:iso/debian_12.iso"])
        with open(self.path + "/template/iso/debian_12.iso", "rb") as f:
            self.assertEqual(f.read(), data)

    def test_upload_checksum(self):
        data = b"an image"
        good, name = hashlib.sha256(data).hexdigest(), {"checksum-algorithm": "sha256"}
        self.d.done(self.upload("iso", "a.iso", data, checksum=good, **name).data)
        r = self.upload("iso", "b.iso", data, checksum="0" * 64, **name)
        self.assertRegex(self.fails(r), "sha256|checksum")
        self.assertEqual(self.d.volids("st"), ["st:iso/a.iso"])

    def test_upload_refusals(self):
        before = self.state()
        for content, name in (("iso", "a.exe"), ("images", "a.raw"), ("nonsense", "a.iso"), ("iso", "../../etc/a.iso/.."),
                              ("iso", ""), ("vztmpl", "a.iso"), ("iso", "x" * 5000 + ".iso")):
            with self.subTest(content=content, name=name[:20]):
                r = self.upload(content, name, b"data")
                self.fails(r, (400, 413, 403))
        self.assertEqual(self.state(), before)
        left = os.path.join(self.root, "var/lib/storaged")
        spooled = [os.path.join(d, f) for d, _, files in os.walk(left) for f in files if "/tasks" not in d]
        spooled += [os.path.join(d, f) for d, _, files in os.walk(self.root + "/run") for f in files if "upload" in f]
        self.assertEqual([f for f in spooled if os.path.getsize(f) and "upload" in f], [], "nothing spooled stays")

    def test_copy(self):
        self.d.add_dir("tt")
        volid = self.d.alloc("st", 100, "", "1M")
        with open(self.d.path(volid), "r+b") as f:
            f.write(b"x" * 100000)
        self.d.done(self.d.post(self.d.at("st", "/content/" + volid), target="tt"))
        copies = self.d.volids("tt")
        self.assertEqual(len(copies), 1)
        with open(self.d.path(volid), "rb") as a, open(self.d.path(copies[0]), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_prune(self):
        os.makedirs(self.path + "/dump", exist_ok=True)
        for day in range(1, 6):
            for end in ("", ".notes"):
                open(f"{self.path}/dump/vzdump-qemu-100-2026_01_0{day}-10_00_00.vma{end}", "wb").close()
            open(f"{self.path}/dump/vzdump-qemu-100-2026_01_0{day}-10_00_00.log", "wb").close()
        rows = self.d.get(self.d.at("st", "/prunebackups"), prune_backups="keep-last=2")
        self.assertEqual([r["mark"] for r in sorted(rows, key=lambda r: r["ctime"])],
                         ["remove", "remove", "remove", "keep", "keep"])
        self.d.done(self.d.delete(self.d.at("st", "/prunebackups"), prune_backups="keep-last=2"))
        self.assertEqual(sorted(os.listdir(self.path + "/dump")),
                         [f"vzdump-qemu-100-2026_01_0{d}-10_00_00.{e}" for d in (4, 5) for e in ("log", "vma", "vma.notes")])
        self.refused(self.d.request("GET", self.d.at("st", "/prunebackups"), {"prune-backups": "keep-sometimes=1"}), 400,
                     "prune-backups")
        self.refused(self.d.request("GET", self.d.at("st", "/prunebackups"), {"prune-backups": "keep-all=1,keep-last=2"}), 400)

    def test_ours(self):
        volid = self.d.alloc("st", 100, "vm-100-disk-0.qcow2", "1M")
        self.assertEqual(self.d.get("/nodes/n1/info", volume=volid)["vmid"], 100)
        self.assertEqual(self.d.get(self.d.at("st", "/info"), volume=volid)["format"], "qcow2")
        self.d.put(self.d.at("st", "/resize"), volume=volid, size="2M", sync=1)
        self.assertEqual(self.d.content("st")[0]["size"], 2 * MiB)
        self.d.post(self.d.at("st", "/snapshot"), volume=volid, snapname="a1", sync=1)
        snaps = self.d.get(self.d.at("st", "/snapshot"), volume=volid)
        self.assertIn("a1", [s["name"] for s in snaps])
        self.d.post(self.d.at("st", "/rollback"), volume=volid, snapname="a1", sync=1)
        self.d.delete(self.d.at("st", "/snapshot"), volume=volid, snapname="a1", sync=1)
        base = self.d.post(self.d.at("st", "/template"), volume=volid, sync=1)
        self.assertEqual(base, "st:100/base-100-disk-0.qcow2")
        clone = self.d.post(self.d.at("st", "/clone"), volume=base, vmid=200, sync=1)
        self.assertEqual(clone, "st:100/base-100-disk-0.qcow2/200/vm-200-disk-0.qcow2")
        self.assertEqual(self.d.get(self.d.at("st", "/holders"), volume=clone), [])
        self.assertIsInstance(self.d.get(self.d.at("st", "/health")), list)
        self.assertIsInstance(self.d.get("/cluster/locks"), (list, dict))

    def test_config_check_of_a_text(self):
        found = self.d.post("/nodes/n1/config/check", text="dir: x1\n\tpath /x\n\nnonsense: y1\n\tfoo bar\n\n")
        self.assertIn("x1", found["ids"])
        self.assertEqual([w["line"] for w in found["warnings"]], [4])


class OneShot(DaemonTest):
    """`storaged --once METHOD PATH [BODY]`: the same routes, without a daemon."""
    wants_daemon = False

    def test_answers_one_request(self):
        program = os.path.join(BUILD, "storaged")
        os.makedirs(self.root)
        r = run(program, "--root", self.root, "--node", "n1", "--once", "GET", "/version")
        status, body = r.out.split("\n", 1)
        self.assertIn("200", status)
        self.assertEqual(json.loads(body)["data"]["apiver"], 15)
        r = run(program, "--root", self.root, "--node", "n1", "--once", "GET", "/nosuch", check=False)
        self.assertIsNone(json.loads(r.out.split("\n", 1)[1])["data"])


if __name__ == "__main__":
    main()
