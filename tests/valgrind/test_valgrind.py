#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""storaged and its workers under valgrind: mixed requests, good and bad, without an error or a lost block."""
import glob
import os
import random
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from harness import DaemonTest, main, needs_program, run
from soak import mixed_request


@needs_program("valgrind")
class Valgrind(DaemonTest):
    wants_daemon = False

    def test_200_mixed_requests(self):
        os.makedirs(self.root)
        here = os.path.dirname(os.path.abspath(__file__))
        run("cc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", self.tmp + "/pidfd.so", here + "/pidfd.c")
        d = self.start_daemon(deadline=120, env={"LD_PRELOAD": self.tmp + "/pidfd.so"}, wrapper=[
            "valgrind", "--trace-children=yes", "--trace-children-skip=*/qemu-img,*/getent,*/tar", "--leak-check=full",
            "--errors-for-leak-kinds=definite", "--child-silent-after-fork=yes", f"--log-file={self.tmp}/vg.%p"])
        d.add_dir("st")
        rng, volumes = random.Random(1), []
        for _ in range(200):
            mixed_request(d, rng, volumes)
        for path in ("/nosuch", "/storage/nosuch", d.at("st", "/content/../../x"), "/schema", "/nodes", "/cluster/locks"):
            d.request("GET", path)
        d.post("/nodes/n1/config/check", text="dir: a\n\tfoo\nbroken: x\n\n")
        d.raw(b"GET /api2/json/version HT", timeout=2)
        d.stop(deadline=120)
        reports = glob.glob(self.tmp + "/vg.*")
        self.assertTrue(reports)
        for path in reports:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            if "storaged" not in text.split("Command:", 1)[-1].split("\n")[0]:
                continue
            errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
            if errors:  # a worker that was killed has no summary
                self.assertEqual(errors.group(1), "0", text[-6000:])
            self.assertNotIn("Invalid ", text)


if __name__ == "__main__":
    main()
