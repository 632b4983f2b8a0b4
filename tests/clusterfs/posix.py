#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What file operations do, on any directory: clusterfs, a plain directory, pmxcfs.

    posix.py NAME=DIR...        a Markdown table, one column for each directory

Each action is a function of this file; its result is what it returned, or the name of the error. Works below a fresh
sub-directory, and in priv/lock where locks are concerned.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import stat
import subprocess
import sys
import time

ACTIONS = []
KIB, MIB = 1024, 1024 * 1024


def action(text, clusterfs=None):
    """`clusterfs`: the result that clusterfs must give."""
    def add(fn):
        ACTIONS.append((text, clusterfs, fn))
        return fn
    return add


class Dir:
    """A fresh directory `d` below `top`."""

    def __init__(self, top):
        self.top = top
        self.d = os.path.join(top, "posix-test")
        shutil.rmtree(self.d, ignore_errors=True)
        os.mkdir(self.d)
        self.n = 0

    def p(self, *parts):
        return os.path.join(self.d, *parts)

    def file(self, name, content=b"old"):
        with open(self.p(name), "wb") as f:
            f.write(content)
        return self.p(name)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def mode(path):
    return f"{stat.S_IMODE(os.lstat(path).st_mode):04o}"


@action("mode of a new file, umask 022", "0640")
def new_file_mode(t):
    return mode(t.file("f"))


@action("mode of a new directory", "0755")
def new_dir_mode(t):
    os.mkdir(t.p("d"))
    return mode(t.p("d"))


@action("owner of a file", "0")
def owner(t):
    return os.stat(t.file("f")).st_uid


@action("create, write, read back", "ok")
def write_read(t):
    return "ok" if read(t.file("f", b"x" * 5000)) == b"x" * 5000 else "differs"


@action("chmod to 0640", "ok")
def chmod_same(t):
    os.chmod(t.file("f"), 0o640)
    return "ok"


@action("chmod to 0777", "EPERM")
def chmod_other(t):
    os.chmod(t.file("f"), 0o777)
    return "ok"


@action("chown to another user", "EPERM")
def chown_other(t):
    os.chown(t.file("f"), 65534, -1)
    return "ok"


@action("chown to root", "ok")
def chown_root(t):
    os.chown(t.file("f"), 0, -1)
    return "ok"


@action("symlink", "ENOSYS")
def symlink(t):
    os.symlink("x", t.p("l"))
    return "ok"


@action("hard link", "EPERM")
def link(t):
    os.link(t.file("f"), t.p("l"))
    return "ok"


@action("mkfifo", "ENOSYS")
def mkfifo(t):
    os.mkfifo(t.p("p"))
    return "ok"


@action("mknod of a regular file", "ok")
def mknod(t):
    os.mknod(t.p("n"), 0o600 | stat.S_IFREG)
    return "ok"


@action("setxattr user.x", "ENOTSUP")
def setxattr(t):
    os.setxattr(t.file("f"), "user.x", b"1")
    return "ok"


@action("getxattr user.x", "ENOTSUP")
def getxattr(t):
    os.getxattr(t.file("f"), "user.x")
    return "ok"


