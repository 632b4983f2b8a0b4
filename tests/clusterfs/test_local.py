#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One node in local mode: file operations, limits, damaged and full databases, kill -9, start and stop."""
import errno
import importlib.util
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import PROGRAM, REPO, Process, is_errno, wait_until
from clustercase import cluster_why_not, get, put, renewed_past_its_life, told
from harness import main

# Python has a built-in module of that name.
_spec = importlib.util.spec_from_file_location("posix_behaviour", os.path.join(os.path.dirname(__file__), "posix.py"))
posix = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(posix)


def get_bytes(path):
    with open(path, "rb") as f:
        return f.read()


class Local:
    """A clusterfs in local mode in a directory of its own."""

    def __init__(self, options=("--local",), env=None):
        self.dir = tempfile.mkdtemp(prefix="clusterfs-local-", dir=os.environ.get("TMPDIR", "/tmp"))
        self.mnt, self.state, self.run = (os.path.join(self.dir, d) for d in ("mnt", "state", "run"))
        self.options, self.env, self.process = list(options), env, None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
        subprocess.run(["umount", "-l", self.mnt], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["find", self.dir, "-delete"], check=False)

    def argv(self, *more):
        return [PROGRAM, "-f", "--mount", self.mnt, "--state", self.state, "--run", self.run, "--node", "self",
                "--corosync-conf", os.path.join(self.dir, "corosync.conf"), *self.options, *more]

    def start(self, env=None):
        self.process = Process(self.argv(), os.path.join(self.dir, "log"), env=env or self.env)

        def mounted():
            if not self.process.alive():
                raise AssertionError(f"clusterfs ended:\n{self.log()}")
            return os.path.lexists(self.p("local"))
        wait_until("mounted", mounted)

    def stop(self, sig=signal.SIGTERM):
        r = self.process.kill(sig)
        if sig == signal.SIGKILL:
            subprocess.run(["umount", "-l", self.mnt], check=False)
        return r

    def p(self, *parts):
        return os.path.join(self.mnt, *parts)

    def log(self):
        return open(os.path.join(self.dir, "log")).read()


