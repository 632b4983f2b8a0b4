#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mixed requests for a while: soak.py SECONDS. Fails if an answer is wrong, or memory, descriptors or processes grow."""
import os
import random
import re
import shutil
import sys
import tempfile
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import Daemon


def usage(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)), len(os.listdir(f"/proc/{pid}/fd"))


def mixed_request(d, rng, volumes):
    """One request of any kind; keeps `volumes` true."""
    what = rng.choice(["alloc", "free", "list", "status", "resize", "snapshot", "set", "bad", "tasks", "info"])
    if what == "alloc" or (what in ("free", "resize", "snapshot", "info") and not volumes):
        volumes.append(d.alloc("st", rng.randrange(100, 120), "", "1M", format=rng.choice(["raw", "qcow2"])))
    elif what == "free":
        upid = d.delete(d.at("st", "/content/" + volumes.pop(rng.randrange(len(volumes)))))
        if upid:
            d.wait_task(upid)
    elif what == "list":
        assert set(d.volids("st")) == set(volumes), "the listing is wrong"
    elif what == "status":
        d.settled("st", "active")
    elif what == "resize":
        d.put(d.at("st", "/resize"), volume=rng.choice(volumes), size="+1M", sync=1)
    elif what == "snapshot":
        volume = rng.choice(volumes)
        r = d.request("POST", d.at("st", "/snapshot"), {"volume": volume, "snapname": f"s{rng.randrange(1 << 30)}", "sync": 1})
        assert (r.status == 200) == volume.endswith("qcow2"), repr(r)
    elif what == "set":
        d.put("/storage/st", preallocation=rng.choice(["off", "metadata"]))
    elif what == "bad":
        assert d.request("POST", d.at("st", "/content"), {"vmid": "x", "filename": "\0", "size": "-1"}).status == 400
    elif what == "tasks":
        d.get("/nodes/n1/tasks", limit=5)
    else:
        assert d.get("/nodes/n1/info", volume=rng.choice(volumes))["vtype"] == "images"
    while len(volumes) > 60:
        d.pvesm("free", volumes.pop())


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(os.environ.get("SEED", time.time()))
    top = tempfile.mkdtemp(prefix="storaged-soak-")
    rng, volumes, n = random.Random(seed), [], 0
    d = Daemon(top + "/root")
    try:
        d.add_dir("st")
        begun = time.monotonic()
        while n < 300:
            mixed_request(d, rng, volumes)
            n += 1
        before = usage(d.pid)
        while time.monotonic() - begun < seconds:
            mixed_request(d, rng, volumes)
            n += 1
        after = usage(d.pid)
        d.stop()
    finally:
        if d.is_running():
            d.kill()
        shutil.rmtree(top, ignore_errors=True)
    print(f"seed {seed}: {n} requests; RSS {before[0]} -> {after[0]} kB, descriptors {before[1]} -> {after[1]}")
    # Finished tasks are kept up to a bound; beyond that nothing may grow.
    sys.exit(1 if after[0] > before[0] * 1.5 + 4096 or after[1] > before[1] + 8 else 0)


if __name__ == "__main__":
    main()
