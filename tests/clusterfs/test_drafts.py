#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that is created and written in one go becomes real with its content."""
import errno
import fcntl
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import is_errno, wait_until
from clustercase import ClusterCase, get, put
from harness import main

CREATE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY


class Drafts(ClusterCase):
    def test_new_file_appears_elsewhere_whole(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        wait_until("there", lambda: os.path.isdir(c[1].path("drafts")))
        fd = os.open(c[0].path("drafts/a"), CREATE)
        os.write(fd, b"x" * 1000)
        assert not os.path.exists(c[1].path("drafts/a"))
        assert "a" in os.listdir(c[0].path("drafts")), "the node that makes it lists it"
        assert is_errno(lambda: os.rmdir(c[0].path("drafts")), errno.ENOTEMPTY)
        os.close(fd)
        wait_until("there, whole", lambda: get(c[1].path("drafts/a")) == "x" * 1000)

    def test_name_that_is_asked_for_is_real(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        p = c[0].path("drafts/b")
        fd = os.open(p, CREATE)
        st = os.stat(p)
        assert st.st_size == 0 and st.st_ino == os.fstat(fd).st_ino and os.path.samestat(st, os.fstat(fd))
        wait_until("there, empty", lambda: os.path.getsize(c[1].path("drafts/b")) == 0)
        assert is_errno(lambda: os.open(p, CREATE | os.O_EXCL), errno.EEXIST)
        os.write(fd, b"later")
        os.fsync(fd)
        assert get(p) == "later" and os.fstat(fd).st_size == 5
        os.write(fd, b", more")
        os.close(fd)
        wait_until("all of it", lambda: get(c[2].path("drafts/b")) == "later, more")
        os.rename(p, c[0].path("drafts/c"))
        assert {"b", "c"} & set(os.listdir(c[0].path("drafts"))) == {"c"}

    def test_locks_of_one_file_meet(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        p = c[0].path("drafts/lock")
        fd = os.open(p, CREATE)
        fcntl.flock(fd, fcntl.LOCK_EX)
        other = os.open(p, os.O_WRONLY)
        assert is_errno(lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EWOULDBLOCK)
        os.close(fd)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        third = os.open(p, os.O_WRONLY)
        assert is_errno(lambda: fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EWOULDBLOCK)
        os.close(other)
        os.close(third)

    def test_shell_redirections(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        sh = lambda text: subprocess.run(["sh", "-c", text], cwd=c[0].path("drafts"), check=True, timeout=20)
        sh(": > empty; { echo one; echo two; } > two; echo x > x; echo y >> x; touch touched; cp two copy; mv copy moved")
        want = {"empty": "", "two": "one\ntwo\n", "x": "x\ny\n", "touched": "", "moved": "one\ntwo\n"}
        for name, text in want.items():
            assert get(c[0].path("drafts", name)) == text, name
            wait_until(name, lambda: get(c[1].path("drafts", name)) == text)

    def test_child_that_loses_a_descriptor_publishes_nothing(self):
        c = self.c
        put(c[0].path("flushed"), "old")
        fd = os.open(c[0].path("flushed"), CREATE)
        subprocess.run(["true"], check=True)  # its exec() closes the copy it inherited
        assert get(c[0].path("flushed")) == "old"
        os.write(fd, b"ne")
        subprocess.run(["true"], check=True)
        assert get(c[0].path("flushed")) == "old"
        os.write(fd, b"w")
        os.close(fd)
        assert get(c[0].path("flushed")) == "new"

    def test_attributes_through_the_descriptor(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        os.makedirs(c[0].path("priv"), exist_ok=True)
        fd = os.open(c[0].path("priv/draft"), CREATE)
        assert os.fstat(fd).st_mode & 0o7777 == 0o600
        os.fchmod(fd, 0o600)
        assert is_errno(lambda: os.fchmod(fd, 0o644), errno.EPERM)
        os.ftruncate(fd, 10)
        assert os.fstat(fd).st_size == 10
        os.close(fd)
        wait_until("there", lambda: os.path.getsize(c[1].path("priv/draft")) == 10)

    def test_what_was_a_draft_is_the_file_it_became(self):
        """Its id outlives its closing for a while: whatever is done next, by name or through a descriptor that stays open, is to that file."""
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        path = lambda i: c[0].path(f"drafts/many{i}")
        fd = os.open(path(0), CREATE)
        number = os.fstat(fd).st_ino
        os.write(fd, b"0")
        os.close(fd)
        assert os.stat(path(0)).st_ino == number
        again = os.open(path(0), os.O_WRONLY)
        gone = os.open(path(0), os.O_RDONLY)
        for i in range(1, 60):
            put(path(i), f"{i}")
            os.rename(path(i), path(i) + ".moved")
            put(path(i), f"again {i}")
        assert os.fstat(again).st_ino == number
        os.write(again, b"00")
        os.close(again)
        for i in range(60):
            assert get(path(i)) == (f"again {i}" if i else "00"), i
            assert i == 0 or get(path(i) + ".moved") == f"{i}", i
            wait_until("the same on another node", lambda i=i: get(c[1].path(f"drafts/many{i}")) == get(path(i)))
        os.unlink(path(0))
        assert os.read(gone, 9) == b"0" and not os.path.exists(path(0))
        os.close(gone)
        os.unlink(path(59))
        assert is_errno(lambda: os.utime(path(59)), errno.ENOENT)
        put(path(59), "new")
        assert get(path(59)) == "new" and get(path(59) + ".moved") == "59"

    def test_two_nodes_create_one_name(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        fds = [os.open(n.path("drafts/both"), CREATE) for n in c.nodes[:2]]
        for i, fd in enumerate(fds):
            os.write(fd, b"%d" % i * 100)
            os.close(fd)
        for n in c.nodes:
            wait_until("the later one", lambda: get(n.path("drafts/both")) == "1" * 100)
        fd = os.open(c[0].path("drafts/both"), os.O_CREAT | os.O_WRONLY)
        os.close(fd)
        assert get(c[0].path("drafts/both")) == "1" * 100

    def test_guest_is_refused_when_it_is_created(self):
        c = self.c
        os.makedirs(c[0].path("drafts"), exist_ok=True)
        for n in c.nodes[:2]:
            os.makedirs(c[0].path(f"nodes/{n.name}/qemu-server"), exist_ok=True)
        put(c[0].path("nodes/n1/qemu-server/777.conf"), "x")
        wait_until("seen", lambda: os.path.exists(c[1].path("nodes/n1/qemu-server/777.conf")))
        assert is_errno(lambda: os.open(c[1].path("nodes/n2/qemu-server/777.conf"), CREATE), errno.EEXIST)
        os.unlink(c[1].path("nodes/n1/qemu-server/777.conf"))


if __name__ == "__main__":
    main(namespace=True)
