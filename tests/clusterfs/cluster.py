# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes of a cluster on one machine: each with its own network and mount namespace, a real Corosync with encryption on,
and clusterfs. The network is a bridge in a namespace of its own; a node is cut off by taking its port down.

    with Cluster(3) as c:
        c.start()                       # corosync and clusterfs everywhere, all active
        open(c[0].path("x"), "w").write("hello")

A node's files are reached through /proc/<holder>/root, so a test is plain file access. All that was started is ended by
its process id, all that was made is removed.
"""
import contextlib
import ctypes
import errno
import hashlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(REPO, os.environ.get("STORAGED_BUILD", "build"))
PROGRAM = os.path.join(BUILD, "clusterfs")
TOKEN = int(os.environ.get("CLUSTERFS_TOKEN", "1000"))

CONF = """totem {{
  version: 2
  cluster_name: test
  config_version: {version}
  transport: knet
  crypto_cipher: aes256
  crypto_hash: sha256
  keyfile: /etc/corosync/authkey
  token: {token}
  token_coefficient: 125
  ip_version: ipv4
}}
logging {{
  to_stderr: yes
  to_syslog: no
  timestamp: on
}}
quorum {{
  provider: corosync_votequorum
}}
nodelist {{
{nodes}}}
"""
NODE = """  node {{
    ring0_addr: 10.77.0.{id}
    nodeid: {id}
    name: n{id}
  }}
"""

CLUSTERS = itertools.count(1)
NOBODY = "02:00:00:00:00:99"  # no link has this address

# Private /etc/corosync, /run, /dev/shm and /var/lib/corosync; then tells that it is ready and stays. Under the mount point
# nothing can be written: what a test writes while no clusterfs is mounted would count as acknowledged.
HOLDER = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mkdir -p /run/corosync
mount --bind {dir}/etc /etc/corosync
mount --bind {dir}/lib /var/lib/corosync
mount -t tmpfs -o ro tmpfs {dir}/mnt
ip link set lo up
echo ready
exec sleep infinity
"""


def run(*argv, check=True, **kw):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {r.stdout.strip()}")
    return r.stdout


def wait_until(what, fn, timeout=20.0, step=0.02):
    end = time.monotonic() + timeout
    while True:
        try:
            r = fn()
            if r:
                return r
        except OSError:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(step)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """A program that is ended for sure."""

    def __init__(self, argv, log, env=None, stdout=None):
        self.log = log
        out = open(log, "ab")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, stdout=stdout or out, stderr=out, preexec_fn=die_with_parent,
                                  env=dict(os.environ, **(env or {})))
        out.close()

    @property
    def pid(self):
        return self.p.pid

    def alive(self):
        return self.p.poll() is None

    def kill(self, sig=signal.SIGKILL, timeout=10):
        if self.alive():
            self.p.send_signal(sig)
            try:
                self.p.wait(timeout)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
                raise AssertionError(f"{self.p.args[0]} did not end on signal {sig}")
        return self.p.returncode


