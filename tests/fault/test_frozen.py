#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Leases and tickets when a node freezes (SIGSTOP) at a step of an activation or a hand-over, for longer than its locks live.

The counterpart of test_migrate.py, which kills there: a frozen node does not know that it was away. A third one tries to get the
volume meanwhile; when the first goes on there is one owner or none, whoever that is, and the records come to rest by themselves.
"""
import os
import signal
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main, wait_until
from nodes import Nodes
from test_fencing import is_stopped
from test_migrate import Kill, named_steps

SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # `make soak` has 1
LIFE = 2  # seconds, of a lock whose holder gives no sign of life
STORIES = ("commit", "abort", "commit_at_target", "abort_at_source")
# Between the last look at the lock and the write itself a plain directory can't tell (decision 0018); on clusterfs that is guarded.
STEPS = [step for step in named_steps() if ".before-" not in step] + ["lock.acquired"]
# In `make check`: the target, when the source has left and it is about to own the volume alone.
SOME = (("commit", "n2", "ticket.settled"),)


class Frozen(Nodes):
    daemon_args = ("--lock-life", str(LIFE))
    do, forget = Kill.do, Kill.forget

    def is_frozen(self, name):
        d = self.nodes[name]
        return d.is_running() and is_stopped(d.pid)

    def go_through(self, story, results):
        """What a guest manager does, until something is refused."""
        for node, verb in Kill.STORIES[story]:
            results.append((node, verb, self.do(node, verb)))
            if results[-1][2] != "well":
                return

    def one(self, story, victim, step):
        """Plays the story; gives whether the victim froze on its way."""
        self.nodes[victim].stop()
        self.forget()
        self.node(victim, f"{step}=stop@1")
        results = []
        t = threading.Thread(target=self.go_through, args=(story, results), daemon=True)
        t.start()
        wait_until(lambda: self.is_frozen(victim) or (not t.is_alive() and not self.records("tickets")), f"{story}: frozen or done", 60, 0.005)
        if not self.is_frozen(victim):
            self.nodes[victim].stop()
            self.node(victim)  # it must not freeze in what follows
            self.clear()
            return False
        third = self.do("n3", "activate")  # waits until the frozen one's lock has expired
        before = self.lease()
        self.assertEqual("n3" in before, third == "well", (before, results))
        self.assertLessEqual(len(before), 2)
        os.kill(self.nodes[victim].pid, signal.SIGCONT)
        t.join(60)
        self.assertFalse(t.is_alive(), "every call is answered")
        self.one_owner(before, third, results)
        return True

    def one_owner(self, before, third, results):
        if [t for t in self.records("tickets") if t["state"] == "prepared"]:
            for node in ("n2", "n1"):
                self.do(node, "abort")
        holders = self.settles(60)
        self.assertLessEqual(len(holders), 1, results)
        self.assertNotIn("shared", holders.values(), results)
        if third == "well":
            self.assertEqual(holders, before, f"what a third node was given is not taken from it: {results}")
        for node in ("n1", "n2", "n3"):
            self.assertEqual(self.do(node, "activate") == "well", node in holders or not holders, f"{holders}, then {node}: {results}")
            holders = holders or {node: "exclusive"}
        self.clear()

    def clear(self):
        for node in list(self.lease()):
            self.assertEqual(self.do(node, "deactivate"), "well")

    def test_frozen_for_longer_than_its_lock_lives(self):
        self.begin("n1", "n2", "n3")
        frozen_at = set()
        for story, victim, step in SOME if SCALE < 1 else [(s, v, n) for s in STORIES for v in ("n1", "n2") for n in STEPS]:
            with self.subTest(story=story, victim=victim, step=step):
                if self.one(story, victim, step):
                    frozen_at.add(step)
        self.assertEqual(frozen_at, set(STEPS) if SCALE >= 1 else {s for _, _, s in SOME})


if __name__ == "__main__":
    main()
