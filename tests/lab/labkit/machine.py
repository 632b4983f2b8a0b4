# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine that the lab is to run on has to have. Who lacks it is told so, and its tests are skipped by name."""
import os
import shutil
import stat

from .state import run

PROGRAMS = ("linux.uml", "mmdebstrap", "ip", "unshare", "gcc")
TUN = "/dev/net/tun"


def missing():
    """What keeps a lab from running here, in a few words; empty if nothing does."""
    if os.geteuid() != 0:
        return "not root"
    absent = [p for p in PROGRAMS if not shutil.which(p)]
    if absent:
        return f"not installed: {' '.join(absent)} (tools/deps installs what the lab needs)"
    if not (os.path.exists(TUN) and stat.S_ISCHR(os.stat(TUN).st_mode)):
        return f"no {TUN} in this machine's kernel"
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        return f"{TUN}: {e.strerror}"
    if run(["unshare", "-n", "-m", "true"], check=False).returncode != 0:
        return "no network and mount namespaces may be made here"
    return ""
