#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rbd storage while its cluster fails: every call ends soon and says what is wrong, other storages don't notice, and it
comes back by itself. Workers killed between steps leave nothing half-made."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import SCALE, CephTest, ceph, scaled
from harness import MiB, main, run, wait_until

SOON = 5.0          # what is promised
BUSY = 3 * SOON     # what this machine may take with everything else that runs on it


class FaultCase(CephTest):
    def setUp(self):
        super().setUp()
        self.pool = self.add_rbd("kube")
        self.d.add_dir("other")
        self.d.settled("kube", "active")

    def volume(self, vmid=100, **more):
        return self.d.alloc("kube", vmid=vmid, size="4096", **more)

    def reason_of(self, method, path, **params):
        """Why it failed, and after how many seconds."""
        self.watch, begun = self.yard(), time.monotonic()
        reply = self.d.request(method, path, params or None, timeout=60)
        return self.fails(reply), time.monotonic() - begun

    def assert_soon(self, seconds, what):
        self.assertLess(seconds, self.watch.allows(BUSY), what)
        if seconds > SOON:
            print(f"      {what}: {seconds:.1f} s, more than {SOON:g} s, on a busy machine", flush=True)

    def goes_out(self, *words):
        """The storage says within seconds that it is out, and one of the words why; the other storage works."""
        self.watch, begun = self.yard(), time.monotonic()
        row = wait_until(lambda: (lambda r: r if r["state"] == "unresponsive" else None)(self.d.status("kube")), "kube is unresponsive", 30)
        seconds = time.monotonic() - begun
        wait_until(lambda: any(w in self.d.status("kube").get("reason", "") for w in words), f"the reason, one of {words}; was {row}", 30)
        self.assert_soon(seconds, f"noticed: {row.get('reason')}")
        self.within(5, lambda: self.d.done(self.d.delete(self.d.at("other", "/content/" + self.d.alloc("other", vmid=100, size="1024")))))
        return seconds

    def comes_back(self):
        begun = time.monotonic()
        self.d.settled("kube", "active", deadline=60)
        # An OSD that was stopped answers when it has caught up: until then each call says that it is silent.
        params = dict(vmid=999, filename="", size="4096")
        made = wait_until(lambda: (lambda r: r if r.status == 200 else None)(self.d.request("POST", self.d.at("kube", "/content"), params)), "it takes volumes again", 60)
        self.d.done(self.d.delete(self.d.at("kube", "/content/" + made.data)))
        return time.monotonic() - begun


