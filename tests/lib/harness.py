# SPDX-License-Identifier: GPL-2.0-or-later
"""What the black-box tests stand on: a real storaged under a root of its own, its API, its pvesm.

A test file is a story of unittest methods. `main()` runs it and prints one line a test

    ok    dir: snapshot_and_rollback (0.41 s)
    FAIL  dir: ...            followed by why, and the folder where log and state were kept
    skip  dir: ...: reason

and, last, `N passed, N failed, N skipped`. Environment: STORAGED_BUILD (default `build`), STORAGED_FAST=1
(leave out what is marked slow), TMPDIR. Every wait is for an event and has a deadline; nothing sleeps to give it time.
"""
import array
import contextlib
import ctypes
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import urllib.parse

from yardstick import OnTime

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(REPO, os.environ.get("STORAGED_BUILD", "build"))
FAST = os.environ.get("STORAGED_FAST") == "1"
IS_ROOT = os.geteuid() == 0
IS_ASAN = "asan" in os.path.basename(BUILD)
NODE = "n1"
DEADLINE = 30.0  # for anything that should take milliseconds, on a machine that is busy
UNDERSCORED = ("is_mountpoint", "target_node")  # parameters that are written so
KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
KEPT = os.path.join(BUILD, "test-failures")

libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)


def slow(reason="slow: left out by check-fast"):
    return unittest.skipIf(FAST, reason)


def needs_root(reason="needs root"):
    return unittest.skipUnless(IS_ROOT, reason)


def needs_program(name):
    return unittest.skipUnless(shutil.which(name), f"{name} is not installed")


