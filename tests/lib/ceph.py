# SPDX-License-Identifier: GPL-2.0-or-later
"""A black-box test against a real Ceph cluster on this machine: monitors, a manager and OSDs of the lab's cached root file
system in a network namespace of their own, no nodes. One cluster a class, up in 2-3 s; storaged of each test runs beside it."""
import json
import os
import signal
import socket
import subprocess
import sys

import harness
from harness import REPO, DaemonTest, needs_program, needs_root

sys.path.insert(0, os.path.join(REPO, "tests", "lab"))
from labkit import ceph  # noqa: E402
from labkit.state import Lab, LabError  # noqa: E402

SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # of the counts that issues name: `make soak-lab` has 1


def scaled(count):
    return max(1, round(count * SCALE))


@needs_root("a Ceph cluster on loopback needs root")
@needs_program("mmdebstrap")
class CephTest(DaemonTest):
    """CEPH: arguments of labkit.ceph.up(). self.lab, self.d; add_rbd() defines a storage."""
    CEPH = {}
    POOLS = ("rbd",)
    ADDRESSES = ceph.LOOPBACK

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(f"rb{os.getpid()}")
        cls.lab.own()
        try:
            seconds, state = ceph.up(cls.lab, addresses=cls.ADDRESSES, pools=cls.POOLS, **cls.CEPH)
            print(f"      Ceph in {seconds:.1f} s: {state}", flush=True)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        subprocess.run([os.path.join(REPO, "tests/lab/lab"), "--name", cls.lab.name, "down"], capture_output=True, check=False)

    @property
    def wrapper(self):
        """Programs of the host that are to reach the cluster begin with this."""
        return ("ip", "netns", "exec", self.lab.netns)

    def start_daemon(self, **kwargs):
        return super().start_daemon(wrapper=self.wrapper, **kwargs)

    # --- the cluster
    def mon(self, prefix, /, **more):
        """The answer to a monitor's command."""
        return ceph.command(self.lab, dict(prefix=prefix, **more))[0]

    def inside(self, *argv, stdin=None, check=True, timeout=60):
        """A program of the host beside the cluster."""
        return harness.run(*self.wrapper, *argv, stdin=stdin, check=check, timeout=timeout)

    def fresh_pool(self, name=None):
        """A new, initialised pool."""
        name = name or f"p{os.getpid()}-{self.id().rpartition('.')[2]}"[:60]
        ceph.make_pools(self.lab, [name])
        return name

    def new_key(self, user, **caps):
        """A key for client.USER with these caps; the text of a keyring file."""
        answer = self.mon("auth get-or-create", entity=f"client.{user}", caps=[w for pair in caps.items() for w in pair])
        return f"[client.{user}]\n\tkey = {answer[0]['key']}\n"

    def admin_keyring(self):
        with open(os.path.join(self.lab.share, "ceph", "keyring"), encoding="utf-8") as f:
            return f.read()

    def python(self, script, *args, check=True, timeout=60):
        """A script with librados and librbd (of the cluster's root) beside the daemons."""
        path = os.path.join(self.lab.share, "ceph", "script.py")
        with open(path, "w", encoding="utf-8") as f:
            f.write(PRELUDE + script + "\nsys.stdout.flush()\nos._exit(0)\n")  # librados' threads and a dying interpreter don't mix
        return ceph.server.once(self.lab, ["timeout", str(timeout), "python3", "/share/ceph/script.py", *map(str, args)],
                                root=ceph.facts(self.lab)["root"], check=check)

    # --- a storage on it
    def add_rbd(self, storage="kube", pool=None, keyring=None, monhost=None, **props):
        """An external cluster's pool; the pool is made if it is not named. Gives its name."""
        pool = pool or self.fresh_pool()
        path = os.path.join(self.tmp, f"{storage}.keyring")
        with open(path, "w", encoding="utf-8") as f:
            f.write(keyring or self.admin_keyring())
        self.d.pvesm("add", "rbd", storage, "--monhost", monhost or " ".join(self.ADDRESSES[:self.CEPH.get("mons", 1)]), "--pool", pool, "--keyring", path,
                     *(w for k, v in props.items() for w in (f"--{k.replace('_', '-')}", v)))
        return pool


def mds_key(text):
    """The key alone, as mount.ceph's secret file has it, of a keyring's text."""
    return text.split("key = ")[1].split()[0]


class CephFsTest(CephTest):
    """A cluster with a file system; a storage `files` on it, mounted by ceph-fuse below self.tmp."""
    CEPH = {"mds": 1}
    POOLS = ()

    def add_cephfs(self, storage="files", secret=None, monhost=None, path=None, **props):
        secret_path = os.path.join(self.tmp, f"{storage}.secret")
        with open(secret_path, "w", encoding="utf-8") as f:
            f.write(secret or mds_key(self.admin_keyring()) + "\n")
        props = {"fuse": 1, "content": "iso,backup,vztmpl,snippets", **props}
        return self.d.pvesm("add", "cephfs", storage, "--monhost", monhost or self.ADDRESSES[0], "--keyring", secret_path,
                            "--path", path or os.path.join(self.tmp, "mnt", storage),
                            *(w for k, v in props.items() for w in (f"--{k.replace('_', '-')}", str(v))))

    def fuses(self):
        """The ceph-fuse processes beside the cluster."""
        pids = harness.run("ip", "netns", "pids", self.lab.netns).out.split()
        return [int(p) for p in pids if harness.run("cat", f"/proc/{p}/comm", check=False).out.strip() == "ceph-fuse"]

    def end_fuses(self):
        for pid in self.fuses():
            os.kill(pid, signal.SIGKILL)
        harness.wait_until(lambda: not self.fuses(), "no ceph-fuse")

    def tearDown(self):
        try:
            super().tearDown()
        finally:
            self.end_fuses()
            ceph.mds_evict(self.lab, "a")  # the next test must not wait for what they held


