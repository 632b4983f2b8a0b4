#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers die, hang and crash: that call fails, clearly; everything else goes on."""
import os
import signal
import statistics
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import DEADLINE, DaemonTest, main, slow, start_time, wait_until

FAILED = tuple(range(400, 600))


class Workers(DaemonTest):
    def setUp(self):
        super().setUp()
        self.d.add_dir("good")
        for storage in ("local", "good"):
            self.d.content(storage)
        before = set(self.d.workers())
        self.d.add_dir("bad")
        self.d.content("bad")
        (self.victim,) = set(self.d.workers()) - before

    def in_background(self, method, path, params=None):
        box = []
        t = threading.Thread(target=lambda: box.append(self.d.request(method, path, params, timeout=90)))
        t.start()
        return t, box

    def test_workers_are_children_and_end_with_it(self):
        self.assertEqual(len(self.d.workers()), 3, "one a storage in use: local, good, bad")
        pids = self.d.workers()
        self.d.stop()
        self.assertEqual([p for p in pids if start_time(p)], [])

    def test_a_killed_daemon_takes_its_workers_along(self):
        pids = self.d.workers()
        self.d.kill()
        wait_until(lambda: not [p for p in pids if start_time(p)], "no orphan stays")

    def test_kill_between_calls(self):
        pid = self.victim
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in self.d.workers(), "it is gone")
        self.assertEqual(self.d.volids("bad"), [])
        self.assertEqual(self.d.volids("good"), [])

    def test_kill_during_a_call(self):
        pid = self.victim
        os.kill(pid, signal.SIGSTOP)
        thread, box = self.in_background("GET", self.d.at("bad", "/content"))
        others = [self.in_background("GET", self.d.at("good", "/content")) for _ in range(3)]
        for t, b in others:
            t.join()
            self.assertEqual(b[0].status, 200)
        os.kill(pid, signal.SIGKILL)
        thread.join(DEADLINE)
        self.refused(box[0], FAILED)
        self.assertRegex(box[0].message, "worker")
        self.assertIn("bad", box[0].message)
        wait_until(lambda: self.d.request("GET", self.d.at("bad", "/content")).status == 200, "the next call works")

    def test_a_hanging_worker_is_written_off(self):
        pid = self.victim
        before = [self.timed() for _ in range(30)]
        os.kill(pid, signal.SIGSTOP)
        row = self.within(15, lambda: self.d.settled("bad", "unresponsive"))
        self.assertEqual(row["active"], 0)
        self.assertTrue(row.get("reason"))
        yard = self.yard()
        after = [self.timed() for _ in range(30)]
        self.assertLess(statistics.median(after), max(5 * statistics.median(before), yard.allows(0.25, 0.5)))
        yard, begun = self.yard(), time.monotonic()
        r = self.d.request("GET", self.d.at("bad", "/content"))
        took = time.monotonic() - begun
        if r.status != 200:
            self.refused(r, FAILED)
            self.assertIn("bad", r.message)
            self.assertLess(took, yard.allows(5.0))
        self.assertEqual(self.d.volids("good"), [])
        self.d.settled("bad", "active", deadline=60)
        self.assertEqual(self.d.volids("bad"), [])
        wait_until(lambda: start_time(pid) is None, "the frozen one is killed")

    def timed(self):
        begun = time.monotonic()
        self.d.get("/nodes/n1/storage")
        self.d.content("good")
        return time.monotonic() - begun

    def test_pure_answers_need_no_worker_that_answers(self):
        os.kill(self.victim, signal.SIGSTOP)
        self.d.settled("bad", "unresponsive")
        self.assertEqual(self.d.get("/nodes/n1/info", volume="bad:100/vm-100-disk-0.raw")["vmid"], 100)
        self.assertIn("/stores/bad/images/100/", self.d.pvesm("path", "bad:100/vm-100-disk-0.raw").out)

    def test_each_worker_dies_once_a_call(self):
        """However often it is killed: the daemon lives, and it works again in the end."""
        for _ in range(5):
            for pid in self.d.workers():
                os.kill(pid, signal.SIGKILL)
            self.d.request("GET", self.d.at("bad", "/content"))
            self.assertTrue(self.d.is_running())
        wait_until(lambda: self.d.request("GET", self.d.at("bad", "/content")).status == 200, "it works again", 60)
        wait_until(lambda: self.d.request("GET", self.d.at("good", "/content")).status == 200, "it works again", 60)

    def test_descriptors_and_processes_do_not_pile_up(self):
        def descriptors():
            return len(os.listdir(f"/proc/{self.d.pid}/fd"))
        for pid in self.d.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.d.request("GET", self.d.at("good", "/content")).status == 200, "back", 60)
        before = descriptors()
        for _ in range(4):
            for pid in self.d.workers():
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.d.request("GET", self.d.at("good", "/content")).status == 200, "back", 60)
        self.assertLessEqual(descriptors(), before + 3)
        self.assertLessEqual(len(self.d.workers()), 3)


