#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LUNs by WWID on two nodes: found, watched, grown, taken away, and not mistaken for another.

The array is the lab's (iSCSI, four paths to each LUN); what is asserted is what pvesm and the API say.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase, only_soak
from labkit import cluster, net, node, san

NODES = (1, 2)

# Over the Unix socket, in the node: what the API says, and how long it took.
ASK = r"""
import json, socket, sys, time
def get(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/storaged/api.sock")
    s.sendall(f"GET /api2/json{path} HTTP/1.0\r\n\r\n".encode())
    b = b""
    while d := s.recv(1 << 20):
        b += d
    return json.loads(b.split(b"\r\n\r\n", 1)[1])["data"]
"""


class Luns(LabCase):
    KIND = "lu"
    UP = ("--nodes", "2", "--luns", "1", "--size", "64", "--lock", "none", "--storaged")
    next_number = 10

    @classmethod
    def bring_up(cls):
        told = super().bring_up()
        wait_until(lambda: "error" not in json.dumps(cls.matrix()["nodes"]), "the nodes to ask each other", 60)
        return told

    @classmethod
    def matrix(cls, *options, n=1):
        return json.loads(node.must(cls.lab, n, f"pvesm lun list --output-format json {' '.join(options)}"))

    def row(self, wwid, *options, n=1):
        rows = [r for r in self.matrix(*options, n=n)["luns"] if r["wwid"] == wwid]
        return rows[0] if rows else None

    def new_lun(self, megabytes=64):
        """A LUN that both nodes have found: its number and WWID."""
        number = Luns.next_number
        Luns.next_number += 1
        self.fault("lun-add", number, number, megabytes)
        self.addCleanup(self.take_away, number)
        out = self.must(1, "pvesm lun scan")
        self.assertIn(f"n2: new LUN {san.wwid(number)}", out)
        return number, san.wwid(number)

    def take_away(self, number):
        wwid = san.wwid(number)
        if number in san.mapped(self.lab):
            self.fault("lun-remove", number)
        if self.row(wwid, "--fresh") is not None:
            self.must(1, f"pvesm lun remove {wwid}")

    def held(self):
        return self.must(1, "ls /etc/pve/priv/storaged/luns 2>/dev/null || true").split()

    # --- what is there

    def test_inventory_says_what_is_there(self):
        number, wwid = self.new_lun()
        row = self.row(wwid)
        self.assertEqual(row["state"], "ok")
        self.assertEqual((row["size"], row["transport"], row["vendor"], row["content"]), (64 << 20, "iscsi", "LABARRAY", "none"))
        self.assertEqual(row["findings"], [])
        for n in NODES:
            lun = row["nodes"][f"n{n}"]
            self.assertEqual((lun["n_paths"], lun["n_active"]), (4, 4))
            self.assertEqual(len({p["portal"] for p in lun["paths"]}), 4)
            self.assertEqual({(p["dm_state"], p["checker"], p["state"]) for p in lun["paths"]}, {("active", "ready", "running")})
            self.assertEqual(lun["device"], san.device(number))
        ports = json.loads(self.must(1, "pvesm lun ports --output-format json"))
        self.assertEqual({(p["kind"], p["state"]) for p in ports}, {("iscsi-session", "LOGGED_IN")})
        self.must(1, f"vgcreate -q vgfound {san.device(number)}")
        self.addCleanup(self.on, 1, f"vgremove -qy vgfound; pvremove -qy {san.device(number)}")
        row = self.row(wwid, "--fresh", n=2)
        self.assertEqual((row["content"], row["vg"]), ("pv", "vgfound"))
        self.assertIn("vgfound", self.must(1, "pvesm scan fc"))
        self.must(1, f"vgremove -qy vgfound; pvremove -qy {san.device(number)}; mkfs.ext4 -q {san.device(number)}")
        row = self.row(wwid, "--fresh", n=2)
        self.assertEqual((row["content"], row["signature"]), ("filesystem", "ext4"))
        table = r"\0\0\2\0\203\0\0\0\1\0\0\0\377\0\0\0" + r"\0" * 48 + r"\125\252"  # one partition of Linux
        self.must(1, f"wipefs -qa {san.device(number)}; printf '{table}' | dd of={san.device(number)} bs=1 seek=446 conv=fsync status=none")
        row = self.row(wwid, "--fresh", n=2)
        self.assertEqual((row["content"], row["signature"]), ("partitions", "dos"))

    def test_a_path_that_fails_is_in_the_api_within_a_second(self):
        """From the kernel's event to the answer, measured in the node by one clock."""
        _, wwid = self.new_lun()
        dev = self.row(wwid)["nodes"]["n1"]["paths"][0]["dev"]
        out = self.must(1, f"python3 - <<'X'\n{ASK}\n" + rf"""
import subprocess
def usable():
    return get("/nodes/localhost/luns/{wwid}")["n_active"]
assert usable() == 4
monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
monitor.bind((0, 1))
monitor.settimeout(60)
subprocess.run(["multipathd", "fail", "path", "{dev}"], check=True, capture_output=True)
while b"DM_ACTION=PATH_FAILED" not in monitor.recv(8192):
    pass
begin = time.monotonic()
while usable() != 3:
    assert time.monotonic() - begin < 30
print("%.3f" % (time.monotonic() - begin))
subprocess.run(["multipathd", "reinstate", "path", "{dev}"], check=True, capture_output=True)
while usable() != 4:
    assert time.monotonic() - begin < 60
""" + "X\n", timeout=120)
        self.tell("during", f"path {dev} failed; in the API after {float(out) * 1000:.0f} ms")
        self.assertLess(float(out), 10)  # promised: 1 s; the machine is shared

    def test_a_pulled_cable_is_seen_on_that_node_only(self):
        _, wwid = self.new_lun()
        self.fault("path-down", 1, net.FABRIC_A)
        self.addCleanup(self.fault, "path-up", 1, net.FABRIC_A)

        def seen():
            nodes = self.row(wwid)["nodes"]
            return (nodes["n1"]["n_active"], nodes["n2"]["n_active"]) == (2, 4)
        wait_until(seen, "two paths to be down on n1", 90)
        row = self.row(wwid)
        self.assertEqual(row["state"], "degraded")
        self.assertTrue(any(f.startswith("n1: ") and "2 of 4" in f for f in row["findings"]), row["findings"])
        self.fault("path-up", 1, net.FABRIC_A)
        wait_until(lambda: self.row(wwid)["state"] == "ok", "the paths to be back", 90)

    # --- resize

    def test_a_grown_lun_is_taken_over_on_all_nodes(self):
        number, wwid = self.new_lun(64)
        self.fault("lun-resize", number, 128)
        row = self.row(wwid, "--fresh")
        self.assertEqual(row["state"], "changed")
        self.assertIn("128", self.must(2, f"pvesm lun resize {wwid}"))
        for n in NODES:
            self.assertEqual(self.must(n, f"blockdev --getsize64 {san.device(number)}"), str(128 << 20))
        self.assertEqual(self.row(wwid)["state"], "ok")

    def test_resize_with_a_path_down_changes_nothing(self):
        number, wwid = self.new_lun(64)
        self.fault("lun-resize", number, 128)
        self.fault("path-down", 2, net.FABRIC_B)
        self.addCleanup(self.fault, "path-up", 2, net.FABRIC_B)
        wait_until(lambda: self.row(wwid)["nodes"]["n2"]["n_active"] == 2, "two paths to be down on n2", 90)
        status, said = self.on(1, f"pvesm lun resize {wwid} 2>&1", timeout=120)
        self.assertNotEqual(status, 0)
        self.assertRegex(said, "node n2.*all paths must be up")
        for n in NODES:
            self.assertEqual(self.must(n, f"blockdev --getsize64 {san.device(number)}"), str(64 << 20))
        self.fault("path-up", 2, net.FABRIC_B)
        wait_until(lambda: self.row(wwid)["nodes"]["n2"]["n_active"] == 4, "the paths to be back", 90)
        self.must(1, f"pvesm lun resize {wwid}")
        for n in NODES:
            self.assertEqual(self.must(n, f"blockdev --getsize64 {san.device(number)}"), str(128 << 20))

    @only_soak("one more port of the array comes and goes")
    def test_resize_with_a_path_that_is_late_changes_nothing(self):
        number, wwid = self.new_lun(64)
        self.addCleanup(san.late_port_ends, self.lab, 2)
        san.late_port(self.lab, 2, number)
        wait_until(lambda: self.row(wwid, "--fresh")["nodes"]["n2"]["n_active"] == 5, "the fifth path of node 2", 60)
        self.fault("lun-resize", number, 128)
        status, said = self.on(1, f"pvesm lun resize {wwid} 2>&1", timeout=120)
        self.assertNotEqual(status, 0)
        self.assertRegex(said, "node n2: .*the map was left as it is")
        for n in NODES:
            self.assertEqual(self.must(n, f"blockdev --getsize64 {san.device(number)}"), str(64 << 20))
        self.tell("during", said.splitlines()[-1])
        san.late_port_follows(self.lab, number)
        self.must(1, f"pvesm lun resize {wwid}", timeout=120)
        for n in NODES:
            self.assertEqual(self.must(n, f"blockdev --getsize64 {san.device(number)}"), str(128 << 20))

    def test_a_volume_group_grows_with_its_lun(self):
        number, wwid = self.new_lun(64)
        device = san.device(number)
        self.must(1, f"vgcreate -q --setautoactivation n vgrow {device} && lvcreate -qy -an -Zn -Wn -L 8M -n keep vgrow")
        self.addCleanup(self.on, 1, f"vgremove -qy vgrow; pvremove -qy {device}")
        size = lambda n: int(self.must(n, "vgs --noheadings --nosuffix --units b -o vg_size vgrow"))
        before = size(1)
        wait_until(lambda: self.row(wwid, "--fresh")["vg"] == "vgrow", "the LUN to be known as the group's", 30)
        self.fault("lun-resize", number, 128)
        self.fault("path-down", 2, net.FABRIC_B)
        self.addCleanup(self.fault, "path-up", 2, net.FABRIC_B)
        wait_until(lambda: self.row(wwid)["nodes"]["n2"]["n_active"] == 2, "two paths to be down on n2", 90)
        self.assertNotEqual(self.on(1, f"pvesm lun resize {wwid}", timeout=120)[0], 0)
        self.assertEqual(size(1), before, "the group grew before every path of every node had the new size")
        self.fault("path-up", 2, net.FABRIC_B)
        wait_until(lambda: self.row(wwid)["nodes"]["n2"]["n_active"] == 4, "the paths to be back", 90)
        self.must(2, f"pvesm lun resize {wwid}", timeout=120)
        for n in NODES:
            self.assertEqual(size(n), before + (64 << 20), f"as node {n} sees it")
        self.assertEqual(self.must(1, "lvs --noheadings -o lv_name vgrow"), "keep")
        self.tell("during", f"LUN {number} and its volume group grew from 64 to 128 MiB, the group once, after all paths of both nodes")

    @only_soak("one more port of the array comes and goes, which shows another LUN to one node alone")
    def test_two_groups_of_one_name_are_not_one_storage(self):
        number, wwid = self.new_lun()
        other = number + 50
        with open(san.backing(self.lab, other), "wb") as f:
            f.truncate(64 << 20)
        self.must(1, f"vgcreate -q --setautoactivation n vtwin {san.device(number)}")
        self.addCleanup(self.on, 1, f"vgremove -qy vtwin; pvremove -qy {san.device(number)}")
        san.forget(self.lab, 2, number)
        self.addCleanup(san.late_port_ends, self.lab, 2)
        san.late_port(self.lab, 2, other)
        wait_until(lambda: self.on(2, f"test -b {san.device(other)}")[0] == 0, "node 2 to have a LUN of its own", 60)
        self.must(2, f"vgcreate -q --setautoactivation n vtwin {san.device(other)}")
        self.addCleanup(self.on, 2, f"vgremove -qy vtwin; pvremove -qy {san.device(other)}; /share/node/san-forget {san.wwid(other)}")
        mine, theirs = (self.must(n, "vgs --noheadings -o vg_uuid vtwin").strip() for n in NODES)
        self.assertNotEqual(mine, theirs)
        status, said = self.on(1, "pvesm add lvm twin --vgname vtwin --shared 1 2>&1", timeout=60)
        self.assertNotEqual(status, 0, said)
        for word in ("n2", mine, theirs):
            self.assertIn(word, said)
        self.assertNotIn("twin", self.must(1, "pvesm status"))
        self.tell("during", said.splitlines()[0])

    # --- udev

    def properties(self, n, path):
        return dict(line.split("=", 1) for line in self.must(n, f"udevadm info -q property {path}").splitlines() if "=" in line)

    def test_udev_names_and_marks(self):
        number, wwid = self.new_lun()
        for n in NODES:
            link = f"/dev/storaged/by-wwid/{wwid}"
            self.assertEqual(self.must(n, f"readlink -f {link}"), self.must(n, f"readlink -f {san.device(number)}"))
            for path in self.row(wwid)["nodes"][f"n{n}"]["paths"]:
                self.assertEqual(self.properties(n, f"/dev/{path['dev']}").get("STORAGED_MEMBER"), "1", path)
        self.must(1, f"vgcreate -q vgmark {san.device(number)} && lvcreate -qy -Zn -Wn -L 8M -n vm-100-disk-0 vgmark && "
                     "lvcreate -qy -Zn -Wn -L 8M -n hosts vgmark && udevadm settle -t 30")
        self.addCleanup(self.on, 1, f"vgremove -qfy vgmark; pvremove -qy {san.device(number)}")
        guests, hosts = (self.properties(1, f"/dev/vgmark/{name}") for name in ("vm-100-disk-0", "hosts"))
        self.assertEqual((guests.get("STORAGED_GUEST"), guests.get("DM_NOSCAN")), ("1", "1"), guests)
        self.assertNotIn("STORAGED_GUEST", hosts)
        # What is on a guest's disk is not looked for; on one of the host's it is.
        self.must(1, "for d in vm-100-disk-0 hosts; do mkfs.ext4 -q /dev/vgmark/$d; udevadm trigger --settle --action=change "
                     "$(readlink -f /dev/vgmark/$d); done")
        self.assertNotIn("ID_FS_TYPE", self.properties(1, "/dev/vgmark/vm-100-disk-0"))
        self.assertEqual(self.properties(1, "/dev/vgmark/hosts").get("ID_FS_TYPE"), "ext4")
        self.looking_makes_no_events(number, wwid)
        self.must(1, "vgremove -qfy vgmark")

    def looking_makes_no_events(self, number, wwid):
        """A device that was open for writing is looked at again by udev when it is closed, and its links go for a moment."""
        self.must(1, "pvesm add lvm marked --vgname vgmark && pvesm lun list --fresh && pvesm list marked", timeout=60)
        self.addCleanup(self.on, 1, "pvesm remove marked")
        closed = lambda script: self.must(1, "cat > /run/look && /share/node/closed-after-writing sh -e /run/look", stdin=script.encode(), timeout=240).split()
        path = self.row(wwid)["nodes"]["n1"]["paths"][0]["dev"]
        devices = self.must(1, f"readlink -f /dev/{path} {san.device(number)} /dev/vgmark/hosts").split()
        open_and_close = f"python3 -c 'import os; [os.close(os.open(device, os.O_RDWR)) for device in {json.dumps(devices)}]'"
        self.assertEqual(closed(open_and_close), sorted(devices), "the control")
        looks = ("lun list --fresh", f"lun show {wwid}", "lun scan", "scan fc", "scan lvm", "status", "list marked", "path marked:vm-100-disk-0",
                 "doctor || true", "vg show vgmark")
        self.assertEqual(closed("".join(f"pvesm {look}\n" for look in looks)), [], looks)
        self.must(1, "pvesm remove marked")

    def test_unit_attention_is_marked_and_heard(self):
        """The array tells that its list of LUNs changed with the next command to any of its LUNs; nothing is scanned for it."""
        first = self.matrix()["luns"][0]["nodes"]["n1"]["paths"][0]
        scsi = f"/sys/class/scsi_device/{first['hctl']}/device"
        number = Luns.next_number
        Luns.next_number += 1
        self.addCleanup(self.take_away, number)
        self.fault("lun-add", number, number, 64)
        self.must(1, f"sg_turs /dev/{first['dev']} > /dev/null 2>&1; sg_turs /dev/{first['dev']} > /dev/null 2>&1; udevadm settle -t 30 || true")
        found = wait_until(lambda: self.properties(1, scsi).get("STORAGED_ATTENTION"), "the mark of the attention", 30)
        self.tell("during", f"LUN {number} was mapped: udev marks {first['hctl']} with {found}")
        self.assertRegex(found, "REPORTED_LUNS_DATA_HAS_CHANGED")
        self.assertIsNone(self.row(san.wwid(number)), "nothing is scanned by itself")

    # --- multipath.cfg and multipathd

    def reconfigures(self, n):
        return int(self.must(n, "grep -c '\"reconfigure' /run/multipathd.strace || true"))

    @only_soak("strace counts what multipathd is told, which takes a minute")
    def test_multipath_cfg_is_applied_by_multipathd(self):
        number, wwid = self.new_lun()
        dropin = "/etc/multipath/conf.d/storaged.conf"
        for n in NODES:
            self.must(n, "setsid strace -f -qq -s 64 -e trace=read,recvfrom,recvmsg -p $(pidof multipathd) -o /run/multipathd.strace "
                         "> /dev/null 2>&1 < /dev/null & until grep -q TracerPid:.[1-9] /proc/$(pidof multipathd)/status; do sleep 0.1; done")
            self.addCleanup(self.on, n, "pkill -x strace")
            self.addCleanup(self.on, n, "rm -f /run/multipathd.strace")
        listed = self.must(1, "cat /etc/multipath/wwids 2> /dev/null || true")
        self.must(1, f"pvesm lun allow {wwid} --alias ibm-1")
        self.addCleanup(self.on, 1, f"pvesm lun disallow {wwid}")
        for n in NODES:
            wait_until(lambda n=n: wwid in self.on(n, f"cat {dropin}")[1], f"the drop-in on node {n}", 60)
            wait_until(lambda n=n: "ibm-1" in self.must(n, "dmsetup ls"), f"the map's alias on node {n}", 60)
            self.assertIn('alias "ibm-1"', self.must(n, "multipathd show config local"))
            # The node's own configuration stays, and where it differs that is said.
            self.assertIn('find_multipaths "no"', self.must(n, "multipathd show config local").replace('"off"', '"no"'))
            self.assertRegex(self.must(n, "pvesm lun multipath"), "differs: .*find_multipaths no, the cluster says strict")
            self.assertEqual(self.reconfigures(n), 1, f"node {n}")
        self.assertEqual(self.row(wwid)["state"], "ok")
        # The same once more, and a change of what concerns no drop-in: multipathd is left alone.
        stamp = self.must(1, f"stat -c %Y.%i {dropin}")
        self.must(1, "echo >> /etc/pve/multipath.cfg; pvesm status > /dev/null; pvesm lun multipath > /dev/null")
        self.assertEqual(self.must(1, f"stat -c %Y.%i {dropin}"), stamp)
        self.must(1, f"pvesm lun disallow {wwid}")
        for n in NODES:
            wait_until(lambda n=n: self.on(n, f"test -e {dropin}")[0] != 0, f"the drop-in to be gone from node {n}", 60)
            wait_until(lambda n=n: "ibm-1" not in self.must(n, "dmsetup ls"), f"the alias to be gone from node {n}", 60)
            self.assertEqual(self.reconfigures(n), 2, f"node {n}")
        self.assertEqual(self.must(1, "cat /etc/multipath/wwids 2> /dev/null || true"), listed, "what was in the list before us stays in it")
        self.assertEqual({node["n_active"] for node in self.row(wwid)["nodes"].values()}, {4})
        self.tell("during", "allowed, aliased, taken back: one reconfigure a change on each node, the node's own words kept and reported")

    # --- removal

    def test_removal_refuses_what_is_in_use_and_takes_nothing(self):
        number, wwid = self.new_lun()
        device = san.device(number)
        self.must(2, f"dmsetup create user --table '0 1000 linear {device} 0'")
        self.addCleanup(self.on, 2, "dmsetup remove user")
        status, said = self.on(1, f"pvesm lun remove {wwid} 2>&1")
        self.assertNotEqual(status, 0)
        self.assertRegex(said, "in use on node n2 by user")
        self.must(2, f"dmsetup remove user; mkfs.ext4 -q {device}; mkdir -p /mnt/lun; mount {device} /mnt/lun")
        self.addCleanup(self.on, 2, "umount /mnt/lun")
        status, said = self.on(1, f"pvesm lun remove {wwid} 2>&1")
        self.assertNotEqual(status, 0)
        self.assertRegex(said, "mounted on node n2 at /mnt/lun")
        self.must(2, "umount /mnt/lun")
        self.assertEqual(self.held(), [])
        self.assertEqual({n["n_active"] for n in self.row(wwid)["nodes"].values()}, {4})

    def test_removal_ends_by_proving_absence(self):
        number, wwid = self.new_lun()
        said = self.must(1, f"pvesm lun remove {wwid}")
        self.assertIn("take the LUN away on the array", said)
        self.assertIsNone(self.row(wwid))
        self.assertEqual(self.held(), [wwid])
        status, said = self.on(1, f"pvesm lun remove {wwid} 2>&1", timeout=120)  # not unmapped yet
        self.assertNotEqual(status, 0)
        self.assertRegex(said, r"the array still shows LUN \S+ to n1, n2")
        self.assertIsNone(self.row(wwid))
        self.fault("lun-remove", number)
        self.assertIn("gone from all nodes", self.must(2, f"pvesm lun remove {wwid}"))
        self.assertEqual(self.held(), [])
        self.assertEqual(self.must(1, "ls /run/storaged/held"), "")
        self.assertNotIn(wwid, self.must(1, "grep -v '^#' /etc/multipath/wwids; ls /dev/disk/by-id"))
        # The same LUN comes back: nothing that was late in its going takes it away again.
        self.fault("lun-add", number, number, 64)
        self.assertIn(f"n2: new LUN {wwid}", self.must(1, "pvesm lun scan"))
        row = self.row(wwid, "--fresh")
        self.assertEqual((row["state"], {n["n_active"] for n in row["nodes"].values()}), ("ok", {4}), row)

    def test_removed_by_the_array_first(self):
        number, wwid = self.new_lun()
        self.fault("lun-remove", number)
        self.assertEqual(self.row(wwid, "--fresh")["state"], "failed")
        self.assertIn("gone from all nodes", self.must(1, f"pvesm lun remove {wwid}", timeout=180))
        self.assertIsNone(self.row(wwid, "--fresh"))
        for n in NODES:
            self.assertNotIn(wwid, self.must(n, "multipathd show maps; dmsetup ls"))

    def test_killed_before_each_step_it_goes_on(self):
        """kill -9 of the daemon before each step of one removal: the next one goes on from the journal by itself."""
        number, wwid = self.new_lun()
        self.restart(1, "lun.remove.checked=kill")
        self.assertNotEqual(self.on(1, f"pvesm lun remove {wwid} 2>&1", timeout=120)[0], 0)
        self.assertEqual(self.held(), [])  # nothing had begun
        self.restart(1, "lun.remove.block=kill")
        self.assertNotEqual(self.on(1, f"pvesm lun remove {wwid} 2>&1", timeout=120)[0], 0)
        for done, dies_at in (("block", "flush"), ("flush", "delete")):
            self.assertEqual(self.step_of(wwid), done)
            self.restart(1, f"lun.remove.{dies_at}=kill")
            wait_until(lambda: self.on(1, "pgrep -x storaged")[0] != 0, f"the resumed removal to be killed before {dies_at}", 90, 0.5)
            self.tell("during", f"killed before {dies_at}; the journal says {self.step_of(wwid)}")
        # Node 2 has booted meanwhile: it holds nothing, and has the map again.
        devs = [p["dev"] for p in self.row(wwid, n=2)["nodes"]["n2"]["paths"]]
        self.must(2, f"rm /run/storaged/held/{wwid}; multipath -a {wwid}; for d in {' '.join(devs)}; do multipathd del path $d; multipathd add path $d; done")
        wait_until(lambda: self.on(2, f"dmsetup info {wwid}")[0] == 0, "the map of node 2", 60)
        self.restart(1)
        wait_until(lambda: self.step_of(wwid) == "unmap", "the removal to come to its end", 90, 0.5)
        self.assertIsNone(self.row(wwid, "--fresh"))
        self.fault("lun-remove", number)
        self.restart(1, "lun.remove.prove=kill")
        self.assertNotEqual(self.on(1, f"pvesm lun remove {wwid} 2>&1", timeout=120)[0], 0)
        self.restart(1, "lun.remove.forget=kill")
        wait_until(lambda: self.on(1, "pgrep -x storaged")[0] != 0, "the proof to be killed at its end", 90, 0.5)
        self.restart(1)
        wait_until(lambda: self.held() == [], "the proof to go on", 90, 0.5)
        self.assertIsNone(self.row(wwid, "--fresh"))

    def step_of(self, wwid):
        status, text = self.on(1, f"cat /etc/pve/priv/storaged/luns/{wwid}")
        return json.loads(text)["step"] if status == 0 else None

    def restart(self, n, faults=""):
        cluster.restart_storaged(self.lab, n, faults=faults, signal="KILL")

    # --- another LUN behind the same number

    def test_a_reused_number_is_noticed_before_use(self):
        number, wwid = self.new_lun()
        other = number + 500
        self.fault("lun-renumber", number, other, 96)
        row = self.row(wwid, "--fresh")
        self.assertEqual(row["state"], "changed")
        self.assertTrue(all(san.wwid(other) in f for f in row["findings"]) and row["findings"], row["findings"])
        status, said = self.on(1, f"pvesm lun resize {wwid} 2>&1")
        self.assertNotEqual(status, 0)
        self.assertIn(f"leads to LUN {san.wwid(other)}", said)
        said = self.must(1, "pvesm lun scan")
        self.assertIn("led to another LUN and was replaced", said)
        self.assertIsNone(self.row(wwid))
        row = self.row(san.wwid(other))
        self.assertEqual((row["state"], row["size"]), ("ok", 96 << 20))
        self.assertEqual({n["n_active"] for n in row["nodes"].values()}, {4})
        self.fault("lun-remove", number)
        self.must(1, f"pvesm lun remove {san.wwid(other)}", timeout=180)

    def test_a_narrow_scan_finds_one_lun(self):
        number = Luns.next_number
        Luns.next_number += 1
        self.fault("lun-add", number, number, 64)
        self.addCleanup(self.take_away, number)
        said = self.must(1, f"pvesm lun scan --target {san.TARGET} --lun {number} --on n1")
        self.assertIn(f"n1: new LUN {san.wwid(number)}", said)
        self.assertIn("n2: does not see it", self.row(san.wwid(number))["findings"])
        self.assertRegex(self.must(1, "pvesm lun list"), rf"(?m)^{san.wwid(number)} .* n1 4/4, n2 -$")
        status, said = self.on(1, "pvesm lun scan --target iqn.2026-01.lab:nobody 2>&1")
        self.assertNotEqual(status, 0)
        self.assertRegex(said, "sees no target 'iqn.2026-01.lab:nobody'")

    @only_soak("the kernel's patience with a disk that does not answer is half a minute")
    def test_a_host_whose_scan_hangs_is_left_behind(self):
        """scsi_debug takes commands and answers none: the write to its host's `scan` is in the D state, where no signal reaches it."""
        number = Luns.next_number
        Luns.next_number += 1
        quiet = "/sys/bus/pseudo/drivers/scsi_debug"
        self.must(1, "modprobe scsi_debug dev_size_mb=8; udevadm settle -t 60")
        self.addCleanup(self.on, 1, f"echo 0 > {quiet}/opts; multipath -f $(ls /dev/disk/by-id | sed -n 's/^dm-uuid-mpath-\\(353333.*\\)/\\1/p'); modprobe -r scsi_debug")
        host = self.must(1, "ls -d /sys/bus/pseudo/devices/adapter0/host*").rpartition("/")[2]
        self.fault("lun-add", number, number, 64)
        self.addCleanup(self.take_away, number)
        self.addCleanup(self.on, 1, f"echo 0 > {quiet}/opts")
        self.must(1, f"echo 1 > {quiet}/every_nth; echo 4 > {quiet}/opts")  # from now on each command is lost
        begin = time.monotonic()
        self.must(1, "pvesm lun scan > /tmp/scan.out 2>&1 & echo $! > /tmp/scan.pid")
        stuck = "for p in /proc/[0-9]*; do grep -q '^State:.D' $p/status 2> /dev/null && grep -qz storaged-worker $p/cmdline && echo ${p#/proc/}; done || true"
        wait_until(lambda: self.must(1, stuck), "a child of the worker in the D state", 60, 0.2)
        pid = self.must(1, stuck).split()[0]
        self.tell("during", f"process {pid}: {self.must(1, f'grep State: /proc/{pid}/status; cat /proc/{pid}/wchan')}")
        # Nobody else waits for it: not the daemon, not the LUNs of the others, not the other node.
        for n in NODES:
            self.must(n, "timeout 20 pvesm status")
            self.assertEqual(self.row(san.wwid(1), n=n)["state"], "ok")
        wait_until(lambda: self.on(1, "kill -0 $(cat /tmp/scan.pid)")[0] != 0, "the scan to end", 120, 0.5)
        seconds = time.monotonic() - begin
        said = self.must(1, "cat /tmp/scan.out")
        self.assertRegex(said, f"n1: not scanned: '- - -' to /sys/class/scsi_host/{host}/scan: has not come back, it was left behind")
        for n in NODES:
            self.assertIn(f"n{n}: new LUN {san.wwid(number)}", said, "found over the hosts that answer")
        self.must(1, f"echo 0 > {quiet}/opts")
        wait_until(lambda: self.on(1, f"test -e /proc/{pid}")[0] != 0, "the kernel to let go of what was left behind", 300, 1)
        self.tell("after", f"the scan ended after {seconds:.0f} s and found LUN {number} on both nodes; {host} was left behind, and gone later")

    @only_soak("strace looks at all that is written and told")
    def test_what_is_never_done(self):
        """A scan, a resize, a removal: no host's loop is initialised, no configuration read again, no map made anew by force."""
        number = Luns.next_number
        Luns.next_number += 1
        watch = "setsid strace -f -qq -s 200 -e trace={what} -p {pid} -o {file} > /dev/null 2>&1 < /dev/null & " \
                "until grep -q TracerPid:.[1-9] /proc/{pid}/status; do sleep 0.1; done"
        self.must(1, watch.format(what="openat,execve,write,sendto", pid="$(cat /run/storaged.pid)", file="/run/storaged.strace"))
        self.must(1, watch.format(what="read,recvfrom,recvmsg", pid="$(pidof multipathd)", file="/run/multipathd.strace"))
        self.addCleanup(self.on, 1, "pkill -x strace; rm -f /run/*.strace")
        self.must(1, "for p in $(pgrep -x storaged-worker); do kill $p; done")  # the next ones are looked at from their start
        self.fault("lun-add", number, number, 64)
        self.addCleanup(self.take_away, number)
        wwid = san.wwid(number)
        self.assertIn(f"n1: new LUN {wwid}", self.must(1, "pvesm lun scan", timeout=300))
        self.fault("lun-resize", number, 96)
        self.assertIn("96M, 64M before", self.must(1, f"pvesm lun resize {wwid}", timeout=300))
        self.must(1, f"pvesm lun remove {wwid}", timeout=300)
        self.fault("lun-remove", number)
        self.assertIn("gone from all nodes", self.must(1, f"pvesm lun remove {wwid}", timeout=300))
        written = set(self.must(1, r"grep -oE 'openat\([^,]*, \"/sys/[^\"]*\", O_(WRONLY|RDWR)' /run/storaged.strace | grep -o '/sys/[^\"]*' | sort -u").split())
        self.assertTrue(any(w.endswith("/scan") for w in written), "strace has seen the scan")
        self.assertEqual({w.rpartition("/")[2] for w in written} - {"scan", "delete", "rescan"}, set(), written)
        told = self.must(1, r"grep -oE '\"(add|del|remove|reconfigure|resize|switch|fail|reinstate|restore|disable|force|suspend|resume|show|list)[^\"]*' "
                            "/run/multipathd.strace | sort | uniq -c")
        self.assertIn("resize map", told, "strace has seen what multipathd was told")
        self.assertNotIn("reconfigure", told)
        run = self.must(1, "grep -oE 'execve\\(\"[^\"]*multipath\"[^)]*' /run/storaged.strace || true")
        self.assertNotRegex(run, r'"-[a-zA-Z]*r')
        self.tell("seen", f"written: {len(written)} files of sysfs, all scan, delete or rescan; told: {' '.join(told.split())}")


if __name__ == "__main__":
    main()
