# SPDX-License-Identifier: GPL-2.0-or-later
"""A black-box test on the lab's Fibre Channel SAN, whose machines' kernels are not always up to it."""
import functools
import os
import re
import subprocess
import unittest

from harness import KEPT
from labcase import LAB, LabCase
from labkit import fc

BUILT_IN = 900  # seconds; the first time: root image and boot, measured 75 s and 65 s


class FcCase(LabCase):
    """
    A test that fails while the kernel of one of the machines is broken (a warning, an oops, a machine that hangs, an array
    that waits for ever) tells its last words. If they name the FCoE of the bed it is run once more on a SAN taken up anew; a
    second time, or a kernel that broke elsewhere, counts as any failure does.
    """
    KIND = "fc"
    OF_THE_BED = r"\[libfc(oe)?\]|the array waits for ever"

    def __init__(self, method="runTest"):
        super().__init__(method)
        test = getattr(self, method)

        @functools.wraps(test)
        def run():
            try:
                test()
            except Exception as e:  # a skipped test comes by here, too
                broken = {} if isinstance(e, unittest.SkipTest) else fc.broken(self.lab)
                if not broken:
                    raise
                self.tell("broken", f"{e!r}")
                for name, lines in broken.items():
                    for line in lines:
                        self.tell(name, line)
                if not any(re.search(self.OF_THE_BED, line) for lines in broken.values() for line in lines):
                    raise
                self.tell("again", f"the SAN is taken up anew; logs: {self.keep()}")
                self._cleanups.clear()  # they would heal what is gone
                self.take_down()
                self.lab.own()
                self.bring_up()
                test()
        setattr(self, method, run)

    @classmethod
    def bring_up(cls):
        why = fc.missing()
        if why:
            raise unittest.SkipTest(why)
        r = subprocess.run([LAB, "--name", cls.lab.name, "fc", "up"], capture_output=True, text=True, timeout=BUILT_IN, check=False)
        if r.returncode != 0:
            raise AssertionError(f"lab fc up: {r.stderr.strip()}")
        return r.stdout

    @classmethod
    def take_down(cls):
        r = cls.command("fc", "down")
        if r.returncode != 0:
            raise AssertionError(f"lab fc down: {r.stderr.strip()}")

    def keep(self):
        kept = os.path.join(KEPT, f"lab-{self.lab.name}")
        r = self.command("fc", "logs", kept)
        return kept if r.returncode == 0 else f"{kept} ({r.stderr.strip()})"
