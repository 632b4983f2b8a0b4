#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker of histories: it must refuse what no register does, and accept what one did."""
import itertools
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main
from history import INITIAL, Operation, contradiction, goes_back, linearizable, relevant


def w(value, begin, end, sure=True):
    return Operation("w", "write", value, begin, end, sure)


def r(value, begin, end):
    return Operation("r", "read", value, begin, end)


GOOD = {
    "nothing": [],
    "one after the other": [w("1", 0, 1), r("1", 2, 3), w("2", 4, 5), r("2", 6, 7)],
    "a read beside a write may see either": [w("1", 0, 10), r(INITIAL, 1, 2), r("1", 3, 4)],
    "two writes at once, in either order": [w("1", 0, 10), w("2", 0, 10), r("2", 11, 12)],
    "a failed write was made late": [w("1", 0, 1, False), w("2", 2, 3), r("2", 4, 5), r("1", 6, 7)],
    "a failed write was never made": [w("1", 0, 1), w("2", 2, 3, False), r("1", 4, 5)],
}
BAD = {
    "an acknowledged write is lost": [w("1", 0, 1), r(INITIAL, 2, 3)],
    "an overwritten value comes back": [w("1", 0, 1), w("2", 2, 3), r("1", 4, 5)],
    "new, then old": [w("1", 0, 10), r("1", 1, 2), r(INITIAL, 3, 4)],
    "read before it was written": [r("1", 0, 1), w("1", 2, 3)],
    "nobody wrote it": [w("1", 0, 1), r("7", 2, 3)],
    "two readers see two orders": [w("1", 0, 10), w("2", 0, 10), r("1", 11, 12), r("2", 13, 14)],
    "a failed write is made, taken back, made again": [w("1", 0, 1, False), r("1", 2, 3), r(INITIAL, 4, 5)],
    "a failed write is made twice": [w("1", 0, 1, False), r("1", 2, 3), w("2", 4, 5), r("2", 6, 7), r("1", 8, 9)],
}


def by_permutations(history):
    ops = relevant(history)
    for order in itertools.permutations(ops):
        state, ok = INITIAL, True
        for i, op in enumerate(order):
            ok = ok and not any(later.end < op.begin for later in order[i + 1:]) and (op.kind == "write" or op.value == state)
            state = op.value if op.kind == "write" else state
        if ok:
            return True
    return False


def real_register(rng, n, clients=3):
    """What a register gives to clients who overlap: the moment of each operation is chosen inside of it."""
    moments, history = [], []
    for c in range(clients):
        t = 0.0
        for i in range(n):
            begin = t + rng.random()
            at = begin + rng.random() * 3
            t = at + rng.random() * 3
            moments.append((at, Operation(f"c{c}", rng.choice(("read", "write")), f"{c}.{i}", begin, t)))
    state = INITIAL
    for _, op in sorted(moments, key=lambda m: m[0]):
        if op.kind == "write":
            state = op.value
            op.is_sure = rng.random() > 0.1
        else:
            op.value = state
        history.append(op)
    return history


class Checker(unittest.TestCase):
    def test_good_histories_are_accepted(self):
        for name, history in GOOD.items():
            with self.subTest(name):
                self.assertTrue(linearizable(history))
                self.assertIsNone(contradiction(history))
                self.assertTrue(by_permutations(history))

    def test_bad_histories_are_refused(self):
        for name, history in BAD.items():
            with self.subTest(name):
                self.assertFalse(linearizable(history))
                self.assertIsNotNone(contradiction(history))
                self.assertFalse(by_permutations(history))

    def test_what_a_register_did_is_accepted(self):
        rng = random.Random(1)
        for n in (1, 5, 50, 300):
            history = real_register(rng, n)
            self.assertTrue(linearizable(history))
            self.assertIsNone(contradiction(history))

    def test_both_ways_agree_with_all_permutations(self):
        rng, refused = random.Random(2), 0
        for _ in range(1500):
            history = real_register(rng, 2)
            values = [INITIAL] + [op.value for op in history if op.kind == "write"]
            for op in history:
                if op.kind == "read" and rng.random() < 0.5:
                    op.value = rng.choice(values)
            truth = by_permutations(history)
            self.assertEqual(linearizable(history), truth, "\n".join(map(str, history)))
            self.assertEqual(contradiction(history) is None, truth, "\n".join(map(str, history)))
            refused += not truth
        self.assertTrue(150 < refused < 1350, refused)

    def test_one_lost_write_among_thousands_is_found(self):
        history = real_register(random.Random(3), 400)
        reads = [op for op in history if op.kind == "read"]
        reads[len(reads) // 2].value = reads[len(reads) // 4].value
        self.assertFalse(linearizable(history))
        self.assertIsNotNone(contradiction(history))

    def test_a_node_that_goes_back_is_found(self):
        self.assertIsNone(goes_back([r("1", 0, 1), r("1", 2, 3), r("2", 4, 5)]))
        self.assertIn("'2'", goes_back([r("1", 0, 1), r("2", 2, 3), r("1", 4, 5)]))


if __name__ == "__main__":
    main()
