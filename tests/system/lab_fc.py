#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The Fibre Channel SAN of the lab at work, as an administrator of an IBM array and two nodes meets it: four paths, a port
pulled, a single path lost, a new LUN, a grown LUN, a node fenced by a persistent reservation. Before, during, after each.
"""
import contextlib
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from fccase import FcCase
from harness import main, slow, wait_until
from labcase import only_soak
from labkit import fc
from labkit.agent import AgentError

ALL_PATHS = {fc.wwid(n): fc.PATHS for n in fc.LUNS}
TAKEN_UP_IN = 60  # seconds; 2 to 4 on a quiet machine, more on a busy one


class Traffic:
    """The lab's oracle on a node: writes to a LUN and reads back without a pause until it is ended."""

    def __init__(self, case, node, number):
        self.case, self.node, self.number = case, node, number
        self.result = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        case.addCleanup(case.on, node, "pkill -TERM -x oracle")
        self.moves("start")

    def _run(self):
        log = f"/tmp/oracle{self.number}.log"
        with contextlib.suppress(AgentError):  # then there is no result
            self.result = self.case.on(self.node, f"rm -f {log}; exec /share/bin/oracle write {fc.device(self.number)} --log {log} "
                                                  "--blocks 256 --seconds 300", timeout=310)

    def writes(self):
        """That the LUN's map has completed, as its kernel counts."""
        stat = self.case.must(self.node, f"cat /sys/block/$(basename $(readlink -f {fc.device(self.number)}))/stat")
        return int(stat.split()[4])

    def moves(self, when):
        """Waits for ten more writes; gives the seconds."""
        begin, before = time.monotonic(), self.writes()
        wait_until(lambda: self.writes() >= before + 10, f"{self.node}, {when}: no ten writes to LUN {self.number} after {before}", 90, 0.2)
        return time.monotonic() - begin

    def end(self):
        """Its finds and how long the longest write took."""
        self.case.must(self.node, "pkill -TERM -x oracle")
        self.thread.join(60)
        self.case.assertIsNotNone(self.result, f"oracle on {self.node} does not end")
        return json.loads(self.result[1])


