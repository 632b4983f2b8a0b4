#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three storaged, each on its own clusterfs, over real Corosync: what one adds the others have, locks exclude, without quorum
nothing changes, and all resumes by itself."""
import concurrent.futures
import os
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Witness, timed
from clusterfs import ClusterfsTest, FsNode, clusterfs_is_possible
from harness import IS_ASAN, main, run, trace_idle, wait_until

MEASURES = 6  # windows of silence that are tried for: what joining nodes tell each other comes to an end
SOON = 10.0  # a second is promised, on a machine without other work; what it took is told
AT_ONCE = 0.5
BOUND = 0.1  # of a refusal without quorum: of 99 of 100; the longest is told
SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # `make soak` has 1


def percentile(seconds, share):
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


class Silent(FsNode):
    """Its clusterfs tells nobody of changes: what there is to see is .version, as on pmxcfs."""
    run_dir = "run/elsewhere"


class Stories(ClusterfsTest):
    """What the classes below share."""
    def tell(self, text):
        print(f"      {text}", flush=True)

    def pool(self, name="pool"):
        path = os.path.join(self.tmp, name)
        os.makedirs(path, exist_ok=True)
        return path

    def has(self, node, storage):
        rows = [r for r in node.d.get(f"/nodes/{node.name}/storage") if r["storage"] == storage]
        return rows and rows[0]["active"] == 1

    def refusals(self, node, times):
        """Seconds of adds, changes, allocs, frees and activations, each refused for want of a quorum."""
        volume = f"/nodes/{node.name}/storage/pool/content"
        volid = node.d.volids("pool")[0]
        asked = (("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}), ("PUT", "/storage/pool", {"content": "iso"}),
                 ("DELETE", "/storage/pool", None), ("POST", volume, {"vmid": 300, "filename": "vm-300-disk-0.raw", "size": "1M"}),
                 ("DELETE", f"{volume}/{volid}", None), ("POST", f"/nodes/{node.name}/storage/pool/activate", {"volume": volid}))
        seconds = []
        for method, path, params in asked * times:
            took, r = timed(lambda: node.d.request(method, path, params))
            self.assertIn("no quorum", self.refused(r, 503).message)
            seconds.append(took)
        return seconds

    def all_refused(self, node):
        yard = self.yard()
        seconds = self.refusals(node, 60)
        self.tell(f"{len(seconds)} writes refused: p50 {percentile(seconds, 0.5) * 1000:.1f} ms, p99 {percentile(seconds, 0.99) * 1000:.1f} ms, "
                  f"longest {max(seconds) * 1000:.1f} ms")
        self.assertLess(percentile(seconds, 0.5), yard.allows(BOUND, 0.5))
        self.assertLess(percentile(seconds, 0.99), yard.allows(BOUND * 10))

    def hand_over(self, source, target, volid):
        if not self.holders(source, volid):
            source.d.pvesm("activate", volid)
        source.d.pvesm("migrate", "prepare", volid, "--target", target.name)
        target.d.pvesm("activate", volid, "--mode", "shared")
        source.d.pvesm("migrate", "commit", volid)
        wait_until(lambda: self.holders(target, volid) == [(target.name, 1)], f"{target.name} alone holds it", 30)
        wait_until(lambda: os.listdir(os.path.join(target.pve, "priv/storaged/tickets")) == [], "the ticket is gone", 30)

    def holders(self, node, volid):
        return [(r["node"], r["exclusive"]) for r in node.d.get(f"/nodes/{node.name}/storage/pool/holders", volume=volid)]


@unittest.skipUnless(clusterfs_is_possible(), "needs root, /dev/fuse, corosync and build/clusterfs")
class LikePmxcfs(Stories):
    node_class = Silent

    def test_what_nobody_tells_is_found_by_version(self):
        """No request is made to n3 meanwhile: each would look by itself."""
        n1, n2, n3 = self.start_all()
        took = []
        for name in ("pool", "pool1", "pool2"):
            path = os.path.join(self.tmp, name)
            os.makedirs(path)
            n1.d.post("/storage", type="dir", storage=name, path=path, shared=1)
            begun = time.monotonic()
            wait_until(lambda name=name: f"is active [{name}]" in n3.d.log, "n3 uses it", SOON)
            took.append(time.monotonic() - begun)
        self.tell(f"polled: active on n3 after {', '.join(f'{t * 1000:.0f}' for t in took)} ms")
        self.hand_over(n1, n2, n1.d.alloc("pool", 100))


@unittest.skipUnless(clusterfs_is_possible(), "needs root, /dev/fuse, corosync and build/clusterfs")
class OnClusterfs(Stories):
    def refused_at_once(self, node):
        yard = self.yard()
        seconds, r = timed(lambda: node.d.request("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}))
        self.assertIn("no quorum", self.refused(r, 503).message)
        self.assertLess(seconds, yard.allows(AT_ONCE))
        return seconds

    def test_added_on_one_node_is_active_on_all(self):
        n1, n2, n3 = self.start_all()
        took = []
        for i in range(5):
            name = f"pool{i}"
            n1.d.pvesm("add", "dir", name, "--path", self.pool(name), "--shared", "1")
            begun = time.monotonic()
            wait_until(lambda name=name: name in n3.d.pvesm("status").out and self.has(n3, name), "n3 has it", SOON)
            took.append(time.monotonic() - begun)
        self.tell(f"active on n3 after {', '.join(f'{t * 1000:.0f}' for t in took)} ms")
        n3.d.put("/storage/pool0", content="images")
        wait_until(lambda: n2.d.get("/storage/pool0")["content"] == "images", "n2 has the change", SOON)
        n2.d.delete("/storage/pool1")
        wait_until(lambda: "pool1" not in [r["storage"] for r in n1.d.get("/storage")], "n1 knows that it is gone", SOON)

    def test_parallel_changes_exclude_each_other(self):
        self.start_all()
        n1 = self.nodes[0]
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        for n in self.nodes:
            wait_until(lambda n=n: self.has(n, "pool"), f"{n.name} has the storage")

        def alloc(i):
            return self.nodes[i % 3].d.alloc("pool", 100)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            volids = list(pool.map(alloc, range(30)))
        self.assertEqual(len(set(volids)), 30)
        for n in self.nodes:
            self.assertEqual(sorted(n.d.volids("pool")), sorted(volids))
        os.makedirs(os.path.join(n1.pve, "priv/lock"), exist_ok=True)
        # Given back behind the answer, and seen here a moment after that.
        wait_until(lambda: os.listdir(os.path.join(n1.pve, "priv/lock")) == [], "all locks are given back")

    def test_without_quorum_nothing_changes_and_all_resumes(self):
        n1, n2, n3 = self.start_all()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        wait_until(lambda: self.has(n3, "pool"), "n3 has the storage")
        volid = n3.d.alloc("pool", 100)
        n3.stop_network()
        wait_until(lambda: not n3.quorate(), "n3 knows that it is alone")
        self.refused_at_once(n3)
        self.all_refused(n3)
        self.assertEqual(n3.d.volids("pool"), [volid])
        # A node that is still taken for a member would have to prove that it reaches the new storage.
        wait_until(lambda: all(n.is_writable() and n.quorate() and len(n.online()) == 2 for n in (n1, n2)), "n1 and n2 go on without it", 60)
        n1.d.post("/storage", type="dir", storage="meanwhile", path=self.pool("meanwhile"), nodes="n1,n2,n3")
        n2.d.alloc("pool", 101)
        n3.start_network()
        wait_until(lambda: n3.quorate() and self.has(n3, "meanwhile"), "n3 is back and has what it missed", 60)
        n3.d.alloc("pool", 102)
        self.assertEqual(n1.d.config_text(), n3.d.config_text())

    def test_killed_clusterfs_is_told_of_and_comes_back(self):
        n1, n2, n3 = self.start_all()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        wait_until(lambda: self.has(n3, "pool"), "n3 has the storage")
        n3.fs.send_signal(signal.SIGKILL)
        n3.fs.wait(30)
        r = n3.d.request("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp})
        self.assertNotEqual(r.status, 200, repr(r))
        self.assertTrue(r.message, repr(r))
        n2.d.alloc("pool", 100)
        n3.stop_fs()
        n3.start_fs()
        wait_until(n3.is_writable, "n3 is back", 60)
        wait_until(lambda: n3.d.request("PUT", "/storage/pool", {"content": "images,iso"}).status == 200, "n3 can change things again", 60, 0.2)
        wait_until(lambda: n1.d.get("/storage/pool")["content"].replace(" ", "") in ("images,iso", "iso,images"), "n1 sees it", SOON)

    def is_stopped(self, pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"

    def frozen_before_the_write(self, node, method, path, params):
        """The daemon stops itself between the lock and the write; when it goes on, clusterfs stands still. What the call got, and
        the seconds that others took meanwhile."""
        yard = self.yard()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            call = pool.submit(lambda: timed(lambda: node.d.request(method, path, params)))
            wait_until(lambda: self.is_stopped(node.d.pid), "storaged has the lock and is about to write", 60, 0.01)
            node.fs.send_signal(signal.SIGSTOP)
            wait_until(lambda: self.is_stopped(node.fs.pid), "clusterfs stands still", 30, 0.01)
            os.kill(node.d.pid, signal.SIGCONT)
            seconds = []
            while not call.done() or len(seconds) < 40:
                took, rows = timed(lambda: node.d.get(f"/nodes/{node.name}/storage"))
                self.assertEqual({r["storage"]: r["active"] for r in rows}["pool"], 1)
                seconds.append(took)
                seconds.append(timed(lambda: node.d.volids("pool"))[0])
            took, r = call.result()
        self.tell(f"{path.split('/')[-1]} after {took:.1f} s: {r.message}")
        self.tell(f"others meanwhile: {len(seconds)} calls, p50 {percentile(seconds, 0.5) * 1000:.1f} ms, longest {max(seconds) * 1000:.0f} ms")
        self.refused(r, (500, 504))
        self.assertLess(max(seconds), yard.allows(0.15 * 10))
        node.fs.send_signal(signal.SIGCONT)
        wait_until(lambda: node.d.request(method, path, params).status == 200, "it can be done now", 60, 0.2)

    def test_frozen_clusterfs_freezes_nobody_else(self):
        n1, _n2, n3 = self.start_all()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        volid = n1.d.alloc("pool", 100)
        guests = os.path.join(n1.pve, "nodes/n3/qemu-server")
        os.makedirs(guests)
        with open(os.path.join(guests, "100.conf"), "w", encoding="ascii") as f:
            f.write(f"scsi0: {volid}\n")
        n3.d.stop()
        n3.start(env={"STORAGED_FAULTS": "lease.before-write=stop@1,ticket.before-write=stop@1,config.before-write=stop@1"})
        wait_until(lambda: n3.quorate() and self.has(n3, "pool"), "n3 is back", 60)
        self.addCleanup(n3.fs.send_signal, signal.SIGCONT)
        self.frozen_before_the_write(n3, "POST", "/nodes/n3/storage/pool/activate", {"volume": volid})
        self.assertEqual(self.holders(n1, volid), [("n3", 1)])
        if SCALE >= 1:
            self.frozen_before_the_write(n3, "POST", "/cluster/migrate", {"op": "prepare", "volume": volid, "target": "n1"})
            self.frozen_before_the_write(n3, "PUT", "/storage/pool", {"content": "images,iso"})
            n3.fs.send_signal(signal.SIGSTOP)
            took, r = timed(lambda: n3.d.request("PUT", "/storage/pool", {"content": "iso"}))
            self.tell(f"the first write after {took * 1000:.0f} ms: {self.refused(r, (500, 504)).message}")
            n3.fs.send_signal(signal.SIGCONT)
        self.frozen_in_general(n3)
        self.started_while_it_is_frozen(n3)
        n3.fs.send_signal(signal.SIGCONT)
        wait_until(lambda: n3.d.request("GET", "/nodes/n3/storage").status == 200 and self.has(n3, "pool"), "n3 knows its storages", 60, 0.1)
        wait_until(lambda: n3.d.request("PUT", "/storage/pool", {"content": "images,iso"}).status == 200, "n3 can change things again", 60, 0.2)
        wait_until(lambda: "iso" in n1.d.get("/storage/pool")["content"], "n1 sees it", SOON)
        wait_until(lambda: len(n3.online()) == 3 and n3.quorate(), "n3 sees all nodes", 60)
        wait_until(lambda: n1.d.request("GET", "/nodes/n3/storage").status == 200, "other nodes reach it", 60, 0.2)
        n1.d.put("/storage/pool", content="images")
        wait_until(lambda: n3.d.get("/storage/pool")["content"] == "images", "n3 has the change", SOON)

    def stopped_before_the_commit(self, node, other, lock, call, meanwhile):
        """n3 looked at its lock, found it its own, and stands still; another node gets the lock, by whatever way, and works under it."""
        node.d.stop()
        node.start(env={"STORAGED_FAULTS": "fence.before-change=stop@1"})
        wait_until(lambda: node.quorate() and self.has(node, "pool"), f"{node.name} is back", 60)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(call)
            wait_until(lambda: self.is_stopped(node.d.pid), "storaged is about to replace the file", 60, 0.01)
            wait_until(lambda: os.path.isdir(os.path.join(other.pve, "priv/lock", lock)), "its lock is seen", 30, 0.01)
            os.rmdir(os.path.join(other.pve, "priv/lock", lock))
            self.assertEqual(meanwhile().status, 200)
            os.kill(node.d.pid, signal.SIGCONT)
            r = answer.result(60)
        self.assertIn("lost", self.refused(r, (409, 500, 503)).message)
        self.tell(r.message)

    def test_what_stops_between_its_last_look_and_its_commit_changes_nothing(self):
        n1, n2, n3 = self.start_all()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        volid = n1.d.alloc("pool", 100)
        wait_until(lambda: self.has(n3, "pool"), "n3 has the storage")
        self.stopped_before_the_commit(
            n3, n2, "file-storage_cfg", lambda: n3.d.request("PUT", "/storage/pool", {"content": "images,iso"}),
            lambda: n2.d.request("POST", "/storage", {"type": "dir", "storage": "meanwhile", "path": self.pool("meanwhile")}))
        for n in self.nodes:
            wait_until(lambda n=n: b"meanwhile" in n.d.config_text(), f"{n.name} has what n2 added", SOON)
            self.assertNotIn(b"iso", n.d.config_text())
        self.stopped_before_the_commit(
            n3, n2, "storage-pool", lambda: n3.d.request("POST", "/nodes/n3/storage/pool/activate", {"volume": volid}),
            lambda: n2.d.request("POST", "/nodes/n2/storage/pool/activate", {"volume": volid}))
        for n in self.nodes:
            wait_until(lambda n=n: self.holders(n, volid) == [("n2", 1)], f"{n.name} knows n2 as the only holder", SOON)
        self.assertIn("n2", self.refused(n3.d.request("POST", "/nodes/n3/storage/pool/activate", {"volume": volid}), 409).message)
        n2.d.pvesm("deactivate", volid)
        n3.d.pvesm("activate", volid)

    def frozen_in_general(self, node):
        """Status and list for a while, until the silence of clusterfs is long enough to be told; beside them what reads much of it."""
        reading = [("POST", "/cluster/migrate", {"op": "prepare", "vmid": 100, "target": "n1"})]
        if SCALE >= 1:
            reading.append(("GET", f"/nodes/{node.name}/doctor", None))
        node.fs.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.is_stopped(node.fs.pid), "clusterfs stands still", 30, 0.01)
        yard, seconds, begun = self.yard(), [], time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(reading)) as pool:
            calls = [pool.submit(lambda words=words: timed(lambda: node.d.request(*words))) for words in reading]
            while time.monotonic() - begun < 1.5 or len(seconds) < 80 or not all(c.done() for c in calls):
                took, rows = timed(lambda: node.d.get(f"/nodes/{node.name}/storage"))
                self.assertEqual({r["storage"]: r["active"] for r in rows}["pool"], 1)
                seconds.append(took)
                seconds.append(timed(lambda: node.d.volids("pool"))[0])
        self.what_read_is_told(*(c.result() for c in calls))
        self.tell(f"status and list while clusterfs stands still: p50 {percentile(seconds, 0.5) * 1000:.1f} ms, longest {max(seconds) * 1000:.0f} ms")
        self.assertLess(percentile(seconds, 0.5), yard.allows(0.05 * 10, 0.5))
        self.assertLess(max(seconds), yard.allows(2), "as long as a read below the cluster directory may take: nobody waits for another's")
        yard = self.yard()
        took, r = timed(lambda: node.d.request("PUT", "/storage/pool", {"content": "iso"}))
        self.assertIn("has not answered", self.refused(r, 504).message)
        self.assertLess(took, yard.allows(AT_ONCE * 10))
        self.tell(f"a write after {took * 1000:.0f} ms: {r.message}")

    def what_read_is_told(self, guest, doctor=None):
        self.tell(f"a guest's disks after {guest[0]:.1f} s: {self.refused(guest[1], (500, 504)).message}")
        self.assertIn("does not answer", guest[1].message)
        if doctor:
            found = {row["code"]: row["summary"] for row in doctor[1].data}
            self.tell(f"the doctor after {doctor[0]:.1f} s: {found['CLUSTER_DIRECTORY_READ_ONLY']}")
            self.assertIn("does not answer", found["CLUSTER_DIRECTORY_READ_ONLY"])
            self.assertNotIn("LOCKS", found)

    def started_while_it_is_frozen(self, node):
        node.fs.send_signal(signal.SIGCONT)  # the kernel lets no process end of which a request is in clusterfs' hands
        node.d.stop()
        node.fs.send_signal(signal.SIGSTOP)
        took, _d = timed(node.start)
        r = node.d.request("GET", f"/nodes/{node.name}/storage")
        self.assertIn("not known yet", self.refused(r, 504).message)
        self.tell(f"started in {took:.1f} s: {r.message}")
        self.assertIn("has not answered since storaged was started", node.d.pvesm("status", check=False).err)
        self.assertEqual(node.d.request("GET", "/version").status, 200)
        yard = self.yard()
        self.assertLess(max(timed(lambda: node.d.request("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}))[0]
                            for _ in range(10)), yard.allows(0.5 * 10))

    def test_bare_directory_below_is_never_taken_for_the_cluster(self):
        n1, _n2, n3 = self.start_all()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        wait_until(lambda: self.has(n3, "pool"), "n3 has the storage")
        n3.stop_fs()
        self.assertEqual(os.listdir(n3.pve), [])
        for _ in range(20):
            self.assertTrue(self.has(n3, "pool"))
        for path, params in (("/storage", {"type": "dir", "storage": "xx", "path": self.tmp}),
                             ("/nodes/n3/storage/pool/content", {"vmid": 300, "filename": "vm-300-disk-0.raw", "size": "1M"})):
            r = n3.d.request("POST", path, params)
            self.assertGreaterEqual(r.status, 500, repr(r))
            self.assertIn("not running here", r.message)
        self.assertEqual(os.listdir(n3.pve), [])
        n3.start_fs()
        wait_until(n3.is_writable, "n3 is back", 60)
        wait_until(lambda: n3.d.request("PUT", "/storage/pool", {"content": "images,iso"}).status == 200, "n3 can change things again", 60, 0.2)

    def test_idle_means_silent(self):
        """Also where inotify tells nothing of the other nodes: changes are told by clusterfs, and hand-overs still come to their end."""
        if IS_ASAN:
            self.skipTest("not under a sanitizer")
        n1, n2, _n3 = self.start_all()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        wait_until(lambda: self.has(n2, "pool"), "n2 has the storage")
        self.hand_over(n1, n2, n1.d.alloc("pool", 100))
        for _ in range(MEASURES):
            calls, threads = trace_idle(n2.d.pid, self.tmp + "/trace", 5.0)
            if len(calls) <= threads + 1:
                break
        self.assertLessEqual(len(calls), threads + 1, "\n".join(calls[:40]))
        self.hand_over(n2, n1, n1.d.volids("pool")[0])


@unittest.skipUnless(clusterfs_is_possible(), "needs root, /dev/fuse, corosync and build/clusterfs")
class TwoNodes(ClusterfsTest):
    """votequorum's two_node: 1, and with it wait_for_all: one of two goes on when the other is gone, but none begins alone."""
    n_nodes = 2
    quorum = "    two_node: 1"
    together = False

    def test_one_goes_on_and_none_begins_alone(self):
        n1, n2 = self.nodes
        n1.start_corosync()
        n1.start_fs()
        n1.start()
        self.assertIn("no quorum", self.refused(n1.d.request("POST", "/storage", {"type": "dir", "storage": "xx", "path": self.tmp}), 503).message)
        self.assertFalse(n1.is_writable())
        n2.start_corosync()
        n2.start_fs()
        n2.start()
        for n in self.nodes:
            wait_until(lambda n=n: n.is_writable() and n.quorate() and len(n.online()) == 2, f"{n.name} sees both", 60)
        path = os.path.join(self.tmp, "pool")
        os.makedirs(path)
        n1.d.post("/storage", type="dir", storage="pool", path=path, shared=1)
        wait_until(lambda: "pool" in [r["storage"] for r in n2.d.get("/storage")], "n2 has the storage", SOON)
        n2.d.alloc("pool", 100)

        n2.lose_power()
        wait_until(lambda: n1.online() == ["n1"] and n1.quorate() and n1.is_writable(), "n1 goes on alone", 60)
        wait_until(lambda: n1.d.request("PUT", "/storage/pool", {"content": "images,iso"}).status == 200, "n1 changes things", 60, 0.2)
        volid = n1.d.alloc("pool", 101)

        n2.start_corosync()
        n2.start_fs()
        n2.start()
        wait_until(lambda: n2.quorate() and n2.is_writable() and len(n2.online()) == 2, "n2 is back", 60)
        wait_until(lambda: "iso" in n2.d.get("/storage/pool")["content"], "n2 has what it missed", SOON)
        self.assertIn(volid, n2.d.volids("pool"))
        self.assertEqual(n1.d.config_text(), n2.d.config_text())