class Node:
    def __init__(self, cluster, nid):
        self.cluster, self.id, self.name = cluster, nid, f"n{nid}"
        self.dir = os.path.join(cluster.dir, self.name)
        for d in ("etc", "lib", "state", "mnt", "run"):
            os.makedirs(os.path.join(self.dir, d))
        self.state = os.path.join(self.dir, "state")
        self.netns = f"{cluster.prefix}n{nid}"
        self.port = f"p{nid}"
        self.corosync = self.clusterfs = None
        self.options = []
        self._network()
        self.holder = Process(["ip", "netns", "exec", self.netns, "unshare", "-m", "--propagation", "private", "sh", "-c",
                               HOLDER.format(dir=self.dir)], os.path.join(self.dir, "holder.log"), stdout=subprocess.PIPE)
        line = self.holder.p.stdout.readline()
        if line.strip() != b"ready":
            raise RuntimeError(open(self.holder.log).read())
        self.root = f"/proc/{self.holder.pid}/root"

    def _network(self):
        hub = self.cluster.hub
        run("ip", "netns", "add", self.netns)
        run("ip", "link", "add", "eth0", "netns", self.netns, "type", "veth", "peer", "name", self.port, "netns", hub)
        run("ip", "-n", hub, "link", "set", self.port, "master", "hub0", "up")
        run("ip", "-n", self.netns, "addr", "add", f"10.77.0.{self.id}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")

    def enter(self, *argv):
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", f"--net=/proc/{self.holder.pid}/ns/net", *argv]

    def path(self, *parts):
        return os.path.join(self.root + self.dir, "mnt", *parts)

    def log_path(self):
        return os.path.join(self.dir, "clusterfs.log")

    def log(self):
        return open(self.log_path(), errors="replace").read()

    # --- corosync

    def start_corosync(self):
        self.corosync = Process(self.enter("corosync", "-f"), os.path.join(self.dir, "corosync.log"))

    def stop_corosync(self, sig=signal.SIGTERM):
        if self.corosync:
            self.corosync.kill(sig)
            self.corosync = None
            shm = self.root + "/dev/shm"
            for f in os.listdir(shm) if sig == signal.SIGKILL and os.path.isdir(shm) else []:
                p = os.path.join(shm, f)
                with contextlib.suppress(FileNotFoundError):  # clusterfs lets go of its own
                    shutil.rmtree(p) if os.path.isdir(p) else os.unlink(p)

    def cut(self):
        run("ip", "-n", self.cluster.hub, "link", "set", self.port, "down")

    def heal(self):
        run("ip", "-n", self.cluster.hub, "link", "set", self.port, "up")

    def deafen(self, others):
        """What these send to this node is lost, without any error; what it sends arrives."""
        for n in others:
            run("ip", "-n", n.netns, "neigh", "replace", f"10.77.0.{self.id}", "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")

    def undeafen(self, others):
        for n in others:
            run("ip", "-n", n.netns, "neigh", "del", f"10.77.0.{self.id}", "dev", "eth0", check=False)

    # --- clusterfs

    def start_fs(self, *options, wait=True, env=None):
        argv = [PROGRAM, "-f", "--mount", f"{self.dir}/mnt", "--state", self.state, "--run", f"{self.dir}/run", "--node",
                self.name, *self.cluster.options, *self.options, *options]
        self.clusterfs = Process(self.enter(*argv), self.log_path(), env=env)
        if wait:
            self.wait_mounted()

    def wait_mounted(self):
        def mounted():
            if not self.clusterfs.alive():
                raise AssertionError(f"{self.name}: clusterfs ended:\n{self.log()[-2000:]}")
            return os.path.lexists(self.path("local"))
        wait_until(f"{self.name}: mounted", mounted)

    def stop_fs(self, sig=signal.SIGTERM):
        if self.clusterfs:
            rc = self.clusterfs.kill(sig)
            self.clusterfs = None
            if sig == signal.SIGKILL:
                run(*self.enter("umount", "-l", f"{self.dir}/mnt"), check=False)
            return rc
        return None

    def is_quorate(self):
        return bool(os.lstat(self.path("local")).st_mode & 0o200)

    def wait_writable(self, timeout=30):
        def write():
            p = self.path(f".probe-{self.name}")
            with open(p, "w") as f:
                f.write("x")
            os.unlink(p)
            return True
        wait_until(f"{self.name}: writable", write, timeout)

    def conflicts(self):
        """{relative path: content} of all that was kept, and the reports."""
        found, reports = {}, []
        top = os.path.join(self.state, "conflicts")
        for d in sorted(os.listdir(top)) if os.path.isdir(top) else []:
            base = os.path.join(top, d, "tree")
            for root, _, files in os.walk(base):
                for f in files:
                    p = os.path.join(root, f)
                    found[os.path.relpath(p, base)] = open(p).read()
            if os.path.exists(os.path.join(top, d, "REPORT")):
                reports += open(os.path.join(top, d, "REPORT")).read().splitlines()
        return found, reports

    def checksum(self):
        return tree_checksum(self.path())

    def rss_kib(self):
        pid = self.clusterfs.pid
        for line in open(f"/proc/{pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def subscribe(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(f"{self.dir}/run/notify.sock")
        s.settimeout(5)
        return s

    def end(self):
        self.stop_fs(signal.SIGKILL)
        self.stop_corosync(signal.SIGKILL)
        self.holder.kill()
        self.holder.p.stdout.close()
        run("ip", "netns", "del", self.netns, check=False)


def tree_checksum(top):
    """Over names, contents, modes and times below `top`, dot files and links of the root left out."""
    h = hashlib.sha256()
    for root, dirs, files in os.walk(top):
        dirs.sort()
        rel = os.path.relpath(root, top)
        for d in list(dirs):
            if os.path.islink(os.path.join(root, d)):
                dirs.remove(d)
        for f in sorted(files):
            p = os.path.join(root, f)
            if (rel == "." and f.startswith(".") and not f.startswith(".probe")) or os.path.islink(p):
                continue
            st = os.stat(p)
            with open(p, "rb") as fd:
                h.update(f"{rel}/{f} {st.st_mode:o} {st.st_mtime_ns}\n".encode() + fd.read())
        h.update(f"dir {rel}\n".encode())
    return h.hexdigest()


class Cluster:
    def __init__(self, n=3, options=()):
        self.dir = tempfile.mkdtemp(prefix="clusterfs-", dir=os.environ.get("TMPDIR", "/tmp"))
        self.prefix = f"cfs{os.getpid()}x{next(CLUSTERS)}"
        self.hub = f"{self.prefix}hub"
        self.options = list(options)
        self.nodes = []
        self.n = n

    def __getitem__(self, i):
        return self.nodes[i]

    def __enter__(self):
        try:
            run("ip", "netns", "add", self.hub)
            for i in range(self.n):  # one for each part that the network may fall into
                run("ip", "-n", self.hub, "link", "add", "name", f"hub{i}", "type", "bridge")
                run("ip", "-n", self.hub, "link", "set", f"hub{i}", "up")
            with open(os.path.join(self.dir, "authkey"), "wb") as f:
                f.write(os.urandom(256))
            for i in range(1, self.n + 1):
                self.nodes.append(Node(self, i))
            self.write_conf(1)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, tb):
        if kind and os.environ.get("CLUSTERFS_LOGS"):
            for n in self.nodes:
                print(f"--- {n.name}\n{n.log()[-4000:]}")
        for n in self.nodes:
            try:
                n.end()
            except (OSError, AssertionError) as e:
                print(f"{n.name}: {e}")
        run("ip", "netns", "del", self.hub, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def conf(self, version, n=None):
        return CONF.format(version=version, token=TOKEN,
                           nodes="".join(NODE.format(id=i) for i in range(1, (n or self.n) + 1)))

    def write_conf(self, version, n=None):
        for node in self.nodes:
            shutil.copy(os.path.join(self.dir, "authkey"), os.path.join(node.dir, "etc", "authkey"))
            with open(os.path.join(node.dir, "etc", "corosync.conf"), "w") as f:
                f.write(self.conf(version, n))

    def start(self, *options):
        for n in self.nodes:
            n.start_corosync()
        for n in self.nodes:
            n.start_fs(*options)
        for n in self.nodes:
            n.wait_writable()

    def split(self, *groups):
        """Nodes of a group reach each other and nobody else: split([a, b], [c]). All in one group: healed."""
        for i, group in enumerate(groups):
            for node in group:
                run("ip", "-n", self.hub, "link", "set", node.port, "master", f"hub{i}")

    def join(self):
        self.split(self.nodes)
        for n in self.nodes:
            n.heal()
            n.undeafen([o for o in self.nodes if o is not n])

    def wait_same(self, nodes=None, timeout=20):
        nodes = nodes or self.nodes

        def same():
            return len({n.checksum() for n in nodes}) == 1
        wait_until("all trees are the same", same, timeout, 0.1)


def is_errno(fn, *codes):
    try:
        fn()
    except OSError as e:
        return e.errno in codes
    return False


__all__ = ["Cluster", "Node", "Process", "run", "wait_until", "is_errno", "tree_checksum", "errno", "PROGRAM", "BUILD", "REPO"]
