# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients on all nodes that read and write a few registers (files) at once and note what they did and when; then the check.

A read of the quorate side is: a change of one's own (a time stamp), acknowledged, and then the read. So the node has
applied everything that was acknowledged before, and it was quorate: without the change this would be what the node
happens to have, which is never a torn or a taken-back version, but may be a moment old. Both kinds are noted; the first must
be linearizable together with the writes, the second must not go back on a node that was left in peace.
"""
import os
import random
import threading
import time

from cluster import wait_until
from clustercase import get, put
from history import INITIAL, Operation, contradiction, goes_back, linearizable

END = 60  # seconds within which any call must come back after the network is whole


class Client(threading.Thread):
    def __init__(self, recorder, node, number):
        super().__init__(daemon=True)
        self.recorder, self.node, self.name = recorder, node, f"{node.name}.{number}"
        self.rng = random.Random(self.name)
        self.ops, self.plain = {r: [] for r in recorder.registers}, {r: [] for r in recorder.registers}
        self.count = self.refused = self.acked = 0
        self.stamp = f"{recorder.prefix}-stamp-{self.name}"

    def note(self, to, kind, register, value, begin, is_sure=True):
        to[register].append(Operation(self.name, kind, value, begin, time.monotonic(), is_sure))

    def write(self, register):
        self.count += 1
        value, begin, is_sure = f"{self.name}:{self.count}", time.monotonic(), True
        try:
            if self.rng.random() < 0.5:
                put(self.node.path(register), value)
            else:
                temp = self.node.path(f"{self.stamp}.tmp")
                put(temp, value)
                os.rename(temp, self.node.path(register))
        except OSError:
            is_sure = False
        self.acked += is_sure
        self.note(self.ops, "write", register, value, begin, is_sure)
        return is_sure

    def read(self, register):
        begin = time.monotonic()
        try:
            os.utime(self.node.path(self.stamp))
            value = get(self.node.path(register))
        except OSError:
            return False
        self.note(self.ops, "read", register, value, begin)
        return True

    def look(self, register):
        begin = time.monotonic()
        try:
            self.note(self.plain, "read", register, get(self.node.path(register)), begin)
        except OSError:
            return False
        return True

    def run(self):
        while not self.recorder.stopping:
            step = self.rng.choice((self.write, self.read, self.look))
            if not step(self.rng.choice(self.recorder.registers)):
                self.refused += 1
                time.sleep(0.02)


class Recorder:
    """with Recorder(nodes) as r: …faults…; after it r.check()"""

    def __init__(self, nodes, prefix="reg", registers=4, clients=2):
        self.prefix, self.nodes, self.stopping = prefix, nodes, False
        self.registers = [f"{prefix}{i}" for i in range(registers)]
        self.clients = [Client(self, n, i) for n in nodes for i in range(clients)]

    def __enter__(self):
        top = self.nodes[0]
        for r in self.registers:
            put(top.path(r), INITIAL)
        for c in self.clients:
            put(top.path(c.stamp), "")
        top.cluster.wait_same(timeout=60)
        for c in self.clients:
            c.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for c in self.clients:
            c.join(END)
            if c.is_alive():
                raise AssertionError(f"a call of {c.name} does not come back")

    def wait_for_writes(self, more=20):
        """Until so many more were acknowledged: a fault or an end that comes before any write tests nothing."""
        def acked():
            return sum(c.acked for c in self.clients)
        enough = acked() + more
        wait_until("writes are acknowledged", lambda: acked() >= enough, END)

    def end_state(self):
        """The registers as all nodes have them now: one more read each, behind all the others."""
        for r in self.registers:
            self.clients[0].read(r)

    def check(self, left_in_peace=()):
        """Gives what there is to tell."""
        self.end_state()
        for r in self.registers:
            history = [op for c in self.clients for op in c.ops[r]]
            why = contradiction(history)
            if why or not linearizable(history):
                raise AssertionError(f"{r} is no register: {why}")
        for c in self.clients:
            for r in self.registers if c.node in left_in_peace else []:
                why = goes_back(c.plain[r])
                if why:
                    raise AssertionError(f"{r}, on a node without any fault: {why}")
        ops = [op for c in self.clients for r in self.registers for op in c.ops[r]]
        writes = [op for op in ops if op.kind == "write"]
        acked = sum(op.is_sure for op in writes)
        longest = max((op.end - op.begin for op in ops), default=0)
        if acked < 10:
            raise AssertionError(f"only {acked} of {len(writes)} writes were acknowledged: nothing was tested")
        return f"{acked} of {len(writes)} writes acknowledged, {len(ops) - len(writes)} reads, longest call {longest:.1f} s"