@action("O_EXCL create of an existing file", "EEXIST")
def excl(t):
    os.close(os.open(t.file("f"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return "ok"


@action("mkdir of an existing directory", "EEXIST")
def mkdir_twice(t):
    os.mkdir(t.p("d"))
    os.mkdir(t.p("d"))
    return "ok"


@action("open of a missing file", "ENOENT")
def missing(t):
    os.close(os.open(t.p("f"), os.O_RDONLY))
    return "ok"


@action("create in a missing directory", "ENOENT")
def missing_dir(t):
    os.close(os.open(t.p("d/f"), os.O_CREAT | os.O_WRONLY))
    return "ok"


@action("open of a directory for writing", "EISDIR")
def open_dir(t):
    os.close(os.open(t.d, os.O_WRONLY))
    return "ok"


@action("rmdir of a directory with a file in it", "ENOTEMPTY")
def rmdir_full(t):
    os.mkdir(t.p("d"))
    t.file("d/f")
    os.rmdir(t.p("d"))
    return "ok"


@action("rmdir of a file", "ENOTDIR")
def rmdir_file(t):
    os.rmdir(t.file("f"))
    return "ok"


@action("unlink of a directory", "EISDIR")
def unlink_dir(t):
    os.mkdir(t.p("d"))
    os.unlink(t.p("d"))
    return "ok"


@action("rename over an existing file: the new content is there", "ok")
def rename_over(t):
    t.file("b", b"old")
    os.rename(t.file("a", b"new"), t.p("b"))
    return "ok" if read(t.p("b")) == b"new" and not os.path.exists(t.p("a")) else "differs"


@action("rename of an empty directory", "ok")
def rename_empty(t):
    os.mkdir(t.p("d"))
    os.rename(t.p("d"), t.p("e"))
    return "ok"


@action("rename of a directory with a file in it", "ENOTEMPTY")
def rename_full(t):
    os.mkdir(t.p("d"))
    t.file("d/f")
    os.rename(t.p("d"), t.p("e"))
    return "ok"


@action("rename of a file over a directory", "EISDIR")
def rename_file_dir(t):
    os.mkdir(t.p("d"))
    os.rename(t.file("f"), t.p("d"))
    return "ok"


@action("rename of a directory over a file", "ENOTDIR")
def rename_dir_file(t):
    os.mkdir(t.p("d"))
    os.rename(t.p("d"), t.file("f"))
    return "ok"


@action("rename of a directory into itself", "EINVAL")
def rename_into_itself(t):
    os.mkdir(t.p("d"))
    os.rename(t.p("d"), t.p("d/e"))
    return "ok"


@action("rename with RENAME_NOREPLACE onto an existing file", "EEXIST")
def rename_noreplace(t):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, t.file("a").encode(), -100, t.file("b").encode(), 1) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "ok"


@action("file of 1 MiB", "ok")
def one_mib(t):
    return "ok" if len(read(t.file("f", b"x" * MIB))) == MIB else "differs"


@action("file of 1 MiB and a byte", "EFBIG")
def more_than_one_mib(t):
    t.file("f", b"x" * (MIB + 1))
    return "ok"


@action("truncate to 1 MiB and a byte", "EFBIG")
def truncate_up(t):
    os.truncate(t.file("f"), MIB + 1)
    return "ok"


@action("truncate down, then up: zeros", "ok")
def truncate_zeros(t):
    p = t.file("f", b"abcdef")
    os.truncate(p, 3)
    os.truncate(p, 5)
    return "ok" if read(p) == b"abc\0\0" else "differs"


@action("write behind the end: zeros between", "ok")
def hole(t):
    p = t.file("f", b"abc")
    with open(p, "r+b") as f:
        f.seek(5)
        f.write(b"x")
    return "ok" if read(p) == b"abc\0\0x" else "differs"


@action("change in the middle keeps the rest", "ok")
def middle(t):
    p = t.file("f", b"abcdef")
    with open(p, "r+b") as f:
        f.seek(2)
        f.write(b"XY")
    return "ok" if read(p) == b"abXYef" else "differs"


@action("append by two open files", "ok")
def append(t):
    p = t.file("f", b"0")
    a, b = open(p, "ab", 0), open(p, "ab", 0)
    a.write(b"1")
    a.close()
    b.write(b"2")
    b.close()
    return "ok" if read(p) == b"012" else read(p)


@action("name of 255 bytes", "ok")
def name_255(t):
    t.file("n" * 255)
    return "ok"


@action("name of 256 bytes", "ENAMETOOLONG")
def name_256(t):
    t.file("n" * 256)
    return "ok"


@action("reader during O_TRUNC and write, before close", "old")
def truncated_half(t):
    p = t.file("f", b"old")
    fd = os.open(p, os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"ne")
    seen = read(p)
    os.write(fd, b"w")
    os.close(fd)
    return seen.decode() or "empty" if read(p) == b"new" else "lost"


@action("shell: `echo x > f` never shows an empty file", "ok")
def shell_redirect(t):
    p = t.file("f", b"old\n")
    subprocess.run(["sh", "-c", 'exec 3>&1; echo new > "$1"', "sh", p], check=True)
    return "ok" if read(p) == b"new\n" else "differs"


@action("shell: `: > f` empties the file", "ok")
def shell_truncate(t):
    p = t.file("f")
    subprocess.run(["sh", "-c", ': > "$1"', "sh", p], check=True)
    return "ok" if os.path.getsize(p) == 0 else "still there"


@action("open handle after another file was renamed over it", "old version")
def pinned_rename(t):
    p = t.file("f", b"1" * 100000)
    fd = os.open(p, os.O_RDONLY)
    first = os.read(fd, 1000)
    os.rename(t.file("g", b"2" * 100000), p)
    rest = b""
    while chunk := os.read(fd, 65536):
        rest += chunk
    os.close(fd)
    return "old version" if first + rest == b"1" * 100000 else "mixed"


@action("open handle after the file was overwritten", "old version")
def pinned_overwrite(t):
    p = t.file("f", b"1" * 100000)
    fd = os.open(p, os.O_RDONLY)
    first = os.read(fd, 1000)
    with open(p, "wb") as f:
        f.write(b"2" * 100000)
    rest = b""
    while chunk := os.read(fd, 65536):
        rest += chunk
    os.close(fd)
    return "old version" if first + rest == b"1" * 100000 else "mixed"


@action("read through a handle after unlink", "ok")
def unlinked(t):
    fd = os.open(t.file("f", b"abc"), os.O_RDWR)
    os.unlink(t.p("f"))
    os.write(fd, b"x")
    os.lseek(fd, 0, 0)
    r = os.read(fd, 10)
    size = os.fstat(fd).st_size
    os.close(fd)
    return "ok" if r == b"xbc" and size == 3 and not os.path.exists(t.p("f")) else "differs"


@action("read back through a handle before it is closed", "ok")
def read_own(t):
    fd = os.open(t.p("f"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"hello")
    size = os.fstat(fd).st_size
    os.lseek(fd, 0, 0)
    r = os.read(fd, 10)
    os.close(fd)
    return "ok" if r == b"hello" and size == 5 else f"{r} {size}"


@action("ftruncate and write through one handle", "ok")
def ftruncate(t):
    p = t.file("f", b"abcdef")
    fd = os.open(p, os.O_RDWR)
    os.ftruncate(fd, 0)
    os.write(fd, b"xy")
    os.close(fd)
    return "ok" if read(p) == b"xy" else "differs"


@action("fsync publishes", "ok")
def fsync(t):
    p = t.file("f", b"")
    fd = os.open(p, os.O_WRONLY)
    os.write(fd, b"abc")
    os.fsync(fd)
    r = read(p)
    os.close(fd)
    return "ok" if r == b"abc" else "differs"


@action("fsync of a directory", "ok")
def fsync_dir(t):
    fd = os.open(t.d, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    return "ok"


@action("utime sets the time", "ok")
def utime(t):
    p = t.file("f")
    os.utime(p, (1000000, 1000000))
    return "ok" if int(os.stat(p).st_mtime) == 1000000 else "differs"


@action("utime to 0", "ok")
def utime_zero(t):
    p = t.file("f")
    os.utime(p, (0, 0))
    return "ok" if int(os.stat(p).st_mtime) == 0 else "differs"


@action("mtime follows a write", "ok")
def mtime(t):
    p = t.file("f")
    os.utime(p, (1000000, 1000000))
    with open(p, "ab") as f:
        f.write(b"x")
    return "ok" if abs(os.stat(p).st_mtime - time.time()) < 5 else "differs"


@action("mtime of a directory follows a create", "ok")
def dir_mtime(t):
    os.mkdir(t.p("d"))
    os.utime(t.p("d"), (1000000, 1000000))
    t.file("d/f")
    return "ok" if abs(os.stat(t.p("d")).st_mtime - time.time()) < 5 else "stays"


@action("flock by two handles on one node", "EAGAIN")
def flock(t):
    p = t.file("f")
    a, b = open(p), open(p)
    fcntl.flock(a, fcntl.LOCK_EX)
    fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return "ok"


@action("mmap shared, writable", "ENODEV")
def mmap_shared(t):
    with open(t.file("f", b"x" * 4096), "r+b") as f:
        mmap.mmap(f.fileno(), 4096).close()
    return "ok"


@action("mmap private, to read", "ok")
def mmap_private(t):
    with open(t.file("f", b"x" * 4096), "rb") as f:
        m = mmap.mmap(f.fileno(), 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        return "ok" if m[:4] == b"xxxx" else "differs"


@action("500 files: readdir sees each once", "ok")
def many(t):
    for i in range(500):
        t.file(f"f{i}", b"")
    names = os.listdir(t.d)
    return "ok" if sorted(names) == sorted(f"f{i}" for i in range(500)) else "differs"


@action("removing while reading the directory", "ok")
def remove_all(t):
    for i in range(200):
        t.file(f"f{i}", b"")
    for e in os.scandir(t.d):
        os.unlink(e.path)
    return "ok" if not os.listdir(t.d) else f"{len(os.listdir(t.d))} left"


@action("lock directory: second mkdir", "EEXIST")
def lock_twice(t):
    lock = os.path.join(t.top, "priv/lock/posix-test")
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    os.mkdir(lock)
    try:
        os.mkdir(lock)
        return "ok"
    finally:
        os.rmdir(lock)


@action("lock directory: rename", "EACCES")
def lock_rename(t):
    lock = os.path.join(t.top, "priv/lock/posix-test")
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    os.mkdir(lock)
    try:
        os.rename(lock, lock + "2")
        lock += "2"
        return "ok"
    finally:
        os.rmdir(lock)


@action("lock directory: utime 0 while it is young", "EACCES")
def lock_ask(t):
    lock = os.path.join(t.top, "priv/lock/posix-test")
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    os.mkdir(lock)
    try:
        os.utime(lock, (0, 0))
        return "ok"
    finally:
        os.rmdir(lock)


@action("lock directory: utime now on the node that made it", "ok")
def lock_renew(t):
    lock = os.path.join(t.top, "priv/lock/posix-test")
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    os.mkdir(lock)
    try:
        os.utime(lock)
        return "ok"
    finally:
        os.rmdir(lock)


@action("mode below priv", "0700 0600")
def private_modes(t):
    d = os.path.join(t.top, "priv/posix-test")
    os.makedirs(d, exist_ok=True)
    with open(d + "/f", "w"):
        pass
    r = f"{mode(d)} {mode(d + '/f')}"
    shutil.rmtree(d)
    return r


@action("a VMID on a second node", "EEXIST")
def vmid(t):
    for n in ("posix-a", "posix-b"):
        os.makedirs(os.path.join(t.top, f"nodes/{n}/qemu-server"), exist_ok=True)
    a, b = (os.path.join(t.top, f"nodes/posix-{n}/qemu-server/987654.conf") for n in "ab")
    try:
        open(a, "w").close()
        open(b, "w").close()
        return "ok"
    finally:
        for p in (a, b):
            if os.path.exists(p):
                os.unlink(p)


@action("rename of a guest's config to another node", "ok")
def migrate(t):
    for n in ("posix-a", "posix-b"):
        os.makedirs(os.path.join(t.top, f"nodes/{n}/qemu-server"), exist_ok=True)
    a, b = (os.path.join(t.top, f"nodes/posix-{n}/qemu-server/987654.conf") for n in "ab")
    open(a, "w").close()
    os.rename(a, b)
    os.unlink(b)
    return "ok"


@action("unlink of .version", "EACCES")
def unlink_virtual(t):
    os.unlink(os.path.join(t.top, ".version"))
    return "ok"


@action("write to .version", "EACCES")
def write_virtual(t):
    if not os.path.exists(os.path.join(t.top, ".version")):
        raise FileNotFoundError(errno.ENOENT, "")
    with open(os.path.join(t.top, ".version"), "w") as f:
        f.write("x")
    return "ok"


@action("mkdir of `local`", "EEXIST")
def mkdir_local(t):
    os.mkdir(os.path.join(t.top, "local"))
    os.rmdir(os.path.join(t.top, "local"))
    return "ok"


@action("rename over `local`", "EACCES")
def rename_local(t):
    os.rename(t.file("f"), os.path.join(t.top, "local"))
    os.unlink(os.path.join(t.top, "local"))
    return "ok"


def run(top):
    """[(action, result, what clusterfs must give)]"""
    os.umask(0o022)
    results = []
    for text, expected, fn in ACTIONS:
        t = Dir(top)
        try:
            r = str(fn(t))
        except OSError as e:
            r = "ENOTSUP" if e.errno == errno.EOPNOTSUPP else errno.errorcode.get(e.errno, str(e.errno))
        except (AssertionError, ValueError) as e:
            r = f"error: {e}"
        results.append((text, r, expected))
    shutil.rmtree(os.path.join(top, "posix-test"), ignore_errors=True)
    for n in ("posix-a", "posix-b"):
        shutil.rmtree(os.path.join(top, "nodes", n), ignore_errors=True)
    return results


def table(columns):
    """columns: {name: results}"""
    names = list(columns)
    lines = ["| action | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for i, (text, _, _) in enumerate(columns[names[0]]):
        lines.append(f"| {text} | " + " | ".join(columns[n][i][1] for n in names) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) < 2 or any("=" not in a for a in sys.argv[1:]):
        sys.exit(__doc__)
    print(table({a.split("=", 1)[0]: run(a.split("=", 1)[1]) for a in sys.argv[1:]}))
