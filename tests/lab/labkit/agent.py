# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs scripts in a node through its agent (tests/lab/agent.c, where the protocol is told)."""
import ctypes
import os
import socket
import struct
import sys
import threading
import time

PORT = 7000
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class AgentError(Exception):
    """The node did not answer: it is down, frozen or unreachable. Not a script that failed."""


def _connect(netns, address, timeout):  # netns: a name, or the path of one without a name
    """A socket belongs to the network namespace of the thread that made it: make it in a thread that moved there."""
    result = {}

    def work():
        try:
            fd = os.open(os.path.join("/run/netns", netns), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(fd)
            result["socket"] = socket.create_connection((address, PORT), timeout=timeout)
        except OSError as e:
            result["error"] = e

    t = threading.Thread(target=work)
    t.start()
    t.join()
    if "error" in result:
        raise AgentError(f"{address}: {result['error']}")
    return result["socket"]


def _receive(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise AgentError("the connection to the node was lost")
        data += piece
    return data


def _send_input(s, stdin):
    """The script's standard input, in pieces; in a thread, as the script may write before it reads all."""
    try:
        if hasattr(stdin, "read"):
            while chunk := stdin.read(65536):
                s.sendall(struct.pack(">I", len(chunk)) + chunk)
        elif stdin:
            s.sendall(struct.pack(">I", len(stdin)) + stdin)
        s.sendall(struct.pack(">I", 0))
    except OSError:
        pass  # the script ended without reading it all, or the node is gone: the reader says so


def _receive_frames(s, deadline, on_output):
    """Hands the output on as it comes; gives the exit status."""
    while True:
        if deadline is not None:
            s.settimeout(max(deadline - time.monotonic(), 0.001))
        kind, length = struct.unpack(">BI", _receive(s, 5))
        data = _receive(s, length)
        if kind == 3:
            return struct.unpack(">i", data)[0]
        on_output(kind, data)


def execute(netns, address, script, timeout=120, stdin=b"", on_output=None, connect_timeout=20):
    """
    Runs a shell script. Gives (exit status, stdout, stderr) as bytes; with on_output(kind, data) they go there as they
    come. AgentError if it has not ended within `timeout` seconds (then the script gets SIGTERM).
    """
    pieces = {1: [], 2: []}
    deadline = None if timeout is None else time.monotonic() + timeout
    s = _connect(netns, address, connect_timeout if timeout is None else min(connect_timeout, timeout))
    try:
        s.settimeout(timeout)
        body = script.encode()
        s.sendall(struct.pack(">I", len(body)) + body)
        # A daemon: a read from a terminal that nobody answers must not keep the program.
        threading.Thread(target=_send_input, args=(s, stdin), daemon=True).start()
        status = _receive_frames(s, deadline, on_output or (lambda kind, data: pieces[kind].append(data)))
        return status, b"".join(pieces[1]), b"".join(pieces[2])
    except TimeoutError:
        raise AgentError(f"{address}: not ended within {timeout} s: {script[:80]}") from None
    except OSError as e:
        raise AgentError(f"{address}: {e}: {script[:80]}") from None
    finally:
        s.close()


def to_terminal(kind, data):
    stream = sys.stdout.buffer if kind == 1 else sys.stderr.buffer
    stream.write(data)
    stream.flush()
