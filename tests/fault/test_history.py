#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes that fight for one volume, while storaged is killed under them.

Each node's guest manager takes the volume whenever it can, increments a counter in it (read, then write: two at a time would
lose one), and gives it back or hands it over. All it did is a history of intervals; a checker says whether two nodes ever
had the volume at a time, and the counter says whether any write was lost.
"""
import http.client
import os
import random
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import FAST, main, wait_until
from nodes import VOLUME, Nodes

SECONDS = float(os.environ.get("STORAGED_HISTORY_SECONDS", "4" if FAST else "12"))
NAMES = ("n1", "n2", "n3")


def overlaps(history):
    """Pairs of intervals (node, begin, end) of different nodes that have a moment in common."""
    found, last = [], {}
    for node, begin, end in sorted(history, key=lambda h: h[1]):
        found += [((n, *i), (node, begin, end)) for n, i in last.items() if n != node and i[1] > begin]
        if node not in last or last[node][1] < end:
            last[node] = (begin, end)
    return found


class History(Nodes):
    def test_checker_can_fail(self):
        self.assertEqual(overlaps([("a", 0, 1), ("b", 1, 2), ("a", 2, 3)]), [])
        self.assertEqual(len(overlaps([("a", 0, 2), ("b", 1, 3), ("c", 3, 4)])), 1)
        self.assertEqual(len(overlaps([("a", 0, 9), ("b", 1, 2), ("b", 3, 4)])), 2)

    def patient(self, call):
        """Asks until there is an answer: storaged may be dead at the moment."""
        while True:
            try:
                r = call()
                if r.status not in (500, 503):
                    return r
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)

    def work(self, node):
        """The guest runs: only while it knows that it may."""
        begun = time.monotonic()
        for _ in range(random.randint(1, 5)):
            with open(self.file, "r+b") as f:
                n = int.from_bytes(f.read(8), "little")
                time.sleep(random.uniform(0, 0.004))
                f.seek(0)
                f.write((n + 1).to_bytes(8, "little"))
            self.n_written[node] += 1
        return begun

    def hand_over(self, node, target, begun):
        """True if it was tried; then the volume has been given back by whoever had it."""
        if not self.guests[target].acquire(timeout=1):
            return False
        try:
            return self.hand_over_to(node, target, begun)
        finally:
            self.guests[target].release()

    def hand_over_to(self, node, target, begun):
        if self.patient(lambda: self.migrate(node, "prepare", target=target)).status != 200:
            return False
        joined = self.patient(lambda: self.ask(target, "activate")).status == 200
        self.history.append((node, begun, time.monotonic()))  # the guest's CPUs stop here
        op = "commit" if joined and random.random() < 0.7 else "abort"
        answers = [self.patient(lambda n=n: self.migrate(n, op, target=target)) for n in (node, target)]
        self.n_handed[op] += all(a.status == 200 for a in answers)
        owner = target if op == "commit" else node
        wait_until(lambda: not self.records("tickets") and self.lease() == {owner: "exclusive"} or self.problem(op), "one has it", 60)
        self.history.append((owner, self.work(owner), time.monotonic()))
        self.patient(lambda: self.ask(owner, "deactivate"))
        return True

    def problem(self, op):
        self.last = f"{op}: {self.lease()} {self.records('tickets')}"
        return False

    def turn(self, node):
        """Takes it, works, gives it back or hands it over."""
        if self.patient(lambda: self.ask(node, "activate")).status != 200:
            return
        begun = self.work(node)
        target = random.choice([n for n in NAMES if n != node])
        if random.random() < 0.4 and self.hand_over(node, target, begun):
            return
        self.history.append((node, begun, time.monotonic()))
        self.patient(lambda: self.ask(node, "deactivate"))

    def manager(self, node):
        try:
            while time.monotonic() < self.end:
                with self.guests[node]:
                    self.turn(node)
                time.sleep(random.uniform(0, 0.05))
        except Exception as e:  # pylint: disable=broad-exception-caught
            self.failures.append(f"{node}: {type(e).__name__}: {e} {getattr(self, 'last', '')}")

    def chaos(self):
        while time.monotonic() < self.end:
            time.sleep(random.uniform(0.3, 1.0))
            victim = random.choice(NAMES)
            self.nodes[victim].kill()
            self.n_killed += 1
            self.node(victim)

    def test_two_never_have_it_and_no_write_is_lost(self):
        self.begin(*NAMES)
        self.file = f"{self.tmp}/sh/images/100/vm-100-disk-0.raw"
        self.history, self.failures, self.n_killed = [], [], 0
        self.n_written, self.n_handed = dict.fromkeys(NAMES, 0), {"commit": 0, "abort": 0}
        self.guests = {n: threading.Lock() for n in NAMES}  # a node has one guest
        self.end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=self.manager, args=(n,)) for n in NAMES]
        for t in threads:
            t.start()
        self.chaos()
        for t in threads:
            t.join(120)
        self.assertEqual(self.failures, [])
        self.assertEqual(overlaps(self.history), [])
        with open(self.file, "rb") as f:
            self.assertEqual(int.from_bytes(f.read(8), "little"), sum(self.n_written.values()), "lost writes")
        print(f"      {len(self.history)} holdings, {self.n_handed}, {self.n_killed} kills, {sum(self.n_written.values())} writes", flush=True)
        self.assertGreater(len(self.history), 10)
        self.assertEqual(self.records("tickets"), [], "nothing is left under way")
        self.assertEqual({r["volume"] for r in self.records("leases")} - {VOLUME}, set())


if __name__ == "__main__":
    main()
