#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the node of lvm-kernel (KERNEL_STORY=…): storaged and its pvesm on two disks in memory, /dev/ram0 with the
volume group `contract`, /dev/ram1 for a guest. Prints what it shows; each story fails by an exception.

    lvm-kernel-story.py thin guard hints bench
"""
import argparse
import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

BUILD, VG, DISK, GUEST_DISK = "/build", "contract", "/dev/ram0", "/dev/ram1"
SOCKET = "/run/storaged/api.sock"
MIB = 1 << 20


class Api(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("x", timeout=300)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def get_text(path):
    c = Api()
    c.request("GET", "/api2/json" + path)
    r = c.getresponse()
    body = r.read()
    assert r.status == 200, f"{path}: {r.status} {body[:300]}"
    return body


def get(path):
    return json.loads(get_text(path))["data"]


def run(*argv, ok=True, timeout=300):
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                       timeout=timeout, check=False)
    assert (r.returncode == 0) == ok, f"{' '.join(argv)}: exit {r.returncode}: {r.stdout}"
    return r.stdout.strip()


def pvesm(*argv, ok=True):
    return run(BUILD + "/pvesm", *argv, ok=ok)


def made(*argv):
    """The volume that a command of pvesm made: the last one it names."""
    return re.findall(r"\b\w+:(?:vm|base)-[\w-]+", pvesm(*argv))[-1]


def lvs(*fields, vg=VG):
    lines = run("lvs", "--noheadings", "--separator", "|", "-a", "-o", ",".join(fields), vg).splitlines()
    return [tuple(cell.strip() for cell in line.split("|")) for line in lines if "WARNING" not in line]


def wait(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come to be within {seconds} s"
        time.sleep(0.05)


class Daemon:
    def __init__(self, faults=""):
        env = dict(os.environ, STORAGED_FAULTS=faults)
        self.log = open("/run/storaged.log", "ab")  # kept open for the daemon's life
        self.p = subprocess.Popen([BUILD + "/storaged", "--node", "n1"], env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait("the daemon", self.answers)

    def answers(self):
        assert self.p.poll() is None, open("/run/storaged.log", encoding="utf-8", errors="replace").read()[-2000:]
        try:
            return get("/version") is not None
        except (OSError, http.client.HTTPException):
            return False

    def stop(self):
        self.p.terminate()
        self.p.wait(60)
        self.log.close()


@contextlib.contextmanager
def daemon(faults=""):
    d = Daemon(faults)
    try:
        yield d
    finally:
        d.stop()


def tell(text):
    print("      " + text, flush=True)


def put(path, byte, mib=1, at=0):
    with open(path, "r+b", buffering=0) as f:
        f.seek(at * MIB)
        f.write(bytes([byte]) * (mib * MIB))
        os.fsync(f.fileno())


def first(volume):
    pvesm("activate", volume)
    try:
        with open(pvesm("path", volume), "rb") as f:
            return f.read(1)[0]
    finally:
        pvesm("deactivate", volume)


# --- lvmthin

def thin():
    run("lvcreate", "-qq", "-y", "-T", "-L", "128m", "--poolmetadatasize", "4m", VG + "/pool")
    with daemon():
        assert pvesm("scan", "lvm") == VG
        assert pvesm("scan", "lvmthin", VG) == "pool"
        assert [row["lv"] for row in get(f"/nodes/n1/scan/lvmthin?vg={VG}")] == ["pool"]
        assert "nosuch" in pvesm("scan", "lvmthin", "nosuch", ok=False)
        assert "no thin pool" in pvesm("add", "lvmthin", "bad", "--vgname", VG, "--thinpool", "nosuch", ok=False)
        assert "nosuch" in pvesm("add", "lvmthin", "bad", "--vgname", "nosuch", "--thinpool", "pool", ok=False)
        assert "shared" in pvesm("add", "lvmthin", "bad", "--vgname", VG, "--thinpool", "pool", "--shared", "1", ok=False)
        pvesm("add", "lvmthin", "thin", "--vgname", VG, "--thinpool", "pool")
        pvesm("add", "lvm", "thick", "--vgname", VG)
        thin_volumes()
        thin_room()
        thin_full()
    thin_crashes()


def thin_volumes():
    pvesm("alloc", "thin", "100", "", "100M")
    pvesm("alloc", "thick", "100", "", "4M")
    rows = {s: [(r["volid"], r["size"]) for r in get(f"/nodes/n1/storage/{s}/content")] for s in ("thin", "thick")}
    assert rows == {"thin": [("thin:vm-100-disk-0", 100 * MIB)], "thick": [("thick:vm-100-disk-1", 4 * MIB)]}, rows
    assert "thin" in pvesm("free", "thick:vm-100-disk-0", ok=False)  # of the other type: not there
    pvesm("free", "thick:vm-100-disk-1")
    v = "thin:vm-100-disk-0"
    used = lambda: get("/nodes/n1/storage/thin/status")["used"]
    assert used() == 0, used()
    pvesm("activate", v)
    put("/dev/contract/vm-100-disk-0", 0x11, 8)
    wait("the status shows what was written", lambda: used() == 8 * MIB)
    assert [r["used"] for r in get("/nodes/n1/storage/thin/content")] == [8 * MIB]
    for name, byte in (("one", 0x22), ("two_x", 0x33), ("three", 0x44)):
        pvesm("snapshot", v, name)
        put("/dev/contract/vm-100-disk-0", byte)
    for name, byte in (("two_x", 0x22), ("three", 0x33), ("one", 0x11)):  # in any order
        pvesm("rollback", v, name)
        with open("/dev/contract/vm-100-disk-0", "rb") as f:
            assert f.read(1)[0] == byte, name
    pvesm("deactivate", v)
    assert "snapshot" in pvesm("template", v, ok=False) and "snapshot" in pvesm("rename", v, "--vmid", "101", ok=False)
    clone = made("clone", v, "200", "--snapname", "two_x")
    for name in ("one", "two_x", "three"):
        pvesm("delsnapshot", v, name)
    assert first(clone) == 0x22  # it needs nothing of what it was made of
    base = made("template", v)
    assert ("base-100-disk-0", "read-only") in lvs("lv_name", "lv_permissions")
    linked = made("clone", base, "201")
    assert "vm-201-disk-0" in pvesm("free", base, ok=False)
    for volume in (linked, base, clone):
        pvesm("free", volume)
    assert [n for n, in lvs("lv_name") if not n.startswith(("[", "pool"))] == []
    tell("lvmthin: snapshots in any order, clones that need nothing of their origin, read-only templates, nothing left")


def codes(storage=None):
    rows = json.loads(run("sh", "-c", f"{BUILD}/pvesm doctor --output-format json || true"))
    return {r["code"]: r for r in rows if storage is None or r.get("object") == storage}


def thin_room():
    v = made("alloc", "thin", "110", "", "200M")
    pvesm("activate", v)
    put("/dev/contract/vm-110-disk-0", 0x55, 110)
    pools = get("/nodes/n1/actions/lvmthin/pools")
    assert len(pools) == 1 and pools[0]["used"] == 110 * MIB and 0 < pools[0]["metadata_used"] < pools[0]["metadata_size"], pools
    found = codes()
    assert found["POOL_DATA_FULL"]["severity"] == "warning" and "POOL_OVERCOMMITTED" in found, found
    pvesm("deactivate", v)
    pvesm("free", v)
    assert "POOL_DATA_FULL" not in codes()
    tell("a pool that is 85 % full and promised more than it has is told, with data and metadata; and no more when it is not")


def guest(*words):
    return run("/share/node/guest", *words)


def thin_full():
    """A guest that needs a block which its pool has not is stopped by QEMU, and goes on where it was once there is room."""
    run("lvchange", "-qq", "--errorwhenfull", "y", VG + "/pool")  # at once, instead of after a minute
    v, filler = made("alloc", "thin", "130", "", "4M"), made("alloc", "thin", "131", "", "200M")
    disk = "/dev/contract/vm-130-disk-0"
    for volume in (v, filler):
        pvesm("activate", volume)
    guest("start", "full", disk)
    before = int(guest("counts", "full", disk))
    guest("qmp", "full", "stop")
    pvesm("snapshot", v, "before")  # what the guest writes next needs a block of its own
    run("dd", "if=/dev/zero", "of=/dev/contract/vm-131-disk-0", "bs=1M", "oflag=direct", ok=False)
    found = codes()
    assert found["POOL_FULL"]["severity"] == found["POOL_DATA_FULL"]["severity"] == "error", found
    guest("qmp", "full", "cont")
    state = lambda: json.loads(guest("qmp", "full", "query-status"))["status"]
    wait("QEMU stops the guest", lambda: state() == "io-error")
    stood = int(guest("count", disk))
    pvesm("deactivate", filler)
    pvesm("free", filler)
    wait("the pool has room", lambda: "POOL_FULL" not in codes())
    guest("qmp", "full", "cont")
    assert int(guest("counts", "full", disk)) > stood >= before and state() == "running"
    guest("end", "full")
    assert json.loads(guest("damage", disk)) == []
    with open("/run/full.serial", encoding="ascii") as f:
        assert "E" not in f.read(), "the guest saw an error"
    pvesm("deactivate", v)
    pvesm("delsnapshot", v, "before")
    pvesm("free", v)
    tell("a pool that is full is told as an error; its guest is stopped, sees no error, and goes on once there is room: nothing lost")


def thin_crashes():
    """kill -9 within what the contract suite has no call for."""
    for point, prepare, command in (
            ("free.tagged", ("snapshot", "V", "before"), ("free", "V")),
            ("template.renamed", None, ("template", "V")),
            ("free.removed", ("snapshot", "V", "before"), ("free", "V")),
            ("template.before", None, ("template", "V")),
            ("clone.before", ("snapshot", "V", "before"), ("clone", "V", "121", "--snapname", "before")),
            ("rename.renamed", None, ("rename", "V", "--vmid", "121")))[:None if options.all else 1]:
        with daemon():
            v = made("alloc", "thin", "120", "", "4M")
            if prepare:
                pvesm(*[v if word == "V" else word for word in prepare])
        with daemon(f"lvmthin.{point}=kill"):
            pvesm(*[v if word == "V" else word for word in command], ok=False)
        with daemon():
            after_crash(point)
    tell("kill -9 within a removal with snapshots, a template, a clone, a rename: whole or gone, and no snapshot for a later volume")


def after_crash(point):
    names = [r["volid"].split(":")[1] for r in get("/nodes/n1/storage/thin/content")]
    assert len(names) == (0 if point.startswith("free") else 1), (point, names)
    left = [n for n, in lvs("lv_name") if n.startswith("new-") or (n.startswith("snap_") and not names)]
    assert left == [], (point, left)
    if names and names[0].startswith("base-"):
        assert ("base-120-disk-0", "read-only") in lvs("lv_name", "lv_permissions"), point
    for name in names:
        pvesm("free", "thin:" + name)
    assert [n for n, in lvs("lv_name") if n.startswith(("vm-", "base-", "snap_"))] == [], point


# --- the host's own LVM and what guests have

OPEN_CONF = "global {\n\tevent_activation = 0\n\tuse_lvmpolld = 0\n}\nactivation {\n\tmonitoring = 0\n}\n"


def lvm_conf(text=OPEN_CONF):
    with open("/etc/lvm/lvm.conf", "w", encoding="ascii") as f:
        f.write(text)


def seen():
    """Volume groups that this node's LVM sees by itself."""
    return sorted(line.strip() for line in run("vgs", "--noheadings", "-o", "vg_name").splitlines() if "WARNING" not in line)