@unittest.skipUnless(clusterfs_is_possible() and shutil.which("corosync-qnetd") and shutil.which("corosync-qdevice"),
                     "needs root, /dev/fuse, corosync with its quorum device, and build/clusterfs")
class QuorumDevice(Stories):
    """Two nodes and a quorum device, whose vote is a third one: who has it goes on."""
    n_nodes = 2
    quorum = Witness.CONF
    together = False

    def setUp(self):
        super().setUp()
        self.witness = Witness(self)
        self.addCleanup(self.witness.end)

    def begin(self, node):
        node.start_corosync()
        wait_until(lambda: run(*node.in_network(), "corosync-cmapctl", "-g", "quorum.provider", check=False).rc == 0, f"{node.name}: Corosync runs")
        self.witness.serve(node)
        node.start_fs()
        node.start()

    def whole(self):
        for n in self.nodes:
            wait_until(lambda n=n: n.is_writable() and n.quorate() and len(n.online()) == 2, f"{n.name} sees both", 60)

    def test_who_has_the_devices_vote_goes_on_and_without_it_nobody(self):
        n1, n2 = self.nodes
        self.witness.start()
        for n in self.nodes:
            self.begin(n)
        self.whole()
        n1.d.post("/storage", type="dir", storage="pool", path=self.pool(), shared=1)
        wait_until(lambda: self.has(n2, "pool"), "n2 has the storage", SOON)
        n2.d.alloc("pool", 100)

        self.witness.leave(n2)
        n2.lose_power()
        lost = time.monotonic()
        wait_until(lambda: n1.online() == ["n1"] and n1.quorate() and n1.is_writable(), "n1 goes on with the device's vote", 60)
        wait_until(lambda: n1.d.request("PUT", "/storage/pool", {"content": "images,iso"}).status == 200, "n1 changes things", 60, 0.2)
        self.tell(f"n1 goes on {time.monotonic() - lost:.1f} s after n2's death")
        volid = n1.d.alloc("pool", 101)

        if SCALE >= 1:
            self.witness.server.send_signal(signal.SIGSTOP)
            wait_until(lambda: not n1.quorate() and not n1.is_writable(), "a device that says nothing has no vote", 60)
            self.witness.server.send_signal(signal.SIGCONT)
            wait_until(lambda: n1.quorate() and n1.is_writable(), "it says something again", 60)
        self.witness.kill()
        lost = time.monotonic()
        wait_until(lambda: not n1.quorate() and not n1.is_writable(), "n1 alone is no quorum", 60)
        self.tell(f"no quorum {time.monotonic() - lost:.1f} s after the device's death")
        self.all_refused(n1)
        self.assertIn(volid, n1.d.volids("pool"), "reads go on")

        self.witness.start()
        wait_until(lambda: n1.quorate() and n1.is_writable(), "the device is back: n1 goes on by itself", 60)
        n1.d.alloc("pool", 102)
        self.begin(n2)
        self.whole()
        wait_until(lambda: "iso" in n2.d.get("/storage/pool")["content"], "n2 has what it missed", SOON)
        self.assertEqual(len(n2.d.volids("pool")), 3)
        self.assertEqual(n1.d.config_text(), n2.d.config_text())


if __name__ == "__main__":
    main(namespace=True)
