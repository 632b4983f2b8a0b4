# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster of cluster.py, but /etc/pve of each node is a clusterfs of its own instead of one shared directory."""
import os
import signal
import subprocess

from cluster import ClusterTest, Node, cluster_is_possible
from harness import BUILD, DEADLINE, IS_ASAN, Daemon, die_with_parent, run, wait_until

# What the nodes hand each other as corosync.conf: the real ones differ (each has a state folder of its own).
HANDED = "totem {\n  version: 2\n  cluster_name: testbed\n  config_version: 7\n}\n"


class FsNode(Node):
    run_dir = "run/clusterfs"  # where storaged looks for the socket on which clusterfs tells of changes

    def __init__(self, lab, number):
        super().__init__(lab, number)
        self.fs = None
        self.pve = os.path.join(self.root, "etc/pve")
        self.handed = os.path.join(self.root, "corosync-handed.conf")
        with open(self.handed, "w", encoding="utf-8") as f:
            f.write(HANDED)

    def in_network(self):
        """Not `ip netns exec`: that makes a mount namespace too, and storaged would not see a clusterfs that is restarted."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"]

    def start_fs(self):
        argv = [os.path.join(BUILD, "clusterfs"), "-f", "--mount", self.pve, "--state", os.path.join(self.root, "var/lib/clusterfs"),
                "--run", os.path.join(self.root, self.run_dir), "--node", self.name, "--corosync-conf", self.handed]
        with open(os.path.join(self.root, "clusterfs.log"), "ab") as log:
            self.fs = subprocess.Popen([*self.in_network(), *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       preexec_fn=die_with_parent)
        wait_until(self.is_mounted, f"{self.name}: clusterfs is mounted")

    def is_mounted(self):
        if self.fs.poll() is not None:
            with open(os.path.join(self.root, "clusterfs.log"), encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"{self.name}: clusterfs ended:\n{f.read()[-1500:]}")
        return os.path.lexists(os.path.join(self.pve, "local"))

    def lose_power(self):
        """What runs here is gone at once, storaged with its workers, too."""
        self.stop_network()
        self.kill_corosync()
        self.stop_fs(signal.SIGKILL)
        self.d.kill()
        self.start_network()

    def stop_fs(self, sig=signal.SIGTERM):
        if self.fs:
            self.fs.send_signal(sig)
            self.fs.wait(30)
            self.fs = None
            run("umount", "-l", self.pve, check=False)
            self.check_sanitizers()

    def check_sanitizers(self):
        with open(os.path.join(self.root, "clusterfs.log"), encoding="utf-8", errors="replace") as f:
            text = f.read()
        if "Sanitizer" in text or "runtime error:" in text:
            raise AssertionError(f"{self.name}: a sanitizer speaks in clusterfs.log:\n{text[-4000:]}")

    def is_writable(self):
        try:
            os.mkdir(os.path.join(self.pve, f"probe-{self.name}"))
            os.rmdir(os.path.join(self.pve, f"probe-{self.name}"))
            return True
        except OSError:
            return False

    def start(self, *args, env=None, wrapper=(), deadline=DEADLINE):
        self.d = Daemon(self.root, args=args, wrapper=[*self.in_network(), *wrapper], node=self.name, env=env, deadline=deadline)
        return self.d


class ClusterfsTest(ClusterTest):
    node_class = FsNode

    def start_all(self, *args):
        for n in self.nodes:
            n.start_fs()
        for n in self.nodes:
            wait_until(n.is_writable, f"{n.name}: clusterfs is quorate", 60)
        return super().start_all(*args)

    def take_down(self):
        try:
            super().take_down()
        finally:
            for n in self.nodes:
                if n.fs:
                    n.fs.send_signal(signal.SIGCONT)
                n.stop_fs(signal.SIGTERM if IS_ASAN else signal.SIGKILL)  # with leaks, which are told at the end


def clusterfs_is_possible():
    return cluster_is_possible() and os.path.exists("/dev/fuse") and os.path.exists(os.path.join(BUILD, "clusterfs"))
