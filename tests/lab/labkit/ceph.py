# SPDX-License-Identifier: GPL-2.0-or-later
"""
A Ceph cluster beside the nodes: one or three monitors, a manager without modules, OSDs in memory or in a file, and
metadata servers of a file system where they are wanted. The daemons run from a root file system of their own (tests/lab/ceph-packages) in the lab's network namespace.

up() makes a new cluster and waits until it is healthy. It needs no nodes: with addresses=LOOPBACK, a lab that has
nothing else gets a network namespace, and a program of the host that is to use the cluster runs there
(`ip netns exec lab-NAME …`) with host_conf(lab). Nodes find /share/ceph/ceph.conf and /share/ceph/keyring, and
/share/ceph/client, which is what this module asks the cluster with, too.

What makes it fast and quiet is in ceph.conf, below. Nothing is kept over `lab down`.
"""
import base64
import json
import os
import shutil
import signal
import socket
import struct
import time
import uuid

from . import net, server
from .state import HERE, LabError, run, wait_for

NETWORK = ("10.77.1.250", "10.77.1.251", "10.77.1.252")  # on the cluster network; the OSDs and the manager are on the first
LOOPBACK = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
STORES = ("memstore", "bluestore")
MON_NAMES = "abc"
MDS_NAMES = "abc"
MGR = "mgr.x"
# These are always on; one that is missing is HEALTH_ERR.
_MODULES = ("balancer", "crash", "devicehealth", "orchestrator", "pg_autoscaler", "progress", "rbd_support", "status", "telemetry",
            "volumes")
# A copy may be read for as long as its lease, which the other copies' answers renew. A placement group with one copy gets none: once its
# OSD has been stopped for that long (0.8 of the grace) it stays "laggy", and its reads wait, for ever. So theirs doesn't end.
_ALONE = "osd_pool_default_read_lease_ratio = 10000\n"
_ALL = {"mon": "allow *", "osd": "allow *", "mgr": "allow *"}
_CLUSTER = "/share/ceph/cluster"  # the daemons' folder, as they see it

_CLIENT_CONF = """[global]
fsid = {fsid}
mon_host = {mon_host}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {keyring}
[client]
log_file =
admin_socket =
"""

_DAEMON_CONF = """
[global]
mon_initial_members = {members}
public_addr = {address}
cluster_addr = {address}
ms_bind_ipv6 = false
run_dir = /run
crash_dir = /tmp
admin_socket = /run/ceph.asok
pid_file =
log_file =
log_to_stderr = true
err_to_stderr = true
debug_rocksdb = 1/5
mon_cluster_log_to_file = false
mgr_initial_modules =
mgr_module_path = {cluster}/mgr
# pools of a tiny cluster
mon_allow_pool_delete = true
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
osd_pool_default_size = {size}
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# healthy, where a real cluster would warn
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_warn_on_pool_no_redundancy = false
mon_warn_on_too_few_osds = false
osd_op_complaint_time = 300
# quick: commits, elections, and the word of a monitor that is gone
paxos_propose_interval = 0.05
paxos_min_wait = 0.02
mon_down_mkfs_grace = 0
mon_tick_interval = 1
mon_lease = 2
mon_election_timeout = 1
mon_probe_timeout = 0.5
mon_elector_ping_timeout = 1
mon_client_hunt_interval = 0.5
# quick: what the manager knows
mgr_tick_period = 1
mgr_stats_period = 1
mgr_mon_bytes = 67108864
osd_pg_stat_report_interval_max = 2
# quick: an OSD that is gone. A lone OSD has no peers to report it: its missing beacons do.
osd_heartbeat_interval = 1
osd_heartbeat_grace = 6
mon_osd_min_down_reporters = 1
osd_beacon_report_interval = 2
mon_osd_report_timeout = 12
osd_max_markdown_count = 1000
osd_client_watch_timeout = 10
[mon]
mon_data = {cluster}/$type.$id
keyring = {cluster}/$type.$id/keyring
rocksdb_cache_size = 8388608
[mgr]
mgr_data = {cluster}/$type.$id
keyring = {cluster}/$type.$id/keyring
[mds]
mds_data = {cluster}/$type.$id
keyring = {cluster}/$type.$id/keyring
mds_cache_memory_limit = 67108864
mds_beacon_interval = 1
mds_beacon_grace = 5
mds_reconnect_timeout = 5
[osd]
osd_data = {cluster}/$type.$id
keyring = {cluster}/$type.$id/keyring
osd_objectstore = {store}
memstore_device_bytes = 4294967296
bluestore_block_size = 4294967296
bluestore_fsck_on_mkfs = false
bluestore_cache_autotune = false
bluestore_cache_size = 33554432
osd_memory_target = 939524096
osd_class_load_list = *
osd_class_default_list = *
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_max_pg_log_entries = 500
osd_min_pg_log_entries = 100
"""


