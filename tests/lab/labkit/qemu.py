# SPDX-License-Identifier: GPL-2.0-or-later
"""
Whole machines under QEMU's software emulation, for what User-Mode Linux has no drivers for (Fibre Channel). A machine
has a console log, a QMP socket, and the lab's agent (tests/lab/agent.c) behind a network card of its own: QEMU runs in
an unnamed network namespace, on whose 127.0.0.1 the agent answers; it goes with the machine.

The state of a running machine can be saved to a file, and a machine started from it goes on where that one was.
"""
import contextlib
import json
import os
import socket

from . import agent
from .state import LabError, wait_for

PROGRAM = "qemu-system-x86_64"
IN_NETNS = 'ip link set lo up && exec "$@"'


class Machine:
    """One machine of a lab, by the name under which the lab records its process; folder: where its sockets are."""

    def __init__(self, lab, name, folder):
        self.lab, self.name, self.folder = lab, name, folder

    @property
    def qmp_path(self):
        return os.path.join(self.folder, self.name + ".qmp")

    @property
    def console(self):
        return os.path.join(self.lab.logs, self.name + ".log")

    def argv(self, devices, state=None):
        """The command; devices: what this machine has more than every machine, as arguments."""
        argv = [PROGRAM, "-name", self.name, "-M", "q35", "-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max", "-smp", "1",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-qmp", f"unix:{self.qmp_path},server=on,wait=off", "-serial", "stdio",
                "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
                *devices,
                "-netdev", f"user,id=lab,restrict=on,hostfwd=tcp:127.0.0.1:{agent.PORT}-:{agent.PORT}",
                "-device", "virtio-net-pci,netdev=lab,mac=52:54:00:00:00:01,romfile="]
        return argv + (["-incoming", f"exec:cat {state}", "-S"] if state else [])

    def start(self, devices, state=None):
        """Boots, or with state takes up what was saved there; then resume() lets it run."""
        self.lab.start(self.name, ["unshare", "-n", "sh", "-c", IN_NETNS, "lab-netns", *self.argv(devices, state)], in_netns=False)

    def is_running(self):
        return self.lab.is_running(self.name)

    def check_running(self):
        if not self.is_running():
            raise LabError(f"machine '{self.name}' has ended; its console: {self.console}")

    # --- scripts in it
    def execute(self, script, **kwargs):
        """(exit status, stdout, stderr) of a shell script in the machine; AgentError if it does not answer."""
        pid = self.lab.pid(self.name)
        if not pid:
            raise agent.AgentError(f"machine '{self.name}' does not run")
        return agent.execute(f"/proc/{pid}/ns/net", "127.0.0.1", script, **kwargs)

    def must(self, script, **kwargs):
        """The script's standard output as text; LabError if it fails."""
        status, out, err = self.execute(script, **kwargs)
        if status != 0:
            words = (err or out).decode(errors="replace").strip().splitlines()[-6:]
            raise LabError(f"{self.name}: exit {status}: {script.strip()[:200]}: {' / '.join(words)}")
        return out.decode(errors="replace")

    def wait_ready(self, seconds):
        """Until its start has come to its end."""
        def probe():
            self.check_running()
            with open(self.console, encoding="utf-8", errors="replace") as f:
                failed = [line.strip() for line in f if "LAB MACHINE" in line and "FAILED" in line]
            if failed:
                raise LabError(f"{failed[-1]}; its console: {self.console}")
            with contextlib.suppress(agent.AgentError):
                return self.execute("test -e /run/ready", timeout=10)[0] == 0
        wait_for(f"boot of {self.name} (console: {self.console})", probe, seconds, 1)

    # --- the machine from outside
    def qmp(self, command, **arguments):
        """One command of QEMU's monitor; its result."""
        self.check_running()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            try:
                s.connect(self.qmp_path)
                lines = s.makefile("rw", encoding="utf-8")
                lines.readline()  # the greeting
                for name, words in (("qmp_capabilities", {}), (command, arguments)):
                    lines.write(json.dumps({"execute": name, "arguments": words}) + "\n")
                    lines.flush()
                    reply = self._reply(lines)
            except OSError as e:
                raise LabError(f"{self.name}: QEMU's monitor at {self.qmp_path}: {e}") from None
        if "error" in reply:
            raise LabError(f"{self.name}: {command}: {reply['error'].get('desc')}")
        return reply["return"]

    def _reply(self, lines):
        """The next answer; events come in between."""
        while True:
            line = lines.readline()
            if not line:
                raise LabError(f"{self.name}: QEMU hung up; its console: {self.console}")
            reply = json.loads(line)
            if "return" in reply or "error" in reply:
                return reply

    def wait_monitor(self):
        def probe():
            self.check_running()
            return os.path.exists(self.qmp_path)
        wait_for(f"QEMU of {self.name}", probe, 20)

    def pause(self):
        self.qmp("stop")

    def resume(self):
        self.qmp("cont")

    def save(self, path):
        """Writes the state of the paused machine to a file; the machine is of no more use then."""
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 10 << 30})
        self.qmp("migrate", uri=f"exec:cat > {path}")

        def probe():
            found = self.qmp("query-migrate")
            if found.get("status") == "failed":
                raise LabError(f"{self.name}: its state cannot be saved: {found.get('error-desc')}")
            return found.get("status") == "completed"
        wait_for(f"saving of {self.name} to {path}", probe, 120)

    def wait_loaded(self):
        """Until a machine started from a saved state has read it."""
        wait_for(f"saved state of {self.name} (see {self.console})", lambda: self.qmp("query-status")["status"] != "inmigrate", 120)

    def set_link(self, device, is_up):
        """Pulls or plugs the cable of a network card; the machine sees its carrier go or come."""
        self.qmp("set_link", name=device, up=is_up)
