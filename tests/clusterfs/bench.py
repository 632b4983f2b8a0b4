#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed of clusterfs: the rows of the table of numbers in the reference, on one node and on three, with --sync normal and
full, beside what pmxcfs took (there, at load 1), and bench-clusterfs.json in the build directory.

    bench.py [--only local|cluster] [--sync normal|full] [--real-time]
"""
import argparse
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from cluster import BUILD, Cluster, wait_until  # noqa: E402
from test_local import Local  # noqa: E402

# row: (local, three nodes), p50 in ms, of pmxcfs
PMXCFS = {
    "overwrite 1 KiB in place": (0.090, 0.72), "overwrite 1 KiB O_TRUNC": (0.10, 1.47), "tmp + rename 1 KiB": (0.28, 2.13),
    "create + unlink": (0.21, 1.65), "lock mkdir + rmdir": (0.18, 1.9), "read 1 KiB": (0.059, 0.033),
    "overwrite 64 KiB": (0.31, 3.3), "overwrite 1 MiB": (130, 334),
}
PMXCFS["seen on another node"] = (None, 1.10)
# How many times faster than pmxcfs --sync normal is to be, of what the issue names.
FACTORS = {"overwrite 1 KiB in place": 1, "tmp + rename 1 KiB": 1.5, "lock mkdir + rmdir": 1.5, "overwrite 1 MiB": 5,
           "seen on another node": 1}
# What is measured once: pmxcfs, target, unit.
ONCE = {"RSS empty": (17.3, 10, "MB"), "2000 files of 1 KiB": (5.1, None, "s"), "stall when a node is cut off": (8.05, 3, "s"),
        "rejoin with 203 files": (2.65, 2.65, "s"), "RSS with 2200 files": (24.6, None, "MB")}


def overwrite(top, size, flags):
    data, p = os.urandom(size), os.path.join(top, f"bench-{size}")
    with open(p, "wb") as f:
        f.write(data)

    def fn(_):
        fd = os.open(p, os.O_WRONLY | flags)
        os.write(fd, data)
        os.close(fd)
    return fn


def tmp_rename(top):
    data, p = os.urandom(1024), os.path.join(top, "bench-rename")

    def fn(_):
        with open(p + ".tmp", "wb") as f:
            f.write(data)
        os.rename(p + ".tmp", p)
    return fn


def create_unlink(top):
    p = os.path.join(top, "bench-create")

    def fn(_):
        os.close(os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(p)
    return fn


def lock(top):
    os.makedirs(os.path.join(top, "priv/lock"), exist_ok=True)
    p = os.path.join(top, "priv/lock/bench")

    def fn(_):
        os.mkdir(p)
        os.rmdir(p)
    return fn


def read(top):
    p = os.path.join(top, "bench-1024")

    def fn(_):
        fd = os.open(p, os.O_RDONLY)
        os.read(fd, 4096)
        os.close(fd)
    return fn


ROWS = [
    ("overwrite 1 KiB in place", lambda t: overwrite(t, 1024, 0), 500),
    ("overwrite 1 KiB O_TRUNC", lambda t: overwrite(t, 1024, os.O_TRUNC), 500),
    ("tmp + rename 1 KiB", tmp_rename, 300),
    ("create + unlink", create_unlink, 300),
    ("lock mkdir + rmdir", lock, 300),
    ("read 1 KiB", read, 1000),
    ("overwrite 64 KiB", lambda t: overwrite(t, 65536, 0), 100),
    ("overwrite 1 MiB", lambda t: overwrite(t, 1 << 20, 0), 15),
]


def measure(fn, n):
    times = []
    for i in range(n):
        t = time.perf_counter()
        fn(i)
        times.append(time.perf_counter() - t)
    times.sort()
    return times[n // 2] * 1000, times[min(n - 1, int(n * 0.99))] * 1000, n / sum(times)


def many_files(top):
    os.mkdir(os.path.join(top, "many"))
    t = time.perf_counter()
    for i in range(2000):
        with open(os.path.join(top, f"many/{i}"), "wb") as f:
            f.write(b"x" * 1024)
    created = time.perf_counter() - t
    t = time.perf_counter()
    n = len(os.listdir(os.path.join(top, "many")))
    return created, (time.perf_counter() - t) * 1000, n


def seen_elsewhere(c):
    def fn(i):
        put = c[0].path("bench-seen")
        with open(put, "w") as f:
            f.write("x" * (i + 1))
        while os.stat(c[1].path("bench-seen")).st_size != i + 1:
            pass
    with open(c[0].path("bench-seen"), "w") as f:
        f.write("")
    wait_until("there", lambda: os.path.exists(c[1].path("bench-seen")))
    return measure(fn, 300)


class Stall(threading.Thread):
    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.longest, self.stopping, self.errors = node, 0.0, False, 0

    def run(self):
        while not self.stopping:
            t = time.perf_counter()
            try:
                with open(self.node.path("bench-stall"), "w") as f:
                    f.write("x")
            except OSError:
                self.errors += 1
            self.longest = max(self.longest, time.perf_counter() - t)


def node_loss(c):
    s = Stall(c[0])
    s.start()
    time.sleep(0.3)
    c[2].cut()
    wait_until("n3 is read-only", lambda: not c[2].is_quorate(), 20)
    time.sleep(1)
    s.stopping = True
    s.join()
    for i in range(203):
        with open(c[0].path(f"bench-rejoin{i}"), "w") as f:
            f.write("x" * 100)
    t = time.perf_counter()
    c[2].heal()
    wait_until("rejoined", lambda: os.path.exists(c[2].path("bench-rejoin202")), 30, 0.005)
    return s.longest, time.perf_counter() - t


def real_time(pids):
    """So that other work on the machine does not count. Corosync does this by itself."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(2))
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def back_to_normal():
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def small_beside_large(c):
    """How long 1 KiB takes while the same node writes 1 MiB again and again."""
    stop, data = [], os.urandom(1 << 20)

    def large():
        while not stop:
            with open(c[0].path("bench-large"), "wb") as f:
                f.write(data)
    t = threading.Thread(target=large)
    t.start()
    fn = overwrite(c[0].path(), 1024, 0)
    r = measure(fn, 100)
    stop.append(1)
    t.join()
    return r


