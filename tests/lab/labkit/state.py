# SPDX-License-Identifier: GPL-2.0-or-later
"""
Where a lab is and what it started. A lab is a folder; every process it starts is recorded there with its process
group and start time before it runs its program, so that `down` ends exactly those, also after the lab's own command
was killed at any moment, and never a stranger who got a recycled number.
"""
import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = os.path.dirname(os.path.dirname(HERE))
STATE = os.environ.get("STORAGED_LAB_STATE", "/var/tmp/storaged-lab")
LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")
# Waits to be told that it is recorded; if the lab's command dies before it says so, it ends without a trace.
GATE = 'read -r word && [ "$word" = go ] || exit 75; exec "$@" </dev/null'


class LabError(Exception):
    """What failed, on which object, what was found."""


def process_state(pid):
    """(state letter, process group, start time in ticks), or None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
        return fields[0], int(fields[2]), int(fields[19])
    except (OSError, IndexError):
        return None


def start_time(pid):
    """The process's start time, or None if it is gone (or a zombie)."""
    found = process_state(pid)
    return None if not found or found[0] in "ZX" else found[2]


def group_members(pgid, zombies=False):
    """The processes of a group; a zombie holds nothing any more but its number."""
    members = []
    for entry in os.listdir("/proc"):
        found = process_state(entry) if entry.isdigit() else None
        if found and found[1] == pgid and (zombies or found[0] not in "ZX"):
            members.append(int(entry))
    return members


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return f.read().strip()


def run(argv, check=True, **kwargs):
    """A program of the host, with its output captured; LabError with its last words if it fails."""
    if "input" not in kwargs:
        kwargs.setdefault("stdin", subprocess.DEVNULL)
    try:
        r = subprocess.run(argv, capture_output=True, text=True, **kwargs)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is not installed (tools/deps installs what the lab needs)") from None
    if check and r.returncode != 0:
        words = (r.stderr or r.stdout).strip().splitlines()[-3:]
        raise LabError(f"{' '.join(argv)}: exit {r.returncode}: {' / '.join(words)}")
    return r


