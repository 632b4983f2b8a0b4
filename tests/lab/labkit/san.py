# SPDX-License-Identifier: GPL-2.0-or-later
"""
The SAN: one iSCSI target (tgtd) with four portals on two fabrics, so that every LUN has four paths and one identity.
What an array's administrator does (map, unmap, resize, give a number to another LUN) are functions here, and what a
node's administrator does after it (rescan).

A LUN has a number, by which nodes address it, and a serial, which makes its identity (WWID); as in life the array can
give the number to another serial. The data are in share/luns/lunSERIAL and outlive an unmapping.
"""
import json
import os
import re

from . import net, node, server
from .state import LabError, wait_for

TARGET = "iqn.2026-01.lab:array"
LATE = "iqn.2026-01.lab:late"  # late_port()
SERVER = "tgtd"
PATHS = len(net.PORTALS)
ASKED_EVERY = 0.5  # seconds; a question takes a node 0.1 s, while it has to bring up what it is asked for


def wwid(serial):
    """The WWID that multipath shows for the LUN of that serial: tgtd makes NAA 6 of the hex digits in its scsi_id."""
    return "36" + f"ab{int(serial):05d}".rjust(31, "0")


def device(serial):
    """The LUN on a node."""
    return f"/dev/mapper/{wwid(serial)}"


def backing(lab, serial):
    return os.path.join(lab.share, "luns", f"lun{serial}")


def _admin(lab, *args, check=True):
    return server.enter(lab, SERVER, ["tgtadm", "--lld", "iscsi", *args], check=check)


def _lun(lab, op, number, *args, tid=1, check=True):
    return _admin(lab, "--mode", "logicalunit", "--op", op, "--tid", str(tid), "--lun", str(number), *args, check=check)


def _show(lab, tid, number, file, serial):
    _lun(lab, "new", number, "-b", f"/share/luns/{file}", tid=tid)
    # lbppbe=0: with 4K physical sectors a sanlock LV would need 1 GiB.
    _lun(lab, "update", number, "--params",
         f"vendor_id=LABARRAY,product_id=LUN,scsi_id=LAB{serial:05d},scsi_sn=SN{serial:08d},lbppbe=0", tid=tid)


def up(lab):
    os.makedirs(os.path.join(lab.share, "luns"), exist_ok=True)
    server.start(lab, SERVER, ["tgtd", "-f", "--iscsi", f"portal={net.PORTALS[0]}:3260"])

    def ready():
        if not lab.is_running(SERVER):
            raise LabError(f"tgtd ended while it started; see {lab.logs}/{SERVER}.log")
        return _admin(lab, "--mode", "sys", "--op", "show", check=False).returncode == 0
    wait_for("tgtd", ready, 20)
    for portal in net.PORTALS[1:]:
        _admin(lab, "--mode", "portal", "--op", "new", "--param", f"portal={portal}:3260")
    _admin(lab, "--mode", "target", "--op", "new", "--tid", "1", "-T", TARGET)
    _admin(lab, "--mode", "target", "--op", "bind", "--tid", "1", "-I", "ALL")


def mapped(lab):
    """{number: serial} of the LUNs that the array shows now."""
    out = _admin(lab, "--mode", "target", "--op", "show").stdout.partition("Target 2:")[0]
    return {int(n): int(serial) for n, serial in re.findall(r"LUN: (\d+)\n(?:(?! *LUN:).*\n)*? +SCSI SN: SN(\d+)", out)}


def serial_of(lab, number):
    """The serial behind a number; LabError if the array maps no such LUN."""
    have = mapped(lab)
    if int(number) not in have:
        raise LabError(f"the array maps no LUN {number}; it maps {sorted(have)}")
    return have[int(number)]


def add_lun(lab, number, serial=None, megabytes=1024):
    """Maps a LUN under a number; its identity is the serial's. The backing file is sparse and kept over a remap."""
    serial = serial or number
    if number in mapped(lab):
        raise LabError(f"the array maps a LUN {number} already")
    path = backing(lab, serial)
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.truncate(megabytes << 20)
    _show(lab, 1, number, f"lun{serial}", serial)


def remove_lun(lab, number):
    """Unmaps it on the array, whatever the nodes still do with it. Gives its serial."""
    serial = serial_of(lab, number)
    # With commands in flight tgtd refuses for a moment.
    wait_for(f"unmapping of LUN {number}", lambda: _lun(lab, "delete", number, check=False).returncode == 0, 20)
    return serial