def wait_until(condition, what, deadline=DEADLINE, pause=0.01):
    """For things that announce themselves in no other way than by being looked at."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline:g} s")
        time.sleep(pause)


def tree(top):
    """Everything below a folder as {path: what}: equal before and after = nothing changed."""
    found = {}
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(folder, name)
            s = os.lstat(path)
            kind = stat.S_IFMT(s.st_mode)
            if kind == stat.S_IFREG:
                with open(path, "rb") as f:
                    what = (s.st_size, stat.S_IMODE(s.st_mode), hashlib.file_digest(f, "sha1").hexdigest()
                            if s.st_size < 64 * MiB else s.st_mtime_ns)
            elif kind == stat.S_IFLNK:
                what = ("->", os.readlink(path))
            else:
                what = (kind, stat.S_IMODE(s.st_mode))
            found[os.path.relpath(path, top)] = what
    return found


def start_time(pid):
    """With the pid the identity of a process; None once it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def children_of(pid):
    """[(pid, command line)] of the direct children."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
            if int(fields[1]) != pid or fields[0] in "ZX":
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                found.append((int(entry), f.read().replace(b"\0", b" ").decode(errors="replace").strip()))
        except (OSError, ValueError):
            continue
    return found


class Run:
    """A program that has ended: rc, out, err."""

    def __init__(self, argv, rc, out, err):
        self.argv, self.rc, self.out, self.err = argv, rc, out, err

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"{' '.join(self.argv[:12])} -> {self.rc}\n  stdout: {self.out[:2000]!r}\n  stderr: {self.err[:2000]!r}"


def run(*argv, check=True, env=None, stdin=None, timeout=60, cwd=None):
    p = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                       capture_output=True, env=env, timeout=timeout, cwd=cwd, check=False)
    r = Run([str(a) for a in argv], p.returncode, p.stdout.decode(errors="surrogateescape"),
            p.stderr.decode(errors="replace"))
    if check and r.rc != 0:
        raise AssertionError(f"failed: {r}")
    return r


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=DEADLINE):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    """An answer of the API."""

    def __init__(self, what, status, reason, headers, body):
        self.what, self.status, self.reason, self.headers, self.body = what, status, reason, headers, body
        try:
            self.json = json.loads(body) if body else None
        except ValueError:
            self.json = None

    @property
    def data(self):
        return self.json["data"]

    @property
    def errors(self):
        return (self.json or {}).get("errors") or {}

    @property
    def message(self):
        return (self.json or {}).get("message") or ""

    def __repr__(self):
        return f"{self.what} -> {self.status} {self.reason}: {self.body[:2000]!r}"


class Daemon:
    """A storaged under `root`; started when made, ready when the constructor returns."""

    def __init__(self, root, args=(), env=None, wrapper=(), node=NODE, build=None, ready=True, deadline=DEADLINE):
        self.root, self.node, self.build = root, node, build or BUILD
        self.socket = os.path.join(root, "run/storaged/api.sock")
        self.config = os.path.join(root, "etc/pve/storage.cfg")
        self.log_path = os.path.join(root, "storaged.log")
        self.notified = []
        self.env = dict(os.environ, STORAGED_ROOT=root, **(env or {}))
        self.env.pop("JOURNAL_STREAM", None)
        os.makedirs(root, exist_ok=True)
        self.notify_path = tempfile.mktemp(prefix="notify-", dir=root)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.notify_path)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, os.path.join(self.build, "storaged"), "--root", root, "--node", node, *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                env=dict(self.env, NOTIFY_SOCKET=self.notify_path))
        if ready:
            self.wait_ready(deadline)

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_ready(self, deadline=DEADLINE):
        end = time.monotonic() + deadline
        self.notify.settimeout(0.05)
        while True:
            try:
                text = self.notify.recv(8192).decode()
                self.notified.append(text)
                if "READY=1" in text.split("\n"):
                    return
            except TimeoutError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"storaged ended with {self.process.returncode} before it was ready:\n"
                                     + "\n".join(self.log.splitlines()[-20:]))
            if time.monotonic() > end:
                raise AssertionError(f"storaged not ready within {deadline:g} s:\n"
                                     + "\n".join(self.log.splitlines()[-20:]))

    def workers(self):
        return [pid for pid, command in children_of(self.pid) if "storaged-worker" in command]

    def worker_of(self, storage):
        """The worker of a storage: the one that is there after its first use and was not before."""
        before = set(self.workers())
        self.get(self.at(storage, "/content"))
        new = set(self.workers()) - before
        if len(new) != 1:
            raise AssertionError(f"{len(new)} new workers by using {storage}, expected 1; before {sorted(before)}")
        return new.pop()

    def is_running(self):
        return self.process.poll() is None

    def stop(self, deadline=DEADLINE):
        """SIGTERM; the exit status must be 0 and no worker may stay behind."""
        workers = [(pid, start_time(pid)) for pid in self.workers()] if self.is_running() else []
        if self.is_running():
            self.process.terminate()
        try:
            rc = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"storaged does not stop on SIGTERM within {deadline:g} s") from None
        finally:
            self.close()
        wait_until(lambda: not [w for w in workers if w[1] and start_time(w[0]) == w[1]], "workers end with storaged")
        if rc != 0:
            raise AssertionError(f"storaged ended with {rc}:\n" + "\n".join(self.log.splitlines()[-30:]))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.close()

    def wait_dead(self, deadline=DEADLINE):
        """For a daemon that a fault point kills."""
        rc = self.process.wait(deadline)
        self.close()
        return rc

    def close(self):
        self.notify.close()
        with contextlib.suppress(OSError):
            os.unlink(self.notify_path)

    # --- the API
    def request(self, method, path, params=None, body=None, headers=None, base="/api2/json", timeout=DEADLINE, form=True):
        headers = dict(headers or {})
        url = base + path
        if params is not None:
            if method in ("GET", "DELETE"):
                url += "?" + urllib.parse.urlencode(params)
            elif form:
                body = urllib.parse.urlencode(params).encode()
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            else:
                body = json.dumps(params).encode()
                headers.setdefault("Content-Type", "application/json")
        c = UnixConnection(self.socket, timeout)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before all is sent
                c.request(method, url, body, headers)
            r = c.getresponse()
            return Reply(f"{method} {url[:300]}", r.status, r.reason, r.headers, r.read())
        finally:
            c.close()

    def call(self, method, path, /, **params):
        """The data of a call that has to succeed. `_` in a parameter's name stands for `-`."""
        params = {k if k in UNDERSCORED else k.replace("_", "-"): v for k, v in params.items()}
        r = self.request(method, path, params or None)
        if r.status != 200:
            raise AssertionError(f"failed: {r!r}")
        return r.data

    def get(self, path, /, **params):
        return self.call("GET", path, **params)

    def post(self, path, /, **params):
        return self.call("POST", path, **params)

    def put(self, path, /, **params):
        return self.call("PUT", path, **params)

    def delete(self, path, /, **params):
        return self.call("DELETE", path, **params)

    def raw(self, data, timeout=DEADLINE, half_close=True):
        """Bytes in, all bytes out until the daemon closes or nothing comes any more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(timeout)
            s.connect(self.socket)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            out = b""
            try:
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    out += piece
                    if not half_close and b"\r\n\r\n" in out:
                        break
            except (TimeoutError, ConnectionResetError):
                pass
            return out

    def at(self, storage, rest=""):
        return f"/nodes/{self.node}/storage/{storage}{rest}"

    def content(self, storage, **filters):
        return self.get(self.at(storage, "/content"), **filters)

    def volids(self, storage, **filters):
        return [row["volid"] for row in self.content(storage, **filters)]

    def alloc(self, storage, vmid=100, name="", size="1024", **more):
        return self.post(self.at(storage, "/content"), vmid=vmid, filename=name, size=size, **more)

    def path(self, volid):
        storage = volid.split(":")[0]
        return self.get(self.at(storage, "/path"), volume=volid)["path"]

    def status(self, storage):
        return [row for row in self.get(f"/nodes/{self.node}/storage") if row["storage"] == storage][0]

    def settled(self, storage, state, deadline=DEADLINE):
        """Waits until the storage is in this state; gives its row."""
        def look():
            row = self.status(storage)
            return row if row["state"] == state else None
        try:
            return wait_until(look, f"storage {storage} is {state}", deadline)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {self.status(storage)}") from None

    # --- tasks
    def task(self, upid):
        return f"/nodes/{self.node}/tasks/{urllib.parse.quote(upid, safe='')}"

    def wait_task(self, upid, deadline=60.0):
        """The task's last status, whatever it ended with."""
        end, seen = time.monotonic() + deadline, 0
        while time.monotonic() < end:
            status = self.get(self.task(upid) + "/status", wait=5, seen=seen)
            if status["status"] == "stopped":
                return status
            seen = status.get("seq", 0)
        raise AssertionError(f"task {upid} still runs after {deadline:g} s")

    def task_log(self, upid):
        return "\n".join(line["t"] for line in self.get(self.task(upid) + "/log", limit=500))

    def done(self, upid):
        """The result of a task that has to end well."""
        status = self.wait_task(upid)
        if status.get("exitstatus") != "OK":
            raise AssertionError(f"task failed: {status}\n{self.task_log(upid)}")
        return status.get("result")

    # --- the command line
    def pvesm(self, *args, check=True, env=None, stdin=None, timeout=60):
        return run(os.path.join(self.build, "pvesm"), *args, check=check, env=dict(self.env, **(env or {})),
                   stdin=stdin, timeout=timeout)

    # --- definitions
    def add_dir(self, storage, path=None, **props):
        path = path or os.path.join(self.root, "stores", storage)
        os.makedirs(path, exist_ok=True)
        self.post("/storage", type="dir", storage=storage, path=path, **props)
        return path

    def config_text(self):
        try:
            with open(self.config, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""


class DaemonTest(OnTime, unittest.TestCase):
    """A test with a storaged of its own in self.d, everything below self.tmp."""

    daemon_args = ()
    daemon_env = {}
    wants_daemon = True
    maxDiff = None

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="storaged-test-")
        os.chmod(self.tmp, 0o755)
        self.root = os.path.join(self.tmp, "root")
        self.daemons = []
        self.d = self.start_daemon() if self.wants_daemon else None

    def start_daemon(self, **kwargs):
        kwargs.setdefault("args", self.daemon_args)
        kwargs.setdefault("env", self.daemon_env)
        self.before_start()
        d = Daemon(kwargs.pop("root", self.root), **kwargs)
        self.daemons.append(d)
        self.d = d
        return d

    def before_start(self):
        """A place to lay out files below self.root."""

    def write_config(self, text):
        os.makedirs(os.path.join(self.root, "etc/pve"), exist_ok=True)
        path = os.path.join(self.root, "etc/pve/storage.cfg")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)

    def tearDown(self):
        problem = None
        for d in self.daemons:
            try:
                d.stop() if d.is_running() else d.close()
            except AssertionError as e:
                problem = problem or e
            with contextlib.suppress(OSError):
                if "ERROR: AddressSanitizer" in d.log or "runtime error:" in d.log or "LeakSanitizer" in d.log:
                    problem = problem or AssertionError(f"a sanitizer speaks in {d.log_path}:\n" + d.log[-4000:])
        if problem:
            raise problem

    def keep(self):
        """After a failure: log and state stay where they can be read. Returns the folder."""
        name = f"{os.path.basename(sys.argv[0]).removesuffix('.py')}.{self._testMethodName}"
        target = os.path.join(KEPT, name)
        with contextlib.suppress(OSError):  # the link is a convenience: the folder itself is what is printed
            os.makedirs(KEPT, exist_ok=True)
            if os.path.islink(target):
                os.unlink(target)
            os.symlink(self.tmp, target)
        return self.tmp

    def discard(self):
        unmount_below(self.tmp)
        make_mutable(self.tmp)
        shutil.rmtree(self.tmp, ignore_errors=True)

    # --- what tests say often
    def refused(self, reply, status, param=None):
        """The call failed with this HTTP status, in the envelope, and names the parameter."""
        allowed = status if isinstance(status, tuple) else (status,)
        self.assertTrue(reply.status in allowed, repr(reply))
        self.assertIsInstance(reply.json, dict, repr(reply))
        self.assertIn("data", reply.json, repr(reply))
        self.assertIsNone(reply.json["data"], repr(reply))
        self.assertTrue(reply.message or reply.errors, f"no reason given: {reply!r}")
        if param:
            self.assertIn(param, reply.errors, repr(reply))
        return reply

    def fails(self, reply, status=tuple(range(400, 600))):
        """Refused at once, or by the task that the call began; gives the reason."""
        if reply.status == 200 and isinstance(reply.data, str) and reply.data.startswith("UPID:"):
            ended = self.d.wait_task(reply.data)
            self.assertNotIn(ended["exitstatus"], ("OK", ""), f"{reply!r}: the task went well")
            return ended["exitstatus"]
        self.refused(reply, status)
        return reply.message + " ".join(reply.errors.values())

    def cli_refused(self, r, rc=None, text=None):
        if rc is None:
            self.assertNotEqual(r.rc, 0, repr(r))
        else:
            self.assertEqual(r.rc, rc, repr(r))
        self.assertTrue(r.err.strip(), f"nothing on stderr: {r!r}")
        self.assertNotIn("Sanitizer", r.err)
        if text:
            self.assertIn(text, r.err, repr(r))
        return r

    def state(self):
        """storage.cfg, secrets and all storages below the root, to compare."""
        found = {}
        for part in ("etc/pve", "stores", "var/lib/vz", "mnt"):
            for name, what in tree(os.path.join(self.root, part)).items():
                if "/lock" not in "/" + name:
                    found[f"{part}/{name}"] = what
        return found