def at_boot():
    """What the rules and services of lvm2 do at boot; which devices came of it."""
    run("vgchange", "-aay")
    return [line.split()[0] for line in run("dmsetup", "ls").splitlines() if line.startswith("inner")]


def inside(device, vg):
    """A guest makes a volume group on its disk; its LVM is not the host's."""
    config = 'devices { scan_lvs=1 use_devicesfile=0 filter=["a|.*|"] global_filter=["a|.*|"] }'
    run("vgcreate", "-qq", vg, device, "--config", config)
    run("lvcreate", "-qq", "-y", "-an", "-Zn", "-Wn", "-L", "4M", "-n", "data", vg, "--config", config)


def guard():
    with daemon():
        guard_story()


def guard_story():
    pvesm("add", "lvm", "san", "--vgname", VG)
    v = made("alloc", "san", "100", "", "40M")
    pvesm("activate", v)
    inside("/dev/contract/vm-100-disk-0", "inner1")
    inside(GUEST_DISK, "inner2")
    lvm_conf()
    assert seen() == [VG, "inner2"], seen()  # what a guest has on a disk of ours is not seen; a disk that is its own is
    assert at_boot() == ["inner2-data"], "the control: without the guard it is switched on"
    run("dmsetup", "remove", "inner2-data")
    assert codes()["LVM_GUARD"]["severity"] == "info", codes()
    out = pvesm("vg", "guard")
    assert f"listed: {DISK} ({VG})" in out and f"left out: {GUEST_DISK} (inner2)" in out, out
    assert seen() == [VG] and at_boot() == [], (seen(), at_boot())
    assert codes()["LVM_GUARD"]["severity"] == "ok" and "by storaged" in codes()["LVM_GUARD"]["summary"]
    # storaged's own work is not in the way of it
    w = made("alloc", "san", "101", "", "4M")
    pvesm("free", w)
    assert [f["lv"] for f in get("/nodes/n1/scan/lvmthin?vg=" + VG)] == []
    pvesm("vg", "guard", "--off", "1")
    assert seen() == [VG, "inner2"], seen()
    by_hand("filter", OPEN_CONF + "devices {\n\tglobal_filter = [ \"r|ram1|\" ]\n}\n")
    by_hand("use_devicesfile", OPEN_CONF + "devices {\n\tuse_devicesfile = 0\n}\n")
    lvm_conf(OPEN_CONF + "devices {\n\tscan_lvs = 1\n}\n")
    found = codes()
    assert "inner1" in seen() and found["LVM_SEES_GUEST"]["severity"] == "error" and "LVM_SCANS_VOLUMES" in found, found
    lvm_conf()
    tell("a guest's volume group is neither seen nor switched on; a filter set by hand stays; doctor names what is seen all the same")


