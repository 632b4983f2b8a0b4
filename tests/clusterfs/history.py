# SPDX-License-Identifier: GPL-2.0-or-later
"""Histories of concurrent reads and writes, and whether one register could have given them.

A history is a list of Operation: who, what, the value, when it was called and when it returned. Values are unique. It is
linearizable if each operation can be given a moment between its call and its return so that every read, at its moment,
finds what was written last.

`linearizable()` searches for such moments (Wing and Gong, with Lowe's memory of what was tried). `contradiction()` is an
independent decision for unique values (Gibbons and Korach): each value owns a stretch of time; it also says what is wrong.
The two must agree; tests/clusterfs/test_history.py compares them, and both with all permutations.

A write that failed may still have been made, at any time after its call: it counts if somebody read it.
"""
import math
from dataclasses import dataclass

INITIAL = "initial"


@dataclass
class Operation:
    client: str
    kind: str  # "read" or "write"
    value: str
    begin: float
    end: float
    is_sure: bool = True  # False: a write that was not acknowledged

    def __str__(self):
        word = "read" if self.kind == "read" else "wrote" if self.is_sure else "perhaps wrote"
        return f"{self.client} {word} {self.value!r} from {self.begin:.6f} to {self.end:.6f}"


def relevant(history):
    """Without unacknowledged writes that nobody read; the others have until the end of time."""
    seen = {op.value for op in history if op.kind == "read"}
    ops = [op for op in history if op.kind == "read" or op.is_sure or op.value in seen]
    return [op if op.is_sure else Operation(op.client, op.kind, op.value, op.begin, math.inf, False) for op in ops]


class _Entry:
    __slots__ = ("op", "number", "match", "prev", "next")

    def __init__(self, op, number, match=None):
        self.op, self.number, self.match = op, number, match  # match: of a call, its return
        self.prev = self.next = None


def _entries(ops):
    """Calls and returns in order of time, as a linked list; gives its head."""
    events = []
    for number, op in enumerate(ops):
        ret = _Entry(op, number)
        events.append((op.begin, 0, number, _Entry(op, number, ret)))
        events.append((op.end, 1, number, ret))
    events.sort(key=lambda e: e[:3])
    head = last = _Entry(None, -1)
    for *_, entry in events:
        last.next, entry.prev = entry, last
        last = entry
    return head


def _lift(call):
    for e in (call, call.match):
        e.prev.next = e.next
        if e.next:
            e.next.prev = e.prev


def _unlift(call):
    for e in (call.match, call):
        e.prev.next = e
        if e.next:
            e.next.prev = e


def linearizable(history, initial=INITIAL):
    ops = relevant(history)
    head = _entries(ops)
    entry, state, mask = head.next, initial, 0
    tried, calls = set(), []
    while head.next:
        if entry.match is not None:
            after = entry.op.value if entry.op.kind == "write" else state
            fits = entry.op.kind == "write" or entry.op.value == state
            bits = mask | 1 << entry.number
            if fits and (bits, after) not in tried:
                tried.add((bits, after))
                calls.append((entry, state))
                state, mask = after, bits
                _lift(entry)
                entry = head.next
            else:
                entry = entry.next
        elif not calls:
            return False
        else:
            entry, state = calls.pop()
            mask &= ~(1 << entry.number)
            _unlift(entry)
            entry = entry.next
    return True


def contradiction(history, initial=INITIAL):
    """None, or why no register gives this."""
    groups = {initial: [Operation("", "write", initial, -math.inf, -math.inf)]}
    for op in relevant(history):
        if op.kind == "write":
            groups.setdefault(op.value, []).insert(0, op)
    for op in history:
        if op.kind == "read":
            if op.value not in groups:
                return f"{op}, which nobody wrote"
            groups[op.value].append(op)
    zones = []
    for ops in groups.values():
        for op in ops[1:]:
            if op.end < ops[0].begin:
                return f"{op}, before it was written: {ops[0]}"
        first_end, last_begin = min(ops, key=lambda o: o.end), max(ops, key=lambda o: o.begin)
        zones.append((first_end.end, last_begin.begin, first_end, last_begin))
    forward = sorted((z for z in zones if z[0] < z[1]), key=lambda z: z[:2])  # the value must be there all the time
    for a, b in zip(forward, forward[1:]):
        if b[0] < a[1]:
            return f"both had to be there at once: {a[2]}; {a[3]}; and {b[2]}; {b[3]}"
    for start, end, op_end, op_begin in ((z[1], z[0], z[2], z[3]) for z in zones if z[0] >= z[1]):
        for f in forward:
            if f[0] < start and end < f[1]:
                return f"{op_begin}; {op_end}; while another had to be there: {f[2]}; {f[3]}"
    return None


def goes_back(reads):
    """Of one node's reads, in the order they were made, without overlap: None, or the value that came back after another."""
    gone, last = set(), None
    for op in sorted(reads, key=lambda o: o.begin):
        if op.value != last:
            if op.value in gone:
                return f"{op}, after {last!r} was read there"
            if last is not None:
                gone.add(last)
            last = op.value
    return None
