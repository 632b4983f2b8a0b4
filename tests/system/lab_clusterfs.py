#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three kernels, clusterfs at /etc/pve of each: what node 1 adds node 3 has at once; a node that is cut off refuses at
once, reads on and loses nothing; what it changed alone is kept and told; killed and frozen daemons are got over."""
import concurrent.futures
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase, Writer, only_soak, scaled
from labkit import cluster, nfs

NODES = (1, 2, 3)
SHELF = "/share/shelf"  # a folder of the host's, the same on every node
BUSY = 10  # what a promised duration may become on a machine that does other work; the figure itself is told

# `api.py METHOD PATH [KEY=VALUE…]`, on the daemon's socket; `--times N` asks as often and prints the statuses and seconds of all;
# `--until STORAGE NODE` asks for a node's storages until that one is active.
API = r"""
import http.client, json, socket, sys, time, urllib.parse
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect("/run/storaged/api.sock")
connection = Unix("localhost")
def call(method, path, pairs=()):
    body = urllib.parse.urlencode([tuple(p.split("=", 1)) for p in pairs]) if method != "GET" else None
    connection.request(method, "/api2/json" + path, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
    r = connection.getresponse()
    return r.status, json.loads(r.read() or b"{}")
words = sys.argv[1:]
if words[0] == "--until":
    path = f"/nodes/{words[2]}/storage"
    while not any(s["storage"] == words[1] and s["active"] for s in call("GET", path)[1]["data"]):
        time.sleep(0.03)
elif words[0] == "--times":
    rows = []
    for _ in range(int(words[1])):
        begun = time.monotonic()
        status, answer = call(words[2], words[3], words[4:])
        rows.append((status, answer.get("message", ""), time.monotonic() - begun))
    print(json.dumps(rows))
else:
    print(json.dumps(call(words[0], words[1], words[2:])))
"""

# The tree as a node sees it: each file's path and digest, without what is each node's own.
TREE = r"cd /etc/pve && find nodes priv *.cfg *.conf story -type f 2> /dev/null | sort | xargs -r sha256sum"


def p99(seconds):
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.99))]


class Clusterfs(LabCase):
    KIND = "cf"
    UP = ("--nodes", "3", "--luns", "0", "--lock", "none", "--cluster", "--nfs", "--storaged")

    def setUp(self):
        self.must(1, f"mkdir -p {SHELF} /etc/pve/story")
        self.addCleanup(self.drop)
        self.must(1, f"pvesm add dir shelf --path {SHELF} --shared 1 --content images")
        for n in NODES:
            self.must(n, "cat > /run/api.py", stdin=API.encode())
            self.wait_active("shelf", n)

    def drop(self):
        self.fault("heal")
        for n in NODES:
            cluster.wait_quorum(self.lab, n, True, NODES)
            self.wait_writable(n)
        self.must(1, f"for s in $(pvesm status | awk 'NR > 1 && $1 != \"local\" {{ print $1 }}'); do pvesm remove $s; done")
        self.must(1, f"rm -rf {SHELF}/* /etc/pve/story")

    # --- the daemons' words
    def api(self, n, *words, timeout=90):
        return json.loads(self.must(n, "python3 /run/api.py " + " ".join(words), timeout=timeout) or "null")

    def wait_active(self, storage, n):
        self.must(n, f"python3 /run/api.py --until {storage} n{n}", timeout=60)

    def wait_writable(self, n, deadline=120):
        wait_until(lambda: self.on(n, f"mkdir /etc/pve/probe{n} && rmdir /etc/pve/probe{n}")[0] == 0, f"/etc/pve of node {n} can be written",
                   deadline, 0.2)

    def wait_config(self, n, deadline=120):
        """Until storaged on the node changes things again."""
        wait_until(lambda: self.api(n, "PUT", "/storage/shelf", "content=images")[0] == 200, f"node {n}: storage.cfg can be changed", deadline, 0.2)

    def trees(self):
        return [self.must(n, TREE) for n in NODES]

    def wait_same_trees(self):
        wait_until(lambda: len(set(self.trees())) == 1, "all nodes have the same tree", 60, 0.5)
        return self.trees()[0]

    def refused(self, n, times):
        """Adds, changes and allocs, all refused for want of a quorum; their seconds."""
        seconds = []
        for words in (("POST", "/storage", "storage=alone", "type=dir", "path=/tmp"), ("PUT", "/storage/shelf", "content=iso"),
                      ("POST", f"/nodes/n{n}/storage/shelf/content", "vmid=300", "filename=vm-300-disk-0.raw", "size=1M")):
            rows = self.api(n, "--times", str(times), *words)
            self.assertEqual({(status, "no quorum" in message) for status, message, _s in rows}, {(503, True)}, rows[0])
            seconds += [s for _status, _message, s in rows]
        return seconds

    # --- the stories
    def test_added_on_node_1_is_active_on_node_3(self):
        took = {}
        for storage, words in (("dir", f"dir more --path {SHELF}/more --shared 1"),
                               ("nfs", f"nfs filer --server {nfs.ADDRESSES[1]} --export /vm1 --path /mnt/pve/filer --options vers=4.2")):
            name = words.split()[1]
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                seen = pool.submit(lambda name=name: (self.wait_active(name, 3), time.monotonic())[1])
                self.must(1, f"pvesm add {words}")
                added = time.monotonic()
                took[storage] = max(0.0, seen.result() - added)
            self.assertIn(name, self.must(3, "pvesm status"))
        self.tell("told", "active on node 3 " + ", ".join(f"{s * 1000:.0f} ms after `pvesm add {name}` on node 1" for name, s in took.items()))
        self.assertLess(max(took.values()), 1.0 * BUSY)
        self.must(2, "pvesm remove filer")
        for n in NODES:
            wait_until(lambda n=n: self.on(n, "grep ' /mnt/pve/filer ' /proc/self/mounts")[0] != 0, f"filer is unmounted on node {n}", 30, 0.1)
        self.tell("told", "removed on node 2: unmounted on all three")

    @only_soak("a story of its own servers")
    def test_two_servers_of_one_name_are_not_one_storage(self):
        for n in NODES:
            self.must(n, f"echo {nfs.ADDRESSES[2 if n == 3 else 1]} nas >> /etc/hosts")
        self.addCleanup(lambda: [self.must(n, "sed -i '/ nas$/d' /etc/hosts") for n in NODES])
        add = "pvesm add nfs nas --server nas --export /both --path /mnt/pve/nas --options vers=4.2 --content snippets"
        status, text = self.on(1, add, timeout=90)
        self.assertNotEqual(status, 0, text)
        self.assertIn("n3", text)
        self.assertNotIn("n2", text)
        self.assertNotIn("nas", self.must(1, "cat /etc/pve/storage.cfg"))
        for server in (1, 2):
            left = [name for _top, _dirs, names in os.walk(nfs.both(self.lab, server)) for name in names]
            self.assertEqual(left, [], "marks are taken away")
        self.tell("during", f"'nas' is another server on node 3: {text.splitlines()[0]}")
        self.must(3, f"sed -i 's/.* nas$/{nfs.ADDRESSES[1]} nas/' /etc/hosts")
        self.must(1, add, timeout=90)
        for n in NODES:
            self.wait_active("nas", n)
        self.tell("after", "the same on all nodes: accepted, active on all")

    def test_a_node_cut_off_refuses_at_once_and_loses_nothing(self):
        self.must(3, "pvesm alloc shelf 100 vm-100-disk-0.raw 4M && pvesm activate shelf:100/vm-100-disk-0.raw")
        writer = Writer(self.lab, 3, self.must(3, "pvesm path shelf:100/vm-100-disk-0.raw"))
        self.must(3, "echo before > /etc/pve/story/before")
        self.fault("split", "1,2", "3")
        cluster.wait_quorum(self.lab, 3, False, [3])
        wait_until(lambda: self.api(3, "GET", "/cluster/status")[1]["data"][0]["quorate"] == 0, "storaged on node 3 knows that it is alone", 60, 0.1)
        seconds = self.refused(3, scaled(200))
        nothing = [s for _status, _message, s in self.api(3, "--times", str(scaled(200)), "GET", "/version")]
        self.tell("during", f"a call that does nothing at all, on the machine as it is: p99 {p99(nothing) * 1000:.1f} ms, longest {max(nothing) * 1000:.1f} ms")
        self.tell("during", f"node 3 alone: {len(seconds)} writes refused with `no quorum`, p50 {sorted(seconds)[len(seconds) // 2] * 1000:.1f} ms, "
                            f"p99 {p99(seconds) * 1000:.1f} ms, longest {max(seconds) * 1000:.1f} ms")
        self.assertLess(p99(seconds), 0.1 * BUSY)
        status, text = self.on(3, "timeout 20 sh -c 'echo x > /etc/pve/story/alone'")
        self.assertNotEqual(status, 0, text)
        self.assertEqual(self.must(3, "cat /etc/pve/story/before"), "before")
        self.assertIn("vm-100-disk-0.raw", self.must(3, "pvesm list shelf"))
        writer.moves("node 3 is cut off")
        self.wait_writable(1)
        self.must(1, f"pvesm add dir meanwhile --path {SHELF}/meanwhile && pvesm alloc shelf 101 vm-101-disk-0.raw 1M "
                     "&& echo meanwhile > /etc/pve/story/meanwhile")
        self.assertIn("meanwhile", self.must(2, "pvesm status"))
        self.tell("during", "it reads on and its volume is written on; nodes 1 and 2 add and alloc")
        begun = time.monotonic()
        self.fault("heal")
        self.wait_config(3)
        self.wait_active("meanwhile", 3)
        self.tell("after", f"healed: node 3 has all and changes things {time.monotonic() - begun:.1f} s later")
        self.assertEqual(self.must(3, "cat /etc/pve/story/before /etc/pve/story/meanwhile"), "before\nmeanwhile")
        writer.moves("node 3 is back")
        writer.end()
        self.must(3, "pvesm deactivate shelf:100/vm-100-disk-0.raw")
        self.assertIn("story/meanwhile", self.wait_same_trees())

    def test_what_was_changed_alone_is_kept_and_told(self):
        self.must(1, "echo common > /etc/pve/story/file")
        wait_until(lambda: self.on(3, "cat /etc/pve/story/file")[1] == "common", "node 3 has the file", 30, 0.05)
        self.fault("split", "1,2", "3")
        cluster.wait_quorum(self.lab, 3, False, [3])
        # What an administrator does on a node that is alone: local mode, and an edit.
        self.stop_clusterfs(3)
        self.must(3, "/build/clusterfs --local >> /run/clusterfs.log 2>&1 < /dev/null")
        self.wait_writable(3)
        self.must(3, "for i in 1 2 3 4 5; do echo alone $i > /etc/pve/story/file; done; echo mine > /etc/pve/story/mine")
        self.wait_writable(1)
        self.must(1, "echo majority > /etc/pve/story/file")
        self.stop_clusterfs(3)
        self.fault("heal")
        self.start_clusterfs(3)
        self.wait_writable(3)
        for n in NODES:
            wait_until(lambda n=n: self.on(n, "cat /etc/pve/story/file")[1] == "majority", f"node {n} has the majority's file", 60, 0.1)
        self.assertNotIn("story/mine", self.wait_same_trees())
        kept = self.must(3, "cd /var/lib/storaged/clusterfs/conflicts/*/ && cat tree/story/file tree/story/mine REPORT")
        self.assertIn("alone 5\nmine\n", kept + "\n")
        self.assertIn("changed story/file", kept)
        told = self.must(3, "pvesm cluster status")
        self.assertIn("conflicts", told)
        self.tell("after", "the majority's tree is everywhere; node 3's own edits: " + next(l for l in told.splitlines() if "conflicts" in l).strip())
        self.must(3, "rm -r /var/lib/storaged/clusterfs/conflicts/*")

    def stop_clusterfs(self, n, how="TERM"):
        self.must(n, f"p=$(pidof clusterfs); kill -{how} $p; while kill -0 $p 2> /dev/null; do sleep 0.05; done", timeout=60)

    def start_clusterfs(self, n):
        """As systemd does when it has ended (Restart=on-failure)."""
        self.must(n, "setsid /build/clusterfs >> /run/clusterfs.log 2>&1 < /dev/null", timeout=60)

    def test_killed_and_frozen_daemons_are_got_over(self):
        self.must(2, "kill -STOP $(pidof clusterfs)")
        self.addCleanup(self.on, 2, "kill -CONT $(pidof clusterfs)")
        rows = self.api(2, "--times", "20", "GET", "/nodes/n2/storage")
        slow = max(s for _status, _message, s in rows)
        self.assertEqual({status for status, _m, _s in rows}, {200})
        self.assertLess(slow, 0.5 * BUSY)
        answer = self.api(2, "POST", "/storage", "storage=frozen", "type=dir", "path=/tmp")
        self.assertNotEqual(answer[0], 200, answer)
        self.tell("during", f"clusterfs of node 2 stands still: its storages' status within {slow * 1000:.0f} ms; a write: {answer[1]['message']}")
        self.wait_writable(1)
        self.must(1, "echo frozen > /etc/pve/story/file")
        self.must(2, "kill -CONT $(pidof clusterfs)")
        self.wait_config(2)
        wait_until(lambda: self.on(2, "cat /etc/pve/story/file")[1] == "frozen", "node 2 has what it missed", 60, 0.1)

        self.stop_clusterfs(2, "KILL")
        answer = self.api(2, "PUT", "/storage/shelf", "content=images")
        self.assertNotEqual(answer[0], 200, answer)
        self.must(2, "pvesm list shelf")
        self.start_clusterfs(2)
        self.wait_config(2)
        self.tell("after", "clusterfs of node 2 killed and started again: it changes things again")

        self.must(2, "p=$(pidof corosync); kill -9 $p; while kill -0 $p 2> /dev/null; do sleep 0.05; done")
        wait_until(lambda: "no quorum" in self.api(2, "PUT", "/storage/shelf", "content=images")[1].get("message", ""), "node 2 refuses", 60, 0.1)
        self.must(2, "pvesm list shelf && cat /etc/pve/story/file")
        self.must(2, "corosync")
        self.wait_config(2)
        self.wait_same_trees()
        self.tell("after", "corosync of node 2 killed and started again: no quorum meanwhile, then it changes things again")


if __name__ == "__main__":
    main()