def by_hand(what, text):
    lvm_conf(text)
    before = open("/etc/lvm/lvm.conf", encoding="ascii").read()
    assert "nothing was changed" in pvesm("vg", "guard"), what
    assert open("/etc/lvm/lvm.conf", encoding="ascii").read() == before and not os.path.exists("/etc/lvm/devices/system.devices"), what


# --- what this node's LVM has written down about physical volumes

HINTS, OTHER = "/run/lvm/hints", "other"


def hinted():
    """{device: volume group}, as LVM's commands on this node take it for given."""
    with open(HINTS, encoding="ascii") as f:
        return {line.split()[0][5:]: line.rsplit("vg:", 1)[1].strip() for line in f if line.startswith("scan:")}


def wrong_hints(keep):
    """Written anew by LVM itself, all of it true, but that the other devices' lines are not there: as if another node made their groups since."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(HINTS)
    seen()
    with open(HINTS, encoding="ascii") as f:
        lines = [line for line in f if not line.startswith("scan:") or line.startswith(f"scan:{keep} ")]
    with open(HINTS, "w", encoding="ascii") as f:
        f.writelines(lines)
    assert list(hinted()) == [keep], lines


def unseen(vg):
    """The control: LVM's own commands trust what is written down."""
    assert vg not in seen(), "LVM did not trust its hints"
    assert "not found" in run("vgs", vg, ok=False)


