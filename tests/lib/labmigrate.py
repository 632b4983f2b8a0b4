# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest on a shared volume group moves between nodes, with its volume, under a ticket: for scenarios of lab_lvm*.py."""
import os

from harness import wait_until
from labcase import scaled
from labguest import Counter


def middle(figures):
    return sorted(figures)[len(figures) // 2]


class Moves:
    """Mixed into a LabCase with LvmWords, whose group is ibm and whose nodes are 1, 2 and 3."""

    def pvesm(self, n, words):
        return self.timed(n, f"pvesm {words}")

    def bare(self, source, target):
        """What LVM's own commands take for the same, of another volume, while the guest runs on the source."""
        lv = "ibm/bare"
        self.must(source, "lvcreate -q -an -Wn -Zn -L 4M -n bare ibm", timeout=60)
        self.timed(source, f"lvchange -aey {lv}")
        prepare = self.timed(source, f"lvchange -asy {lv}")
        activate = self.timed(target, f"lvchange -asy {lv}")
        commit = self.timed(source, f"lvchange -an {lv}") + self.timed(target, f"lvchange -aey {lv}")
        self.timed(target, f"lvchange -an {lv}")
        self.must(source, f"lvremove -qq -y {lv}", timeout=60)
        return prepare + commit, activate

    def hand_over(self, guest, volume, source, target, third):
        """One migration, step by step; gives (seconds of prepare and commit, milliseconds the guest stood still)."""
        name = volume.split(":")[1]
        storage = self.pvesm(source, f"migrate prepare {volume} --target n{target}")
        self.activations.append(self.pvesm(target, f"activate {volume}"))
        guest.wait_incoming(target)
        self.assertNotEqual(self.on(third, f"pvesm activate {volume} 2> /dev/null", timeout=60)[0], 0, "a third node, during the hand-over")
        self.assertNotIn(name, self.active(third))
        downtime = guest.migrate(target)
        storage += self.pvesm(source, f"migrate commit {volume}")
        wait_until(lambda: name not in self.active(source), f"node {source} lets go", 60, 0.1)
        self.assertIn(name, self.active(target))
        return storage, downtime

    def back_and_forth(self):
        volume = self.alloc(1, 200, "4M")
        guest = Counter(self.lab, "counter", f"/dev/ibm/{volume.split(':')[1]}")
        self.pvesm(1, f"activate {volume}")
        guest.start(1)
        guest.moves(1, "start")
        begun_at = guest.count(1)
        times, stood, self.activations = [], [], []
        for i in range(scaled(50)):
            source, target = (1, 2) if i % 2 == 0 else (2, 1)
            if i == 1:  # a path is pulled while it moves
                self.fault("path-down", source, 2)
                self.addCleanup(self.fault, "path-up", source, 2)
            seconds, downtime = self.hand_over(guest, volume, source, target, 3)
            times.append(seconds)
            stood.append(downtime)
            guest.moves(target, f"after migration {i + 1}")
        holder = guest.n
        bare, bare_activation = self.bare(holder, 3 - holder)
        count = guest.count(holder)
        guest.end(holder)
        self.assertEqual(guest.damage(holder), [])
        self.assertNotIn("E", self.must(holder, f"cat /run/{guest.name}.serial"))
        self.assertGreater(count, begun_at)
        self.tell("during", f"{len(times)} live migrations, {count} numbers written, none lost or torn; "
                  f"guest stood still {max(stood)} ms at most; node 3 was refused each time")
        self.pvesm(holder, f"deactivate {volume}")
        mine, activation = middle(times), middle(self.activations)
        self.tell("during", f"storage's part, prepare and commit: {mine:.2f} s, LVM's own commands for it {bare:.2f} s: {mine / bare:.2f} of them; "
                  f"activation on the target {activation:.2f} s, LVM's {bare_activation:.2f} s; load {os.getloadavg()[0]:.0f}")
        self.free(1, volume)
