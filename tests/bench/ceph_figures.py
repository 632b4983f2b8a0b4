# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of the rbd storage on a real Ceph (one monitor, one OSD in memory, on loopback), beside the same done with librbd alone."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import PRELUDE, ceph
from harness import Daemon, wait_until
from labkit.state import Lab

IMAGES = 5000
TOOK = PRELUDE + """
def took(fn):
    begun = time.perf_counter()
    fn()
    return (time.perf_counter() - begun) * 1000
r = rbd.RBD()
"""
BARE = TOOK + """
n, m = int(sys.argv[1]), int(sys.argv[2])
ctx = io('bench')
def sizes():
    for image in r.list2(ctx):
        with rbd.Image(ctx, image['name'], read_only=True) as i:
            i.size()
for i in range(n):
    r.create(ctx, f'vm-{100 + i // 50}-disk-{i % 50}', 4 << 20)
print(json.dumps({'list2': [took(lambda: list(r.list2(ctx))) for _ in range(m)], 'sizes': [took(sizes)]}))
"""
BARE_CREATE = TOOK + """
k, n = int(sys.argv[1]), int(sys.argv[2])
ctx = io('few')
print(json.dumps([took(lambda i=i: r.create(ctx, f'vm-{40000 + k}-disk-{i}', 4 << 20)) for i in range(n)]))
"""


def median(values):
    return statistics.median(values)


def active(d, storage):
    wait_until(lambda: d.status(storage)["state"] == "active", f"storage {storage} is active", 60)


def api(d, method, path, **params):
    begun = time.perf_counter()
    d.call(method, path, **params)
    return (time.perf_counter() - begun) * 1000


def measure(b, record, d, lab, n):
    path = os.path.join(lab.share, "ceph", "bench.py")
    with open(path, "w", encoding="utf-8") as f:
        f.write(BARE)
    with open(os.path.join(lab.share, "ceph", "bench-create.py"), "w", encoding="utf-8") as f:
        f.write(BARE_CREATE)
    out = ceph.server.once(lab, ["python3", "/share/ceph/bench.py", str(n), "5"], root=ceph.facts(lab)["root"]).stdout
    bare = json.loads(out.strip().splitlines()[-1])
    content = d.at("bench", "/content")
    active(d, "bench")
    if len(d.get(content)) != n:
        raise AssertionError(f"the list has not {n} rows")
    lists = [api(d, "GET", content) for _ in range(5)]
    record(f"rbd: names of {n} images, librbd alone", "ms", bare["list2"])
    record(f"rbd: names and sizes of {n} images, librbd alone", "ms", bare["sizes"])
    record(f"rbd: list of {n} images (names, sizes, parents)", "ms", lists)
    record("rbd: list, of librbd's names and sizes", "", [v / bare["sizes"][0] for v in lists], 1.3, digits=3)
    record("rbd: list, of librbd's names alone", "", [v / median(bare["list2"]) for v in lists])
    created, allocs, ratios = [], [], []
    for k in range(5):  # side by side, since the machine does other things meanwhile
        out = ceph.server.once(lab, ["python3", "/share/ceph/bench-create.py", str(k), "20"], root=ceph.facts(lab)["root"]).stdout
        created += (alone := json.loads(out.strip().splitlines()[-1]))
        allocs += (ours := [api(d, "POST", d.at("few", "/content"), vmid=50000 + k, filename="", size="4096") for _ in range(20)])
        ratios.append(median(ours) / median(alone))
    record("rbd: make an image, librbd alone", "ms", created)
    record("rbd: alloc", "ms", allocs)
    record("rbd: alloc, of librbd's rbd_create", "", ratios, 2)
    volume = "few:vm-50000-disk-0"
    record("rbd: pvesm path, warm", "ms", [b.command(d, "path", volume) for _ in range(b.runs(100))], 10)
    record("rbd: pvesm list of some images, warm", "ms", [b.command(d, "list", "few") for _ in range(b.runs(100))], 10)
    record("rbd: holders, warm", "ms", [api(d, "GET", d.at("few", "/holders"), volume=volume) for _ in range(b.runs(50))], 10)


def first_commands(b, d, wrapper):
    """A worker that ended, once in each daemon's life: the command finds none and begins one, which connects."""
    times = []
    for _ in range(b.runs(50)):
        d.stop()
        d = Daemon(d.root, wrapper=wrapper)
        active(d, "few")
        active(d, "bench")
        for pid in d.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not d.workers(), "the workers are gone")
        wait_until(lambda d=d: all(f"{s}: the worker was killed" in d.log for s in ("few", "bench")), "storaged knows it")
        times.append(b.command(d, "list", "few"))
    return d, times


def figures(b, record):
    lab = Lab(f"bc{os.getpid()}")
    lab.own()
    try:
        ceph.up(lab, addresses=ceph.LOOPBACK, pools=["bench", "few"])
        root = os.path.join(b.top, "rbd")
        os.makedirs(root + "/etc/pve/priv/ceph", mode=0o700)
        for storage in ("bench", "few"):
            shutil.copy(os.path.join(lab.share, "ceph", "keyring"), f"{root}/etc/pve/priv/ceph/{storage}.keyring")
        with open(root + "/etc/pve/storage.cfg", "w", encoding="ascii") as f:
            f.write("".join(f"rbd: {s}\n\tmonhost 127.0.0.1\n\tpool {s}\n\tcontent images\n\n" for s in ("bench", "few")))
        wrapper = ("ip", "netns", "exec", lab.netns)
        d = Daemon(root, wrapper=wrapper)
        measure(b, record, d, lab, IMAGES // 10 if b.quick else IMAGES)
        d, times = first_commands(b, d, wrapper)
        record("rbd: pvesm list, first command of a new worker", "ms", times, 60)
        d.stop()
    finally:
        subprocess.run([os.path.join(ceph.HERE, "lab"), "--name", lab.name, "down"], capture_output=True, check=False)
