#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hooks/libvirt/qemu, called as libvirt calls it, on two nodes that share a cluster directory and a storage."""
import importlib.machinery
import importlib.util
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import Daemon, DaemonTest, REPO, main, run, wait_until

XML = """<domain type='kvm' id='1'>
  <name>web</name>
  <uuid>9f0e0f5e-1111-4222-8333-444455556666</uuid>
  <memory unit='KiB'>2097152</memory>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='{top}/images/100/vm-100-disk-0.raw' index='2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <source file='{top}/images/100/vm-100-disk-1.raw'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <source file='{top}/images/100/vm-100-disk-2.raw'/>
      <target dev='vdc' bus='virtio'/>
      <shareable/>
    </disk>
    <disk type='file' device='cdrom'><source file='{top}/template/iso/x.iso'/><target dev='sda'/><readonly/></disk>
    <disk type='file' device='cdrom'><target dev='sdb'/><readonly/></disk>
    <disk type='file' device='disk'><source file='/elsewhere/images/100/vm-100-disk-0.raw'/><target dev='vdd'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='rbd/vm-100-disk-9'/><target dev='vde'/></disk>
    <interface type='bridge'><source bridge='br0'/></interface>
  </devices>
</domain>"""
ONE, TWO, SHARED = (f"sh:100/vm-100-disk-{i}.raw" for i in range(3))