class OneOfEach(FaultCase):
    def test_a_monitor_that_hangs_and_comes_back(self):
        ceph.mon_stop(self.lab, "a")
        try:
            noticed = self.goes_out("mon unreachable")
            words, seconds = self.reason_of("POST", self.d.at("kube", "/content"), vmid=100, filename="", size="4096")
            self.assertIn("mon unreachable", words)
            self.assertLess(seconds, self.watch.allows(SOON))
        finally:
            ceph.mon_resume(self.lab, "a")
        print(f"      noticed after {noticed:.1f} s, back after {self.comes_back():.1f} s", flush=True)

    def test_an_osd_that_hangs_during_each_operation(self):
        base, snapped = self.volume(), self.volume()
        other = self.volume()
        base = self.d.done(self.d.post(self.d.at("kube", "/template"), volume=base))
        self.d.done(self.d.post(self.d.at("kube", "/snapshot"), volume=snapped, snapname="s1"))
        at = self.d.at
        calls = {
            "alloc": ("POST", at("kube", "/content"), dict(vmid=100, filename="", size="4096")),
            "free": ("DELETE", at("kube", "/content/" + other), {}),
            "resize": ("PUT", at("kube", "/resize"), dict(volume=other, size="8192")),
            "snapshot": ("POST", at("kube", "/snapshot"), dict(volume=other, snapname="s1")),
            "delsnapshot": ("DELETE", at("kube", "/snapshot"), dict(volume=snapped, snapname="s1")),
            "rollback": ("POST", at("kube", "/rollback"), dict(volume=snapped, snapname="s1")),
            "clone": ("POST", at("kube", "/clone"), dict(volume=base, vmid=200)),
            "template": ("POST", at("kube", "/template"), dict(volume=other)),
            "rename": ("POST", at("kube", "/rename"), dict(volume=other, vmid=300)),
            "activate": ("POST", at("kube", "/activate"), dict(volume=other)),
            "holders": ("GET", at("kube", "/holders"), dict(volume=other)),
            "list": ("GET", at("kube", "/content"), {}),
        }
        for name, (method, path, params) in list(calls.items())[::1 if SCALE >= 1 else 3]:
            with self.subTest(name):
                self.d.settled("kube", "active", deadline=60)
                ceph.osd_stop(self.lab, 0)
                try:
                    words, seconds = self.reason_of(method, path, **params)
                finally:
                    ceph.osd_resume(self.lab, 0)
                self.assertRegex(words, "osd (silent|down)|mon unreachable|unresponsive|time is over|not answer", name)
                self.assert_soon(seconds, f"{name}: {words}")
        self.comes_back()
        self.assertIn(snapped, self.d.volids("kube"))

    def test_a_full_cluster_says_so(self):
        for ratio in ("nearfull", "backfillfull", "full"):
            self.mon(f"osd set-{ratio}-ratio", ratio=1e-7)
        try:
            wait_until(lambda: "OSD_FULL" in ceph.checks(self.lab), "the cluster is full", 30, 0.2)
            begun = time.monotonic()
            words = wait_until(lambda: (lambda w: w if "osd full" in w else None)(self.d_alloc_reason()), "osd full", 60)
            self.assertIn("osd full", words)
            self.assertLess(time.monotonic() - begun, 60)
        finally:
            for ratio, value in (("full", 0.95), ("backfillfull", 0.90), ("nearfull", 0.85)):
                self.mon(f"osd set-{ratio}-ratio", ratio=value)
        wait_until(lambda: "OSD_FULL" not in ceph.checks(self.lab), "the cluster is not full any more", 30, 0.2)
        self.comes_back()

    def d_alloc_reason(self):
        reply = self.d.request("POST", self.d.at("kube", "/content"), dict(vmid=100, filename="", size="4096"), timeout=60)
        return reply.message if reply.status != 200 else ""

    def test_keys_and_names_that_are_wrong(self):
        known = self.new_key("poor", mon="allow r")
        strange = "[client.admin]\n\tkey = AQA/nQFrMVPMHxAAjrvL8VXJV+OxtR2m3JPP4A==\n"
        for name, keyring, more, words in (
                ("strange", strange, {}, "permission denied: needs profile rbd"),
                ("poor", known, {"username": "poor"}, "permission denied: needs profile rbd"),
                ("nobody", strange, {"username": "nobody"}, "permission denied: needs profile rbd"),
                ("nopool", None, {"pool": "nothing-such"}, "no pool 'nothing-such'"),
                ("nospace", None, {"pool": self.pool, "namespace": "ns1"}, "no namespace 'ns1'"),
                ("nodata", None, {"pool": self.pool, "data_pool": "nothing-such"}, "no pool 'nothing-such'")):
            with self.subTest(name):
                path = os.path.join(self.tmp, name)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(keyring or self.admin_keyring())
                more = {"pool": self.pool} | more
                self.watch, begun = self.yard(), time.monotonic()
                r = self.d.pvesm("add", "rbd", name, "--monhost", "127.0.0.1", "--keyring", path,
                                 *(w for k, v in more.items() for w in (f"--{k.replace('_', '-')}", v)), check=False)
                said = r.err if r.rc else wait_until(lambda n=name: self.d.status(n).get("reason"), "the reason", 30)
                self.assertIn(words, said)
                self.assert_soon(time.monotonic() - begun, name)
        self.assertEqual(self.d.status("kube")["state"], "active")

    def test_namespace_and_data_pool(self):
        ceph.make_pools(self.lab, ["bulk"])
        self.python("rbd.RBD().namespace_create(io(sys.argv[1]), 'team')", self.pool)
        self.add_rbd("team", pool=self.pool, namespace="team", data_pool="bulk")
        mine = self.d.alloc("team", vmid=100, size="4096")
        self.assertEqual(self.d.volids("team"), ["team:vm-100-disk-0"])
        self.assertEqual(self.d.volids("kube"), [])
        self.assertIn(f"rbd:{self.pool}/team/vm-100-disk-0:", self.d.path(mine))
        self.inside("qemu-io", "-f", "raw", "-c", "write -P 5 0 64k", self.d.path(mine))
        told = self.python("print(len(list(io('bulk', 'team').list_objects())), len(list(io(sys.argv[1]).list_objects())))", self.pool).stdout
        self.assertEqual(told.split()[0], "1", told)

    def test_a_local_cluster_by_its_ceph_conf(self):
        with open(ceph.host_conf(self.lab), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(self.root, "etc/pve/ceph.conf"), "w", encoding="utf-8") as f:
            f.write(text)
        self.d.pvesm("add", "rbd", "local-ceph", "--pool", self.pool)
        volid = self.d.alloc("local-ceph", vmid=100, size="4096")
        self.assertIn(f":conf={self.root}/etc/pve/ceph.conf:id=admin", self.d.path(volid))
        self.inside("qemu-img", "info", self.d.path(volid))

    def test_no_secret_is_told(self):
        secret = self.admin_keyring().split("key = ")[1].split()[0]
        self.volume()
        self.assertNotIn(secret, self.d.log + self.d.config_text().decode())
        self.assertEqual(os.stat(os.path.join(self.root, "etc/pve/priv/ceph/kube.keyring")).st_mode & 0o777, 0o600)

    def test_five_thousand_images(self):
        n = scaled(5000)
        self.python("""
ctx, n = io(sys.argv[1]), int(sys.argv[2])
for i in range(n):
    rbd.RBD().create(ctx, f'vm-{100 + i // 50}-disk-{i % 50}', (1 + i % 7) << 20)
""", self.pool, n, timeout=250)
        begun = time.monotonic()
        rows = self.d.content("kube")
        print(f"      list of {n}: {(time.monotonic() - begun) * 1000:.0f} ms", flush=True)
        self.assertEqual(len(rows), n)
        for i, row in enumerate(sorted(rows, key=lambda r: (r["vmid"], int(r["volid"].rpartition("-")[2])))):
            self.assertEqual((row["volid"], row["size"]), (f"kube:vm-{100 + i // 50}-disk-{i % 50}", (1 + i % 7) * MiB))
        self.assertEqual(self.volume(vmid=100), f"kube:vm-100-disk-{min(n, 50)}")


