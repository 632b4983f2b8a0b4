#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the cluster file system: one node, three nodes. The last line is the result.

    check.py [--unit] [WORD...]      only tests whose name contains one of the words; --unit: the unit tests too
"""
import glob
import os
import re
import signal
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cluster  # noqa: E402
import test_cluster  # noqa: E402
import test_local  # noqa: E402
import test_members  # noqa: E402
import test_storaged  # noqa: E402

UNIT = "--unit" in sys.argv[1:]
WORDS = [w for w in sys.argv[1:] if w != "--unit"]
total = {"passed": 0, "failed": 0, "skipped": 0}


def wanted(name):
    return not WORDS or any(w in name for w in WORDS)


def report(result, name, seconds, text=""):
    total[result] += 1
    print(f"{result:7} {name} ({seconds:.1f} s)" + (f" {text}" if text else ""), flush=True)


def run_unit():
    for binary in sorted(glob.glob(os.path.join(cluster.BUILD, "tests/unit/clusterfs/test-*"))):
        name = os.path.basename(binary)
        if binary.endswith(".d") or not wanted(name):
            continue
        t = time.monotonic()
        r = subprocess.run([binary], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        n = re.search(r"\[  PASSED  \] (\d+) test", r.stdout)
        total["passed"] += int(n.group(1)) - 1 if n and r.returncode == 0 else 0
        report("passed" if r.returncode == 0 and n else "failed", name, time.monotonic() - t,
               f"{n.group(1)} tests" if r.returncode == 0 and n else "\n" + r.stdout)


def run_one(name, fn, *args):
    t = time.monotonic()
    try:
        text = fn(*args)
    except Exception:  # pylint: disable=broad-except
        report("failed", name, time.monotonic() - t, "\n" + traceback.format_exc())
        return False
    report("passed", name, time.monotonic() - t, text or "")
    return True


def tests_of(module, prefix):
    return [(n, f) for n, f in vars(module).items() if n.startswith(prefix) and callable(f) and wanted(n)]


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    return None


def run_cluster():
    tests = tests_of(test_members, "test_") + tests_of(test_storaged, "test_") + tests_of(test_cluster, "test_")
    if not tests:
        return
    with cluster.Cluster(3, ["--lock-timeout", "2"]) as c:
        t = time.monotonic()
        try:
            c.start()
        except Exception:  # pylint: disable=broad-except
            for n in c.nodes:
                print(open(os.path.join(n.dir, "corosync.log"), errors="replace").read()[-1500:])
            report("failed", "three nodes start", time.monotonic() - t, "\n" + traceback.format_exc())
            return
        report("passed", "three nodes start", time.monotonic() - t)
        for name, fn in tests:
            if not run_one(name, fn, c):
                for n in c.nodes:
                    print(f"--- log of {n.name}\n{n.log()[-1500:]}")
                try:
                    test_cluster.repair(c)
                except Exception:  # pylint: disable=broad-except
                    traceback.print_exc()
                    break


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that namespaces and mounts are taken away
    if UNIT:
        run_unit()
    reason = why_not()
    if reason:
        for name, _ in tests_of(test_local, "test_") + tests_of(test_cluster, "test_"):
            report("skipped", name, 0, reason)
    else:
        for name, fn in tests_of(test_local, "test_"):
            run_one(name, fn)
        run_cluster()
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
