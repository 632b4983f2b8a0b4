# SPDX-License-Identifier: GPL-2.0-or-later
"""The I/O oracle (tests/lab/oracle.c) on a node: a writer or a verifier in the background, and its verdict."""
import json
import os
import shutil

from harness import wait_until
from labkit import node

ORACLE = "/share/bin/oracle"
FINDS = ("errors", "lost", "torn", "stale", "corrupt", "misplaced")


class Oracle:
    """
    What was written to one device, under one name. Its log is in the lab's share, on the host's disk: it is there when
    the node that wrote it has lost its power.
    """

    def __init__(self, lab, name, device, blocks=256, pause=5):
        self.lab, self.name, self.device = lab, name, device
        self.options = f"--blocks {blocks} --pause {pause}"
        self.copies = 0

    def _path(self, *names):
        return os.path.join(self.lab.share, f"oracle-{self.name}" + "".join(names))

    def _inside(self, *names):
        return f"/share/oracle-{self.name}" + "".join(names)

    def write(self, n, seconds=3600):
        """Starts a writer on node n; it goes on until end()."""
        job = Job(self, n, "write", f"{ORACLE} write {self.device} --log {self._inside('.log')} --writer {n} --seconds {seconds} {self.options}")
        wait_until(lambda: os.path.exists(self._path(".log")) and os.path.getsize(self._path(".log")) > 0, f"first write of {self.name} on node {n}", 30, 0.05)
        return job

    def _log_copy(self):
        """A node caches what it read of the share; a copy has a name that it has not seen yet."""
        self.copies += 1
        shutil.copy(self._path(".log"), self._path(f".log{self.copies}"))
        return self._inside(f".log{self.copies}")

    def watch(self, n, seconds=3600):
        """Starts a verifier on node n, by the side of a writer elsewhere."""
        return Job(self, n, "watch", f"{ORACLE} verify {self.device} --log {self._log_copy()} --seconds {seconds} {self.options}")

    def verify(self, n, timeout=180):
        """All that was acknowledged up to now, looked at from node n; gives the verdict."""
        _status, out, err = node.execute(self.lab, n, f"{ORACLE} verify {self.device} --log {self._log_copy()} {self.options} --pause 0", timeout=timeout)
        if not out.strip():
            raise AssertionError(f"oracle verify {self.device} on node {n}: {err.decode(errors='replace')}")
        return json.loads(out)


class Job:
    """An oracle in the background of a node."""

    def __init__(self, oracle, n, what, command):
        self.lab, self.n, self.what, self.oracle = oracle.lab, n, what, oracle
        self.mine = f"/run/oracle-{oracle.name}-{what}"
        node.must(self.lab, n, f"rm -f {self.mine}.*; {{ setsid {command} > {self.mine}.new 2> {self.mine}.log < /dev/null & echo $! > {self.mine}.pid; wait $!; "
                               f"mv {self.mine}.new {self.mine}.out; }} > /dev/null 2>&1 &")
        wait_until(lambda: node.execute(self.lab, n, f"[ -s {self.mine}.pid ]")[0] == 0, f"oracle {what} on node {n}", 20, 0.05)

    def end(self, deadline=120):
        """Tells it to end; gives its verdict."""
        node.must(self.lab, self.n, f"kill $(cat {self.mine}.pid) 2> /dev/null || true")
        return self.wait(deadline)

    def wait(self, deadline=120):
        """Its verdict, when it has ended of itself."""
        wait_until(lambda: node.execute(self.lab, self.n, f"[ -e {self.mine}.out ]")[0] == 0,
                   f"end of oracle {self.what} on node {self.n}", deadline, 0.1)
        out = node.must(self.lab, self.n, f"cat {self.mine}.out")
        if not out:
            raise AssertionError(f"oracle {self.what} on node {self.n}: {node.must(self.lab, self.n, f'cat {self.mine}.log')}")
        return json.loads(out)


def finds(verdict):
    """What is wrong, {} if nothing is."""
    return {k: verdict[k] for k in FINDS if verdict[k]}