class CephNodes(CephTest):
    """Two storageds, self.n1 and self.n2, each in a network namespace with an address of its own, on one cluster directory. The
    cluster's monitors and OSDs are behind a bridge, as on a network."""
    ADDRESSES = ceph.NETWORK
    wants_daemon = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            for n in (1, 2):
                cls.make_node(n)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def make_node(cls, n):
        name = f"{cls.lab.name}n{n}"
        harness.run("ip", "netns", "add", name)
        harness.run("ip", "-n", cls.lab.netns, "link", "add", f"c{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
        harness.run("ip", "-n", cls.lab.netns, "link", "set", f"c{n}", "master", "br1", "up")
        harness.run("ip", "-n", name, "link", "set", "lo", "up")
        harness.run("ip", "-n", name, "addr", "add", cls.address(n) + "/24", "dev", "eth0")
        harness.run("ip", "-n", name, "link", "set", "eth0", "up")

    @classmethod
    def tearDownClass(cls):
        for n in (1, 2):
            subprocess.run(["ip", "netns", "del", f"{cls.lab.name}n{n}"], capture_output=True, check=False)
        super().tearDownClass()

    @staticmethod
    def address(n):
        return f"10.77.1.{n}"

    def on(self, n):
        return ("ip", "netns", "exec", f"{self.lab.name}n{n}")

    def setUp(self):
        super().setUp()
        self.n1 = self.start_node(1)
        self.n2 = self.start_node(2)
        self.d = self.n1

    def start_node(self, n):
        root = os.path.join(self.tmp, f"n{n}")
        shared = os.path.join(self.tmp, "n1", "etc", "pve")
        os.makedirs(shared, exist_ok=True)
        if n != 1 and not os.path.islink(os.path.join(root, "etc", "pve")):
            os.makedirs(os.path.join(root, "etc"), exist_ok=True)
            os.symlink(shared, os.path.join(root, "etc", "pve"))
        d = harness.Daemon(root, wrapper=self.on(n), node=f"n{n}")
        self.daemons.append(d)
        return d


class Qemu:
    """A guest without an operating system whose disk is written and read by its monitor, as the guest would."""

    def __init__(self, wrapper, folder, name, path, incoming=None):
        self.socket_path = os.path.join(folder, f"{name}.qmp")
        argv = [*wrapper, "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "32", "-nodefaults", "-display", "none", "-S",
                "-drive", f"file={path},format=raw,if=none,id=disk,cache=none", "-device", "virtio-blk-pci,drive=disk",
                "-qmp", f"unix:{self.socket_path},server=on,wait=off"]
        if incoming:
            argv += ["-incoming", incoming]
        self.log = open(os.path.join(folder, f"{name}.log"), "wb")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        preexec_fn=harness.die_with_parent)
        harness.wait_until(lambda: self._is_listening(), f"monitor of {name}: {self.log.name}")
        self.file = self.socket.makefile("rwb")
        self.file.readline()
        self.qmp("qmp_capabilities")

    def _is_listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"QEMU ended with {self.process.returncode}: {open(self.log.name, encoding='utf-8').read()[-500:]}")
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(self.socket_path)
            return True
        except OSError:
            self.socket.close()
            return False

    def qmp(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def io(self, command):
        """`write -P 7 0 4k`, `read -P …`: what QEMU's monitor says."""
        return self.qmp("human-monitor-command", **{"command-line": f'qemu-io disk "{command}"'})

    def migrate_to(self, address):
        """Gives the milliseconds and the downtime."""
        self.qmp("migrate", uri=address)
        done = harness.wait_until(lambda: (lambda q: q if q.get("status") in ("completed", "failed") else None)(self.qmp("query-migrate")),
                                  "end of the migration")
        if done["status"] != "completed":
            raise AssertionError(f"migration: {done}")
        return done["total-time"], done.get("downtime")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.file.close()
        self.socket.close()
        self.log.close()

    def quit(self):
        self.qmp("quit")
        self.process.wait(30)
        self.end()


# What scripts of python() begin with: an admin's connection, `io(pool)`, json, sys.
PRELUDE = """
import json, os, sys, time, rados, rbd
cluster = rados.Rados(conffile='/share/ceph/ceph.conf')
cluster.connect(timeout=10)
def io(pool, namespace=''):
    ctx = cluster.open_ioctx(pool)
    ctx.set_namespace(namespace)
    return ctx
"""

__all__ = ["PRELUDE", "SCALE", "CephFsTest", "CephNodes", "CephTest", "Lab", "LabError", "Qemu", "ceph", "mds_key", "scaled"]
