#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two real libvirtd with QEMU (TCG), the hook where an administrator puts it: it is libvirt that calls it, as guests are started,
refused, live-migrated, fail to migrate, and end."""
import os
import shutil
import subprocess
import sys
import unittest
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import ClusterTest, cluster_is_possible
from harness import IS_ASAN, REPO, die_with_parent, main, run, wait_until

PATIENCE = 120.0  # QEMU by software emulation, on a machine that is busy
# In a mount and UTS namespace of its own: the node's /etc/libvirt, /run and state; storaged's socket where the hook looks.
ROOM = """
set -e
mount --make-rprivate /
mount --bind {top}/run /run
mount --bind {root}/run/storaged /run/storaged
mount --bind {top}/etc /etc/libvirt
mount --bind {top}/lib /var/lib
mount --bind {top}/passwd /etc/passwd
mount --bind {top}/group /etc/group
mount -t tmpfs tmpfs /var/log
mount --bind {cache} /var/cache
hostname {name}
exec "$@"
"""
# Whom libvirt asks for by name while it starts; libvirt-daemon-system would make them.
USERS = (("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin\n"), ("group", "libvirt-qemu:x:64055:\nkvm:x:64056:\nlibvirt:x:64057:\n"))
DAEMON = """unix_sock_dir = "{top}"
auth_unix_rw = "none"
host_uuid = "00000000-0000-4000-8000-00000000000{id}"
log_outputs = "2:file:{top}/libvirtd.log"
ovs_timeout = 5
"""
QEMU = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""
DOMAIN = """<domain type='qemu'>
  <name>web</name>
  <uuid>9f0e0f5e-1111-4222-8333-444455556666</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='none'/>
  </devices>
