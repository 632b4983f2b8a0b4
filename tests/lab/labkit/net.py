# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab's networks: one network namespace, four bridges (0 management, 1 cluster, 2 SAN fabric A, 3 SAN fabric B), a
tap on each for every node. 10.77.<bridge>.<node>; the host is .254, the SAN's portals .201 and .202. As all of it is
in the namespace, labs side by side have the same addresses and never meet.
"""
import subprocess

from .state import LabError, run, wait_for

BRIDGES = range(4)
CLUSTER, FABRIC_A, FABRIC_B = 1, 2, 3
HOST = 254
PORTALS = ["10.77.2.201", "10.77.2.202", "10.77.3.201", "10.77.3.202"]


def tap(node, bridge):
    return f"n{node}v{bridge}"


def ip(lab, *args, check=True):
    """ip(8) in the lab's namespace."""
    return run(["ip", "-n", lab.netns, *args], check=check)


def exists(lab):
    return any(line.split()[:1] == [lab.netns] for line in run(["ip", "netns", "list"]).stdout.splitlines())


def _layout(nodes):
    yield "link set lo up"
    for b in BRIDGES:
        yield f"link add br{b} type bridge"
        yield f"addr add 10.77.{b}.{HOST}/24 dev br{b}"
        yield f"link set br{b} up"
    for portal in PORTALS:
        yield f"addr add {portal}/24 dev {bridge_of(portal)}"
    for n in range(1, nodes + 1):
        for b in BRIDGES:
            yield f"tuntap add {tap(n, b)} mode tap"
            yield f"link set {tap(n, b)} master br{b} up"


def up(lab, nodes):
    if exists(lab):
        raise LabError(f"network namespace {lab.netns} is there already, left by an earlier lab '{lab.name}'; "
                       f"end it with: lab --name {lab.name} down")
    run(["ip", "netns", "add", lab.netns])
    r = subprocess.run(["ip", "-n", lab.netns, "-batch", "-"], input="\n".join(_layout(nodes)) + "\n", capture_output=True,
                       text=True, check=False)
    if r.returncode != 0:
        raise LabError(f"network of lab '{lab.name}': {r.stderr.strip()}")


def down(lab):
    """Removes the namespace and all in it. One that somebody is still in would live on without a name: refused."""
    if not exists(lab):
        return
    try:
        wait_for("", lambda: not run(["ip", "netns", "pids", lab.netns]).stdout.split(), 30)
    except LabError:
        pids = run(["ip", "netns", "pids", lab.netns]).stdout.split()
        raise LabError(f"network namespace {lab.netns} is in use by processes that the lab did not start: "
                       f"{' '.join(pids)}; end them and repeat `down`") from None
    run(["ip", "netns", "del", lab.netns])


def bridge_of(address):
    return f"br{address.split('.')[2]}"


def link(lab, node, bridge, state):
    """
    state: up or down; the node's cable on that network, pulled at the switch: the tap leaves the bridge. Setting the tap
    itself down makes a read of it fail in the node's kernel, which then gives up the interface for good.
    """
    if bridge not in BRIDGES:
        raise LabError(f"no network {bridge}: 0 management, 1 cluster, 2 SAN fabric A, 3 SAN fabric B")
    ip(lab, "link", "set", tap(node, bridge), *(["master", f"br{bridge}"] if state == "up" else ["nomaster"]))


def split(lab, groups, bridge=CLUSTER):
    """
    Cuts a network into islands: nodes of different groups no longer hear each other on that bridge. Each group
    but the first moves to a bridge of its own. The host, and nodes that are in no group, stay with the first.
    """
    named = [n for group in groups for n in group]
    if len(groups) < 2 or len(set(named)) != len(named):
        raise LabError(f"split {groups}: at least two groups of nodes, each node in one of them")
    heal(lab, bridge)
    for i, group in enumerate(groups[1:], 1):
        ip(lab, "link", "add", f"br{bridge}x{i}", "type", "bridge")
        ip(lab, "link", "set", f"br{bridge}x{i}", "up")
        for n in group:
            ip(lab, "link", "set", tap(n, bridge), "master", f"br{bridge}x{i}")


def heal(lab, bridge=CLUSTER):
    """The islands are one again; a cable that is pulled stays so."""
    i = 1
    while ip(lab, "link", "show", f"br{bridge}x{i}", check=False).returncode == 0:
        for line in ip(lab, "-o", "link", "show", "master", f"br{bridge}x{i}").stdout.splitlines():
            ip(lab, "link", "set", line.split()[1].rstrip(":").split("@")[0], "master", f"br{bridge}")
        ip(lab, "link", "del", f"br{bridge}x{i}")
        i += 1
