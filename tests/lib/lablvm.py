# SPDX-License-Identifier: GPL-2.0-or-later
"""What scenarios about shared volume groups say often; the group and its storage are called ibm."""
import concurrent.futures
import contextlib
import json
import re

from harness import wait_until
from labkit import node, san
from laboracle import Oracle

PATHS = "of 4 paths"  # in the refusal of what needs all of them

# Takes LVM's lock on all there is, exclusively, and says so in a file; the kernel takes it back when the program ends.
_GLOBAL_LOCK = r"""
import ctypes, signal
class Status(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("id", ctypes.c_uint32), ("flags", ctypes.c_char), ("value", ctypes.c_char_p)]
dlm = ctypes.CDLL("libdlm_lt.so.3", use_errno=True)
dlm.dlm_open_lockspace.restype = ctypes.c_void_p
space, status, none = dlm.dlm_open_lockspace(b"lvm_global"), Status(), ctypes.c_void_p()
assert space, ctypes.get_errno()
r = dlm.dlm_ls_lock_wait(ctypes.c_void_p(space), 5, ctypes.byref(status), 0, b"GLLK", 4, 0, none, none, none)
assert r == 0 and status.status == 0, (r, ctypes.get_errno(), status.status)
open("/run/global-lock", "w").close()
signal.pause()
"""


