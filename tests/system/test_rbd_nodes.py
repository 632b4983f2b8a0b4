#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two nodes and one rbd storage: who may, fencing of who is gone, and a guest that moves."""
import contextlib
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ceph import CephNodes, Qemu, scaled
from harness import main, needs_program, wait_until

YEAR = 365 * 86400


class Writer:
    """A program of a node that has an image open and writes on command."""

    def __init__(self, wrapper, path):
        self.process = subprocess.Popen([*wrapper, "qemu-io", "-f", "raw", "-n", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)

    def say(self, command):
        """The answer's last line; qemu-io prompts after it."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        text = ""
        while not text.endswith("qemu-io> ") or len(text) < 12:
            piece = self.process.stdout.read(1)
            if not piece:
                raise AssertionError(f"qemu-io ended: {text}")
            text += piece
        return text

    def quit(self):
        self.process.communicate("quit\n", timeout=30)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Nodes(CephNodes):
    def setUp(self):
        super().setUp()
        self.frozen = set()
        self.clean_blocklist()
        self.add_rbd()
        wait_until(lambda: any(r["storage"] == "kube" for r in self.n2.get("/nodes/n2/storage")), "n2 knows the storage")
        self.volid = self.n1.alloc("kube", vmid=100, size="8192")

    def tearDown(self):
        for pid in self.frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.clean_blocklist()
        super().tearDown()

    def freeze(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self.frozen.add(pid)

    def activate(self, node, **more):
        node.post(node.at("kube", "/activate"), volume=self.volid, **more)

    def fails_to_activate(self, node, **more):
        reply = node.request("POST", node.at("kube", "/activate"), dict(volume=self.volid, **more))
        return self.fails(reply)

    def writer(self, n):
        w = Writer(self.on(n), (self.n1 if n == 1 else self.n2).path(self.volid))
        self.addCleanup(w.end)
        return w

    def blocklist(self):
        return sorted(self.mon("osd dump")["blocklist"])

    def clean_blocklist(self):
        for address in self.blocklist():
            self.mon("osd blocklist", blocklistop="rm", addr=address)

    # --- who may
    def test_open_elsewhere_is_named_and_not_disturbed(self):
        w = self.writer(2)
        w.say("write -P 7 0 4096")
        reason = self.fails_to_activate(self.n1)
        self.assertIn("client 10.77.1.2:0/", reason)
        self.assertIn(self.volid.split(":")[1], reason)
        self.assertIn("ops", w.say("write -P 7 4096 4096"), "it was not thrown out")
        self.assertEqual(self.blocklist(), [])
        w.quit()
        wait_until(lambda: not self.n1.get(self.n1.at("kube", "/holders"), volume=self.volid), "the image is closed")
        self.activate(self.n1)
        self.assertIn("n1", self.fails_to_activate(self.n2), "the lease")

    def test_holders_are_the_watchers(self):
        self.activate(self.n1)
        w = self.writer(1)
        self.assertIn("ops", w.say("write -P 7 0 4096"))
        rows = [r for r in self.n1.get(self.n1.at("kube", "/holders"), volume=self.volid) if "client" in r["what"]]
        self.assertEqual([(r["node"], r["exclusive"], r["what"].split(":")[0]) for r in rows], [("n1", 1, "client 10.77.1.1")])
        self.assertIn("of this node", self.deactivate_reason(self.n1))
        w.quit()
        self.n1.post(self.n1.at("kube", "/deactivate"), volume=self.volid)

    def deactivate_reason(self, node):
        reply = node.request("POST", node.at("kube", "/deactivate"), {"volume": self.volid})
        return self.fails(reply)

    # --- fencing
    def take_over(self):
        self.activate(self.n2, force=1, dead_node="n1")

    def frozen_writer(self):
        """A guest's client on n1, which then freezes with the node's storaged."""
        w = self.writer(1)
        self.assertIn("ops", w.say("write -P 7 0 4096"))
        self.freeze(w.process.pid)
        self.freeze(self.n1.pid)
        return w

    def assert_harmless(self, w):
        """The new holder writes; the old one wakes up, writes, and fails; the new holder's data stay."""
        new = self.writer(2)
        self.assertIn("ops", new.say("write -P 9 0 8192"))
        os.kill(w.process.pid, signal.SIGCONT)
        answer = w.say("write -P 7 0 8192")
        self.assertIn("failed", answer)
        self.assertIn("shutdown", answer.lower())
        self.assertIn("ops", new.say("read -P 9 0 8192"))
        self.assertNotIn("verification failed", new.say("read -P 9 0 8192"))

    def test_a_frozen_client_is_fenced_and_writes_nothing_when_it_comes_back(self):
        self.activate(self.n1)
        w = self.frozen_writer()
        self.take_over()
        self.assertIn("10.77.1.1:0/0", self.blocklist(), "all of the node: its client was opened after the record")
        self.assert_harmless(w)
        self.assertNotIn("10.77.1.2:0/0", self.blocklist())

    def test_without_the_right_to_undo_the_recorded_client_alone_is_fenced(self):
        keyring = self.new_key("plain", mon="profile rbd", osd="profile rbd")
        with open(os.path.join(self.tmp, "plain.keyring"), "w", encoding="utf-8") as f:
            f.write(keyring)
        self.n1.pvesm("set", "kube", "--username", "plain", "--keyring", f.name)
        wait_until(lambda: "id=plain" in self.n2.path(self.volid), "n2 knows the user")
        self.activate(self.n1)
        w = self.frozen_writer()
        os.kill(self.n1.pid, signal.SIGCONT)
        self.activate(self.n1)  # as the hook does when the guest runs: now its client is recorded
        client, = [r["what"].split()[1] for r in self.n1.get(self.n1.at("kube", "/holders"), volume=self.volid) if "client" in r["what"]]
        self.freeze(self.n1.pid)
        self.take_over()
        self.assertEqual(self.blocklist(), [client])
        self.assert_harmless(w)

    def test_the_fenced_node_comes_back_only_by_a_reboot(self):
        self.activate(self.n1)
        self.n1.settled("kube", "active")
        with open("/proc/uptime", encoding="ascii") as f:
            uptime = float(f.read().split()[0])
        self.mon("osd blocklist", blocklistop="add", addr="10.77.1.1", expire=float(YEAR))
        row = wait_until(lambda: (lambda r: r if r["state"] != "active" else None)(self.n1.status("kube")), "n1 is out")
        self.assertIn("blocklisted", wait_until(lambda: (lambda r: r if "blocklisted" in r else None)(self.n1.status("kube")["reason"]),
                                                f"the reason; it was {row}"))
        self.n2.settled("kube", "active")
        self.assertIn("10.77.1.1:0/0", self.blocklist())
        # The same entry, from before this machine booted.
        self.mon("osd blocklist", blocklistop="rm", addr="10.77.1.1")
        self.mon("osd blocklist", blocklistop="add", addr="10.77.1.1", expire=float(YEAR - uptime - 600))
        wait_until(lambda: "10.77.1.1:0/0" not in self.blocklist(), "n1 takes its old entry away", 60, 0.2)
        self.n1.settled("kube", "active")

    def test_a_fenced_node_is_repaired_after_its_boot_only(self):
        there = ("--check", "STORAGED_BLOCKLISTED", "--monhost", self.ADDRESSES[0], "--keyring", os.path.join(self.tmp, "kube.keyring"))
        with open("/proc/uptime", encoding="ascii") as f:
            uptime = float(f.read().split()[0])
        self.n1.pvesm("set", "kube", "--disable", "1")  # an active one comes back by itself
        self.mon("osd blocklist", blocklistop="add", addr="10.77.1.1", expire=float(YEAR))
        self.addCleanup(lambda: self.mon("osd blocklist", blocklistop="rm", addr="10.77.1.1"))
        self.assertIn("10.77.1.1:0/0", self.n1.pvesm("ceph", "health", *there[2:]).out)
        r = self.n1.pvesm("ceph", "repair", *there, check=False)
        self.assertNotEqual(r.rc, 0)
        self.assertIn("reboot", r.out + r.err)
        self.mon("osd blocklist", blocklistop="rm", addr="10.77.1.1")
        self.mon("osd blocklist", blocklistop="add", addr="10.77.1.1", expire=float(YEAR - uptime - 600))
        self.n1.pvesm("ceph", "repair", *there, "--dry-run", "1")
        self.assertIn("10.77.1.1:0/0", self.blocklist())
        self.n1.pvesm("ceph", "repair", *there)
        self.assertEqual(self.blocklist(), [])
        self.n1.pvesm("set", "kube", "--disable", "0")
        self.n1.settled("kube", "active")

    # --- a guest that moves
    @needs_program("qemu-system-x86_64")
    def test_a_guest_migrates(self):
        self.activate(self.n1)
        nodes, times = {1: self.n1, 2: self.n2}, []
        guest = Qemu(self.on(1), self.tmp, "guest0", self.n1.path(self.volid))
        self.addCleanup(lambda: guest.end())  # pylint: disable=unnecessary-lambda
        guest.qmp("cont")
        guest.io("write -P 1 0 4k")
        here = 1
        for number in range(1, scaled(20) + 1):
            there = 3 - here
            nodes[here].pvesm("migrate", "prepare", self.volid, "--target", f"n{there}")
            self.activate(nodes[there], mode="shared")
            address = f"tcp:{self.address(there)}:4444"
            target = Qemu(self.on(there), self.tmp, f"guest{number}", nodes[there].path(self.volid), incoming=address)
            self.addCleanup(target.end)
            times.append(guest.migrate_to(address))
            target.qmp("cont")
            self.assertNotIn("failed", target.io(f"read -P {number} 0 4k"))
            target.io(f"write -P {number + 1} 0 4k")
            guest.quit()
            nodes[here].pvesm("migrate", "commit", self.volid)
            wait_until(lambda h=here, t=there: f"n{h}" not in [r.get("node") for r in nodes[t].get(nodes[t].at("kube", "/holders"),
                                                                                                volume=self.volid)], "the source is out")
            guest, here = target, there
        self.assertEqual(self.blocklist(), [], "moving fences nobody")
        print(f"      {len(times)} migrations, {min(t for t, _ in times)}-{max(t for t, _ in times)} ms, downtime at most "
              f"{max(d for _, d in times)} ms", flush=True)


if __name__ == "__main__":
    main()
