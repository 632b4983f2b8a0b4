#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as a citizen: readiness, watchdog, clean stop, silence when idle, its files and their modes."""
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import BUILD, DEADLINE, IS_ASAN, DaemonTest, main, run, slow, trace_idle, wait_until

MEASURES = 4  # windows of silence that are tried for: what the last request set going comes to an end


class Citizen(DaemonTest):
    def test_ready_means_ready(self):
        self.assertIn("READY=1", "\n".join(self.d.notified))
        self.assertEqual(self.d.get("/version")["apiver"], 15)

    def test_clean_stop_tells_and_removes_its_socket(self):
        self.d.process.terminate()
        self.d.notify.settimeout(DEADLINE)
        while "STOPPING=1" not in self.d.notify.recv(8192).decode():
            pass
        self.assertEqual(self.d.process.wait(DEADLINE), 0)
        self.assertFalse(os.path.exists(self.d.socket))

    def test_interrupt_stops_too(self):
        os.kill(self.d.pid, signal.SIGINT)
        self.assertEqual(self.d.process.wait(DEADLINE), 0)

    def test_watchdog_is_fed(self):
        self.d.stop()
        d = self.start_daemon(env={"WATCHDOG_USEC": "400000"})
        d.notify.settimeout(DEADLINE)
        yard, begun, fed = self.yard(), time.monotonic(), 0
        while fed < 4:
            fed += "WATCHDOG=1" in d.notify.recv(8192).decode()
        took = time.monotonic() - begun
        self.assertLess(took, yard.allows(0.4 * 4 + 2.0))

    def test_a_second_one_on_the_same_root_is_refused(self):
        r = run(os.path.join(BUILD, "storaged"), "--root", self.root, "--node", "n1", check=False, timeout=DEADLINE)
        self.assertNotEqual(r.rc, 0)
        self.assertTrue(r.err.strip())
        self.assertEqual(self.d.get("/version")["apiver"], 15, "the first one is unharmed")

    def test_the_socket_of_a_killed_one_is_taken_over(self):
        self.d.kill()
        self.assertEqual(self.start_daemon().get("/version")["apiver"], 15)

    def test_modes(self):
        self.d.add_dir("st")
        for path in ("etc/pve/priv", "etc/pve/storage.cfg", "run/storaged/api.sock", "var/lib/storaged"):
            mode = stat.S_IMODE(os.stat(os.path.join(self.root, path)).st_mode)
            self.assertEqual(mode & 0o007, 0, f"{path} {mode:o}")

    def test_options(self):
        program = os.path.join(BUILD, "storaged")
        self.assertEqual(run(program, "--version").rc, 0)
        self.assertIn("--root", run(program, "--help").out)
        for args in (("--nosuch",), ("extra",), ("--max-workers", "x"), ("--max-workers", "0")):
            r = run(program, "--root", self.tmp + "/other", *args, check=False, timeout=DEADLINE)
            self.assertNotEqual(r.rc, 0, args)
            self.assertTrue(r.err.strip(), args)

    def test_plugins_describe_themselves(self):
        worker = os.path.join(BUILD, "storaged-worker")
        for name in ("dir", "nfs"):
            described = run(worker, "--describe", os.path.join(BUILD, "plugins", name + ".so")).json
            self.assertEqual((described["abi"], described["name"]), (1, name))
            self.assertIn("alloc", described["operations"])
            self.assertIn("path", [p["name"] for p in described["properties"]])
        r = run(worker, "--describe", "/nonexistent.so", check=False)
        self.assertEqual(r.rc, 1)
        self.assertIn("/nonexistent.so", r.err)

    def test_no_descriptor_is_left_to_children(self):
        self.d.add_dir("st")
        self.d.content("st")
        ours = self.d.socket
        for pid in self.d.workers():
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            self.assertEqual([l for l in links if ours in l], [])
            self.assertLessEqual(len([l for l in links if l.startswith("socket:")]), 2, links)

    @slow()
    def test_idle_means_silent(self):
        """No system call in 5 s, but those of the watchdog and the timers that look after probed storages."""
        if IS_ASAN:
            self.skipTest("not under a sanitizer")
        self.d.add_dir("st")
        self.d.content("st")
        self.d.get("/nodes/n1/storage")
        for _ in range(MEASURES):
            calls, threads = trace_idle(self.d.pid, self.tmp + "/trace", 5.0)
            if len(calls) <= threads + 1:
                break
        self.assertLessEqual(len(calls), threads + 1, "\n".join(calls[:40]))

    def test_memory(self):
        if IS_ASAN:
            self.skipTest("not under a sanitizer")
        self.d.add_dir("st")
        self.d.content("st")
        for _ in range(50):
            self.d.get("/nodes/n1/storage")
        for pid, limit in ((self.d.pid, 12), (self.d.workers()[0], 12)):
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                rss = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024
            self.assertLessEqual(rss, limit * 1.5, "MB of resident memory; the figure itself is in make bench")


class WithoutSystemd(DaemonTest):
    wants_daemon = False

    def test_no_notify_socket(self):
        os.makedirs(self.root)
        p = subprocess.Popen([os.path.join(BUILD, "storaged"), "--root", self.root, "--node", "n1"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env={k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM")})
        try:
            def answers():
                with socket.socket(socket.AF_UNIX) as s:
                    return s.connect_ex(self.root + "/run/storaged/api.sock") == 0
            wait_until(answers, "the socket answers")
            p.terminate()
            self.assertEqual(p.wait(DEADLINE), 0)
        finally:
            if p.poll() is None:
                p.kill()
            p.wait()
            p.stderr.close()


if __name__ == "__main__":
    main()