class LvmWords:
    """Mixed into a LabCase."""

    @classmethod
    def script(cls, n, text, timeout=120):
        """Before there is a test."""
        return node.must(cls.lab, n, text, timeout=timeout).strip()

    def refused(self, n, command, *words):
        """It fails, and says why in these words. A path that the busy machine lost for a moment is no answer."""
        def attempt():
            status, _out = self.on(n, f"{command} > /run/refused 2>&1", timeout=120)
            text = self.must(n, "cat /run/refused")
            self.assertNotEqual(status, 0, f"node {n}: {command}: {text}")
            return text if PATHS not in text or any(PATHS in word for word in words) else None
        text = wait_until(attempt, f"node {n} to refuse for another reason than its paths: {command}", 120, 0.5)
        for word in words:
            self.assertIn(word, text, f"node {n}: {command}")
        return text

    def timed(self, n, command):
        """Seconds of a command that must succeed, as the node itself takes them."""
        return int(self.must(n, self.clocked(command), timeout=240)) / 1e9

    def alloc(self, n, vmid, size="8M", name="''"):
        return re.search(r"'(\S+)'", self.must(n, f"pvesm alloc ibm {vmid} {name} {size}", timeout=120)).group(1)

    def free(self, n, volume):
        self.must(n, f"pvesm free {volume}", timeout=120)

    def active(self, n):
        """LVs of the group that the kernel of the node has, but for that of sanlock's leases."""
        names = [line.split()[0].replace("--", "-")[4:] for line in self.must(n, "dmsetup ls").split("\n") if line.startswith("ibm-")]
        return sorted(name for name in names if name != "lvmlock")

    def table(self, n, name):
        """The kind of an LV's table: linear, error; '' if it has none."""
        out = self.on(n, f"dmsetup table ibm-{name.replace('-', '--')} 2> /dev/null")[1].split()
        return out[2] if len(out) > 2 else ""

    def state(self, n):
        """(word, reason) of the storage as that node has it."""
        status, out = self.on(n, "pvesm status --storage ibm --output-format json", timeout=60)
        row = json.loads(out)[0] if status == 0 and out else {}
        return row.get("state", row.get("status", "active" if row.get("active") else "?")), row.get("reason")

    @contextlib.contextmanager
    def global_lock(self, n, asks):
        """The node has LVM's lock on all groups meanwhile; a command that names none is refused it, as the node `asks` shows."""
        self.must(n, f"rm -f /run/global-lock; cat > /run/global-lock.py; setsid python3 /run/global-lock.py > /run/global-lock.log 2>&1 "
                     "< /dev/null & echo $! > /run/global-lock.pid", stdin=_GLOBAL_LOCK.encode())
        try:
            wait_until(lambda: self.on(n, "test -e /run/global-lock")[0] == 0, "LVM's global lock", 60, 0.1)
            status, said = self.on(asks, "vgs --config 'global { lvmlockd_lock_retries = 0 }' 2>&1")
            self.assertEqual((status, "Global lock failed" in said), (5, True), said)
            yield
        finally:
            self.must(n, "kill $(cat /run/global-lock.pid)")

    def on_each(self, fn, nodes):
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            return list(pool.map(fn, nodes))

    def fight(self, volume, rounds):
        """Two nodes want it at once, each time: at most one has it."""
        name = volume.split(":")[1]
        won = {1: 0, 2: 0, 0: 0}
        for i in range(rounds):
            command = f"pvesm activate {volume}" if i % 2 else f"lvchange -aey ibm/{name}"
            results = dict(zip((1, 2), self.on_each(lambda n, c=command: self.on(n, c, timeout=60)[0], (1, 2))))
            both = [n for n in (1, 2) if name in self.active(n)]
            self.assertLessEqual(len(both), 1, f"round {i}: active on nodes {both}")
            self.assertLessEqual(sum(r == 0 for r in results.values()), 1, f"round {i}: {results}")
            won[both[0] if both else 0] += 1
            for n in both:
                self.must(n, f"pvesm deactivate {volume}" if i % 2 else f"lvchange -an ibm/{name}", timeout=60)
        self.tell("during", f"{rounds} fights, half of them LVM against LVM: node 1 won {won[1]}, node 2 {won[2]}, nobody {won[0]}; never both")

    def all_paths(self, nodes):
        for n in nodes:
            san.wait_paths(self.lab, n, 4)

    def on_lun(self, n, nodes, command):
        """
        Seconds of a command that all these nodes must have all paths for. On a busy machine one may be lost for a moment at any time, and
        the command is rightly refused: then it is done again.
        """
        def attempt():
            self.all_paths(nodes)
            status, out = self.on(n, self.clocked(command), timeout=300)
            if status != 0 and PATHS not in out:
                self.fail(f"node {n}: {command}: {out}")
            return int(out.split()[-1]) / 1e9 if status == 0 else None
        return wait_until(attempt, f"node {n} to do it with all paths: {command}", 300, 0.5)

    @staticmethod
    def clocked(command):
        return f"s=$(date +%s%N); {command} > /run/timed 2>&1 || {{ cat /run/timed >&2; exit 1; }}; echo $(($(date +%s%N) - s))"

    def lose_san(self, n):
        """Both fabrics: all paths of all LUNs."""
        for fabric in (2, 3):
            self.fault("path-down", n, fabric)
            self.addCleanup(self.fault, "path-up", n, fabric)

    def write_and_lose(self, vmid):
        """A volume that is written to on node 1, which then loses its SAN; gives (volume, oracle, writer, the node's boot id)."""
        volume = self.alloc(1, vmid, "16M")
        self.must(1, f"pvesm activate {volume}")
        oracle = Oracle(self.lab, f"lost{vmid}", f"/dev/ibm/{volume.split(':')[1]}", blocks=64)
        writer = oracle.write(1)
        oracle.watch(1, seconds=1).wait()
        self.lose_san(1)
        return volume, oracle, writer, self.boot_id(1)

    def boot_id(self, n):
        return self.must(n, "cat /proc/sys/kernel/random/boot_id")

    def find_san(self, n):
        for fabric in (2, 3):
            self.fault("path-up", n, fabric)
        san.wait_paths(self.lab, n, 4, seconds=120)

    def says_lost(self, n, volume):
        """Status and holders of the node tell of it."""
        word, reason = wait_until(lambda: (lambda s: s if "cut off" in (s[1] or "") else None)(self.state(n)), f"node {n} tells what was cut off", 120, 0.5)
        self.assertIn("cut off", self.must(n, f"pvesm holders {volume}", timeout=60))
        self.tell("during", f"node {n} says: {word}, {reason[:140]}")

    def kill_lockd_and_adopt(self, start):
        """What is active stays active and locked, before and after lvmlockd runs again."""
        volume = self.alloc(1, 106)
        name = volume.split(":")[1]
        self.must(1, f"pvesm activate {volume}")
        self.must(1, "kill -9 $(pidof lvmlockd)")
        wait_until(lambda: "lvmlockd does not run" in (self.state(1)[1] or ""), "status tells of lvmlockd", 60, 0.5)
        self.refused(1, "pvesm alloc ibm 107 '' 4M", "lvmlockd")
        self.assertEqual(self.on(2, f"lvchange -aey ibm/{name}", timeout=60)[0], 5, "node 2, while node 1 has no lvmlockd")
        self.must(1, f"dd if=/dev/zero of=/dev/ibm/{name} bs=4096 count=1 oflag=direct 2> /dev/null")
        self.must(1, start, timeout=120)
        self.assertEqual(self.on(2, f"lvchange -aey ibm/{name}", timeout=60)[0], 5, "node 2, after node 1 adopted its locks")
        wait_until(lambda: not self.state(1)[1], "the storage is well again", 60, 0.5)
        self.must(1, f"pvesm deactivate {volume}")
        self.must(2, f"pvesm activate {volume}")
        self.must(2, f"pvesm deactivate {volume}")
        self.free(1, volume)
        self.tell("during", "lvmlockd of node 1 was killed: its volume stayed active and locked, and moved on when the next one had adopted the lock")
