#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The administrator's side of Ceph, against a real cluster: health explained, POOL_APP_NOT_ENABLED repaired where it is sure
and left alone where it is not, pools made and removed."""
import json
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import CephTest, ceph
from harness import main, wait_until

MONHOST = "127.0.0.1"
CODE = "POOL_APP_NOT_ENABLED"


class Admin(CephTest):
    def setUp(self):
        super().setUp()
        self.keyring = os.path.join(self.tmp, "admin.keyring")
        with open(self.keyring, "w", encoding="utf-8") as f:
            f.write(self.admin_keyring())
        self.there = ("--monhost", MONHOST, "--keyring", self.keyring)

    def tearDown(self):
        super().tearDown()
        for name in self.pools():
            if name != "rbd":
                self.mon("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)
        wait_until(lambda: not self.checks(), "the cluster is healthy for the next test")

    # --- the cluster, as it tells it itself
    def pools(self):
        return [p["poolname"] for p in self.mon("osd lspools")]

    def applications(self, pool):
        return list(self.mon("osd pool application get", pool=pool))

    def checks(self):
        return self.mon("health", detail="detail")["checks"]

    def count_objects(self, pool):
        return {p["name"]: p["stats"]["objects"] for p in self.mon("df")["pools"]}.get(pool)

    def bare_pool(self, name, *objects):
        """A pool that nobody tagged, with these objects; the check is raised if there are any."""
        self.mon("osd pool create", pool=name)
        if objects:
            self.python("ctx = io(sys.argv[1])\nfor n in sys.argv[2:]: ctx.write_full(n, b'x')", name, *objects)
            wait_until(lambda: CODE in self.checks() and self.count_objects(name) == len(objects), "the check is raised")
        return name

    # --- storaged
    def ceph(self, *words, check=True):
        return self.d.pvesm("ceph", *words, *self.there, check=check)

    def health(self):
        return json.loads(self.ceph("health", "--output-format", "json").out)

    def refused(self, r, *words):
        self.assertNotEqual(r.rc, 0, r)
        for word in words:
            self.assertIn(word, r.out + r.err)


class Health(Admin):
    def test_a_healthy_cluster(self):
        self.assertEqual(self.ceph("health").out, "HEALTH_OK\n")
        self.assertEqual(self.health()["checks"], [])

    def test_the_check_is_explained_for_the_storages_it_is_about(self):
        self.bare_pool("kube", "obj")
        self.d.pvesm("add", "rbd", "kubestore", "--pool", "kube", "--monhost", MONHOST, "--keyring", self.keyring)
        health = self.health()
        check, = health["checks"]
        self.assertEqual((health["status"], check["code"], check["pools"], check["storages"], check["muted"]),
                         ("HEALTH_WARN", CODE, ["kube"], ["kubestore"], False))
        self.assertTrue(check["repairable"])
        text = self.ceph("health").out
        for word in ("HEALTH_WARN", CODE, "means", "pvesm ceph repair", "kubestore"):
            self.assertIn(word, text)

    def test_a_muted_check_is_said_to_be(self):
        self.bare_pool("kube", "obj")
        self.mon("health mute", code=CODE, ttl="1h")
        self.assertTrue(self.health()["checks"][0]["muted"])
        self.mon("health unmute", code=CODE)

    def test_as_proxmox_ve_asks(self):
        status = self.d.get("/cluster/ceph/status", monhost=MONHOST, keyring=self.keyring)
        self.assertEqual(status["health"]["status"], "HEALTH_OK")
        row = {p["pool_name"]: p for p in self.d.get("/nodes/localhost/ceph/pool", monhost=MONHOST, keyring=self.keyring)}["rbd"]
        self.assertEqual((row["type"], list(row["application_metadata"])), ("replicated", ["rbd"]))

    def test_without_an_administrators_key(self):
        with open(self.keyring, "w", encoding="utf-8") as f:
            f.write(self.new_key("small", mon="profile rbd", osd="profile rbd pool=rbd"))
        self.there += ("--username", "small")
        self.refused(self.ceph("pool", "create", "mine", check=False), "permission denied", "client.small", "administrator")
        self.assertNotIn("mine", self.pools())

    def test_without_a_cluster(self):
        self.there = ()
        self.refused(self.ceph("health", check=False), "ceph.conf", "monhost")
        self.there = ("--monhost", "127.0.0.9", "--keyring", self.keyring)
        self.refused(self.ceph("health", check=False), "mon unreachable")


class Trouble(Admin):
    """Checks that are about room and addresses, on a cluster that really has them."""

    def full(self, check, **ratios):
        for name in ("nearfull", "backfillfull", "full"):
            self.mon(f"osd set-{name}-ratio", ratio=ratios.get(name, 0.9))
        return {c["code"]: c for c in wait_until(lambda: (lambda h: h if check in [c["code"] for c in h] else None)(self.health()["checks"]),
                                                 check, 60)}

    def roomy(self):
        for name, value in (("full", 0.95), ("backfillfull", 0.90), ("nearfull", 0.85)):
            self.mon(f"osd set-{name}-ratio", ratio=value)
        wait_until(lambda: not self.checks(), "room again", 60)

    def test_nearfull_and_full_name_the_largest_volumes(self):
        self.python("ctx = io('rbd')\nfor n, s in (('vm-1-disk-0', 8), ('vm-2-disk-0', 64), ('vm-3-disk-0', 16)): rbd.RBD().create(ctx, n, s << 20)")
        self.d.pvesm("add", "rbd", "store", "--pool", "rbd", "--monhost", MONHOST, "--keyring", self.keyring)
        self.d.settled("store", "active")
        try:
            checks = self.full("OSD_NEARFULL", nearfull=1e-7)
            for code in [c for c in checks if c.startswith("POOL")] + ["OSD_NEARFULL"]:
                check = checks[code]
                text = " ".join(check["detail"])
                self.assertIn("rbd/vm-2-disk-0, 64 MiB", text, code)
                self.assertLess(text.index("vm-2-disk-0"), text.index("vm-3-disk-0"), "the largest first")
                self.assertIn("hang", check["meaning"])
                self.assertIn("Remove or move volumes", check["advice"])
            self.assertIn("store", checks["POOL_NEARFULL"]["storages"])
            self.assertIn("FULL", self.d.settled("store", "degraded")["reason"])
            checks = self.full("OSD_FULL", nearfull=1e-7, backfillfull=1e-7, full=1e-7)
            self.assertIn("rbd/vm-2-disk-0, 64 MiB", " ".join(checks["OSD_FULL"]["detail"]))
            self.refused(self.ceph("repair", "--check", "OSD_FULL", check=False), "no repair", "largest volumes")
        finally:
            self.roomy()
            self.python("ctx = io('rbd')\nfor n in (1, 2, 3): rbd.RBD().remove(ctx, f'vm-{n}-disk-0')")


class Clocks(Admin):
    CEPH = {"mons": 3}

    def test_a_monitor_whose_clock_is_wrong(self):
        ceph.mon_kill(self.lab, "c")
        ceph.mon_start(self.lab, "c", clock="+0.7s")
        try:
            check = wait_until(lambda: next((c for c in self.health()["checks"] if c["code"] == "MON_CLOCK_SKEW"), None), "MON_CLOCK_SKEW", 120)
            off = [line for line in check["detail"] if line.startswith("clock of monitor c:")]
            self.assertRegex(" ".join(off), r"clock of monitor c: [+-]0\.[5-9]", check["detail"])
            self.assertIn("chrony", check["advice"])
        finally:
            ceph.mon_kill(self.lab, "c")
            ceph.mon_start(self.lab, "c")
            ceph.wait_quorum(self.lab, "abc", 60)
        wait_until(lambda: not self.checks(), "the clocks agree", 120)


class Repair(Admin):
    def test_one_command_from_warning_to_ok(self):
        self.bare_pool("kube", "rbd_directory", "rbd_id.x", "rbd_header.1")
        r = self.ceph("repair", "kube")
        self.assertIn("every object is one of RBD images", r.out + r.err)
        self.assertIn("HEALTH_OK", r.out + r.err)
        self.assertEqual(self.applications("kube"), ["rbd"])
        self.assertEqual(self.checks(), {})
        self.assertIn("nothing to repair", self.ceph("repair", "kube").out)

    def test_it_becomes_ready_for_images(self):
        self.bare_pool("kube", "rbd_id.x")
        self.ceph("repair", "kube")
        self.assertEqual(self.python("print(rbd.RBD().pool_metadata_list(io('kube')) is not None)").stdout.strip(), "True")

    def test_a_definition_is_a_witness(self):
        self.bare_pool("kube", "obj")
        self.d.pvesm("add", "rbd", "kubestore", "--pool", "kube", "--monhost", MONHOST, "--keyring", self.keyring)
        r = self.ceph("repair")
        self.assertIn("kubestore", r.out + r.err)
        self.assertEqual(self.applications("kube"), ["rbd"])

    def test_dry_run_changes_nothing(self):
        self.bare_pool("kube", "rbd_directory")
        r = self.ceph("repair", "--dry-run", "1")
        self.assertIn("would enable application 'rbd' on pool kube", r.out + r.err)
        self.assertEqual(self.applications("kube"), [])

    def left_alone(self, name, *words):
        r = self.ceph("repair")
        for word in (f"pool {name} is left alone", "--application", *words):
            self.assertIn(word, r.out + r.err)
        self.assertEqual(self.applications(name), [])

    def test_like_a_gateways(self):
        self.bare_pool("zone.rgw.meta", "zone_info.1", ".dir.abc.1")
        self.left_alone("zone.rgw.meta", "object gateway")

    def test_like_what_is_left_of_a_file_system(self):
        self.bare_pool("old", "10000000000.00000000", "mds0_inotable")
        self.left_alone("old", "file system")

    def test_mixed(self):
        self.bare_pool("both", "rbd_directory", "zone_info.1")
        self.left_alone("both", "mixed evidence")
        self.bare_pool("more", "rbd_directory", "holiday.jpg")
        self.left_alone("more", "holiday.jpg")

    def test_unknown_objects_until_the_administrator_says(self):
        self.bare_pool("kube", "obj")
        self.left_alone("kube", "'obj'")
        self.ceph("repair", "kube", "--application", "rbd")
        self.assertEqual(self.applications("kube"), ["rbd"])
        self.assertEqual(self.checks(), {})

    def test_the_administrators_word_does_not_beat_what_is_seen(self):
        self.bare_pool("kube", "rbd_directory")
        self.refused(self.ceph("repair", "kube", "--application", "rgw", check=False), "is for rbd")
        self.assertEqual(self.applications("kube"), [])

    def test_an_empty_pool(self):
        self.bare_pool("empty")
        r = self.ceph("repair", "empty")
        self.assertIn("left alone", r.out + r.err)
        self.assertEqual(self.applications("empty"), [])

    def test_a_tagged_pool_is_never_tagged_anew(self):
        self.bare_pool("theirs")
        self.mon("osd pool application enable", pool="theirs", app="rgw")
        self.refused(self.ceph("repair", "theirs", "--application", "rbd", check=False), "never tagged anew", "rgw")
        self.assertIn("nothing to repair", self.ceph("repair", "theirs").out)
        self.assertEqual(self.applications("theirs"), ["rgw"])

    def test_one_sure_and_one_unsure(self):
        self.bare_pool("kube", "rbd_directory")
        self.bare_pool("mystery", "obj")
        self.ceph("repair")
        self.assertEqual((self.applications("kube"), self.applications("mystery")), (["rbd"], []))
        self.assertIn(CODE, self.checks())

    def test_no_such_pool_and_no_such_check(self):
        self.refused(self.ceph("repair", "nosuch", check=False), "no pool 'nosuch'")
        self.refused(self.ceph("repair", "--check", "MON_DOWN", check=False), "no repair", "Start the monitors")

    def test_insecure_global_id(self):
        self.mon("config set", who="mon", name="auth_allow_insecure_global_id_reclaim", value="true")
        code = "AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED"
        wait_until(lambda: code in self.checks(), "the check is raised")
        self.assertIn(code, [c["code"] for c in self.health()["checks"]])
        self.ceph("repair", "--check", code)
        self.assertEqual(self.checks(), {})


class Degraded(Admin):
    def row(self, storage):
        return {r["storage"]: r for r in self.d.get("/nodes/localhost/storage")}[storage]

    def define(self, storage, pool, *more):
        self.d.pvesm("add", "rbd", storage, "--pool", pool, "--monhost", MONHOST, "--keyring", self.keyring, *more)

    def test_status_says_so_and_only_of_the_storage_it_is_about(self):
        self.define("good", "rbd")
        self.define("kubestore", self.bare_pool("kube", "obj"))
        wait_until(lambda: self.row("kubestore")["state"] == "degraded", "the storage is degraded")
        row = self.row("kubestore")
        self.assertEqual(row["active"], 1)
        self.assertIn("pvesm ceph repair", row["reason"])
        self.assertEqual(self.row("good")["state"], "active")
        self.assertIn("degraded", self.d.pvesm("status").out)
        self.ceph("repair", "kube")
        wait_until(lambda: self.row("kubestore")["state"] == "active", "the storage is well")

    def test_auto_repair_is_a_task_when_the_check_appears(self):
        self.mon("osd pool create", pool="kube")
        self.define("kubestore", "kube", "--auto-repair", "1")
        self.assertEqual(self.applications("kube"), [])
        self.bare_pool("kube", "obj")
        wait_until(lambda: self.applications("kube") == ["rbd"], "the application is enabled")
        def ended():
            return [t for t in self.d.get("/nodes/localhost/tasks") if t["type"] == "ceph-repair" and t.get("status") == "OK"]
        wait_until(ended, "the task has ended well")
        task, = ended()
        self.assertIn("the definition of storage kubestore names it", self.d.task_log(task["upid"]))

    def test_without_it_nothing_is_touched(self):
        self.define("kubestore", self.bare_pool("kube", "obj"))
        wait_until(lambda: self.row("kubestore")["state"] == "degraded", "the storage is degraded")
        self.assertEqual(self.applications("kube"), [])


class Pools(Admin):
    def test_made_ready_listed_changed_removed(self):
        self.ceph("pool", "create", "kube", "--size", "1")
        self.assertEqual(self.applications("kube"), ["rbd"])
        self.assertIn("kube", self.ceph("pool", "list").out)
        self.ceph("pool", "set", "kube", "--quota-bytes", str(1 << 30))
        pool, = [p for p in self.mon("osd dump")["pools"] if p["pool_name"] == "kube"]
        self.assertEqual(pool["quota_max_bytes"], 1 << 30)
        self.ceph("pool", "destroy", "kube")
        self.assertNotIn("kube", self.pools())
        self.assertEqual(self.checks(), {})

    def test_killed_between_any_two_steps(self):
        """The same command again takes back what the killed one had made, and makes it whole."""
        for point in ("rbd.pool-create.noted", "rbd.pool-create.bare", "rbd.pool-create.made", "rbd.pool-create.all", "ceph.pool.made"):
            with self.subTest(point):
                self.d.stop()
                self.d = self.start_daemon(env={"STORAGED_FAULTS": f"{point}=kill"})
                self.refused(self.ceph("pool", "create", "kube", "--add-storage", "kubestore", check=False))
                self.assertEqual("kube" in self.pools(), point != "rbd.pool-create.noted", "it was killed in the middle")
                if point.startswith("rbd."):
                    self.d.stop()
                else:
                    self.d.wait_dead()  # storaged itself
                self.d = self.start_daemon()
                self.ceph("pool", "create", "kube", "--add-storage", "kubestore")
                self.assertEqual(self.applications("kube"), ["rbd"])
                self.d.settled("kubestore", "active")
                self.assertEqual(os.listdir(os.path.join(self.d.root, "etc/pve/priv/ceph")), ["kubestore.keyring"])
                self.d.pvesm("remove", "kubestore")
                self.ceph("pool", "destroy", "kube")
        self.d.stop()
        self.d = self.start_daemon(env={"STORAGED_FAULTS": "ceph.pool.defined=kill"})
        self.refused(self.ceph("pool", "create", "kube", "--add-storage", "kubestore", check=False))
        self.d.wait_dead()
        self.d = self.start_daemon()
        self.d.settled("kubestore", "active")
        self.refused(self.ceph("pool", "create", "kube", check=False), "has a pool 'kube' already")
        self.assertEqual(os.listdir(os.path.join(self.d.root, "etc/pve/priv/ceph")), ["kubestore.keyring"], "it was whole already")
        self.d.pvesm("remove", "kubestore")
        self.ceph("pool", "destroy", "kube")
        self.d.stop()
        self.d = self.start_daemon(env={"STORAGED_FAULTS": "rbd.pool-create.made=kill"})
        self.refused(self.ceph("pool", "create", "kube", check=False))
        self.python("ctx = io('kube')\nfor n in range(2): rbd.RBD().create(ctx, f'vm-{n}-disk-0', 4 << 20)")
        self.d.stop()
        self.d = self.start_daemon()
        wait_until(lambda: (self.count_objects("kube") or 0) > 2, "its objects are counted")  # None: the pool is not in the figures yet
        self.refused(self.ceph("pool", "create", "kube", check=False), "holds data meanwhile")
        self.assertIn("kube", self.pools())

    def test_with_a_storage_and_a_user_of_its_own(self):
        self.ceph("pool", "create", "kube", "--add-storage", "kubestore", "--content", "images")
        vol = self.d.alloc("kubestore", 100, "", "8M")
        self.assertEqual(vol, "kubestore:vm-100-disk-0")
        user = self.mon("auth get", entity="client.kubestore")[0]
        self.assertEqual(user["caps"], {"mon": "profile rbd", "osd": "profile rbd pool=kube"})
        key = os.path.join(self.d.root, "etc/pve/priv/ceph/kubestore.keyring")
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        with open(os.path.join(self.d.root, "etc/pve/storage.cfg"), encoding="utf-8") as f:
            self.assertNotIn(user["key"], f.read())
        for upid in [t["upid"] for t in self.d.get("/nodes/localhost/tasks", source="all")]:
            self.assertNotIn(user["key"], self.d.task_log(upid))
        self.refused(self.ceph("pool", "destroy", "kube", check=False), "used by storage kubestore")
        self.d.pvesm("remove", "kubestore")
        self.refused(self.ceph("pool", "destroy", "kube", check=False), "1 image", "vm-100-disk-0")

    def test_a_storage_that_is_refused_takes_the_pool_along(self):
        r = self.ceph("pool", "create", "kube", "--add-storage", "kubestore", "--content", "backup", check=False)
        self.refused(r, "backup")
        self.assertNotIn("kube", self.pools())
        self.assertNotIn("client.kubestore", [e["entity"] for e in self.mon("auth ls")["auth_dump"]])
        self.assertFalse(os.path.exists(os.path.join(self.d.root, "etc/pve/priv/ceph/kubestore.keyring")))
        self.assertEqual(self.d.get("/storage", type="rbd"), [])

    def test_a_name_that_is_taken(self):
        self.refused(self.ceph("pool", "create", "rbd", check=False), "has a pool 'rbd' already")
        self.assertEqual(self.applications("rbd"), ["rbd"])

    def test_bad_names(self):
        for name in ("-x", "a/b", ".hidden", "x" * 125):
            self.refused(self.ceph("pool", "create", name, check=False), "pool")
        self.assertEqual(self.pools(), ["rbd"])

    def test_destroy_refuses_what_others_use(self):
        self.bare_pool("theirs")
        self.mon("osd pool application enable", pool="theirs", app="rgw")
        self.refused(self.ceph("pool", "destroy", "theirs", check=False), "application 'rgw'")
        self.bare_pool("mystery", "obj")
        self.refused(self.ceph("pool", "destroy", "mystery", check=False), "no images")
        self.assertEqual(sorted(self.pools()), ["mystery", "rbd", "theirs"])


class Look(Admin):
    """What Proxmox VE's API only reads: docs/ceph-api.md, path by path."""
    CEPH = {"mds": 1}

    def tearDown(self):
        super(Admin, self).tearDown()  # the file system's pools stay

    def see(self, path, **params):
        return self.d.get(path, monhost=MONHOST, keyring=self.keyring, **params)

    def at(self, path, **params):
        return self.see("/nodes/localhost/ceph" + path, **params)

    def has(self, row, *keys):
        for key in keys:
            self.assertIn(key, row)

    def test_daemons(self):
        mon, = self.at("/mon")
        self.has(mon, "addr", "host", "ceph_version", "ceph_version_short")
        self.assertEqual((mon["name"], mon["rank"], mon["quorum"], mon["state"]), ("a", 0, 1, "running"))
        mds, = self.at("/mds")
        self.has(mds, "addr", "host", "ceph_version_short", "fs_name", "standby_replay")
        self.assertEqual((mds["name"], mds["rank"], mds["state"]), ("a", 0, "up:active"))
        for mgr in self.at("/mgr"):
            self.has(mgr, "name", "state", "host")
        metadata = self.see("/cluster/ceph/metadata")
        self.assertEqual(sorted(metadata), ["mds", "mgr", "mon", "node", "osd"])
        self.assertIn("cpu", list(metadata["mon"].values())[0])
        few = self.see("/cluster/ceph/metadata", scope="versions")
        self.assertNotIn("cpu", list(few["mon"].values())[0])
        self.has(few["osd"][0], "id", "ceph_version_short", "hostname")
        for service, name in (("osd", "0"), ("mon", "a"), ("mds", "a")):
            answer = self.at("/cmd-safety", service=service, id=name, action="stop")
            self.assertEqual(answer["safe"], 0, f"the only {service}")
            self.assertTrue(answer["status"])
        self.assertEqual(self.d.request("GET", "/nodes/localhost/ceph/cmd-safety", {"service": "mds", "id": "a", "action": "destroy"}).status // 100, 4)

    def test_osds(self):
        tree = self.at("/osd")
        self.has(tree, "flags", "root")
        root, = tree["root"]["children"]
        host, = root["children"]
        osd, = host["children"]
        self.assertEqual((tree["root"]["leaf"], root["leaf"], osd["leaf"], root["type"], host["type"]), (0, 0, 1, "root", "host"))
        self.assertEqual((osd["id"], osd["name"], osd["type"], osd["status"], osd["in"]), (0, "osd.0", "osd", "up", 1))
        self.has(osd, "crush_weight", "reweight", "pgs", "total_space", "bytes_used", "percent_used", "osdtype", "host", "ceph_version_short",
                 "commit_latency_ms", "apply_latency_ms")
        one = self.at("/osd/0/metadata")
        self.has(one["osd"], "hostname", "back_addr", "front_addr", "hb_back_addr", "hb_front_addr", "osd_data", "osd_objectstore", "version")
        self.assertIsInstance(one["devices"], list)
        self.assertEqual(self.d.get("/nodes/localhost/ceph/osd/0"), [{"name": "metadata"}])
        for name in ("1", "x", "9" * 16):
            self.assertEqual(self.d.request("GET", f"/nodes/localhost/ceph/osd/{name}/metadata", {"monhost": MONHOST, "keyring": self.keyring}).status,
                             404, name)

    def test_flags(self):
        flags = {f["name"]: f for f in self.see("/cluster/ceph/flags")}
        self.assertEqual(sorted(flags), ["nobackfill", "nodeep-scrub", "nodown", "noin", "noout", "norebalance", "norecover", "noscrub", "notieragent",
                                         "noup", "pause"])
        self.mon("osd set", key="noin")
        self.assertEqual(self.see("/cluster/ceph/flags/noin"), 1)
        self.mon("osd unset", key="noin")
        self.assertEqual(self.see("/cluster/ceph/flags/noin"), 0)

    def test_pools_file_systems_and_rules(self):
        self.assertEqual([r["name"] for r in self.at("/rules")], self.mon("osd crush rule ls"))
        fs, = self.at("/fs")
        self.has(fs, "name", "metadata_pool", "data_pool", "data_pool_ids", "metadata_pool_id")
        pool = self.at(f"/pool/{fs['data_pool']}/status")
        self.has(pool, "id", "size", "min_size", "pg_num", "pgp_num", "crush_rule", "nodelete", "nodeep-scrub", "statistics")
        self.assertEqual((pool["name"], pool["application"], pool["application_list"]), (fs["data_pool"], "cephfs", ["cephfs"]))
        self.assertEqual(self.d.get(f"/nodes/localhost/ceph/pool/{fs['data_pool']}"), [{"name": "status"}])

    def test_configuration_log_and_status(self):
        self.mon("config set", who="osd", name="osd_max_backfills", value="2")
        row = {r["name"]: r for r in self.at("/cfg/db")}["osd_max_backfills"]
        self.has(row, "level", "can_update_at_runtime", "mask")
        self.assertEqual((row["section"], row["value"]), ("osd", "2"))
        self.mon("config rm", who="osd", name="osd_max_backfills")
        with open(os.path.join(self.d.root, "etc/pve/ceph.conf"), "w", encoding="utf-8") as f:
            f.write("[global]\n\tmon_host = 127.0.0.1\n")
        self.assertEqual(self.d.get("/nodes/localhost/ceph/cfg/raw", keyring=self.keyring), "[global]\n\tmon_host = 127.0.0.1\n")
        lines = self.at("/log", limit=3)
        self.assertEqual([line["n"] for line in lines], [1, 2, 3])
        # The monitors keep so many lines: one that is written between two looks pushes the first one out.
        wait_until(lambda: self.at("/log", limit=3)[1:2] == self.at("/log", start=1, limit=1), "a page is a part of the whole")
        status = self.see("/cluster/ceph/status")
        self.assertEqual(sorted(status), sorted(self.at("/status")))
        self.has(status, "fsid", "health", "monmap", "mgrmap", "osdmap", "pgmap", "quorum_names")
        self.has(status["health"], "checks", "status", "mutes")
        self.assertEqual(status["monmap"]["mons"][0]["name"], "a")
        for path, names in (("/nodes/localhost/ceph", {"status", "pool", "osd", "mon"}), ("/nodes/localhost/ceph/cfg", {"db", "raw"}),
                            ("/cluster/ceph", {"flags", "metadata", "status"})):
            self.assertLessEqual(names, {r["name"] for r in self.d.get(path)})


class ErasureCoded(Admin):
    CEPH = {"osds": 3, "store": "bluestore"}

    def test_data_in_a_pool_beside_it(self):
        self.ceph("pool", "create", "ec", "--erasure-coding", "k=2,m=1,failure-domain=osd", "--add-storage", "ecstore")
        rows = {p["pool_name"]: p for p in json.loads(self.ceph("pool", "list", "--output-format", "json").out)}
        self.assertEqual((rows["ec"]["type"], rows["ec-data"]["type"]), ("replicated", "erasure"))
        self.assertEqual((self.applications("ec"), self.applications("ec-data")), (["rbd"], ["rbd"]))
        self.d.alloc("ecstore", 100, "", "8M")
        answer = self.python("i = rbd.Image(io('ec'), 'vm-100-disk-0'); i.write(b'x' * 65536, 0); print(i.data_pool_id())").stdout
        self.assertEqual(int(answer), rows["ec-data"]["pool"])
        self.refused(self.ceph("pool", "destroy", "ec-data", check=False), "ecstore")
        self.d.pvesm("remove", "ecstore")
        self.refused(self.ceph("pool", "destroy", "ec-data", check=False), "data of images")

    def test_a_profile_that_is_refused_leaves_nothing(self):
        self.refused(self.ceph("pool", "create", "ec", "--erasure-coding", "k=2,m=1,failure-domain=planet", check=False), "planet")
        self.refused(self.ceph("pool", "create", "ec", "--erasure-coding", "k=two", check=False), "erasure-coding")
        self.assertEqual(self.pools(), ["rbd"])
        self.assertNotIn("storaged_ec", self.mon("osd erasure-code-profile ls"))


if __name__ == "__main__":
    main()
