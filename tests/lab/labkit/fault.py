# SPDX-License-Identifier: GPL-2.0-or-later
"""
Faults as commands: each row of the table is one thing that happens to a SAN, a node, a network or a server, or what
ends it. tests/system/lab_faults.py shows for each that it bites and that it heals.
"""
from . import ceph, cluster, net, nfs, node, san
from .state import LabError


def _on_lun(lab, n, number, *what):
    """Exchanges the table over a LUN's multipath map on one node (tests/lab/node/lun-fault)."""
    words = (number, san.wwid(san.serial_of(lab, number)), *what)
    node.must(lab, node.check(lab, n), "/share/node/lun-fault " + " ".join(node.quote(w) for w in words))


def _fill(lab, n, path, what):
    node.must(lab, node.check(lab, n), f"/share/node/disk-fill {node.quote(path)} {what}", timeout=300)


def path_down(lab, n, fabric):
    net.link(lab, node.check(lab, n), int(fabric), "down")


def path_up(lab, n, fabric):
    net.link(lab, node.check(lab, n), int(fabric), "up")


def portal_off(lab, address):
    san.portal_off(lab, address)


def portal_on(lab, address):
    san.portal_on(lab, address)


def lun_add(lab, number, serial=None, megabytes=1024):
    san.add_lun(lab, int(number), int(serial or number), int(megabytes))


def lun_remove(lab, number):
    san.remove_lun(lab, int(number))


def lun_renumber(lab, number, serial, megabytes=1024):
    san.renumber_lun(lab, int(number), int(serial), int(megabytes))


def lun_resize(lab, number, megabytes):
    san.resize_lun(lab, int(number), int(megabytes))


def rescan(lab, n):
    san.rescan(lab, node.check(lab, n))


def lun_slow(lab, n, number, milliseconds):
    _on_lun(lab, n, number, "slow", milliseconds)


def lun_flaky(lab, n, number, seconds_up=2, seconds_down=2):
    _on_lun(lab, n, number, "flaky", seconds_up, seconds_down)


def lun_fail(lab, n, number):
    _on_lun(lab, n, number, "fail")


def lun_good(lab, n, number):
    _on_lun(lab, n, number, "good")


def power_cut(lab, n):
    node.power_cut(lab, node.check(lab, n))


def boot(lab, n):
    if node.is_up(lab, node.check(lab, n)):
        raise LabError(f"node {n} is on already")
    cluster.boot(lab, int(n))


def freeze(lab, n):
    node.freeze(lab, node.check(lab, n))


def thaw(lab, n):
    node.thaw(lab, node.check(lab, n))


def split(lab, *groups):
    net.split(lab, [[node.check(lab, n) for n in str(g).split(",")] for g in groups])


def heal(lab):
    net.heal(lab)


def disk_full(lab, n, path):
    _fill(lab, n, path, "full")


def disk_free(lab, n, path):
    _fill(lab, n, path, "free")


def _number(work):
    """A fault of another part's, which takes a number."""
    return lambda lab, number: work(lab, int(number))


FAULTS = {
    # name: (arguments, what happens, work)
    "path-down": ("NODE FABRIC", "the node's cable to SAN fabric 2 or 3 is pulled: two of four paths; 1: cluster", path_down),
    "path-up": ("NODE FABRIC", "and put back", path_up),
    "portal-off": ("ADDRESS", "a port of the array goes silent: a path on every node; 10.77.{2,3}.{201,202}", portal_off),
    "portal-on": ("ADDRESS", "and is back", portal_on),
    "lun-add": ("LUN [SERIAL [MB]]", "the array maps a LUN", lun_add),
    "lun-remove": ("LUN", "the array unmaps a LUN, whatever the nodes do with it", lun_remove),
    "lun-renumber": ("LUN SERIAL [MB]", "the number now is another LUN", lun_renumber),
    "lun-resize": ("LUN MB", "the LUN grows on the array", lun_resize),
    "rescan": ("NODE", "the node looks for new LUNs and sizes", rescan),
    "lun-slow": ("NODE LUN MS", "on this node /dev/mapper/lunN, over the LUN's map, takes MS longer", lun_slow),
    "lun-flaky": ("NODE LUN [UP DOWN]", "it works for UP seconds and fails for DOWN seconds, in turn (2, 2)", lun_flaky),
    "lun-fail": ("NODE LUN", "it fails all I/O", lun_fail),
    "lun-good": ("NODE LUN", "it is as good as the LUN", lun_good),
    "power-cut": ("NODE", "the node is gone at once", power_cut),
    "boot": ("NODE", "it boots, rejoins SAN and cluster", boot),
    "freeze": ("NODE", "the node stands still", freeze),
    "thaw": ("NODE", "and goes on", thaw),
    "split": ("N,N N,N…", "the cluster network falls into islands of these nodes", split),
    "heal": ("", "and is one again", heal),
    "disk-full": ("NODE DIR", "the file system mounted at DIR is filled", disk_full),
    "disk-free": ("NODE DIR", "and has its space back", disk_free),
    "nfs-stop": ("SERVER", "NFS server 1 or 2 hangs", _number(nfs.stop)),
    "nfs-resume": ("SERVER", "and goes on", _number(nfs.resume)),
    "nfs-kill": ("SERVER", "an NFS server dies", _number(nfs.kill)),
    "nfs-start": ("SERVER", "and is started again", _number(nfs.up)),
    "ceph-mon-stop": ("a|b|c", "a Ceph monitor hangs", ceph.mon_stop),
    "ceph-mon-resume": ("a|b|c", "and goes on", ceph.mon_resume),
    "ceph-mon-kill": ("a|b|c", "a Ceph monitor dies", ceph.mon_kill),
    "ceph-mon-start": ("a|b|c", "and is started again", ceph.mon_start),
    "ceph-osd-stop": ("N", "a Ceph OSD hangs", _number(ceph.osd_stop)),
    "ceph-osd-resume": ("N", "and goes on", _number(ceph.osd_resume)),
    "ceph-osd-kill": ("N", "a Ceph OSD dies (what was in a memstore is lost)", _number(ceph.osd_kill)),
    "ceph-osd-start": ("N", "and is started again", _number(ceph.osd_start)),
}


def help_text():
    return "".join(f"  {name + ' ' + args:28} {text}\n" for name, (args, text, _work) in FAULTS.items())


def command(lab, words):
    """`lab fault WORDS…`"""
    name, *args = words
    if name == "help":
        print(help_text(), end="")
        return
    if name not in FAULTS:
        raise LabError(f"no fault '{name}'; `lab fault help` lists them")
    import inspect  # here, as to load it takes longer than most faults
    usage, _text, work = FAULTS[name]
    try:
        inspect.signature(work).bind(lab, *args)
    except TypeError:
        raise LabError(f"fault {name} takes: {usage or 'nothing'}") from None
    lab.settings()  # says that the lab is not up
    try:
        work(lab, *args)
    except ValueError as e:
        raise LabError(f"fault {name} {usage}: {e}") from None
