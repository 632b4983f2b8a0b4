# SPDX-License-Identifier: GPL-2.0-or-later
"""A test with a cluster: brought up before the first test of the class, ended after the last, whole between them."""
import errno
import json
import os
import shutil
import signal
import socket
import threading
import time
import unittest

from cluster import Cluster, is_errno, wait_until
from harness import KEPT

SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # of the counts that issues name: `make soak` has 1


def scaled(count, least=1):
    return max(least, round(count * SCALE))


def cluster_why_not():
    """None: these tests can run here."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    missing = [p for p in ("corosync", "ip", "unshare", "nsenter") if not shutil.which(p)]
    return f"{missing[0]} is not installed" if missing else None


def put(path, data):
    with open(path, "wb" if isinstance(data, bytes) else "w") as f:
        f.write(data)


def get(path):
    with open(path) as f:
        return f.read()


def members(node):
    return json.loads(get(node.path(".members")))["nodelist"]


def told(subscription, change, path):
    """Makes change(0), change(1)… until the subscriber is told of one (the first may be earlier than its subscription)."""
    subscription.settimeout(0.5)
    for i in range(40):
        change(i)
        try:
            said = json.loads(subscription.recv(4096))["path"]
        except socket.timeout:
            continue
        assert said.startswith(path), said
        subscription.settimeout(5)
        return
    raise AssertionError(f"nobody is told of {path}")


def renewed_past_its_life(renew, ask, life):
    """
    Keeps a lock that was just made alive by `renew` for longer than one life, and sees at `ask` that it is not given up. A turn
    in which the machine slept for a life tells nothing. When it was renewed last (time.monotonic).
    """
    born = time.monotonic()
    while True:
        before = time.monotonic()
        os.utime(renew)
        after = time.monotonic()
        time.sleep(life * 0.3)
        refused = is_errno(lambda: os.utime(ask, (0, 0)), errno.EACCES)
        now = time.monotonic()
        if now - before > life:
            if not os.path.exists(renew):
                os.mkdir(renew)
                born = now
            continue
        assert refused, f"it was renewed {now - before:.1f} s ago"
        if now - born > life:
            return after


class Writer(threading.Thread):
    """Overwrites files on one node, one after the other, and remembers what was acknowledged."""

    def __init__(self, node, prefix, n_files=20, size=100):
        super().__init__(daemon=True)
        self.node, self.prefix, self.n_files, self.size = node, prefix, n_files, size
        self.acked, self.tried, self.errors, self.longest = {}, {}, [], 0.0
        self.stopping = False
        self.count = self.n_acked = 0

    def run(self):
        while not self.stopping:
            name = f"{self.prefix}{self.count % self.n_files}"
            text = f"{self.count} " + "x" * self.size
            self.tried.setdefault(name, set()).add(text)
            t = time.monotonic()
            try:
                put(self.node.path(name), text)
                self.acked[name], self.tried[name] = text, set()
                self.n_acked += 1
            except OSError as e:
                self.errors.append(e.errno)
                time.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - t)
            self.count += 1

    def goes_on(self, n=20):
        """Until so many more of its writes were acknowledged."""
        enough = self.n_acked + n
        wait_until(f"{self.prefix} has written {n} more", lambda: self.n_acked >= enough, 60)

    def end(self):
        self.stopping = True
        self.join(30)
        assert not self.is_alive(), "a write does not come back"

    def check(self, node):
        """Every file holds what was acknowledged last, or one of those that were tried after that."""
        for name, text in self.acked.items():
            have = get(node.path(name))
            assert have in {text, *self.tried[name]}, f"{node.name}: {name}: {have[:20]!r}, acknowledged was {text[:20]!r}"


@unittest.skipIf(cluster_why_not(), cluster_why_not())
class ClusterCase(unittest.TestCase):
    """self.c is a Cluster of N nodes."""
    N = 3
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.c = Cluster(cls.N, cls.OPTIONS)
        cls.c.__enter__()
        cls.tmp = cls.c.dir
        try:
            cls.c.start()
        except BaseException:
            for n in cls.c.nodes:
                with open(os.path.join(n.dir, "corosync.log"), errors="replace") as f:
                    print(f"--- {n.name}\n{f.read()[-1500:]}\n{n.log()[-1500:]}")
            cls.c.__exit__(None, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.c.__exit__(None, None, None)

    def tell(self, text):
        print(f"      {text}", flush=True)

    def keep(self):
        """After a failure: the logs where they outlive the cluster, and all up and connected for the next test."""
        kept = os.path.join(KEPT, f"{type(self).__name__}.{self._testMethodName}")
        shutil.rmtree(kept, ignore_errors=True)
        os.makedirs(kept)
        for n in self.c.nodes:
            for name in ("clusterfs.log", "corosync.log"):
                if os.path.exists(os.path.join(n.dir, name)):
                    shutil.copy(os.path.join(n.dir, name), os.path.join(kept, f"{n.name}-{name}"))
        self.repair()
        return kept

    def discard(self):
        """The cluster goes with its class."""

    def repair(self):
        self.c.join()
        for n in self.c.nodes:
            for p in (n.corosync, n.clusterfs):
                if p and p.alive():
                    os.kill(p.pid, signal.SIGCONT)
            if not n.corosync or not n.corosync.alive():
                n.start_corosync()
            if not n.clusterfs or not n.clusterfs.alive():
                n.stop_fs(signal.SIGKILL)
                n.start_fs()
        for n in self.c.nodes:
            n.wait_writable(60)

    def whole(self):
        for n in self.c.nodes:
            n.wait_writable(60)
        self.c.wait_same(timeout=60)