def hints():
    lvm_conf()
    run("vgs")
    assert hinted() == {DISK: VG}, hinted()
    run("vgcreate", "-qq", OTHER, GUEST_DISK, "--config", 'devices { hints="none" }')  # by another node: nothing here is told of it
    assert hinted() == {DISK: VG}, hinted()
    with daemon():
        unseen(OTHER)
        assert sorted(pvesm("scan", "lvm").split()) == [VG, OTHER]
        pvesm("add", "lvm", "far", "--vgname", OTHER)
        v = made("alloc", "far", "100", "", "4M")
        pvesm("activate", v)
        unseen(OTHER)
        out = pvesm("vg", "guard")
        assert f"listed: {GUEST_DISK} ({OTHER})" in out, out  # else the host's LVM would lose a group that is in use
        pvesm("vg", "guard", "--off", "1")
        pvesm("deactivate", v)
        pvesm("add", "lvm", "san", "--vgname", VG)
        made("alloc", "san", "100", "", "4M")
    wrong_hints(GUEST_DISK)
    with daemon():  # knows nothing from before
        unseen(VG)
        assert [r["volid"] for r in get("/nodes/n1/storage/san/content")] == ["san:vm-100-disk-0"]
        for step in (("resize", "san:vm-100-disk-0", "8M"), ("activate", "san:vm-100-disk-0"), ("deactivate", "san:vm-100-disk-0"),
                     ("free", "san:vm-100-disk-0"), ("free", v), ("remove", "far")):
            pvesm(*step)
        unseen(VG)
        hints_follow()
    tell("LVM's hints name the wrong devices: its own commands find no such group, storaged's do, and what they change LVM sees at once")