def wait_for(what, probe, seconds, pause=0.05):
    """Calls probe until it gives something true; LabError naming `what` when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {seconds} s")
        time.sleep(pause)


def lab_names():
    """All labs that have a folder, whole or not."""
    found = os.listdir(STATE) if os.path.isdir(STATE) else []
    return sorted(name for name in found if LAB_NAME.fullmatch(name) and os.path.isdir(os.path.join(STATE, name)))


class Lab:
    """One lab by name: its folder, its settings, its processes."""

    def __init__(self, name="default"):
        if not LAB_NAME.fullmatch(name):
            raise LabError(f"lab name '{name}': a letter, then up to 9 letters or digits")
        self.name = name
        self.dir = os.path.join(STATE, name)
        self.share = os.path.join(self.dir, "share")
        self.logs = os.path.join(self.dir, "logs")
        self.netns = f"lab-{name}"
        self.build = os.path.join(TREE, os.environ.get("STORAGED_BUILD", "build"))

    @contextlib.contextmanager
    def alone(self, what, seconds=0):
        """Only one command at a time may bring this lab up or down. Held by the folder: gone with its holder."""
        while True:
            os.makedirs(self.dir, exist_ok=True)
            fd = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._lock(fd, what, seconds)
                with contextlib.suppress(FileNotFoundError):
                    if os.stat(self.dir).st_ino == os.fstat(fd).st_ino:
                        yield
                        return
            finally:
                os.close(fd)

    def _lock(self, fd, what, seconds):
        def probe():
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False
        try:
            wait_for("", probe, seconds)
        except LabError:
            raise LabError(f"lab '{self.name}' is being brought up or down by another command; {what} refused") from None

    def own(self):
        """The calling program is this lab's owner from now on: when it is gone, `lab sweep` ends the lab."""
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(self.dir, "owner.json"), "w", encoding="utf-8") as f:
            json.dump([os.getpid(), start_time(os.getpid()), boot_id()], f)

    def is_orphan(self):
        """Whether it had an owner, and that is gone."""
        try:
            with open(os.path.join(self.dir, "owner.json"), encoding="utf-8") as f:
                pid, started, boot = json.load(f)
        except (FileNotFoundError, ValueError):
            return False
        return boot != boot_id() or start_time(pid) != started

    # --- settings, decided at `up`
    @property
    def settings_path(self):
        return os.path.join(self.dir, "settings.json")

    def exists(self):
        return os.path.exists(self.settings_path)

    def settings(self):
        try:
            with open(self.settings_path, encoding="utf-8") as f:
                return json.load(f)
        except FileNotFoundError:
            raise LabError(f"lab '{self.name}' is not up (no {self.settings_path}); start it with: lab up") from None

    def save_settings(self, settings):
        for d in (self.dir, self.share, self.logs):
            os.makedirs(d, exist_ok=True)
        tmp = self.settings_path + ".tmp"
        with open(tmp, "w", encoding="utf-8") as f:
            json.dump(settings, f, indent=1)
        os.replace(tmp, self.settings_path)

    def rootfs(self):
        return run([os.path.join(HERE, "rootfs")]).stdout.strip().splitlines()[-1]

    # --- processes
    def _with_processes(self, change):
        path = os.path.join(self.dir, "processes.json")
        os.makedirs(self.dir, exist_ok=True)
        with open(path + ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                with open(path, encoding="utf-8") as f:
                    table = json.load(f)
            except FileNotFoundError:
                table = {}
            before = json.dumps(table)
            result = change(table)
            if json.dumps(table) != before:
                with open(path + ".tmp", "w", encoding="utf-8") as f:
                    json.dump(table, f, indent=1)
                os.replace(path + ".tmp", path)
            return result

    def record(self, name, pid):
        """From now on `down` ends this process and its group."""
        self._with_processes(lambda t: t.update({name: [pid, start_time(pid), boot_id()]}))

    def forget(self, name):
        self._with_processes(lambda t: t.pop(name, None))

    def start(self, name, argv, log=None, in_netns=True, **kwargs):
        """Starts a program in a process group of its own and records it. Refuses a name that runs."""
        if self.is_running(name):
            raise LabError(f"'{name}' runs already")
        os.makedirs(self.logs, exist_ok=True)
        if in_netns:
            argv = ["ip", "netns", "exec", self.netns, *argv]
        with open(os.path.join(self.logs, (log or name) + ".log"), "ab") as out:
            p = subprocess.Popen(["sh", "-c", GATE, "lab-gate", *argv], stdin=subprocess.PIPE, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True, **kwargs)
        self.record(name, p.pid)
        with contextlib.suppress(BrokenPipeError), p.stdin:
            p.stdin.write(b"go\n")
        return p.pid

    def processes(self):
        """{name: (pid, start time)} of all that is recorded, run or not."""
        return self._with_processes(lambda t: {name: tuple(row[:2]) for name, row in t.items()
                                               if row[2:] in ([], [boot_id()])})

    def pid(self, name):
        """The recorded process if it still is that one, else None."""
        pid, started = self.processes().get(name, (None, None))
        return pid if pid and started is not None and start_time(pid) == started else None

    def is_running(self, name):
        return self.pid(name) is not None

    def _group(self, name):
        """The recorded group if it is still the lab's: its leader lives, or is gone and left others behind."""
        pid, started = self.processes().get(name, (None, None))
        if not pid or started is None:
            return None
        now = start_time(pid)
        return pid if now == started or (now is None and group_members(pid)) else None

    def kill_all(self, names, sig=signal.SIGKILL, seconds=60):
        """Ends the whole groups of recorded processes, all at once, and forgets them."""
        groups = {name: self._group(name) for name in names}
        for pgid in filter(None, groups.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pgid, sig)
        for name, pgid in groups.items():
            if pgid:
                wait_for(f"end of '{name}' (group {pgid})", lambda g=pgid: self._is_over(g), seconds, 0.02)
            self.forget(name)

    @staticmethod
    def _is_over(pgid):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pgid, os.WNOHANG)
        return not group_members(pgid)

    def kill(self, name, sig=signal.SIGKILL):
        """Ends the whole group of one recorded process and forgets it."""
        self.kill_all([name], sig)

    def signal_main(self, name, sig):
        """Only the main process: stopping the ptraced children of a UML kernel would kill it."""
        pid = self.pid(name)
        if not pid:
            raise LabError(f"'{name}' does not run")
        os.kill(pid, sig)
