#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The speed figures: a table with target and measured value, and bench.json in the build directory.

    bench.py [--quick] [NAME...]     NAME: commands storages raw qcow2 dead memory noquorum allocs migrate lvm

Every figure is the median (and p99) of many runs on this machine as it is; commands are timed from exec to exit.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BUILD, REPO, Daemon, GiB, UnixConnection, wait_until

PVESM = os.path.join(BUILD, "pvesm")
rows = []


def p(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def record(name, unit, values, target=None, at_least=False, digits=2):
    median = statistics.median(values)
    met = None if target is None else (median >= target if at_least else median <= target)
    rows.append({"name": name, "unit": unit, "target": target, "at_least": at_least, "p50": round(median, 4),
                 "p99": round(p(values, 0.99), 4), "runs": len(values), "met": met})
    sign = ("≥" if at_least else "≤") if target is not None else ""
    shown = f"{sign} {target:g} {unit}" if target is not None else ""
    verdict = {True: "met", False: "MISSED", None: ""}[met]
    print(f"{name:<46} {shown:>14} {median:>10.{digits}f} {p(values, 0.99):>10.{digits}f} {len(values):>6}  {verdict}", flush=True)


class Bench:
    def __init__(self, quick):
        self.quick = quick
        self.top = tempfile.mkdtemp(prefix="storaged-bench-")
        self.n = 0

    def daemon(self, config=""):
        self.n += 1
        root = os.path.join(self.top, f"r{self.n}")
        os.makedirs(root + "/etc/pve")
        with open(root + "/etc/pve/storage.cfg", "w", encoding="ascii") as f:
            f.write(config.replace("%ROOT%", root))
        for path in re.findall(r"\tpath (\S+)", config.replace("%ROOT%", root)):
            if path.startswith(root):
                os.makedirs(path)
        return Daemon(root)

    def runs(self, n):
        return max(5, n // 10) if self.quick else n

    def command(self, d, *args):
        """Milliseconds from exec to exit."""
        argv = [PVESM, *args]
        begun = time.perf_counter()
        pid = os.posix_spawn(PVESM, argv, d.env, file_actions=self.quiet)
        _, status = os.waitpid(pid, 0)
        took = (time.perf_counter() - begun) * 1000
        if status != 0:
            raise AssertionError(f"pvesm {' '.join(args)}: status {status}")
        return took

    def __enter__(self):
        null = os.open("/dev/null", os.O_RDWR)
        self.quiet = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.top, ignore_errors=True)

    # --- the figures
    def commands(self):
        d = self.daemon("dir: st\n\tpath %ROOT%/st\n\tcontent images,iso\n\n")
        d.content("st")
        n = self.runs(300)
        vols = []
        d.alloc("st", 999, "", "4")
        vol = "st:999/vm-999-disk-0.raw"
        for name, args in (("status", ("status",)), ("list", ("list", "st")), ("path", ("path", vol)), ("info", ("info", vol)),
                           ("apiinfo", ("apiinfo",)), ("help", ("help",)), ("config check", ("config", "check")),
                           ("status --output-format json", ("status", "--output-format", "json"))):
            self.command(d, *args)
            record(f"pvesm {name}", "ms", [self.command(d, *args) for _ in range(n)], 10)
        times = []
        for i in range(n):
            vols.append(f"st:{100 + i // 500}/vm-{100 + i // 500}-x{i}.raw")
            times.append(self.command(d, "alloc", "st", str(100 + i // 500), f"vm-{100 + i // 500}-x{i}.raw", "1G"))
        record("pvesm alloc (raw, sparse)", "ms", times, 10)
        record("pvesm resize", "ms", [self.command(d, "resize", v, "2G") for v in vols], 10)
        record("pvesm free", "ms", [self.command(d, "free", v) for v in vols], 10)
        record("pvesm set", "ms", [self.command(d, "set", "st", "--preallocation", ("off", "metadata")[i % 2])
                                   for i in range(self.runs(100))], 10)
        d.stop()

    def storages(self):
        d = self.daemon("".join(f"dir: s{i}\n\tpath %ROOT%/s{i}\n\n" for i in range(100)))
        wait_until(lambda: all(r["active"] for r in d.get("/nodes/n1/storage") if r["storage"] != "local"), "all are active", 60)
        record("pvesm status, 100 storages", "ms", [self.command(d, "status") for _ in range(self.runs(300))], 15)
        record("RSS storaged, 100 storages", "MB", [self.rss(d.pid)], 12)
        d.stop()

    def fill(self, top, n, write):
        for i in range(n):
            folder = f"{top}/images/{100 + i // 20}"
            if i % 20 == 0:
                os.makedirs(folder)
            write(folder, 100 + i // 20, i % 20)

    def listing(self, kind, write, first_target, after_target):
        n = 10000
        d = self.daemon("dir: st\n\tpath %ROOT%/st\n\tcontent images\n\n")
        self.fill(d.root + "/st", n, write)
        first, after = [], []
        for _ in range(self.runs(30)):
            d.stop()
            d = Daemon(d.root)
            first.append(self.command(d, "list", "st"))
            after += [self.command(d, "list", "st") for _ in range(10)]
        rows_seen = len(d.content("st"))
        assert rows_seen == n, rows_seen
        record(f"pvesm list, {n} {kind}, first", "ms", first, first_target, digits=1)
        record(f"pvesm list, {n} {kind}, after", "ms", after, after_target, digits=1)
        record(f"RSS worker, {n} {kind}", "MB", [max(self.rss(w) for w in d.workers())], 12)
        record(f"RSS storaged, after lists of {n} {kind}", "MB", [self.rss(d.pid)], 12)
        d.stop()
        shutil.rmtree(d.root)

    def raw(self):
        def write(folder, vmid, n):
            with open(f"{folder}/vm-{vmid}-disk-{n}.raw", "wb") as f:
                f.truncate(GiB)
        self.listing("raw", write, 150, 40)

    def qcow2(self):
        # A version 3 header as qemu-img writes it, without a process each.
        header = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 4 * GiB, 0, 8, 0x30000, 0x10000, 1, 0, 0, 0, 0, 0,
                             4, 104).ljust(0x40000, b"\0")

        def write(folder, vmid, n):
            with open(f"{folder}/vm-{vmid}-disk-{n}.qcow2", "wb") as f:
                f.write(header[:512])
                f.truncate(len(header))
        self.listing("qcow2", write, 400, None)

    def dead(self):
        """Three servers that take connections and never say a word: what a hung NFS server looks like."""
        listeners = []
        config = "dir: st\n\tpath %ROOT%/st\n\n"
        for i in range(3):
            s = socket.create_server(("127.0.0.1", 0), backlog=512)
            listeners.append(s)
            port = s.getsockname()[1]
            config += (f"nfs: dead{i}\n\tserver 127.0.0.1\n\texport /x\n\tpath %ROOT%/mnt/dead{i}\n"
                       f"\toptions vers=3,port={port},mountport={port}\n\n")
        d = self.daemon(config)
        wait_until(lambda: [r["state"] for r in d.get("/nodes/n1/storage")].count("unresponsive") == 3, "three are unresponsive")
        record("pvesm status, three dead NFS servers", "ms", [self.command(d, "status") for _ in range(self.runs(300))], 15)
        api = []
        for _ in range(self.runs(1000)):
            begun = time.perf_counter()
            d.get("/version")
            api.append((time.perf_counter() - begun) * 1000)
        record("GET /version meanwhile", "ms", api, 50)
        d.stop()
        for s in listeners:
            s.close()

    @staticmethod
    def rss(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024

    def memory(self):
        d = self.daemon("dir: st\n\tpath %ROOT%/st\n\n")
        d.content("st")
        for _ in range(200):
            d.get("/nodes/n1/storage")
        record("RSS storaged, one storage", "MB", [self.rss(d.pid)], 12)
        record("RSS worker, dir", "MB", [self.rss(w) for w in d.workers()], 12)
        d.stop()

    def noquorum(self):
        """A configured cluster whose Corosync is not there: what is common is refused."""
        d = self.daemon("dir: st\n\tpath %ROOT%/st\n\tshared 1\n\tcontent images\n")
        os.makedirs(d.root + "/etc/corosync")
        with open(d.root + "/etc/corosync/corosync.conf", "w", encoding="ascii") as f:
            f.write("totem {\n}\n")
        calls = [("PUT", "/storage/st", {"content": "images"}),
                 ("POST", d.at("st", "/content"), {"vmid": 100, "filename": "", "size": "1M"})]
        took = []
        for call in calls * self.runs(500):
            begun = time.perf_counter()
            assert d.request(*call).status == 503
            took.append((time.perf_counter() - begun) * 1000)
        record("write refused without quorum", "ms", took, 100)
        d.stop()

    def allocs(self):
        d = self.daemon("dir: st\n\tpath %ROOT%/st\n\n")
        d.content("st")
        seconds, clients = (3 if self.quick else 10), 8
        with multiprocessing.Pool(clients) as pool:
            begun = time.perf_counter()
            answers = pool.starmap(client, [(d.socket, k, seconds) for k in range(clients)])
            took = time.perf_counter() - begun
        times = [t for a in answers for t in a[0]]
        failed = sum(a[1] for a in answers)
        record("allocs a second, 8 clients, raw sparse", "/s", [len(times) / took], 300, at_least=True, digits=0)
        record("one alloc under that load", "ms", times, None)
        if failed or len(d.volids("st")) != len(times):
            print(f"!! {failed} allocs failed, {len(times)} were answered well, {len(d.volids('st'))} volumes are there")
        d.stop()


    def migrate(self):
        """Two nodes, one cluster directory: prepare on the source, activate on the target, commit on both."""
        one = self.daemon()
        two = os.path.join(self.top, "two")
        os.makedirs(two + "/etc")
        os.makedirs(one.root + "/sh")
        os.symlink(one.root + "/etc/pve", two + "/etc/pve")
        two = Daemon(two, node="n2")
        one.add_dir("sh", one.root + "/sh", shared=1)
        wait_until(lambda: [s for s in two.get("/storage") if s["storage"] == "sh"], "both know the storage")
        volume = one.alloc("sh", 100)
        source, target = one, two
        prepare, commit = [], []
        source.post(source.at("sh", "/activate"), volume=volume)
        for _ in range(self.runs(200)):
            begun = time.perf_counter()
            source.post("/cluster/migrate", op="prepare", volume=volume, target=target.node)
            target.post(target.at("sh", "/activate"), volume=volume)
            prepare.append((time.perf_counter() - begun) * 1000)
            begun = time.perf_counter()
            source.post("/cluster/migrate", op="commit", volume=volume, target=target.node)
            target.post("/cluster/migrate", op="commit", volume=volume, target=target.node)
            commit.append((time.perf_counter() - begun) * 1000)
            source, target = target, source
        record("migrate: prepare and activate on the target", "ms", prepare, None)
        record("migrate: commit, until the target is alone", "ms", commit, None)
        two.stop()
        one.stop()

    def lvm(self):
        """In a kernel with device-mapper (tests/lib/lvm-kernel); ratios, as everything is slower there."""
        story = os.path.join(REPO, "tests", "lib", "lvm-kernel-story.py")
        env = dict(os.environ, KERNEL_STORY=f"{story} bench --volumes 1000 --rounds {self.runs(20)}")
        r = subprocess.run([os.path.join(REPO, "tests", "lib", "lvm-kernel"), BUILD], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if r.returncode == 77:
            print(r.stdout.strip().splitlines()[-1])
            return
        found = re.search(r"^FIGURES (.*)$", r.stdout, re.M)
        if r.returncode != 0 or not found:
            raise RuntimeError(r.stdout)
        f = json.loads(found[1])
        record("list of 1000 LVs after a change, of LVM's report", "", [a / b for a, b in zip(f["list_cold"], f["report"])], 1.2)
        record("list of 1000 LVs, nothing changed", "ms", f["list_warm"], 10)
        record("the same by pvesm, exec to exit, with its table", "ms", f["list_command"])
        record("alloc on lvm, of lvcreate", "", [a / b for a, b in zip(f["alloc"], f["lvcreate"])], 1.3)
        record("alloc on lvm, of lvcreate in one process", "", [a / b for a, b in zip(f["alloc"], f["lvcreate_in_process"])])

    def rbd(self):
        import ceph_figures  # pylint: disable=import-outside-toplevel
        ceph_figures.figures(self, record)


def client(path, k, seconds):
    c, times, failed, i = UnixConnection(path), [], 0, 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        vmid = 1000 * (k + 1) + i // 100
        begun = time.perf_counter()
        try:
            c.request("POST", "/api2/json/nodes/n1/storage/st/content", f"vmid={vmid}&filename=&size=1048576",
                      {"Content-Type": "application/x-www-form-urlencoded"})
            r = c.getresponse()
            r.read()
        except (http.client.HTTPException, OSError):
            c.close()
            r = None
        if r is not None and r.status == 200:
            times.append((time.perf_counter() - begun) * 1000)
        else:
            failed += 1
        i += 1
    return times, failed


def main():
    names = ["commands", "storages", "raw", "qcow2", "dead", "memory", "noquorum", "allocs", "migrate", "lvm", "rbd"]
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--quick", action="store_true", help="a tenth of the runs")
    a.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    args = a.parse_args()
    print(f"{'':<46} {'target':>14} {'p50':>10} {'p99':>10} {'runs':>6}")
    with Bench(args.quick) as b:
        for name in args.names or names:
            getattr(b, name)()
    out = os.path.join(BUILD, "bench.json")
    with open(out, "w", encoding="utf-8") as f:
        json.dump({"machine": {"cpus": os.cpu_count(), "kernel": os.uname().release, "load": os.getloadavg()[0]},
                   "figures": rows}, f, indent=1)
    missed = [r["name"] for r in rows if r["met"] is False]
    print(f"{out}: {len(rows)} figures, {len(missed)} missed" + (": " + "; ".join(missed) if missed else ""))


if __name__ == "__main__":
    main()