</domain>"""


def libvirt_is_possible():
    return cluster_is_possible() and all(shutil.which(p) for p in ("libvirtd", "virsh", "qemu-system-x86_64"))


@unittest.skipUnless(libvirt_is_possible(), "needs root, corosync, libvirtd, virsh and qemu-system-x86_64")
@unittest.skipIf(IS_ASAN, "not under a sanitizer")
class Libvirt(ClusterTest):
    n_nodes = 2

    def setUp(self):
        super().setUp()
        self.libvirtds = {}
        self.cache = os.path.join(self.tmp, "cache")  # of what QEMU can do: found out once
        os.makedirs(self.cache)
        self.addCleanup(self.end_libvirt)
        self.n1, self.n2 = self.start_all()
        pool = os.path.join(self.tmp, "pool")
        os.makedirs(pool)
        self.n1.d.post("/storage", type="dir", storage="pool", path=pool, shared=1)
        wait_until(lambda: "pool" in [r["storage"] for r in self.n2.d.get("/storage")], "n2 sees the storage")
        for n, m in ((self.n1, self.n2), (self.n2, self.n1)):
            wait_until(lambda n=n, m=m: n.d.request("GET", f"/nodes/{m.name}/workers").status == 200, f"{n.name} can ask {m.name}")
        self.volid = self.n1.d.alloc("pool", 100, size="16M")
        self.domain = os.path.join(self.tmp, "web.xml")
        with open(self.domain, "w", encoding="utf-8") as f:
            f.write(DOMAIN.format(disk=self.n1.d.path(self.volid)))
        for n in self.nodes:
            self.start_libvirt(n)

    def top(self, node):
        return os.path.join(node.root, "libvirt")

    def start_libvirt(self, node):
        top = self.top(node)
        for folder in ("etc/hooks/qemu.d", "lib", "run/storaged"):
            os.makedirs(os.path.join(top, folder), exist_ok=True)
        for name, text in (("etc/libvirtd.conf", DAEMON), ("etc/qemu.conf", QEMU)):
            with open(os.path.join(top, name), "w", encoding="utf-8") as f:
                f.write(text.format(top=top, id=node.id))
        for name, lines in USERS:
            shutil.copy("/etc/" + name, top)
            with open(os.path.join(top, name), "a", encoding="utf-8") as f:
                f.write(lines)
        if not os.path.lexists(top + "/etc/hooks/qemu.d/storaged"):
            os.symlink(f"{REPO}/hooks/libvirt/qemu", top + "/etc/hooks/qemu.d/storaged")
        argv = ["ip", "netns", "exec", node.name, "unshare", "-m", "--uts", "sh", "-c",
                ROOM.format(top=top, root=node.root, name=node.name, cache=self.cache), "sh", "libvirtd", "-f", "/etc/libvirt/libvirtd.conf"]
        with open(top + "/out", "ab") as out:
            self.libvirtds[node.name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                         preexec_fn=die_with_parent)
        wait_until(lambda: self.answers(node), f"{node.name}: libvirtd answers", PATIENCE, 0.1)

    def answers(self, node):
        if self.libvirtds[node.name].poll() is not None:
            with open(self.top(node) + "/out", encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"{node.name}: libvirtd ended:\n{f.read()[-1500:]}")
        return self.virsh(node, "version", check=False).rc == 0

    def stop_libvirt(self, node):
        p = self.libvirtds.pop(node.name)
        p.terminate()
        p.wait(60)

    def end_libvirt(self):
        for n in self.nodes:
            if n.name in self.libvirtds:
                self.virsh(n, "destroy", "web", check=False)
                self.stop_libvirt(n)

    def uri(self, node):
        return f"qemu+unix:///system?socket={self.top(node)}/libvirt-sock"

    def virsh(self, node, *words, check=True):
        return run("virsh", "-c", self.uri(node), *words, check=check, timeout=PATIENCE)

    def migrate(self, source, target, path, check=True):
        """By virsh, which speaks to both; the guest's memory goes over a Unix socket of the target. libvirt takes a directory for
        another one on each machine, which it is not here: `--unsafe` says so."""
        return self.virsh(source, "migrate", "--live", "--unsafe", "--undefinesource", "web", self.uri(target), f"unix://{path}", check=check)

    def held(self):
        """[(node, alone)]: what another node is told."""
        rows = self.n2.d.get(self.n2.d.at("pool", "/holders"), volume=self.volid)
        return [(r["node"], r["exclusive"]) for r in rows if r["what"] == "lease"]

    def wait_held(self, *expected):
        wait_until(lambda: self.held() == list(expected), f"held by {expected}", 60, 0.05)
        tickets = os.path.join(self.shared, "priv/storaged/tickets")
        wait_until(lambda: not os.listdir(tickets), "no hand-over is under way", 60, 0.05)

    def test_libvirt_calls_the_hook(self):
        n1, n2 = self.n1, self.n2
        self.virsh(n1, "create", self.domain)
        self.assertEqual(self.held(), [("n1", 1)])
        r = self.virsh(n2, "create", self.domain, check=False)
        self.assertNotEqual(r.rc, 0)
        self.assertIn("n1", r.err)
        self.assertEqual(self.held(), [("n1", 1)])

        self.stop_libvirt(n1)
        self.start_libvirt(n1)
        self.assertIn("running", self.virsh(n1, "domstate", "web").out)
        self.assertEqual(self.held(), [("n1", 1)], "reconnect")

        self.migrate(n1, n2, os.path.join(self.tmp, "memory"))
        self.wait_held(("n2", 1))
        self.assertIn("running", self.virsh(n2, "domstate", "web").out)
        self.assertNotEqual(self.virsh(n1, "domstate", "web", check=False).rc, 0)

        # The target can't listen there: it has been prepared by then, and all is taken back.
        r = self.migrate(n2, n1, os.path.join(self.tmp, "no/such/folder/memory"), check=False)
        self.assertNotEqual(r.rc, 0)
        self.wait_held(("n2", 1))
        self.assertIn("running", self.virsh(n2, "domstate", "web").out)

        self.migrate(n2, n1, os.path.join(self.tmp, "memory-back"))
        self.wait_held(("n1", 1))
        self.virsh(n1, "destroy", "web")
        self.wait_held()


if __name__ == "__main__":
    main(namespace=True)