def trace_idle(pid, out, seconds):
    """(the system calls that a process makes meanwhile, how many threads it has): strace also shows, once a thread, those that waited."""
    if not shutil.which("strace"):
        raise unittest.SkipTest("strace is not installed")
    p = subprocess.Popen(["strace", "-f", "-tt", "-o", out, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    line = p.stderr.readline().decode()
    if "attached" not in line:
        p.kill()
        p.wait()
        p.stderr.close()
        raise unittest.SkipTest(f"strace can't attach: {line.strip()}")
    time.sleep(seconds)  # the measure itself
    p.send_signal(signal.SIGINT)
    p.wait()
    p.stderr.close()
    with open(out, encoding="utf-8", errors="replace") as f:
        calls = [l for l in f.read().splitlines() if re.search(r"\b[a-z_0-9]+\(", l) and "resumed" not in l]
    return calls, len(os.listdir(f"/proc/{pid}/task"))


def unmount_below(top):
    """Lazily, innermost first: what a failed test left mounted below its own folder."""
    if not IS_ROOT:
        return
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        points = [line.split()[1].replace("\\040", " ") for line in f]
    for point in reversed(points):
        if point.startswith(top + "/"):
            libc.umount2(point.encode(), 2)


def make_mutable(top):
    """Templates are immutable files: they would stay."""
    if not IS_ROOT:
        return
    for folder, _, files in os.walk(top):
        for name in files:
            if not name.startswith(("base-", "basevol-")):
                continue
            with contextlib.suppress(OSError), open(os.path.join(folder, name), "rb") as f:
                flags = array.array("L", [0])
                fcntl.ioctl(f, 0x80086601, flags)  # FS_IOC_GETFLAGS
                flags[0] &= ~0x10                  # FS_IMMUTABLE_FL
                fcntl.ioctl(f, 0x40086602, flags)  # FS_IOC_SETFLAGS


@contextlib.contextmanager
def tmpfs(path, size, options=""):
    """A tiny file system, to be filled up."""
    os.makedirs(path, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size}{options}", "none", path)
    try:
        yield path
    finally:
        libc.umount2(path.encode(), 2)


def qemu_img_info(path):
    return run("qemu-img", "info", "--output=json", "-U", path).json


def qemu_write(path, pattern, offset, length, fmt):
    run("qemu-io", "-f", fmt, "-c", f"write -P {pattern} {offset} {length}", path)


def qemu_reads(path, pattern, offset, length, fmt, *options):
    """Whether the guest would read this byte pattern there."""
    r = run("qemu-io", "-r", *options, "-f", fmt, "-c", f"read -P {pattern} {offset} {length}", path, check=False)
    return r.rc == 0 and "verification failed" not in r.out


class StoryResult(unittest.TestResult):
    def __init__(self, file):
        super().__init__()
        self.file, self.passed, self.n_failed, self.n_skipped, self.bad = file, 0, 0, 0, False

    def name(self, test):
        method = getattr(test, "_testMethodName", str(test))
        flavour = getattr(test, "flavour", "")
        return f"{self.file}{flavour and ' '}{flavour}: {method.removeprefix('test_')}"

    def startTest(self, test):
        super().startTest(test)
        self.begun, self.bad, self.told = time.monotonic(), False, False

    def tell(self, text):
        print(text, flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.tell(f"ok    {self.name(test)} ({time.monotonic() - self.begun:.2f} s)")

    def addSkip(self, test, reason):
        self.n_skipped += 1
        self.told = True
        self.tell(f"skip  {self.name(test)}: {reason}")

    def fail(self, test, err):
        if not self.bad:
            self.n_failed += 1
        self.bad = True
        frames = [f for f in traceback.extract_tb(err[2]) if f.filename.startswith(REPO)]
        text = [f"{os.path.relpath(f.filename, REPO)}:{f.lineno} {f.name}: {f.line}" for f in frames]
        text += "".join(traceback.format_exception_only(err[0], err[1])).rstrip().splitlines()
        lines = [f"FAIL  {self.name(test)}"] + ["      " + line[:2000] for line in text]
        if hasattr(test, "keep") and hasattr(test, "tmp"):
            lines.append(f"      kept: {test.keep()} (storaged.log is in root/)")
        self.tell("\n".join(lines))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            text = subtest._subDescription()
            self.tell(f"      in {text}:")
            self.fail(test, err)
            self.errors.append((test, ""))

    def stopTest(self, test):
        super().stopTest(test)
        if not self.bad and hasattr(test, "tmp") and hasattr(test, "discard"):
            test.discard()


def enter_namespace():
    """Runs the file again in a network and mount namespace of its own, with nothing but loopback."""
    if os.environ.get("STORAGED_TEST_NAMESPACE") == "1":
        return
    # What is killed leaves its shared memory behind: Corosync 16 MB each time.
    inside = 'ip link set lo up && mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && exec "$@"'
    os.environ["STORAGED_TEST_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "-n", "-m", "sh", "-c", inside, "sh", sys.executable, *sys.argv])


def main(namespace=False):
    if namespace and IS_ROOT and shutil.which("unshare"):
        enter_namespace()
    # An idle terminal or an administrator's locale must not change what the programs print.
    os.environ.update(LC_ALL="C.UTF-8", TZ=os.environ.get("TZ", "UTC"))
    module = sys.modules["__main__"]
    file = os.path.basename(sys.argv[0]).removesuffix(".py").removeprefix("test_")
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    suite = unittest.TestSuite()
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == "__main__":
            for name in unittest.TestLoader().getTestCaseNames(value):
                if not wanted or any(w in name for w in wanted):
                    suite.addTest(value(name))
    result = StoryResult(file)
    if not os.path.exists(os.path.join(BUILD, "storaged")):
        print(f"FAIL  {file}: {BUILD}/storaged is not there: make first\n0 passed, 1 failed, 0 skipped")
        sys.exit(1)
    suite.run(result)
    print(f"{result.passed} passed, {result.n_failed} failed, {result.n_skipped} skipped", flush=True)
    sys.exit(1 if result.n_failed else 0)
