#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three nodes with Corosync. All tests share one cluster and leave it whole: three active nodes with the same tree."""
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import PROGRAM, is_errno, wait_until
from clustercase import ClusterCase, Writer, get, put, renewed_past_its_life, told
from harness import main, slow
from yardstick import Yardstick


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


class ThreeNodes(ClusterCase):
    OPTIONS = ("--lock-timeout", "2")

    # --- ordinary work

    @slow()
    def test_change_is_seen_by_others_within_50_ms(self):
        c = self.c
        stats, lists = [], []
        with Yardstick(self.tmp) as yard:
            for i in range(60):
                for sample, seen in ((stats, os.path.exists), (lists, lambda p: os.path.basename(p) in os.listdir(os.path.dirname(p)))):
                    name = f"seen-{i}"
                    put(c[0].path(name), "x")
                    t = time.monotonic()
                    wait_until("seen on n2", lambda: seen(c[1].path(name)), step=0.0005)
                    sample.append(time.monotonic() - t)
                    os.unlink(c[0].path(name))
                    wait_until("gone on n2", lambda: not seen(c[1].path(name)), step=0.0005)
        for sample in (stats, lists):
            assert percentile(sample, 0.9) <= yard.allows(0.05, 0.9), [round(s, 4) for s in sample]
        self.tell(f"stat p50 {percentile(stats, .5) * 1000:.2f} ms, max {max(stats) * 1000:.1f} ms; readdir max {max(lists) * 1000:.1f} ms")

    def test_size_of_a_changed_file_is_never_stale(self):
        c = self.c
        took = []
        with Yardstick(self.tmp) as yard:
            for i in range(30):
                put(c[0].path("size"), "x" * (i + 1))
                t = time.monotonic()
                wait_until("size", lambda: os.stat(c[2].path("size")).st_size == i + 1, step=0.001)
                took.append(time.monotonic() - t)
        assert max(took) < yard.allows(1), [round(s, 4) for s in took]
        os.unlink(c[0].path("size"))

    def test_subscribers_on_other_nodes_are_told(self):
        c = self.c
        s = c[2].subscribe()
        told(s, lambda i: put(c[0].path("storage.cfg"), f"dir: x{i}\n"), "storage.cfg")
        s.close()
        os.unlink(c[0].path("storage.cfg"))

    def test_members_are_shown(self):
        c = self.c
        for n in c.nodes:
            m = json.load(open(n.path(".members")))
            assert m["nodename"] == n.name and m["cluster"]["quorate"] == 1
            assert sorted(m["nodelist"]) == ["n1", "n2", "n3"] and all(x["online"] for x in m["nodelist"].values())

    def test_lock_excludes_across_nodes(self):
        c = self.c
        os.makedirs(c[0].path("priv/lock"), exist_ok=True)
        wait_until("there", lambda: os.path.isdir(c[2].path("priv/lock")))
        holders, overlaps, taken = [], [], []

        def work(node):
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                try:
                    os.mkdir(node.path("priv/lock/x"))
                except FileExistsError:
                    time.sleep(0.001)
                    continue
                holders.append(node.name)
                if len(holders) > 1:
                    overlaps.append(list(holders))
                taken.append(node.name)
                holders.remove(node.name)
                os.rmdir(node.path("priv/lock/x"))
        threads = [threading.Thread(target=work, args=(n,)) for n in c.nodes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not overlaps, overlaps[:3]
        assert len(taken) > 20 and len(set(taken)) == 3, taken
        self.tell(f"{len(taken)} times")

    @slow()
    def test_lock_is_renewed_by_its_node_and_expires(self):
        c = self.c
        lock = "priv/lock/expire"
        os.makedirs(c[0].path("priv/lock"), exist_ok=True)
        os.mkdir(c[1].path(lock))
        wait_until("seen", lambda: os.path.isdir(c[0].path(lock)))
        assert is_errno(lambda: os.utime(c[0].path(lock)), errno.EACCES)
        assert is_errno(lambda: os.utime(c[0].path(lock), (0, 0)), errno.EACCES)
        renewed_past_its_life(c[1].path(lock), c[0].path(lock), 2)

        def dropped():
            try:
                os.utime(c[2].path(lock), (0, 0))
            except (PermissionError, FileNotFoundError):
                pass
            return not os.path.exists(c[1].path(lock))
        wait_until("dropped", dropped, 10, 0.1)
        os.mkdir(c[2].path(lock))
        os.rmdir(c[0].path(lock))  # release is allowed from any node

    def test_exclusive_create_has_one_winner(self):
        c = self.c
        for i in range(30):
            won, barrier = [], threading.Barrier(3)

            def create(node):
                barrier.wait()
                try:
                    os.close(os.open(node.path(f"excl{i}"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                    won.append(node.name)
                except FileExistsError:
                    pass
            threads = [threading.Thread(target=create, args=(n,)) for n in c.nodes]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert len(won) == 1, won
            os.unlink(c[0].path(f"excl{i}"))

    @slow()
    def test_no_reader_sees_a_truncated_or_mixed_file(self):
        c = self.c
        size, stop, bad, n = 300000, [], [], [0]
        texts = [ch * size for ch in "ab"]
        put(c[0].path("torn"), texts[0])

        def write():
            i = 0
            while not stop:
                if i % 2:
                    put(c[0].path("torn"), texts[i // 2 % 2])  # O_TRUNC and write
                else:
                    put(c[0].path("torn.tmp"), texts[i // 2 % 2])
                    os.rename(c[0].path("torn.tmp"), c[0].path("torn"))
                i += 1

        def read(node):
            while not stop:
                fd = os.open(node.path("torn"), os.O_RDONLY)
                parts = []
                while chunk := os.read(fd, 20000):
                    parts.append(chunk)
                os.close(fd)
                text = b"".join(parts)
                n[0] += 1
                if len(text) != size or text.strip(text[:1]):
                    bad.append((node.name, len(text)))
        wait_until("there", lambda: os.path.getsize(c[1].path("torn")) == size)
        threads = [threading.Thread(target=write), threading.Thread(target=read, args=(c[0],)), threading.Thread(target=read, args=(c[1],))]
        for t in threads:
            t.start()
        time.sleep(2.5)
        stop.append(1)
        for t in threads:
            t.join()
        assert not bad, bad[:5]
        assert n[0] > 20
        self.tell(f"{n[0]} reads")

    def test_changes_of_different_places_by_two_nodes_both_stay(self):
        c = self.c
        put(c[0].path("places"), "a" * 2000)
        wait_until("there", lambda: os.path.getsize(c[1].path("places")) == 2000)
        fds = [os.open(c[i].path("places"), os.O_WRONLY) for i in range(2)]
        os.pwrite(fds[0], b"B" * 10, 100)
        os.pwrite(fds[1], b"C" * 10, 1500)
        for fd in fds:
            os.close(fd)
        want = "a" * 100 + "B" * 10 + "a" * 1390 + "C" * 10 + "a" * 490
        for n in c.nodes:
            wait_until("both", lambda: get(n.path("places")) == want)
        os.unlink(c[0].path("places"))

    def test_appends_by_all_nodes_lose_nothing(self):
        c = self.c
        put(c[0].path("appended"), "")
        wait_until("there", lambda: all(os.path.exists(n.path("appended")) for n in c.nodes))

        def append(node):
            for i in range(40):
                with open(node.path("appended"), "a") as f:
                    f.write(f"{node.name} {i}\n")
        threads = [threading.Thread(target=append, args=(n,)) for n in c.nodes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        c.wait_same()
        lines = get(c[0].path("appended")).splitlines()
        assert sorted(lines) == sorted(f"{n.name} {i}" for n in c.nodes for i in range(40)), len(lines)

    def test_vmid_is_unique_across_nodes(self):
        c = self.c
        for n in c.nodes:
            os.makedirs(c[0].path(f"nodes/{n.name}/qemu-server"), exist_ok=True)
        put(c[0].path("nodes/n1/qemu-server/100.conf"), "x")
        wait_until("seen", lambda: os.path.exists(c[1].path("nodes/n1/qemu-server/100.conf")))
        assert is_errno(lambda: put(c[1].path("nodes/n2/qemu-server/100.conf"), "y"), errno.EEXIST)
        os.rename(c[1].path("nodes/n1/qemu-server/100.conf"), c[1].path("nodes/n2/qemu-server/100.conf"))
        wait_until("moved", lambda: json.load(open(c[2].path(".vmlist")))["ids"]["100"]["node"] == "n2")

    @slow()
    def test_large_writes_do_not_delay_small_ones(self):
        c = self.c
        stop, data = [], os.urandom(1 << 20)

        def large():
            while not stop:
                put(c[0].path("large"), data)
                time.sleep(0.1)
        t = threading.Thread(target=large)
        t.start()
        times = []
        with Yardstick(self.tmp) as yard:
            for i in range(60):
                begin = time.monotonic()
                put(c[0].path("small"), f"{i}")
                times.append(time.monotonic() - begin)
        stop.append(1)
        t.join()
        assert percentile(times, 0.9) < yard.allows(0.1, 0.9), [round(x, 3) for x in times]
        c.wait_same()
        self.tell(f"p50 {percentile(times, .5) * 1000:.1f} ms, p99 {percentile(times, .99) * 1000:.0f} ms")

    def test_corosync_conf_is_handed_over(self):
        c = self.c
        conf = c.conf(2)
        put(c[1].path("corosync.conf.new"), conf)
        os.rename(c[1].path("corosync.conf.new"), c[1].path("corosync.conf"))
        for n in c.nodes:
            wait_until(n.name, lambda: get(os.path.join(n.dir, "etc/corosync.conf")) == conf)
        for n in c.nodes:
            wait_until("Corosync has read it", lambda: json.load(open(n.path(".members")))["cluster"]["version"] == 2, 10, 0.1)
        put(c[0].path("corosync.conf"), c.conf(1))
        time.sleep(0.3)
        assert get(os.path.join(c[2].dir, "etc/corosync.conf")) == conf, "a lower config_version was taken"
        put(c[0].path("corosync.conf"), conf)
        c.wait_same()

    # --- faults

    def test_failed_database_write_fails_that_write_not_the_node(self):
        c = self.c
        c[1].stop_fs()
        c[1].start_fs(env={"STORAGED_FAULTS": "clusterfs.db.commit=error:28@6"})
        c[1].wait_writable()
        failed = 0
        for i in range(10):
            try:
                put(c[1].path(f"full{i}"), "x")
            except OSError as e:
                assert e.errno == errno.ENOSPC, e
                failed += 1
                time.sleep(0.3)
        assert 0 < failed < 5, failed
        put(c[0].path("other"), "1")
        wait_until("follows the others", lambda: get(c[1].path("other")) == "1")
        c[1].stop_fs()
        c[1].start_fs()
        self.whole()

    def test_kill_9_while_writing_loses_nothing(self):
        c = self.c
        writers = [Writer(c[0], "ka"), Writer(c[1], "kb")]
        for w in writers:
            w.start()
        for w in writers:
            w.goes_on()
        c[1].stop_fs(signal.SIGKILL)
        writers[0].goes_on()
        c[1].start_fs()
        c[1].wait_writable()
        for w in writers:
            w.goes_on()
        for w in writers:
            w.end()
        self.whole()
        for n in c.nodes:
            for w in writers:
                w.check(n)
        assert not writers[0].errors, f"the other node saw {set(writers[0].errors)}"
        self.tell(f"{writers[0].count + writers[1].count} writes, longest on the other node {writers[0].longest:.2f} s")

    @slow()
    def test_corosync_dies_and_comes_back(self):
        c = self.c
        w = Writer(c[0], "co")
        w.start()
        c[2].stop_corosync(signal.SIGKILL)
        wait_until("read-only", lambda: not c[2].is_quorate(), 10)
        assert is_errno(lambda: put(c[2].path("x"), "y"), errno.EACCES)
        w.goes_on()
        c[2].start_corosync()
        c[2].wait_writable(30)
        w.end()
        self.whole()
        w.check(c[2])
        assert not w.errors
        self.tell(f"longest write {w.longest:.2f} s")

    def test_frozen_node_does_not_stop_the_others(self):
        c = self.c
        c[2].clusterfs.p.send_signal(signal.SIGSTOP)
        w = Writer(c[0], "fr")
        w.start()
        wait_until("the others go on", lambda: w.count > 100)
        c[2].clusterfs.p.send_signal(signal.SIGCONT)
        w.end()
        assert not w.errors, w.errors
        self.whole()
        w.check(c[2])

    @slow()
    def test_minority_is_read_only_and_rejoins(self):
        c = self.c
        put(c[0].path("before"), "1")
        c.wait_same()
        writers = [Writer(c[0], "ma"), Writer(c[2], "mi")]
        for w in writers:
            w.start()
        for w in writers:
            w.goes_on()
        c[2].cut()
        wait_until("n3 is read-only", lambda: not c[2].is_quorate(), 15)
        with Yardstick(self.tmp) as yard:
            t = time.monotonic()
            assert is_errno(lambda: put(c[2].path("before"), "2"), errno.EACCES)
            assert is_errno(lambda: os.mkdir(c[2].path("newdir")), errno.EACCES)
            refused = time.monotonic() - t
        assert refused < yard.allows(0.1), refused
        assert get(c[2].path("before")) == "1" and os.lstat(c[2].path("local")).st_mode & 0o777 == 0o555
        for i in range(100):
            put(c[0].path(f"alone{i}"), f"{i}")
        writers[1].end()
        c[2].heal()
        t = time.monotonic()
        wait_until("n3 has it", lambda: get(c[2].path("alone99")) == "99", 30)
        rejoin = time.monotonic() - t
        c[2].wait_writable()
        writers[0].end()
        self.whole()
        assert not writers[0].errors, set(writers[0].errors)
        for n in c.nodes:
            for w in writers:
                w.check(n)
        self.tell(f"majority stalled {writers[0].longest:.2f} s, refused within {refused * 1000:.0f} ms, rejoin {rejoin:.2f} s")

    @slow()
    def test_flapping_node_loses_nothing(self):
        c = self.c
        writers = [Writer(c[0], "fa"), Writer(c[1], "fb"), Writer(c[2], "fc")]
        for w in writers:
            w.start()
        for _ in range(3):
            c[1].cut()
            time.sleep(1.6)
            c[1].heal()
            time.sleep(1.2)
        for n in c.nodes:
            wait_until(f"{n.name} quorate", n.is_quorate, 30)
        for w in writers:
            w.end()
        self.whole()
        for n in c.nodes:
            for w in writers:
                w.check(n)
        return ", ".join(f"{w.node.name} {len(w.errors)} of {w.count} refused" for w in writers)

    def test_local_mode_edits_do_not_win(self):
        c = self.c
        put(c[0].path("storage.cfg"), "majority, old\n")
        put(c[0].path("kept.cfg"), "1")
        put(c[0].path("same.cfg"), "old")
        c.wait_same()
        c[2].stop_fs()
        c[2].start_fs("--local")
        for i in range(150):  # a higher counter than the majority's
            put(c[2].path("storage.cfg"), f"alone {i}\n")
        put(c[2].path("only-alone.cfg"), "precious\n")
        put(c[2].path("same.cfg"), "new")
        os.unlink(c[2].path("kept.cfg"))
        put(c[0].path("storage.cfg"), "majority, new\n")
        put(c[0].path("same.cfg"), "new")
        c[2].stop_fs()
        c[2].start_fs()
        c[2].wait_writable()
        self.whole()
        for n in c.nodes:
            assert get(n.path("storage.cfg")) == "majority, new\n"
            assert get(n.path("kept.cfg")) == "1"
            assert not os.path.exists(n.path("only-alone.cfg"))
        files, report = c[2].conflicts()
        assert files == {"storage.cfg": "alone 149\n", "only-alone.cfg": "precious\n"}, files
        assert "removed kept.cfg" in report and "changed storage.cfg" in report and "added only-alone.cfg" in report, report
        assert any("alone" in e["msg"] and "n3" in e["msg"] for e in json.load(open(c[0].path(".clusterlog")))["data"])

    @slow()
    def test_fresh_node_takes_the_tree(self):
        c = self.c
        c[1].stop_fs()
        for f in os.listdir(c[1].state):
            if f.startswith("clusterfs.db"):
                os.unlink(os.path.join(c[1].state, f))
        os.mkdir(c[0].path("many"))
        for i in range(300):
            put(c[0].path(f"many/{i}"), f"{i}" * 50)
        put(c[0].path("large"), os.urandom(1 << 20))
        t = time.monotonic()
        c[1].start_fs()
        c[1].wait_writable()
        self.whole()
        assert get(c[1].path("many/299")) == "299" * 50
        self.tell(f"{time.monotonic() - t:.2f} s")

    @slow()
    def test_versions_meet_without_harm(self):
        """A rolling upgrade: now and next together, all next, back; and one that can't speak with the others."""
        c, next_version = self.c, str(int(subprocess.check_output([PROGRAM, "--version"]).split()[-1]) + 1)
        c[2].stop_fs()
        c[2].start_fs("--wire-version", next_version)
        c[2].wait_writable()
        put(c[2].path("wire"), "a")
        wait_until("new to old", lambda: get(c[0].path("wire")) == "a")
        for n in c.nodes[:2]:
            n.stop_fs()
            n.start_fs("--wire-version", next_version)
            n.wait_writable()
        put(c[0].path("wire"), "b")
        wait_until("new to new", lambda: get(c[2].path("wire")) == "b")
        c[1].stop_fs()
        c[1].start_fs()
        c[1].wait_writable()
        put(c[1].path("wire"), "c")
        wait_until("old to new", lambda: get(c[0].path("wire")) == "c")
        c[1].stop_fs()
        c[1].start_fs("--wire-version", "9:9")
        wait_until("left out", lambda: "read-only until it is updated" in c[1].log(), 20)
        assert not c[1].is_quorate() and is_errno(lambda: put(c[1].path("wire"), "no"), errno.EACCES)
        put(c[0].path("wire"), "d")
        wait_until("the others go on", lambda: get(c[2].path("wire")) == "d")
        for n in c.nodes:
            n.stop_fs()
            n.start_fs()
            n.wait_writable()
        self.whole()
        assert get(c[1].path("wire")) == "d"

    @slow()
    def test_power_cut_of_all_nodes(self):
        c = self.c
        writers = [Writer(n, f"pw{n.id}") for n in c.nodes]
        for w in writers:
            w.start()
        for w in writers:
            w.goes_on()
        for n in c.nodes:
            n.clusterfs.p.send_signal(signal.SIGKILL)
        for n in c.nodes:
            n.stop_corosync(signal.SIGKILL)
            n.stop_fs(signal.SIGKILL)
        for w in writers:
            w.end()
        for n in reversed(c.nodes):
            n.start_corosync()
            n.start_fs()
        self.whole()
        for n in c.nodes:
            for w in writers:
                w.check(n)

    def test_all_trees_are_the_same_at_the_end(self):
        c = self.c
        self.whole()
        for n in c.nodes:
            n.stop_fs()
            n.start_fs()
        self.whole()
        self.tell(f"RSS {[n.rss_kib() for n in c.nodes]} KiB")


if __name__ == "__main__":
    main(namespace=True)
