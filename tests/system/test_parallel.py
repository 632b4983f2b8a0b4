#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many at once: 200 allocations get 200 names and none fails; writers of storage.cfg do not lose each other's."""
import concurrent.futures
import os
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DaemonTest, main, qemu_img_info


def at_once(n, fn, items):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(fn, items))


class Parallel(DaemonTest):
    def test_200_allocs_from_8_clients(self):
        self.d.add_dir("st")
        names = at_once(8, lambda i: self.d.alloc("st", 100, "", "4"), range(200))
        self.assertEqual(len(set(names)), 200)
        numbers = sorted(int(re.fullmatch(r"st:100/vm-100-disk-(\d+)\.raw", n).group(1)) for n in names)
        self.assertEqual(numbers, list(range(200)), "and no number is left out")
        self.assertEqual(len(self.d.volids("st")), 200)
        at_once(8, lambda n: self.d.pvesm("free", n), names[:40])
        self.assertEqual(len(self.d.volids("st")), 160)

    def test_two_definitions_of_one_path(self):
        """Two storage ids over one folder do not share a lock: still no name twice."""
        path = self.d.add_dir("one")
        self.d.add_dir("two", path=path)
        names = at_once(8, lambda i: self.d.alloc("one" if i % 2 else "two", 100, "", "4"), range(60))
        self.assertEqual(len({n.split(":")[1] for n in names}), 60)

    def test_same_name_once(self):
        self.d.add_dir("st")
        def one(_):
            return self.d.request("POST", self.d.at("st", "/content"),
                                  {"vmid": 100, "filename": "vm-100-x.qcow2", "size": "1M"}).status
        answers = at_once(8, one, range(16))
        self.assertEqual(answers.count(200), 1, answers)
        self.assertEqual(qemu_img_info(self.d.path("st:100/vm-100-x.qcow2"))["format"], "qcow2")

    def test_definitions_from_many_clients(self):
        for i in range(24):
            os.makedirs(f"{self.root}/stores/s{i}")
        at_once(8, lambda i: self.d.post("/storage", type="dir", storage=f"s{i}", path=f"{self.root}/stores/s{i}"), range(24))
        self.assertEqual(len(self.d.get("/storage")), 25)
        at_once(8, lambda i: self.d.put(f"/storage/s{i}", content="iso") if i % 2 else self.d.delete(f"/storage/s{i}"), range(24))
        left = {r["storage"]: r["content"] for r in self.d.get("/storage") if r["storage"] != "local"}
        self.assertEqual(left, {f"s{i}": "iso" for i in range(1, 24, 2)})

    def test_mixed_work(self):
        self.d.add_dir("st")
        def life(i):
            vol = self.d.alloc("st", 100 + i, "", "1M", format="qcow2" if i % 2 else "raw")
            self.d.put(self.d.at("st", "/resize"), volume=vol, size="2M", sync=1)
            base = self.d.post(self.d.at("st", "/template"), volume=vol, sync=1)
            clone = self.d.post(self.d.at("st", "/clone"), volume=base, vmid=500 + i, sync=1)
            self.d.content("st")
            self.d.pvesm("free", clone)
            self.d.pvesm("free", base)
        at_once(6, life, range(12))
        self.assertEqual(self.d.volids("st"), [])


if __name__ == "__main__":
    main()