def damage(l):
    """Overwrites pages in the middle of the database."""
    p = os.path.join(l.state, "clusterfs.db")
    size = os.path.getsize(p)
    with open(p, "r+b") as f:
        f.seek(size // 2 // 4096 * 4096)
        f.write(b"\xa5" * 8192)


@unittest.skipIf(cluster_why_not(), cluster_why_not())
class OneNode(unittest.TestCase):
    def test_posix_behaviour(self):
        with Local() as l:
            results = posix.run(l.mnt)
        wrong = [f"{text}: {r}, expected {want}" for text, r, want in results if r != want]
        assert not wrong, "\n".join(wrong)
        rows = [line.split(" | ")[:2] for line in get(os.path.join(REPO, "docs/clusterfs-posix.md")).splitlines() if line.startswith("| ")]
        told = [(text.removeprefix("| "), r.removesuffix(" |")) for text, r in rows[1:]]
        assert told == [(text, r) for text, r, _ in results], "make clusterfs-posix: the document is not up to date"

    def test_tree_survives_a_restart(self):
        with Local() as l:
            os.makedirs(l.p("nodes/self/qemu-server"))
            put(l.p("local/qemu-server/100.conf"), "memory: 512\n")
            put(l.p("storage.cfg"), "dir: local\n")
            os.utime(l.p("storage.cfg"), (1000, 1000))
            assert l.stop() == 0
            assert not os.path.ismount(l.mnt)
            l.start()
            assert get(l.p("nodes/self/qemu-server/100.conf")) == "memory: 512\n"
            assert os.stat(l.p("storage.cfg")).st_mtime == 1000
            assert json.load(open(l.p(".vmlist")))["ids"]["100"]["node"] == "self"

    def test_kill_9_keeps_what_was_acknowledged(self):
        for sync in ("full", "normal"):
            with Local(("--local", "--sync", sync)) as l:
                done = 0
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    put(l.p(f"f{done % 50}"), str(done))
                    done += 1
                l.stop(signal.SIGKILL)
                l.start()
                for i in range(max(0, done - 50), done):
                    assert get(l.p(f"f{i % 50}")) == str(i)

    def test_total_size_is_enforced(self):
        with Local(("--local", "--max-size", "4")) as l:
            n = 0
            try:
                for n in range(10):
                    with open(l.p(f"big{n}"), "wb") as f:
                        f.write(b"x" * (1 << 20))
            except OSError as e:
                assert e.errno == errno.ENOSPC
            assert n == 4
            st = os.statvfs(l.mnt)
            assert st.f_bavail == 0 and st.f_blocks * st.f_frsize == 4 << 20
            os.unlink(l.p("big0"))
            put(l.p("small"), "x" * 1000)

    def test_failed_database_write_fails_that_write_only(self):
        with Local(env={"STORAGED_FAULTS": "clusterfs.db.commit=error:28@3"}) as l:
            put(l.p("a"), "1")  # create, then content: two commits
            assert is_errno(lambda: put(l.p("b"), "2"), errno.ENOSPC)
            assert not os.path.exists(l.p("b")), "what failed is there"
            put(l.p("c"), "3")
            assert sorted(f for f in os.listdir(l.mnt) if len(f) == 1) == ["a", "c"]
            l.stop(signal.SIGKILL)
            l.start(env={})
            assert get(l.p("a")) == "1" and get(l.p("c")) == "3"

    def test_damaged_database_is_refused_then_recovered(self):
        with Local() as l:
            for i in range(300):
                put(l.p(f"file{i}"), "content " * 100)
            l.stop()
            damage(l)
            r = subprocess.run(l.argv(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
            assert r.returncode != 0 and "--recover" in r.stdout and "damaged" in r.stdout, r.stdout
            assert not os.path.ismount(l.mnt)
            r = subprocess.run(l.argv("--recover"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
            assert r.returncode == 0, r.stdout
            assert any(".damaged-" in f for f in os.listdir(l.state)), "the damaged file is not kept"
            l.start()
            rest = [f for f in os.listdir(l.mnt) if f.startswith("file")]
            assert 50 < len(rest) < 300, f"{len(rest)} of 300 files"
            assert all(get(l.p(f)) == "content " * 100 for f in rest)
            put(l.p("new"), "x")

    def test_torn_database_is_refused(self):
        with Local() as l:
            for i in range(100):
                put(l.p(f"file{i}"), "content " * 100)
            l.stop()
            p = os.path.join(l.state, "clusterfs.db")
            os.truncate(p, os.path.getsize(p) // 2)
            r = subprocess.run(l.argv(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
            assert r.returncode != 0 and "--recover" in r.stdout, r.stdout

    def test_second_daemon_is_refused(self):
        with Local() as l:
            r = subprocess.run(l.argv(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
            assert r.returncode != 0 and "another clusterfs" in r.stdout, r.stdout
            put(l.p("still"), "there")

    def test_local_mode_by_itself_without_corosync_conf(self):
        with Local(()) as l:
            assert "local mode" in l.log()
            put(l.p("x"), "1")
            assert set(json.load(open(l.p(".members")))) == {"nodename", "version"}

    def test_virtual_files(self):
        with Local() as l:
            first = json.load(open(l.p(".version")))
            put(l.p("storage.cfg"), "x")
            second = json.load(open(l.p(".version")))
            assert second["storage.cfg"] > first["storage.cfg"]
            assert second["user.cfg"] == first["user.cfg"] and second["starttime"] == first["starttime"]
            assert stat.S_IMODE(os.stat(l.p(".version")).st_mode) == 0o440
            assert get(l.p(".debug")) == "0\n"
            put(l.p(".debug"), "1\n")
            assert get(l.p(".debug")) == "1\n"
            assert is_errno(lambda: put(l.p(".debug"), "x\n"), errno.EINVAL)
            assert os.readlink(l.p("qemu-server")) == "nodes/self/qemu-server"

    def test_notifications_and_cluster_log(self):
        with Local() as l:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.connect(os.path.join(l.run, "notify.sock"))
            told(s, lambda i: os.mkdir(l.p(f"d{i}")), "d")
            s.send(json.dumps({"log": {"message": "hello\n", "tag": "test", "priority": 4}}).encode())
            wait_until("log entry", lambda: json.load(open(l.p(".clusterlog")))["data"])
            e = json.load(open(l.p(".clusterlog")))["data"][0]
            assert (e["msg"], e["tag"], e["pri"], e["node"]) == ("hello?", "test", 4, "self")
            s.send(b"not json")
            s.send(b'{"log": 7}')
            put(l.p("d0/x"), "1")
            assert json.loads(s.recv(4096))["path"] == "d0/x"
            s.close()

    def test_expired_lock_is_dropped_on_request(self):
        with Local(("--local", "--lock-timeout", "1")) as l:
            os.makedirs(l.p("priv/lock"))
            lock = l.p("priv/lock/x")
            os.mkdir(lock)
            assert is_errno(lambda: os.utime(lock, (0, 0)), errno.EACCES)
            renewed = renewed_past_its_life(lock, lock, 1)
            time.sleep(max(0, renewed + 1.2 - time.monotonic()))
            os.utime(lock, (0, 0))
            wait_until("dropped", lambda: not os.path.exists(lock))

    def test_log_of_the_database_does_not_grow_for_ever(self):
        """Commits that never pause: each checkpoint leaves something, and the log would never begin anew."""
        size, data, written = 0, os.urandom(128 << 10), 0
        with Local(("--local", "--sync", "normal")) as l:
            log = os.path.join(l.state, "clusterfs.db-wal")
            while written < 512 << 20:
                put(l.p("f"), data)
                written += len(data)
                size = max(size, os.path.getsize(log))
            assert get_bytes(l.p("f")) == data
            assert size < 256 << 20, f"{size >> 20} MiB"

    def test_memory_of_an_empty_node(self):
        with Local() as l:
            for line in open(f"/proc/{l.process.pid}/status"):
                if line.startswith("VmRSS"):
                    kib = int(line.split()[1])
            assert kib <= 10240 or "asan" in PROGRAM, f"{kib} KiB"

    def test_wrong_options(self):
        for argv in (["--sync", "maybe"], ["--max-size", "0"], ["--nonsense"], ["word"], ["--node", "a/b"]):
            r = subprocess.run([PROGRAM, "-f", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10, check=False)
            assert r.returncode != 0 and r.stdout.strip(), argv


if __name__ == "__main__":
    main(namespace=True)
