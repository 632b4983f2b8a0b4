# SPDX-License-Identifier: GPL-2.0-or-later
"""After a failure: all that a lab's nodes, daemons and consoles have to say, in one folder."""
import os
import shutil

from . import agent, cluster, node

# What a node is asked; each answer becomes a file of that name.
QUESTIONS = {
    "dmesg": "dmesg",
    "processes": "ps axo pid,ppid,stat,wchan:30,time,args",
    "mounts": "cat /proc/self/mounts",
    "multipath": "timeout 5 multipathd show maps topology; timeout 5 multipathd show paths; timeout 5 dmsetup table; timeout 5 dmsetup info -c",
    "iscsi": "timeout 5 iscsiadm -m session -P 1",
    "corosync-quorum": "timeout 5 corosync-quorumtool -s; timeout 5 dlm_tool ls; timeout 5 dlm_tool dump | tail -200",
    "lvmlockd": "timeout 5 lvmlockctl -i; timeout 5 lvmlockctl -d | tail -300; timeout 5 sanlock client status",
    "log": "for f in /run/*.log /var/log/*.log /var/log/*/*.log; do [ -f $f ] && echo \"== $f\" && tail -500 $f; done",
    "storaged": "[ -e /usr/local/bin/pvesm ] && timeout 10 pvesm status; cat /etc/pve/storage.cfg; ls -la /var/log/storaged /run/storaged; "
                "for f in $(find /var/log/pve /var/lib/storaged -type f -size -64k 2> /dev/null | head -50); do echo \"== $f\"; tail -50 $f; done",
}


def _ask(lab, n, folder):
    target = os.path.join(folder, f"n{n}")
    os.makedirs(target, exist_ok=True)
    for name, script in QUESTIONS.items():
        try:
            _status, out, err = node.execute(lab, n, f"{{ {script}; }} 2>&1", timeout=20, connect_timeout=3)
        except agent.AgentError as e:
            out, err = b"", f"no answer: {e}\n".encode()
        with open(os.path.join(target, name), "wb") as f:
            f.write(out + err)
        if err and not out:
            return  # it will not answer the others either


def gather(lab, folder):
    """Consoles and daemons as they are in the lab's own folder, and the nodes' answers, as far as they give any."""
    os.makedirs(folder, exist_ok=True)
    for name in ("settings.json", "processes.json"):
        if os.path.exists(os.path.join(lab.dir, name)):
            shutil.copy(os.path.join(lab.dir, name), folder)
    if os.path.isdir(lab.logs):
        shutil.copytree(lab.logs, os.path.join(folder, "host"), dirs_exist_ok=True)
    if lab.exists():
        on = [n for n in node.all_of(lab) if node.is_up(lab, n)]
        cluster.on_all(on, lambda n: _ask(lab, n, folder))
    return folder