# --- folders and names

def _dir(lab, *names):
    return os.path.join(lab.share, "ceph", *names)


def host_conf(lab):
    """The ceph.conf for a program of the host; a node's is /share/ceph/ceph.conf."""
    return _dir(lab, "host.conf")


def _process(daemon):
    return f"ceph-{daemon}"


def facts(lab):
    """What up() made: {mons, osds, store, addresses, root}. LabError if the lab has no Ceph."""
    try:
        with open(_dir(lab, "cluster", "facts.json"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        raise LabError(f"lab '{lab.name}' has no Ceph cluster; it gets one with: lab up --ceph") from None


def _mon(lab, name):
    names = MON_NAMES[:facts(lab)["mons"]]
    if name not in names or len(name) != 1:
        raise LabError(f"no monitor '{name}': {', '.join(names)}")
    return f"mon.{name}"


def _osd(lab, number):
    count = facts(lab)["osds"]
    if not 0 <= number < count:
        raise LabError(f"no OSD {number}: 0 to {count - 1}")
    return f"osd.{number}"


# --- making a cluster

def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def _secret():
    """A cephx key: type 1 (AES), time of making, length, 16 random bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def _entry(name, caps):
    return f"[{name}]\n\tkey = {_secret()}\n" + "".join(f'\tcaps {what} = "{allowed}"\n' for what, allowed in caps.items())


def _write_keys(lab, osds, mds):
    """All keys go into the monitors' first keyring, so that none has to be added to the running cluster."""
    entries = {
        _dir(lab, "keyring"): _entry("client.admin", dict(_ALL, mds="allow *")),
        _dir(lab, "cluster", MGR, "keyring"): _entry(MGR, {"mon": "allow profile mgr", "osd": "allow *"}),
    }
    for i in range(osds):
        entries[_dir(lab, "cluster", f"osd.{i}", "keyring")] = _entry(
            f"osd.{i}", {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"})
    for name in MDS_NAMES[:mds]:
        entries[_dir(lab, "cluster", f"mds.{name}", "keyring")] = _entry(f"mds.{name}", {"mon": "profile mds", "osd": "allow *", "mds": "allow"})
    for path, entry in entries.items():
        _write(path, entry)
    _write(_dir(lab, "cluster", "keys"), _entry("mon.", {"mon": "allow *"}) + "".join(entries.values()))


def _write_conf(lab, made, fsid):
    hosts = ",".join(f"[v2:{a}:3300,v1:{a}:6789]" for a in made["addresses"])
    client = {"fsid": fsid, "mon_host": hosts}
    _write(_dir(lab, "ceph.conf"), _CLIENT_CONF.format(keyring="/share/ceph/keyring", **client))
    _write(host_conf(lab), _CLIENT_CONF.format(keyring=_dir(lab, "keyring"), **client))
    _write(_dir(lab, "cluster", "ceph.conf"), _CLIENT_CONF.format(keyring="/share/ceph/keyring", **client) + _DAEMON_CONF.format(
        members=",".join(MON_NAMES[:made["mons"]]), address=made["addresses"][0], cluster=_CLUSTER, store=made["store"],
        size=min(made["osds"], 3)) + (_ALONE if made["osds"] == 1 else ""))


def _write_modules(lab):
    source = os.path.join(HERE, "ceph")
    shutil.copy(os.path.join(source, "client"), _dir(lab))
    for module in _MODULES:
        # ceph-mgr probes for NAME/module.py and then imports NAME.
        _write(_dir(lab, "cluster", "mgr", module, "module.py"), "from mgr_module import MgrModule\n\n\nclass Module(MgrModule):\n    pass\n")
        _write(_dir(lab, "cluster", "mgr", module, "__init__.py"), "from .module import Module\n")
    shutil.copy(os.path.join(source, "mgr_module.py"), _dir(lab, "cluster", "mgr"))


def _once(lab, made, script):
    server.once(lab, ["sh", "-ec", f"cd {_CLUSTER}\n{script}"], root=made["root"])


def _make_mons(lab, made, fsid):
    names = MON_NAMES[:made["mons"]]
    members = " ".join(f"--addv {n} [v2:{a}:3300/0,v1:{a}:6789/0]" for n, a in zip(names, made["addresses"]))
    script = f"monmaptool --create --clobber --fsid {fsid} {members} monmap > /dev/null\n"
    script += "".join(f"ceph-mon -c ceph.conf --mkfs -i {n} --monmap monmap --keyring keys\n" for n in names)
    _once(lab, made, script)


def _make_osds(lab, made, uuids):
    """Needs no monitor: they elect their leader meanwhile."""
    _once(lab, made, "".join(f"ceph-osd -c ceph.conf -i {i} --mkfs --osd-uuid {u} 2>&1\n" for i, u in enumerate(uuids)))


def _start(lab, daemon, clock=None):
    kind, ident = daemon.split(".")
    made = facts(lab)
    argv = [f"ceph-{kind}", "-f", "-c", f"{_CLUSTER}/ceph.conf", "-i", ident]
    if kind == "mon":
        argv += ["--public-addr", made["addresses"][MON_NAMES.index(ident)]]
    if clock:  # by that much wrong, for the program alone; what it waits for is timed right
        argv = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", clock, *argv]
    server.start(lab, _process(daemon), argv, root=made["root"])


def _prepare(lab, made, fsid):
    if not net.exists(lab):
        net.up(lab, 0)
    for address in made["addresses"]:
        if not address.startswith("127."):
            run(["ip", "-n", lab.netns, "addr", "replace", f"{address}/24", "dev", "br1"])
    shutil.rmtree(_dir(lab), ignore_errors=True)
    _write_keys(lab, made["osds"], made["mds"])
    _write_conf(lab, made, fsid)
    _write_modules(lab)
    _write(_dir(lab, "cluster", "facts.json"), json.dumps(made))


def up(lab, mons=1, osds=1, store="memstore", addresses=NETWORK, pools=(), mds=0):
    """
    A new cluster, healthy when this returns; gives the seconds it took and the cluster's state in a line. Each pool
    of `pools` gets the application rbd. memstore is for tests that kill no OSD: it forgets all with the process. With
    metadata servers (mds: how many, one of them active) there is a file system "cephfs".
    """
    if mons not in (1, 3) or osds < 1 or store not in STORES:
        raise LabError(f"Ceph: {mons} monitors (1 or 3), {osds} OSDs (1 or more), store '{store}' ({' or '.join(STORES)})")
    if running(lab):
        raise LabError(f"lab '{lab.name}' has a Ceph cluster that runs: {', '.join(running(lab))}")
    made = {"mons": mons, "osds": osds, "store": store, "mds": mds, "addresses": list(addresses[:mons]),
            "root": run([os.path.join(HERE, "rootfs"), "ceph"]).stdout.strip().splitlines()[-1]}
    begin = time.monotonic()
    fsid, uuids = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(osds)]
    _prepare(lab, made, fsid)
    _make_mons(lab, made, fsid)
    for name in MON_NAMES[:mons]:
        _start(lab, f"mon.{name}")
    _start(lab, MGR)
    _make_osds(lab, made, uuids)
    # Not in ceph.conf, which would win over what a test sets.
    command(lab, {"prefix": "config set", "who": "mon", "name": "auth_allow_insecure_global_id_reclaim", "value": "false"},
            *({"prefix": "osd new", "uuid": u, "id": i} for i, u in enumerate(uuids)))
    for i in range(osds):
        _start(lab, f"osd.{i}")
    if pools:
        make_pools(lab, pools)
    if mds:
        make_fs(lab, "cephfs")
        for name in MDS_NAMES[:mds]:
            _start(lab, f"mds.{name}")
        wait_for("an active metadata server", lambda: fs_state(lab, "cephfs") == ["up:active"], 60)
    state = wait_healthy(lab)
    return time.monotonic() - begin, state


def down(lab):
    """Ends the daemons of the cluster and forgets it."""
    for name in running(lab):
        lab.kill(name)
    shutil.rmtree(_dir(lab), ignore_errors=True)


def running(lab):
    return [name for name in sorted(lab.processes()) if name.startswith("ceph-") and lab.is_running(name)]


# --- asking it

def client(lab, *words, timeout=30, check=True):
    """Runs tests/lab/ceph/client beside the daemons, not on a node; its completed process."""
    result = server.once(lab, ["/share/ceph/client", "--timeout", str(timeout), *words], root=facts(lab)["root"], check=False)
    if check and result.returncode != 0:
        raise LabError(f"Ceph of lab '{lab.name}': {result.stderr.strip() or f'exit {result.returncode}'}; logs: {lab.logs}/ceph-*.log")
    return result


def command(lab, *commands, timeout=30):
    """Monitor commands, as librados takes them; gives their outputs (JSON where there is one)."""
    out = client(lab, "mon", *map(json.dumps, commands), timeout=timeout).stdout.split("\n")[:len(commands)]
    return [json.loads(text) if text[:1] in ("{", "[") else text for text in out]


def make_pools(lab, pools, application="rbd"):
    """application=None makes what a pool is before `rbd pool init`."""
    commands = [{"prefix": "osd pool create", "pool": p, "pg_num": 8} for p in pools]
    if application:
        commands += [{"prefix": "osd pool application enable", "pool": p, "app": application} for p in pools]
    command(lab, *commands)


def make_fs(lab, name):
    """A file system with pools of its own; a metadata server takes it up by itself."""
    make_pools(lab, [f"{name}_metadata", f"{name}_data"], application=None)
    command(lab, {"prefix": "fs new", "fs_name": name, "metadata": f"{name}_metadata", "data": f"{name}_data"},
            {"prefix": "fs set", "fs_name": name, "var": "standby_count_wanted", "val": "0"},
            {"prefix": "fs set", "fs_name": name, "var": "session_timeout", "val": "30"})  # the least; a dead client holds others up for so long


def fs_state(lab, name):
    """The states of the file system's metadata servers: ["up:active"]; a late one has "late" behind it."""
    for fs in command(lab, {"prefix": "fs dump"})[0]["filesystems"]:
        if fs["mdsmap"]["fs_name"] == name:
            return [i["state"] + (" late" if "laggy_since" in i else "") for i in fs["mdsmap"]["info"].values()]
    raise LabError(f"no file system '{name}'")


def checks(lab):
    """The health checks that are raised now, by their codes."""
    return sorted(command(lab, {"prefix": "health"})[0]["checks"])


def wait_checks(lab, has=(), lacks=(), timeout=30):
    """Waits until these health checks are raised and those are not; the cluster's state in a line."""
    return client(lab, "wait", *(f"+{c}" for c in has), *(f"-{c}" for c in lacks), timeout=timeout).stdout.strip()


def wait_healthy(lab, timeout=60):
    """HEALTH_OK, all monitors in the quorum, all OSDs up, all placement groups active and clean; the state in a line."""
    return client(lab, "wait", "OK", timeout=timeout).stdout.strip()


def _daemon_command(lab, daemon, prefix, timeout=1, **more):
    """Asks a daemon by its admin socket, which needs no quorum; None if it does not answer."""
    pid = lab.pid(_process(daemon))
    if not pid:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(f"/proc/{pid}/root/run/ceph.asok")
            s.sendall(json.dumps({"prefix": prefix, "format": "json", **more}).encode() + b"\0")
            with s.makefile("rb") as answer:
                size, = struct.unpack(">I", answer.read(4))
                return json.loads(answer.read(size))
    except (OSError, struct.error, ValueError):
        return None


def quorum(lab):
    """
    The monitors in the quorum, by the word of the member whose election was the last; a monitor that just woke up
    still tells of an older one. Asks by admin socket, so that the answer without a quorum is [].
    """
    told = [_daemon_command(lab, f"mon.{n}", "mon_status") for n in MON_NAMES[:facts(lab)["mons"]]]
    told = [t for t in told if t]
    last = max(told, key=lambda t: t["election_epoch"], default=None)
    if not last or last["state"] not in ("leader", "peon"):
        return []
    return sorted(m["name"] for m in last["monmap"]["mons"] if m["rank"] in last["quorum"])


def wait_quorum(lab, names, seconds=30):
    """Until exactly these monitors are a quorum."""
    wait_for(f"quorum of monitors {','.join(names) or '(none)'}", lambda: quorum(lab) == list(names), seconds)


# --- faults

def _signal(lab, daemon, sig):
    lab.signal_main(_process(daemon), sig)


def _start_again(lab, daemon, clock=None):
    _start(lab, daemon, clock)
    wait_for(f"Ceph daemon {daemon} (see {lab.logs}/{_process(daemon)}.log)", lambda: _daemon_command(lab, daemon, "version"), 30)


def mon_stop(lab, name):
    """The monitor hangs: connections to it are accepted by the kernel and nobody answers."""
    _signal(lab, _mon(lab, name), signal.SIGSTOP)


def mon_resume(lab, name):
    _signal(lab, _mon(lab, name), signal.SIGCONT)


def mon_kill(lab, name):
    lab.kill(_process(_mon(lab, name)))


def mon_start(lab, name, clock=None):
    """
    Starts a killed one on its store; ready when it answers for itself, which is before it is in the quorum. `clock`: how
    wrong its clock is, "+0.7s".
    """
    _start_again(lab, _mon(lab, name), clock)


def osd_stop(lab, number):
    """The OSD hangs, and with it what it serves."""
    _signal(lab, _osd(lab, number), signal.SIGSTOP)


def osd_resume(lab, number):
    _signal(lab, _osd(lab, number), signal.SIGCONT)


def osd_kill(lab, number):
    lab.kill(_process(_osd(lab, number)))


def _mds(lab, name):
    names = MDS_NAMES[:facts(lab)["mds"]]
    if name not in names or len(name) != 1:
        raise LabError(f"no metadata server '{name}': {', '.join(names)}")
    return f"mds.{name}"


def mds_stop(lab, name):
    """The metadata server hangs; what clients hold they keep, and what they ask is not answered."""
    _signal(lab, _mds(lab, name), signal.SIGSTOP)


def mds_resume(lab, name):
    _signal(lab, _mds(lab, name), signal.SIGCONT)


def mds_kill(lab, name):
    lab.kill(_process(_mds(lab, name)))


def mds_start(lab, name):
    _start_again(lab, _mds(lab, name))


def mds_sessions(lab, name):
    """The sessions of its clients; None if it does not answer."""
    return _daemon_command(lab, _mds(lab, name), "session ls")


def mds_evict(lab, name, ident=None):
    """Throws a client out, or all of them, as a metadata server does with dead ones after the session's timeout."""
    for number in [ident] if ident else [s["id"] for s in mds_sessions(lab, name) or []]:
        _daemon_command(lab, _mds(lab, name), "session evict", timeout=10, filters=[f"id={number}"])


def osd_start(lab, number):
    """Starts a killed one; on memstore it would come with nothing of what it had acknowledged."""
    daemon = _osd(lab, number)
    if facts(lab)["store"] == "memstore":
        raise LabError(f"{daemon} forgot all its data when it was killed: it is a memstore; use: lab up --ceph --store bluestore")
    _start_again(lab, daemon)
