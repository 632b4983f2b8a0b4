# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU guest on a lab's node that counts on its disk all the time, and can migrate live (tests/lab/node/guest)."""
import json

from labkit import node

GUEST = "/share/node/guest"


class Counter:
    """The guest; its disk is a block device that the caller has made active on the node."""

    def __init__(self, lab, name, disk, port=4444):
        self.lab, self.name, self.disk, self.port = lab, name, disk, port
        self.n = 0  # the node it runs on

    def _guest(self, n, *words, seconds=120):
        return node.must(self.lab, n, f"{GUEST} {' '.join(map(node.quote, words))}", timeout=seconds).strip()

    def start(self, n):
        self._guest(n, "start", self.name, self.disk)
        self.n = n

    def wait_incoming(self, n):
        """QEMU on the target, waiting for the guest."""
        self._guest(n, "start", self.name, self.disk, self.port)

    def qmp(self, n, command, **arguments):
        return json.loads(self._guest(n, "qmp", self.name, command, json.dumps(arguments)))

    def migrate(self, to, seconds=180):
        """Moves the running guest; gives the milliseconds it stood still. The source's QEMU is ended afterwards."""
        moved = json.loads(self._guest(self.n, "move", self.name, f"10.77.1.{to}", self.port, seconds=seconds))
        self.n = to
        return moved["downtime"]

    def is_running(self, n):
        status, out, _err = node.execute(self.lab, n, f"{GUEST} qmp {self.name} query-status")
        return status == 0 and json.loads(out).get("status") == "running"

    def end(self, n):
        """Ends QEMU there and waits until it is gone."""
        self._guest(n, "end", self.name)

    def count(self, n):
        return int(self._guest(n, "count", self.disk))

    def moves(self, n, _when):
        """Waits until it has written some more."""
        self._guest(n, "counts", self.name, self.disk)

    def damage(self, n):
        """What is wrong on the disk of a guest that has ended: the last 64 numbers must be there, each whole, each in its place."""
        return json.loads(node.execute(self.lab, n, f"{GUEST} damage {self.disk}", timeout=60)[1])