def renumber_lun(lab, number, serial, megabytes=1024):
    """From now on another LUN answers to this number."""
    remove_lun(lab, number)
    add_lun(lab, number, serial, megabytes)


def resize_lun(lab, number, megabytes):
    """Grows the LUN on the array. tgtd reads a backing file's size when the LUN is made, so it is mapped anew."""
    path = backing(lab, serial_of(lab, number))
    if megabytes << 20 < os.path.getsize(path):
        raise LabError(f"LUN {number} has {os.path.getsize(path) >> 20} MB; an array does not shrink it to {megabytes}")
    serial = remove_lun(lab, number)
    with open(path, "r+b") as f:
        f.truncate(megabytes << 20)
    add_lun(lab, number, serial)


def late_port(lab, n, serial):
    """One more port of the array, which that node alone logs into: the same LUN, but what happens to it there comes when late_port_follows()."""
    path = backing(lab, f"{serial}-late")
    with open(path, "wb") as f:
        f.truncate(os.path.getsize(backing(lab, serial)))
    _admin(lab, "--mode", "target", "--op", "new", "--tid", "2", "-T", LATE)
    _admin(lab, "--mode", "target", "--op", "bind", "--tid", "2", "-I", "ALL")
    _show(lab, 2, 1, f"lun{serial}-late", serial)
    node.must(lab, n, f"iscsiadm -m discovery -t st -p {net.PORTALS[0]} > /dev/null && iscsiadm -m node -T {LATE} -p {net.PORTALS[0]} -l > /dev/null", timeout=60)


def late_port_follows(lab, serial):
    """The late port shows the size that the others show."""
    with open(backing(lab, f"{serial}-late"), "r+b") as f:
        f.truncate(os.path.getsize(backing(lab, serial)))
    wait_for("unmapping at the late port", lambda: _lun(lab, "delete", 1, tid=2, check=False).returncode == 0, 20)
    _show(lab, 2, 1, f"lun{serial}-late", serial)


def late_port_ends(lab, n):
    node.execute(lab, n, f"iscsiadm -m node -T {LATE} -u; iscsiadm -m node -T {LATE} -o delete", timeout=60)
    _admin(lab, "--mode", "target", "--op", "delete", "--tid", "2", "--force", check=False)


def portal_off(lab, portal):
    """The array's port goes silent: its address leaves the fabric."""
    net.ip(lab, "addr", "del", f"{portal}/24", "dev", net.bridge_of(portal))


def portal_on(lab, portal):
    net.ip(lab, "addr", "replace", f"{portal}/24", "dev", net.bridge_of(portal))


def path_states(lab, n):
    """{wwid: [state of each path]} in multipathd's words: active or failed."""
    maps = json.loads(node.must(lab, n, "multipathd show maps json", timeout=30))["maps"]
    return {m["uuid"]: [p["dm_st"] for g in m["path_groups"] for p in g["paths"]] for m in maps}


def paths(lab, n):
    """{wwid: number of active paths} as multipathd tells."""
    return {w: states.count("active") for w, states in path_states(lab, n).items()}


def wait_paths(lab, n, wanted, serials=None, seconds=120):
    """Until the node has a map with that many active paths for each of the LUNs (all that are mapped, if not told)."""
    names = {wwid(s) for s in (mapped(lab).values() if serials is None else serials)}
    found = {}

    def probe():
        found.clear()
        found.update(paths(lab, n))
        return all(found.get(w) == wanted for w in names)
    try:
        wait_for(f"node {n}: {wanted} paths to each of {sorted(names)}", probe, seconds, ASKED_EVERY)
    except LabError as e:
        raise LabError(f"{e}; found {found}") from None


def rescan(lab, n):
    """What the administrator of a node does after a change on the array: look for new LUNs, read sizes anew."""
    node.must(lab, n, "/share/node/san-rescan", timeout=90)


def forget(lab, n, serial):
    """And after an unmapping: the map and its dead paths go."""
    node.must(lab, n, f"/share/node/san-forget {wwid(serial)}", timeout=90)


def identity(lab, n, number):
    """{path: WWID} that the LUN of that number tells now on each path, asked by INQUIRY and not of any cache."""
    script = (f"for d in /sys/class/scsi_device/*:*:*:{int(number)}/device/block/*; do p=${{d##*/}}; "
              "echo $p $(/lib/udev/scsi_id --whitelisted -d /dev/$p); done")
    return dict(line.split() for line in node.must(lab, n, script, timeout=60).splitlines() if len(line.split()) == 2)
