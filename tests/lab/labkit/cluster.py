# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs on the nodes: SAN sessions, Corosync, the lock manager and lvmlockd; storaged."""
import re

from . import net, node, san
from .state import wait_for


def on_all(nodes, work):
    """Calls work(n) for all nodes at once; the first failure is raised when all have ended."""
    import concurrent.futures  # here, as to load it takes longer than `lab run`
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(work, nodes))


def start_node(lab, n):
    """
    The SAN, then the cluster. Not at once: while udev works on the paths, Corosync gets too little of the machine to keep
    its token going round, and forms its membership again and again, which takes from the SAN in turn.
    """
    settings = lab.settings()
    if settings["luns"] or lab.is_running(san.SERVER):
        _script(lab, n, "san-up", *net.PORTALS)
        san.wait_paths(lab, n, san.PATHS, seconds=120)
    if settings["luns"] or settings["lock"] != "none" or settings.get("cluster"):
        _script(lab, n, "cluster-up", settings["lock"])


def _script(lab, n, name, *words):
    """One of tests/lab/node, with its log in the node's /run."""
    log = f"/run/{name}.log"
    node.must(lab, n, f"/share/node/{name} {' '.join(words)} > {log} 2>&1 || {{ tail -5 {log} >&2; exit 1; }}", timeout=300)


def boot(lab, n):
    """A node that was off: boots, rejoins the SAN and the cluster, starts storaged if the lab has it."""
    node.boot(lab, n)
    node.wait_ready(lab, n)
    start_node(lab, n)
    if lab.settings()["storaged"]:
        start_storaged(lab, n)


def quorum(lab, n):
    """(is quorate, the members' node ids) as corosync-quorumtool on that node tells."""
    _status, out, _err = node.execute(lab, n, "corosync-quorumtool -s", timeout=20)
    text = out.decode(errors="replace")
    members = re.findall(r"^\s+(\d+)\s+\d+ (?:\(local\) )?n?\S+", text.partition("Membership information")[2], re.M)
    return bool(re.search(r"^Quorate:\s+Yes", text, re.M)), sorted(int(m) for m in members)


def wait_quorum(lab, n, is_quorate, members, seconds=120):
    """Until the node sees exactly these members, and a quorum or none."""
    wait_for(f"node {n}: members {members}, {'quorate' if is_quorate else 'not quorate'}",
             lambda: quorum(lab, n) == (is_quorate, sorted(members)), seconds, 0.2)


def start_storaged(lab, n, options="", faults=""):
    """The freshly built daemon, from /build; ready when its socket answers."""
    node.must(lab, n, f"STORAGED_FAULTS='{faults}' /share/node/storaged-up {options}", timeout=180)


def restart_storaged(lab, n, options="", faults="", signal="TERM"):
    """With other options or faults; it may be dead already."""
    node.must(lab, n, f"f=/run/storaged.pid; ! pkill -{signal} -F $f || pidwait -F $f || ! pgrep -F $f", timeout=90)
    start_storaged(lab, n, options, faults)
