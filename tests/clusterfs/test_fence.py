#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A change is made only while the lock it was asked for under is there: whatever stood still, and for how long."""
import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fence
from cluster import is_errno, wait_until
from clustercase import ClusterCase, get, put, scaled
from harness import main
from history import Operation, contradiction, linearizable

LIFE = 2
ROUNDS = scaled(12, 3)
MADE, REFUSED = scaled(300, 30), scaled(20, 2)


class Fence(ClusterCase):
    OPTIONS = ("--lock-timeout", str(LIFE))

    def lock(self, node, name="one"):
        os.makedirs(node.path("priv/lock"), exist_ok=True)
        os.mkdir(node.path("priv/lock", name))
        return fence.ident(node.path("priv/lock", name))

    def taken_over(self, node, name, text):
        """Another node has the lock now, and works under it."""
        wait_until("the lock is there", lambda: os.path.isdir(node.path("priv/lock", name)))
        os.rmdir(node.path("priv/lock", name))
        fence.commit(self.lock(node, name), node.path(name), text)

    def free(self, name="one"):
        os.rmdir(self.c[1].path("priv/lock", name))
        self.c.wait_same()

    def everywhere(self, name, text):
        for n in self.c.nodes:
            wait_until(f"{n.name} has {text!r}", lambda n=n: get(n.path(name)) == text)

    def test_under_the_lock_it_is_a_rename(self):
        one = self.c[0]
        lock = self.lock(one)
        fence.commit(lock, one.path("one"), "first")
        fence.commit(lock, one.path("one"), "second")
        self.everywhere("one", "second")
        assert not [f for f in os.listdir(one.path()) if f.startswith("one.tmp.")]  # writers of other tests that were refused leave theirs
        fence.fenced(lock, one.path("one"))
        for n in self.c.nodes:
            wait_until("it is gone", lambda n=n: not os.path.exists(n.path("one")))
        assert is_errno(lambda: fence.fenced(lock, one.path("one")), errno.ENOENT)
        assert is_errno(lambda: fence.fenced(lock, one.path("one"), one.path("nothing")), errno.ENOENT)
        assert is_errno(lambda: fence.fenced(lock, one.path("priv")), errno.EISDIR)
        assert is_errno(lambda: fence.fenced(lock, one.path(".members")), errno.EACCES)
        assert is_errno(lambda: fence.fenced(lock, one.path("..")), errno.EINVAL)
        assert is_errno(lambda: fence.fenced(os.stat(one.path("priv")).st_ino, one.path("one")), errno.ESTALE), "that is no lock"
        os.rmdir(one.path("priv/lock/one"))
        put(one.path("one"), "third")
        assert is_errno(lambda: fence.commit(lock, one.path("one"), "late"), errno.ESTALE)
        assert is_errno(lambda: fence.fenced(lock, one.path("one")), errno.ESTALE)
        self.everywhere("one", "third")

    def test_content_is_put_in_one_change(self):
        one, two = self.c[0], self.c[1]
        lock = self.lock(one)
        fence.put(lock, one.path("put"), "first")
        with open(two.path("put") if os.path.exists(two.path("put")) else one.path("put")) as open_before:
            os.mkdir(one.path("begin"))
            for text in ("second, longer", "3rd", "", "x" * 8192):
                fence.put(lock, one.path("put"), text)
                assert os.stat(one.path("put")).st_size == len(text)
                assert get(one.path("put")) == text
            os.mkdir(one.path("end"))
            assert fence.ident(one.path("end")) == fence.ident(one.path("begin")) + 5, "the number of an object is that of its change"
            self.everywhere("put", "x" * 8192)
            assert open_before.read() == "first"
        assert is_errno(lambda: fence.put(lock, one.path("priv"), "x"), errno.EISDIR)
        assert is_errno(lambda: fence.put(lock, one.path(".members"), "x"), errno.EACCES)
        assert is_errno(lambda: fence.put(lock, one.path("no/such"), "x"), errno.ENOENT)
        os.rmdir(one.path("priv/lock/one"))
        assert is_errno(lambda: fence.put(lock, one.path("put"), "late"), errno.ESTALE)
        assert is_errno(lambda: fence.put(lock, one.path("fresh"), "late"), errno.ESTALE)
        assert not os.path.exists(one.path("fresh"))
        self.everywhere("put", "x" * 8192)

    def test_only_for_root(self):
        one = self.c[0]
        lock = self.lock(one)
        put(one.path("one"), "first")
        code = (f"import os, sys; sys.path.insert(0, {os.path.dirname(fence.__file__)!r}); import fence; os.setuid(65534); "
                f"fence.fenced({lock}, {one.path('one')!r})")
        got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert got.returncode != 0 and ("PermissionError" in got.stderr), got.stderr
        self.everywhere("one", "first")
        self.free()

    def test_a_writer_whose_lock_another_node_took_away(self):
        one, two = self.c[0], self.c[1]
        put(one.path("one"), "first")
        lock = self.lock(one)
        self.taken_over(two, "one", "of n2")
        assert is_errno(lambda: fence.commit(lock, one.path("one"), "late"), errno.ESTALE)
        assert is_errno(lambda: fence.put(lock, one.path("one"), "late"), errno.ESTALE)
        assert is_errno(lambda: fence.fenced(lock, one.path("one")), errno.ESTALE)
        self.everywhere("one", "of n2")
        self.free()

    def test_a_lock_that_has_expired(self):
        one, two = self.c[0], self.c[1]
        lock = self.lock(one)
        fence.commit(lock, one.path("one"), "first")
        path = two.path("priv/lock/one")

        def is_dropped():
            if os.path.isdir(path):
                try:
                    os.utime(path, (0, 0))
                except OSError:
                    return False
            return not os.path.isdir(path)
        wait_until("it is dropped for its age", is_dropped, 30, 0.1)
        fence.commit(self.lock(two), two.path("one"), "of n2")
        assert is_errno(lambda: fence.commit(lock, one.path("one"), "late"), errno.ESTALE)
        self.everywhere("one", "of n2")
        self.free()

    def test_asked_before_this_node_knows_of_the_loss(self):
        """n1's daemon stands still, the call waits for it; it may ask for the change before it hears that the lock is gone."""
        one, two = self.c[0], self.c[1]
        for i in range(ROUNDS):
            name, results = f"behind{i}", []
            put(one.path(name), "first")
            put(one.path(name + ".tmp"), "late")
            lock = self.lock(one, name)
            wait_until("n2 has it", lambda: os.path.isdir(two.path("priv/lock", name)) and os.path.exists(two.path(name)))

            def call():
                try:
                    fence.fenced(lock, one.path(name), one.path(name + ".tmp"))
                    results.append(0)
                except OSError as e:
                    results.append(e.errno)
            thread = threading.Thread(target=call, daemon=True)
            one.clusterfs.p.send_signal(signal.SIGSTOP)
            try:
                self.taken_over(two, name, "of n2")
                thread.start()
            finally:
                one.clusterfs.p.send_signal(signal.SIGCONT)
            thread.join(60)
            assert results == [errno.ESTALE], f"round {i}: {results}"
            self.everywhere(name, "of n2")
            self.free(name)

    def test_beside_a_member_of_an_older_version(self):
        one, two = self.c[0], self.c[1]

        def restart(*options):
            two.stop_fs()
            two.start_fs(*options)
            self.whole()
        put(one.path("one"), "first")
        restart("--wire-version", "2")
        try:
            lock = self.lock(one)
            put(one.path("one.tmp"), "second")
            assert is_errno(lambda: fence.fenced(lock, one.path("one"), one.path("one.tmp")), errno.ENOTTY)
            assert is_errno(lambda: fence.fenced(lock, one.path("one")), errno.ENOTTY)
            assert is_errno(lambda: fence.put(lock, one.path("one"), "second"), errno.ENOTTY)
            self.everywhere("one", "first")
        finally:
            restart()
        fence.fenced(fence.ident(one.path("priv/lock/one")), one.path("one"), one.path("one.tmp"))
        self.everywhere("one", "second")
        self.free()

    def writers(self, name, done):
        """Two on each node, and threads that note in `done` what they tell."""
        argv = [sys.executable, fence.__file__]
        processes = [subprocess.Popen([*argv, n.path(), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                     for n in self.c.nodes for _ in range(2)]

        def note(p):
            for line in p.stdout:
                done.append(json.loads(line))
        return processes, [threading.Thread(target=note, args=(p,)) for p in processes]

    def freeze_some(self, pids, is_over, rng):
        """For longer and for shorter than a lock stands; a daemon, too."""
        while not is_over.is_set():
            pid = rng.choice(pids)
            os.kill(pid, signal.SIGSTOP)
            is_over.wait(rng.choice((0.02, 0.1, 0.5)))
            os.kill(pid, signal.SIGCONT)
            is_over.wait(0.01)

    def read_by(self, node, name, is_over, ops):
        while not is_over.is_set():
            begin = time.monotonic()
            os.utime(node.path(name + ".stamp"))
            ops.append(Operation(f"reader {node.name}", "read", get(node.path(name)), begin, time.monotonic()))
            is_over.wait(0.01)

    def test_frozen_writers_lose_nothing(self):
        """Each adds one to what it found under the lock: no number comes twice, and none that was refused is ever read."""
        name, done, reads, is_over = "counted", [], [], threading.Event()
        put(self.c[0].path(name), "0 nobody")
        put(self.c[0].path(name + ".stamp"), "")
        os.makedirs(self.c[0].path("priv/lock"), exist_ok=True)
        self.c.wait_same()
        processes, notes = self.writers(name, done)
        readers = [threading.Thread(target=self.read_by, args=(n, name, is_over, reads)) for n in self.c.nodes[1:]]
        frozen = ([p.pid for p in processes[:3]], [p.pid for p in processes[3:]], [self.c[0].clusterfs.p.pid])
        freezers = [threading.Thread(target=self.freeze_some, args=(pids, is_over, random.Random(i))) for i, pids in enumerate(frozen)]
        try:
            for t in (*notes, *readers, *freezers):
                t.start()
            wait_until("enough were made and refused", lambda: sum(d["result"] == 0 for d in list(done)) >= MADE and
                       sum(d["result"] == errno.ESTALE for d in list(done)) >= REFUSED, 120, 0.1)
        finally:
            is_over.set()
            for t in (*freezers, *readers):
                t.join()
            for p in processes:
                p.stdin.close()
            for t in notes:
                t.join(60)
            for p in processes:
                p.wait(60)
                p.stdout.close()
        self.check_counted(name, done, reads)

    def check_counted(self, name, done, reads):
        made = [d for d in done if d["result"] == 0]
        refused = [d for d in done if d["result"] == errno.ESTALE]
        unsure = [d for d in done if d["result"] not in (0, errno.ESTALE)]  # it was made, and then the lock was gone; or not
        self.tell(f"{len(made)} changes made, {len(refused)} refused, {len(unsure)} failed otherwise; {len(reads)} reads")
        late = {d["after"] for d in refused} & {r.value for r in reads}
        assert not late, f"refused, but made: {late}"
        ops = [Operation("first", "write", "0 nobody", 0, 0)]
        ops += [Operation(d["after"].split(".")[0], "write", d["after"], d["begin"], d["end"], d in made) for d in made + unsure]
        assert linearizable([*ops, *reads]), contradiction([*ops, *reads])
        befores = [d["before"] for d in made]
        assert len(set(befores)) == len(befores), "two changes were made to the same: one of them is lost"
        self.c.wait_same()
        last = int(get(self.c[0].path(name)).split()[0])
        assert len(made) <= last <= len(made) + len(unsure), f"{last} at the end, {len(made)} were made"


if __name__ == "__main__":
    main()