class FibreChannel(FcCase):
    @classmethod
    def bring_up(cls):
        was_saved = fc.is_saved()
        begin = time.monotonic()
        told = super().bring_up()
        seconds = time.monotonic() - begin
        if was_saved and seconds > TAKEN_UP_IN:
            raise AssertionError(f"the saved SAN took {seconds:.0f} s to come up, at most {TAKEN_UP_IN} s were expected")
        return told

    def fc(self, *words):
        """By the command, as one would do it by hand."""
        r = self.command("fc", *map(str, words))
        self.assertEqual(r.returncode, 0, f"lab fc {words}: {r.stderr}")
        return r.stdout

    def on(self, node, script, **kwargs):
        status, out, err = fc.machine(self.lab, node).execute(script, **kwargs)
        return status, (out or err).decode(errors="replace").strip()

    def must(self, node, script, **kwargs):
        return fc.machine(self.lab, node).must(script, **kwargs).strip()

    def check_whole(self):
        """The SAN as every test finds it and leaves it."""
        for node in fc.NODES:
            fc.wait_paths(self.lab, node, fc.PATHS)

    def check_untouched(self, node, why):
        found = fc.paths(self.lab, node)
        self.assertEqual({w: found.get(w) for w in ALL_PATHS}, ALL_PATHS, f"{node}: {why}")

    def pull(self, *words, back):
        """A fault by `lab fc WORDS`; at the end of the test it is healed, whatever came."""
        self.addCleanup(self.check_whole)
        self.addCleanup(self.fc, *back)
        self.fc(*words)
        return time.monotonic()

    def test_it_is_a_fibre_channel_san(self):
        self.check_whole()
        target = [p for p in fc.PORTS if p.startswith(fc.ARRAY)]
        for node in fc.NODES:
            mine = [p for p in fc.PORTS if p.startswith(node)]
            own, remote = fc.fc_ports(self.lab, node)
            self.assertEqual(own, {fc.wwpn(p): "Online" for p in mine})
            # Each of its ports sees both ports of the array and none of the other node's.
            self.assertEqual(sorted(name for name, _state, _roles in remote), sorted(fc.wwpn(p) for p in target for _ in mine))
            self.assertTrue(all(state == "Online" and "FCP_Target" in roles for _name, state, roles in remote), remote)
            topology = self.must(node, "multipath -ll")
            self.assertEqual(topology.count("IBM,2145"), len(fc.LUNS))
            self.assertEqual(topology.count("hwhandler='1 alua'"), len(fc.LUNS))
            self.assertEqual((topology.count("prio=50"), topology.count("prio=10")), (len(fc.LUNS), len(fc.LUNS)))
            self.tell("now", f"{node}: {', '.join(map(' '.join, own.items()))}; {fc.PATHS} paths to {len(fc.LUNS)} LUNs of IBM 2145")

    @only_soak("a port of the array is pulled in `make check`, a path of iSCSI is lost in lab_san.py")
    def test_a_port_of_a_node_is_pulled(self):
        traffic = Traffic(self, "n1", 0)
        self.tell("before", f"n1: {fc.PATHS} paths; {traffic.writes()} writes done")
        begin = self.pull("link", "n1.0", "down", back=("link", "n1.0", "up"))
        fc.wait_paths(self.lab, "n1", 2)
        seconds = time.monotonic() - begin
        own, _remote = fc.fc_ports(self.lab, "n1")
        self.assertEqual(own, {fc.wwpn("n1.0"): "Linkdown", fc.wwpn("n1.1"): "Online"})
        traffic.moves("one port pulled")
        self.check_untouched("n2", "the other node has lost nothing")
        self.tell("during", f"n1: 2 paths after {seconds:.1f} s, port {fc.wwpn('n1.0')} Linkdown; {traffic.writes()} writes done")
        begin = time.monotonic()
        self.fc("link", "n1.0", "up")
        fc.wait_paths(self.lab, "n1", fc.PATHS)
        seconds = time.monotonic() - begin
        traffic.moves("port back")
        found = traffic.end()
        self.check_clean(found)
        self.tell("after", f"n1: {fc.PATHS} paths after {seconds:.1f} s; {found['writes']} writes, none lost, "
                           f"longest {found['longest_stall_ms']} ms")

    def check_clean(self, found):
        self.assertGreater(found["writes"], 0)
        bad = {k: found[k] for k in ("errors", "lost", "torn", "stale", "corrupt", "misplaced") if found[k]}
        self.assertEqual(bad, {})

    @slow()
    @only_soak("a port of the array is pulled in `make check`, a path of iSCSI is lost in lab_san.py")
    def test_a_single_path_is_lost(self):
        """By zoning; nobody is told, as on a fabric that loses a state change notification."""
        begin = self.pull("zone", "n2.1", "tgt.0", "off", back=("zone", "n2.1", "tgt.0", "on"))
        fc.wait_paths(self.lab, "n2", fc.PATHS - 1)
        self.check_untouched("n1", "the other node has lost nothing")
        self.tell("during", f"n2: 3 paths {time.monotonic() - begin:.1f} s after the zone was taken away")
        begin = time.monotonic()
        self.fc("zone", "n2.1", "tgt.0", "on")
        fc.wait_paths(self.lab, "n2", fc.PATHS)
        self.tell("after", f"n2: {fc.PATHS} paths after {time.monotonic() - begin:.1f} s")

    @slow()
    def test_a_port_of_the_array_is_pulled(self):
        traffic = Traffic(self, "n2", 1)
        begin = self.pull("link", "tgt.1", "down", back=("link", "tgt.1", "up"))
        for node in fc.NODES:
            fc.wait_paths(self.lab, node, 2)
        traffic.moves("one port of the array pulled")
        self.tell("during", f"both nodes: 2 paths after {time.monotonic() - begin:.1f} s")
        begin = time.monotonic()
        self.fc("link", "tgt.1", "up")
        for node in fc.NODES:
            fc.wait_paths(self.lab, node, fc.PATHS)
        traffic.moves("port back")
        self.check_clean(traffic.end())
        self.tell("after", f"both nodes: {fc.PATHS} paths after {time.monotonic() - begin:.1f} s; nothing lost")

    def give_lun(self, number, megabytes, nodes):
        """A new LUN, found by these nodes; gone at the end of the test."""
        self.fc("lun", "add", number, megabytes)
        self.addCleanup(self.fc, "lun", "remove", number)
        self.assertEqual(fc.luns(self.lab)[number], megabytes)
        for node in nodes:
            fc.scan(self.lab, node, number)
            self.addCleanup(fc.forget, self.lab, node, number)
            fc.wait_paths(self.lab, node, fc.PATHS, [number])

    def test_a_new_lun_is_found_by_a_narrow_scan(self):
        self.fc("lun", "add", 5, 256)
        self.addCleanup(self.fc, "lun", "remove", 5)
        self.fc("lun", "add", 6, 256)
        self.addCleanup(self.fc, "lun", "remove", 6)
        self.assertEqual(fc.paths(self.lab, "n1"), ALL_PATHS, "nobody told the node")
        self.tell("before", f"n1: {len(ALL_PATHS)} LUNs; the array has {sorted(fc.luns(self.lab))}")
        begin = time.monotonic()
        fc.scan(self.lab, "n1", 5)
        self.addCleanup(fc.forget, self.lab, "n1", 5)
        scanned = time.monotonic() - begin
        fc.wait_paths(self.lab, "n1", fc.PATHS, [5])
        self.assertEqual(fc.paths(self.lab, "n1"), {**ALL_PATHS, fc.wwid(5): fc.PATHS}, "LUN 6 was not asked for")
        self.assertEqual(fc.paths(self.lab, "n2"), ALL_PATHS, "the other node was not told")
        self.tell("after", f"n1: LUN 5 found by a scan of {scanned:.1f} s, LUN 6 not; "
                           f"{fc.PATHS} paths after {time.monotonic() - begin:.1f} s")
        self.assertEqual(self.must("n1", f"blockdev --getsize64 {fc.device(5)}"), str(256 << 20))

    def test_a_lun_grows_while_it_is_used(self):
        self.give_lun(7, 128, fc.NODES)
        traffic = Traffic(self, "n1", 7)

        def size(node):
            return int(self.must(node, f"blockdev --getsize64 {fc.device(7)}")) >> 20
        self.fc("lun", "resize", 7, 192)
        self.assertEqual((size("n1"), size("n2")), (128, 128), "nobody told the nodes")
        self.tell("before", f"n1: 128 MB; the array says {fc.luns(self.lab)[7]} MB")
        begin = time.monotonic()
        fc.resize(self.lab, "n1", 7)
        self.assertEqual((size("n1"), size("n2")), (192, 128))
        self.tell("after", f"n1: 192 MB on {fc.PATHS} paths and the map after {time.monotonic() - begin:.1f} s; n2 not rescanned: 128 MB")
        fc.resize(self.lab, "n2", 7)
        self.assertEqual(size("n2"), 192)
        self.check_clean(traffic.end())
        mark = "written-past-the-old-end"
        self.must("n2", f"printf {mark} | dd of={fc.device(7)} bs=1M seek=191 conv=sync oflag=direct status=none")
        found = self.must("n1", f"dd if={fc.device(7)} bs=1M skip=191 count=1 iflag=direct status=none | head -c {len(mark)}")
        self.assertEqual(found, mark)

    @only_soak("what a test does whose machine breaks")
    def test_a_machine_that_breaks_is_replaced(self):
        """A kernel that panics, one that hangs: the test tells of it, and has a whole SAN the second time."""
        self.check_whole()
        self.lived = getattr(self, "lived", 0) + 1
        self.OF_THE_BED += "|sysrq triggered crash"
        if self.lived == 1:
            self.on("n1", "echo 1 > /proc/sys/kernel/sysrq; (sleep 1; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &")
            wait_until(lambda: not fc.machine(self.lab, "n1").is_running(), "the end of n1", 60)
            fc.machine(self.lab, "n2").execute("kill -STOP $(pidof agent); kill -KILL $$", timeout=10)
        self.assertEqual(self.lived, 2)

    def reserve(self, node, *words):
        return self.must(node, f"mpathpersist --out {' '.join(words)} {fc.device(1)}", timeout=60)

    def write(self, node):
        """Exit status and words of one direct write, on a LUN that would queue for ever if its paths were gone."""
        return self.on(node, f"timeout -s KILL 20 dd if=/dev/zero of={fc.device(1)} bs=4096 count=1 oflag=direct conv=fsync 2>&1",
                       timeout=40)

    def test_a_reservation_fences_the_other_node(self):
        keys = {"n1": "0x1001", "n2": "0x1002"}
        for node, key in keys.items():
            self.reserve(node, "--register", f"--param-sark={key}")
        self.addCleanup(self.on, "n1", f"mpathpersist --out --clear --param-rk={keys['n1']} {fc.device(1)}", timeout=60)
        self.reserve("n1", "--reserve", "--prout-type=5", f"--param-rk={keys['n1']}")  # write exclusive, registrants only
        self.assertEqual((self.write("n1")[0], self.write("n2")[0]), (0, 0))
        self.tell("before", "both nodes are registered and write")
        begin = time.monotonic()
        self.reserve("n1", "--preempt-abort", "--prout-type=5", f"--param-rk={keys['n1']}", f"--param-sark={keys['n2']}")
        seconds = time.monotonic() - begin
        status, words = self.write("n2")
        self.assertEqual(status, 1, words)
        self.assertRegex(words, "(?i)error|exchange")
        self.assertEqual(self.must("n2", f"dd if={fc.device(1)} bs=4096 count=1 iflag=direct status=none | wc -c"), "4096")
        self.assertEqual(self.write("n1")[0], 0)
        self.assertNotIn(keys["n2"], self.must("n1", f"mpathpersist --in --read-keys {fc.device(1)}"))
        why = words.splitlines()[0].rpartition(": ")[2]
        self.tell("during", f"n2 fenced in {seconds:.1f} s: its write fails at once ({why}), its read succeeds; n1 writes on")
        self.reserve("n1", "--clear", f"--param-rk={keys['n1']}")
        self.assertEqual(self.write("n2")[0], 0)
        self.tell("after", "reservation cleared: n2 writes")

    def test_storaged_runs_on_it(self):
        self.must("n1", "/share/node/storaged-up", timeout=120)
        self.addCleanup(self.must, "n1", "kill $(cat /run/storaged.pid)")
        self.assertIn("local", self.must("n1", "pvesm status", timeout=60))


if __name__ == "__main__":
    main()