def bench_local(sync, a):
    with Local(("--local", "--sync", sync)) as l:
        rss = int(next(x for x in open(f"/proc/{l.process.pid}/status") if x.startswith("VmRSS")).split()[1]) / 1024
        if a.real_time:
            real_time([l.process.pid])
        result = {name: measure(make(l.mnt), n) for name, make, n in ROWS}
        back_to_normal()
        return result, {"RSS empty": rss}


def bench_cluster(sync, a):
    with Cluster(3, ["--sync", sync]) as c:
        c.start()
        once = {"RSS empty": max(n.rss_kib() for n in c.nodes) / 1024}
        if a.real_time:
            real_time([n.clusterfs.pid for n in c.nodes])
        result = {name: measure(make(c[0].path()), n) for name, make, n in ROWS}
        result["seen on another node"] = seen_elsewhere(c)
        result["1 KiB beside 1 MiB"] = small_beside_large(c)
        back_to_normal()
        once["2000 files of 1 KiB"] = many_files(c[0].path())[0]
        once["stall when a node is cut off"], once["rejoin with 203 files"] = node_loss(c)
        once["RSS with 2200 files"] = max(n.rss_kib() for n in c.nodes) / 1024
        return result, once


def table(column, results):
    """One line per row: pmxcfs, both modes, what --sync normal is to reach and whether it does."""
    print("| | pmxcfs p50 | --sync normal p50 / p99 | --sync full p50 / p99 | target (normal) | reached |\n|---|---|---|---|---|---|")
    rows = []
    for name in next(iter(results.values()))[0]:
        before = PMXCFS.get(name, (None, None))[column]
        modes = {sync: r[0][name] for sync, r in results.items()}
        rows.append((name, before, modes, before / FACTORS[name] if column and name in FACTORS else None, "ms"))
    for name in next(iter(results.values()))[1]:
        before, target, unit = ONCE[name] if column else (12.3, 10, "MB")
        rows.append((name, before, {sync: (r[1][name],) for sync, r in results.items()}, target, unit))
    out = []
    for name, before, modes, target, unit in rows:
        shown = [" / ".join(f"{x:.2f}" for x in modes[s][:2]) + f" {unit}" if s in modes else "" for s in ("normal", "full")]
        reached = "" if target is None or "normal" not in modes else "yes" if modes["normal"][0] <= target else "**no**"
        print(f"| {name} | {f'{before:g} {unit}' if before else ''} | {shown[0]} | {shown[1]} | "
              f"{f'≤ {target:.2f} {unit}' if target else ''} | {reached} |", flush=True)
        out.append({"name": name, "unit": unit, "pmxcfs": before, "target": target, "reached": reached == "yes" if reached else None,
                    **{s: list(v) for s, v in modes.items()}})
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", choices=["local", "cluster"])
    p.add_argument("--sync", choices=["normal", "full"])
    p.add_argument("--real-time", action="store_true", help="clusterfs and this program before other work of the machine")
    a = p.parse_args()
    modes = [a.sync] if a.sync else ["normal", "full"]
    with open("/proc/loadavg") as f:
        print(f"clusterfs: load average {f.read().split()[0]} on {os.cpu_count()} processors"
              + (", with real-time priority" if a.real_time else ""))
    out = {}
    if a.only != "local":
        print("\n### clusterfs, three nodes, knet with encryption, token 1000 (pmxcfs: token 3000)\n")
        out["cluster"] = table(1, {sync: bench_cluster(sync, a) for sync in modes})
    if a.only != "cluster":
        print("\n### clusterfs, one node\n")
        out["local"] = table(0, {sync: bench_local(sync, a) for sync in modes})
    with open(os.path.join(BUILD, "bench-clusterfs.json"), "w") as f:
        json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