class Crash(DaemonTest):
    """A plugin that dies in the middle of a call."""
    daemon_env = {"STORAGED_FAULTS": "dir.alloc.created=kill"}

    def test_only_that_call_fails(self):
        self.d.add_dir("st")
        r = self.refused(self.d.request("POST", self.d.at("st", "/content"), {"vmid": 100, "filename": "", "size": "4"}), FAILED)
        self.assertIn("st", r.message)
        self.assertTrue(self.d.is_running())
        self.assertEqual(self.d.get("/version")["apiver"], 15)
        wait_until(lambda: self.d.request("GET", self.d.at("st", "/content")).status == 200, "the next call works", 60)
        self.assertEqual(self.d.volids("st"), [])

    def test_pvesm_says_so(self):
        self.d.add_dir("st")
        self.cli_refused(self.d.pvesm("alloc", "st", "100", "", "4", check=False), None, "st")


class Limits(DaemonTest):
    daemon_args = ("--max-workers", "4")

    def test_too_many_workers_is_said(self):
        """Eight storages, four workers, of which some are kept for tasks: some storages work, the others say why not."""
        def until_done(method, path, params):  # workers that have only just been let go still count
            wait_until(lambda: self.d.request(method, path, params).status == 200, f"{method} {path}")
        for i in range(8):
            until_done("POST", "/storage", {"type": "dir", "storage": f"s{i}", "path": f"{self.root}/stores/s{i}", "disable": 1})
        for i in range(8):
            self.d.request("PUT", f"/storage/s{i}", {"disable": 0})

        def ask_all():
            answers = [self.d.request("GET", self.d.at(f"s{i}", "/content")) for i in range(8)]
            return answers if [r for r in answers if r.status == 200] else None
        refused = [r for r in wait_until(ask_all, "some of them work") if r.status != 200]
        self.assertTrue(refused)
        counts = self.d.get("/nodes/n1/workers")
        self.assertEqual((counts["max_workers"], counts["abandoned"]), (int(self.daemon_args[1]), 0))
        self.assertLessEqual(counts["running"], counts["max_workers"])
        self.assertEqual(refused[0].status, 503)
        self.assertRegex(refused[0].message, r"worker.*\b4\b")
        self.assertLessEqual(len(self.d.workers()), 4)
        self.assertEqual(len(self.d.get("/nodes/n1/storage")), 9, "status names them all")


class ManyWorkers(DaemonTest):
    @slow()
    def test_hundred_storages_hundred_workers_and_one_hangs(self):
        for i in range(40):
            self.d.add_dir(f"s{i}")
        for i in range(40):
            self.d.content(f"s{i}")
        pids = self.d.workers()
        os.kill(pids[len(pids) // 2], signal.SIGSTOP)
        def states():
            return [r["state"] for r in self.d.get("/nodes/n1/storage") if r["storage"] != "local"]
        wait_until(lambda: states().count("unresponsive") == 1, "one is unresponsive", 15)
        self.assertEqual(states().count("active"), 39)
        wait_until(lambda: states().count("active") == 40, "all are back", 60)


if __name__ == "__main__":
    main()
