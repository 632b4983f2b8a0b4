#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which daemons make a quorum, and what a daemon that does not react costs the others."""
import errno
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import is_errno, wait_until
from clustercase import ClusterCase, Writer, get, members, put
from harness import main, slow


@slow()
class Members(ClusterCase):
    def test_one_daemon_of_three_is_no_quorum(self):
        """Corosync runs everywhere, but who writes must be among a majority of daemons."""
        c = self.c
        put(c[0].path("alone"), "before")
        c.wait_same()
        c[1].stop_fs()
        c[2].stop_fs()
        wait_until("n1 is read-only", lambda: not c[0].is_quorate(), 20)
        assert is_errno(lambda: put(c[0].path("alone"), "no"), errno.EACCES)
        assert get(c[0].path("alone")) == "before"
        c[1].start_fs()
        c[0].wait_writable()
        put(c[0].path("alone"), "after")
        c[2].start_fs()
        self.whole()
        assert get(c[2].path("alone")) == "after"

    def test_with_sync_normal_a_killed_daemon_gets_back_what_it_acknowledged(self):
        """The last of it may be in no database of its own node yet."""
        c = self.c
        c[0].stop_fs()
        c[0].start_fs("--sync", "normal")
        self.whole()
        names = [f"normal{i}" for i in range(100)]
        for name in names:
            put(c[0].path(name), name)
        c[0].stop_fs(signal.SIGKILL)
        c[0].start_fs()
        self.whole()
        for n in c.nodes:
            assert [get(n.path(name)) for name in names] == names

    def test_frozen_daemon_does_not_stop_a_change_of_members(self):
        """n3 hangs, n2 is restarted: a new configuration that n3 never answers to."""
        c = self.c
        c[2].clusterfs.p.send_signal(signal.SIGSTOP)
        try:
            c[1].stop_fs(signal.SIGKILL)
            c[1].start_fs()
            t = time.monotonic()
            c[0].wait_writable(30)
            c[1].wait_writable(30)
            waited = time.monotonic() - t
            put(c[0].path("frozen"), "while n3 hangs")
            wait_until("on n2", lambda: get(c[1].path("frozen")) == "while n3 hangs")
        finally:
            c[2].clusterfs.p.send_signal(signal.SIGCONT)
        self.whole()
        assert get(c[2].path("frozen")) == "while n3 hangs"
        self.tell(f"the others waited {waited:.1f} s")

    def test_frozen_corosync_costs_its_own_node_only(self):
        c = self.c
        put(c[0].path("before"), "1")
        c.wait_same()
        w = Writer(c[0], "fz")
        w.start()
        c[2].corosync.p.send_signal(signal.SIGSTOP)
        try:
            wait_until("the others go on without n3", lambda: not any(
                x["online"] for n, x in members(c[0]).items() if n == "n3"), 30)
            put(c[1].path("corosync-frozen"), "1")
            assert os.listdir(c[2].path()) and get(c[2].path("before")) == "1", "reads go on there"
        finally:
            c[2].corosync.p.send_signal(signal.SIGCONT)
        w.end()
        self.whole()
        w.check(c[2])
        assert not w.errors, set(w.errors)
        self.tell(f"longest write {w.longest:.2f} s")

    def test_start_beside_a_frozen_corosync_reads_and_comes_in_later(self):
        """Corosync stands still while clusterfs is started: it mounts, reads, refuses writes; then it comes in by itself."""
        c = self.c
        put(c[0].path("before"), "1")
        c.wait_same()
        c[2].stop_fs()
        c[2].corosync.p.send_signal(signal.SIGSTOP)
        try:
            c[2].start_fs()
            assert get(c[2].path("before")) == "1", "reads go on there"
            assert is_errno(lambda: put(c[2].path("no"), "no"), errno.EACCES)
            wait_until("it says why", lambda: "says nothing" in c[2].log(), 60)
            assert get(c[2].path("before")) == "1"
        finally:
            c[2].corosync.p.send_signal(signal.SIGCONT)
        self.whole()

    def test_killed_corosync_makes_its_node_read_only_until_it_is_back(self):
        c = self.c
        put(c[0].path("before"), "1")
        c.wait_same()
        c[2].stop_corosync(signal.SIGKILL)
        wait_until("n3 is read-only", lambda: not c[2].is_quorate(), 20)
        assert get(c[2].path("before")) == "1"
        assert is_errno(lambda: put(c[2].path("no"), "no"), errno.EACCES)
        c[0].wait_writable(60)
        put(c[0].path("meanwhile"), "1")
        c[2].start_corosync()
        self.whole()
        assert get(c[2].path("meanwhile")) == "1"


if __name__ == "__main__":
    main(namespace=True)
