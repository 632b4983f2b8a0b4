#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of a shared LUN with sanlock, whose leases are on the LUN itself, and with a watchdog that resets a node which loses
them: numbers of the nodes, a volume group, volumes, fights, a hand-over; then the SAN is lost, and lvmlockd is killed.

The tests are in the order of their names, on one lab and one volume group.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import main, wait_until
from labcase import LabCase, SCALE, scaled
from lablvm import PATHS, LvmWords
from laboracle import finds
from labkit import cluster, san

WWID = os.path.basename(san.device(1))
OTHER = os.path.basename(san.device(2))
BOTH = (1, 2)
HIS_OWN = 7  # node 2's number, which its administrator chose
# With the watchdog, and a lvmlockd that can be told to adopt. The nodes' lvmlocal.conf are as on a new machine.
LOCKS = """p=$(pidof lvmlockd sanlock); kill $p; for i in $p; do while kill -0 $i 2> /dev/null; do sleep 0.1; done; done
modprobe softdog soft_margin=60 && wdmd -G sanlock && sanlock daemon -U sanlock -G sanlock -w 1 -h 1
rm -f /etc/lvm/lvmlocal.conf
until sanlock client status > /dev/null 2>&1; do sleep 0.1; done
"""
LOCKD = "lvmlockd -g sanlock -o 2 -A 1; until lvmlockctl -i > /dev/null 2>&1; do sleep 0.1; done"