def hints_follow():
    """What storaged itself does to groups, the host's LVM knows at once."""
    def act(action, **args):
        c = Api()
        c.request("POST", "/api2/json/nodes/n1/actions/lvm/" + action, json.dumps(args), {"Content-Type": "application/json"})
        r = c.getresponse()
        body = r.read()
        assert r.status == 200, f"{action}: {r.status} {body}"
        assert seen() == [VG] + [args["vgname"]] * (action != "vg-destroy"), (action, seen())
    wrong_hints(DISK)
    act("vg-destroy", vgname=OTHER)
    assert hinted() == {DISK: VG}, hinted()
    act("vg-create", vgname=OTHER, device=GUEST_DISK, locking="none")
    act("vg-destroy", vgname=OTHER)


# --- saferemove

def stopped():
    """Workers that stand at a fault point."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            if name.startswith("storaged-worker"[:15]) and rest.split()[0] == "T":
                found.append(int(pid))
    return found


def zeroing():
    with daemon("lvm.wipe.before=stop"):
        pvesm("add", "lvm", "san", "--vgname", VG, "--saferemove", "1", "--saferemove_throughput", "64M", "--saferemove-stepsize", "1")
        assert "is on /dev/ram0" in pvesm("add", "lvm", "other", "--vgname", VG, "--base", "mp:3600507680c80810c2000000000000001", ok=False)
        assert "names no LUN" in pvesm("add", "lvm", "other", "--vgname", VG, "--base", "mp:x", ok=False)
        zeroing_in_the_middle()
    for point in ("wipe.zeroed", "free.renamed", "wipe.before")[:None if options.all else 1]:
        with daemon(f"lvm.{point}=kill"):
            pvesm("free", made("alloc", "san", "110", "", "4M"), ok=False)
        assert ("del-vm-110-disk-0",) in lvs("lv_name"), point
        with daemon():
            assert not [r for r in get("/nodes/n1/storage/san/content") if r["vmid"] == 110], point
            pvesm("free", made("alloc", "san", "111", "", "4M"))
        assert not any(n.startswith("del-") for n, in lvs("lv_name")), point
    tell("kill -9 in a removal: nobody sees the volume, and the next removal finishes it")


def zeroing_in_the_middle():
    """A removal that stands still between its name and its bytes keeps nobody waiting, and its blocks from everybody."""
    v, other = made("alloc", "san", "100", "", "16M"), made("alloc", "san", "101", "", "4M")
    pvesm("add", "lvm", "tagged", "--vgname", VG, "--tagged_only", "1")
    run("lvcreate", "-qq", "-y", "-an", "-Wn", "-Zn", "-L", "4M", "-n", "vm-109-disk-0", VG)  # by hand, without a tag
    names = {s: {r["volid"].split(":")[1] for r in get(f"/nodes/n1/storage/{s}/content")} for s in ("san", "tagged")}
    assert names["san"] - names["tagged"] == {"vm-109-disk-0"} and len(names["tagged"]) == 2, names
    run("lvremove", "-qq", "-y", VG + "/vm-109-disk-0")
    pvesm("activate", v)
    put("/dev/contract/vm-100-disk-0", 0x77, 16)
    pvesm("deactivate", v)
    p = subprocess.Popen([BUILD + "/pvesm", "free", v], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait("the removal to stand before its zeroing", stopped)
    assert ("del-vm-100-disk-0",) in lvs("lv_name")
    made("alloc", "san", "102", "", "4M")
    pvesm("resize", other, "8M")
    assert made("alloc", "san", "100", "", "4M") == v  # the name is free, its blocks are not
    assert p.poll() is None and ("del-vm-100-disk-0",) in lvs("lv_name")
    for pid in stopped():
        os.kill(pid, signal.SIGCONT)
    assert p.wait(120) == 0
    assert not any(n.startswith("del-") for n, in lvs("lv_name"))
    tell("alloc and resize on the storage while a removal stands before its zeroing; its space is free when it is done")


# --- speed

class InProcess:
    """LVM within this process, as a worker has it."""

    def __init__(self):
        self.lib = ctypes.CDLL("liblvm2cmd.so.2.03")
        self.lib.lvm2_init.restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(self.lib.lvm2_init())
        self.lib.lvm2_run.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        self.lib.lvm2_exit.argtypes = (ctypes.c_void_p,)
        self.null = os.open("/dev/null", os.O_WRONLY)

    def __call__(self, command):
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(self.null, 1)
        try:
            begun = time.perf_counter()
            r = self.lib.lvm2_run(self.handle, command.encode())
            seconds = time.perf_counter() - begun
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        assert r == 1, f"{command}: {r}"
        return seconds * 1000

    def end(self):
        self.lib.lvm2_exit(self.handle)


def many(count):
    """That many volumes in one commit: LVM's own backup with them written in, restored."""
    path = "/run/many"
    run("vgcfgbackup", "-qq", "-f", path, VG)
    text = open(path, encoding="ascii").read()
    rows = []
    for i in range(count):
        number = f"{i:032d}"
        uuid = "-".join((number[:6], number[6:10], number[10:14], number[14:18], number[18:22], number[22:26], number[26:]))
        rows.append(f"""vm-300-disk-{i} {{
id = "{uuid}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
tags = ["pve-vm-300"]
creation_time = 1700000000
creation_host = "n1"
segment_count = 1
segment1 {{
start_extent = 0
extent_count = 1
type = "striped"
stripe_count = 1
stripes = ["pv0", {i}]
}}
}}""")
    assert "logical_volumes" not in text, "the group is empty at the begin"
    at = text.rindex("}")  # the group's own
    with open(path, "w", encoding="ascii") as f:
        f.write(text[:at] + "logical_volumes {\n" + "\n".join(rows) + "\n}\n" + text[at:])
    run("vgcfgrestore", "-qq", "-f", path, VG)


