# SPDX-License-Identifier: GPL-2.0-or-later
"""
A SAS disk with two ports in a node of the Fibre Channel SAN, plugged in while the node runs: two adapters (QEMU's LSI
SAS1068, the kernel's own driver mptsas), and behind each the same disk under one name. Of it multipathd makes one map.
"""
import contextlib
import os

from . import fc
from .state import LabError, wait_for

WWN = 0x5000C50012345678
WWID = f"3{WWN:x}"
DEVICE = f"/dev/mapper/{WWID}"
DISK = "sas-disk"
ADAPTERS = dict(enumerate(fc.SLOTS))  # number: slot


def plug(lab, node, megabytes):
    """Adapters and disk go in at one moment of the node's time: the adapter's model tells nobody of a disk that comes later."""
    m = fc.machine(lab, node)
    image = os.path.join(fc.folder(lab), f"{node}.{DISK}")
    with open(image, "wb") as f:
        f.truncate(megabytes << 20)
    m.qmp("blockdev-add", **{"driver": "raw", "node-name": DISK, "file": {"driver": "file", "filename": image, "locking": "off"}})
    m.pause()
    try:
        for k, slot in ADAPTERS.items():
            m.qmp("device_add", driver="mptsas1068", id=f"sas{k}", bus=f"slot{slot}", sas_address=WWN + 0x100 * (k + 1))
            m.qmp("device_add", **{"driver": "scsi-hd", "id": f"{DISK}{k}", "bus": f"sas{k}.0", "scsi-id": 0, "drive": DISK, "share-rw": True,
                                   "wwn": WWN, "port_wwn": WWN + k + 1, "port_index": k + 1, "serial": "SAS1", "vendor": "LAB",
                                   "product": "SAS-DISK"})
    finally:
        m.resume()


def resize(lab, node, megabytes):
    """The disk grows; a unit attention says so at both ports, and no more."""
    fc.machine(lab, node).qmp("block_resize", **{"node-name": DISK, "size": megabytes << 20})


def pull(lab, node, adapter):
    """Takes an adapter out; the node's kernel is asked and lets go of it soon after."""
    with contextlib.suppress(LabError):  # it is out, or on its way
        fc.machine(lab, node).qmp("device_del", id=f"sas{adapter}")


def unplug(lab, node):
    """Takes all of it out, and waits until it is."""
    def gone():
        with contextlib.suppress(LabError):  # still in use by an adapter
            fc.machine(lab, node).qmp("blockdev-del", **{"node-name": DISK})
            return True
        return False
    for adapter in ADAPTERS:
        pull(lab, node, adapter)
    wait_for(f"{node}: the SAS adapters to be let go of", gone, 120, 0.2)
