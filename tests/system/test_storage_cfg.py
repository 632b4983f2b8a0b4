#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""storage.cfg with an editor on the other side: broken sections, unknown types, edits behind the daemon's back."""
import hashlib
import os
import signal
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import IS_ASAN, DaemonTest, main, wait_until


class Reading(DaemonTest):
    def ids(self):
        return sorted(row["storage"] for row in self.d.get("/storage"))

    def seen(self, text, ids):
        """The daemon has noticed this text; within a second, by its own watching."""
        self.write_config(text)
        self.within(1.0 if not IS_ASAN else 5.0,
                    lambda: wait_until(lambda: self.ids() == sorted(ids), f"storages {ids} (has {self.ids()})"))

    def test_local_is_always_there(self):
        self.assertEqual(self.ids(), ["local"])
        local = self.d.get("/storage/local")
        self.assertEqual((local["type"], local["path"]), ("dir", "/var/lib/vz"))
        self.assertEqual(set(local["content"].split(",")), {"backup", "images", "iso", "rootdir", "snippets", "vztmpl"})
        self.assertEqual(local["prune-backups"], "keep-all=1")
        self.assertEqual(self.d.pvesm("path", "local:iso/a.iso").out, f"{self.root}/var/lib/vz/template/iso/a.iso\n",
                         "the product's own places are below the root")
        self.seen("dir: local\n\tpath /somewhere/else\n\n", ["local"])
        self.assertEqual(self.d.get("/storage/local")["path"], "/var/lib/vz")
        self.seen("dir: x1\n\tpath /x\n\tdisable\n\n", ["local", "x1"])
        self.d.request("DELETE", "/storage/local")
        self.assertIn("local", self.ids(), "it comes back")

    def test_an_edit_is_noticed(self):
        self.seen("dir: one\n\tpath /x\n\tdisable\n\n", ["local", "one"])
        self.seen("dir: one\n\tpath /x\n\tdisable\n\ndir: two\n\tpath /y\n\tdisable\n\n", ["local", "one", "two"])
        with open(self.d.config, "a", encoding="utf-8") as f:  # in place, as some editors do
            f.write("dir: three\n\tpath /z\n\tdisable\n\n")
        self.within(2.0, lambda: wait_until(lambda: self.ids() == ["local", "one", "three", "two"], "an edit in place"))
        os.unlink(self.d.config)
        self.within(2.0, lambda: wait_until(lambda: self.ids() == ["local"], "the file is gone"))
        self.seen("dir: one\n\tpath /x\n\tdisable\n\n", ["local", "one"])

    def test_a_bad_section_harms_no_other(self):
        good = f"dir: good\n\tpath {self.root}/stores/good\n\n"
        os.makedirs(self.root + "/stores/good")
        for bad in ("dir: broken\n\tcontent iso\n\n",                    # required path missing
                    "nfs: broken\n\texport /x\n\n",
                    "nonsense: broken\n\tfoo bar\n\n", "dir: 1bad\n\tpath /x\n\n", "dir:\n\tpath /x\n\n",
                    "dir: broken x\n\tpath /y\n\n", "garbage without a colon\n\n", "\tpath /x\n\n", "dir: broken\n\tpath\n\n",
                    "dir: broken\n\tpath /x\n\tcontent none,iso\n\n", "\xff\xfe\x00\x01\n\n", ": :\n\n",
                    "dir: broken\n\tpath /x\n\tpath /y\n\tnonsense 1\n\tmaxfiles x\n\n"):
            for text in (bad + good, good + bad):
                with self.subTest(text):
                    self.write_config(text)
                    wait_until(lambda: "good" in self.ids() and self.d.get("/storage/good")["digest"] ==
                               hashlib.sha1(text.encode()).hexdigest(), "the text is read")
                    self.assertEqual(self.d.status("good")["active"], 1)
                    self.assertEqual(self.d.pvesm("status").rc, 0)
        self.d.post("/storage", type="dir", storage="another", path="/x", disable=1)
        self.d.put("/storage/good", content="iso")
        self.d.delete("/storage/good")

    def test_a_missing_empty_line(self):
        text = "dir: one\n\tpath /x\n\tdisable\ndir: two\n\tpath /y\n\tdisable\n\n"
        self.seen(text, ["local", "one", "two"])
        self.assertEqual((self.d.get("/storage/one")["path"], self.d.get("/storage/two")["path"]), ("/x", "/y"))
        found = self.d.pvesm("config", "check", "--output-format", "json", check=False).json
        self.assertEqual([w["line"] for w in found["warnings"]], [4])

    def test_unknown_types_are_kept_untouched(self):
        text = "weird: thing\n\tcolour blue\n\tsize  very  large\n\tflag\n\ndir: one\n\tpath /x\n\tdisable\n\n"
        self.write_config(text)
        wait_until(lambda: "one" in self.ids(), "read")
        self.d.post("/storage", type="dir", storage="two", path="/y", disable=1)
        after = self.d.config_text().decode()
        self.assertIn("weird: thing\n", after)
        for line in ("\tcolour blue\n", "\tsize very  large\n", "\tflag\n"):
            self.assertIn(line.split()[0], after)
        self.assertLess(after.index("weird: thing"), after.index("dir: one"), "the order stays")
        self.assertLess(after.index("dir: one"), after.index("dir: two"), "new ones come last")

    def test_writing_rules(self):
        self.d.post("/storage", type="dir", storage="x1", path="/x/", shared="1", disable="1", content="iso", nodes="n2,n1",
                    preallocation="off")
        text = self.d.config_text().decode()
        section = text[text.index("dir: x1"):]
        lines = section.split("\n")
        self.assertEqual(lines[:3], ["dir: x1", "\tdisable", "\tpath /x"])
        keys = [line.split()[0] for line in lines[3:] if line.strip()]
        self.assertEqual(keys, sorted(keys))
        self.assertIn("\tshared 1", lines)
        self.assertTrue(text.endswith("\n\n"))

    def test_config_check(self):
        self.write_config("# a comment\ndir: one\n\tpath /x\n\tcontent iso,images\n\tshared\n\tnonsense 1\n\n")
        file = os.path.join(self.tmp, "other.cfg")
        with open(file, "w", encoding="utf-8") as f:
            f.write("nfs: filer\n\tserver 10.0.0.1\n\texport /x\n\tpath /mnt/pve/filer\n\nlvm: san\n\tbroken\n\tvgname ibm\n\n")
        text = self.d.config_text()
        r = self.d.pvesm("config", "check", "--output-format", "json", check=False)
        self.assertEqual(r.rc, 1, "there are findings")
        r = r.json
        self.assertEqual(set(r) >= {"digest", "ids", "order", "warnings", "rewritten"}, True, str(r))
        self.assertEqual(r["digest"], hashlib.sha1(text).hexdigest())
        one = r["ids"]["one"]
        self.assertEqual((one["type"], one["path"], one["content"], one["shared"]), ("dir", "/x", ["images", "iso"], 1))
        self.assertEqual([w["line"] for w in r["warnings"]], [6])
        r = self.d.pvesm("config", "check", file, "--output-format", "json", check=False).json
        self.assertEqual(r["order"][-2:], ["filer", "san"])
        filer = r["ids"]["filer"]
        self.assertEqual((filer["path"], filer["shared"], filer["content"]), ("/mnt/pve/filer", 1, ["images"]))
        self.assertEqual([w["line"] for w in r["warnings"]], [7])
        self.assertIn("vgname ibm", r["rewritten"])
        out = self.d.pvesm("config", "check", file, check=False)
        self.assertIn("7", out.out + out.err)
        self.assertEqual(out.rc, 1)
        with open(file, "w", encoding="utf-8") as f:
            f.write("lvm: san\n\tvgname ibm\n\n")
        self.assertEqual(self.d.pvesm("config", "check", file).out, "0 warnings\n")
        self.assertEqual(self.d.config_text(), text, "checking changes nothing")
        self.cli_refused(self.d.pvesm("config", "check", "/nonexistent", check=False))

    def test_a_changed_definition_reaches_the_worker(self):
        first, second = self.root + "/stores/a", self.root + "/stores/b"
        for path, name in ((first, "a.iso"), (second, "b.iso")):
            os.makedirs(path + "/template/iso")
            open(f"{path}/template/iso/{name}", "wb").close()
        self.write_config(f"dir: st\n\tpath {first}\n\tcontent iso\n\n")
        wait_until(lambda: "st" in self.ids(), "read")
        self.assertEqual(self.d.volids("st"), ["st:iso/a.iso"])
        self.write_config(f"dir: st\n\tpath {second}\n\tcontent iso\n\n")
        wait_until(lambda: self.d.get("/storage/st")["path"] == second, "read")
        self.assertEqual(self.d.volids("st"), ["st:iso/b.iso"])
        self.write_config(f"dir: st\n\tpath {second}\n\tcontent iso\n\tdisable\n\n")
        wait_until(lambda: self.d.status("st")["state"] == "disabled", "disabled")
        self.refused(self.d.request("GET", self.d.at("st", "/content")), tuple(range(400, 600)))

    def test_a_change_lets_calls_under_way_finish(self):
        before = set(self.d.workers())
        self.d.add_dir("st")
        self.d.content("st")
        worker = wait_until(lambda: [n for n in [set(self.d.workers()) - before] if len(n) == 1], "one worker more")[0].pop()
        os.kill(worker, signal.SIGSTOP)
        answers = []
        calls = [threading.Thread(target=lambda i=i: answers.append(self.d.request(
            "POST", self.d.at("st", "/content"), {"vmid": 100 + i, "filename": "", "size": "4"}))) for i in range(3)]
        for t in calls:
            t.start()
        wait_until(lambda: len(self.d.get("/cluster/locks")) > 0, "the calls wait for the stopped worker")
        self.d.put("/storage/st", content="images,iso")
        os.kill(worker, signal.SIGCONT)
        for t in calls:
            t.join(30)
        self.assertEqual([r.status for r in answers], [200, 200, 200], str(answers))
        self.assertEqual(len(self.d.volids("st")), 3)
        wait_until(lambda: worker not in self.d.workers(), "the old definition's worker has ended")

    def test_a_hundred_storages(self):
        text = "".join(f"dir: s{i}\n\tpath {self.root}/stores/s{i}\n\n" for i in range(100))
        for i in range(100):
            os.makedirs(f"{self.root}/stores/s{i}")
        self.seen(text, ["local"] + [f"s{i}" for i in range(100)])
        rows = wait_until(lambda: [r for r in [self.d.get("/nodes/n1/storage")] if all(x["active"] for x in r)],
                          "all are active")[0]
        self.assertEqual(len(rows), 101)


if __name__ == "__main__":
    main()
