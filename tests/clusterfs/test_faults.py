#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""clusterfs, and Corosync below it, are killed and frozen at every type of message, the database torn and the disk filled:
nothing is lost.

A fault point kills or stops a daemon at the moment it is about to handle a message of the type (clusterfs.deliver.TYPE), or has
just given one to Corosync (clusterfs.sent.TYPE). Others write meanwhile: they must go on, and what was acknowledged must be on
all nodes at the end. Where Corosync is struck, the daemon is stopped there for that moment only; it must come back by itself.
"""
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import is_errno, run, wait_until
from clustercase import SCALE, ClusterCase, Writer, get, members, put, scaled
from harness import main, slow

WRITER, VICTIM, HELPER = 1, 0, 2  # the victim has the lowest id: it answers for all where one has to
BY_JOINING = ("state", "index", "data")  # types that who comes in gets
TYPES = ("state", "change", "ack", "index", "need", "data", "log", "lock-ask", "verify", "checksum", "excuse")

# At which messages Corosync is struck: at all in soak, at some in `make check`.
EVERY = [(moment, kind) for moment in ("sent", "deliver") for kind in TYPES]
COROSYNC_KILLED = EVERY if SCALE >= 1 else [("sent", "change")]
COROSYNC_FROZEN = EVERY if SCALE >= 1 else [("deliver", "index")]


class Faults(ClusterCase):
    OPTIONS = ("--lock-timeout", "2", "--verify", "1")

    def setUp(self):
        n = self.c[WRITER]
        os.makedirs(n.path("priv/lock"), exist_ok=True)
        for i in range(20):
            put(n.path(f"many{i}"), "x" * 1000)
        self.c.wait_same()

    def forget(self, node):
        """An empty database: this node has to be told everything."""
        for name in os.listdir(node.state):
            if name.startswith("clusterfs.db"):
                os.unlink(os.path.join(node.state, name))

    def provoke(self, kind):
        """Something that makes the victim get a message of this type."""
        writer, helper = self.c[WRITER], self.c[HELPER]
        if kind == "need":
            helper.stop_fs()
            self.forget(helper)
            helper.start_fs(wait=False)
        elif kind == "log":
            s = writer.subscribe()
            s.send(json.dumps({"log": {"message": "hello", "tag": "test", "priority": 6}}).encode())
            s.close()
        elif kind == "lock-ask":
            with contextlib.suppress(OSError):
                os.makedirs(writer.path("priv/lock/asked"), exist_ok=True)
                os.utime(writer.path("priv/lock/asked"), (0, 0))

    def is_stopped(self, node):
        with open(f"/proc/{node.clusterfs.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "T"

    def strike(self, kind, action):
        victim = self.c[VICTIM]
        victim.stop_fs()
        if kind in BY_JOINING:
            self.forget(victim)
        w = Writer(self.c[WRITER], f"w{kind}{action}")
        w.start()
        try:
            self.strike_with(w, kind, action, victim)
        finally:
            w.end()
        for name in w.tried:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.c[WRITER].path(name))

    def let_in(self, victim, is_struck):
        """Until the victim takes part, or was struck on its way in, when it needs something itself: then no call on it comes back."""
        def write():
            with contextlib.suppress(AssertionError):
                victim.wait_writable(60)
        t = threading.Thread(target=write, daemon=True)
        t.start()
        wait_until("the victim has come in", lambda: not t.is_alive() or is_struck(), 60)

    def strike_with(self, w, kind, action, victim):
        hanging = self.c[HELPER].clusterfs.pid if kind == "excuse" else None
        if hanging:  # who does not say its state is excused by the first who did: the victim
            os.kill(hanging, signal.SIGSTOP)
        victim.start_fs(wait=False, env={"STORAGED_FAULTS": f"clusterfs.deliver.{kind}={action}@1"})

        def is_struck():
            return not victim.clusterfs.alive() or self.is_stopped(victim)

        def struck():
            self.provoke(kind) if kind != "need" else None
            return is_struck()
        if kind == "need":
            self.let_in(victim, is_struck)
            if not is_struck():
                self.provoke(kind)
        try:
            wait_until(f"{action} at {kind}", struck, 60, 0.05)
        finally:
            if hanging:
                os.kill(hanging, signal.SIGCONT)
            if action == "stop" and victim.clusterfs.alive():
                self.go_on(w, kind)
                os.kill(victim.clusterfs.pid, signal.SIGCONT)
        if action == "kill":
            victim.stop_fs(signal.SIGKILL)
            run(*victim.enter("umount", "-l", f"{victim.dir}/mnt"), check=False)
            self.go_on(w, kind)
        self.end(victim, w)

    def go_on(self, w, kind):
        if kind != "need":  # there the third node has just lost its tree: no two are left
            count = w.count
            wait_until(f"the others go on after {kind}", lambda: w.count - len(w.errors) > count - len(w.errors) + 5, 40)

    def end(self, victim, w):
        victim.stop_fs(signal.SIGKILL)
        victim.start_fs()
        for n in self.c.nodes:
            n.wait_writable(60)
        w.end()
        self.whole()
        for n in self.c.nodes:
            w.check(n)

    def test_killed_at_each_type_of_message(self):
        for kind in TYPES:
            with self.subTest(kind):
                self.strike(kind, "kill")

    @slow()
    def test_frozen_at_each_type_of_message(self):
        for kind in TYPES if SCALE >= 1 else ("state", "change", "index", "checksum"):
            with self.subTest(kind):
                self.strike(kind, "stop")

    # --- Corosync of the node that has just sent, or is about to handle, one

    def forgets(self, kind, moment):
        """Whether the victim is to come in with nothing for this to be said: what it is told, and what it asks for itself."""
        return kind == "state" or (kind in ("index", "data") and moment == "deliver") or (kind == "need" and moment == "sent")

    def provoke_more(self, kind, moment):
        """Something that makes the victim say, or get, one; it may stop in the middle of it."""
        victim = self.c[VICTIM]
        if moment == "sent" and kind == "change":
            put(victim.path("own"), "x")
        elif moment == "sent" and kind == "log":
            s = victim.subscribe()
            s.send(json.dumps({"log": {"message": "hello", "tag": "test", "priority": 6}}).encode())
            s.close()
        elif moment == "sent" and kind == "lock-ask":
            os.makedirs(victim.path("priv/lock/own"), exist_ok=True)
            os.utime(victim.path("priv/lock/own"), (0, 0))
        elif kind in ("log", "lock-ask"):
            self.provoke(kind)

    def stop_at(self, kind, moment, victim):
        """The victim's clusterfs stands still at that moment; its Corosync goes on."""
        victim.start_fs(wait=False, env={"STORAGED_FAULTS": f"clusterfs.{moment}.{kind}=stop@1"})
        if not self.forgets(kind, moment) and kind != "excuse":
            self.let_in(victim, lambda: self.is_stopped(victim))
        if kind in ("index", "data", "need") and not self.forgets(kind, moment):
            helper = self.c[HELPER]
            helper.stop_fs(signal.SIGKILL)
            self.forget(helper)
            helper.start_fs(wait=False)
        ended = threading.Event()

        def provoke():
            while not ended.is_set() and not self.is_stopped(victim):
                with contextlib.suppress(OSError):
                    self.provoke_more(kind, moment)
                ended.wait(0.05)
        t = threading.Thread(target=provoke, daemon=True)
        t.start()
        try:
            wait_until(f"stopped at {moment}.{kind}", lambda: self.is_stopped(victim), 60, 0.01)
        finally:
            ended.set()

    def is_out(self, victim):
        return not members(self.c[WRITER])[victim.name]["online"]

    def strike_corosync(self, moment, kind, action):
        victim = self.c[VICTIM]
        victim.stop_fs()
        if self.forgets(kind, moment):
            self.forget(victim)
        w = Writer(self.c[WRITER], f"c{moment}{kind}{action}")
        w.start()
        try:
            self.strike_corosync_with(w, moment, kind, action)
        except BaseException:
            victim.stop_fs(signal.SIGKILL)  # what it was to stop at would stop it again
            raise
        finally:
            w.end()
        for name in w.tried:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.c[WRITER].path(name))

    def strike_corosync_with(self, w, moment, kind, action):
        victim, helper = self.c[VICTIM], self.c[HELPER]
        if kind == "excuse":
            os.kill(helper.clusterfs.pid, signal.SIGSTOP)
        try:
            self.stop_at(kind, moment, victim)
            if action == "kill":
                victim.stop_corosync(signal.SIGKILL)
            else:
                os.kill(victim.corosync.pid, signal.SIGSTOP)
        finally:
            os.kill(victim.clusterfs.pid, signal.SIGCONT)
            os.kill(helper.clusterfs.pid, signal.SIGCONT)
        wait_until("the others go on without it", lambda: self.is_out(victim), 60)
        w.goes_on(5)
        if action == "kill":
            victim.start_corosync()
        else:
            os.kill(victim.corosync.pid, signal.SIGCONT)
        for n in self.c.nodes:
            n.wait_writable(60)
        self.assertTrue(victim.clusterfs.alive(), "it comes back by itself")
        w.goes_on(5)
        w.end()
        self.whole()
        for n in self.c.nodes:
            w.check(n)

    @slow()
    def test_corosync_killed_at_each_type_of_message(self):
        for moment, kind in COROSYNC_KILLED:
            with self.subTest(moment=moment, kind=kind):
                self.strike_corosync(moment, kind, "kill")

    @slow()
    def test_corosync_frozen_at_each_type_of_message(self):
        """For longer than the others wait for its token: it thaws into a ring that has gone on without it."""
        for moment, kind in COROSYNC_FROZEN:
            with self.subTest(moment=moment, kind=kind):
                self.strike_corosync(moment, kind, "stop")

    @slow()
    def test_torn_database_is_recovered_from_the_others(self):
        victim = self.c[VICTIM]
        path = os.path.join(victim.state, "clusterfs.db")
        for what in ("half", "nothing", "garbage"):
            with self.subTest(what):
                put(self.c[WRITER].path("torn"), what)
                self.c.wait_same()
                victim.stop_fs()
                size = os.path.getsize(path)
                if what == "garbage":
                    with open(path, "r+b") as f:
                        f.write(b"\xa5" * 4096)
                else:
                    os.truncate(path, size // 2 // 4096 * 4096 + 100 if what == "half" else 0)
                put(self.c[WRITER].path("torn"), what + ", newer")
                victim.start_fs(wait=False)
                if what != "nothing":  # an empty file is a new database
                    self.assertNotEqual(victim.clusterfs.p.wait(30), 0)
                    self.assertIn("--recover", victim.log())
                    argv = [a for a in victim.clusterfs.p.args if a != "-f"]
                    r = subprocess.run([*argv, "--recover"], capture_output=True, text=True, timeout=60, check=False)
                    self.assertEqual(r.returncode, 0, r.stderr)
                    victim.start_fs()
                self.whole()
                self.assertEqual(get(victim.path("torn")), what + ", newer")

    @slow()
    def test_full_disk_fails_own_writes_and_heals(self):
        victim, other = self.c[VICTIM], self.c[WRITER]
        victim.stop_fs()
        run(*victim.enter("mount", "-t", "tmpfs", "-o", "size=4m", "none", victim.state))
        state = victim.root + victim.state
        victim.start_fs()
        self.whole()
        filler = os.path.join(state, "filler")
        with open(filler, "wb", 0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError as e:
                self.assertEqual(e.errno, errno.ENOSPC)
        refused = 0
        for i in range(200):
            put(other.path(f"big{i % 5}"), os.urandom(20000))  # the others go on
            refused += is_errno(lambda i=i: put(victim.path("mine"), f"{i}" * 2000), errno.ENOSPC)
            if refused > 3:
                break
        self.assertGreater(refused, 3, "the disk never was full")
        os.unlink(filler)
        victim.wait_writable(30)
        put(victim.path("mine"), "at last")
        self.whole()
        self.assertEqual(get(other.path("mine")), "at last")
        victim.stop_fs()
        victim.start_fs()
        self.whole()
        victim.stop_fs()
        run(*victim.enter("umount", victim.state))
        victim.start_fs()
        self.whole()

    @slow()
    def test_many_files(self):
        n = scaled(10000)
        os.makedirs(self.c[0].path("many/files"))
        wait_until("there", lambda: all(os.path.isdir(x.path("many/files")) for x in self.c.nodes))
        errors = []

        def make(node, numbers):
            try:
                for i in numbers:
                    put(node.path(f"many/files/{i}"), f"content of {i}")
            except OSError as e:
                errors.append(e)
        threads = [threading.Thread(target=make, args=(x, range(k, n, 12))) for k in range(12) for x in [self.c[k % 3]]]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        victim = self.c[VICTIM]
        victim.stop_fs()
        self.forget(victim)
        victim.start_fs()
        self.whole()
        for x in self.c.nodes:
            self.assertEqual(len(os.listdir(x.path("many/files"))), n)
            self.assertEqual(get(x.path(f"many/files/{n - 1}")), f"content of {n - 1}")
        self.tell(f"{n} files (COUNT_SCALE={SCALE:g} of 10000), RSS {[x.rss_kib() for x in self.c.nodes]} KiB")


if __name__ == "__main__":
    main(namespace=True)
