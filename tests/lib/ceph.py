# SPDX-License-Identifier: GPL-2.0-or-later
"""A black-box test against a real Ceph cluster on this machine: monitors, a manager and OSDs of the lab's cached root file
system in a network namespace of their own, no nodes. One cluster a class, up in 2-3 s; storaged of each test runs beside it."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import unittest

import harness
from harness import REPO, DaemonTest, needs_program, needs_root

sys.path.insert(0, os.path.join(REPO, "tests", "lab"))
from labkit import ceph  # noqa: E402
from labkit.state import Lab, LabError  # noqa: E402

SCALE = float(os.environ.get("COUNT_SCALE", "0.1"))  # of the counts that issues name: `make soak-lab` has 1
MONHOST = " ".join(ceph.LOOPBACK[:1])
MONHOSTS = " ".join(ceph.LOOPBACK)


def scaled(count):
    return max(1, round(count * SCALE))


@needs_root("a Ceph cluster on loopback needs root")
@needs_program("mmdebstrap")
class CephTest(DaemonTest):
    """CEPH: arguments of labkit.ceph.up(). self.lab, self.d; add_rbd() defines a storage."""
    CEPH = {}
    POOLS = ("rbd",)

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(f"rb{os.getpid()}")
        cls.lab.own()
        try:
            seconds, state = ceph.up(cls.lab, addresses=ceph.LOOPBACK, pools=cls.POOLS, **cls.CEPH)
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
    def add_rbd(self, storage="kube", pool=None, keyring=None, monhost=MONHOST, **props):
        """An external cluster's pool; the pool is made if it is not named. Gives its name."""
        pool = pool or self.fresh_pool()
        path = os.path.join(self.tmp, f"{storage}.keyring")
        with open(path, "w", encoding="utf-8") as f:
            f.write(keyring or self.admin_keyring())
        self.d.pvesm("add", "rbd", storage, "--monhost", monhost, "--pool", pool, "--keyring", path,
                     *(w for k, v in props.items() for w in (f"--{k.replace('_', '-')}", v)))
        return pool


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

__all__ = ["CephTest", "LabError", "MONHOST", "MONHOSTS", "ceph", "contextlib", "json", "scaled", "shutil", "unittest"]
