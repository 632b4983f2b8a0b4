# SPDX-License-Identifier: GPL-2.0-or-later
"""
Servers on the host's side of the lab (iSCSI target, NFS servers, Ceph), from the nodes' root file system or one of
their own: chrooted into it in a mount namespace of their own, in the lab's network namespace. The host needs none of
these packages, and nothing of the host is written to.
"""
import os

from .state import LabError, run

# $1 root file system, $2 the lab's share, rest: the program. All mounts end with the namespace.
_SCRIPT = r"""
set -e
root=$1 share=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
[ ! -d "$root/var/lib/nfs" ] || mount -t tmpfs tmpfs "$root/var/lib/nfs"
mkdir -p "$root/run/ganesha" "$root/run/lock"
mount --bind "$share" "$root/share"
exec chroot "$root" "$@"
"""


def _inside(lab, root, argv):
    return ["unshare", "-m", "sh", "-c", _SCRIPT, "lab-server", root or lab.settings()["rootfs"], lab.share, *argv]


def start(lab, name, argv, root=None):
    """Starts a server under that name; root: another root file system than the nodes'."""
    lab.start(name, _inside(lab, root, argv))


def once(lab, argv, root=None, **kwargs):
    """Runs a program that ends where a server would run; arguments and result as of state.run()."""
    return run(["ip", "netns", "exec", lab.netns, *_inside(lab, root, argv)], **kwargs)


def enter(lab, name, argv, check=True):
    """Runs a program where the server `name` runs: its namespaces and its root."""
    pid = lab.pid(name)
    if not pid:
        raise LabError(f"server '{name}' does not run; see {os.path.join(lab.logs, name + '.log')}")
    return run(["nsenter", "-t", str(pid), "-m", "-n", "-r", *argv], check=check)
