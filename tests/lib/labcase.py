# SPDX-License-Identifier: GPL-2.0-or-later
"""A black-box test that has a lab of its own: brought up before the first test of the class, ended after the last."""
import json
import os
import subprocess
import sys
import time
import unittest

from harness import KEPT, REPO, wait_until

sys.path.insert(0, os.path.join(REPO, "tests", "lab"))
from labkit import machine, node  # noqa: E402
from labkit.state import Lab  # noqa: E402

LAB = os.path.join(REPO, "tests", "lab", "lab")
SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # of the counts that issues name: `make soak-lab` has 1
LOST = 137  # of `timeout -s KILL`: the program was still in the kernel when its time was over


def scaled(count):
    """How often a test repeats what an issue wants `count` times."""
    return max(1, round(count * SCALE))


def only_soak(reason):
    return unittest.skipIf(SCALE < 1, f"{reason}; `make soak-lab` runs it")


@unittest.skipIf(machine.missing(), machine.missing())
class LabCase(unittest.TestCase):
    """UP: the arguments of `lab up`. KIND: first letters of the lab's name. self.lab is a labkit Lab."""
    UP = ()
    KIND = "t"

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(f"{cls.KIND}{os.getpid()}")
        cls.lab.own()
        try:
            print(cls.bring_up(), end="", flush=True)
        except BaseException:
            cls.command("down")
            raise

    @classmethod
    def bring_up(cls):
        """Gives what there is to tell."""
        r = cls.command("up", *cls.UP)
        if r.returncode != 0:
            raise AssertionError(f"lab up {' '.join(cls.UP)}: {r.stderr.strip()}")
        return r.stdout

    @classmethod
    def tearDownClass(cls):
        r = cls.command("down")
        if r.returncode != 0:
            raise AssertionError(f"lab down: {r.stderr.strip()}")

    @classmethod
    def command(cls, *words):
        return subprocess.run([LAB, "--name", cls.lab.name, *words], capture_output=True, text=True, timeout=600, check=False)

    def keep(self):
        """The logs of all that runs in the lab, where they outlive it."""
        kept = os.path.join(KEPT, f"lab-{self.lab.name}")
        r = self.command("logs", kept)
        return kept if r.returncode == 0 else f"{kept} ({r.stderr.strip()})"

    @property
    def tmp(self):
        return self.lab.logs

    def fault(self, *words):
        """By the command, as one would do it by hand."""
        r = self.command("fault", *map(str, words))
        self.assertEqual(r.returncode, 0, f"lab fault {words}: {r.stderr}")

    def on(self, n, script, **kwargs):
        """(exit status, stdout) of a script on a node."""
        status, out, err = node.execute(self.lab, n, script, **kwargs)
        return status, (out or err).decode(errors="replace").strip()

    def must(self, n, script, **kwargs):
        return node.must(self.lab, n, script, **kwargs).strip()

    def tell(self, when, what):
        """The story on the terminal: what was seen before, during and after."""
        print(f"      {when:7} {what}", flush=True)


# Writes numbered blocks in turn to one open file until told to stop, then says which number each block must hold.
_WRITER = r"""
import json, os, sys
path, mine = sys.argv[1:3]
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_SYNC, 0o644)
told = os.open(mine + ".count", os.O_WRONLY | os.O_CREAT, 0o644)
count, last = 0, {}
try:
    while not os.path.exists(mine + ".stop"):
        count += 1
        block = count % 64
        assert os.pwrite(fd, count.to_bytes(8, "big") * 512, block * 4096) == 4096
        last[block] = count
        os.pwrite(told, b"%12d" % count, 0)
    os.close(fd)
    result = {"last": last}
except Exception as e:
    result = {"error": f"{e!r} at block number {count}"}
with open(mine + ".new", "w") as f:
    json.dump(result, f)
os.rename(mine + ".new", mine + ".result")
"""


class Writer:
    """A program on a node that writes to one file without a pause; it is what a fault must stop and a heal must free."""

    def __init__(self, lab, n, path):
        self.lab, self.n, self.path, self.mine = lab, n, path, f"/run/writer{time.monotonic_ns()}"
        node.must(lab, n, f"cat > {self.mine}.py; setsid python3 {self.mine}.py {node.quote(path)} {self.mine} > /dev/null 2>&1 < /dev/null &",
                  stdin=_WRITER.encode())
        self.moves("start")

    def count(self):
        return int(node.must(self.lab, self.n, f"cat {self.mine}.count 2> /dev/null || echo 0").strip() or 0)

    def moves(self, when, deadline=60):
        """Waits for ten more blocks from now; gives the seconds."""
        begin, before = time.monotonic(), self.count()
        wait_until(lambda: self.count() >= before + 10, f"writer on node {self.n}, {when}: no ten blocks after {before}", deadline, 0.1)
        return time.monotonic() - begin

    def end(self):
        """Stops it; gives {block: number} of what it wrote last."""
        node.must(self.lab, self.n, f"touch {self.mine}.stop")
        text = wait_until(lambda: node.execute(self.lab, self.n, f"cat {self.mine}.result 2> /dev/null")[1], f"end of the writer on node {self.n}")
        result = json.loads(text)
        if "error" in result:
            raise AssertionError(f"writer of {self.path} on node {self.n}: {result['error']}")
        return {int(block): number for block, number in result["last"].items()}


def wrong_blocks(data, last):
    """What is lost, torn or stale in a Writer's file: a line for each block that is not what was written last."""
    return [f"block {block}: wrote {number}, found {data[block * 4096:block * 4096 + 16].hex()}" for block, number in sorted(last.items())
            if data[block * 4096:(block + 1) * 4096] != number.to_bytes(8, "big") * 512]
