#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A node that is behind the others does not lose what it acknowledges.

n3's daemon stands still while n1 replaces, removes or moves away a file; n1's change is acknowledged. Then somebody on n3
writes that file by its name, and n3 goes on: it may open the file as it was. Whether it does is a race, so each way is
tried some times; what must hold in each is that a write that succeeded is what the file has afterwards, on all nodes, and
is nowhere else.
"""
import errno
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import wait_until
from clustercase import ClusterCase, get, put, scaled
from harness import main

ROUNDS = scaled(12, 6)
BUSY = 8  # others who ask n3 meanwhile: they keep its daemon with the kernel's requests for a moment


def replace(node, name):
    put(node.path(name + ".tmp"), "of n1")
    os.rename(node.path(name + ".tmp"), node.path(name))


def remove(node, name):
    os.unlink(node.path(name))


def move_away(node, name):
    os.rename(node.path(name), node.path(name + ".old"))


def append(path):
    with open(path, "a") as f:
        f.write(" and n3")


def write_inside(path, mode):
    fd = os.open(path, mode)
    try:
        os.write(fd, b"OF")
    except OSError:
        os.close(fd)
        raise
    os.close(fd)


class Behind(ClusterCase):
    def while_behind(self, change, name, write):
        """`change` on n1 is acknowledged while n3 stands still; `write` on n3 was called before n3 goes on."""
        ahead, behind = self.c[0], self.c[2]
        put(ahead.path(name), "first")
        wait_until("it is there", lambda: os.path.exists(behind.path(name)) and get(behind.path(name)) == "first")
        done, failed = threading.Event(), []

        def call():
            try:
                write(behind.path(name))
            except OSError as e:
                failed.append(e)
            done.set()

        def ask():
            while not done.is_set():
                os.path.exists(behind.path("nothing"))

        others = [threading.Thread(target=ask, daemon=True) for _ in range(BUSY)]
        behind.clusterfs.p.send_signal(signal.SIGSTOP)
        try:
            change(ahead, name)
            for t in (threading.Thread(target=call, daemon=True), *others):
                t.start()
        finally:
            behind.clusterfs.p.send_signal(signal.SIGCONT)
        assert done.wait(60), "the write never came back"
        for t in others:
            t.join(60)
        self.c.wait_same()
        return failed

    def story(self, change, write, want):
        for i in range(ROUNDS):
            name = f"{change.__name__}{i}"
            failed = self.while_behind(change, name, write)
            assert not failed, f"round {i}: {failed[0]!r}"
            for n in self.c.nodes:
                assert get(n.path(name)) == want, f"round {i}, {n.name} has {get(n.path(name))!r}"
            if change is move_away:
                assert get(self.c[0].path(name + ".old")) == "first", "what was moved away was written"

    def test_overwrite_of_what_was_replaced(self):
        self.story(replace, lambda p: put(p, "of n3"), "of n3")

    def test_overwrite_of_what_was_removed(self):
        self.story(remove, lambda p: put(p, "of n3"), "of n3")

    def test_overwrite_of_what_was_moved_away(self):
        self.story(move_away, lambda p: put(p, "of n3"), "of n3")

    def test_append_to_what_was_replaced(self):
        self.story(replace, append, "of n1 and n3")

    def test_append_to_what_was_moved_away(self):
        self.story(move_away, append, " and n3")

    def test_append_to_what_was_removed(self):
        self.story(remove, append, " and n3")

    def test_change_inside_what_was_replaced(self):
        self.story(replace, lambda p: write_inside(p, os.O_WRONLY), "OF n1")

    def test_change_of_what_was_read_and_replaced(self):
        self.story(replace, lambda p: write_inside(p, os.O_RDWR), "OF n1")

    def test_change_inside_what_was_moved_away_is_refused(self):
        for i in range(ROUNDS):
            failed = self.while_behind(move_away, f"inside{i}", lambda p: write_inside(p, os.O_WRONLY))
            assert failed and failed[0].errno in (errno.ENOENT, errno.ESTALE), failed
            assert get(self.c[0].path(f"inside{i}.old")) == "first", "what was moved away was written"

    def test_truncation_of_what_was_replaced(self):
        self.story(replace, lambda p: os.truncate(p, 2), "of")

    def test_time_of_what_was_replaced(self):
        def touch(path):
            os.utime(path, (7, 7))
        for i in range(ROUNDS):
            failed = self.while_behind(replace, f"time{i}", touch)
            assert not failed, f"round {i}: {failed[0]!r}"
            for n in self.c.nodes:
                assert os.stat(n.path(f"time{i}")).st_mtime == 7, f"round {i}, {n.name}"

    def test_time_of_what_was_moved_away_is_refused(self):
        for i in range(ROUNDS):
            failed = self.while_behind(move_away, f"moved{i}", lambda p: os.utime(p, (7, 7)))
            assert failed and failed[0].errno in (errno.ENOENT, errno.ESTALE), failed
            for n in self.c.nodes:
                assert os.stat(n.path(f"moved{i}.old")).st_mtime != 7, f"round {i}: what was moved away got its time"

    def test_time_by_a_descriptor_is_that_file_s(self):
        """Whatever its name is by then."""
        one, three = self.c[0], self.c[2]
        put(one.path("held"), "first")
        wait_until("it is there", lambda: os.path.exists(three.path("held")))
        with open(three.path("held")) as f:
            os.rename(one.path("held"), one.path("held.old"))
            os.utime(f.fileno(), (7, 7))
            wait_until("it is moved", lambda: os.path.exists(three.path("held.old")))
            os.utime(f.fileno(), (8, 8))
        assert os.stat(three.path("held.old")).st_mtime == 8

    def test_beside_a_member_of_an_older_version(self):
        def restart(*options):
            self.c[1].stop_fs()
            self.c[1].start_fs(*options)
            self.whole()
        restart("--wire-version", "1")
        try:
            self.story(replace, append, "of n1 and n3")
            self.story(move_away, lambda p: put(p, "of n3"), "of n3")
        finally:
            restart()

    def is_resurrected(self, is_settled):
        """n3 has a file open to replace it; when `is_settled()` n1 removes it, n3 sees that, and closes what it wrote."""
        ahead, behind = self.c[0], self.c[2]
        put(ahead.path("open"), "first")
        wait_until("it is there", lambda: os.path.exists(behind.path("open")))
        with open(behind.path("open"), "w") as f:
            is_settled()
            os.unlink(ahead.path("open"))
            wait_until("it is gone", lambda: not os.path.exists(behind.path("open")))
            f.write("for nobody")
        self.c.wait_same()
        found = os.path.exists(ahead.path("open"))
        if found:
            os.unlink(ahead.path("open"))
        return found

    def test_what_was_removed_behind_a_change_of_ours_stays_removed(self):
        assert not self.is_resurrected(lambda: put(self.c[2].path("other"), "ordered behind the open()"))

    def test_what_is_open_for_long_is_settled_by_itself(self):
        waits = iter(range(50, 10000, 100))  # ms; the program settles it after 50, if the machine lets it
        wait_until("a removed file stays removed", lambda: not self.is_resurrected(lambda: time.sleep(next(waits) / 1000)))

    def test_what_the_same_node_removes_while_open_stays_removed(self):
        for gone in (remove, move_away):
            name = f"own-{gone.__name__}"
            put(self.c[2].path(name), "first")
            with open(self.c[2].path(name), "w") as f:
                gone(self.c[2], name)
                f.write("late")
            self.c.wait_same()
            assert not os.path.exists(self.c[0].path(name)), name
        assert get(self.c[0].path("own-move_away.old")) == "late"


if __name__ == "__main__":
    main()
