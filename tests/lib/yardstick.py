# SPDX-License-Identifier: GPL-2.0-or-later
"""How late this machine is while a promised time is measured.

A promise such as "refused within 100 ms" is one about a machine that has time for it. A process of its own goes through the
small steps that every answer is made of, again and again: it is woken, computes for two milliseconds, has a page on the disk.
What such a step takes beyond what it would take if nobody else wanted anything is how late the machine is:

    with Yardstick(self.tmp) as yard:
        seconds, r = timed(...)
    self.assertLess(seconds, yard.allows(0.1))

A machine without other work is late by some milliseconds, so the bound is then the promise.
"""
import fcntl
import os
import subprocess
import sys
import tempfile
import time

STEPS = 6  # one after the other in a promised answer: request, worker, disk, reply, and as many in between
PAUSE = 0.02
WORK = 0.002  # of processor time
PIPE = 1 << 20  # bytes of rounds that nobody has asked for yet: a quarter of an hour


def rounds(directory, out):
    """The yardstick's own process: a line `begin late` for each round."""
    with tempfile.TemporaryFile(dir=directory) as page:
        while True:
            begin = time.monotonic()
            time.sleep(PAUSE)
            worked = time.process_time() + WORK
            while time.process_time() < worked:
                pass
            os.pwrite(page.fileno(), b"x" * 4096, 0)
            os.fsync(page.fileno())
            late = time.monotonic() - begin - PAUSE - WORK
            os.write(out, f"{begin:.4f} {late:.4f}\n".encode())


class Yardstick:
    """Measures from `with` on; ask it inside, or after the end."""

    def __init__(self, directory):
        self.directory, self.begun, self.seen = directory, 0.0, []

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-SE", os.path.abspath(__file__), self.directory],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, PIPE)
        self.process.stdout.readline()  # it runs
        self.begun = time.monotonic()
        return self

    def __exit__(self, *exc):
        self.settle()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def settle(self):
        """Takes what was measured, up to the round that begins after now."""
        now = time.monotonic()
        while not self.seen or self.seen[-1][0] <= now:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("the yardstick has ended")
            self.seen.append(tuple(float(word) for word in line.split()))

    def late(self, part=1.0):
        """The longest; with `part` 0.9 that of nine rounds of ten."""
        if self.process.poll() is None:
            self.settle()
        values = sorted(late for begin, late in self.seen if begin + late + PAUSE >= self.begun)
        return max(0.0, values[min(len(values) - 1, int(len(values) * part))])

    def allows(self, promise, part=1.0, steps=STEPS):
        """What a promise of so many seconds may become here and now."""
        return promise + steps * self.late(part)


class OnTime:
    """For tests of promised times."""
    _yard = None

    def yard(self):
        """The test's own, from now on."""
        if not self._yard:
            self._yard = Yardstick(self.tmp)
            self._yard.__enter__()
            self.addCleanup(self.put_yard_away)
        self._yard.begun = time.monotonic()
        return self._yard

    def put_yard_away(self):
        yard, self._yard = self._yard, None
        yard.__exit__()

    def within(self, seconds, do, what=""):
        """What `do` gives, in the time that is promised."""
        yard, begun = self.yard(), time.monotonic()
        value = do()
        took = time.monotonic() - begun
        self.assertLess(took, yard.allows(seconds), what or repr(value)[:2000])
        return value


if __name__ == "__main__":
    rounds(sys.argv[1], 1)
