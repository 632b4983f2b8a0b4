# SPDX-License-Identifier: GPL-2.0-or-later
"""
Two NFS servers (nfs-ganesha) on the cluster network, each with an export of its own and one, /both, that the other has by the same name
with something else in it. Server 1 speaks v3 and v4 and has the
portmapper, so it is at .254, the host's own address; server 2, at .253, speaks v4 only.

What they export is a folder of the lab (exports(lab, n)), and so is what they remember of their v4 clients: a server
that is killed and started again has the same data, the same file handles, and lets its clients reclaim their files.
"""
import os
import signal

from . import server
from .state import LabError, run, wait_for

ADDRESSES = {1: "10.77.1.254", 2: "10.77.1.253"}
PROTOCOLS = {1: "3, 4", 2: "4"}
PORTMAPPER = "rpcbind"
_READY = "NFS SERVER INITIALIZED"
_CONFIG = """
NFS_CORE_PARAM {{ Protocols = {protocols}; NFS_Port = 2049; MNT_Port = {mount_port}; Enable_NLM = false; Enable_RQUOTA = false;
        Enable_UDP = false; Bind_addr = {address}; mount_path_pseudo = true; fsid_device = true; NSM_Use_Caller_Name = true; }}
NFS_KRB5 {{ Active_krb5 = false; }}
NFSv4 {{ Graceless = false; Lease_Lifetime = 10; Grace_Period = 10; RecoveryBackend = fs; RecoveryRoot = {recovery};
        Only_Numeric_Owners = true; Minor_Versions = 0, 1, 2; }}
EXPORT_DEFAULTS {{ Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Transports = TCP; Protocols = {protocols}; }}
EXPORT {{ Export_Id = {n}; Path = /share/exports/{n}; Pseudo = /vm{n}; Filesystem_id = {n}.{n}; FSAL {{ Name = VFS; }} }}
EXPORT {{ Export_Id = 1{n}; Path = /share/exports/both{n}; Pseudo = /both; Filesystem_id = {n}.1{n}; FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = EVENT; }}
"""


def name(n):
    """The server's name in the lab's list of processes."""
    if n not in ADDRESSES:
        raise LabError(f"no NFS server {n}: 1 (v3 and v4) or 2 (v4)")
    return f"nfs{n}"


def exports(lab, n):
    """What server n exports, as a folder of the host."""
    return os.path.join(lab.share, "exports", str(n))


def both(lab, n):
    """What server n exports as /both, as a folder of the host."""
    return os.path.join(lab.share, "exports", f"both{n}")


def source(n):
    """What a node mounts: `mount -t nfs -o … SOURCE DIR`."""
    return f"{ADDRESSES[n]}:/vm{n}"


def _listens(lab, port):
    return bool(run(["ip", "netns", "exec", lab.netns, "ss", "-Hltn", f"sport = :{port}"]).stdout.strip())


def _portmapper(lab):
    """It outlives the NFS server; a new one takes over what a killed one had registered."""
    if not lab.is_running(PORTMAPPER):
        server.start(lab, PORTMAPPER, ["rpcbind", "-f", "-w"])
        wait_for(f"portmapper (see {lab.logs}/{PORTMAPPER}.log)", lambda: lab.is_running(PORTMAPPER) and _listens(lab, 111), 10)


def _write_config(lab, n):
    for d in (exports(lab, n), both(lab, n), os.path.join(lab.share, "nfs", f"recovery{n}")):
        os.makedirs(d, exist_ok=True)
    with open(os.path.join(lab.share, "nfs", f"ganesha{n}.conf"), "w", encoding="ascii") as f:
        f.write(_CONFIG.format(n=n, address=ADDRESSES[n], mount_port=20048 + n, protocols=PROTOCOLS[n], recovery=f"/share/nfs/recovery{n}"))


def up(lab, n):
    """Starts server n, also again after kill(); ready to be mounted when this returns."""
    log = os.path.join(lab.logs, name(n) + ".log")
    if n == 1:
        _portmapper(lab)
    else:
        run(["ip", "-n", lab.netns, "addr", "replace", f"{ADDRESSES[n]}/24", "dev", "br1"])
    _write_config(lab, n)
    before = os.path.getsize(log) if os.path.exists(log) else 0
    server.start(lab, name(n), ["ganesha.nfsd", "-F", "-f", f"/share/nfs/ganesha{n}.conf", "-L", "STDOUT", "-p", f"/run/ganesha/{n}.pid"])

    def ready():
        if not lab.is_running(name(n)):
            raise LabError(f"NFS server {n} ended while it started; see {log}")
        with open(log, "rb") as f:
            f.seek(before)
            return _READY.encode() in f.read()
    wait_for(f"NFS server {n} (see {log})", ready, 20)


def stop(lab, n):
    """The server hangs: the kernel accepts for it and nobody answers."""
    lab.signal_main(name(n), signal.SIGSTOP)


def resume(lab, n):
    lab.signal_main(name(n), signal.SIGCONT)


def kill(lab, n):
    """The server is gone at once, its port refuses. Its portmapper goes on."""
    lab.kill(name(n))
