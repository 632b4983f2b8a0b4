#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed of clusterfs: the rows of the table of numbers in the reference, on one node and on three, with --sync normal and
full, beside what pmxcfs took (there, at load 1).

    bench.py [--only local|cluster] [--sync normal|full]
"""
import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from cluster import Cluster, wait_until  # noqa: E402
from test_local import Local  # noqa: E402

# row: (local, three nodes), p50 in ms, of pmxcfs
PMXCFS = {
    "overwrite 1 KiB in place": (0.090, 0.72), "overwrite 1 KiB O_TRUNC": (0.10, 1.47), "tmp + rename 1 KiB": (0.28, 2.13),
    "create + unlink": (0.21, 1.65), "lock mkdir + rmdir": (0.18, 1.9), "read 1 KiB": (0.059, 0.033),
    "overwrite 64 KiB": (0.31, 3.3), "overwrite 1 MiB": (130, 334),
}


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


def show(name, column, r):
    before = PMXCFS.get(name, (None, None))[column]
    factor = f"{before / r[0]:.1f} x" if before else ""
    print(f"| {name} | {r[0]:.2f} / {r[1]:.2f} ms, {r[2]:.0f}/s | {before or '-'} | {factor} |", flush=True)


def rows(top, column):
    print("| | p50 / p99, rate | pmxcfs p50 | faster |\n|---|---|---|---|")
    for name, make, n in ROWS:
        show(name, column, measure(make(top), n))


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


def bench_local(sync):
    print(f"\n## one node, --sync {sync}\n")
    with Local(("--local", "--sync", sync)) as l:
        rss = int(next(x for x in open(f"/proc/{l.process.pid}/status") if x.startswith("VmRSS")).split()[1])
        rows(l.mnt, 0)
        created, listed, n = many_files(l.mnt)
        after = int(next(x for x in open(f"/proc/{l.process.pid}/status") if x.startswith("VmRSS")).split()[1])
        print(f"| 2000 files of 1 KiB | {created:.2f} s, readdir of {n} {listed:.1f} ms | 9.6 ms (readdir) | |")
        print(f"| RSS empty, after | {rss / 1024:.1f}, {after / 1024:.1f} MB | 12.3, 25.6 MB | |")


def bench_cluster(sync):
    print(f"\n## three nodes, knet with encryption, --sync {sync}\n")
    with Cluster(3, ["--sync", sync]) as c:
        c.start()
        for n in c.nodes if os.environ.get("NICE") else []:
            os.setpriority(os.PRIO_PROCESS, n.clusterfs.pid, int(os.environ["NICE"]))
        rss = [n.rss_kib() / 1024 for n in c.nodes]
        rows(c[0].path(), 1)
        r = seen_elsewhere(c)
        print(f"| write started on n1 to seen on n2 | {r[0]:.2f} / {r[1]:.2f} ms | 1.10 | {1.10 / r[0]:.1f} x |")
        created, _, _ = many_files(c[0].path())
        print(f"| 2000 files of 1 KiB | {created:.2f} s | 5.1 s | {5.1 / created:.1f} x |")
        stall, rejoin = node_loss(c)
        print(f"| longest write when a node is cut off (token 1000) | {stall:.2f} s | 8.05 s (token 3000) | |")
        print(f"| rejoin with 203 changes | {rejoin:.2f} s | 2.65 s | |")
        print(f"| RSS empty, after | {max(rss):.1f}, {max(n.rss_kib() for n in c.nodes) / 1024:.1f} MB | 17.3, 24.6 MB | |")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", choices=["local", "cluster"])
    p.add_argument("--sync", choices=["normal", "full"])
    a = p.parse_args()
    with open("/proc/loadavg") as f:
        print(f"load average at the start: {f.read().split()[0]} on {os.cpu_count()} processors")
    for sync in [a.sync] if a.sync else ["normal", "full"]:
        if a.only != "cluster":
            bench_local(sync)
        if a.only != "local":
            bench_cluster(sync)


if __name__ == "__main__":
    main()