def median(values):
    return statistics.median(values)


def listing():
    begun = time.perf_counter()
    text = get_text("/nodes/n1/storage/san/content")
    return (time.perf_counter() - begun) * 1000, len(json.loads(text)["data"])  # what this script then makes of it is no part of it


def bench():
    count, rounds = options.volumes, options.rounds
    many(count)
    figures = {"volumes": count}
    with daemon():
        pvesm("add", "lvm", "san", "--vgname", VG)
        listing()
        assert listing()[1] == count, listing()
        report = InProcess()
        fields = "lv_name,lv_uuid,lv_size,lv_tags,lv_time,lv_layout,pool_lv,origin"
        lvs_command = f"lvs --reportformat json --units b --nosuffix -o {fields} {VG}"
        report(lvs_command)
        cold, warm, reports, commands = [], [], [], []
        for i in range(rounds):  # in turns, so that the machine's load is shared
            run("lvchange", "-qq", "--addtag", f"x{i}", f"{VG}/vm-300-disk-1")
            cold.append(listing()[0])
            warm += [listing()[0] for _ in range(5)]
            reports.append(report(lvs_command))
            begun = time.perf_counter()
            pvesm("list", "san")
            commands.append((time.perf_counter() - begun) * 1000)
        figures.update(list_cold=cold, list_warm=warm, report=reports, list_command=commands)
        allocs, creates, inside_creates = [], [], []
        for i in range(rounds):
            begun = time.perf_counter()
            run("lvcreate", "-qq", "-y", "-Wy", "-Zy", "-L", "512k", "-n", f"vm-301-disk-{i}", VG)
            creates.append((time.perf_counter() - begun) * 1000)
            inside_creates.append(report(f"lvcreate -qq -y -Wy -Zy -L 512k -n vm-302-disk-{i} {VG}"))
            c = Api()
            begun = time.perf_counter()
            c.request("POST", "/api2/json/nodes/n1/storage/san/content", "vmid=303&filename=&size=512",
                      {"Content-Type": "application/x-www-form-urlencoded"})
            r = c.getresponse()
            body = r.read()
            allocs.append((time.perf_counter() - begun) * 1000)
            assert r.status == 200, body
        report.end()
        figures.update(alloc=allocs, lvcreate=creates, lvcreate_in_process=inside_creates)
    print("FIGURES " + json.dumps(figures), flush=True)
    m = {key: median(value) for key, value in figures.items() if key != "volumes"}
    tell(f"{count} volumes: list {m['list_cold']:.0f} ms after a change ({m['list_cold'] / m['report']:.2f} of LVM's report), "
         f"{m['list_warm']:.1f} ms without; alloc {m['alloc']:.0f} ms ({m['alloc'] / m['lvcreate']:.2f} of lvcreate, "
         f"{m['alloc'] / m['lvcreate_in_process']:.2f} of one in process)")


options = None


def clean(conf):
    """As at the begin: no storage, no volume, LVM as the node has it."""
    lvm_conf(conf)
    for path in ("/etc/pve", "/var/lib/storaged", "/etc/lvm/devices"):
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs("/etc/pve", exist_ok=True)
    run("lvremove", "-qq", "-y", "-f", VG)
    run("wipefs", "-qq", "-a", GUEST_DISK)


def main():
    global options
    a = argparse.ArgumentParser()
    a.add_argument("names", nargs="+", choices=["thin", "guard", "hints", "zeroing", "bench"])
    a.add_argument("--volumes", type=int, default=100)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--all", action="store_true", help="each point of a crash, not only the worst")
    options = a.parse_args()
    conf = open("/etc/lvm/lvm.conf", encoding="ascii").read()
    for name in options.names:
        clean(conf)
        globals()[name]()
        tell(f"{name}: ok")


if __name__ == "__main__":
    main()
