# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster on one machine: N nodes, each a network namespace with a real Corosync (knet) and a storaged of its own.

The nodes hang on one bridge; one directory is the cluster file system of all, bound to <root>/etc/pve of each. To be
used under `main(namespace=True)`: bridge, namespaces and mounts are inside that one and end with it.
"""
import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import time

from harness import Daemon, DaemonTest, die_with_parent, run, wait_until

CONF = """
system {{
    state_dir: {state}
    move_to_root_cgroup: no
}}
totem {{
    version: 2
    cluster_name: testbed
    config_version: 7
    transport: knet
    crypto_cipher: none
    crypto_hash: none
    token: 1000
    consensus: 1200
    interface {{
        linknumber: 0
        knet_ping_interval: 200
        knet_ping_timeout: 600
        knet_pong_count: 1
    }}
}}
logging {{
    to_stderr: yes
    to_syslog: no
    timestamp: on
}}
quorum {{
    provider: corosync_votequorum
{quorum}
}}
nodelist {{
{nodes}
}}
"""
NODE = """    node {{
        ring0_addr: {ip}
        name: {name}
        nodeid: {id}
    }}
"""


LINKS = itertools.count(1)


class Node:
    """One of the machines."""

    def __init__(self, lab, number):
        self.lab, self.id, self.name, self.ip = lab, number, f"n{number}", f"10.77.0.{number}"
        self.root = os.path.join(lab.tmp, self.name)
        self.conf = os.path.join(self.root, "etc/corosync/corosync.conf")
        self.corosync = self.d = None
        for part in ("etc/pve", "etc/corosync", "corosync"):
            os.makedirs(os.path.join(self.root, part))
        # The kernel takes a namespace apart in its own time: the pair of the test before may still be there.
        self.link, self.netns = f"v{next(LINKS)}", self.name
        self.make_network()

    def make_network(self):
        run("ip", "netns", "add", self.netns)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.netns)
        run("ip", "link", "set", self.link, "master", "br0", "up")
        for words in ("link set lo up", f"addr add {self.ip}/24 dev eth0", "link set eth0 up"):
            run("ip", "-n", self.netns, *words.split())

    def end_network(self):
        run("ip", "link", "del", self.link, check=False)
        run("ip", "netns", "del", self.netns, check=False)

    def inside(self, mounts):
        """A command's beginning: in this node's network, with these mounts made before."""
        return ["ip", "netns", "exec", self.netns, "unshare", "-m", "sh", "-c", mounts + ' && exec "$@"', "sh"]

    def start_corosync(self):
        log = os.path.join(self.root, "corosync.log")
        with open(log, "ab") as f:
            self.corosync = subprocess.Popen([*self.inside("mount -t tmpfs none /run"), "corosync", "-f", "-c", self.conf],
                                             stdin=subprocess.DEVNULL, stdout=f, stderr=f, preexec_fn=die_with_parent)

    def kill_corosync(self):
        if self.corosync:
            self.corosync.kill()
            self.corosync.wait()
            self.corosync = None

    def start(self, *args, mounts="", env=None):
        """`mounts`: a shell command that is run before, in the node's own mount namespace."""
        mounts = f"mount --bind {self.lab.shared} {self.root}/etc/pve" + (f" && {mounts}" if mounts else "")
        self.d = Daemon(self.root, args=args, wrapper=self.inside(mounts), node=self.name, env=env)
        return self.d

    def stop_network(self):
        run("ip", "-n", self.netns, "link", "set", "eth0", "down")

    def start_network(self):
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")

    def rss(self):
        """MB"""
        with open(f"/proc/{self.d.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024

    # --- what it says
    def quorate(self):
        row = self.d.get("/cluster/status")[0]
        return row["type"] == "cluster" and row["quorate"] == 1

    def online(self):
        return sorted(row["node"] for row in self.d.get("/nodes") if row["status"] == "online")


class Witness:
    """The quorum device's server (corosync-qnetd), on a machine of its own: each node's corosync-qdevice asks it for a vote."""
    IP = "10.77.0.100"
    CONF = f"""    device {{
        model: net
        votes: 1
        timeout: 2000
        sync_timeout: 4000
        net {{
            host: {IP}
            algorithm: ffsplit
            tls: off
        }}
    }}"""

    def __init__(self, lab):
        self.lab, self.server, self.clients, self.link = lab, None, {}, f"v{next(LINKS)}"
        run("ip", "netns", "add", "witness")
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", "witness")
        run("ip", "link", "set", self.link, "master", "br0", "up")
        for words in ("link set lo up", f"addr add {self.IP}/24 dev eth0", "link set eth0 up"):
            run("ip", "-n", "witness", *words.split())

    def begin(self, netns, name, argv):
        mounts = f"mount -t tmpfs none /run && mkdir -p /run/{argv[0]}"
        with open(os.path.join(self.lab.tmp, f"{argv[0]}-{name}.log"), "ab") as f:
            return subprocess.Popen(["ip", "netns", "exec", netns, "unshare", "-m", "sh", "-c", mounts + ' && exec "$@"', "sh", *argv],
                                    stdin=subprocess.DEVNULL, stdout=f, stderr=f, preexec_fn=die_with_parent)

    def start(self):
        self.server = self.begin("witness", "server", ["corosync-qnetd", "-f", "-s", "off"])

    def serve(self, node):
        """A node's own part of it; its Corosync runs."""
        self.clients[node] = self.begin(node.name, node.name, ["corosync-qdevice", "-f"])

    def kill(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None

    def leave(self, node):
        client = self.clients.pop(node, None)
        if client:
            client.kill()
            client.wait()

    def end(self):
        self.kill()
        for node in list(self.clients):
            self.leave(node)
        run("ip", "link", "del", self.link, check=False)
        run("ip", "netns", "del", "witness", check=False)


class ClusterTest(DaemonTest):
    wants_daemon = False
    n_nodes = 3
    node_class = Node
    quorum = ""  # further lines of corosync.conf's section
    together = True  # corosync is started on all nodes by setUp()

    def setUp(self):
        super().setUp()
        self.shared = os.path.join(self.tmp, "shared")
        os.makedirs(os.path.join(self.shared, "priv"), mode=0o700)
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "link", "set", "br0", "up")
        self.nodes = []
        self.addCleanup(self.take_down)
        for i in range(1, self.n_nodes + 1):
            self.nodes.append(self.node_class(self, i))
        for n in self.nodes:
            text = CONF.format(state=os.path.join(n.root, "corosync"), quorum=self.quorum,
                               nodes="".join(NODE.format(ip=m.ip, name=m.name, id=m.id) for m in self.nodes))
            with open(n.conf, "w", encoding="utf-8") as f:
                f.write(text)
            if self.together:
                n.start_corosync()

    def start_all(self, *args):
        for n in self.nodes:
            n.start(*args)
        for n in self.nodes:
            wait_until(lambda n=n: len(n.online()) == len(self.nodes) and n.quorate(), f"{n.name} sees all nodes")
        return self.nodes

    def take_down(self):
        for n in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                if n.d and n.d.is_running():
                    os.kill(n.d.pid, signal.SIGCONT)
        problem = None
        for n in self.nodes:
            try:
                if n.d:
                    n.d.stop() if n.d.is_running() else n.d.close()
            except AssertionError as e:
                problem = problem or e
            n.kill_corosync()
        for n in self.nodes:
            n.end_network()
        run("ip", "link", "del", "br0", check=False)
        if problem:
            raise problem


def cluster_is_possible():
    return os.geteuid() == 0 and all(shutil.which(p) for p in ("corosync", "ip", "unshare"))


def timed(fn):
    """(seconds, what it gave)"""
    begun = time.monotonic()
    value = fn()
    return time.monotonic() - begun, value