class Sanlock(LvmWords, LabCase):
    KIND = "ls"
    UP = ("--nodes", "2", "--luns", "2", "--size", "1024", "--lock", "sanlock", "--storaged")

    @classmethod
    def bring_up(cls):
        told = super().bring_up()
        cluster.on_all(BOTH, lambda n: cls.script(n, LOCKS + LOCKD))
        cls.script(2, f"printf 'local {{\\n\\thost_id = {HIS_OWN}\\n}}\\n' > /etc/lvm/lvmlocal.conf")
        return told

    def test_1_each_node_gets_a_number_and_keeps_its_own(self):
        begun = time.monotonic()
        # No lock of LVM's guards the making of the first group. Two at once, of one name: one of them is made.
        create = [f"pvesm lun create-vg {lun} --vgname ibm --locking sanlock" for lun in (WWID, OTHER)]

        def both():
            self.all_paths(BOTH)
            made = self.on_each(lambda n: self.on(n, f"{create[n - 1]} > /run/made 2>&1", timeout=300)[0] == 0, BOTH)
            said = "" if any(made) else self.must(1, "cat /run/made") + self.must(2, "cat /run/made")
            self.assertTrue(any(made) or PATHS in said, said)
            return made if any(made) else None
        made = wait_until(both, "a group that is made", 300)
        self.assertEqual(sorted(made), [False, True], made)
        loser = 1 if made[1] else 2
        said = self.must(loser, "cat /run/made")
        self.assertIn("exists already", said if PATHS not in said else self.refused(loser, create[loser - 1], "exists already"))
        type(self).lun, type(self).other = (OTHER, WWID) if loser == 1 else (WWID, OTHER)
        self.tell("during", f"two nodes made a group of one name at once: node {3 - loser} did, after {time.monotonic() - begun:.1f} s node {loser} was refused")
        self.assertGreaterEqual(int(self.must(1, "vgs --noheadings --nosuffix --units m -o vg_mda_size ibm").split(".")[0]), 8, "room for 5000 volumes")
        self.assertEqual(json.loads(self.must(1, "cat /etc/pve/priv/storaged/host-ids")), {"n1": 1, "n2": HIS_OWN})
        for n, number in ((1, 1), (2, HIS_OWN)):
            self.assertEqual(self.must(n, "lvmconfig local/host_id"), f"host_id={number}")
            self.assertIn("storaged-cut-off", self.must(n, "lvmconfig global/lvmlockctl_kill_command"))
            self.assertIn(f"lvm_ibm:{number}:", self.must(n, "sanlock client status"))
        self.must(1, "pvesm add lvm ibm --vgname ibm --shared 1", timeout=60)
        for n in BOTH:
            wait_until(lambda n=n: "ibm" in self.must(n, "pvesm status"), f"storage on node {n}", 30, 0.2)

    def test_2_one_holder_until_it_is_handed_over(self):
        made = sorted(sum(self.on_each(lambda n: [self.alloc(n, 100, "4M") for _ in range(2)], BOTH), []))
        self.assertEqual(made, [f"ibm:vm-100-disk-{i}" for i in range(4)])
        volume, name = made[0], made[0].split(":")[1]
        self.must(1, f"pvesm activate {volume}")
        self.tell("before", self.refused(2, f"pvesm activate {volume}", "n1").splitlines()[-1][:120])
        for how in ("-aey", "-asy"):
            self.assertEqual(self.on(2, f"lvchange {how} ibm/{name}")[0], 5, f"LVM itself, {how}")
        self.must(1, f"pvesm resize {volume} 8M", timeout=60)
        for source, target in ((1, 2), (2, 1)):
            self.must(source, f"pvesm migrate prepare {volume} --target n{target}", timeout=60)
            self.must(target, f"pvesm activate {volume}", timeout=60)
            self.assertEqual((self.active(1), self.active(2)), ([name], [name]), "during the hand-over")
            self.must(source, f"pvesm migrate commit {volume}", timeout=60)
            wait_until(lambda s=source: not self.active(s), f"node {source} lets go", 60, 0.1)
            self.assertEqual(self.must(target, f"blockdev --getsize64 /dev/ibm/{name}"), str(8 << 20))
            wait_until(lambda: self.on(1, "ls /etc/pve/priv/storaged/tickets | grep -q .")[0] != 0, f"node {target} is alone", 60, 0.2)
            self.assertEqual(self.on(source, f"lvchange -asy ibm/{name}")[0], 5, f"node {target} alone has the lock")
        self.must(1, f"pvesm deactivate {volume}")
        self.tell("during", f"{volume} went to node 2 and back, and was grown on the way")
        for volume in made:
            self.free(2, volume)

    def test_3_two_nodes_fight_for_one_volume(self):
        volume = self.alloc(1, 104)
        self.addCleanup(self.free, 1, volume)
        self.fight(volume, scaled(200) if SCALE >= 1 else 4)

    def test_4_the_san_is_lost_and_another_node_goes_on(self):
        kept = self.alloc(1, 105)
        self.must(1, f"pvesm activate {kept}")
        self.must(1, f"setsid sh -c 'exec sleep 1000 < /dev/ibm/{kept.split(':')[1]}' > /dev/null 2>&1 & echo $! > /run/kept")
        volume, oracle, writer, boot = self.write_and_lose(106)
        name = volume.split(":")[1]
        begun = time.monotonic()
        wait_until(lambda: self.table(1, name) == "error", "the volume is cut off", 120, 0.5)
        self.tell("during", f"all paths of node 1 gone: its volume fails after {time.monotonic() - begun:.1f} s, before the watchdog strikes")
        wait_until(lambda: "lvm_ibm" not in self.must(1, "sanlock client status"), "the lock space has ended on node 1", 120, 0.5)
        self.says_lost(1, volume)
        self.refused(2, f"pvesm activate {volume}", "n1")
        self.refused(2, f"pvesm activate {volume} --force 1 --dead-node n1", "n1")  # it lives, and might write
        self.refused(1, f"pvesm deactivate {volume}", "oracle")
        self.assertNotEqual(finds(writer.end()), {}, "the writer is told")
        # Nothing there can write any more, and it says so without its storage: only now another node may have it.
        self.must(1, f"pvesm deactivate {volume}", timeout=120)
        wait_until(lambda: self.on(2, f"pvesm activate {volume}", timeout=120)[0] == 0, "node 2 gets it", 180, 0.5)
        last = oracle.verify(2)
        self.assertEqual({k: v for k, v in finds(last).items() if k != "errors"}, {}, last)
        self.tell("during", f"node 2 has it after {time.monotonic() - begun:.1f} s: all {last['logged']} acknowledged blocks are there")
        self.find_san(1)
        self.the_old_holder_is_back(volume, kept)
        self.must(2, f"pvesm deactivate {volume}")
        wait_until(lambda: self.on(1, f"pvesm activate {volume}", timeout=180)[0] == 0, "node 1 gets it again", 180, 0.5)
        self.assertEqual(self.boot_id(1), boot)
        wait_until(lambda: self.state(1) == ("active", None), "node 1 has the storage again", 60, 0.5)
        self.tell("after", "and comes back to node 1, without a reboot")
        self.must(1, f"pvesm deactivate {volume}")
        for v in (volume, kept):
            self.free(1, v)

    def the_old_holder_is_back(self, volume, kept):
        """Node 1 has its paths again: what it was cut off from stays so for whoever has it open, and what node 2 has it does not get."""
        name = kept.split(":")[1]
        self.assertEqual(self.table(1, name), "error", "with its paths it is not what it was")
        self.assertNotEqual(self.on(1, f"dd if=/dev/zero of=/dev/mapper/ibm-{name.replace('-', '--')} bs=4096 count=1 oflag=direct")[0], 0, "it writes again")
        self.refused(1, f"pvesm activate {volume}", "n2")
        self.assertEqual(self.on(1, f"lvchange -aey ibm/{volume.split(':')[1]}", timeout=120)[0], 5, "without its lock")
        self.assertEqual(self.table(1, volume.split(":")[1]), "")
        self.refused(1, f"pvesm deactivate {kept}", "sleep")
        self.must(1, "kill $(cat /run/kept)")
        wait_until(lambda: self.on(1, f"pvesm deactivate {kept}", timeout=120)[0] == 0, "node 1 lets go of what it was cut off from", 60, 0.2)

    def test_5_lvmlockd_is_killed_and_adopts(self):
        self.kill_lockd_and_adopt(LOCKD)

    def test_6_the_volume_group_goes_and_the_global_lock_stays(self):
        self.on_lun(1, BOTH, f"pvesm lun create-vg {self.other} --vgname zwei --locking sanlock")
        self.refused(1, "pvesm lun destroy-vg ibm", "storage 'ibm'")
        self.must(1, "pvesm remove ibm")
        begun = time.monotonic()
        self.must(1, "pvesm lun destroy-vg ibm", timeout=240)
        self.tell("during", f"destroy-vg took {time.monotonic() - begun:.1f} s")
        self.assertEqual([self.on(n, "vgs ibm")[0] for n in BOTH], [5, 5])
        self.assertEqual(self.must(2, f"blkid -p /dev/mapper/{self.lun} || true"), "")
        # Without the global lock no group could be extended.
        self.on_lun(2, BOTH, f"pvesm lun extend-vg {self.lun} --vgname zwei")
        self.assertEqual(self.must(1, "vgs --noheadings -o pv_count zwei"), "2")
        self.refused(1, f"pvesm lun reduce-vg {self.other} --vgname zwei", "zwei")  # sanlock's leases are on it
        self.must(1, f"pvesm lun reduce-vg {self.lun} --vgname zwei", timeout=120)
        self.must(2, "pvesm lun destroy-vg zwei", timeout=240)
        self.assertEqual([self.on(n, "vgs zwei")[0] for n in BOTH], [5, 5])
        self.assertEqual(self.must(2, f"for i in {san.device(1)} {san.device(2)}; do blkid -p $i; done || true"), "")
        self.assertNotIn("lvm_", self.must(2, "sanlock client status"))


if __name__ == "__main__":
    main()
