# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes under a cluster lock as storaged makes them (storaged/base/fence.h), and a process that makes one after the other:

    fence.py TOP NAME      takes priv/lock/NAME, adds a line to the file NAME, gives the lock back, again and again until its
                           input ends; each step is told as a line of JSON.
"""
import contextlib
import errno
import fcntl
import json
import os
import random
import select
import struct
import sys
import time

CALL = struct.Struct("=Q256s256s")
PUT = struct.Struct("=Q256sI8192s4x")
IOCTL = 1 << 30 | CALL.size << 16 | 0xcf << 8 | 1  # _IOW(0xcf, 1, FenceCall)
PUT_IOCTL = 1 << 30 | PUT.size << 16 | 0xcf << 8 | 2  # _IOW(0xcf, 2, FencePut)
PATIENCE = 0.2  # a lock that stands for so long is taken away, as the 120 s of its life do


def ask(name, request, call):
    fd = os.open(os.path.dirname(name), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, request, bytearray(call))  # Python takes larger ones only if it may write to them
    finally:
        os.close(fd)


def fenced(lock, name, source=""):
    """Puts `source` in the place of `name`, or removes `name`: if `lock` (its st_ino) is still there."""
    ask(name, IOCTL, CALL.pack(lock, os.path.basename(source).encode(), os.path.basename(name).encode()))


def put(lock, name, text):
    """As commit(), in one change."""
    ask(name, PUT_IOCTL, PUT.pack(lock, os.path.basename(name).encode(), len(text), text.encode()))


def commit(lock, name, text):
    temporary = f"{name}.tmp.{os.getpid()}"
    with open(temporary, "w") as f:
        f.write(text)
    fenced(lock, name, temporary)


def ident(path):
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def take(path):
    """The lock. One that it took long to get may have been taken away and be another's by now: as storaged, by its time."""
    begun, seen = time.monotonic(), ident(path)
    while True:
        try:
            asked = time.monotonic()
            os.mkdir(path)
            got = ident(path)
            if got and time.monotonic() - asked < PATIENCE / 2:
                return got
        except FileNotFoundError:
            pass  # it was ours, and has been taken away before mkdir() was answered
        except FileExistsError:
            now = ident(path)
            if now != seen:
                begun, seen = time.monotonic(), now
            elif time.monotonic() - begun > PATIENCE:
                with contextlib.suppress(FileNotFoundError):
                    os.rmdir(path)
            time.sleep(0.003)


def add_one(top, name, mark):
    """What was there, what was to come after it, when, and what came of it: 0 or an errno."""
    path, lock = os.path.join(top, name), os.path.join(top, "priv/lock", name)
    held = take(lock)
    begin = time.monotonic()
    with open(path) as f:
        before = f.read()
    after, result = f"{int(before.split()[0]) + 1} {mark}", 0
    try:
        random.choice((commit, put))(held, path, after)
        os.rmdir(lock)
    except OSError as e:
        result = e.errno
    return {"before": before, "after": after, "begin": begin, "end": time.monotonic(), "result": result}


def main():
    top, name = sys.argv[1:]
    count = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        count += 1
        print(json.dumps(add_one(top, name, f"{os.getpid()}.{count}")), flush=True)


if __name__ == "__main__":
    main()

__all__ = ["fenced", "commit", "put", "ident", "errno"]
