#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes docs/clusterfs-posix.md: the same script (posix.py) on clusterfs, a plain directory and, where there is one, pmxcfs.

    posix_table.py          prints the document; make clusterfs-posix writes it
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_local import Local, posix

HEAD = """# What file operations do on clusterfs

Written by `make clusterfs-posix`: the actions of tests/clusterfs/posix.py on clusterfs (local mode), a plain directory
({plain}){pmxcfs}. A cell is what the action returned, or the error. The column of clusterfs is compared with
what it must be, and with this table, by tests/clusterfs/test_local.py.

"""


def fs_type(path):
    r = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True)
    return r.stdout.strip()


def pmxcfs():
    """Its mount point, if this machine has one."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        for line in f:
            source, point, kind = line.split()[:3]
            if point == "/etc/pve" and kind.startswith("fuse") and source == "/dev/fuse":
                return point
    return None


def document():
    with Local() as l, tempfile.TemporaryDirectory(prefix="posix-") as plain:
        columns = {"clusterfs": posix.run(l.mnt), "plain directory": posix.run(plain)}
        kind = fs_type(plain)
    there = pmxcfs()
    if there:
        columns["pmxcfs"] = posix.run(there)
    return HEAD.format(plain=kind, pmxcfs=", and pmxcfs" if there else "; there was no pmxcfs on this machine") + posix.table(columns)


if __name__ == "__main__":
    print(document())