class Hook(DaemonTest):
    wants_daemon = False

    def setUp(self):
        super().setUp()
        self.top = self.tmp + "/sh"
        os.makedirs(self.tmp + "/cluster")
        os.makedirs(self.top)
        self.nodes = {}
        for n in ("n1", "n2"):
            os.makedirs(f"{self.tmp}/{n}/etc")
            os.symlink(self.tmp + "/cluster", f"{self.tmp}/{n}/etc/pve")
            self.nodes[n] = Daemon(f"{self.tmp}/{n}", node=n)
            self.daemons.append(self.nodes[n])
        d = self.nodes["n1"]
        d.add_dir("sh", self.top, shared=1)
        wait_until(lambda: [s for s in self.nodes["n2"].get("/storage") if s["storage"] == "sh"], "both know the storage")
        for i in range(3):
            d.alloc("sh", 100, f"vm-100-disk-{i}.raw")

    def hook(self, node, *words, xml=None, check=True):
        env = dict(os.environ, STORAGED_ROOT=f"{self.tmp}/{node}", STORAGED_NODE=node)
        return run(f"{REPO}/hooks/libvirt/qemu", "web", *words, env=env, check=check,
                   stdin=(XML.format(top=self.top) if xml is None else xml).encode())

    def holders(self, volid):
        d = self.nodes["n1"]
        return [r["node"] for r in d.get(d.at("sh", "/holders"), volume=volid) if r["what"] == "lease"]

    def held(self):
        return self.holders(ONE), self.holders(TWO)

    def migrate(self, op, **more):
        for v in (ONE, TWO):
            self.nodes["n1"].post("/cluster/migrate", op=op, volume=v, **more)

    def test_a_guest_starts_on_one_node(self):
        self.hook("n1", "prepare", "begin", "-")
        self.assertEqual(self.held(), (["n1"], ["n1"]))
        self.assertEqual(self.holders(SHARED), [])
        r = self.hook("n2", "prepare", "begin", "-", check=False)
        self.assertEqual(r.rc, 1)
        self.assertIn("on node 'n1'", r.err)
        for words in (("start", "begin", "-"), ("started", "begin", "-"), ("migrate", "begin", "-"), ("stopped", "end", "-"),
                      ("reconnect", "begin", "-")):
            self.assertEqual(self.hook("n1", *words).out, "", words)
        self.hook("n1", "release", "end", "shutdown")
        self.assertEqual(self.held(), ([], []))
        self.hook("n2", "prepare", "begin", "-")
        self.assertEqual(self.held(), (["n2"], ["n2"]))

    def test_a_start_that_is_refused_leaves_nothing(self):
        d = self.nodes["n2"]
        d.post(d.at("sh", "/activate"), volume=TWO)
        self.assertEqual(self.hook("n1", "prepare", "begin", "-", check=False).rc, 1)
        self.assertEqual(self.held(), ([], ["n2"]))
        self.assertEqual(self.hook("n1", "reconnect", "begin", "-").rc, 0, "a running guest is not ended")

    def test_migration_that_goes_well(self):
        for reason in ("migrated", "-"):
            self.hook("n1", "prepare", "begin", "-")
            self.migrate("prepare", target="n2")
            self.hook("n2", "migrate", "begin", "-")
            self.hook("n2", "prepare", "begin", "-")
            self.assertEqual(self.held(), (["n1", "n2"], ["n1", "n2"]))
            self.hook("n1", "release", "end", reason)
            wait_until(lambda: not os.listdir(self.tmp + "/cluster/priv/storaged/tickets"), "the target's half follows")
            self.assertEqual(self.held(), (["n2"], ["n2"]))
            self.hook("n2", "release", "end", "shutdown")
            self.assertEqual(self.held(), ([], []))

    def test_migration_that_fails(self):
        for reason in ("failed", "-"):
            self.hook("n1", "prepare", "begin", "-")
            self.migrate("prepare", target="n2")
            self.hook("n2", "prepare", "begin", "-")
            self.hook("n2", "release", "end", reason)
            wait_until(lambda: not os.listdir(self.tmp + "/cluster/priv/storaged/tickets"), "the source's half follows")
            self.assertEqual(self.held(), (["n1"], ["n1"]))

    def test_a_guest_that_ends_before_the_target_came(self):
        self.hook("n1", "prepare", "begin", "-")
        self.migrate("prepare", target="n2")
        self.hook("n1", "release", "end", "shutdown")
        self.assertEqual(self.held(), ([], []))

    def test_rbd_images_and_devices_are_found(self):
        loader = importlib.machinery.SourceFileLoader("libvirt_hook", REPO + "/hooks/libvirt/qemu")
        hook = importlib.util.module_from_spec(importlib.util.spec_from_loader("libvirt_hook", loader))
        loader.exec_module(hook)
        paths = {"ceph:vm-100-disk-9": "rbd:rbd/vm-100-disk-9:conf=/etc/ceph/ceph.conf", "ns:vm-100-disk-1": "rbd:kube/a/vm-100-disk-1:id=x",
                 "san:vm-100-disk-0": "/dev/vg-one/vm-100-disk-0"}
        storages = [{"type": "rbd", "storage": "ceph"}, {"type": "rbd", "storage": "ns", "pool": "kube", "namespace": "a"},
                    {"type": "lvm", "storage": "san", "vgname": "vg-one"}]

        def call(method, path, **params):
            if path == "/storage":
                return storages
            if params["volume"] not in paths:
                raise hook.Refused("no such volume")
            return {"path": paths[params["volume"]]}
        hook.call = call
        disks = "".join(f"<disk type='network' device='disk'><source protocol='{p}' name='{n}'/></disk>" for p, n in
                        (("rbd", "rbd/vm-100-disk-9"), ("rbd", "kube/a/vm-100-disk-1"), ("rbd", "kube/vm-100-disk-1"),
                         ("iscsi", "rbd/vm-100-disk-9"), ("rbd", "other/vm-100-disk-9")))
        disks += "<disk type='block' device='disk'><source dev='/dev/mapper/vg--one-vm--100--disk--0'/></disk>"
        found = hook.volumes_of(f"<domain><devices>{disks}</devices></domain>")
        self.assertEqual([v for v, _ in found], list(paths))

    def test_what_is_not_ours(self):
        self.assertEqual(self.hook("n1", "prepare", "begin", "-", xml="<domain><devices/></domain>").rc, 0)
        self.assertEqual(self.hook("n1", "prepare", "begin", "-", xml="<domain>", check=False).rc, 1)
        self.assertEqual(self.hook("n1", "release", "end", "-", xml="").rc, 0)
        self.nodes["n1"].stop()
        self.assertEqual(self.hook("n1", "prepare", "begin", "-", xml="<domain><devices/></domain>").rc, 0)
        r = self.hook("n1", "prepare", "begin", "-", check=False)
        self.assertEqual(r.rc, 1)
        self.assertIn("storaged can't be asked", r.err)


if __name__ == "__main__":
    main()
