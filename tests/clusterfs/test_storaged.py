#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""storaged on clusterfs: what another node writes is acted upon without anybody asking."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import BUILD, Process, run, wait_until
from clustercase import ClusterCase, put
from harness import main
from yardstick import Yardstick


class Storaged:
    """A storaged on one node, its root a directory of its own, its /etc/pve the node's clusterfs."""

    def __init__(self, node, socket=True):
        self.node, self.root = node, os.path.join(node.dir, "root")
        for d in ("etc/pve", "run", "var"):
            os.makedirs(os.path.join(self.root, d), exist_ok=True)
        link = os.path.join(self.root, "run/clusterfs")
        if os.path.lexists(link):
            os.unlink(link)
        if socket:
            os.symlink(os.path.join(node.dir, "run"), link)
        run(*node.enter("mount", "--bind", f"{node.dir}/mnt", f"{self.root}/etc/pve"))
        self.log = os.path.join(node.dir, "storaged.log")
        self.process = Process(node.enter(os.path.join(BUILD, "storaged"), "--root", self.root, "--node", node.name), self.log)
        wait_until("storaged answers", lambda: os.path.exists(f"{self.root}/run/storaged/api.sock"), 30)

    def said(self, text):
        with open(self.log, errors="replace") as f:
            return text in f.read()

    def end(self):
        self.process.kill()
        run(*self.node.enter("umount", "-l", f"{self.root}/etc/pve"), check=False)


def broken(name):
    return f"dir: {name}\n\tpath /{name}\n\tno-such-property-of-{name} 1\n"


class OnClusterfs(ClusterCase):
    def test_storaged_is_told_of_changes_by_other_nodes(self):
        c = self.c
        s = Storaged(c[1])
        try:
            times = []
            with Yardstick(self.tmp) as yard:
                for i in range(5):
                    put(c[0].path("storage.cfg"), broken(f"told{i}"))
                    t = time.monotonic()
                    wait_until("storaged on n2 has read it", lambda: s.said(f"no-such-property-of-told{i}"), step=0.002)
                    times.append(time.monotonic() - t)
            c[1].stop_fs()
            put(c[0].path("storage.cfg"), broken("while-away"))
            run(*c[1].enter("umount", "-l", f"{s.root}/etc/pve"))
            c[1].start_fs()
            run(*c[1].enter("mount", "--bind", f"{c[1].dir}/mnt", f"{s.root}/etc/pve"))
            wait_until("it subscribed again", lambda: s.said("while-away"), 20)
        finally:
            s.end()
            c[1].wait_writable()
            os.unlink(c[0].path("storage.cfg"))
        assert sorted(times)[2] < yard.allows(1), times
        self.tell(f"within {max(times) * 1000:.0f} ms")

    def test_storaged_polls_version_where_nobody_tells(self):
        """As on pmxcfs, which has no socket."""
        c = self.c
        s = Storaged(c[1], socket=False)
        try:
            put(c[0].path("storage.cfg"), broken("counted"))
            t = time.monotonic()
            wait_until("storaged on n2 has read it", lambda: s.said("no-such-property-of-counted"), 20, 0.01)
            self.tell(f"within {(time.monotonic() - t) * 1000:.0f} ms")
        finally:
            s.end()
            os.unlink(c[0].path("storage.cfg"))


if __name__ == "__main__":
    main(namespace=True)
