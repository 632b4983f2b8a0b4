#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Work that outlives its lock: a node is stopped (SIGSTOP) just before it commits, another one gets the lock when that has
expired and works on, and then the first one goes on as if nothing had happened. It must change nothing.
"""
import os
import signal
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, tree, wait_until
from nodes import VOLUME, Nodes

LIFE = 2
NAME = VOLUME.split(":")[1]


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


class Stalled(Nodes):
    daemon_args = ("--lock-life", str(LIFE))

    def begin_with(self, fault):
        """n1 stops at that point; n2 is well. Where the fault is in the daemon, it is its own; else its worker's."""
        self.begin("n1", "n2")
        self.one, self.two = self.nodes["n1"], self.nodes["n2"]
        self.must("n1", "activate")
        self.must("n1", "deactivate")
        self.one.stop()
        self.one = self.node("n1", fault)

    def stopped(self):
        return [p for p in [self.one.pid, *self.one.workers()] if is_stopped(p)]

    def stall(self, call, meanwhile):
        """The answer that `call` gets after n1 has slept through `meanwhile` on n2."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call()))
        thread.start()
        wait_until(self.stopped, "n1 stops before its commit")
        os.kill(self.one.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(self.one.pid), "n1's daemon stands still, too")
        result = meanwhile()  # waits until the lock has expired
        for pid in self.stopped():
            os.kill(pid, signal.SIGCONT)
        thread.join(60)
        self.assertEqual(len(answers), 1, "n1 answers when it goes on")
        return answers[0], result

    def sync(self, d, method, path, **params):
        """A request; where it is a task, its end."""
        r = d.request(method, path, params or None, timeout=60)
        return r, d.wait_task(r.data) if r.status == 200 and str(r.data).startswith("UPID:") else None

    def check_refused(self, answer):
        r, task = answer
        text = task["exitstatus"] if task else r.message
        self.assertRegex(text, "lost|no sign of life", f"{r!r} {task!r}")

    def other_alloc(self):
        return self.two.request("POST", self.two.at("sh", "/content"), {"vmid": 200, "filename": "", "size": "1M"}, timeout=60)

    def story(self, method, path, **params):
        self.begin_with("commit.before-ask=stop@1")
        before = tree(self.tmp + "/sh/images/100")
        answer, other = self.stall(lambda: self.sync(self.one, method, self.one.at("sh", path), **params), self.other_alloc)
        self.assertEqual(other.status, 200, repr(other))
        self.check_refused(answer)
        self.assertEqual(tree(self.tmp + "/sh/images/100"), before)
        self.assertEqual(self.two.alloc("sh", 201, size="1M"), "sh:201/vm-201-disk-0.raw")

    def test_free(self):
        self.story("DELETE", "/content/" + NAME)

    def test_alloc(self):
        self.story("POST", "/content", vmid=100, filename="", size="1M")

    def test_resize(self):
        self.story("PUT", "/resize", volume=VOLUME, size="64M")

    def test_rename(self):
        self.story("POST", "/rename", volume=VOLUME, vmid=300)

    def test_template(self):
        self.story("POST", "/template", volume=VOLUME)

    def test_the_daemons_own_records(self):
        """An activation is a write of the daemon's: it looks itself."""
        self.begin_with("ticket.opened=stop@1")
        self.must("n1", "activate")
        answer, other = self.stall(lambda: (self.migrate("n1", "prepare", target="n2"), None), self.other_alloc)
        self.assertEqual(other.status, 200, repr(other))
        self.check_refused(answer)
        self.assertEqual((self.lease(), self.records("tickets")), ({"n1": "exclusive"}, []))
        self.hand("n1", "prepare", target="n2")

    def test_one_that_slept_before_it_began_looks_again(self):
        """Nothing is under way yet: the lock is taken anew, in its turn, and what it finds then counts."""
        self.begin_with("lock.acquired=stop@1")
        answer, other = self.stall(lambda: (self.ask("n1", "activate"), None), lambda: self.ask("n2", "activate"))
        self.assertEqual(other.status, 200, repr(other))
        self.assertIn("'n2'", self.refused(answer[0], 409).message)
        self.assertEqual(self.lease(), {"n2": "exclusive"})

    def test_a_definition(self):
        self.begin_with("config.before-write=stop@1")
        path = self.tmp + "/other"
        os.makedirs(path)
        answer, other = self.stall(
            lambda: (self.one.request("PUT", "/storage/sh", {"content": "images,iso"}, timeout=60), None),
            lambda: self.two.request("POST", "/storage", {"type": "dir", "storage": "later", "path": path}, timeout=60))
        self.assertEqual(other.status, 200, repr(other))
        self.check_refused(answer)
        self.assertIn(b"later", self.two.config_text())
        self.assertNotIn(b"images,iso", self.two.config_text())

    def test_stopped_for_less_than_the_life_is_nothing(self):
        self.begin_with("commit.before-ask=stop@1")
        answer, _ = self.stall(lambda: self.sync(self.one, "POST", self.one.at("sh", "/content"), vmid=100, filename="", size="1M"),
                               lambda: None)
        self.assertEqual(answer[0].status, 200, repr(answer))

    def test_removed_by_hand(self):
        """Within its life, but somebody has removed the lock's directory: identity, not time."""
        self.begin_with("commit.before-ask=stop@1")
        answer, _ = self.stall(lambda: self.sync(self.one, "DELETE", self.one.at("sh", "/content/" + NAME)),
                               lambda: os.rmdir(self.cluster + "/priv/lock/storage-sh"))
        self.check_refused(answer)
        self.assertIn(VOLUME, self.two.volids("sh"))


if __name__ == "__main__":
    main()
