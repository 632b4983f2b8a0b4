# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU guest on a lab's node that writes a counter to its disk all the time (tests/lab/counter.S), and can migrate live."""
import json
import os
import struct
import subprocess
import time

from harness import REPO, wait_until
from labkit import node

BLOCKS = 64
SOURCE = os.path.join(REPO, "tests", "lab", "counter.S")

_QMP = r"""
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1]); f = s.makefile("rw")
f.readline()
for name, words in (("qmp_capabilities", {}), (sys.argv[2], json.loads(sys.argv[3]))):
    f.write(json.dumps({"execute": name, "arguments": words}) + "\n"); f.flush()
    while True:
        reply = json.loads(f.readline())
        if "return" in reply or "error" in reply:
            break
print(json.dumps(reply))
"""


class Counter:
    """The guest; its disk is a block device that the caller has made active on the node."""

    def __init__(self, lab, name, disk, port=4444):
        self.lab, self.name, self.disk, self.port = lab, name, disk, port
        self.n = 0  # the node it runs on
        image = os.path.join(lab.share, "counter.img")
        if not os.path.exists(image):
            subprocess.run(["as", "--32", "-o", image + ".o", SOURCE], check=True)
            subprocess.run(["ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00", "-o", image + ".new", image + ".o"], check=True)
            os.truncate(image + ".new", 1440 * 1024)
            os.rename(image + ".new", image)
        with open(os.path.join(lab.share, "qmp.py"), "w", encoding="utf-8") as f:
            f.write(_QMP)

    def _start(self, n, more=""):
        node.must(self.lab, n, f"rm -f /run/{self.name}.qmp; setsid qemu-system-x86_64 -name {self.name} -M pc -accel tcg,tb-size=16 -m 16 -nodefaults "
                  f"-display none -no-reboot -serial file:/run/{self.name}.serial -qmp unix:/run/{self.name}.qmp,server=on,wait=off "
                  "-drive if=floppy,format=raw,readonly=on,file=/share/counter.img -boot a "
                  f"-drive if=ide,format=raw,cache=none,file={self.disk} {more} > /run/{self.name}.log 2>&1 < /dev/null & echo $! > /run/{self.name}.pid")
        wait_until(lambda: node.execute(self.lab, n, f"test -S /run/{self.name}.qmp || ! kill -0 $(cat /run/{self.name}.pid)")[0] == 0, f"QEMU on node {n}", 60, 0.1)
        wait_until(lambda: node.execute(self.lab, n, f"kill -0 $(cat /run/{self.name}.pid)")[0] == 0, f"QEMU on node {n}: {self.log(n)}", 1, 0.1)

    def log(self, n):
        return node.execute(self.lab, n, f"cat /run/{self.name}.log")[1].decode(errors="replace")

    def start(self, n):
        self._start(n)
        self.n = n

    def wait_incoming(self, n):
        """QEMU on the target, waiting for the guest."""
        self._start(n, f"-incoming tcp:0:{self.port}")

    def qmp(self, n, command, **arguments):
        reply = json.loads(node.must(self.lab, n, f"python3 /share/qmp.py /run/{self.name}.qmp {command} '{json.dumps(arguments)}'", timeout=60))
        if "error" in reply:
            raise AssertionError(f"{self.name} on node {n}: {command}: {reply['error'].get('desc')}")
        return reply["return"]

    def migrate(self, to, seconds=120):
        """Moves the running guest; gives the milliseconds it stood still. The source's QEMU is ended afterwards."""
        self.qmp(self.n, "migrate", uri=f"tcp:10.77.1.{to}:{self.port}")

        def done():
            status = self.qmp(self.n, "query-migrate")
            if status.get("status") == "failed":
                raise AssertionError(f"migration of {self.name} to node {to} failed: {status.get('error-desc')}; {self.log(to)}")
            return status if status.get("status") == "completed" else None
        status = wait_until(done, f"migration of {self.name} to node {to}", seconds, 0.1)
        source, self.n = self.n, to
        self.end(source)
        return status.get("downtime", 0)

    def is_running(self, n):
        status, _out, _err = node.execute(self.lab, n, f"kill -0 $(cat /run/{self.name}.pid) 2> /dev/null")
        return status == 0 and self.qmp(n, "query-status").get("status") == "running"

    def end(self, n):
        """Ends QEMU there and waits until it is gone."""
        node.must(self.lab, n, f"p=$(cat /run/{self.name}.pid); kill $p 2> /dev/null; while kill -0 $p 2> /dev/null; do sleep 0.05; done", timeout=60)

    def read(self, n):
        """The blocks of the disk as (first word, last word) pairs, past all caches."""
        data = node.execute(self.lab, n, f"dd if={self.disk} bs=32768 count=1 iflag=direct 2> /dev/null", timeout=60)[1]
        return [struct.unpack_from("<128I", data, 512 * i) for i in range(BLOCKS)] if len(data) == 512 * BLOCKS else None

    def count(self, n):
        blocks = self.read(n)
        return max(block[0] for block in blocks) if blocks else 0

    def moves(self, n, when, seconds=60):
        """Waits until it has written some more; gives the seconds."""
        begun, before = time.monotonic(), self.count(n)
        wait_until(lambda: self.count(n) > before + 2, f"{self.name} on node {n} counts on ({when})", seconds, 0.1)
        return time.monotonic() - begun

    def damage(self, n):
        """What is wrong on the disk of a guest that has ended: the last 64 numbers must be there, each whole, each in its place."""
        blocks = self.read(n)
        wrong = [f"block {i} is torn: {block[0]}..{block[127]}" for i, block in enumerate(blocks) if len(set(block)) != 1]
        top = max(block[0] for block in blocks)
        for number in range(max(1, top - BLOCKS + 1), top + 1):
            found = blocks[number % BLOCKS][0]
            if found != number:
                wrong.append(f"number {number} is lost: block {number % BLOCKS} has {found}, the last is {top}")
        return wrong