class Steps(CephTest):
    """A worker is killed between two steps; the operation is done again by another one, and nothing is left."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A killed client is forgotten in 10 s instead of 30: less to wait for.
        ceph.command(cls.lab, {"prefix": "config set", "who": "osd", "name": "osd_client_watch_timeout", "value": "10"})

    def killed_at(self, point, operation):
        """operation(d) runs into the kill; gives a daemon without it."""
        self.d.stop()
        d = self.start_daemon(env={"STORAGED_FAULTS": f"{point}=kill"})
        d.settled("kube", "active")
        self.fails(operation(d))
        self.assertIn("killed", d.log, f"{point} was never passed")
        d.stop()
        d = self.start_daemon()
        d.settled("kube", "active")
        return d

    def leftovers(self, pool):
        out = self.python("""
ctx = io(sys.argv[1])
print(json.dumps({'images': rbd.RBD().list(ctx), 'trash': [t['name'] for t in rbd.RBD().trash_list(ctx)]}))
""", pool).stdout
        return json.loads(out)

    def test_killed_between_steps(self):
        pool = self.add_rbd()
        at = self.d.at
        v = [self.d.alloc("kube", vmid=100, size="4096") for _ in range(4)]
        self.d.done(self.d.post(at("kube", "/snapshot"), volume=v[0], snapname="s1"))
        steps = {
            "rbd.snapshot.before": lambda d: d.request("POST", at("kube", "/snapshot"), dict(volume=v[0], snapname="s2")),
            "rbd.rollback.before": lambda d: d.request("POST", at("kube", "/rollback"), dict(volume=v[0], snapname="s1")),
            "rbd.delete_snapshot.before": lambda d: d.request("DELETE", at("kube", "/snapshot"), dict(volume=v[0], snapname="s1")),
            "rbd.rename.before": lambda d: d.request("POST", at("kube", "/rename"), dict(volume=v[0], vmid=300)),
            "rbd.activate.checked": lambda d: d.request("POST", at("kube", "/activate"), dict(volume=v[0])),
            "rbd.alloc.created": lambda d: d.request("POST", at("kube", "/content"), dict(vmid=101, filename="", size="4096")),
            "rbd.free.marked": lambda d: d.request("DELETE", at("kube", "/content/" + v[3])),
            "rbd.free.in-trash": lambda d: d.request("DELETE", at("kube", "/content/" + v[2])),
        }
        for point, operation in steps.items():
            with self.subTest(point):
                d = self.killed_at(point, operation)
                self.assertEqual([s["name"] for s in d.get(at("kube", "/snapshot"), volume=v[0])], ["s1"], "all or nothing")
        d.put(at("kube", "/resize"), volume=v[0], size="8192")
        wait_until(lambda: not self.leftovers(pool)["trash"], "the trash is empty", 60, 0.5)
        self.assertNotIn(v[2], d.volids("kube"), "freed is freed")
        self.assertIn(v[3], d.volids("kube"), "not yet freed is whole")
        d.done(d.delete(at("kube", "/content/" + v[3])))

    def test_killed_while_a_template_is_made(self):
        self.add_rbd()
        v = self.d.alloc("kube", vmid=100, size="4096")

        def template(d):
            return d.request("POST", d.at("kube", "/template"), dict(volume=v))
        d = self.killed_at("rbd.template.snapshot-made", template)
        self.assertEqual(d.volids("kube"), [v])
        # The killed client counts as one that has the image open until its watch is over.
        base = wait_until(lambda: (lambda s: s.get("result") if s["exitstatus"] == "OK" else None)(d.wait_task(template(d).data)),
                          "the template, made again", 60, 0.5)
        self.assertEqual(base, "kube:base-100-disk-0")
        d = self.killed_at("rbd.clone.before", lambda d: d.request("POST", d.at("kube", "/clone"), dict(volume=base, vmid=200)))
        clone = d.done(d.post(d.at("kube", "/clone"), volume=base, vmid=200))
        self.assertEqual(clone, "kube:base-100-disk-0/vm-200-disk-0")
        self.assertIn("linked clone", self.fails(d.request("DELETE", d.at("kube", "/content/" + base))))

    def test_killed_while_a_stream_comes_in(self):
        pool = self.add_rbd()
        stream = (8 * MiB).to_bytes(8, "little") + os.urandom(8 * MiB)
        for point in ("rbd.import.created", "rbd.import.filled"):
            with self.subTest(point):
                self.d.stop()
                d = self.start_daemon(env={"STORAGED_FAULTS": f"{point}=kill"})
                r = d.pvesm("import", "kube:vm-100-disk-0", "raw+size", "-", stdin=stream, check=False)
                self.assertNotEqual(r.rc, 0, repr(r))
                self.assertEqual(d.volids("kube"), [])
        d.stop()
        d = self.start_daemon()
        wait_until(lambda: (d.pvesm("list", "kube"), self.touch(d), not self.leftovers(pool)["images"])[2],
                   "what the killed imports made is removed", 90, 1)
        d.pvesm("import", "kube:vm-100-disk-0", "raw+size", "-", stdin=stream)
        out = run(os.path.join(d.build, "pvesm"), "export", "kube:vm-100-disk-0", "raw+size", os.path.join(self.tmp, "out"), env=d.env)
        with open(os.path.join(self.tmp, "out"), "rb") as f:
            self.assertEqual(f.read(), stream, repr(out))

    @staticmethod
    def touch(d):
        """Activations remove what is left: a changed definition gets a new worker, and its first change activates."""
        d.pvesm("set", "kube", "--content", "images" if "rootdir" in d.get("/storage/kube")["content"] else "images,rootdir")
        d.done(d.delete(d.at("kube", "/content/" + d.alloc("kube", vmid=900, size="1024"))))

    def test_snapshots_travel(self):
        self.add_rbd()
        d = self.d
        v = d.alloc("kube", vmid=100, size="8192")
        for pattern, snap in ((1, "s1"), (2, "s2"), (3, None)):
            self.inside("qemu-io", "-f", "raw", "-c", f"write -P {pattern} {pattern}M 64k", "-c", f"write -P {pattern} 0 4k", d.path(v))
            if snap:
                d.done(d.post(d.at("kube", "/snapshot"), volume=v, snapname=snap))
        out = os.path.join(self.tmp, "stream")
        d.pvesm("export", v, "rbd+size", out, "--with-snapshots", "1")
        self.assertLess(os.path.getsize(out), 40 * MiB)
        d.pvesm("import", "kube:vm-200-disk-0", "rbd+size", out, "--with-snapshots", "1")
        copy = "kube:vm-200-disk-0"
        self.assertEqual([s["name"] for s in d.get(d.at("kube", "/snapshot"), volume=copy)], ["s1", "s2"])
        for volume in (v, copy):
            for snap, first in (("s1", 1), ("s2", 2), (None, 3)):
                name = volume.split(":")[1]
                path = d.path(volume).replace(f"/{name}:", f"/{name}@{snap}:" if snap else f"/{name}:")
                r = self.inside("qemu-io", "-r", "-f", "raw", "-c", f"read -P {first} 0 4k", "-c", f"read -P {first} {first}M 64k",
                                "-c", f"read -P 0 {first + 1}M 64k", path)
                self.assertNotIn("verification failed", r.out, f"{volume} {snap}")

    # --- differences from a chosen snapshot
    def fill(self, d, volume, pattern, snap=None):
        """One pattern at its own place and at the beginning, and maybe a snapshot of that."""
        self.inside("qemu-io", "-f", "raw", "-c", f"write -P {pattern} {pattern}M 64k", "-c", f"write -P {pattern} 0 4k", d.path(volume))
        if snap:
            d.done(d.post(d.at("kube", "/snapshot"), volume=volume, snapname=snap))

    def holds(self, d, volume, first, snap=None, upto=None):
        """The image is as it was after fill(first)."""
        name = volume.split(":")[1]
        path = d.path(volume).replace(f"/{name}:", f"/{name}@{snap}:" if snap else f"/{name}:")
        r = self.inside("qemu-io", "-r", "-f", "raw", "-c", f"read -P {first} 0 4k", "-c", f"read -P {first} {first}M 64k",
                        *(() if upto == first else ("-c", f"read -P 0 {first + 1}M 64k")), path)
        self.assertNotIn("verification failed", r.out, f"{volume}@{snap}")

    def names(self, d, volume):
        return [s["name"] for s in d.get(d.at("kube", "/snapshot"), volume=volume)]

    def source_and_copy(self):
        """vm-100 with s1, s2, s3 and more; vm-200, its copy as of s1."""
        self.add_rbd()
        d = self.d
        v = d.alloc("kube", vmid=100, size="16M")
        out = os.path.join(self.tmp, "whole")
        self.fill(d, v, 1, "s1")
        d.pvesm("export", v, "rbd+size", out, "--with-snapshots", "1")
        d.pvesm("import", "kube:vm-200-disk-0", "rbd+size", out, "--with-snapshots", "1")
        self.fill(d, v, 2, "s2")
        self.fill(d, v, 3, "s3")
        self.fill(d, v, 4)
        return d, v, "kube:vm-200-disk-0"

    def export(self, d, volume, name, *words):
        path = os.path.join(self.tmp, name)
        d.pvesm("export", volume, "rbd+size", path, *words)
        return path

    def test_differences_from_a_chosen_snapshot(self):
        d, v, copy = self.source_and_copy()
        one = self.export(d, v, "one", "--base", "s1", "--snapshot", "s2")
        two = self.export(d, v, "two", "--base", "s2", "--snapshot", "s3", "--with-snapshots", "1")
        live = self.export(d, v, "live", "--base", "s3")
        for path in (one, two, live):
            self.assertLess(os.path.getsize(path), 9 * MiB, "the differences alone: two objects")
        for words, said in ((("--base", "s2", "--snapshot", "s1"), "is not older than"), (("--base", "s9"), "no snapshot 's9'"),
                            (("--base", "s1", "--snapshot", "s9"), "no snapshot 's9'")):
            r = d.pvesm("export", v, "rbd+size", os.path.join(self.tmp, "none"), *words, check=False)
            self.assertIn(said, r.err, repr(r))
        self.assertIn("rbd+size", d.pvesm("export", v, "raw+size", os.path.join(self.tmp, "none"), "--base", "s1", check=False).err)

        def refused(said, *words, path=one, volume=copy):
            r = d.pvesm("import", volume, "rbd+size", path, *words, check=False)
            self.assertNotEqual(r.rc, 0)
            self.assertIn(said, r.err, repr(r))
        refused("no snapshot 's2'", "--base", "s2", path=two)
        refused("holds differences from snapshot s2, not from 's1'", "--base", "s1", path=two)
        refused("no such image", "--base", "s1", volume="kube:vm-201-disk-0")
        refused("ends with snapshot s2, not with snapshot 's3'", "--base", "s1", "--snapshot", "s3")
        self.holds(d, copy, 1)
        self.assertEqual(self.names(d, copy), ["s1"], "what was refused changed nothing")
        self.inside("qemu-io", "-f", "raw", "-c", "write -P 9 0 512", d.path(copy))
        refused("has changed since snapshot 's1'", "--base", "s1")
        d.done(d.post(d.at("kube", "/rollback"), volume=copy, snapname="s1"))  # touched by that, but the same
        d.pvesm("import", copy, "rbd+size", one, "--base", "s1", "--snapshot", "s2")
        refused("has snapshot 's2', which is newer than 's1'", "--base", "s1")
        d.pvesm("import", copy, "rbd+size", two, "--base", "s2", "--snapshot", "s3", "--with-snapshots", "1", "--delete-snapshot", "s1")
        d.pvesm("import", copy, "rbd+size", live, "--base", "s3")
        self.assertEqual(self.names(d, copy), ["s2", "s3"], "--delete-snapshot")
        for snap, first in (("s2", 2), ("s3", 3), (None, 4)):
            self.holds(d, copy, first, snap)

    def test_a_chain_of_differences_and_another_size(self):
        d, v, copy = self.source_and_copy()
        d.put(d.at("kube", "/resize"), volume=v, size="24M")
        chain = self.export(d, v, "chain", "--base", "s1", "--with-snapshots", "1")
        d.pvesm("import", copy, "rbd+size", chain, "--base", "s1", "--with-snapshots", "1")
        self.assertEqual(self.names(d, copy), ["s1", "s2", "s3"])
        self.assertEqual([r["size"] for r in d.content("kube")], [24 * MiB] * 2)
        for snap, first in (("s1", 1), ("s2", 2), ("s3", 3), (None, 4)):
            self.holds(d, copy, first, snap)

    def test_differences_that_break_off_leave_the_base(self):
        d, v, copy = self.source_and_copy()
        chain = self.export(d, v, "chain", "--base", "s1", "--with-snapshots", "1")
        with open(chain, "rb") as f:
            data = f.read()
        for n in (0, 7, 8, 30, 200, 4 * MiB + 99, len(data) // 2, len(data) - 1):
            r = d.pvesm("import", copy, "rbd+size", "-", "--base", "s1", "--with-snapshots", "1", stdin=data[:n], check=False)
            self.assertNotEqual(r.rc, 0, f"{n} bytes: {r!r}")
            self.assertEqual(self.names(d, copy), ["s1"], f"{n} bytes")
            self.holds(d, copy, 1)
        broken = bytearray(data)
        broken[8 + 3] ^= 1
        self.assertIn("no stream of differences", d.pvesm("import", copy, "rbd+size", "-", "--base", "s1", "--with-snapshots", "1", stdin=bytes(broken),
                                                          check=False).err)
        d.pvesm("import", copy, "rbd+size", chain, "--base", "s1", "--with-snapshots", "1")
        self.holds(d, copy, 4)

    def test_killed_while_differences_come_in(self):
        d, v, copy = self.source_and_copy()
        one = self.export(d, v, "one", "--base", "s1", "--snapshot", "s2")
        points = ("rbd.receive.snapshot-made", "rbd.receive.checked", "rbd.receive.noted", "rbd.receive.written")
        for point in points[:4 if SCALE >= 1 else 1]:
            with self.subTest(point):
                self.d.stop()
                d = self.start_daemon(env={"STORAGED_FAULTS": f"{point}=kill"})
                r = d.pvesm("import", copy, "rbd+size", one, "--base", "s1", check=False)
                self.assertNotEqual(r.rc, 0, repr(r))
                # Who uses it next finds the base; the killed client counts as one that has it open for a while.
                d.stop()
                d = self.start_daemon()
                wait_until(lambda d=d: d.request("POST", d.at("kube", "/activate"), dict(volume=copy)).status == 200, f"{copy} can be used after {point}",
                           90, 1)
                self.holds(d, copy, 1)
                self.assertEqual(self.names(d, copy), ["s1"])
                wait_until(lambda d=d: d.request("POST", d.at("kube", "/deactivate"), dict(volume=copy)).status == 200, "nobody has it open", 90, 1)
        d.stop()
        d = self.start_daemon(env={"STORAGED_FAULTS": "rbd.receive.done=kill"})
        self.assertNotEqual(d.pvesm("import", copy, "rbd+size", one, "--base", "s1", check=False).rc, 0)
        self.holds(d, copy, 2)
        self.assertEqual(self.names(d, copy), ["s1", "s2"], "whole")


if __name__ == "__main__":
    main()
